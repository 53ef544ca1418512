// The tracker that runs in this node: the names it knows, and their swarms.

import { get, post } from "../api.js";
import { h, reconcile, say } from "../dom.js";
import * as format from "../format.js";
import { sorted } from "../listing.js";
import { button, repeat, sortableHead } from "../parts.js";

const AT_ONCE = 500;
const COLUMNS = [
  { key: "name", words: "Name" },
  { key: "size", words: "Size", kind: "number", isLargestFirst: true },
  { key: "seeders", words: "Seeders", kind: "number", isLargestFirst: true },
  { key: "leechers", words: "Leechers", kind: "number", isLargestFirst: true },
  { words: "Info-hash" },
  { words: "Here" },
];
const KEYS = { name: (entry) => (entry.name ?? "").toLowerCase(), size: (entry) => entry.size ?? 0, seeders: (entry) => entry.seeders ?? 0, leechers: (entry) => entry.leechers ?? 0 };

export function trackerView(app) {
  let names = [];
  let room = AT_ONCE;
  const sorting = { key: "name", descending: false };
  const figures = h("p", { class: "faint" });
  const search = h("input", { type: "search", placeholder: "Search names", "aria-label": "Search names", on: { input: () => show() } });
  const head = sortableHead(COLUMNS, sorting, () => show());
  const body = h("tbody", { role: "rowgroup" });
  const table = h("div", { class: "scroll" }, h("table", { role: "table", "aria-label": "Names and swarms" }, head.element, body));
  const more = button("", () => { room += AT_ONCE; show(); }, { class: "more" });
  const none = h("p", { class: "empty" }, "Asking the tracker…");
  const element = h("section", { class: "panel cards", "aria-label": "Tracker" },
    h("header", {}, h("h1", {}, "Names and swarms"), figures, h("div", { class: "end" }, search)), table, more, none);

  function makeRow(entry) {
    const parts = { size: cell("number", "size"), seeders: cell("number", "seeders"), leechers: cell("number", "leechers") };
    const place = h("td", { role: "cell" });
    const row = h("tr", { role: "row" }, h("td", { role: "cell", class: "whole" }, format.foreign(entry.name || "without a name")),
      parts.size, parts.seeders, parts.leechers, h("td", { role: "cell", class: "whole" }, h("code", {}, entry.info_hash)), place);
    row.parts = { ...parts, place };
    return row;
  }

  function showRow(row, entry) {
    const { parts } = row;
    say(parts.size, format.size(entry.size));
    say(parts.seeders, format.count(entry.seeders));
    say(parts.leechers, format.count(entry.leechers));
    const present = [...app.known.torrents.values()].find(({ info_hash: hash }) => hash === entry.info_hash);
    const kind = present ? "here" : app.canWrite ? "add" : "";
    if (parts.place.dataset.shown === kind) return;
    parts.place.dataset.shown = kind;
    if (kind === "here") parts.place.replaceChildren(h("a", { href: `#/torrents/${present.id}` }, "here"));
    else if (kind === "add") parts.place.replaceChildren(button("Get", () => app.attempt(async () => app.known.change([await post("/torrents", { what: entry.info_hash })])), { "aria-label": `Get ${format.foreign(entry.name)}` }));
  }

  function show() {
    const words = search.value.toLowerCase();
    const found = names.filter(({ name, info_hash: hash }) => (name ?? "").toLowerCase().includes(words) || hash.startsWith(words));
    const shown = sorted(found, sorting.key, sorting.descending, KEYS).slice(0, room);
    reconcile(body, shown, (entry) => `${entry.info_hash} ${entry.name}`, makeRow, showRow);
    table.hidden = !found.length;
    none.hidden = found.length > 0;
    say(none, names.length ? "No name is like that." : "No name is registered here.");
    more.hidden = found.length <= shown.length;
    say(more, `Show ${format.count(Math.min(AT_ONCE, found.length - shown.length))} more of ${format.count(found.length)}`);
  }

  const timer = repeat(3, async () => {
    try {
      const answer = await get("/names");
      names = answer.names;
      say(figures, [answer.swarms !== undefined && format.plural(answer.swarms, "swarm"), answer.peers !== undefined && format.plural(answer.peers, "peer")].filter(Boolean).join(", "));
      show();
    } catch (error) {
      app.fail(error);
    }
  });
  return { title: "Tracker", element, close: () => timer.close() };
}

function cell(kind, word) {
  return h("td", { role: "cell", class: kind, "data-word": word });
}
