// What the agent is asked. Its token, where it wants one, is kept for this tab alone.

const key = 'longshore-token';
const dialog = document.getElementById('token-dialog');
const input = document.getElementById('token-input');

const token = () => sessionStorage.getItem(key) ?? '';

export class Refused extends Error {
  constructor(status, message) {
    super(message || `HTTP ${status}`);
    this.status = status;
  }
}

function send(path, options) {
  const headers = new Headers(options.headers);
  if (token()) headers.set('Authorization', `Bearer ${token()}`);
  return fetch(new URL(path, document.baseURI), { ...options, headers, credentials: 'omit', cache: 'no-store', redirect: 'error' });
}

// reasonOf returns what an answer says: a text, or the error in JSON.
function reasonOf(text) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text;
  }
}

// request returns a response that is fine. It asks for the token where that is needed.
export async function request(path, options = {}, why = 'Whoever can reach it from other machines needs it to see logs and settings.') {
  for (;;) {
    const used = token();
    const response = await send(path, options);
    if (response.ok) return response;
    const text = reasonOf((await response.text()).slice(0, 4000).trim());
    if (response.status !== 401) throw new Refused(response.status, text);
    if (token() === used) await askForToken(why, used !== '', options.signal);
  }
}

export async function getJSON(path, options) {
  return (await request(path, options)).json();
}

export async function sendJSON(method, path, body, why) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { 'Content-Type': 'application/json' };
    options.body = JSON.stringify(body);
  }
  return (await request(path, options, why)).json();
}

let asking = null; // however many requests wait, it is asked for once
let declined = false;

export function askAgain() {
  declined = false;
}

function askForToken(why, wrong, signal) {
  if (declined) return Promise.reject(new Refused(401, 'the agent asks for its token'));
  asking ??= new Promise((resolve, reject) => {
    document.getElementById('token-why').textContent = why;
    document.getElementById('token-error').textContent = wrong ? 'That token was not accepted.' : '';
    input.value = '';
    const form = document.getElementById('token-form');
    const done = new AbortController();
    const settle = (result) => {
      done.abort();
      asking = null;
      dialog.close();
      result();
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem(key, input.value.trim());
      settle(resolve);
    }, { signal: done.signal });
    const cancel = () => {
      declined = true;
      settle(() => reject(new Refused(401, 'the agent asks for its token')));
    };
    document.getElementById('token-cancel').addEventListener('click', cancel, { signal: done.signal });
    dialog.addEventListener('cancel', (event) => {
      event.preventDefault();
      cancel();
    }, { signal: done.signal });
    dialog.showModal();
    input.focus();
  });
  return asking;
}
