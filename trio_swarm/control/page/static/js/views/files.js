// The files of a torrent: how much of each is here; each can be opened and kept while it downloads.

import { fileAddress, get, torrentPath } from "../api.js";
import { h, reconcile, say } from "../dom.js";
import * as format from "../format.js";
import { bar, button, dialog, fillBar } from "../parts.js";

const AT_ONCE = 500;
/* Rows: torrents of a hundred thousand files exist. */
const VIDEO = /\.(mp4|m4v|mov|webm|mkv|ogv)$/i;
const AUDIO = /\.(mp3|m4a|ogg|oga|opus|flac|wav|aac)$/i;

export function filesPart(app, torrent) {
  let files = [];
  let room = AT_ONCE;
  const { id } = torrent();
  const search = h("input", { type: "search", placeholder: "Search files", "aria-label": "Search files", on: { input: () => show() } });
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { role: "table", "aria-label": "Files" },
    h("thead", {}, h("tr", {}, ...["Path", "Size", "Here", "", "Open"].map((words) => h("th", { scope: "col", class: /Size|Here/.test(words) ? "number" : "" }, words || h("span", { class: "unseen" }, "Progress"))))), body);
  const more = button("", () => { room += AT_ONCE; show(); }, { class: "more" });
  const none = h("p", { class: "empty" }, "Its files are not known yet.");
  const hint = h("p", { class: "hint" }, "A file can be opened while it downloads: what is read next is fetched first.");
  hint.style.marginBottom = "8px";
  const element = h("section", { class: "panel cards files", "aria-label": "Files" }, h("div", { class: "toolbar" }, h("div", { class: "search" }, search)), hint, h("div", { class: "scroll" }, table), more, none);

  function show() {
    const words = search.value.toLowerCase();
    const found = files.filter(({ path }) => path.toLowerCase().includes(words));
    const shown = found.slice(0, room);
    const root = `${torrent()?.name}/`;
    const shared = files.every(({ path }) => path.startsWith(root)) ? root.length : 0;
    reconcile(body, shown, ({ path }) => path, (file) => makeRow(id, file, shared), showRow);
    more.hidden = found.length <= shown.length;
    say(more, `Show ${format.count(Math.min(AT_ONCE, found.length - shown.length))} more of ${format.count(found.length)}`);
    none.hidden = found.length > 0;
    say(none, files.length ? "No file is called like that." : "Its files are not known yet.");
    table.hidden = !found.length;
    search.parentNode.parentNode.hidden = files.length < 8;
    hint.hidden = !(torrent()?.progress < 1) || !files.length;
  }

  return {
    element,
    seconds: 2,
    async refresh() {
      files = (await get(torrentPath(id, "/files"))).files;
      show();
    },
  };
}

function makeRow(id, file, shared) {
  const parts = { here: h("td", { role: "cell", class: "number", "data-word": "here" }), bar: bar() };
  const name = format.foreign(file.path);
  const links = [
    h("a", { href: fileAddress(id, file.path), target: "_blank", rel: "noopener", "aria-label": `Open ${name}` }, "Open"),
    h("a", { href: fileAddress(id, file.path), download: file.path.split("/").pop(), "aria-label": `Download ${name}` }, "Download"),
  ];
  const kind = VIDEO.test(file.path) ? "video" : AUDIO.test(file.path) ? "audio" : null;
  if (kind) links.unshift(h("button", { type: "button", class: "token", "aria-label": `Play ${name}`, on: { click: () => play(id, file, kind) } }, "Play"));
  const row = h("tr", { role: "row" },
    h("td", { role: "cell", class: "path whole", title: name }, ...parted(file.path.slice(shared))),
    h("td", { role: "cell", class: "number", "data-word": "size" }, format.size(file.length)),
    parts.here,
    h("td", { role: "cell", class: "whole" }, parts.bar),
    h("td", { role: "cell", class: "whole" }, h("span", { class: "row" }, ...links)));
  row.parts = parts;
  return row;
}

/** The folders of a path, fainter than the name of its file. */
function parted(path) {
  const cut = path.lastIndexOf("/") + 1;
  return [cut > 0 && h("span", {}, format.foreign(path.slice(0, cut))), format.foreign(path.slice(cut))].filter(Boolean);
}

function showRow(row, file) {
  const share = file.length ? file.have / file.length : 1;
  say(row.parts.here, format.percent(share));
  fillBar(row.parts.bar, share, share >= 1 ? "done" : "downloading");
}

function play(id, file, kind) {
  const fault = h("p", { class: "note", hidden: true }, "The browser cannot play this file. Open or download it instead.");
  const player = h(kind, { src: fileAddress(id, file.path), controls: true, autoplay: true, on: { error: () => { fault.hidden = false; } } });
  dialog({
    title: format.foreign(file.path.split("/").pop()),
    kind: "wide",
    content: [player, fault],
    closed: () => {
      player.removeAttribute("src");
      player.load();
    },
  });
}
