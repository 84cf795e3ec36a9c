// The connection to one shell. The session lives at the worker: when a connection is lost, this comes back with the session
// and the position that it has read to, through whichever master answers. When the vnode has moved, the session has another
// shell: its worker says so. The worker waits for what this says that it has read, so nothing is lost on the way.

import { Watch } from "../watch.js";
import { ago } from "./shells.js";

const BACKOFF_MS_MAX = 1000;
// The worker sends no more than 256 KiB beyond what it heard of.
const ACKNOWLEDGE_BYTES = 32 << 10;
const TRIES_BEFORE_ASKING = 3;
// Masters take no long messages; a text that is pasted may be long.
const TYPED_BYTES_MAX = 64 << 10;
const encoder = new TextEncoder();

export const randomHex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Link {
  // `screen` shows and remarks; it has size(), print(bytes, done), gap(bytes), remark(text), and state(state, text, facts).
  constructor(socketPath, session, screen, leftMs) {
    this.path = socketPath;
    this.session = session;
    this.screen = screen;
    this.leftMs = leftMs;
    this.viewer = randomHex(8);
    // What the worker calls the shell, how far it was read, and where it is.
    this.shell = "";
    this.offset = 0;
    this.acknowledged = 0;
    this.worker = "";
    // How the present connection came, and whether it has a shell.
    this.way = null;
    this.attached = false;
    // Where the vnode is going.
    this.boundFor = "";
    this.backoff = 0;
    this.tries = 0;
    this.lostAt = 0;
    this.ended = false;
    this.recording = false;
    // A master that stands still is left as one that is gone: what is typed would come when it goes on.
    this.watch = new Watch(() => this.silent());
  }

  connect() {
    if (this.ended) return;
    this.attached = false;
    this.watch.begin();
    const { cols, rows } = this.screen.size();
    const place = `session=${this.session}&shell=${this.shell}&from=${this.offset}&viewer=${this.viewer}&cols=${cols}&rows=${rows}`;
    const socket = new WebSocket(`wss://${location.host}${this.path}${this.path.includes("?") ? "&" : "?"}${place}`);
    this.socket = socket;
    this.acknowledged = this.offset;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      if (socket !== this.socket) return;
      this.watch.heard();
      if (typeof data === "string") this.told(JSON.parse(data));
      else this.printed(data);
    });
    socket.addEventListener("close", () => socket === this.socket && this.lost());
  }

  // Bytes with the position of the first; what was printed already is left out.
  printed(data) {
    const start = Number(new DataView(data).getBigUint64(0));
    const bytes = new Uint8Array(data, 8);
    if (start > this.offset) {
      this.screen.gap(start - this.offset);
      this.offset = start;
    }
    if (start + bytes.length <= this.offset) return;
    const fresh = bytes.subarray(this.offset - start);
    this.offset = start + bytes.length;
    const position = this.offset;
    this.screen.print(fresh, () => this.acknowledge(position));
  }

  // What the screen has drawn is read.
  acknowledge(position) {
    if (position < this.acknowledged + ACKNOWLEDGE_BYTES || position > this.offset) return;
    this.acknowledged = position;
    this.tell({ read: position });
  }

  told({ via, attached, moving, exit, refused, company }) {
    if (via) {
      this.backoff = 0;
      this.tries = 0;
      this.way = via;
    }
    if (attached) this.settle(attached.shell ?? "", attached.oldest ?? 0);
    if (moving) this.follow(moving.to);
    if (company) this.screen.company(company);
    if (exit) this.finish(`The shell ended with code ${exit.code}.`, exit.code);
    if (refused) this.finish(`No terminal: ${refused.cause}.`);
  }

  settle(name, oldest) {
    const { way } = this;
    const lost = Math.max(oldest - this.offset, 0);
    const kept = lost ? `${lost} bytes are no longer kept` : "nothing lost";
    const seconds = this.lostAt ? ((performance.now() - this.lostAt) / 1000).toFixed(1) : 0;
    const [anew, moved] = [this.shell && this.shell !== name, this.worker !== way.worker];
    let how = this.lostAt ? `reattached through ${way.master} after ${seconds} s, ${kept}` : this.leftMs === undefined ? `connected through ${way.master}` : `back in the shell that you left ${ago(this.leftMs)}, through ${way.master}`;
    if (anew) {
      this.offset = 0;
      this.acknowledged = 0;
      const place = `${moved ? "moved to" : "still on"} ${way.worker}`;
      this.screen.remark(`${place}; a new shell there, the one before has ended`);
      how = `${place}, a new shell through ${way.master} after ${seconds} s`;
    }
    Object.assign(this, { shell: name, worker: way.worker, boundFor: "", lostAt: 0, attached: true });
    this.screen.state("open", way.leader ? `${how}; ${way.leader} leads` : how, { via: way.master, worker: way.worker });
    this.resize();
    if (this.recording) this.tell({ record: true });
  }

  // The shell ended with the place where the vnode was; the master ends the connection when it runs again.
  follow(to) {
    this.backoff = 0;
    if (!this.lostAt) this.lostAt = performance.now();
    const where = to === this.worker ? `starting again on ${to}` : `moving to ${to}`;
    if (this.boundFor !== to) this.screen.remark(`${where} …`);
    this.boundFor = to;
    this.screen.state("waiting", `${where}; nothing can be typed until it is there`, { worker: this.worker });
  }

  // The socket is let go of at once: its end would be heard of only much later.
  silent() {
    const { socket } = this;
    this.socket = null;
    socket.close();
    this.lost();
  }

  finish(text, code) {
    this.ended = true;
    this.watch.end();
    this.attached = false;
    this.screen.state("ended", text, { code });
  }

  lost() {
    if (this.ended) return;
    this.watch.end();
    this.attached = false;
    if (!this.lostAt) this.lostAt = performance.now();
    if (!this.boundFor) this.screen.state("waiting", "connection lost, reattaching; nothing can be typed", { worker: this.worker });
    this.timer = setTimeout(() => this.again(), this.backoff);
    this.backoff = Math.min(Math.max(this.backoff * 2, 100), BACKOFF_MS_MAX);
  }

  // A socket does not say why it was refused; the page it stands in does.
  async again() {
    this.tries += 1;
    if (this.tries % TRIES_BEFORE_ASKING === 0) {
      const page = await fetch(location.href, { redirect: "manual" }).catch(() => null);
      if (page?.type === "opaqueredirect" || page?.headers.has("refresh")) return this.finish("Your login has ended; the shell goes on. Log in again and reload this page.");
      if (page?.status === 404) return this.finish("It is not there any more, or not for you.");
    }
    this.connect();
  }

  // Leaves the shell, which goes on for whoever comes back.
  close() {
    this.ended = true;
    this.watch.end();
    clearTimeout(this.timer);
    this.socket?.close();
  }

  type(text) {
    if (!this.attached || this.socket?.readyState !== WebSocket.OPEN) return;
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length; at += TYPED_BYTES_MAX) this.socket.send(bytes.subarray(at, at + TYPED_BYTES_MAX));
  }

  tell(message) {
    if (this.attached && this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  resize() {
    this.tell({ resize: this.screen.size() });
  }

  record(records) {
    this.recording = records;
    this.tell({ record: records });
  }
}
