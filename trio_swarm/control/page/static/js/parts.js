// Pieces of views that several of them show.

import { h, s, say, mark } from "./dom.js";
import { axisTop, line, HISTORY } from "./folding.js";
import * as format from "./format.js";

const ICONS = {
  torrents: "M4 6h16M4 12h16M4 18h10",
  tracker: "M12 12m-2 0a2 2 0 1 0 4 0a2 2 0 1 0-4 0M7.8 16.2a6 6 0 0 1 0-8.4M16.2 7.8a6 6 0 0 1 0 8.4M4.9 19.1a10 10 0 0 1 0-14.2M19.1 4.9a10 10 0 0 1 0 14.2",
  node: "M4 5h16v6H4zM4 14h16v6H4zM8 8h.01M8 17h.01",
  log: "M6 4h12v16H6zM9 8h6M9 12h6M9 16h3",
  add: "M12 5v14M5 12h14",
  pause: "M8 5v14M16 5v14",
  resume: "M7 4l12 8-12 8z",
  back: "M15 5l-7 7 7 7",
  light: "M12 12m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0M12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.500 10.500z",
  system: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  slow: "M4 15a8 8 0 0 1 16 0M12 15l-3.500-4M12 15h.01",
  close: "M6 6l12 12M18 6L6 18",
  out: "M10 4H5v16h5M14 8l4 4-4 4M18 12H9",
};

/** A small drawing beside a word; a screen reader does not hear of it. */
export function icon(name) {
  return s(
    "svg",
    { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.8",
      "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" },
    s("path", { d: ICONS[name] }),
  );
}

/** A button with words; `drawing` is the name of an icon. */
export function button(words, press, { drawing, ...properties } = {}) {
  return h("button", { type: "button", ...properties, on: { click: press } }, drawing && icon(drawing), words);
}

/** A bar that fills; its number stands beside it in words, so it is hidden from readers. */
export function bar(kind = "") {
  return h("span", { class: `bar ${kind}`.trim(), "aria-hidden": "true" });
}

export function fillBar(element, share, state) {
  const value = String(Math.round(Math.max(0, Math.min(1, share || 0)) * 1000) / 1000);
  if (element.style.getPropertyValue("--share") !== value) element.style.setProperty("--share", value);
  if (state !== undefined) mark(element, "data-state", state);
}

export function stateBadge() {
  return h("span", { class: "state" });
}

export function showState(element, torrent) {
  mark(element, "data-state", torrent.state);
  say(element, format.state(torrent.state));
}

/** Labels as small tags. */
export function labelTags(labels) {
  return (labels ?? []).map((label) => h("span", { class: "label" }, format.foreign(label)));
}

/** Two small lines: what came and what went, in the last minute. */
export function spark() {
  const element = s(
    "svg",
    { class: "spark", viewBox: "0 0 84 26", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("polyline", { class: "line-up" }),
    s("polyline", { class: "line-down" }),
  );
  return element;
}

const SPARK_SAMPLES = 60;

export function drawSpark(element, rates) {
  const down = rates ? rates.down.slice(-SPARK_SAMPLES) : [];
  const up = rates ? rates.up.slice(-SPARK_SAMPLES) : [];
  const top = Math.max(1024, ...down, ...up);
  const [upLine, downLine] = element.children;
  mark(upLine, "points", up.some((rate) => rate >= 1) ? line(up, SPARK_SAMPLES, 84, 26, top) : null);
  mark(downLine, "points", down.some((rate) => rate >= 1) ? line(down, SPARK_SAMPLES, 84, 26, top) : null);
}

const CURVE = { width: 600, height: 92 };

/** The course of both rates in five minutes, with its scale. */
export class Curve {
  constructor(words) {
    this.areas = ["area-up", "area-down"].map((name) => s("polygon", { class: name }));
    this.lines = ["line-up", "line-down"].map((name) => s("polyline", { class: name }));
    this.top = h("span", { class: "top-value" });
    const { width, height } = CURVE;
    const rules = [0, height / 2, height].map((y) => s("line", { class: "grid", x1: 0, x2: width, y1: y, y2: y }));
    this.drawing = s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      ...rules, ...this.areas, ...this.lines,
    );
    this.element = h(
      "figure", { class: "curve" }, this.top, this.drawing,
      h("figcaption", {}, h("span", {}, "5 min ago"), h("span", {}, h("span", { class: "down" }, "— received "),
        h("span", { class: "up" }, "— sent")), h("span", {}, "now")),
    );
  }

  draw(rates) {
    const top = axisTop(Math.max(1024, rates?.highest ?? 0));
    say(this.top, format.rate(top));
    const { width, height } = CURVE;
    [rates?.up ?? [], rates?.down ?? []].forEach((values, index) => {
      const points = values.length > 1 ? line(values, HISTORY, width, height, top) : "";
      mark(this.lines[index], "points", points || null);
      const from = points.split(",")[0];
      mark(this.areas[index], "points", points ? `${from},${height} ${points} ${width},${height}` : null);
    });
  }
}

