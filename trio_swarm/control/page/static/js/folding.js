// What the page knows of the torrents, folded from the node's events. Pure.

export const HISTORY = 300;
/* Samples that are kept of each rate, one a second: five minutes. */

/** The newest samples of two rates, oldest first. */
export class Rates {
  constructor(length = HISTORY) {
    this.length = length;
    this.down = [];
    this.up = [];
  }

  push(down, up) {
    this.down.push(down ?? 0);
    this.up.push(up ?? 0);
    if (this.down.length > this.length) {
      this.down.shift();
      this.up.shift();
    }
  }

  get isFlat() {
    return !this.down.some((rate) => rate >= 1) && !this.up.some((rate) => rate >= 1);
  }

  get highest() {
    return Math.max(0, ...this.down, ...this.up);
  }
}

/** All torrents by id, and the course of their rates. */
export class Known {
  constructor() {
    this.torrents = new Map();
    this.rates = new Map();
    this.total = new Rates();
  }

  /** Take the whole list: what is not in it is gone. */
  replace(torrents) {
    this.torrents = new Map(torrents.map((torrent) => [torrent.id, torrent]));
    for (const id of this.rates.keys()) if (!this.torrents.has(id)) this.rates.delete(id);
  }

  /** Take what changed, and forget what was removed. */
  change(torrents, removed = []) {
    for (const torrent of torrents) {
      this.torrents.set(torrent.id, { ...this.torrents.get(torrent.id), ...torrent });
    }
    for (const id of removed) {
      this.torrents.delete(id);
      this.rates.delete(id);
    }
  }

  /** Note the rates of this second. Torrents in which nothing moves keep no course. */
  sample() {
    let down = 0;
    let up = 0;
    for (const torrent of this.torrents.values()) {
      const taken = torrent.download_rate ?? 0;
      const given = torrent.upload_rate ?? 0;
      down += taken;
      up += given;
      let rates = this.rates.get(torrent.id);
      if (!rates) {
        if (taken < 1 && given < 1) continue;
        rates = new Rates();
        this.rates.set(torrent.id, rates);
      }
      rates.push(taken, given);
      if (rates.down.length === rates.length && rates.isFlat) this.rates.delete(torrent.id);
    }
    this.total.push(down, up);
    return { down, up };
  }
}

/** Points of an SVG line through `values`, right-aligned in a box of `length` samples. */
export function line(values, length, width, height, highest) {
  const top = highest || 1;
  const step = width / Math.max(1, length - 1);
  const start = width - (values.length - 1) * step;
  return values
    .map((value, index) => {
      const x = start + index * step;
      const y = height - (Math.min(value, top) / top) * height;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}

/** The next larger of 1, 2 and 5 times a power of two thousandths: the top of an axis. */
export function axisTop(highest) {
  let unit = 1;
  while (highest / unit >= 1000) unit *= 1024;
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1024]) {
    if (highest <= step * unit) return step * unit;
  }
  return highest;
}
