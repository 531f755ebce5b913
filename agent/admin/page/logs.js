// The logs: a live tail of parsed records, filtered by the agent. The view is in the address.

import { el, svg, putText, bdi, setText, plain } from './dom.js';
import { getJSON } from './api.js';
import { stream } from './stream.js';
import { Records } from './records.js';
import { LogList } from './loglist.js';
import { bytes, count, many, span } from './format.js';

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'none'];
const filters = ['level', 'service', 'container', 'source', 'trace', 'text', 'since', 'until'];
const page = 500; // records asked for at a time
const hiddenFor = 30000; // until the stream of a tab that is not seen ends
const waitingMost = 5000; // while paused
const sinces = [['', 'any time'], ['5m', 'last 5 minutes'], ['15m', 'last 15 minutes'], ['1h', 'last hour'], ['6h', 'last 6 hours'], ['24h', 'last day']];
const fullText = 4000; // characters of a value before it is shortened

export function logs(main, params) {
  const view = new Logs(main);
  view.changed(params);
  return { changed: (p) => view.changed(p), end: () => view.end() };
}

const hues = new Map();

// hueOf gives each service one of eight colours, in the order in which they come.
function hueOf(name) {
  if (!hues.has(name)) {
    if (hues.size > 1000) hues.clear();
    hues.set(name, hues.size % 8);
  }
  return hues.get(name);
}

// cut says what of a long line is not here.
function cut(r) {
  if (!r.line_bytes) return 'longer than max_line_size: the rest of the line was not read';
  const kept = new Blob([r.raw ?? '']).size;
  if (kept >= r.line_bytes) return 'long fields are shortened here; the outputs get them whole';
  return `the first ${bytes(kept)} of ${bytes(r.line_bytes)} are kept here; the outputs get the whole line`;
}

const baseName = (path) => path.slice(path.lastIndexOf('/') + 1);

// prepared adds what the rows show.
function prepared(r) {
  r.at = Date.parse(r.time) || 0;
  r.from = r.service || r.container || baseName(r.source ?? '');
  r.hue = hueOf(r.from);
  let text = '';
  for (const [name, value] of Object.entries(r.fields ?? {})) {
    if (text.length > 300) break;
    text += ` ${name.slice(0, 80)}=${(typeof value === 'string' ? value : JSON.stringify(value) ?? '').slice(0, 120)}`;
  }
  r.summary = text;
  return r;
}

class Logs {
  constructor(main) {
    this.main = main;
    this.records = new Records();
    this.waiting = [];
    this.missed = 0; // while paused, beyond what is kept
    this.skipped = 0; // by the agent, since this page was slower
    this.paused = ''; // or why
    this.filter = {};
    this.before = '';
    this.rate = { since: performance.now(), n: 0 };
    this.known = { service: new Set(), container: new Set() };
    this.build();
    this.onKeyDown = (event) => this.onKey(event);
    document.addEventListener('keydown', this.onKeyDown);
    this.onHidden = () => this.hidden();
    document.addEventListener('visibilitychange', this.onHidden);
    this.ticking = setInterval(() => this.tick(), 1000);
  }

  end() {
    this.abort?.abort();
    clearInterval(this.ticking);
    clearTimeout(this.later);
    clearTimeout(this.typing);
    clearTimeout(this.hiding);
    cancelAnimationFrame(this.traceFrame);
    this.list.end();
    document.removeEventListener('keydown', this.onKeyDown);
    document.removeEventListener('visibilitychange', this.onHidden);
    window.CSS?.highlights?.delete('found');
  }

