// Which torrents are shown, and in which order. Pure.

export const STATES = [
  "downloading", "seeding", "checking", "hashing", "metadata", "waiting", "queued", "paused", "done",
  "failed",
];

/** Return how many torrents there are in each state, and with each label. */
export function tally(torrents) {
  const states = new Map();
  const labels = new Map();
  for (const torrent of torrents) {
    states.set(torrent.state, (states.get(torrent.state) ?? 0) + 1);
    for (const label of torrent.labels ?? []) labels.set(label, (labels.get(label) ?? 0) + 1);
  }
  return { states, labels };
}

/** Return whether a torrent is among those that were asked for. */
export function matches(torrent, { state = "", label = "", text = "" }) {
  if (state === "active") {
    if (!(torrent.download_rate >= 1 || torrent.upload_rate >= 1)) return false;
  } else if (state && torrent.state !== state) return false;
  if (label && !(torrent.labels ?? []).includes(label)) return false;
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return true;
  const name = (torrent.name ?? "").toLowerCase();
  const hash = torrent.info_hash ?? "";
  return words.every((word) => name.includes(word) || (word.length >= 4 && hash.startsWith(word)));
}

/* What needs a look comes first, and what moves before what rests. */
const ATTENTION = [
  "failed", "downloading", "metadata", "checking", "hashing", "waiting", "queued", "seeding", "paused", "done",
];
const last = Number.POSITIVE_INFINITY;
const KEYS = {
  name: (torrent) => (torrent.name ?? "").toLowerCase(),
  state: (torrent) => ATTENTION.indexOf(torrent.state),
  size: (torrent) => torrent.size ?? 0,
  progress: (torrent) => torrent.progress ?? 0,
  download_rate: (torrent) => torrent.download_rate ?? 0,
  upload_rate: (torrent) => torrent.upload_rate ?? 0,
  eta: (torrent) => (torrent.progress >= 1 ? last : (torrent.eta ?? last)),
  peers: (torrent) => torrent.peers ?? 0,
  ratio: (torrent) => torrent.ratio ?? 0,
  added_at: (torrent) => torrent.added_at ?? 0,
  queue_position: (torrent) => torrent.queue_position ?? last,
};

export const SORT_KEYS = Object.keys(KEYS);

/** Return the items in order; equal ones by `id`, so that rows do not jump. */
export function sorted(items, key, descending = false, keys = KEYS) {
  const value = keys[key] ?? ((item) => item.id ?? 0);
  const sign = descending ? -1 : 1;
  return items
    .map((item) => [value(item), item])
    .sort(([a, first], [b, second]) => {
      if (a < b) return -sign;
      if (a > b) return sign;
      return (first.id ?? 0) - (second.id ?? 0);
    })
    .map(([, item]) => item);
}