/** A field with its name above it and a hint below. */
export function field(name, control, hint) {
  const id = `field-${(field.next = (field.next ?? 0) + 1)}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return h("div", { class: "field" }, h("label", { for: id }, name), control, hint && h("small", { id: `${id}-hint` }, hint));
}

export function check(name, isOn, properties = {}) {
  const control = h("input", { type: "checkbox", checked: isOn, ...properties });
  return { control, element: h("label", { class: "check" }, control, h("span", {}, name)) };
}

export function choice(options, chosen, properties = {}) {
  const element = h("select", properties, ...options.map(([value, words]) => h("option", { value }, words)));
  element.value = chosen;
  return element;
}

/** Head cells that sort a table; `sorting` is `{key, descending}`. */
export function sortableHead(columns, sorting, changed) {
  const cells = columns.map(({ key, words, kind = "", isLargestFirst }) => {
    const cell = h("th", { scope: "col", class: kind });
    if (!key) {
      cell.append(words);
      return cell;
    }
    cell.append(
      button(words, () => {
        const same = sorting.key === key;
        sorting.descending = same ? !sorting.descending : Boolean(isLargestFirst);
        sorting.key = key;
        show();
        changed();
      }),
    );
    cell.dataset.key = key;
    return cell;
  });
  const show = () => {
    for (const cell of cells) {
      const isSorted = cell.dataset.key === sorting.key;
      mark(cell, "aria-sort", isSorted && cell.dataset.key ? (sorting.descending ? "descending" : "ascending") : null);
    }
  };
  show();
  return { element: h("thead", {}, h("tr", {}, ...cells)), show };
}

/**
 * A dialog with a form. `send` may throw a Fault or RangeError: its line is shown, the dialog stays.
 * The browser keeps the focus inside and gives it back.
 */
export function dialog({ title, content, sendWords, send, kind = "", isDanger = false, closed }) {
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const heading = h("h2", { id: "dialog-title" }, title);
  const element = h("dialog", { class: kind, "aria-labelledby": "dialog-title" });
  const submit = send && h("button", { type: "submit", class: isDanger ? "danger" : "first" }, sendWords);
  const form = h(
    "form",
    {
      method: "dialog",
      on: {
        async submit(event) {
          event.preventDefault();
          if (!send) return element.close();
          submit.disabled = true;
          fault.hidden = true;
          try {
            await send();
            element.close();
          } catch (error) {
            fault.textContent = error.message;
            fault.hidden = false;
          } finally {
            submit.disabled = false;
          }
        },
      },
    },
    heading, ...content, fault,
    h("div", { class: "buttons" }, button(send ? "Cancel" : "Close", () => element.close()), submit),
  );
  element.append(form);
  element.addEventListener("close", () => {
    element.remove();
    closed?.();
  });
  document.body.append(element);
  element.showModal();
  return { element, fault };
}

/** Do something now and again, never two at once, and not while nobody looks at the page. */
export function repeat(seconds, work) {
  let timer = null;
  let isClosed = false;
  let isWorking = false;
  const turn = async () => {
    clearTimeout(timer);
    if (isWorking || isClosed) return;
    if (!document.hidden) {
      isWorking = true;
      await work();
      isWorking = false;
    }
    if (!isClosed) timer = setTimeout(turn, seconds * 1000);
  };
  const seen = () => document.hidden || turn();
  document.addEventListener("visibilitychange", seen);
  turn();
  return {
    now: turn,
    close() {
      isClosed = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
