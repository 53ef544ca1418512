// The node itself: what it is, its limits, and its configuration file.

import { patch, post } from "../api.js";
import { h, say } from "../dom.js";
import * as format from "../format.js";
import { Curve, button, dialog, field } from "../parts.js";
import { rateInput } from "./changing.js";

export function nodeView(app) {
  const curve = new Curve("Rates of all torrents in the last five minutes");
  const facts = h("dl", { class: "facts" });
  const limits = limitsPanel(app);
  const file = filePanel(app);
  const stop = app.canWrite && h("section", { class: "panel", "aria-label": "Stop" }, h("header", {}, h("h2", {}, "Stop")),
    h("div", { class: "row" }, h("p", { class: "grow faint" }, "Trackers are told, and what is not written yet is saved. Nobody can start it again from here."), button("Stop this node…", () => stopDialog(app), { class: "danger" })));
  const element = h("section", {}, h("h1", { class: "unseen" }, "Node"),
    h("div", { class: "columns" },
      h("div", { class: "stack" },
        h("section", { class: "panel", "aria-label": "Rates" }, h("header", {}, h("h2", {}, "All torrents")), h("div", { class: "curve-place" }, curve.element)),
        h("section", { class: "panel", "aria-label": "About this node" }, h("header", {}, h("h2", {}, "This node")), facts)),
      h("div", { class: "stack" }, limits.element, file, stop)));
  let shown = "";

  function update() {
    curve.draw(app.known.total);
    const { session } = app;
    const minutes = Math.floor(Date.now() / 60000);
    const key = `${JSON.stringify(session)} ${minutes} ${app.known.torrents.size}`;
    if (key === shown) return;
    shown = key;
    const entries = [
      ["Version", session.version],
      ["Running for", format.duration(Date.now() / 1000 - session.started_at)],
      ["Listens at", (session.addresses ?? []).join(", ") || `port ${session.port}`],
      ["Torrents", Object.entries(session.torrents ?? {}).filter(([, number]) => number).map(([state, number]) => `${number} ${format.state(state)}`).join(", ")],
      ["Received", `${format.size(session.downloaded)} since the start`],
      ["Sent", `${format.size(session.uploaded)} since the start`],
      ["Trackers", (session.trackers ?? []).map(format.foreign).join(", ")],
      ["Downloads go to", session.download_folder && h("code", {}, format.foreign(session.download_folder))],
      ["Until complete in", session.incomplete_folder && h("code", {}, format.foreign(session.incomplete_folder))],
      ["State is kept in", session.state_folder && h("code", {}, format.foreign(session.state_folder))],
      ["Configuration", session.config_file ? h("code", {}, format.foreign(session.config_file)) : "no file"],
      ["This page may", session.access === "full" ? "look and change" : "only look"],
    ].filter(([, value]) => value);
    facts.replaceChildren(...entries.flatMap(([word, value]) => [h("dt", {}, word), h("dd", {}, value)]));
    limits.update();
  }

  return { title: "Node", element, update };
}

