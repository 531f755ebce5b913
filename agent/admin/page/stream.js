// Server-sent events, read by fetch: EventSource cannot send a token.

import { request } from './api.js';

const maxEvent = 32 << 20;

// stream calls on(event, data) for every event until the signal ends it. It returns when the server
// ends the answer, and throws what went wrong.
export async function stream(path, signal, opened, on) {
  const response = await request(path, { signal, headers: { Accept: 'text/event-stream' } });
  opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = 'message';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const text = rest === '' ? value : rest + value;
    let from = 0;
    for (let end = text.indexOf('\n', from); end >= 0; end = text.indexOf('\n', from)) {
      const line = text.slice(from, text[end - 1] === '\r' ? end - 1 : end);
      from = end + 1;
      if (line === '') event = 'message';
      else if (line.startsWith('data:')) on(event, line.slice(line[5] === ' ' ? 6 : 5));
      else if (line.startsWith('event:')) event = line.slice(6).trim();
    }
    rest = text.slice(from);
    if (rest.length > maxEvent) throw new Error('an event without an end');
  }
}
