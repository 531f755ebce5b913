// The overview: what is read, by which pipelines it goes, and where to, as one picture.

import { el, svg, setText, plain, bdi } from './dom.js';
import { status, series, problemOf, deadLetters } from './status.js';
import { bytes, count, many, rate, short, span } from './format.js';

const still = window.matchMedia('(prefers-reduced-motion: reduce)');

export function overview(main) {
  const verdict = el('section', { class: 'verdict', 'aria-label': 'How the agent is' });
  const title = el('h1');
  const text = el('p');
  const facts = el('dl', { class: 'facts' });
  verdict.append(el('span', { class: 'dot', 'aria-hidden': 'true' }), el('div', { role: 'status' }, title, text), facts);

  const lines = svg('svg', { class: 'lines', 'aria-hidden': 'true' });
  const columns = {};
  const flow = el('section', { class: 'flow', 'aria-label': 'From the inputs to the outputs' }, lines);
  for (const [kind, heading] of [['input', 'Inputs'], ['pipeline', 'Pipelines'], ['output', 'Outputs']]) {
    columns[kind] = el('ul', { 'aria-label': heading });
    flow.append(el('div', { class: 'column' }, el('h2', { text: heading }), columns[kind]));
  }
  const tables = el('div', { class: 'tables' });
  main.append(verdict, flow, tables);

  const cards = new Map();
  let drawn = '';
  let latest = null;
  const draw = () => latest && drawLines(lines, flow, cards, latest);
  const resized = new ResizeObserver(draw);
  resized.observe(flow);

  const unwatch = status.watch((state) => {
    verdict.className = `verdict ${state.verdict.level}`;
    setText(title, plain(state.verdict.title));
    setText(text, plain(state.verdict.text));
    const s = state.status ?? state.before;
    main.classList.toggle('stale', !state.status);
    if (!s) return;
    latest = { ...state, status: s };
    putFacts(facts, latest);
    putCards(columns, cards, latest);
    const next = JSON.stringify([s, !!state.status], (key, value) => (key === 'now' ? undefined : value));
    if (next !== drawn) putTables(tables, s);
    drawn = next;
    draw();
  });
  return {
    end() {
      unwatch();
      resized.disconnect();
    },
  };
}

const sum = (list, field) => (list ?? []).reduce((n, p) => n + p[field], 0);

function putFacts(facts, { status: s, history }) {
  const total = (kind, list) => (history.length ? (list ?? []).reduce((n, p) => n + series(history, `${kind}:${p.name}`).now, 0) : null);
  const rows = [
    ['Read', rate(total('input', s.inputs)), `${count(sum(s.inputs, 'read'))} lines since the start`],
    ['Delivered', rate(total('output', s.outputs)), `${count(sum(s.outputs, 'delivered'))} records since the start`],
    ['Waiting', short(Math.max(0, sum(s.outputs, 'in_flight'))), 'records read and not yet delivered'],
    ['Rejected', short(sum(s.outputs, 'rejected')), 'records that a destination will never take'],
    ['Dropped', short(sum(s.outputs, 'filtered')), 'records left out by rules of yours'],
    ['Running', span(Date.parse(s.now) - Date.parse(s.started)), `version ${s.version}`],
  ];
  if (facts.children.length !== rows.length) {
    facts.replaceChildren(...rows.map(() => el('div', null, el('dt'), el('dd'))));
  }
  rows.forEach(([name, value, title], i) => {
    const [dt, dd] = facts.children[i].children;
    setText(dt, name);
    setText(dd, value);
    facts.children[i].title = title;
    facts.children[i].classList.toggle('warn', name === 'Rejected' && value !== '0');
  });
}

// A card keeps its element, so that what has the focus or is being read stays.
function putCards(columns, cards, state) {
  const s = state.status;
  const used = new Set();
  const put = (kind, part, content) => {
    const key = `${kind}:${part.name}`;
    used.add(key);
    let card = cards.get(key);
    if (!card) {
      card = newCard(part, kind);
      cards.set(key, card);
      columns[kind].append(card.node);
    }
    fillCard(card, content, series(state.history, key));
  };
  for (const i of s.inputs ?? []) put('input', i, inputCard(s, i));
  for (const p of s.pipelines ?? []) put('pipeline', p, pipelineCard(s, p));
  for (const o of s.outputs ?? []) put('output', o, outputCard(s, o));
  if (!s.outputs?.length) put('output', { name: 'recent records' }, { level: 'good', state: '', rate: 'kept', notes: ['No output is configured: the newest records are kept on disk, to be looked at under Logs.'] });
  for (const [key, card] of cards) {
    if (used.has(key)) continue;
    card.node.remove();
    cards.delete(key);
  }
}

