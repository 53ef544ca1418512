// The trackers of a torrent: when each was asked, and what it said.

import { get, torrentPath } from "../api.js";
import { h, reconcile, say } from "../dom.js";
import * as format from "../format.js";

export function trackersPart(app, torrent) {
  const body = h("tbody", { role: "rowgroup" });
  const heads = ["Tier", "Tracker", "Asked", "Next", "Seeders", "Leechers", "What it said"];
  const table = h("div", { class: "scroll" }, h("table", { role: "table", "aria-label": "Trackers" },
    h("thead", {}, h("tr", {}, ...heads.map((words) => h("th", { scope: "col", class: /ers$/.test(words) ? "number" : "" }, words)))), body));
  const none = h("p", { class: "empty" }, "This torrent is told to no tracker.");
  return {
    element: h("section", { class: "panel cards", "aria-label": "Trackers" }, table, none),
    seconds: 2,
    async refresh() {
      const { trackers } = await get(torrentPath(torrent().id, "/trackers"));
      const now = Date.now() / 1000;
      reconcile(body, trackers, ({ tier, url }) => `${tier} ${url}`, makeRow, (row, tracker) => showRow(row, tracker, now));
      none.hidden = trackers.length > 0;
      table.hidden = !trackers.length;
    },
  };
}

function makeRow(tracker) {
  const cells = [["", "tier"], ["whole mono"], ["", "asked"], ["", "next"], ["number", "seeders"], ["number", "leechers"], ["whole"]].map(([kind, word]) =>
    h("td", { role: "cell", class: kind, "data-word": word }));
  const row = h("tr", { role: "row" }, ...cells);
  say(cells[0], String(tracker.tier + 1));
  say(cells[1], format.foreign(tracker.url));
  row.parts = cells;
  return row;
}

function showRow(row, tracker, now) {
  const [, , asked, next, seeders, leechers, result] = row.parts;
  say(asked, tracker.last_announce ? format.relative(tracker.last_announce, now) : "never");
  say(next, format.relative(tracker.next_announce, now));
  say(seeders, format.count(tracker.seeders));
  say(leechers, format.count(tracker.leechers));
  say(result, format.foreign(tracker.result || ""));
  result.classList.toggle("bad", Boolean(tracker.result) && !tracker.is_working);
}
