// The settings of one torrent, and the facts about it that do not change.

import { patch, torrentPath } from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { button, field } from "../parts.js";
import { limitFields, readLabels } from "./changing.js";

export function settingsPart(app, torrent) {
  const now = torrent();
  const fields = limitFields(now.limits ?? {});
  const labels = h("input", { type: "text", value: (now.labels ?? []).join(", "), autocomplete: "off" });
  const place = h("input", { type: "text", inputmode: "numeric", value: now.queue_position ?? "", autocomplete: "off" });
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const save = h("button", { type: "submit", class: "first" }, "Save");

  async function send(event) {
    event.preventDefault();
    fault.hidden = true;
    save.disabled = true;
    try {
      const change = { limits: fields.read(), labels: readLabels(labels.value) };
      if (place.value.trim() !== String(torrent().queue_position ?? "")) {
        const number = Number(place.value);
        if (!Number.isInteger(number) || number < 0) throw new RangeError("A place in the queue is a whole number from 0");
        change.queue_position = number;
      }
      await patch(torrentPath(now.id), change);
      app.tell("Saved");
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    } finally {
      save.disabled = false;
    }
  }

  const form = h("form", { class: "stack", on: { submit: send } },
    h("fieldset", { disabled: !app.canWrite }, h("div", { class: "fields" }, ...fields.elements,
      field("Labels", labels, "Parted by commas"), field("Place in the queue", place, "0 comes first"))),
    fault, app.canWrite ? h("div", { class: "row" }, save) : h("p", { class: "note" }, "This token may only look."));
  const facts = [
    ["Info-hash", now.info_hash && h("code", {}, now.info_hash)],
    ["Magnet link", now.magnet && magnetRow(app, now.magnet)],
    ["Folder", now.folder && h("code", {}, format.foreign(now.folder))],
    ["Data", now.path && h("code", {}, format.foreign(now.path))],
    ["Pieces", now.pieces ? `${format.count(now.pieces)} of ${format.size(now.piece_length)}` : null],
    ["Private", now.private ? "yes: only its own trackers are told" : "no"],
    ["Added", now.added_at && `${format.date(now.added_at)}${now.origin === "file" ? ", by the configuration file" : ""}`],
    ["Completed", now.completed_at && format.date(now.completed_at)],
    ["Created", (now.created_at || now.created_by) && [now.created_at && format.date(now.created_at), now.created_by && `with ${format.foreign(now.created_by)}`].filter(Boolean).join(", ")],
    ["Comment", now.comment && format.foreign(now.comment)],
  ].filter(([, value]) => value);
  const element = h("div", { class: "columns" },
    h("section", { class: "panel", "aria-label": "Limits and labels" }, h("header", {}, h("h2", {}, "Limits and labels")), form),
    h("section", { class: "panel", "aria-label": "Facts" }, h("header", {}, h("h2", {}, "Facts")),
      h("dl", { class: "facts" }, ...facts.flatMap(([word, value]) => [h("dt", {}, word), h("dd", {}, value)]))));
  return { element };
}

function magnetRow(app, magnet) {
  const copy = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(magnet);
      app.tell("The magnet link is copied");
    } catch {
      app.tell("The browser copies only over HTTPS or from this machine: use the link’s own menu");
    }
  });
  return h("span", { class: "row" }, magnet.startsWith("magnet:") ? h("a", { href: magnet }, "magnet link") : null, copy);
}
