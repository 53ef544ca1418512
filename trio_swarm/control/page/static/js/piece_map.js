// The map of pieces: a canvas that is read by pointer, by keyboard and, in words, by a screen reader.

import { colour, h, mark, say } from "./dom.js";
import { cells, describe, grid, heldCells } from "./pieces.js";

const HEIGHT = 300;
/* Pixels at most; more pieces than fit in it share cells. */

export class PieceMap {
  /** `chosen(piece)` is called when a cell is clicked, or Enter pressed on it. */
  constructor({ chosen }) {
    this.chosen = chosen;
    this.mode = "ours";
    this.pieces = null;
    this.peer = null;
    this.cursor = -1;
    this.canvas = h("canvas", {
      class: "map", tabindex: "0", role: "slider", "aria-label": "Piece map: arrow keys move, Enter shows decisions about a piece",
      "aria-valuemin": "0", "aria-valuenow": "0", "aria-valuemax": "0",
      on: {
        pointermove: (event) => this.#point(event),
        pointerleave: () => this.#move(document.activeElement === this.canvas ? this.cursor : -1),
        click: () => this.#choose(),
        keydown: (event) => this.#key(event),
        focus: () => this.#move(Math.max(0, this.cursor)),
        blur: () => this.#move(-1),
      },
    });
    this.about = h("p", { class: "map-about" });
    this.observer = new ResizeObserver(() => {
      this.draw();
      this.#tell();
    });
    this.observer.observe(this.canvas);
    this.themed();
  }

  close() {
    this.observer.disconnect();
  }

  themed() {
    this.colours = Object.fromEntries(
      ["accent-fill", "warn-fill", "bad-fill", "track", "ink", "give", "surface"].map((name) => [name, colour(`--${name}`)]),
    );
    this.draw();
  }

  show(pieces, peer) {
    this.pieces = pieces;
    this.peer = peer;
    this.draw();
    this.#tell();
  }

  draw() {
    const width = this.canvas.clientWidth;
    if (!width || !this.pieces) return;
    const shape = grid(this.pieces.count, width, HEIGHT);
    this.shape = shape;
    const scale = window.devicePixelRatio || 1;
    const height = Math.max(1, shape.rows) * shape.cell;
    const [pixelsWide, pixelsHigh] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== pixelsWide || this.canvas.height !== pixelsHigh) {
      this.canvas.width = pixelsWide;
      this.canvas.height = pixelsHigh;
      this.canvas.style.height = `${height}px`;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const gap = shape.cell > 7 ? 2 : 1;
    const paint = this.#painter(context, shape);
    for (let index = 0; index < shape.cells; index += 1) {
      const x = (index % shape.columns) * shape.cell;
      const y = Math.floor(index / shape.columns) * shape.cell;
      paint(index, x, y, shape.cell - gap);
    }
    if (this.cursor >= 0 && this.cursor < shape.cells) {
      context.strokeStyle = this.colours.ink;
      context.lineWidth = 2;
      const x = (this.cursor % shape.columns) * shape.cell;
      const y = Math.floor(this.cursor / shape.columns) * shape.cell;
      context.strokeRect(x, y, shape.cell - gap, shape.cell - gap);
    }
  }

  #painter(context, shape) {
    const { colours, pieces } = this;
    const box = (style, x, y, size, share = 1) => {
      if (!(share > 0)) return;
      context.fillStyle = style;
      const part = Math.max(1, Math.round(size * Math.min(1, share)));
      context.fillRect(x, y + size - part, size, part);
    };
    if (this.mode === "peer" && this.peer) {
      const { holds, useful } = heldCells(pieces, this.peer.have, shape.each);
      return (index, x, y, size) => {
        box(colours.track, x, y, size);
        box(colours["accent-fill"], x, y, size, holds[index]);
        box(colours.give, x, y, size, useful[index]);
      };
    }
    const state = cells(pieces, shape.each);
    if (this.mode === "rarity") {
      const most = Math.max(1, ...state.rarest);
      return (index, x, y, size) => box(copiesColour(state.rarest[index], most, colours), x, y, size);
    }
    return (index, x, y, size) => {
      const isUnheld = state.rarestMissing[index] === 0 && state.had[index] < 1;
      box(isUnheld ? colours["bad-fill"] : colours.track, x, y, size);
      box(colours["accent-fill"], x, y, size, state.had[index] + state.asked[index]);
      if (state.asked[index] > 0) {
        const above = state.had[index] > 0 ? Math.max(2, Math.round(size * state.asked[index])) : size;
        context.fillStyle = colours["warn-fill"];
        context.fillRect(x, y, size, Math.min(size, above));
      }
    };
  }

  #cell(event) {
    const { shape } = this;
    if (!shape?.cells) return -1;
    const column = Math.floor(event.offsetX / shape.cell);
    const index = Math.floor(event.offsetY / shape.cell) * shape.columns + column;
    return column < shape.columns && index < shape.cells ? index : -1;
  }

  #point(event) {
    this.#move(this.#cell(event));
  }

  #move(cell) {
    if (cell === this.cursor) return;
    this.cursor = cell;
    this.draw();
    this.#tell();
  }

  #tell() {
    if (!this.pieces || !this.shape) return;
    const piece = this.cursor * this.shape.each;
    const words = this.cursor < 0 ? "" : describe(this.pieces, piece, this.shape.each, this.#holders(piece));
    say(this.about, words || "Point at a piece, or use the arrow keys: who holds it, and how rare it is.");
    mark(this.canvas, "aria-valuemax", Math.max(0, this.pieces.count - 1));
    mark(this.canvas, "aria-valuenow", Math.max(0, piece));
    mark(this.canvas, "aria-valuetext", words || this.summary || "no piece chosen");
  }

  #holders(piece) {
    return (this.pieces.peers ?? []).filter((peer) => peer.have[piece]).map((peer) => peer.address);
  }

  #choose() {
    if (this.cursor >= 0) this.chosen(this.cursor * this.shape.each, this.shape.each);
  }

  #key(event) {
    const { shape } = this;
    if (!shape?.cells) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -shape.columns, ArrowDown: shape.columns, PageUp: -5 * shape.columns, PageDown: 5 * shape.columns, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#choose();
    } else if (event.key in steps) {
      event.preventDefault();
      this.#move(Math.max(0, Math.min(shape.cells - 1, this.cursor + steps[event.key])));
    }
  }
}

/* Viridis (Smith and van der Walt, 2015), as in `plot`: equal steps look equally large. */
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

export function copiesColour(copies, most, colours) {
  if (!(copies > 0)) return colours["bad-fill"];
  const place = most > 1 ? ((copies - 1) / (most - 1)) * (VIRIDIS.length - 1) : VIRIDIS.length - 1;
  const lower = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const part = place - lower;
  const mixed = VIRIDIS[lower].map((value, index) => Math.round(value + (VIRIDIS[lower + 1][index] - value) * part));
  return `rgb(${mixed.join(" ")})`;
}

/** A strip of the colours of copies, for the legend. */
export function ramp() {
  const canvas = h("canvas", { class: "ramp", width: "72", height: "12", "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  for (let x = 0; x < 72; x += 1) {
    context.fillStyle = copiesColour(1 + x, 72, {});
    context.fillRect(x, 0, 1, 12);
  }
  return canvas;
}
