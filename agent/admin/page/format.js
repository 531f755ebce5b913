// Numbers and times for people.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const count = (n) => whole.format(n ?? 0);

export function short(n) {
  if (n < 10000) return whole.format(n);
  for (const [size, unit] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (n >= size) return trim(n / size) + unit;
  }
  return whole.format(n);
}

const trim = (n) => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2)).replace(/\.0+$/, '');

// rate returns how often something is a second; null is not known yet.
export function rate(n) {
  if (n === null || n === undefined) return '–';
  if (n === 0) return '0/s';
  if (n < 1) return `${n.toFixed(n < 0.1 ? 2 : 1)}/s`;
  return `${n < 10 ? n.toFixed(1) : short(Math.round(n))}/s`;
}

export function bytes(n) {
  if (n < 1024) return `${whole.format(n)} B`;
  for (const [size, unit] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (n >= size) return `${trim(n / size)} ${unit}`;
  }
  return '';
}

export function many(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? '' : 's'}`;
}

// span returns a length of time, from milliseconds.
export function span(ms) {
  const s = Math.max(0, ms) / 1000;
  if (s < 1) return `${Math.round(ms)} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

const pad = (n, to = 2) => String(n).padStart(to, '0');

export function clock(date, millis = true) {
  const text = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${text}.${pad(date.getMilliseconds(), 3)}` : text;
}

export function day(date) {
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

// when returns a time, with the day where it is not today's.
export function when(date, millis = true) {
  return day(date) === day(new Date()) ? clock(date, millis) : `${day(date)} ${clock(date, millis)}`;
}
