// The frame of the page: which view is shown, by the address, and how the agent is, in one word.

import { setText } from './dom.js';
import { askAgain } from './api.js';
import { status } from './status.js';
import { overview } from './overview.js';
import { logs } from './logs.js';
import { configuration } from './config.js';
import { deadLetters } from './deadletters.js';
import { bytes } from './format.js';

const views = {
  '': { name: 'overview', title: 'Overview', show: overview },
  logs: { name: 'logs', title: 'Logs', show: logs },
  config: { name: 'config', title: 'Configuration', show: configuration },
  'dead-letters': { name: 'dead-letters', title: 'Dead letters', show: deadLetters },
};

const main = document.getElementById('main');
let shown = null; // { view, end, changed }

// route shows the view of the address: #/logs?level=error. What is behind "#" is never sent.
function route() {
  const hash = location.hash || '#/';
  if (!hash.startsWith('#/')) return;
  const [path, query] = hash.slice(2).split(/\?(.*)/s);
  const view = views[path] ?? views[''];
  const params = new URLSearchParams(query ?? '');
  if (shown?.view === view) {
    shown.changed?.(params);
    return;
  }
  askAgain();
  shown?.end?.();
  main.replaceChildren();
  main.className = `view-${view.name}`;
  document.title = `${view.title} · Longshore`;
  for (const link of document.querySelectorAll('[data-view]')) {
    if (link.dataset.view === view.name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  shown = { view, ...view.show(main, params) };
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest?.('input, textarea, select');
  if (typing) {
    if (event.key === 'Escape') typing.blur();
    return;
  }
  const place = Object.keys(views)[Number(event.key) - 1];
  if (place !== undefined) {
    location.hash = `#/${place}`;
  } else if (event.key === '?') {
    document.getElementById('help-dialog').showModal();
  } else if (event.key === '/' && shown?.view !== views.logs) {
    event.preventDefault();
    location.hash = '#/logs';
    requestAnimationFrame(() => document.getElementById('filter-text')?.focus());
  }
}

status.watch(({ verdict, dead }) => {
  const pill = document.getElementById('verdict-pill');
  pill.className = `pill ${verdict.level}`;
  setText(document.getElementById('verdict-short'), verdict.short);
  const badge = document.getElementById('dead-count');
  badge.hidden = !dead;
  setText(badge, dead ? bytes(dead) : '');
});

document.getElementById('help-button').addEventListener('click', () => document.getElementById('help-dialog').showModal());
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
document.addEventListener('keydown', onKey);
window.addEventListener('hashchange', route);
route();
status.start();
