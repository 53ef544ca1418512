// One torrent: its course, and in parts what the strategy does, peers, trackers, files, settings.

import { post, torrentPath } from "../api.js";
import { h, mark, say } from "../dom.js";
import * as format from "../format.js";
import { Curve, bar, button, fillBar, icon, labelTags, repeat, showState, stateBadge } from "../parts.js";
import { moveDialog, removeDialog } from "./changing.js";
import { filesPart } from "./files.js";
import { peersPart } from "./peers.js";
import { settingsPart } from "./settings.js";
import { strategyPart } from "./strategy.js";
import { trackersPart } from "./trackers.js";

const PARTS = [
  { key: "strategy", words: "Pieces and strategy", make: strategyPart },
  { key: "peers", words: "Peers", make: peersPart, number: (torrent) => torrent.peers },
  { key: "trackers", words: "Trackers", make: trackersPart },
  { key: "files", words: "Files", make: filesPart },
  { key: "settings", words: "Settings", make: settingsPart },
];

export function torrentView(app, rest) {
  const id = Number(rest[0]);
  const torrent = () => app.known.torrents.get(id);
  if (!torrent()) {
    return {
      title: "No such torrent",
      element: h("section", { class: "empty" }, h("strong", {}, "No such torrent"), h("a", { href: "#/torrents" }, "All torrents")),
      navigate: (now) => now[0] === rest[0] && !torrent(),
    };
  }
  let part = null;
  let isGone = false;
  const root = `#/torrents/${id}`;
  const heading = h("h1", {}, format.foreign(torrent().name));
  const badge = stateBadge();
  const error = h("span", { class: "bad" });
  const waits = h("span", { class: "waits" });
  const labels = h("span");
  const origin = h("span", { class: "faint" }, torrent().origin === "file" ? "named in the configuration file" : "");
  const pause = button("Pause", () => app.attempt(async () => {
    await post(torrentPath(id, torrent().state === "paused" ? "/resume" : "/pause"));
  }));
  const actions = h("div", { class: "row actions" });
  if (app.canWrite) {
    actions.append(
      pause,
      button("Verify", () => app.attempt(() => post(torrentPath(id, "/verify")), "Its data is verified again")),
      button("Ask trackers", () => app.attempt(() => post(torrentPath(id, "/reannounce")), "The trackers are asked now")),
      button("Move…", () => moveDialog(app, [torrent()])),
      button("Remove…", () => removeDialog(app, [torrent()], () => app.go("#/torrents")), { class: "danger" }),
    );
  }
  const progress = bar("tall");
  const figures = Object.fromEntries(["Done", "Down", "Up", "Left", "Peers", "Ratio"].map((words) => [words, h("dd")]));
  const curve = new Curve("Rates of the last five minutes");
  const tabs = h("nav", { class: "tabs", "aria-label": "Parts of this torrent" }, ...PARTS.map(({ key, words, number }) =>
    h("a", { href: `${root}/${key}`, "data-part": key }, words, number ? h("small", {}, "") : null)));
  const place = h("div");
  const element = h(
    "article", {},
    h("a", { class: "crumb", href: "#/torrents" }, icon("back"), "All torrents"),
    h("div", { class: "title" }, h("div", {}, heading, h("div", { class: "under" }, badge, error, waits, labels, origin)), actions),
    h("section", { class: "panel overview", "aria-label": "Overview" },
      h("div", {}, progress, h("dl", { class: "figures-row" }, ...Object.entries(figures).map(([words, value]) => h("div", {}, h("dt", {}, words), value)))),
      curve.element),
    tabs, place,
  );

  function open(key) {
    const kind = PARTS.find((each) => each.key === key) ?? PARTS[0];
    part?.close();
    part = kind.make(app, torrent);
    part.timer = part.refresh ? repeat(part.seconds, () => refresh(part)) : null;
    const { close } = part;
    part.close = function end() {
      this.timer?.close();
      close?.();
    };
    part.element.hidden = Boolean(part.refresh); // until there is something to show
    place.replaceChildren(part.element);
    for (const link of tabs.children) {
      const isCurrent = link.dataset.part === kind.key;
      mark(link, "aria-current", isCurrent && "true");
      if (isCurrent) tabs.scrollLeft = link.offsetLeft - tabs.offsetLeft - 40;
    }
    update();
  }

  async function refresh(one) {
    try {
      await one.refresh();
      one.element.hidden = false;
      if (one.note) one.note.hidden = true;
    } catch (error) {
      if (one === part) partFault(one, error);
    }
  }

  function partFault(one, error) {
    if (error.isLost || !error.status) return app.fail(error);
    if (error.status === 401) return app.fail(error);
    if (!one.note) {
      one.note = h("p", { class: "note" });
      place.prepend(one.note);
    }
    say(one.note, error.message);
    one.note.hidden = false;
    return null;
  }

  function figure(words, main, under) {
    const place2 = figures[words];
    if (!place2.firstChild) place2.append("", h("small"));
    if (place2.firstChild.data !== main) place2.firstChild.data = main;
    say(place2.lastChild, under);
  }

  function update() {
    const now = torrent();
    if (!now) {
      if (!isGone) {
        isGone = true;
        part?.close();
        place.replaceChildren(h("p", { class: "empty" }, "This torrent was removed."));
        actions.remove();
      }
      return;
    }
    say(heading, format.foreign(now.name));
    showState(badge, now);
    say(error, now.error ? format.foreign(now.error) : "");
    error.hidden = !now.error;
    say(waits, now.error ? "" : format.foreign(now.waits_for ?? ""));
    waits.hidden = !waits.textContent;
    const shown = (now.labels ?? []).join("\n");
    if (labels.dataset.shown !== shown) {
      labels.dataset.shown = shown;
      labels.replaceChildren(...labelTags(now.labels).flatMap((tag) => [tag, " "]));
    }
    const words = now.state === "paused" ? "Resume" : "Pause";
    if (pause.dataset.shown !== words) {
      pause.dataset.shown = words;
      pause.replaceChildren(icon(words.toLowerCase()), words);
    }
    fillBar(progress, now.progress, now.state);
    figure("Done", format.percent(now.progress), now.size ? `${format.size(now.have)} of ${format.size(now.size)}` : "size unknown yet");
    figure("Down", format.rate(now.download_rate), `${format.size(now.downloaded_ever ?? now.downloaded)} in all`);
    figure("Up", format.rate(now.upload_rate), `${format.size(now.uploaded_ever ?? now.uploaded)} in all`);
    figure("Left", now.progress >= 1 ? "–" : format.duration(now.eta), now.progress >= 1 ? (now.completed_at ? `complete ${format.date(now.completed_at)}` : "complete") : now.eta === null ? "not known" : "at this rate");
    figure("Peers", format.count(now.peers ?? 0), `${format.plural(now.seeders ?? 0, "seeder")} among them`);
    figure("Ratio", format.ratio(now.ratio), now.duplicate ? `${format.size(now.duplicate)} came twice` : "nothing came twice");
    curve.draw(app.known.rates.get(id));
    for (const link of tabs.children) {
      const { number } = PARTS.find(({ key }) => key === link.dataset.part);
      if (number) say(link.lastChild, ` ${format.count(number(now) ?? 0)}`);
    }
    part?.update?.();
  }

  open(rest[1]);
  return {
    title: torrent().name,
    element,
    update,
    navigate(now) {
      if (now[0] !== rest[0] || !torrent()) return false;
      if (now[1] !== rest[1]) {
        rest = now;
        open(now[1]);
      }
      return true;
    },
    themed: () => part?.themed?.(),
    close: () => part?.close(),
  };
}