  build() {
    const field = (name, label, props) => {
      const input = el('input', { id: `filter-${name}`, type: 'search', spellcheck: 'false', autocomplete: 'off', ...props });
      input.addEventListener('input', () => {
        clearTimeout(this.typing);
        this.typing = setTimeout(() => this.set({ [name]: input.value.trim() }, true), 250);
      });
      return [el('label', { for: `filter-${name}`, class: 'hidden', text: label }), input];
    };
    this.levels = el('div', { class: 'levels', role: 'group', 'aria-label': 'Levels; none pressed shows all' }, levels.map((level) => el('button', {
      type: 'button', class: `chip ${level}`, 'data-level': level, 'aria-pressed': 'false', text: level, on: { click: () => this.toggleLevel(level) },
    })));
    this.since = el('select', { id: 'filter-since', 'aria-label': 'Time', on: { change: () => this.set({ since: this.since.value, until: '' }) } },
      sinces.map(([value, text]) => el('option', { value, text })));
    this.pauseButton = el('button', { type: 'button', id: 'pause', class: 'pause', 'aria-pressed': 'false', on: { click: () => this.togglePause() } });
    this.clearButton = el('button', { type: 'button', class: 'quiet', id: 'clear-filters', text: 'Clear', on: { click: () => this.clear() } });
    this.state = el('p', { class: 'log-state', role: 'status' });
    this.counts = el('p', { class: 'log-counts' });
    this.notice = el('div', { class: 'notice', role: 'status', hidden: true });
    this.trace = el('section', { class: 'trace-view', 'aria-label': 'Trace', hidden: true });
    this.list = new LogList({
      records: this.records, detail: (r) => this.detail(r), onTrace: (id) => this.showTrace(id), onPause: (why) => this.pause(why),
      onTop: () => this.older(), onBottom: () => this.paused === 'scroll' && this.list.open < 0 && this.list.selected < 0 && this.resume(), onEnd: () => this.resume(),
    });
    this.services = el('datalist', { id: 'services' });
    this.containers = el('datalist', { id: 'containers' });
    this.main.append(
      el('h1', { class: 'hidden', text: 'Logs' }),
      el('form', { class: 'filters', role: 'search', on: { submit: (e) => e.preventDefault() } }, this.levels,
        field('text', 'Text', { placeholder: 'Search text', class: 'grow' }),
        field('service', 'Service', { placeholder: 'Service', list: 'services' }),
        field('container', 'Container', { placeholder: 'Container', list: 'containers' }),
        field('trace', 'Trace id', { placeholder: 'Trace id' }),
        this.since, this.clearButton, this.pauseButton, this.services, this.containers),
      this.trace, this.notice, this.list.node,
      el('footer', { class: 'log-foot' }, this.state, this.counts));
  }

  // changed shows what an address asks for.
  changed(params) {
    const next = {};
    for (const name of filters) next[name] = params.get(name) ?? '';
    if (JSON.stringify(next) === JSON.stringify(this.filter)) return;
    this.filter = next;
    for (const name of ['text', 'service', 'container', 'trace']) {
      const input = document.getElementById(`filter-${name}`);
      if (input.value.trim() !== next[name]) input.value = next[name];
    }
    if (![...this.since.options].some((o) => o.value === next.since)) {
      this.since.append(el('option', { value: next.since, text: `since ${plain(next.since.slice(0, 40))}` }));
    }
    this.since.value = next.since;
    const chosen = new Set(next.level.split(','));
    for (const chip of this.levels.children) chip.setAttribute('aria-pressed', chosen.has(chip.dataset.level));
    this.clearButton.hidden = !filters.some((name) => next[name]);
    this.list.mark = next.text;
    this.load();
  }

  set(changes, replace = false) {
    const next = { ...this.filter, ...changes };
    const params = new URLSearchParams(filters.filter((n) => next[n]).map((n) => [n, next[n]]));
    const hash = `#/logs${params.size ? `?${params}` : ''}`;
    if (hash === location.hash) return;
    history[replace ? 'replaceState' : 'pushState'](null, '', hash);
    this.changed(params);
  }

  toggleLevel(level) {
    const chosen = new Set(this.filter.level.split(',').filter(Boolean));
    if (!chosen.delete(level)) chosen.add(level);
    this.set({ level: levels.filter((l) => chosen.has(l)).join(',') });
  }

  clear() {
    this.set(Object.fromEntries(filters.map((n) => [n, ''])));
  }

  // showTrace shows all of a trace, across services.
  showTrace(id) {
    this.set({ ...Object.fromEntries(filters.map((n) => [n, ''])), trace: id });
    this.list.node.focus();
  }

  query(more = {}) {
    const params = new URLSearchParams(more);
    for (const name of filters) if (this.filter[name]) params.set(name, this.filter[name]);
    return params;
  }

