// What the page asks of its node. Every failure becomes a Fault: one line for people.

import { EventReader, pauseBefore } from "./stream.js";
import { foreign } from "./format.js";

const ROOT = "/api/v1";
const LONGEST_WAIT = 30_000;
const SILENCE = 60_000;
/* Milliseconds: a stream says something at least every 15 s, if only a comment. */

/** A request that did not do what was asked; `code` and `status` as the node said, or `lost`. */
export class Fault extends Error {
  constructor(message, code, status = 0, answer = null) {
    super(message);
    this.code = code;
    this.status = status;
    this.answer = answer;
  }

  get isLost() {
    return this.code === "lost";
  }
}

async function faultOf(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // No JSON: the status says what there is to say.
  }
  const told = answer?.error;
  const message = told?.message ? foreign(told.message) : `The node answered ${response.status}`;
  return new Fault(message, told?.code ?? String(response.status), response.status, answer);
}

async function send(path, options) {
  try {
    return await fetch(ROOT + path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (options?.signal?.aborted && options.signal.reason?.name !== "TimeoutError") throw error;
    throw new Fault("The node does not answer", "lost");
  }
}

/** Ask; returns the JSON of the answer, or null where it has none. */
export async function ask(method, path, body) {
  const response = await send(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(LONGEST_WAIT),
  });
  if (!response.ok) throw await faultOf(response);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

/**
 * Show a token, or `user:password`, and get a cookie for it: scripts cannot read it, and links to files
 * and streams work with it.
 */
export async function logIn(secret) {
  const bytes = new TextEncoder().encode(secret);
  const authorization = secret.includes(":") ? `Basic ${btoa(String.fromCharCode(...bytes))}` : `Bearer ${secret}`;
  if (/[^\x20-\x7e]/.test(authorization)) throw new Fault("That is not the token or password of this node", "wrong-token", 401);
  const response = await send("/login", { method: "POST", headers: { Authorization: authorization }, signal: AbortSignal.timeout(LONGEST_WAIT) });
  if (!response.ok) throw await faultOf(response);
  remember("logged-in", "yes");
}

/** End the cookie. */
export async function logOut() {
  await post("/logout");
  remember("logged-in", "");
}

/** Whether this page got its cookie here: then it can be ended here. */
export function isLoggedIn() {
  try {
    return localStorage.getItem("logged-in") === "yes";
  } catch {
    return false;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing shows no way to log out; closing it does.
  }
}

export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body);
export const patch = (path, body) => ask("PATCH", path, body);

/** The path of one torrent, or of a part of it. */
export function torrentPath(id, part = "") {
  return `/torrents/${encodeURIComponent(id)}${part}`;
}

/** The address of a file, each part of its path encoded. */
export function fileAddress(id, path) {
  const parts = path.split("/").map(encodeURIComponent).join("/");
  return `${ROOT}${torrentPath(id)}/files/${parts}`;
}

/**
 * Listen to a stream of events until `close()`. A lost connection is told by `lost(fault, seconds)`
 * and comes back by itself; `retry()` tries at once.
 */
export class Stream {
  #aborter = null;
  #timer = null;
  #attempt = 0;
  #isClosed = false;

  constructor(path, { event, opened, lost }) {
    this.path = path;
    this.listeners = { event, opened, lost };
    this.#run();
  }

  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#aborter?.abort();
  }

  retry() {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#run();
  }

  async #run() {
    const fault = await this.#listen();
    if (this.#isClosed) return;
    this.#attempt += 1;
    const seconds = pauseBefore(this.#attempt);
    this.listeners.lost?.(fault, seconds);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, seconds * 1000);
  }

  async #listen() {
    this.#aborter = new AbortController();
    let silence = null;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => this.#aborter.abort(), SILENCE);
    };
    try {
      heard();
      const response = await send(this.path, {
        headers: { Accept: "text/event-stream" },
        signal: this.#aborter.signal,
      });
      if (!response.ok) return await faultOf(response);
      await this.listeners.opened?.();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        heard();
        this.#attempt = 0;
        for (const { name, data } of events.feed(value)) {
          if (this.#isClosed) return null;
          this.listeners.event(name, JSON.parse(data));
        }
      }
      return new Fault("The node ended the connection", "lost");
    } catch (error) {
      return error instanceof Fault ? error : new Fault("The connection to the node was lost", "lost");
    } finally {
      clearTimeout(silence);
      this.#aborter.abort();
    }
  }
}
