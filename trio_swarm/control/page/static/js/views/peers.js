// The peers of a torrent: what each gives and takes.

import { get, torrentPath } from "../api.js";
import { h, reconcile, say } from "../dom.js";
import * as format from "../format.js";
import { sorted } from "../listing.js";
import { bar, fillBar, sortableHead } from "../parts.js";

const COLUMNS = [
  { key: "address", words: "Address" },
  { words: "Client" },
  { key: "share", words: "Has", kind: "number", isLargestFirst: true },
  { key: "download_rate", words: "Gives", kind: "number", isLargestFirst: true },
  { words: "Gives · takes" },
  { key: "upload_rate", words: "Takes", kind: "number", isLargestFirst: true },
  { key: "downloaded", words: "Gave", kind: "number", isLargestFirst: true },
  { key: "uploaded", words: "Took", kind: "number", isLargestFirst: true },
  { words: "What goes on" },
];
const KEYS = Object.fromEntries(COLUMNS.filter(({ key }) => key).map(({ key }) => [key, (peer) => peer[key] ?? 0]));
const sorting = { key: "download_rate", descending: true };

export function peersPart(app, torrent) {
  let peers = [];
  const head = sortableHead(COLUMNS, sorting, () => show());
  const body = h("tbody", { role: "rowgroup" });
  const table = h("div", { class: "scroll" }, h("table", { role: "table", "aria-label": "Peers" }, head.element, body));
  const none = h("p", { class: "empty" }, "No peer is connected.");
  const element = h("section", { class: "panel cards peers", "aria-label": "Peers" }, table, none);

  function show() {
    const most = Math.max(1, ...peers.map((peer) => Math.max(peer.download_rate, peer.upload_rate)));
    reconcile(body, sorted(peers, sorting.key, sorting.descending, KEYS), (peer) => peer.address, makeRow, (row, peer) => showRow(row, peer, most));
    none.hidden = peers.length > 0;
    table.hidden = !peers.length;
  }

  return {
    element,
    seconds: 1,
    async refresh() {
      peers = (await get(torrentPath(torrent().id, "/peers"))).peers;
      show();
    },
  };
}

function cell(kind, word) {
  return h("td", { role: "cell", class: kind, "data-word": word });
}

function makeRow(peer) {
  const balance = h("span", { class: "balance", "aria-hidden": "true" }, h("i"), h("i"));
  const parts = {
    client: cell("faint"), has: cell("number", "has"), gives: cell("number down", "gives"), takes: cell("number up", "takes"),
    gave: cell("number", "gave"), took: cell("number", "took"), flags: cell("flags whole"), balance,
  };
  const row = h("tr", { role: "row", class: "peers-row" },
    h("td", { role: "cell", class: "most" }, h("span", { class: "mono" }, format.foreign(peer.address))),
    parts.client, parts.has, parts.gives, h("td", { role: "cell", class: "whole" }, balance), parts.takes, parts.gave, parts.took, parts.flags);
  row.parts = parts;
  return row;
}

function showRow(row, peer, most) {
  const { parts } = row;
  say(parts.client, format.foreign(peer.client || "unknown"));
  say(parts.has, format.percent(peer.share));
  say(parts.gives, format.rate(peer.download_rate));
  say(parts.takes, format.rate(peer.upload_rate));
  const [left, right] = parts.balance.children;
  fillBar(left, peer.download_rate / most);
  fillBar(right, peer.upload_rate / most);
  say(parts.gave, format.size(peer.downloaded));
  say(parts.took, format.size(peer.uploaded));
  say(parts.flags, goesOn(peer));
}

/** What goes on between a peer and us, in words. */
export function goesOn(peer) {
  const words = [peer.outgoing ? "dialled by us" : "came to us"];
  if (peer.is_seeder) words.push("seeder");
  if (peer.in_flight) words.push(`asked for ${format.plural(peer.in_flight, "block")}`);
  else if (!peer.choking_us) words.push("would serve us");
  if (peer.choking_us) words.push("chokes us");
  if (peer.snubbed) words.push("owes blocks");
  if (peer.interested) words.push(peer.unchoked ? "is served" : "waits for a slot");
  return words.join(" · ");
}
