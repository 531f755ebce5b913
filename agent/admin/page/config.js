// The configuration that the agent runs by, and a place to try lines.

import { el, putText, bdi, setText, plain } from './dom.js';
import { askAgain, getJSON, sendJSON } from './api.js';
import { status } from './status.js';
import { many, when } from './format.js';

const draft = 'longshore-lines'; // what is being tried stays, while the tab does

export function configuration(main) {
  const text = el('ol', { class: 'source', tabindex: '0', 'aria-label': 'The config, with secrets hidden' });
  const file = el('p', { class: 'path' });
  const warnings = el('ul', { class: 'warnings' });
  const reload = el('p', { class: 'reload', role: 'status' });
  const reloadButton = el('button', { type: 'button', id: 'reload', text: 'Reload', title: 'Read the config file again, and go on by it' });
  const failed = el('p', { class: 'error', role: 'alert' });
  const lines = el('textarea', { id: 'try-lines', rows: '6', spellcheck: 'false', placeholder: 'Paste lines of a log, and see the records they become. Nothing is stored or sent.' });
  lines.value = sessionStorage.getItem(draft) ?? '';
  const pipeline = el('select', { id: 'try-pipeline' });
  const button = el('button', { type: 'submit', class: 'primary', text: 'Try the lines' });
  const said = el('p', { class: 'said', role: 'status' });
  const results = el('div', { class: 'tried' });
  const form = el('form', { class: 'try' },
    el('label', { for: 'try-lines', text: 'Lines' }), lines,
    el('div', { class: 'buttons' }, el('label', { for: 'try-pipeline', text: 'Pipeline' }), pipeline, el('span', { class: 'hint', text: 'Ctrl+Enter' }), button), said);
  main.append(
    el('section', { class: 'config-text', 'aria-labelledby': 'config-title' },
      el('header', null, el('h1', { id: 'config-title', text: 'Configuration' }), reloadButton), file, reload, warnings, failed, text),
    el('section', { class: 'config-try', 'aria-labelledby': 'try-title' }, el('h2', { id: 'try-title', text: 'Try lines' }), form, results));

  reloadButton.addEventListener('click', async () => {
    askAgain();
    reloadButton.disabled = true;
    try {
      await sendJSON('POST', 'api/v1/reload', undefined, 'Reloading the config changes what the agent does.');
      setText(failed, '');
    } catch (error) {
      if (error.status !== 401) setText(failed, error.message);
    } finally {
      reloadButton.disabled = false;
    }
    status.refresh();
  });
  const tryLines = async () => {
    button.disabled = true;
    sessionStorage.setItem(draft, lines.value.slice(0, 1 << 20));
    try {
      const answer = await sendJSON('POST', 'api/v1/try', { lines: lines.value, pipeline: pipeline.value });
      results.replaceChildren(...answer.records.slice(0, 200).map(tried));
      const more = answer.records.length > 200 ? ' The first 200 are shown.' : '';
      setText(said, `${many(answer.records.length, 'record')}.${more}${answer.truncated ? ` ${answer.truncated}.` : ''}`);
    } catch (error) {
      results.replaceChildren();
      setText(said, `That did not work: ${error.message}`);
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    tryLines();
  });
  lines.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) tryLines();
  });

  let loaded = null; // the reload that the text is of
  const load = async () => {
    try {
      const config = await getJSON('api/v1/config');
      putText(file, `${config.file} · data in ${config.data_dir}`);
      const byLine = new Map();
      for (const w of config.warnings) byLine.set(w.line, [...(byLine.get(w.line) ?? []), w.message]);
      text.replaceChildren(...config.text.trimEnd().split('\n').map((line, i) => sourceLine(line, byLine.get(i + 1))));
      warnings.replaceChildren(...(config.warnings.length
        ? config.warnings.map((w) => el('li', null, el('strong', { text: w.line ? `Line ${w.line}: ` : '' }), bdi(w.message)))
        : [el('li', { class: 'fine', text: 'longshore check finds nothing to change.' })]));
      const chosen = pipeline.value;
      pipeline.replaceChildren(...config.pipelines.map((name) => el('option', { value: name, text: name })));
      if (chosen) pipeline.value = chosen;
      setText(failed, '');
    } catch (error) {
      setText(failed, `The config cannot be shown: ${error.message}`);
    }
  };
  load();
  const end = status.watch(({ status: s }) => {
    const r = s?.reload;
    if (r) putReload(reload, r);
    else if (s) setText(reload, 'As it was at the start.');
    if (!s) return;
    const state = JSON.stringify(r ?? '');
    if (loaded !== null && loaded !== state) load();
    loaded = state;
  });
  return { end };
}

const asked = { signal: 'by a signal', api: 'as was asked for here or by the API', watch: 'as the file had changed' };

function putReload(node, r) {
  const at = when(new Date(r.time), false);
  node.className = r.successful ? 'reload' : 'reload failed';
  const did = [['restarted', r.restarted], ['removed', r.removed], ['untouched', r.untouched]]
    .filter(([, names]) => names?.length).map(([what, names]) => ` ${what}: ${names.map(plain).join(', ')}`).join(';');
  if (r.successful) setText(node, `Reloaded at ${at}, ${asked[r.by] ?? r.by}.${did}`);
  else setText(node, `The reload at ${at} failed, and the config before it goes on: ${plain(r.error ?? '')}`);
}

function sourceLine(line, problems) {
  const comment = /^\s*#/.test(line);
  const key = !comment && line.match(/^(\s*(?:- )?)([\w."-]+)(:)(.*)$/s);
  const node = el('li', { class: problems ? 'warned' : comment ? 'comment' : '' });
  if (problems) node.title = problems.join('\n');
  if (!key) return putText(node, line, true), node;
  node.append(key[1], putText(el('span', { class: 'key' }), key[2]), key[3], putText(el('span'), key[4], true));
  return node;
}

// tried shows one record: the line, and what each step made of it.
function tried(record) {
  const outcome = record.rejected ? ['bad', 'would become a dead letter']
    : record.dropped ? ['warn', `dropped by ${record.dropped}`]
      : record.outputs.length === 0 ? ['warn', 'goes to no output'] : ['good', `goes to ${record.outputs.join(', ')}`];
  const node = el('article', { class: 'record' },
    el('header', null, el('span', { class: 'format', text: record.format }), el('span', { class: `outcome ${outcome[0]}`, text: outcome[1] })),
    putText(el('pre', { class: 'raw' }), shortened(record.line), true));
  let before = {};
  for (const step of record.steps) {
    const rows = changes(before, step.record);
    if (rows.length > 0) {
      node.append(el('h3', null, bdi(step.by === 'parsers' ? 'read as' : step.by)), el('dl', { class: 'fields' }, rows));
    }
    before = step.record;
  }
  return node;
}

const shortened = (text) => (text.length > 4000 ? `${text.slice(0, 4000)}… (${many(text.length, 'character')})` : text);

const asText = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

function changes(before, after) {
  const rows = [];
  const row = (kind, name, value) => rows.push(el('div', { class: kind },
    el('dt', null, bdi(name)), el('dd', null, putText(el('bdi'), shortened(asText(value)), true))));
  for (const [name, value] of Object.entries(before)) {
    if (!(name in after)) row('gone', name, value);
  }
  for (const [name, value] of Object.entries(after)) {
    if (asText(before[name]) === asText(value)) continue;
    row(name in before ? 'changed' : '', name, value);
  }
  return rows;
}
