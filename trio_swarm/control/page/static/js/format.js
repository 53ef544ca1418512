// Amounts, times and names in words for people. Pure.

const SIZE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const NONE = "–";

/** Bytes as text with three digits that count: `1.45 GiB`. */
export function size(bytes) {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return NONE;
  let amount = Math.max(0, bytes);
  let unit = 0;
  while (amount >= 999.5 && unit < SIZE_UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${digits(amount, unit)} ${SIZE_UNITS[unit]}`;
}

function digits(amount, unit) {
  if (unit === 0 || amount >= 99.95) return String(Math.round(amount));
  return amount >= 9.995 ? amount.toFixed(1) : amount.toFixed(2);
}

/** Bytes a second as text; a dash where nothing moves. */
export function rate(bytes) {
  return bytes >= 1 ? `${size(bytes)}/s` : NONE;
}

const EXACT = [["GiB", 1024 ** 3], ["MiB", 1024 ** 2], ["KiB", 1024], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]];

/** A rate for a field: read again, it is the same to the byte. Empty for none. */
export function exactRate(bytes) {
  if (bytes === null || bytes === undefined) return "";
  const [unit, length] = EXACT.find(([, each]) => bytes >= each && (bytes * 100) % each === 0) ?? ["B", 1];
  return `${bytes / length} ${unit}/s`;
}

/** A limit in bytes a second; null is no limit. */
export function limit(bytes) {
  return bytes === null || bytes === undefined ? "unlimited" : `${size(bytes)}/s`;
}

const FACTORS = { "": 1, k: 1e3, m: 1e6, g: 1e9, ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3 };

/**
 * Read a rate as a person writes it: `2 MiB/s`, `800k`, `20 Mbit`, `unlimited`.
 * Returns bytes a second, null for none; throws RangeError with one line for the person.
 */
export function parseRate(text) {
  const written = text.trim().toLowerCase();
  if (written === "" || written === "unlimited" || written === "none") return null;
  const parts = /^(\d+(?:[.,]\d+)?)\s*([kmg]i?)?\s*(b|bytes?|bits?)?\s*(?:\/s|ps)?$/.exec(written);
  if (!parts) throw new RangeError(`“${text.trim()}” is no rate: write 2 MiB/s, 20 Mbit or unlimited`);
  const amount = Number(parts[1].replace(",", "."));
  const bits = (parts[3] ?? "").startsWith("bit") ? 8 : 1;
  const bytes = Math.round((amount * FACTORS[parts[2] ?? ""]) / bits);
  if (bytes < 1) throw new RangeError("A rate is 1 byte a second at least; leave it empty for no limit");
  return bytes;
}

/** A share from 0 to 1 as percent: never 100 before the last byte, never 0 after the first. */
export function percent(share) {
  if (!(share > 0)) return "0 %";
  if (share >= 1) return "100 %";
  const tenths = Math.min(999, Math.max(1, Math.floor(share * 1000)));
  return `${(tenths / 10).toFixed(1)} %`;
}

const SPANS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds as the two largest units: `2 h 5 min`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  let left = Math.max(0, Math.round(seconds));
  if (left >= 100 * 86400) return "over 100 d";
  const words = [];
  for (const [unit, length] of SPANS) {
    const count = Math.floor(left / length);
    if (count > 0 || (unit === "s" && words.length === 0)) words.push(`${count} ${unit}`);
    else if (words.length) break;
    left -= count * length;
    if (words.length === 2) break;
  }
  return words.join(" ");
}

/** How long ago, or how soon: `3 min ago`, `in 20 s`. */
export function relative(time, now) {
  if (!time) return NONE;
  const apart = time - now;
  if (Math.abs(apart) < 1) return "now";
  return apart < 0 ? `${duration(-apart)} ago` : `in ${duration(apart)}`;
}

/** Unix seconds as local date and time. */
export function date(time) {
  if (!time) return NONE;
  return new Date(time * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Unix seconds as local time of day. */
export function clock(time) {
  return new Date(time * 1000).toTimeString().slice(0, 8);
}

/** A whole number with separators: `12,345`. */
export function count(number) {
  return number === null || number === undefined ? NONE : Math.round(number).toLocaleString("en-GB");
}

/** A ratio with two digits. */
export function ratio(number) {
  return number === null || number === undefined || !Number.isFinite(number) ? NONE : number.toFixed(2);
}

/** `1 piece`, `5,000 pieces`. */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

// What changes the direction of text or hides it: a hostile name could show another ending.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const LONGEST_NAME = 400;

/** A stranger's text in one line, without what hides or turns it, and of bounded length. */
export function foreign(text) {
  const plain = String(text ?? "").replace(INVISIBLE, "\ufffd");
  return plain.length > LONGEST_NAME ? `${plain.slice(0, LONGEST_NAME)}…` : plain;
}

const STATES = {
  hashing: "hashing",
  waiting: "waiting",
  queued: "queued",
  metadata: "getting metadata",
  checking: "checking",
  downloading: "downloading",
  seeding: "seeding",
  paused: "paused",
  done: "done",
  failed: "failed",
};

/** A torrent's state in words. */
export function state(name) {
  return STATES[name] ?? foreign(name);
}
