// The frame of the page: asks the node, listens to it, and shows the view that the address names.

import { Fault, Stream, get, isLoggedIn, logOut, patch } from "./api.js";
import { h, mark, say } from "./dom.js";
import { Known } from "./folding.js";
import * as format from "./format.js";
import { button, icon, repeat } from "./parts.js";
import { addDialog, takeDrops } from "./views/add.js";
import { logView } from "./views/log.js";
import { loginView } from "./views/login.js";
import { nodeView } from "./views/node.js";
import { torrentView } from "./views/torrent.js";
import { torrentsView } from "./views/torrents.js";
import { trackerView } from "./views/tracker.js";

const ROOMS = [
  { key: "torrents", words: "Torrents", view: (app, rest) => (rest.length ? torrentView(app, rest) : torrentsView(app)) },
  { key: "tracker", words: "Tracker", view: trackerView },
  { key: "node", words: "Node", view: nodeView },
  { key: "log", words: "Log", view: logView },
];
const NOTICE_SECONDS = 6;
const MOST_NOTICES = 4;
const SESSION_SECONDS = 15;
/* Limits change by schedule and by other remotes, too. */

const at = (id) => document.getElementById(id);

/** What the views share. */
class App {
  known = new Known();
  session = null;
  hasList = false;
  view = null;
  room = null;
  stream = null;
  addOpen = false;

  get canWrite() {
    return this.session?.access === "full";
  }

  go(address) {
    location.hash = address;
  }

  /** A line that goes away by itself. */
  tell(text) {
    this.#notice(text, "status");
  }

  /** What went wrong, in one line that stays until it is closed. A lost connection has its banner. */
  fail(error) {
    if (error instanceof Fault && error.status === 401) {
      this.askLogin();
      return;
    }
    if (error instanceof Fault && error.isLost) {
      this.stream?.retry();
      return;
    }
    if (!(error instanceof Fault)) console.error(error);
    this.#notice(error instanceof Fault || error instanceof RangeError ? error.message : `The page has a fault: ${error.message}`, "alert");
  }

  #notice(text, role) {
    const box = at("notices");
    for (const old of [...box.children]) if (old.firstChild.textContent === text) old.remove();
    while (box.children.length >= MOST_NOTICES) box.firstChild.remove();
    const notice = h("div", { class: role === "alert" ? "notice error" : "notice", role }, h("p", {}, text));
    notice.append(button(icon("close"), () => notice.remove(), { class: "plain", "aria-label": "Close this message" }));
    box.append(notice);
    if (role === "status") setTimeout(() => notice.remove(), NOTICE_SECONDS * 1000);
  }

  /** Run what a button asks for; tell what went wrong. Returns whether it was done. */
  async attempt(work, done) {
    try {
      await work();
      if (done) this.tell(done);
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }

  add(filled) {
    if (!this.canWrite || this.addOpen) return;
    this.addOpen = true;
    addDialog(this, filled, () => {
      this.addOpen = false;
    });
  }

  changed() {
    this.view?.update?.();
  }

  async load() {
    const [session, list] = await Promise.all([get("/session"), get("/torrents")]);
    this.session = session;
    this.known.replace(list.torrents);
    this.hasList = true;
    showFrame();
    if (!this.view || this.room === null) show();
    else this.changed();
  }

  async reloadSession() {
    this.session = await get("/session");
    showFrame();
    this.changed();
  }

  askLogin() {
    this.stream?.close();
    this.stream = null;
    this.session = null;
    this.hasList = false;
    closeView();
    this.room = null;
    showFrame();
    this.view = loginView(this, start);
    at("main").replaceChildren(this.view.element);
    this.view.focus();
  }
}

const app = new App();

function showFrame() {
  const isIn = app.session !== null;
  const rooms = isIn ? ROOMS.filter(({ key }) => key !== "tracker" || app.session.tracker) : [];
  const links = at("rooms");
  if (links.dataset.shown !== rooms.map(({ key }) => key).join()) {
    links.dataset.shown = rooms.map(({ key }) => key).join();
    links.replaceChildren(...rooms.map(({ key, words }) => h("a", { href: `#/${key}`, "data-room": key }, icon(key), words)));
  }
  for (const link of links.children) mark(link, "aria-current", link.dataset.room === app.room && "page");
  const slow = at("slow");
  slow.hidden = !isIn || !app.session.alternative || !app.canWrite;
  mark(slow, "aria-pressed", String(Boolean(app.session?.alternative?.active)));
  at("figures").hidden = !isIn;
  at("out").hidden = !isIn || !isLoggedIn();
}