function newCard(part, kind) {
  const card = {
    type: el('span', { class: 'type' }), rate: el('span', { class: 'rate' }), state: el('span', { class: 'state' }),
    facts: el('ul', { class: 'notes' }), bars: el('div', { class: 'bars' }), problem: el('p', { class: 'problem' }),
    line: svg('path'), area: svg('path', { class: 'area' }), noted: '',
  };
  const spark = svg('svg', { class: 'spark', viewBox: '0 0 120 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, card.area, card.line);
  card.node = el('li', { class: 'card', 'data-part': `${kind}:${part.name}` },
    el('div', { class: 'card-head' }, el('span', { class: 'dot', 'aria-hidden': 'true' }), el('h3', null, bdi(part.name)), card.type, card.state),
    el('div', { class: 'card-rate' }, card.rate, spark), card.facts, card.bars, card.problem);
  return card;
}

function fillCard(card, content, of) {
  card.node.className = `card ${content.level}`;
  setText(card.type, content.type ?? '');
  setText(card.state, content.state);
  setText(card.rate, content.rate ?? rate(of.now));
  const noted = JSON.stringify([content.notes, content.bars, content.problem]);
  if (noted !== card.noted) {
    card.noted = noted;
    card.facts.replaceChildren(...content.notes.filter(Boolean).map((note) => el('li', null, bdi(note))));
    card.bars.replaceChildren(...(content.bars ?? []).map(bar));
    setText(card.problem, plain(content.problem ?? ''));
    card.problem.hidden = !content.problem;
  }
  const top = Math.max(...of.all, 1);
  const width = 120 / 89;
  const points = of.all.map((v, i) => `${(120 - (of.all.length - 1 - i) * width).toFixed(1)} ${(26 - 23 * (v / top)).toFixed(1)}`);
  card.line.setAttribute('d', points.length > 1 ? `M${points.join('L')}` : 'M0 26L120 26');
  card.area.setAttribute('d', points.length > 1 ? `M${(120 - (points.length - 1) * width).toFixed(1)} 28L${points.join('L')}L120 28Z` : '');
}

function bar({ name, value, of, text }) {
  const part = of > 0 ? Math.min(1, value / of) : 0;
  const percent = Math.round(100 * part);
  const fill = el('span', { class: part > 0.9 ? 'full' : '' });
  fill.style.width = `${Math.max(value > 0 ? 1.5 : 0, 100 * part)}%`;
  return el('div', { class: 'meter', role: 'meter', 'aria-label': name, 'aria-valuenow': percent, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuetext': text },
    el('span', { class: 'meter-name', text: name }), el('span', { class: 'track' }, fill), el('span', { class: 'meter-text', text }));
}

function inputCard(s, i) {
  const problem = problemOf(s, 'input', i.name);
  return {
    type: i.type,
    level: problem ? 'bad' : i.read === 0 ? 'idle' : 'good',
    state: problem ? `failing for ${span(Date.parse(s.now) - Date.parse(problem.since))}` : '',
    notes: [
      many(i.sources, 'source'), `${short(i.read)} read`,
      i.unread_bytes > 0 && `${bytes(i.unread_bytes)} to be read`,
      i.in_flight > 0 && `${short(i.in_flight)} to its pipelines`,
    ],
    problem: problem?.reason,
  };
}

function pipelineCard(s, p) {
  const dropped = (s.dropped ?? []).filter((d) => d.pipeline === p.name);
  const steps = [...(p.parsers.length ? p.parsers : ['auto']), ...p.transforms];
  return {
    level: p.read === 0 ? 'idle' : 'good', state: '',
    notes: [
      steps.join(' → '), p.joined > 0 && `${short(p.joined)} joined`, p.pending > 0 && `${short(p.pending)} pending`,
      ...dropped.map((d) => `${short(d.records)} dropped by ${d.transform}`),
    ],
  };
}

function outputCard(s, o) {
  const problem = problemOf(s, 'output', o.name);
  const dead = deadLetters(s, o.name);
  const full = o.queue_size > 0 && o.queued_bytes >= 0.95 * o.queue_size;
  const lag = 1000 * (o.lag_seconds ?? 0);
  const waits = full || o.behind > 0 || o.spool_bytes > 0 || lag > 10000;
  const bars = [];
  if (o.queue_size > 0) bars.push({ name: 'queue', value: o.queued_bytes, of: o.queue_size, text: `${bytes(Math.max(0, o.queued_bytes))} of ${bytes(o.queue_size)}` });
  if (o.spool_size > 0) bars.push({ name: 'spool', value: o.spool_bytes, of: o.spool_size, text: `${bytes(o.spool_bytes)} of ${bytes(o.spool_size)}` });
  return {
    type: o.type,
    level: problem ? 'bad' : waits || dead > 0 || o.lost > 0 ? 'warn' : o.taken === 0 ? 'idle' : 'good',
    state: problem ? `failing for ${span(Date.parse(s.now) - Date.parse(problem.since))}`
      : o.behind > 0 || o.spool_bytes > 0 ? 'catching up' : full ? 'held up' : '',
    notes: [
      o.location, `${short(o.delivered)} delivered`, o.in_flight > 0 && `${short(o.in_flight)} waiting`,
      lag > 10000 && `the oldest for ${span(lag)}`,
      o.rejected > 0 && `${short(o.rejected)} rejected`, dead > 0 && `${bytes(dead)} of dead letters`,
      o.lost > 0 && `${short(o.lost)} lost`,
    ],
    bars,
    problem: problem?.reason,
  };
}

// drawLines joins the cards: the more goes through, the wider.
function drawLines(lines, flow, cards, { status: s, history }) {
  const box = flow.getBoundingClientRect();
  lines.setAttribute('viewBox', `0 0 ${box.width} ${box.height}`);
  const paths = [];
  const edge = (key, side) => {
    const node = cards.get(key)?.node;
    if (!node) return null;
    const r = node.getBoundingClientRect();
    return { x: (side === 'right' ? r.right : r.left) - box.left, y: r.top - box.top + 22 };
  };
  const connect = (from, to, carried, level) => {
    const a = edge(from, 'right');
    const b = edge(to, 'left');
    if (!a || !b || b.x <= a.x) return;
    const bend = (b.x - a.x) / 2;
    const d = `M${a.x} ${a.y}C${a.x + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x} ${b.y}`;
    const width = 1.5 + Math.min(4, Math.log10(1 + carried));
    paths.push(svg('path', { d, class: `pipe ${level}`, 'stroke-width': width.toFixed(1) }));
    if (carried > 0 && level !== 'bad' && !still.matches) {
      paths.push(svg('path', { d, class: `moving ${carried > 100 ? 'fast' : ''}`, 'stroke-width': Math.max(1.5, width - 1).toFixed(1) }));
    }
  };
  const of = (key) => series(history, key).now ?? 0;
  for (const p of s.pipelines ?? []) {
    for (const input of p.inputs) {
      connect(`input:${input}`, `pipeline:${p.name}`, of(`input:${input}`), problemOf(s, 'input', input) ? 'bad' : '');
    }
    for (const output of p.outputs) {
      connect(`pipeline:${p.name}`, `output:${output}`, of(`output:${output}`), problemOf(s, 'output', output) ? 'bad' : '');
    }
  }
  const signature = paths.map((p) => p.getAttribute('d') + p.getAttribute('class') + p.getAttribute('stroke-width')).join();
  if (lines.dataset.signature === signature) return; // what moves goes on moving
  lines.dataset.signature = signature;
  lines.replaceChildren(...paths);
}

function table(caption, columns, rows) {
  const head = el('tr', null, columns.map(([name, kind]) => el('th', { scope: 'col', class: kind, text: name })));
  const body = rows.map((row) => el('tr', { class: row.level }, row.cells.map((cell, i) => {
    const props = { class: columns[i][1] };
    return i === 0 ? el('th', { ...props, scope: 'row' }, bdi(cell)) : el('td', props, cell instanceof Node ? cell : bdi(String(cell)));
  })));
  return el('section', null, el('h2', { text: caption }),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption }, el('table', null, el('thead', null, head), el('tbody', null, body))));
}

function putTables(tables, s) {
  const account = table('The account, in records', [
    ['Output'], ['Taken', 'n'], ['Delivered', 'n'], ['Rejected', 'n'], ['Dropped', 'n'], ['Done before', 'n'], ['Lost', 'n'], ['Waiting', 'n'], ['Sent again', 'n'],
  ], (s.outputs ?? []).map((o) => ({
    cells: [o.name, ...[o.taken, o.delivered, o.rejected, o.filtered, o.skipped, o.lost, Math.max(0, o.in_flight), o.retried].map(count)],
  })));
  const sources = [];
  for (const i of s.inputs ?? []) {
    for (const source of i.source_list ?? []) {
      const unacknowledged = source.read - Math.min(source.read, source.done);
      sources.push({
        cells: [source.key, i.name,
          i.positions === 'time' ? new Date(source.read / 1e6).toLocaleTimeString() : bytes(source.read),
          source.unread_bytes === undefined ? '–' : source.unread_bytes > 0 ? bytes(source.unread_bytes) : 'nothing',
          unacknowledged === 0 ? 'nothing' : i.positions === 'time' ? span(unacknowledged / 1e6) : bytes(unacknowledged)],
      });
    }
  }
  const parts = [account];
  if (sources.length > 0) {
    parts.push(table('Sources, those that lag first', [['Source', 'wide'], ['Input'], ['Read up to', 'n'], ['To be read', 'n'], ['Not yet delivered', 'n']], sources.slice(0, 50)));
  }
  const reasons = [];
  for (const o of s.outputs ?? []) {
    for (const r of o.rejections ?? []) {
      reasons.push({ cells: [o.name, 'rejected', count(r.count), new Date(r.last).toLocaleTimeString(), r.reason] });
    }
  }
  for (const d of s.dropped ?? []) {
    reasons.push({ cells: [d.pipeline, 'dropped', count(d.records), '', `by your transform ${d.transform}`] });
  }
  if (reasons.length > 0) {
    parts.push(table('Why records were rejected or dropped, since the start', [['Where'], ['What'], ['Records', 'n'], ['Last', 'n'], ['Reason', 'wide']], reasons));
  }
  tables.replaceChildren(...parts);
}
