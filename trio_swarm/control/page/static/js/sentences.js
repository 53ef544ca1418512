// Sentences about a piece and a peer, parted where these are named. Pure.

/** Parts of a text in order: `{text, kind}` with the kind `piece`, `peer` or `words`. */
export function parted(text, { piece, peer }) {
  const names = [[`piece ${piece}`, "piece"], [peer, "peer"]].filter(([name, kind]) => (kind === "piece" ? Number.isInteger(piece) : name));
  let parts = [{ text, kind: "words" }];
  for (const [name, kind] of names) {
    parts = parts.flatMap((part) => (part.kind === "words" ? cut(part.text, name, kind) : [part]));
  }
  return parts;
}

/* A name counts where it stands alone: `piece 1` is not in `piece 12`. */
function cut(text, name, kind) {
  const at = text.indexOf(name);
  if (at < 0) return [{ text, kind: "words" }];
  const end = at + name.length;
  const [before, after] = [text.slice(0, at), text.slice(end)];
  if (/^[\w.:]*\w/.test(after) || /[\w:[]$/.test(before)) return [{ text, kind: "words" }];
  return [{ text: before, kind: "words" }, { text: name, kind }, { text: after, kind: "words" }].filter((part) => part.text);
}
