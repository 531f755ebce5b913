// The records that the page holds: so many at most, the oldest go first.

const most = 10000;
const mostText = 64 << 20; // characters

const sizeOf = (r) => (r.message?.length ?? 0) + (r.raw?.length ?? 0) + 500;

export class Records {
  constructor() {
    this.all = [];
    this.size = 0;
    this.gone = 0; // that were let go
    this.ids = new Set();
  }

  get length() {
    return this.all.length;
  }

  has(id) {
    return this.ids.has(id);
  }

  // add puts records behind the others, and lets go of the oldest. It returns how many of those.
  add(records) {
    for (const r of records) {
      this.all.push(r);
      this.ids.add(r.id);
      this.size += sizeOf(r);
    }
    let drop = Math.max(0, this.all.length - most);
    let size = this.size;
    for (let i = 0; i < drop; i++) size -= sizeOf(this.all[i]);
    while (size > mostText && drop < this.all.length - 1) size -= sizeOf(this.all[drop++]);
    if (drop > 0) {
      for (const r of this.all.splice(0, drop)) this.ids.delete(r.id);
      this.size = size;
      this.gone += drop;
    }
    return drop;
  }

  // addOlder puts records before the others, as far as there is room.
  addOlder(records) {
    const fresh = records.filter((r) => !this.ids.has(r.id));
    const room = Math.max(0, most - this.all.length);
    const taken = fresh.slice(Math.max(0, fresh.length - room));
    this.all = taken.concat(this.all);
    for (const r of taken) {
      this.ids.add(r.id);
      this.size += sizeOf(r);
    }
    return taken.length;
  }

  sort() {
    this.all.sort((a, b) => a.at - b.at);
  }
}
