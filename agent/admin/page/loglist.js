// The list of records: only the rows that are seen are in the document, however many records there
// are, and each is drawn at most once a frame.

import { el, putText, plain } from './dom.js';
import { clock, day, span } from './format.js';

export const rowHeight = 24;
const over = 8; // rows drawn beyond what is seen
const shownText = 600; // characters of a row

const shortLevels = { trace: 'TRC', debug: 'DBG', info: 'INF', warn: 'WRN', error: 'ERR', fatal: 'FTL' };

export class LogList {
  // o: records, detail(record) returns an element, onOpen, onTrace, onPause, onTop
  constructor(o) {
    this.o = o;
    this.rows = [];
    this.open = -1;
    this.openHeight = 0;
    this.selected = -1;
    this.following = true;
    this.base = null; // of relative times, in a trace
    this.mark = '';
    this.frame = 0;
    this.drawn = 0; // frames, for the tests
    this.sizer = el('div', { class: 'sizer', role: 'presentation' });
    this.node = el('div', { class: 'log', tabindex: '0', role: 'grid', 'aria-label': 'Records, the newest last', 'aria-readonly': 'true' }, this.sizer);
    this.node.addEventListener('scroll', () => this.onScroll(), { passive: true });
    this.node.addEventListener('wheel', (e) => e.deltaY < 0 && this.unfollow(), { passive: true });
    this.node.addEventListener('selectstart', () => this.unfollow()); // what is marked stays
    this.node.addEventListener('touchmove', () => this.unfollow(), { passive: true });
    this.node.addEventListener('pointerdown', (e) => e.target === this.node && this.unfollow());
    this.node.addEventListener('click', (e) => this.onClick(e));
    this.node.addEventListener('keydown', (e) => this.onKey(e));
    this.resized = new ResizeObserver(() => this.schedule());
    this.resized.observe(this.node);
    this.detailResized = new ResizeObserver(([entry]) => {
      this.openHeight = entry.target.offsetHeight;
      this.schedule();
    });
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.resized.disconnect();
    this.detailResized.disconnect();
  }

  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  // shifted says that n records have come before the others, or gone from there (negative).
  shifted(n) {
    if (this.selected >= 0) this.selected = Math.max(-1, this.selected + n);
    if (this.open >= 0 && (this.open += n) < 0) this.fold();
    if (n > 0) this.node.scrollTop += n * rowHeight;
  }

  draw() {
    const records = this.o.records.all;
    const height = records.length * rowHeight + this.openHeight;
    this.sizer.style.height = `${height}px`;
    const view = this.node.clientHeight;
    if (this.following) this.node.scrollTop = height;
    const top = this.node.scrollTop;
    const first = Math.max(0, Math.floor((top - this.openHeight) / rowHeight) - over);
    const last = Math.min(records.length, Math.ceil((top + view) / rowHeight) + over);
    const count = Math.max(0, last - first);
    while (this.rows.length < count) this.rows.push(this.newRow());
    this.node.setAttribute('aria-rowcount', records.length);
    this.rows.forEach((row, k) => {
      if (k >= count) {
        row.node.hidden = true;
        row.index = -1;
        return;
      }
      this.fillRow(row, first + k, records[first + k]);
    });
    if (this.selected >= 0) this.node.setAttribute('aria-activedescendant', this.rows.find((r) => r.index === this.selected)?.node.id ?? '');
    else this.node.removeAttribute('aria-activedescendant');
    this.highlight();
    this.drawn++;
  }

  newRow() {
    const row = {
      time: el('span', { class: 'time', role: 'gridcell' }), level: el('span', { class: 'level', role: 'gridcell' }),
      from: el('bdi', { class: 'from' }), message: el('bdi', { class: 'message' }), fields: el('bdi', { class: 'more' }),
      trace: el('button', { type: 'button', class: 'trace-id', tabindex: '-1' }), index: -1, record: null,
    };
    row.traceCell = el('span', { class: 'cell', role: 'gridcell' }, row.trace);
    row.node = el('div', { class: 'row', role: 'row', id: `row-${this.rows.length}` }, row.time, row.level,
      el('span', { class: 'cell', role: 'gridcell' }, row.from), el('span', { class: 'cell', role: 'gridcell' }, row.message, row.fields), row.traceCell);
    this.sizer.append(row.node);
    return row;
  }

