// Server-sent events: bytes to events, and when to try again. Pure.

export const LONGEST_EVENT = 16 * 1024 * 1024;
/* Characters of one event: ten thousand torrents are a few MiB. More is no answer of a node. */

/** Reads text in pieces as it comes, and returns whole events: `{name, data}`. */
export class EventReader {
  constructor() {
    this.rest = "";
    this.name = "";
    this.data = [];
    this.length = 0;
  }

  feed(text) {
    const events = [];
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const each of lines) this.#line(each, events);
    if (this.rest.length + this.length > LONGEST_EVENT) throw new RangeError("An event is too long");
    return events;
  }

  #line(line, events) {
    if (line === "") {
      if (this.data.length) events.push({ name: this.name || "message", data: this.data.join("\n") });
      this.name = "";
      this.data = [];
      this.length = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment keeps the connection alive
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    if (field === "data") {
      this.data.push(value);
      this.length += value.length;
    }
  }
}

export const LONGEST_PAUSE = 15;

/** Seconds until try number `attempt` (from 1): 1, 2, 4, 8, 15, each by chance up to a quarter sooner. */
export function pauseBefore(attempt, chance = Math.random()) {
  const full = Math.min(LONGEST_PAUSE, 2 ** (attempt - 1));
  return full * (1 - chance / 4);
}
