// What a download's strategy is doing and why, beside the map of its pieces.

import { get, torrentPath } from "../api.js";
import { h, mark, reconcile, say } from "../dom.js";
import * as format from "../format.js";
import { bar, button, choice, fillBar } from "../parts.js";
import { PieceMap, ramp } from "../piece_map.js";
import { parted } from "../sentences.js";
import { MANY_COPIES, rarity, readPieces, summary } from "../pieces.js";
import { strategyDialog } from "./changing.js";

const SHOWN = 200;
/* Decisions in the list: a busy download makes thousands a minute. */
const KEPT = 2_000;
/* Decisions that are kept, for the ones about a piece or a peer: half a MiB. */

const PIECE_TURNS = 2;
/* Of a large torrent the map is a megabyte, and changes little in a second. */

const LEGENDS = {
  ours: [["accent-fill", "here"], ["warn-fill", "in flight"], ["track", "missing"], ["bad-fill", "missing, and held by no peer"]],
  peer: [["give", "the peer holds it, we miss it"], ["accent-fill", "both hold it"], ["track", "the peer has not got it"]],
};

export function strategyPart(app, torrent) {
  const { id } = torrent();
  const filter = { peer: "", piece: null, pieces: 1 };
  let pieces = null;
  let decisions = [];
  let latest = 0;
  let isFollowing = true;
  let turn = -1;

  // The map and its words
  const map = new PieceMap({ chosen: (piece, each) => choosePiece(piece, each) });
  const modes = [["ours", "Ours"], ["rarity", "Rarity"], ["peer", "One peer"]].map(([mode, words]) =>
    button(words, () => setMode(mode), { "data-mode": mode, "aria-pressed": String(mode === "ours") }));
  const peerChoice = choice([["", "Choose a peer"]], "", { "aria-label": "Peer whose pieces are shown", hidden: true, on: { change: () => showMap() } });
  const legend = h("ul", { class: "legend" });
  const counts = h("p", { class: "faint" });
  const rarities = h("dl", { class: "rarities" });
  const rarityPanel = h("section", { class: "panel", "aria-label": "How rare what is missing is" },
    h("header", {}, h("h2", {}, "How rare what is missing is")), rarities);
  const mapPanel = h("section", { class: "panel", "aria-label": "Pieces" },
    h("header", {}, h("h2", {}, "Pieces"), counts, h("div", { class: "row end" }, peerChoice, h("div", { class: "segments", role: "group", "aria-label": "What the map shows" }, ...modes))),
    map.canvas, legend, map.about);

  function setMode(mode) {
    map.mode = mode;
    for (const each of modes) mark(each, "aria-pressed", String(each.dataset.mode === mode));
    peerChoice.hidden = mode !== "peer";
    if (mode === "peer" && !peerChoice.value && peerChoice.options.length > 1) peerChoice.selectedIndex = 1;
    showMap();
  }

  function showLegend() {
    if (legend.dataset.shown === map.mode) return;
    legend.dataset.shown = map.mode;
    if (map.mode === "rarity") {
      const none = h("span", { class: "swatch" });
      none.style.background = "var(--bad-fill)";
      legend.replaceChildren(h("li", {}, none, "no peer holds it"), h("li", {}, "1 copy", ramp(), "most copies"));
      return;
    }
    legend.replaceChildren(...LEGENDS[map.mode].map(([name, words]) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = `var(--${name})`;
      return h("li", {}, swatch, words);
    }));
  }

  function showMap() {
    showLegend();
    if (!pieces) return;
    const peer = pieces.peers.find(({ address }) => address === peerChoice.value) ?? null;
    const { had, flying, unheld, missing } = summary(pieces);
    const words = `${format.count(had)} of ${format.count(pieces.count)} here${flying ? `, ${format.count(flying)} in flight` : ""}${unheld ? `, ${format.count(unheld)} held by no peer` : ""}`;
    say(counts, words);
    map.summary = words;
    map.show(pieces, peer);
    rarityPanel.hidden = missing === 0;
    showRarities();
  }

  function showRarities() {
    const levels = rarity(pieces);
    const most = Math.max(1, ...levels);
    const entries = levels.map((number, copies) => ({ number, copies })).filter(({ number, copies }) => number > 0 || copies === 0);
    const rows = entries.filter(({ number }) => number > 0);
    const flat = rows.flatMap((row) => ["word", "bar", "number"].map((kind) => ({ kind, ...row })));
    reconcile(rarities, flat, ({ kind, copies }) => `${kind}${copies}`,
      ({ kind, copies }) => {
        if (kind === "bar") return bar(copies === 0 ? "none" : "");
        if (kind === "number") return h("dd", { class: "number" });
        return h("dt", { class: copies === 0 ? "none" : "" }, copies === 0 ? "no copy" : copies === 1 ? "1 copy" : copies === MANY_COPIES ? `${copies} or more` : `${copies} copies`);
      },
      (node, { kind, number }) => {
        if (kind === "bar") fillBar(node, number / most);
        if (kind === "number") say(node, format.plural(number, "piece"));
      });
  }

  function showPeers(addresses) {
    const shown = addresses.join();
    for (const control of [peerChoice, peerFilter]) {
      if (control.dataset.shown === shown) continue;
      control.dataset.shown = shown;
      const now = control.value;
      const kept = now && !addresses.includes(now) ? [now, ...addresses] : addresses;
      control.replaceChildren(h("option", { value: "" }, control === peerChoice ? "Choose a peer" : "Any peer"),
        ...kept.map((address) => h("option", { value: address }, format.foreign(address))));
      control.value = now;
    }
  }

  // The strategy and its decisions
  const name = h("strong");
  const options = h("div", { class: "options" });
  const change = app.canWrite && button("Change…", () => strategyDialog(app, torrent()));
  const peerFilter = choice([["", "Any peer"]], "", { "aria-label": "Decisions about this peer", on: { change: () => { filter.peer = peerFilter.value; showDecisions(); } } });
  const pieceFilter = h("input", { type: "text", inputmode: "numeric", placeholder: "Any piece", "aria-label": "Decisions about this piece", autocomplete: "off",
    on: { input: () => { const number = Number.parseInt(pieceFilter.value, 10); filter.piece = Number.isNaN(number) ? null : number; filter.pieces = 1; showDecisions(); } } });
  const follow = button("Hold still", () => {
    isFollowing = !isFollowing;
    mark(follow, "aria-pressed", String(!isFollowing));
    if (isFollowing) showDecisions();
  }, { "aria-pressed": "false" });
  const list = h("ol", { class: "decisions", tabindex: "0", "aria-label": "Decisions, newest first" });
  const none = h("p", { class: "empty" });
  const decisionPanel = h("section", { class: "panel", "aria-label": "What the strategy is doing and why" },
    h("header", {}, h("h2", {}, "What the strategy is doing"), change && h("div", { class: "end" }, change)),
    h("div", { class: "strategy" }, name, options),
    h("div", { class: "row" }, h("div", { class: "grow" }, peerFilter), h("div", { class: "grow" }, pieceFilter), follow),
    none, list);
  none.style.marginTop = "12px";
  list.style.marginTop = "12px";

  function choosePiece(piece, each) {
    filter.piece = piece;
    filter.pieces = each;
    pieceFilter.value = each > 1 ? `${piece}–${piece + each - 1}` : String(piece);
    showDecisions();
  }

  function token(words, press, label) {
    return h("button", { type: "button", class: "token", "aria-label": label, on: { click: press } }, words);
  }

  function choosePeer(peer) {
    filter.peer = peer;
    peerFilter.value = peer;
    if (peerFilter.value !== peer) {
      peerFilter.append(h("option", { value: peer }, format.foreign(peer))); // it has left
      peerFilter.value = peer;
    }
    showDecisions();
  }

  function makeDecision(decision) {
    const words = parted(format.foreign(decision.text), decision).map(({ text, kind }) => {
      if (kind === "piece") return token(text, () => choosePiece(decision.piece, 1), `Only decisions about ${text}`);
      if (kind === "peer") return token(text, () => choosePeer(decision.peer), `Only decisions about ${text}`);
      return text;
    });
    const reasons = (decision.reasons ?? []).map((reason) => h("li", {}, format.foreign(reason)));
    return h("li", {}, h("time", {}, format.clock(decision.time)), h("div", {}, h("p", {}, ...words), reasons.length ? h("ul", { class: "why" }, ...reasons) : null));
  }

  function showDecisions() {
    const found = decisions.filter((decision) =>
      (!filter.peer || decision.peer === filter.peer) &&
      (filter.piece === null || (decision.piece >= filter.piece && decision.piece < filter.piece + filter.pieces)));
    const shown = found.slice(-SHOWN).reverse();
    reconcile(list, shown, (decision) => decision.key, makeDecision, () => {});
    list.hidden = !shown.length;
    none.hidden = Boolean(shown.length);
    say(none, decisions.length ? "No decision of the last ones is about that."
      : torrent()?.progress >= 1 ? "It is complete: there is nothing left to decide." : "No decision yet. They come when peers have room for requests.");
  }

  function take(found) {
    if (found.length && found[0].number <= latest) decisions = []; // it begins anew, and so do the numbers
    const seen = new Map();
    for (const decision of found) {
      const base = `${decision.number} ${decision.time} ${decision.piece} ${decision.peer}`;
      seen.set(base, (seen.get(base) ?? 0) + 1);
      decisions.push({ ...decision, key: `${base} ${seen.get(base)}` });
      latest = decision.number;
    }
    decisions.splice(0, decisions.length - KEPT);
  }

  async function refresh() {
    turn += 1;
    const [found, answer] = await Promise.all([
      turn % PIECE_TURNS === 0 ? get(torrentPath(id, "/pieces")) : null,
      get(torrentPath(id, `/decisions?since=${latest}`)),
    ]);
    if (found) {
      pieces = readPieces(found);
      showPeers(pieces.peers.map(({ address }) => address));
      showMap();
    }
    take(answer.decisions);
    if (isFollowing) showDecisions();
  }

  function update() {
    const scheduler = torrent()?.scheduler;
    say(name, scheduler?.name ?? "no strategy yet");
    const shown = JSON.stringify(scheduler?.options ?? {});
    if (options.dataset.shown !== shown) {
      options.dataset.shown = shown;
      options.replaceChildren(...Object.entries(scheduler?.options ?? {}).map(([key, value]) => h("code", {}, format.foreign(`${key} = ${typeof value === "string" ? value : JSON.stringify(value)}`))));
    }
  }

  showLegend();
  const element = h("div", { class: "split" }, h("div", { class: "stack" }, mapPanel, rarityPanel), decisionPanel);
  return { element, seconds: 1, refresh, update, themed: () => map.themed(), close: () => map.close() };
}

