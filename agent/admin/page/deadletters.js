// The dead letters of each output: why, which, and how to send them again.

import { el, putText, bdi, setText, plain } from './dom.js';
import { askAgain, getJSON, sendJSON } from './api.js';
import { bytes, count, many, when } from './format.js';

export function deadLetters(main) {
  const outputs = el('div', { class: 'outputs' });
  const failed = el('p', { class: 'error', role: 'alert' });
  const said = el('p', { class: 'said', role: 'status' });
  main.append(el('h1', { text: 'Dead letters' }),
    el('p', { class: 'lead', text: 'Records that a destination will never take as they are. They are kept on disk with its reason; once the reason is gone, they can be sent again, and none is sent twice.' }),
    failed, said, outputs);

  let timer = 0;
  let ended = false;
  let drawn = '';
  const load = async () => {
    clearTimeout(timer);
    try {
      const answer = await getJSON('api/v1/dead-letters');
      setText(failed, '');
      const next = JSON.stringify(answer);
      if (next !== drawn) draw(answer.outputs);
      drawn = next;
    } catch (error) {
      setText(failed, `The dead letters cannot be shown: ${error.message}`);
    }
    if (!ended) timer = setTimeout(load, document.hidden ? 15000 : 2000);
  };
  const draw = (all) => {
    const open = new Set([...outputs.querySelectorAll('details[open]')].map((d) => d.dataset.key));
    const focused = document.activeElement?.dataset?.focus;
    outputs.replaceChildren(...all.map((o) => output(o, replay, open)));
    if (focused) outputs.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  };
  const replay = async (name, method) => {
    askAgain();
    try {
      await sendJSON(method, `api/v1/dead-letters/${encodeURIComponent(name)}/replay`, undefined, 'Sending dead letters again changes what a destination has.');
      setText(said, method === 'POST' ? `The dead letters of ${plain(name)} are being sent again.` : 'The replay ends.');
    } catch (error) {
      setText(said, error.status === 401 ? '' : `${plain(name)}: ${error.message}`);
    }
    load();
  };
  load();
  return {
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

function output(o, replay, open) {
  const running = o.replay?.running;
  const node = el('section', { class: `dead ${o.count > 0 ? 'some' : ''}`, 'aria-label': o.output, 'data-output': o.output });
  const button = running
    ? el('button', { type: 'button', 'data-focus': `stop ${o.output}`, text: 'End the replay', on: { click: () => replay(o.output, 'DELETE') } })
    : el('button', { type: 'button', class: 'primary', 'data-focus': `replay ${o.output}`, disabled: o.count - (o.unsendable ?? 0) <= 0,
      text: 'Send again', on: { click: () => replay(o.output, 'POST') } });
  node.append(el('header', null, el('h2', null, bdi(o.output)), el('span', { class: 'type', text: o.type }),
    el('span', { class: 'amount', text: o.count === 0 ? 'none' : `${o.partial ? 'the newest ' : ''}${many(o.count, 'record')}` }), button));
  if (o.error) node.append(el('p', { class: 'error' }, bdi(o.error)));
  if (o.replay) node.append(progress(o.replay));
  const notes = [];
  if (o.bytes > 0) notes.push(`${bytes(o.bytes)} of the ${bytes(o.max_bytes)} that dead_letters_size allows`);
  if (o.unsendable > 0) notes.push(`${many(o.unsendable, 'record')} cannot be sent again: of another type of output, or never encoded`);
  if (o.damaged > 0) notes.push(`${many(o.damaged, 'line')} of the file cannot be read, and stay there`);
  if (o.others > 0) notes.push(`${many(o.others, 'record')} for other reasons`);
  if (notes.length) node.append(el('p', { class: 'hint', text: `${notes.join('. ')}.` }));
  for (const r of o.reasons) node.append(reason(o, r, open));
  return node;
}

function progress(r) {
  const done = r.delivered + r.rejected;
  const text = r.running
    ? `${count(done)} of ${count(r.total)} sent: ${count(r.delivered)} delivered, ${count(r.rejected)} rejected again`
    : `The last replay, ended at ${when(new Date(r.ended), false)}: ${count(r.delivered)} delivered, ${count(r.rejected)} rejected again, ${count(r.total - done)} left`;
  const node = el('div', { class: `replay ${r.running ? 'running' : ''}` });
  if (r.running) node.append(el('progress', { max: Math.max(1, r.total), value: done, 'aria-label': 'Replay' }));
  node.append(el('p', { text }));
  if (r.problem) node.append(el('p', { class: 'error' }, bdi(r.problem)));
  return node;
}

function reason(o, r, open) {
  const key = `${o.output} ${r.status ?? ''} ${r.first}`;
  const node = el('details', { 'data-key': key, open: open.has(key) },
    el('summary', { 'data-focus': key }, el('span', { class: 'amount', text: count(r.count) }),
      el('span', { class: 'status', text: r.status || '' }), bdi(r.reason, { class: 'why' }),
      el('span', { class: 'time', text: `last ${when(new Date(r.last), false)}` })));
  node.append(...r.samples.toReversed().map((s) => el('figure', null,
    el('figcaption', null, bdi(s.source), ` at ${count(s.position)}, ${when(new Date(s.time), false)}`),
    s.reason !== r.reason && el('p', { class: 'why' }, bdi(s.reason)),
    putText(el('pre', { tabindex: '0', 'aria-label': 'The record' }), pretty(s.record), true))));
  return node;
}

function pretty(record) {
  try {
    return JSON.stringify(JSON.parse(record), null, 2);
  } catch {
    return record;
  }
}
