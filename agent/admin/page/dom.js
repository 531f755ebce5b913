// Elements are made here, and nowhere else: text from outside only ever becomes a text node.

const SVG = 'http://www.w3.org/2000/svg';

// el returns an element with properties, attributes (by setAttribute) and children.
export function el(name, props, ...children) {
  return fill(document.createElement(name), props, children);
}

export function svg(name, props, ...children) {
  return fill(document.createElementNS(SVG, name), props, children);
}

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'class') node.setAttribute('class', value);
    else if (key === 'on') for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (key === 'text') node.textContent = value;
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// setText changes a text only where it is another one: screen readers speak what changes.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Characters that do not show, or that change how what is beside them shows: control characters,
// marks and overrides of direction, spaces without width, separators of lines, lone surrogates.
const hidden = new RegExp(
  '\\u001b\\[[0-9;:?]*[A-Za-z]' + // ANSI sequences, whole
  '|[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]' +
  '|[\\ud800-\\udbff](?![\\udc00-\\udfff])|(?<![\\ud800-\\udbff])[\\udc00-\\udfff]' +
  '|\\udb40[\\udc00-\\udfff]', 'g'); // tags, which have no shape

// No pictures of control characters: most fonts do not have them.
const names = ('NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI ' +
  'DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US').split(' ');

function shownAs(text) {
  const code = text.codePointAt(0);
  if (code < 0x20) return `‹${names[code]}${text.slice(1)}›`;
  return `‹${code.toString(16).toUpperCase().padStart(4, '0')}›`;
}

// putText sets a node's text, with what is hidden in it made visible. With lines, line ends and
// tabs stay as they are.
export function putText(node, text, lines = false) {
  if (text.search(hidden) < 0) {
    node.textContent = text;
    return node;
  }
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(hidden)) {
    if (lines && (found[0] === '\n' || found[0] === '\t')) continue;
    if (found.index > from) parts.push(text.slice(from, found.index));
    parts.push(el('span', { class: 'ctl', text: found[0] === '\n' ? '⏎' : shownAs(found[0]) }));
    from = found.index + found[0].length;
    if (parts.length > 2000) break; // the rest is as it is, cut off from what is around it
  }
  parts.push(text.slice(from));
  node.replaceChildren(...parts);
  return node;
}

// plain returns a text with what is hidden in it made visible, for attributes and titles.
export function plain(text) {
  return text.replace(hidden, (found) => (found === '\n' ? '⏎' : shownAs(found)));
}

// bdi returns an element whose text cannot change the direction of what is around it.
export function bdi(text, props) {
  return putText(el('bdi', props), text);
}