function closeView() {
  app.view?.close?.();
  app.view = null;
}

function show() {
  if (!app.hasList) return;
  const parts = location.hash.replace(/^#\/?/, "").split("/").map(decode).filter(Boolean);
  const room = ROOMS.find(({ key }) => key === parts[0]) ?? ROOMS[0];
  const rest = parts.slice(1);
  if (app.room === room.key && app.view?.navigate?.(rest)) return;
  const isFirst = app.room === null;
  closeView();
  app.room = room.key;
  app.view = room.view(app, rest);
  at("main").replaceChildren(app.view.element);
  document.title = `${format.foreign(app.view.title)} · trio-swarm`;
  showFrame();
  app.changed();
  if (!isFirst) {
    window.scrollTo(0, 0);
    at("main").focus({ preventScroll: true });
  }
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function sample() {
  if (!app.hasList) return;
  const { down, up } = app.known.sample();
  say(at("down"), `↓ ${format.rate(down)}`);
  say(at("up"), `↑ ${format.rate(up)}`);
  app.changed();
}

function heard(name, data) {
  if (name !== "torrents") return;
  app.known.change(data.torrents ?? [], data.removed ?? []);
  app.changed();
}

function lost(fault, seconds) {
  if (fault?.status === 401) {
    app.askLogin();
    return;
  }
  const banner = at("banner");
  const line = fault && !fault.isLost ? fault.message : "The connection to the node is lost";
  banner.replaceChildren(
    `${line}. Trying again in ${Math.max(1, Math.round(seconds))} s.`,
    button("Try now", () => app.stream?.retry()),
  );
  banner.hidden = false;
}

async function opened() {
  at("banner").hidden = true;
  await app.load();
}

async function start() {
  try {
    await app.load();
  } catch (error) {
    if (error instanceof Fault && error.status === 401) {
      app.askLogin();
      return;
    }
    if (!(error instanceof Fault)) throw error;
    lost(error, 1);
  }
  app.stream?.close();
  app.stream = new Stream("/events?only=torrents", { event: heard, opened, lost });
}

function themeSwitch() {
  const themes = ["system", "light", "dark"];
  const words = { system: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;
  const current = () => root.dataset.theme ?? "system";
  const control = button("", () => {
    const next = themes[(themes.indexOf(current()) + 1) % themes.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Then it holds until the page is closed.
    }
    draw();
    app.view?.themed?.();
  }, { class: "plain", id: "theme" });
  const draw = () => {
    control.replaceChildren(icon(current()));
    control.setAttribute("aria-label", `Colours: ${words[current()]}`);
    control.title = `Colours: ${words[current()]}`;
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.view?.themed?.());
  return control;
}

function buildFrame() {
  at("figures").append(h("span", { class: "down", id: "down", title: "Received by all torrents" }), h("span", { class: "up", id: "up", title: "Sent by all torrents" }));
  const slow = button(h("span", { class: "unseen" }, "Alternative limits"), async () => {
    const isOn = !app.session.alternative.active;
    await app.attempt(async () => {
      await patch("/session", { alternative_limits: isOn });
      await app.reloadSession();
    }, isOn ? "The alternative limits hold now" : "The usual limits hold again");
  }, { class: "plain", id: "slow", drawing: "slow", title: "Alternative limits", hidden: true });
  const out = button(h("span", { class: "unseen" }, "Log out"), () => app.attempt(async () => {
    await logOut();
    app.askLogin();
  }), { class: "plain", id: "out", drawing: "out", title: "Log out", hidden: true });
  at("switches").append(slow, themeSwitch(), out);
  at("skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("main").focus();
  });
}

buildFrame();
showFrame();
takeDrops(app);
window.addEventListener("hashchange", show);
setInterval(sample, 1000);
repeat(SESSION_SECONDS, async () => {
  if (!app.hasList) return;
  try {
    await app.reloadSession();
  } catch (error) {
    if (!(error instanceof Fault)) throw error; // the stream of events tells of a node that is lost
  }
});
start();
