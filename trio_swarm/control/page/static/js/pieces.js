// A torrent's pieces as cells of a map. Pure.

/** One byte for each piece, 1 where the bit is set. The first piece is the highest bit (BEP 3). */
export function bits(hex, count) {
  const flags = new Uint8Array(count);
  for (let index = 0; index < count; index += 4) {
    const digit = Number.parseInt(hex[index >> 2] ?? "0", 16) || 0;
    for (let bit = 0; bit < 4 && index + bit < count; bit += 1) {
      flags[index + bit] = (digit >> (3 - bit)) & 1;
    }
  }
  return flags;
}

/** The bytes that hex digits stand for. */
export function bytes(hex) {
  const found = new Uint8Array(hex.length >> 1);
  for (let index = 0; index < found.length; index += 1) {
    found[index] = Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16) || 0;
  }
  return found;
}

const BEGUN = 1;
/* The state of a piece that is asked for, or of which blocks are here. */

/**
 * The API's map of pieces as arrays with an entry for each piece: `have`, `flying`, `available` (how
 * many peers hold it), and the same `have` of each peer.
 */
export function readPieces({ states, holders, have, peers }) {
  const found = bytes(states);
  const count = found.length;
  return {
    count,
    have: bits(have, count),
    flying: found.map((state) => (state === BEGUN ? 1 : 0)),
    available: bytes(holders),
    peers: (peers ?? []).map((peer) => ({ address: peer.address, have: bits(peer.pieces, count) })),
  };
}

/** Columns, rows, size of a cell in pixels and pieces in a cell, for a map in a box. */
export function grid(count, width, height, largest = 16, smallest = 5) {
  if (count < 1 || width < smallest) return { columns: 0, rows: 0, cell: smallest, each: 1, cells: 0 };
  for (let cell = largest; cell >= smallest; cell -= 1) {
    const columns = Math.floor(width / cell);
    if (columns * Math.floor(height / cell) >= count || cell === smallest) {
      const room = columns * Math.max(1, Math.floor(height / cell));
      const each = Math.max(1, Math.ceil(count / room));
      const cells = Math.ceil(count / each);
      return { columns, rows: Math.ceil(cells / columns), cell, each, cells };
    }
  }
  throw new RangeError("unreachable");
}

/**
 * What each cell shows, from flags and copies of each piece: shares from 0 to 1 of had and in flight,
 * the fewest copies among pieces that are missing (-1: none is missing), and among all.
 */
export function cells(pieces, each) {
  const { count, have, flying, available } = pieces;
  const length = Math.ceil(count / each);
  const had = new Float32Array(length);
  const asked = new Float32Array(length);
  const rarestMissing = new Int32Array(length).fill(-1);
  const rarest = new Int32Array(length).fill(-1);
  for (let cell = 0; cell < length; cell += 1) {
    const from = cell * each;
    const to = Math.min(count, from + each);
    for (let piece = from; piece < to; piece += 1) {
      const copies = available[piece] ?? 0;
      if (rarest[cell] < 0 || copies < rarest[cell]) rarest[cell] = copies;
      if (have[piece]) had[cell] += 1;
      else {
        if (flying[piece]) asked[cell] += 1;
        if (rarestMissing[cell] < 0 || copies < rarestMissing[cell]) rarestMissing[cell] = copies;
      }
    }
    had[cell] /= to - from;
    asked[cell] /= to - from;
  }
  return { had, asked, rarestMissing, rarest };
}

/** The share of each cell that a peer holds, and that it holds and we miss. */
export function heldCells(pieces, held, each) {
  const length = Math.ceil(pieces.count / each);
  const holds = new Float32Array(length);
  const useful = new Float32Array(length);
  for (let piece = 0; piece < pieces.count; piece += 1) {
    if (!held[piece]) continue;
    const cell = Math.floor(piece / each);
    const part = 1 / Math.min(each, pieces.count - cell * each);
    holds[cell] += part;
    if (!pieces.have[piece]) useful[cell] += part;
  }
  return { holds, useful };
}

export const MANY_COPIES = 10;

/** How many missing pieces have 0, 1, 2 … copies; the last entry counts all with more. */
export function rarity(pieces, levels = MANY_COPIES) {
  const counts = new Array(levels + 1).fill(0);
  for (let piece = 0; piece < pieces.count; piece += 1) {
    if (!pieces.have[piece]) counts[Math.min(levels, pieces.available[piece] ?? 0)] += 1;
  }
  return counts;
}

/** The counts of a map in numbers. */
export function summary(pieces) {
  let had = 0;
  let flying = 0;
  let unheld = 0;
  for (let piece = 0; piece < pieces.count; piece += 1) {
    if (pieces.have[piece]) had += 1;
    else {
      if (pieces.flying[piece]) flying += 1;
      if (!(pieces.available[piece] > 0)) unheld += 1;
    }
  }
  return { had, flying, unheld, missing: pieces.count - had };
}

/** A cell of a map in one sentence. */
export function describe(pieces, from, each, holders) {
  const to = Math.min(pieces.count, from + each) - 1;
  if (from === to) return `Piece ${from}: ${stateOf(pieces, from)}. ${copiesOf(pieces, from, holders)}`;
  let had = 0;
  let flying = 0;
  let fewest = Infinity;
  for (let piece = from; piece <= to; piece += 1) {
    if (pieces.have[piece]) had += 1;
    else {
      if (pieces.flying[piece]) flying += 1;
      fewest = Math.min(fewest, pieces.available[piece] ?? 0);
    }
  }
  const parts = [`Pieces ${from} to ${to}: ${had} of ${to - from + 1} here`];
  if (flying) parts.push(`${flying} in flight`);
  if (fewest !== Infinity) parts.push(`rarest missing has ${copies(fewest)}`);
  return `${parts.join(", ")}.`;
}

function stateOf(pieces, piece) {
  if (pieces.have[piece]) return "here";
  return pieces.flying[piece] ? "in flight" : "missing";
}

function copies(number) {
  return number === 1 ? "1 copy" : `${number} copies`;
}

const NAMED = 4;

function copiesOf(pieces, piece, holders) {
  const number = pieces.available[piece] ?? 0;
  if (!number) return "No connected peer holds it.";
  if (!holders.length) return `${copies(number)} among the peers.`;
  const named = holders.slice(0, NAMED).join(", ");
  const more = holders.length > NAMED ? ` and ${holders.length - NAMED} more` : "";
  return `Held by ${named}${more}.`;
}