  fillRow(row, index, r) {
    const y = index * rowHeight + (this.open >= 0 && index > this.open ? this.openHeight : 0);
    row.node.hidden = false;
    row.node.style.transform = `translateY(${y}px)`;
    if (row.index !== index) row.node.setAttribute('aria-rowindex', index + 1);
    row.index = index;
    const state = `row ${r.level || 'none'} s${r.hue}${index === this.selected ? ' selected' : ''}${index === this.open ? ' open' : ''}`;
    if (row.node.className !== state) {
      row.node.className = state;
      row.node.setAttribute('aria-selected', index === this.selected);
      row.node.setAttribute('aria-expanded', index === this.open);
    }
    if (row.record === r && row.base === this.base) return;
    row.record = r;
    row.base = this.base;
    const date = new Date(r.at);
    row.time.textContent = this.base !== null ? `+${span(r.at - this.base)}` : clock(date);
    row.time.title = `${day(date)} ${clock(date)}`;
    row.level.textContent = shortLevels[r.level] ?? '–';
    putText(row.from, r.from.slice(0, 60));
    row.from.title = plain(r.from.slice(0, 300));
    putText(row.message, (r.message || r.raw || '').slice(0, shownText));
    putText(row.fields, r.summary);
    row.trace.hidden = !r.trace_id;
    if (r.trace_id) {
      putText(row.trace, r.trace_id.slice(0, 8));
      row.trace.setAttribute('aria-label', `Trace ${plain(r.trace_id.slice(0, 64))}`);
    }
  }

  // highlight marks what was searched for, without elements of its own.
  highlight() {
    if (!window.CSS?.highlights) return;
    CSS.highlights.delete('found');
    if (!this.mark) return;
    const want = this.mark.toLowerCase();
    const ranges = [];
    for (const row of this.rows) {
      if (row.index < 0) continue;
      for (const part of [row.message, row.fields]) {
        const text = part.firstChild;
        if (text?.nodeType !== Node.TEXT_NODE) continue;
        const at = text.data.toLowerCase().indexOf(want);
        if (at < 0 || at + want.length > text.data.length) continue;
        const range = new Range();
        range.setStart(text, at);
        range.setEnd(text, at + want.length);
        ranges.push(range);
      }
    }
    CSS.highlights.set('found', new Highlight(...ranges));
  }

  onScroll() {
    const { scrollTop, clientHeight, scrollHeight } = this.node;
    if (!this.following && scrollTop + clientHeight >= scrollHeight - 2) this.o.onBottom();
    if (!this.following && scrollTop < 200) this.o.onTop();
    this.schedule();
  }

  unfollow() {
    if (!this.following) return;
    this.following = false;
    this.o.onPause('scroll');
  }

  onClick(event) {
    const row = this.rows.find((r) => r.index >= 0 && r.node.contains(event.target));
    if (!row) return;
    if (row.trace.contains(event.target)) {
      this.o.onTrace(row.record.trace_id);
      return;
    }
    if (getSelection()?.toString()) return; // text is being marked
    this.select(row.index);
    this.toggle(row.index);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.node) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / rowHeight) - 2);
    const now = this.selected < 0 ? this.o.records.length - 1 : this.selected;
    const keys = {
      ArrowDown: () => this.select(now + 1), ArrowUp: () => this.select(this.selected < 0 ? now : now - 1),
      PageDown: () => this.select(now + page), PageUp: () => this.select(now - page),
      Home: () => this.select(0), End: () => this.o.onEnd(),
      Enter: () => this.selected >= 0 && this.toggle(this.selected),
      ArrowRight: () => this.selected >= 0 && this.open !== this.selected && this.toggle(this.selected),
      ArrowLeft: () => this.fold(),
      t: () => this.record(this.selected)?.trace_id && this.o.onTrace(this.record(this.selected).trace_id),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  record(index) {
    return this.o.records.all[index];
  }

  select(index) {
    this.unfollow();
    this.selected = Math.max(0, Math.min(this.o.records.length - 1, index));
    if (this.o.records.length === 0) this.selected = -1;
    const y = this.selected * rowHeight + (this.open >= 0 && this.selected > this.open ? this.openHeight : 0);
    if (y < this.node.scrollTop) this.node.scrollTop = y;
    else if (y + rowHeight > this.node.scrollTop + this.node.clientHeight) this.node.scrollTop = y + rowHeight - this.node.clientHeight;
    this.schedule();
  }

  toggle(index) {
    if (this.open === index) {
      this.fold();
      return;
    }
    this.fold();
    const record = this.record(index);
    if (!record) return;
    this.unfollow();
    this.open = index;
    this.detail = this.o.detail(record);
    this.detail.classList.add('detail');
    this.detail.style.top = `${(index + 1) * rowHeight}px`;
    this.sizer.append(this.detail);
    this.openHeight = this.detail.offsetHeight;
    this.detailResized.observe(this.detail);
    const bottom = (index + 1) * rowHeight + this.openHeight;
    this.sizer.style.height = `${this.o.records.length * rowHeight + this.openHeight}px`;
    if (bottom > this.node.scrollTop + this.node.clientHeight) {
      this.node.scrollTop = Math.min(index * rowHeight, bottom - this.node.clientHeight);
    }
    this.schedule();
  }

  fold() {
    if (this.detail) {
      this.detailResized.unobserve(this.detail);
      const inside = this.detail.contains(document.activeElement);
      this.detail.remove();
      if (inside) this.node.focus();
    }
    this.detail = null;
    this.open = -1;
    this.openHeight = 0;
    this.schedule();
  }

  // moveDetail puts what is unfolded where its record is now.
  moveDetail() {
    if (this.detail) this.detail.style.top = `${(this.open + 1) * rowHeight}px`;
  }
}
