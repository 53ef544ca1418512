// All torrents: a table on wide screens, cards on phones.

import { post, torrentPath } from "../api.js";
import { h, mark, reconcile, say } from "../dom.js";
import * as format from "../format.js";
import { STATES, matches, sorted, tally } from "../listing.js";
import { bar, button, choice, drawSpark, fillBar, labelTags, showState, sortableHead, spark, stateBadge } from "../parts.js";
import { labelsDialog, limitsDialog, moveDialog, removeDialog } from "./changing.js";

const ROWS_AT_ONCE = 200;
/* A table of thousands of rows costs seconds to lay out; the rest comes by a button. */

const COLUMNS = [
  { key: "name", words: "Name" },
  { key: "size", words: "Size", kind: "number", isLargestFirst: true },
  { key: "progress", words: "Done", kind: "number", isLargestFirst: true },
  { key: "download_rate", words: "Down", kind: "number", isLargestFirst: true },
  { key: "upload_rate", words: "Up", kind: "number", isLargestFirst: true },
  { key: "eta", words: "Left", kind: "number" },
  { key: "peers", words: "Peers", kind: "number", isLargestFirst: true },
  { key: "ratio", words: "Ratio", kind: "number wide-only", isLargestFirst: true },
  { words: "Last minute", kind: "wide-only" },
];
const ORDERS = [
  ["state", "State"], ["added_at", "Newest"], ["name", "Name"], ["progress", "Progress"],
  ["download_rate", "Download"], ["upload_rate", "Upload"], ["eta", "Time left"], ["size", "Size"], ["peers", "Peers"], ["ratio", "Ratio"], ["queue_position", "Queue"],
];
const LARGEST_FIRST = new Set(["added_at", "progress", "download_rate", "upload_rate", "size", "peers", "ratio"]);

/* The choices outlive the view: who comes back from a torrent finds the list as it was. */
const chosen = { state: "", label: "", text: "" };
const sorting = { key: "state", descending: false };
const selected = new Set();

