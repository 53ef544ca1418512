// The node's log, live.

import { Stream } from "../api.js";
import { h, mark } from "../dom.js";
import * as format from "../format.js";
import { button, choice } from "../parts.js";

const MOST_LINES = 2000;
const SEVERITIES = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

export function logView(app) {
  let isFollowing = true;
  const list = h("ol", { class: "lines", tabindex: "0", "aria-label": "Log lines, oldest first" });
  const severity = choice(SEVERITIES.slice(0, 4).map((each) => [each, each === "DEBUG" ? "Everything" : `${each.toLowerCase()} and above`]), "DEBUG", { "aria-label": "Severity", on: { change: () => filter() } });
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the log", on: { input: () => filter() } });
  const follow = button("Follow", () => setFollowing(!isFollowing), { "aria-pressed": "true" });
  const clear = button("Clear", () => { list.replaceChildren(); none.hidden = false; }, { class: "plain" });
  const none = h("p", { class: "empty" }, "Nothing is logged yet.");
  const element = h("section", { class: "panel", "aria-label": "Log" }, h("h1", { class: "unseen" }, "Log"),
    h("div", { class: "toolbar" }, severity, h("div", { class: "search" }, search), h("div", { class: "row end" }, clear, follow)), none, list);
  severity.style.width = "auto";

  function setFollowing(value) {
    isFollowing = value;
    mark(follow, "aria-pressed", String(value));
    if (value) list.scrollTop = list.scrollHeight;
  }

  const isShown = (line) => SEVERITIES.indexOf(line.dataset.level) >= SEVERITIES.indexOf(severity.value) && (!search.value || line.textContent.toLowerCase().includes(search.value.toLowerCase()));

  function filter() {
    for (const line of list.children) line.hidden = !isShown(line);
    if (isFollowing) list.scrollTop = list.scrollHeight;
  }

  function heard(name, line) {
    if (!line?.message) return;
    none.hidden = true;
    const level = String(line.severity ?? "INFO").toUpperCase();
    const item = h("li", { "data-level": level }, h("time", {}, format.clock(line.time)), h("b", {}, level.toLowerCase()),
      h("span", {}, line.logger ? h("span", { class: "faint" }, `${format.foreign(line.logger)} `) : null, format.foreign(line.message)));
    item.hidden = !isShown(item);
    list.append(item);
    while (list.children.length > MOST_LINES) list.firstChild.remove();
    if (isFollowing) list.scrollTop = list.scrollHeight;
  }

  list.addEventListener("wheel", (event) => event.deltaY < 0 && isFollowing && setFollowing(false), { passive: true });
  let isFirst = true;
  const stream = new Stream("/log", {
    event: heard,
    opened: () => {
      if (!isFirst) list.replaceChildren(); // the kept lines come again
      isFirst = false;
    },
    lost: (fault) => { if (fault && !fault.isLost) app.fail(fault); },
  });
  return { title: "Log", element, close: () => stream.close() };
}