function limitsPanel(app) {
  const download = rateInput(null);
  const upload = rateInput(null);
  const number = () => h("input", { type: "text", inputmode: "numeric", autocomplete: "off", placeholder: "unlimited" });
  const downloads = number();
  const seeds = number();
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const save = h("button", { type: "submit", class: "first" }, "Save");
  const alternative = h("p", { class: "hint" });
  let isTouched = false;

  function read(input, words) {
    const text = input.value.trim();
    if (!text) return null;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0) throw new RangeError(`${words}: “${text}” is no whole number`);
    return value;
  }

  async function send(event) {
    event.preventDefault();
    fault.hidden = true;
    save.disabled = true;
    try {
      await patch("/session", {
        download_rate: format.parseRate(download.value),
        upload_rate: format.parseRate(upload.value),
        max_active_downloads: read(downloads, "Downloads at once"),
        max_active_seeds: read(seeds, "Seeds at once"),
      });
      isTouched = false;
      await app.reloadSession();
      app.tell("The limits hold now");
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    } finally {
      save.disabled = false;
    }
  }

  const form = h("form", { class: "stack", on: { submit: send, input: () => { isTouched = true; } } },
    h("fieldset", { disabled: !app.canWrite }, h("div", { class: "fields" },
      field("Download", download, "2 MiB/s, 20 Mbit; empty: unlimited"), field("Upload", upload, "The same"),
      field("Downloads at once", downloads, "The others wait in the queue"), field("Seeds at once", seeds, "The same"))),
    alternative, fault,
    app.canWrite ? h("div", { class: "row" }, save) : h("p", { class: "note" }, "This token may only look."));

  function update() {
    const { limits, alternative: other } = app.session;
    if (!isTouched) {
      download.value = format.exactRate(limits?.download_rate);
      upload.value = format.exactRate(limits?.upload_rate);
      downloads.value = limits?.max_active_downloads ?? "";
      seeds.value = limits?.max_active_seeds ?? "";
    }
    alternative.hidden = !other;
    if (other) say(alternative, `Alternative limits ${other.active ? "hold now" : "are off"}: download ${format.limit(other.download_rate)}, upload ${format.limit(other.upload_rate)}.`);
  }

  return { element: h("section", { class: "panel", "aria-label": "Limits" }, h("header", {}, h("h2", {}, "Limits")), form), update };
}

function filePanel(app) {
  if (!app.session.config_file) return null;
  const result = h("div", { class: "stack" });
  const element = h("section", { class: "panel", "aria-label": "Configuration file" });

  async function look() {
    await app.attempt(async () => showPlan(await post("/reload?dry_run=true")));
  }

  function showPlan(plan) {
    const apply = button("Apply", async () => {
      await app.attempt(async () => {
        const done = await post("/reload");
        if (done.errors?.length) showPlan(done);
        else {
          result.replaceChildren(h("p", { class: "note", role: "status" }, `Applied ${format.plural(done.changes.length, "change")}.`));
          await app.load();
        }
      });
    }, { class: "first" });
    if (plan.errors?.length) {
      result.replaceChildren(h("p", { class: "fault", role: "alert" }, `Nothing can be applied: ${format.plural(plan.errors.length, "mistake")} in the file.`),
        h("ul", {}, ...plan.errors.map((error) => h("li", {}, format.foreign(typeof error === "string" ? error : `${error.key ? `${error.key}: ` : ""}${error.message}`)))));
      return;
    }
    if (!plan.changes.length) {
      result.replaceChildren(h("p", { class: "note", role: "status" }, "The file says what holds already."));
      return;
    }
    const value = (each) => (each === null || each === undefined ? "–" : format.foreign(typeof each === "string" ? each : JSON.stringify(each)));
    result.replaceChildren(
      h("div", { class: "scroll cards" }, h("table", { class: "changes", role: "table", "aria-label": "What would change" },
        h("thead", {}, h("tr", {}, ...["Key", "Now", "Then", "How"].map((words) => h("th", { scope: "col" }, words)))),
        h("tbody", {}, ...plan.changes.map((change) => h("tr", { role: "row" }, h("td", { role: "cell", class: "whole" }, format.foreign(change.key)),
          h("td", { role: "cell", "data-word": "now" }, value(change.was)), h("td", { role: "cell", "data-word": "then" }, value(change.will_be)), h("td", { role: "cell", class: "whole faint" }, value(change.how))))))),
      app.canWrite ? h("div", { class: "row" }, apply, button("Leave it", () => result.replaceChildren())) : null);
  }

  element.append(
    h("header", {}, h("h2", {}, "Configuration file")),
    h("p", { class: "faint" }, h("code", {}, format.foreign(app.session.config_file)), " is read again; only what differs is changed, and nothing if it has a mistake. It is never written."));
  const row = h("div", { class: "row" }, button("Show what would change", look, { disabled: !app.canWrite }));
  row.style.margin = "12px 0";
  element.append(row, result);
  return element;
}

function stopDialog(app) {
  dialog({
    title: "Stop this node?",
    content: [h("p", {}, "All transfers end. Whoever started the node, or its supervisor, has to start it again.")],
    sendWords: "Stop it",
    isDanger: true,
    send: async () => {
      await post("/stop");
      app.tell("The node stops");
    },
  });
}
