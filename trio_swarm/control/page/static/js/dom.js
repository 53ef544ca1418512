// Elements from plain values. Text is always text: there is no way in here to write HTML.

const SVG = "http://www.w3.org/2000/svg";
const SAFE_LINK = /^(#|\/(?!\/)|magnet:)/;

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "class") element.setAttribute("class", value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else if (name === "href" || name === "src") {
      if (!SAFE_LINK.test(value)) throw new TypeError(`Not a link of this page: ${value}`);
      element.setAttribute(name, value);
    } else if (/^on/i.test(name) || name === "style" || name === "srcdoc") {
      throw new TypeError(`${name} is no attribute of this page`);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element. `on` holds listeners; children are nodes or text. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Set text, but touch nothing if it says this already: selections stay. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set or remove an attribute, if it differs. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const text = value === true ? "" : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** Run `change` and leave the focus where it was, if that element is still there. */
export function keepFocus(change) {
  const focused = document.activeElement;
  change();
  if (focused && focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
}

/**
 * Make the children of `parent` those of `items`, in order: nodes are kept by key, updated, and
 * moved only where they must be, so focus and selection live through it.
 */
export function reconcile(parent, items, keyOf, make, update) {
  const nodes = (parent.nodesByKey ??= new Map());
  keepFocus(() => {
    const kept = new Set(items.map(keyOf));
    for (const [key, node] of nodes) {
      if (!kept.has(key)) {
        nodes.delete(key);
        node.remove();
      }
    }
    let place = parent.firstChild;
    for (const item of items) {
      const key = keyOf(item);
      let node = nodes.get(key);
      if (!node) {
        node = make(item);
        nodes.set(key, node);
      }
      update(node, item);
      if (node === place) place = place.nextSibling;
      else parent.insertBefore(node, place);
    }
  });
}

/** A colour of the style sheet as the browser resolves it, for canvases. */
export function colour(name) {
  const probe = h("span", { class: "probe" });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}
