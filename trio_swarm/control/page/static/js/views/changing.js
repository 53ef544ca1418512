// Dialogs that change torrents: limits, labels, place, strategy, removal.

import { ask, patch, post, torrentPath } from "../api.js";
import { h } from "../dom.js";
import * as format from "../format.js";
import { check, choice, dialog, field } from "../parts.js";

function names(torrents) {
  return torrents.length === 1 ? `“${format.foreign(torrents[0].name)}”` : format.plural(torrents.length, "torrent");
}

async function each(torrents, work) {
  for (const torrent of torrents) await work(torrent);
}

/** A rate as it stands in a field: empty for none. */
export function rateInput(bytes, properties = {}) {
  return h("input", { type: "text", inputmode: "text", autocomplete: "off", placeholder: "unlimited", value: format.exactRate(bytes), ...properties });
}

function numberOf(text, words, { isWhole = false, least = 0 } = {}) {
  const written = text.trim().replace(",", ".");
  if (!written) return null;
  const number = Number(written);
  if (!Number.isFinite(number) || number < least || (isWhole && !Number.isInteger(number))) {
    throw new RangeError(`${words}: “${text.trim()}” is no ${isWhole ? "whole number" : "number"} of ${least} or more`);
  }
  return number;
}

/** The fields of a torrent's own limits; `read()` gives them as the API takes them. */
export function limitFields(limits = {}) {
  const own = { placeholder: "as the node" };
  const download = rateInput(limits.download_rate, own);
  const upload = rateInput(limits.upload_rate, own);
  const number = (value) => h("input", { type: "text", inputmode: "decimal", autocomplete: "off", value: value ?? "", ...own });
  const slots = number(limits.upload_slots);
  const ratio = number(limits.seed_ratio);
  const hours = number(limits.seed_for === null || limits.seed_for === undefined ? null : Math.round(limits.seed_for / 36) / 100);
  return {
    elements: [
      field("Download", download, "2 MiB/s, 20 Mbit; empty: only the node’s own limit"),
      field("Upload", upload, "The same"),
      field("Upload slots", slots, "Peers that are served at once"),
      field("Seed until ratio", ratio, "Stops when so many times its size was given"),
      field("Seed for hours", hours, "Stops after so long"),
    ],
    read: () => ({
      download_rate: format.parseRate(download.value),
      upload_rate: format.parseRate(upload.value),
      upload_slots: numberOf(slots.value, "Upload slots", { isWhole: true, least: 1 }),
      seed_ratio: numberOf(ratio.value, "Seed until ratio"),
      seed_for: hours.value.trim() ? numberOf(hours.value, "Seed for hours") * 3600 : null,
    }),
  };
}

export function limitsDialog(app, torrents) {
  const fields = limitFields(torrents.length === 1 ? torrents[0].limits : {});
  dialog({
    title: `Limits of ${names(torrents)}`,
    content: [h("div", { class: "fields" }, ...fields.elements)],
    sendWords: "Set limits",
    send: async () => {
      const limits = fields.read();
      await each(torrents, ({ id }) => patch(torrentPath(id), { limits }));
      app.tell("The limits hold now");
    },
  });
}

/** Labels as a person writes them: parted by commas, each once. */
export function readLabels(text) {
  return [...new Set(text.split(",").map((label) => label.trim()).filter(Boolean))];
}

export function labelsDialog(app, torrents) {
  const common = (torrents[0].labels ?? []).filter((label) => torrents.every((torrent) => (torrent.labels ?? []).includes(label)));
  const input = h("input", { type: "text", value: common.join(", "), autocomplete: "off" });
  dialog({
    title: `Labels of ${names(torrents)}`,
    content: [field("Labels", input, torrents.length > 1 ? "Parted by commas. They take the place of the labels each has now." : "Parted by commas")],
    sendWords: "Set labels",
    send: () => each(torrents, ({ id }) => patch(torrentPath(id), { labels: readLabels(input.value) })),
  });
}

export function moveDialog(app, torrents) {
  const input = h("input", { type: "text", value: torrents[0].folder ?? "", required: true, autocomplete: "off", spellcheck: "false" });
  const data = check("Move the data there", true);
  dialog({
    title: `Move ${names(torrents)}`,
    content: [
      field("Folder on the node’s machine", input, "It must be one of the folders that the node allows"),
      data.element,
      h("p", { class: "hint" }, "Without it the node looks for data that is in the new folder already."),
    ],
    sendWords: "Move",
    send: () => each(torrents, ({ id }) => post(torrentPath(id, "/move"), { folder: input.value.trim(), move_data: data.control.checked })),
  });
}

export function removeDialog(app, torrents, done) {
  const data = check("Delete its data as well", false);
  const fromFile = torrents.filter(({ origin }) => origin === "file");
  dialog({
    title: `Remove ${names(torrents)}?`,
    content: [
      fromFile.length > 0 && h("p", { class: "note" }, `${fromFile.length === 1 ? `“${format.foreign(fromFile[0].name)}” is` : `${fromFile.length} of them are`} named in the configuration file. The file is not changed; the node leaves ${fromFile.length === 1 ? "it" : "them"} out from now on.`),
      data.element,
      h("p", { class: "hint" }, "Only files of this torrent are deleted. Without the tick everything stays on the disk."),
    ].filter(Boolean),
    sendWords: "Remove",
    isDanger: true,
    send: async () => {
      await each(torrents, async ({ id }) => {
        await ask("DELETE", torrentPath(id, data.control.checked ? "?delete_data=true" : ""));
        app.known.change([], [id]);
      });
      done();
      app.changed();
    },
  });
}

/** The options of a strategy as lines `name = value`, values in JSON where they are none of text. */
export function writeOptions(options) {
  return Object.entries(options ?? {}).map(([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
}

export function readOptions(text) {
  const options = {};
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const [, name, value] = /^([\w-]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    if (!name) throw new RangeError(`“${line}” is no option: write name = value, one a line`);
    try {
      options[name] = JSON.parse(value);
    } catch {
      options[name] = value;
    }
  }
  return options;
}

export function strategyDialog(app, torrent) {
  const known = app.session.schedulers ?? [];
  const current = torrent.scheduler?.name ?? "";
  const all = [...new Set([current, ...known.map(nameOf)])].filter(Boolean);
  const name = choice(all.map((each) => [each, each]), current);
  const options = h("textarea", { rows: "4", spellcheck: "false", class: "mono" });
  options.value = writeOptions(torrent.scheduler?.options);
  name.addEventListener("change", () => {
    options.value = name.value === current ? writeOptions(torrent.scheduler?.options) : "";
  });
  dialog({
    title: "Strategy of this download",
    content: [
      field("Strategy", name, "The download goes on; what is in flight is kept"),
      field("Options", options, "One a line: name = value. Empty: the strategy’s own defaults"),
    ],
    sendWords: "Change",
    send: async () => {
      const scheduler = { name: name.value, options: readOptions(options.value) };
      await patch(torrentPath(torrent.id), { scheduler });
      app.tell(`${scheduler.name} decides now`);
    },
  });
}

function nameOf(entry) {
  return typeof entry === "string" ? entry : entry.name;
}