export function torrentsView(app) {
  let room = ROWS_AT_ONCE;
  let shown = [];

  const states = h("ul");
  const labels = h("ul");
  const labelHeading = h("h2", {}, "Labels");
  const filters = h("nav", { class: "filters", "aria-label": "Filter" }, h("div", {}, h("h2", {}, "State"), states), h("div", {}, labelHeading, labels));

  const search = h("input", { type: "search", placeholder: "Search names", "aria-label": "Search names and info-hashes", value: chosen.text,
    on: { input: () => { chosen.text = search.value; update(); } } });
  const order = choice(ORDERS, sorting.key, { class: "order", "aria-label": "Order",
    on: { change: () => { sorting.key = order.value; sorting.descending = LARGEST_FIRST.has(order.value); head.show(); update(); } } });
  const add = app.canWrite && button("Add", () => app.add(), { class: "first end", drawing: "add" });
  const toolbar = h("div", { class: "toolbar" }, h("div", { class: "search" }, search), order, add);

  const all = h("input", { type: "checkbox", "aria-label": "Select all that are shown",
    on: { change: () => { for (const torrent of shown) all.checked ? selected.add(torrent.id) : selected.delete(torrent.id); update(); } } });
  const head = sortableHead(COLUMNS, sorting, () => { order.value = sorting.key; update(); });
  head.element.firstChild.prepend(h("th", { scope: "col" }, all));
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { role: "table", "aria-label": "Torrents" }, head.element, body);
  const list = h("div", { class: "panel list" }, table);
  const empty = h("div", { class: "empty" });
  const more = button("", () => { room += ROWS_AT_ONCE; update(); }, { class: "more" });
  const actions = selectionBar(app, () => update());
  const element = h("section", { class: "torrents", "aria-label": "Torrents" },
    filters, h("div", {}, h("h1", { class: "unseen" }, "Torrents"), toolbar, actions.element, list, empty, more));

  function filterButton(words, number, isOn, press) {
    return { key: words, words, number, isOn, press };
  }

  function showFilters(place, entries) {
    reconcile(place, entries, (entry) => entry.key,
      (entry) => {
        const item = h("li", {}, h("button", { type: "button", on: { click: () => item.press() } }, h("span", {}, entry.words), h("span", {}, "")));
        return item;
      },
      (item, entry) => {
        item.press = entry.press;
        const control = item.firstChild;
        mark(control, "aria-pressed", String(entry.isOn));
        say(control.lastChild, format.count(entry.number));
      });
  }

  function update() {
    const torrents = [...app.known.torrents.values()];
    const counts = tally(torrents);
    const active = torrents.filter((torrent) => torrent.download_rate >= 1 || torrent.upload_rate >= 1).length;
    const pick = (state) => () => { chosen.state = chosen.state === state ? "" : state; room = ROWS_AT_ONCE; update(); };
    showFilters(states, [
      filterButton("all", torrents.length, chosen.state === "", pick("")),
      filterButton("active", active, chosen.state === "active", pick("active")),
      ...STATES.filter((state) => counts.states.has(state) || chosen.state === state)
        .map((state) => filterButton(format.state(state), counts.states.get(state) ?? 0, chosen.state === state, pick(state))),
    ]);
    if (chosen.label && !counts.labels.has(chosen.label)) chosen.label = "";
    labelHeading.parentNode.hidden = counts.labels.size === 0;
    showFilters(labels, [...counts.labels].sort(([a], [b]) => (a < b ? -1 : 1)).map(([label, number]) =>
      filterButton(format.foreign(label), number, chosen.label === label, () => { chosen.label = chosen.label === label ? "" : label; update(); })));

    const found = sorted(torrents.filter((torrent) => matches(torrent, chosen)), sorting.key, sorting.descending);
    shown = found.slice(0, room);
    for (const id of selected) if (!app.known.torrents.has(id)) selected.delete(id);
    reconcile(body, shown, (torrent) => torrent.id, (torrent) => makeRow(app, torrent, update), (row, torrent) => showRow(app, row, torrent));
    more.hidden = found.length <= shown.length;
    say(more, `Show ${format.count(Math.min(ROWS_AT_ONCE, found.length - shown.length))} more of ${format.count(found.length)}`);
    list.hidden = !found.length;
    empty.hidden = Boolean(found.length);
    if (!found.length) showEmpty(torrents.length > 0);
    const visible = shown.filter((torrent) => selected.has(torrent.id)).length;
    all.checked = visible > 0 && visible === shown.length;
    all.indeterminate = visible > 0 && visible < shown.length;
    actions.show([...selected].map((id) => app.known.torrents.get(id)));
  }

  function showEmpty(hasTorrents) {
    const state = hasTorrents ? "nothing" : "none";
    if (empty.dataset.shown === state) return;
    empty.dataset.shown = state;
    empty.replaceChildren(
      h("strong", {}, hasTorrents ? "No torrent is like that" : "No torrents yet"),
      hasTorrents ? button("Show all", () => { Object.assign(chosen, { state: "", label: "", text: "" }); search.value = ""; update(); })
        : app.canWrite ? "Drop a .torrent file here, paste a magnet link, or press Add." : "Torrents that this node gets are listed here.");
  }

  return { title: "Torrents", element, update };
}

function makeRow(app, torrent, changed) {
  const row = h("tr", { role: "row" });
  const parts = {
    box: h("input", { type: "checkbox", on: { change: () => { parts.box.checked ? selected.add(torrent.id) : selected.delete(torrent.id); changed(); } } }),
    link: h("a", { href: `#/torrents/${torrent.id}` }),
    bar: bar(),
    state: stateBadge(),
    error: h("span", { class: "error" }),
    waits: h("span", { class: "waits" }),
    labels: h("span"),
    size: cell("number"), done: cell("number phone"), down: cell("number phone down"), up: cell("number phone up"),
    left: cell("number phone last"), peers: cell("number"), ratio: cell("number wide-only"), spark: spark(),
  };
  row.parts = parts;
  row.append(
    h("td", { role: "cell" }, parts.box),
    h("td", { role: "cell", class: "name" }, parts.link, parts.bar, h("div", { class: "under" }, parts.state, parts.error, parts.waits, parts.labels)),
    parts.size, parts.done, parts.down, parts.up, parts.left, parts.peers, parts.ratio,
    h("td", { role: "cell", class: "wide-only" }, parts.spark),
  );
  return row;
}