  // load begins anew: the stream first, so that nothing is missed between it and what is there.
  load() {
    this.abort?.abort();
    clearTimeout(this.later);
    const empty = new Records();
    Object.assign(this.records, { all: empty.all, ids: empty.ids, size: 0, gone: 0 });
    this.waiting = [];
    this.missed = this.skipped = 0;
    this.before = '';
    this.list.fold();
    this.list.selected = -1;
    this.paused = '';
    this.list.following = true;
    this.notice.hidden = true;
    this.tries = 0;
    this.showTraceView();
    this.showPause();
    this.connect();
  }

  // hidden ends the stream of a tab that nobody sees for long: a browser has few connections to one
  // server, and the tabs that are seen need them. What came meanwhile is loaded then.
  hidden() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        this.abort?.abort();
        clearTimeout(this.later);
        this.asleep = true;
      }, hiddenFor);
      return;
    }
    if (this.asleep) this.connect();
  }

  async connect() {
    this.asleep = false;
    const abort = new AbortController();
    this.abort = abort;
    this.setState('connecting');
    try {
      if (this.filter.until) {
        await this.loadPage(abort.signal);
        this.setState('until');
        return;
      }
      let early = [];
      const take = (event, data) => {
        if (event === 'skipped') this.skipped += Number(data) || 0;
        else if (event === 'message') {
          let record;
          try {
            record = prepared(JSON.parse(data));
          } catch {
            return;
          }
          if (early) early.push(record);
          else this.take([record]);
        }
      };
      await stream(`api/v1/logs/stream?${this.query()}`, abort.signal, async () => {
        try {
          await this.loadPage(abort.signal);
          this.take(early);
          early = null;
          this.tries = 0;
          this.setState('live');
        } catch (error) {
          if (!abort.signal.aborted) this.broken(error, abort);
        }
      }, take);
      throw new Error('the agent has ended the stream');
    } catch (error) {
      if (!abort.signal.aborted) this.broken(error, abort);
    }
  }

  broken(error, abort) {
    abort.abort();
    if (error.status === 401) {
      this.say('The agent asks for its token.', 'Enter the token', () => location.reload());
      return;
    }
    if (error.status !== undefined && error.status < 500) {
      this.sayOff(error);
      return;
    }
    this.tries++;
    const pause = Math.min(10000, 500 * 2 ** this.tries);
    this.setState('broken', `${error.message}; next try in ${span(pause)}`);
    this.later = setTimeout(() => this.connect(), pause);
  }

  // sayOff says why there are no logs here, and how there would be.
  sayOff(error) {
    this.setState('off');
    this.list.node.hidden = true;
    this.notice.hidden = false;
    if (error.status === 400) {
      this.list.node.hidden = false;
      putText(this.notice, error.message);
      return;
    }
    this.notice.replaceChildren(
      el('h2', { text: 'No recent records are kept' }), el('p', null, bdi(error.message)),
      el('p', { text: 'Records show here where the agent keeps the recent ones on disk: always where no output is configured, and elsewhere with this in its config:' }),
      el('pre', { text: 'recent: on' }));
  }

  say(text, action, does) {
    this.notice.hidden = false;
    this.notice.replaceChildren(el('p', { text }), el('button', { type: 'button', text: action, on: { click: does } }));
  }

  async loadPage(signal) {
    const answer = await getJSON(`api/v1/logs?${this.query({ limit: page })}`, { signal });
    this.list.node.hidden = false;
    this.notice.hidden = true;
    this.before = this.before || answer.before || '';
    this.oldest = answer.oldest;
    this.take(answer.records.map(prepared).filter((r) => !this.records.has(r.id)));
    if (answer.records.length === 0) this.list.schedule();
  }

  // older loads what is before the first record.
  async older() {
    if (!this.before || this.loadingOlder || this.records.length >= 9000) return;
    this.loadingOlder = true;
    const { signal } = this.abort;
    try {
      const answer = await getJSON(`api/v1/logs?${this.query({ limit: page, before: this.before })}`, { signal });
      this.before = answer.before ?? '';
      const n = this.records.addOlder(answer.records.map(prepared));
      this.list.shifted(n);
      this.list.moveDetail();
      this.list.schedule();
    } catch (error) {
      if (!signal.aborted) this.setState('broken', `older records: ${error.message}`);
    } finally {
      this.loadingOlder = false;
    }
  }

  // take takes records that have come.
  take(records) {
    const fresh = records.filter((r) => !this.records.has(r.id));
    this.rate.n += fresh.length;
    for (const r of fresh) this.note(r);
    if (this.paused && this.records.length > 0) {
      this.waiting.push(...fresh);
      const beyond = this.waiting.length - waitingMost;
      if (beyond > waitingMost / 5) {
        this.waiting.splice(0, beyond);
        this.missed += beyond;
      }
      return;
    }
    this.put(fresh);
  }

  put(records) {
    const gone = this.records.add(records);
    if (gone > 0) this.list.shifted(-gone);
    if (this.filter.trace) {
      this.records.sort();
      this.traceFrame ||= requestAnimationFrame(() => this.showTraceView());
    }
    this.list.schedule();
  }

  note(r) {
    for (const [name, list] of [['service', this.services], ['container', this.containers]]) {
      const value = r[name];
      const known = this.known[name];
      if (!value || known.has(value) || known.size >= 200) continue;
      known.add(value);
      list.append(el('option', { value }));
    }
  }

  togglePause() {
    if (this.paused) this.resume();
    else this.pause('button');
  }

  pause(why) {
    this.paused = this.paused === 'button' ? 'button' : why;
    this.list.following = false;
    this.showPause();
  }

  resume() {
    this.paused = '';
    this.list.fold();
    this.list.selected = -1;
    this.list.following = true;
    const waiting = this.waiting;
    this.waiting = [];
    this.missed = 0;
    this.put(waiting);
    this.showPause();
  }

  showPause() {
    const n = this.waiting.length + this.missed;
    if (this.connected === 'live') this.setState('live'); // or paused
    this.pauseButton.setAttribute('aria-pressed', this.paused !== '');
    this.pauseButton.className = this.paused ? 'pause paused' : 'pause';
    setText(this.pauseButton, this.paused ? (n > 0 ? `Go on: ${count(n)} new` : 'Go on') : 'Pause');
  }

  setState(state, text = '') {
    this.state.className = `log-state ${state}`;
    this.connected = state;
    const words = {
      connecting: 'Connecting', live: 'Live', off: 'Off', until: 'Not live: it ends at a time', broken: `Not live: ${text}`,
    };
    setText(this.state, this.paused && state === 'live' ? 'Paused' : words[state]);
  }

  // tick says once a second what goes on; not for each record.
  tick() {
    const now = performance.now();
    const perSecond = this.rate.n / ((now - this.rate.since) / 1000);
    this.rate = { since: now, n: 0 };
    const parts = [`${many(this.records.length, 'record')}`];
    if (this.connected === 'live' && perSecond >= 1) parts.push(`${count(Math.round(perSecond))}/s`);
    if (this.records.gone > 0) parts.push('the newest 10,000 are kept here');
    if (this.skipped > 0) parts.push(`${count(this.skipped)} skipped, as they came too fast`);
    if (this.missed > 0) parts.push(`${count(this.missed)} beyond what is kept while paused`);
    setText(this.counts, parts.join(' · '));
    this.showPause();
    this.main.classList.toggle('empty', this.records.length === 0 && this.connected === 'live');
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape') {
      if (this.list.open >= 0) this.list.fold();
      else if (event.target.closest?.('input') || !this.filter.trace) return;
      else history.length > 1 ? history.back() : this.set({ trace: '' });
      return;
    }
    if (event.target.closest?.('input, textarea, select')) return;
    if (event.key === '/') {
      event.preventDefault();
      document.getElementById('filter-text').focus();
    } else if (event.key === 'p') {
      this.togglePause();
    } else if (['ArrowUp', 'ArrowDown', 'End', 'Home'].includes(event.key) && document.activeElement === document.body) {
      this.list.node.focus();
      this.list.onKey({ key: event.key, target: this.list.node, preventDefault: () => event.preventDefault() });
    }
  }

  // detail is what a record unfolds to.
  detail(r) {
    const rows = [];
    const row = (name, value, extra) => {
      if (value === undefined || value === null || value === '') return;
      rows.push(el('div', null, el('dt', null, bdi(name)), el('dd', null, this.value(typeof value === 'string' ? value : JSON.stringify(value)), extra)));
    };
    const only = (name, value) => el('button', { type: 'button', class: 'only', text: 'only this', 'aria-label': `Only this ${name}`, on: { click: () => this.set({ [name]: value }) } });
    row('time', r.time);
    row('level', r.level);
    row('service', r.service, r.service && only('service', r.service));
    row('container', r.container, r.container && only('container', r.container));
    row('trace id', r.trace_id, r.trace_id && el('button', { type: 'button', class: 'only', text: 'across services', on: { click: () => this.showTrace(r.trace_id) } }));
    row('message', r.message);
    const agent = rows.length;
    for (const [name, value] of Object.entries(r.fields ?? {}).slice(0, 500)) row(name, value);
    const fields = rows.splice(agent);
    const way = [r.input && `input ${r.input}`, r.pipeline && `pipeline ${r.pipeline}`, r.parser && `read as ${r.parser}`].filter(Boolean).join(' → ');
    return el('section', { 'aria-label': 'The record', tabindex: '-1' },
      el('div', { class: 'detail-columns' }, el('dl', { class: 'fields' }, rows), fields.length > 0 && el('dl', { class: 'fields own' }, fields)),
      el('h3', { text: 'As it was read' }), el('pre', { class: 'raw', tabindex: '0', 'aria-label': 'The raw line' }, this.value(r.raw ?? '')),
      el('p', { class: 'hint' }, bdi([r.source, way, r.truncated && cut(r)].filter(Boolean).join(' · '))));
  }

  // value shows a text, the beginning of it if it is long, until all is asked for.
  value(text) {
    const shown = putText(el('bdi'), text.slice(0, fullText), true);
    if (text.length <= fullText) return shown;
    const more = el('button', { type: 'button', class: 'only', text: `Show all ${count(text.length)} characters` });
    more.addEventListener('click', () => {
      putText(shown, text, true);
      more.remove();
    });
    return el('span', null, shown, '… ', more);
  }

  // showTraceView draws when which service had a part in a trace.
  showTraceView() {
    this.traceFrame = 0;
    const id = this.filter.trace;
    this.trace.hidden = !id;
    this.list.base = null;
    if (!id) return;
    const all = this.records.all;
    const first = all[0]?.at ?? 0;
    const last = all[all.length - 1]?.at ?? 0;
    if (all.length > 0) this.list.base = first;
    const services = new Map();
    for (const r of all) services.set(r.from, [...(services.get(r.from) ?? []), r]);
    const head = el('header', null, el('h2', null, 'Trace ', bdi(id.slice(0, 80), { class: 'mono' })),
      el('span', { class: 'hint', text: `${many(all.length, 'record')} · ${many(services.size, 'service')} · ${span(last - first)}` }),
      el('button', { type: 'button', class: 'quiet', text: 'All records', on: { click: () => this.set({ trace: '' }) } }));
    const lanes = [...services].slice(0, 12).map(([name, records]) => lane(name, records, first, Math.max(1, last - first)));
    this.trace.replaceChildren(head, el('div', { class: 'lanes' }, lanes));
    this.list.schedule();
  }
}

function lane(name, records, first, length) {
  const x = (r) => (2 + (96 * (r.at - first)) / length).toFixed(2);
  const picture = svg('svg', { 'aria-hidden': 'true' },
    svg('line', { x1: `${x(records[0])}%`, x2: `${x(records[records.length - 1])}%`, y1: 9, y2: 9, class: 'stretch' }),
    records.slice(0, 400).map((r) => svg('circle', { cx: `${x(r)}%`, cy: 9, r: 4, class: r.level || 'none' })));
  return el('div', { class: `lane s${records[0].hue}` }, el('span', { class: 'from' }, bdi(name)), picture,
    el('span', { class: 'hint', text: `+${span(records[0].at - first)}, ${many(records.length, 'record')}` }));
}
