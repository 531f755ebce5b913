// The agent's status, asked for every two seconds while the page is seen, and what follows from it:
// rates, and whether all is well, in words.

import { getJSON } from './api.js';
import { many, span } from './format.js';

const interval = 2000;
const kept = 90; // samples: three minutes

const watchers = new Set();
let last = null; // { status: null unless it answers, before: the last one, verdict, dead, history }
let timer = 0;
let seen = null; // when the agent last answered

function rates(before, now) {
  const seconds = (Date.parse(now.now) - Date.parse(before.now)) / 1000;
  if (seconds <= 0) return null;
  const per = {};
  const each = (list, kind, field) => {
    for (const part of now[list] ?? []) {
      const was = (before[list] ?? []).find((p) => p.name === part.name);
      if (was) per[`${kind}:${part.name}`] = Math.max(0, part[field] - was[field]) / seconds;
    }
  };
  each('inputs', 'input', 'read');
  each('pipelines', 'pipeline', 'read');
  each('outputs', 'output', 'delivered');
  return per;
}

// problemOf returns what an output or input reports.
export function problemOf(status, kind, name) {
  return (status.problems ?? []).find((p) => p.kind === kind && p.name === name);
}

function judge(status) {
  const problems = status.problems ?? [];
  const now = Date.parse(status.now);
  const waiting = (status.outputs ?? []).reduce((n, o) => n + Math.max(0, o.in_flight), 0);
  if (problems.length > 0) {
    const p = problems[0];
    const more = problems.length > 1 ? ` And ${many(problems.length - 1, 'more problem')}.` : '';
    const wait = p.kind === 'output' ? ` Nothing is lost: ${many(waiting, 'record')} ${waiting === 1 ? 'waits, and is' : 'wait, and are'} sent once it works again.` : '';
    const since = span(now - Date.parse(p.since));
    return {
      level: 'bad', short: many(problems.length, 'problem'),
      title: p.kind === 'output' ? `${p.name} does not take records` : `${p.name} has a problem`,
      text: `For ${since}: ${p.reason}${/[.?!]$/.test(p.reason) ? '' : '.'}${wait}${more}`,
    };
  }
  if (!status.ready) return { level: 'warn', short: 'Starting', title: 'The agent is starting or stopping', text: '' };
  const lost = (status.outputs ?? []).filter((o) => o.lost > 0);
  if (lost.length > 0) {
    return { level: 'warn', short: 'Records lost', title: `${lost[0].name} has missed records`,
      text: `${many(lost[0].lost, 'record')} were gone from their source before ${lost[0].name}, which lagged, had read them.` };
  }
  const full = (status.outputs ?? []).find((o) => o.queue_size > 0 && o.queued_bytes >= 0.95 * o.queue_size);
  if (full) {
    return { level: 'warn', short: 'Held up', title: `${full.name} is slower than what comes in`,
      text: 'Its queue is full, so what is read waits in its sources. Nothing is lost.' };
  }
  const behind = (status.outputs ?? []).find((o) => o.behind > 0 || o.spool_bytes > 0);
  if (behind) {
    return { level: 'warn', short: 'Catching up', title: `${behind.name} is catching up`,
      text: `${many(behind.in_flight, 'record')} wait for it. The other outputs do not wait.` };
  }
  const rejected = (status.dead_letters ?? []).filter((d) => d.bytes > 0).map((d) => d.output);
  if (rejected.length > 0) {
    return { level: 'warn', short: 'Dead letters', title: 'Records flow; some were rejected',
      text: `${rejected.join(' and ')} rejected records for good. They are kept as dead letters, and can be sent again.` };
  }
  const read = (status.inputs ?? []).reduce((n, i) => n + i.read, 0);
  if (read === 0) {
    return { level: 'idle', short: 'Nothing yet', title: 'All is well, and nothing has come in yet', text: 'What the inputs find shows here as soon as they do.' };
  }
  return { level: 'good', short: 'Healthy', title: 'All is well', text: 'What comes in goes out.' };
}

// deadLetters returns how many bytes of dead letters there are.
export const deadLetters = (status, output) => (status.dead_letters ?? [])
  .filter((d) => !output || d.output === output).reduce((n, d) => n + d.bytes, 0);

function unanswered(error) {
  if (error.status !== undefined) {
    return { level: 'bad', short: 'Closed', title: 'The agent does not show its status', text: error.message };
  }
  const text = seen ? `It did last at ${seen.toLocaleTimeString()}. It may have been stopped.` : 'Is it running?';
  return { level: 'bad', short: 'No answer', title: 'The agent does not answer', text };
}

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const status = await getJSON('api/v1/status');
    let history = last?.history ?? [];
    if (last?.before) {
      if (last.before.started !== status.started) history = [];
      else {
        const per = rates(last.before, status);
        if (per) history = [...history, { at: Date.parse(status.now), per }].slice(-kept);
      }
    }
    seen = new Date();
    last = { status, before: status, history, verdict: judge(status), dead: deadLetters(status) };
  } catch (error) {
    last = { ...last, status: null, history: last?.history ?? [], verdict: unanswered(error) };
  }
  for (const tell of watchers) tell(last);
  timer = setTimeout(ask, interval);
}

export const status = {
  // watch calls tell now, if something is known, and with every answer. It returns how to end that.
  watch(tell) {
    watchers.add(tell);
    if (last) tell(last);
    return () => watchers.delete(tell);
  },
  refresh: ask,
  start() {
    document.addEventListener('visibilitychange', ask);
    ask();
  },
};

// series returns the rates of one part over time, and the one of now: the mean of ten seconds.
export function series(history, key) {
  const all = history.map((h) => h.per[key] ?? 0);
  const recent = all.slice(-5);
  return { all, now: recent.length ? recent.reduce((a, b) => a + b, 0) / recent.length : null };
}