function cell(kind) {
  return h("td", { role: "cell", class: kind });
}

function showRow(app, row, torrent) {
  const { parts } = row;
  const name = format.foreign(torrent.name);
  say(parts.link, name);
  mark(parts.box, "aria-label", `Select ${name}`);
  parts.box.checked = selected.has(torrent.id);
  mark(row, "data-selected", selected.has(torrent.id));
  row.classList.toggle("quiet", torrent.progress >= 1 && !(torrent.upload_rate >= 1) && !(torrent.download_rate >= 1));
  fillBar(parts.bar, torrent.progress, torrent.state);
  parts.bar.hidden = torrent.progress >= 1;
  showState(parts.state, torrent);
  say(parts.error, torrent.error ? format.foreign(torrent.error) : "");
  parts.error.hidden = !torrent.error;
  say(parts.waits, torrent.error ? "" : format.foreign(torrent.waits_for ?? ""));
  parts.waits.hidden = !parts.waits.textContent;
  const labels = (torrent.labels ?? []).join("\n");
  if (parts.labels.dataset.shown !== labels) {
    parts.labels.dataset.shown = labels;
    parts.labels.replaceChildren(...labelTags(torrent.labels).flatMap((tag) => [tag, " "]));
  }
  parts.labels.hidden = !labels;
  say(parts.size, format.size(torrent.size || null));
  const hasSize = Boolean(torrent.size || torrent.progress);
  say(parts.done, hasSize ? format.percent(torrent.progress) : "–");
  parts.done.classList.toggle("idle", !hasSize);
  showRate(parts.down, torrent.download_rate, "↓ ");
  showRate(parts.up, torrent.upload_rate, "↑ ");
  const isUnknown = torrent.progress >= 1 || !Number.isFinite(torrent.eta);
  say(parts.left, isUnknown ? "–" : format.duration(torrent.eta));
  mark(parts.left, "class", isUnknown ? "number phone last idle" : "number phone last");
  say(parts.peers, torrent.peers ? `${format.count(torrent.peers)}` : "–");
  say(parts.ratio, format.ratio(torrent.ratio));
  drawSpark(parts.spark, app.known.rates.get(torrent.id));
}

function showRate(element, rate, arrow) {
  const isIdle = !(rate >= 1);
  say(element, isIdle ? "–" : arrow + format.rate(rate));
  element.classList.toggle("idle", isIdle);
  element.classList.toggle("faint", isIdle);
}

/** What can be done with all that are selected. */
function selectionBar(app, changed) {
  const words = h("strong");
  let torrents = [];
  const each = (verb, work) => async () => {
    const chosenNow = torrents;
    for (const torrent of chosenNow) {
      const isDone = await app.attempt(() => work(torrent));
      if (!isDone) return;
    }
    app.tell(`${verb}: ${format.plural(chosenNow.length, "torrent")}`);
  };
  const clear = () => { selected.clear(); changed(); };
  const element = h("div", { class: "chosen", role: "toolbar", "aria-label": "Selected torrents", hidden: true }, words);
  if (app.canWrite) {
    element.append(
      button("Resume", each("Resumed", ({ id }) => post(torrentPath(id, "/resume"))), { drawing: "resume" }),
      button("Pause", each("Paused", ({ id }) => post(torrentPath(id, "/pause"))), { drawing: "pause" }),
      button("Verify", each("Verifying", ({ id }) => post(torrentPath(id, "/verify")))),
      button("Ask trackers", each("Asked the trackers of", ({ id }) => post(torrentPath(id, "/reannounce")))),
      button("Labels…", () => labelsDialog(app, torrents)),
      button("Limits…", () => limitsDialog(app, torrents)),
      button("Move…", () => moveDialog(app, torrents)),
      button("Remove…", () => removeDialog(app, torrents, clear), { class: "danger" }),
    );
  }
  element.append(button("Select none", clear, { class: "plain" }));
  return {
    element,
    show(now) {
      torrents = now;
      element.hidden = !now.length;
      say(words, `${format.count(now.length)} selected`);
    },
  };
}
