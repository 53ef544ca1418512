// Adding: a .torrent that is dropped or chosen, a magnet link that is pasted, a name that is typed.

import { post } from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { check, choice, dialog, field } from "../parts.js";
import { readLabels } from "./changing.js";

const LARGEST_FILE = 32 * 1024 * 1024;
/* Bytes of a .torrent file: those of the largest torrents have a few MiB. */
const MOST_FILES = 100;

export function addDialog(app, filled = {}, closed) {
  let files = filled.files ?? [];
  const what = h("input", { type: "text", value: filled.what ?? "", autocomplete: "off", spellcheck: "false", placeholder: "magnet:?xt=…" });
  const chooser = h("input", { type: "file", accept: ".torrent,application/x-bittorrent", multiple: true, "aria-label": ".torrent files", on: { change: () => setFiles([...chooser.files]) } });
  const listed = h("p", { class: "hint", hidden: true });
  const folder = h("input", { type: "text", placeholder: app.session.download_folder ?? "", autocomplete: "off", spellcheck: "false" });
  const labels = h("input", { type: "text", autocomplete: "off" });
  const strategies = (app.session.schedulers ?? []).map((each) => (typeof each === "string" ? each : each.name));
  const strategy = choice([["", "as the node"], ...strategies.map((name) => [name, name])], "");
  const paused = check("Add it paused", false);
  const seed = check("Go on sharing it when it is complete", true);

  function setFiles(now) {
    files = now.slice(0, MOST_FILES);
    listed.hidden = !files.length;
    listed.textContent = files.map(({ name }) => format.foreign(name)).join(", ");
  }
  setFiles(files);

  async function send() {
    const common = { paused: paused.control.checked, labels: readLabels(labels.value), seed: seed.control.checked };
    if (folder.value.trim()) common.folder = folder.value.trim();
    if (strategy.value) common.scheduler = { name: strategy.value, options: {} };
    if (!files.length && !what.value.trim()) throw new RangeError("Name something to add: a magnet link, a name, or a .torrent file");
    const bodies = [];
    if (what.value.trim()) bodies.push({ what: what.value.trim() });
    for (const file of files) bodies.push({ metainfo: await base64(file) });
    let added = null;
    for (const body of bodies) {
      added = await post("/torrents", { ...body, ...common });
      app.known.change([added]);
      if (body.metainfo) setFiles(files.slice(1));
      else what.value = "";
    }
    app.changed();
    app.tell(bodies.length > 1 ? `Added ${bodies.length} torrents` : `Added “${format.foreign(added.name)}”`);
  }

  dialog({
    title: "Add a torrent",
    content: [
      field("Magnet link, name or info-hash", what, "A name is looked up at the node’s trackers"),
      h("div", { class: "drop" }, "or drop .torrent files anywhere on this page, or choose them", chooser, listed),
      h("details", {}, h("summary", {}, "More"), h("div", { class: "stack" },
        h("div", { class: "fields" }, field("Folder", folder, "On the node’s machine"), field("Labels", labels, "Parted by commas"), field("Strategy", strategy)),
        seed.element)),
      paused.element,
    ],
    sendWords: "Add",
    send,
    closed,
  });
  what.focus();
  return { setFiles };
}

function base64(file) {
  if (file.size > LARGEST_FILE) return Promise.reject(new RangeError(`“${format.foreign(file.name)}” is too large for a .torrent file`));
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new RangeError(`“${format.foreign(file.name)}” cannot be read`));
    reader.readAsDataURL(file);
  });
}

/** Files dropped anywhere, and magnet links pasted outside of fields, open the dialog. */
export function takeDrops(app) {
  let depth = 0;
  const over = (isOver) => {
    depth = isOver ? depth : 0;
    document.body.classList.toggle("dropping", isOver);
  };
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event) || !app.canWrite) return;
    depth += 1;
    over(true);
  });
  document.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    over(false);
    const files = [...event.dataTransfer.files];
    const link = event.dataTransfer.getData("text/uri-list");
    if (files.length) reopen(app, { files });
    else if (link.startsWith("magnet:")) reopen(app, { what: link });
  });
  document.addEventListener("paste", (event) => {
    if (event.target.closest?.("input, textarea, dialog")) return;
    const text = event.clipboardData.getData("text").trim();
    if (/^magnet:\?|^[0-9a-f]{40}([0-9a-f]{24})?$/i.test(text)) reopen(app, { what: text });
  });
}

function reopen(app, filled) {
  document.querySelector("dialog[open]")?.close();
  queueMicrotask(() => setTimeout(() => app.add(filled)));
}
