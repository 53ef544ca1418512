"use strict";
// Shows the numbers behind the panels: one time in all of them, and a row where the pointer is.
(() => {
  const figures = [...document.querySelectorAll("figure[data-reading]")].map((figure) => {
    const told = JSON.parse(figure.dataset.reading);
    const svg = figure.querySelector("svg");
    const size = svg.viewBox.baseVal;
    if (told.kind === "grid") {
      told.bytes = Uint8Array.from(atob(told.cells), (letter) => letter.charCodeAt(0));
    }
    const isTimed = told.kind === "curves" || told.kind === "grid";
    return { figure, told, svg, size, isTimed, output: figure.querySelector("output"), line: null };
  });
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);

  const times = (value) => `${value.toPrecision(3)} times the torrent`;
  const units = {
    part: (value) => `${(Math.floor(1000 * value) / 10).toFixed(1)} %`,
    rate: (value) => `${(value / 1048576).toFixed(2)} MiB/s`,
    percent: (value) => `${value} %`,
    copies: (value) => (value === 1 ? "1 copy" : `${value}${value === 254 ? " or more" : ""} copies`),
    doing: (value) => ["waits to start", "plays", "stalls"][value],
  };
  const clock = (seconds) => `${seconds.toFixed(seconds < 100 ? 2 : 1)} s`;

  function atCurves(told, seconds) {
    const said = [];
    for (const curve of told.curves) {
      const step = curve.times.length > 1 ? curve.times[1] - curve.times[0] : told.seconds;
      const index = curve.times.findLastIndex((time) => time <= seconds + step / 2);
      const value = index < 0 || seconds > curve.times[index] + step ? null : curve.values[index];
      if (value !== null) said.push(`${curve.name}: ${units[curve.unit](value)}`);
    }
    return said.join("\n");
  }

  function atGrid(told, seconds, row) {
    const rows = told.names.length;
    const column = Math.floor((seconds / told.end) * told.columns);
    if (!rows || row === null || !(column >= 0 && column < told.columns)) return "";
    const value = told.bytes[column * rows + Math.min(row, rows - 1)];
    const name = told.names[Math.min(row, rows - 1)];
    return `${name}: ${value === 255 ? "not there" : units[told.unit](value * told.step)}`;
  }

  function atBars(told, down) {
    const row = Math.floor(down * told.slots);
    if (!told.names[row]) return "";
    const each = told.titles.map((title, number) =>
      (told.titles.length > 1 ? `${title}: ` : "") + times(told.amounts[number][row]));
    return [told.names[row], ...each].join("\n");
  }

  function atMatrix(told, across, down) {
    const count = told.names.length;
    const [row, column] = [Math.floor(down * count), Math.floor(across * count)];
    if (!count || !told.sent[row]) return "";
    return `${told.names[row]} to ${told.names[column]}: ${times(told.sent[row][column])}`;
  }

  // How far right and down in the axes of a panel the pointer is, 0 to 1; null outside of them.
  function place(panel, event) {
    const matrix = panel.svg.getScreenCTM();
    if (!matrix) return null;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const [left, top, width, height] = panel.told.box;
    const across = (point.x / panel.size.width - left) / width;
    const down = (point.y / panel.size.height - top) / height;
    return across < 0 || across >= 1 || down < 0 || down >= 1 ? null : [across, down];
  }

  function draw(panel, seconds) {
    if (!panel.line) {
      panel.line = document.createElementNS(panel.svg.namespaceURI, "line");
      panel.line.setAttribute("class", "cursor");
      panel.svg.append(panel.line);
    }
    const [left, top, width, height] = panel.told.box;
    const x = (left + (seconds / panel.told.seconds) * width) * panel.size.width;
    const ends = { x1: x, x2: x, y1: top * panel.size.height, y2: (top + height) * panel.size.height };
    for (const [name, value] of Object.entries(ends)) panel.line.setAttribute(name, value);
    panel.line.style.display = "";
  }

  function clear() {
    tip.hidden = true;
    for (const panel of figures) {
      panel.output.textContent = "";
      if (panel.line) panel.line.style.display = "none";
    }
  }

  function show(panel, event) {
    const found = place(panel, event);
    clear();
    if (!found) return;
    const [across, down] = found;
    const { told } = panel;
    let said = "";
    if (panel.isTimed) {
      const seconds = across * told.seconds;
      const row = told.kind === "grid" ? Math.floor(down * told.names.length) : null;
      for (const other of figures.filter((each) => each.isTimed)) {
        draw(other, seconds);
        const isAlike = other.told.kind === "grid" && other.told.panel === told.panel;
        const text = other.told.kind === "curves"
          ? atCurves(other.told, seconds)
          : atGrid(other.told, seconds, isAlike ? row : null);
        other.output.textContent = [clock(seconds), text.replaceAll("\n", ", ")].filter(Boolean).join(" — ");
        if (other === panel) said = [clock(seconds), text].filter(Boolean).join("\n");
      }
    } else if (told.kind === "bars") {
      said = atBars(told, down);
    } else {
      said = atMatrix(told, across, down);
    }
    tip.textContent = said;
    tip.hidden = !said;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(event.clientX + 14, innerWidth - box.width - 6))}px`;
    tip.style.top = `${Math.max(0, Math.min(event.clientY + 14, innerHeight - box.height - 6))}px`;
  }

  for (const panel of figures) {
    panel.svg.addEventListener("pointermove", (event) => show(panel, event));
    panel.svg.addEventListener("pointerdown", (event) => show(panel, event));
    panel.svg.addEventListener("pointerleave", clear);
  }
})();
