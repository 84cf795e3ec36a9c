// A terminal in the page. The session lives at the worker: when a connection is lost, this comes back with the
// session and the position that it has read to, through whichever master answers. When the vnode has moved, the session
// has another shell: its worker says so.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";

const BACKOFF_MS_MAX = 1000;
const place = document.getElementById("terminal");
const status = document.getElementById("terminal-status");
const tools = document.getElementById("terminal-tools");
const dark = matchMedia("(prefers-color-scheme: dark)");

const THEMES = {
  dark: { background: "#0b151b", foreground: "#dfe9ec", cursor: "#5fd3cb", selectionBackground: "#2b4f58" },
  light: { background: "#fbfcfd", foreground: "#10222d", cursor: "#0a6670", selectionBackground: "#bfe0e0", black: "#10222d", brightBlack: "#5a6675", white: "#6b7480", brightWhite: "#39434f", yellow: "#7a5b00", brightYellow: "#7a5b00", green: "#1d6b34", brightGreen: "#1d6b34", cyan: "#0b6470", brightCyan: "#0b6470" },
};

const terminal = new Terminal({
  allowProposedApi: false,
  cursorBlink: true,
  fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
  fontSize: 14,
  scrollback: 10000,
  theme: dark.matches ? THEMES.dark : THEMES.light,
});
const fit = new FitAddon();
const search = new SearchAddon();
terminal.loadAddon(fit);
terminal.loadAddon(search);
terminal.loadAddon(new WebLinksAddon());
terminal.open(place);
fit.fit();
terminal.focus();
dark.addEventListener("change", () => (terminal.options.theme = dark.matches ? THEMES.dark : THEMES.light));

// One session for each vnode and tab, so that a reload comes back to it.
const key = `docklet-terminal ${place.dataset.key}`;
let session = sessionStorage.getItem(key) ?? place.dataset.session;
sessionStorage.setItem(key, session);

let socket = null;
// What the worker calls the shell, how far it was read, and where it is.
let shell = "";
let offset = 0;
let worker = "";
// How the present connection came, and whether it has a shell.
let way = null;
let attached = false;
// Where the vnode is going.
let boundFor = "";
let backoff = 0;
let lostAt = 0;
let ended = false;

// Takes back what a program in front may have asked of the terminal: its second screen, the mouse, marks around what is
// pasted, other keys, no cursor, colours. The cursor is saved first, as leaving the second screen brings it to where it was saved.
const MODES_OFF = "\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;2004;1l\x1b>\x1b[?25h\x1b[0m";

function say(text, state = "waiting") {
  status.textContent = text;
  status.dataset.state = state;
}

function connect() {
  attached = false;
  const query = `&session=${session}&shell=${shell}&from=${offset}&cols=${terminal.cols}&rows=${terminal.rows}`;
  socket = new WebSocket(`wss://${location.host}${place.dataset.socket}${query}`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }) => (typeof data === "string" ? told(JSON.parse(data)) : printed(data)));
  socket.addEventListener("close", lost);
}

// Bytes with the position of the first; what was printed already is left out.
function printed(data) {
  const start = Number(new DataView(data).getBigUint64(0));
  const bytes = new Uint8Array(data, 8);
  if (start > offset) {
    terminal.write(`\r\n\x1b[33m[${start - offset} bytes are no longer kept]\x1b[0m\r\n`);
    offset = start;
  }
  if (start + bytes.length > offset) {
    terminal.write(bytes.subarray(offset - start));
    offset = start + bytes.length;
  }
}

function told({ via, attached, moving, exit, refused }) {
  if (via) {
    backoff = 0;
    way = via;
  }
  if (attached) settle(attached.shell ?? "");
  if (moving) follow(moving.to);
  if (exit) finish(`The shell ended with code ${exit.code}.`);
  if (refused) finish(`No terminal: ${refused.cause}.`);
}

function settle(name) {
  const seconds = lostAt ? ((performance.now() - lostAt) / 1000).toFixed(1) : 0;
  const [anew, moved] = [shell && shell !== name, worker !== way.worker];
  let how = lostAt ? `reattached through ${way.master} after ${seconds} s, nothing lost` : `connected through ${way.master}`;
  if (anew) {
    offset = 0;
    const place = `${moved ? "moved to" : "still on"} ${way.worker}`;
    remark(`${place}; a new shell there, the one before has ended`);
    how = `${place}, a new shell through ${way.master} after ${seconds} s`;
  }
  [shell, worker, boundFor, lostAt, attached] = [name, way.worker, "", 0, true];
  terminal.options.disableStdin = false;
  say(way.leader ? `${how}; ${way.leader} leads` : how, "open");
  status.dataset.via = way.master;
  status.dataset.worker = worker;
  resize();
}

// The shell ended with the place where the vnode was; the master ends the connection when it runs again.
function follow(to) {
  backoff = 0;
  if (!lostAt) lostAt = performance.now();
  delete status.dataset.via;
  terminal.options.disableStdin = true;
  const where = to === worker ? `starting again on ${to}` : `moving to ${to}`;
  if (boundFor !== to) remark(`${where} …`);
  boundFor = to;
  say(`${where}; nothing can be typed until it is there`);
}

function remark(text) {
  terminal.write(`${MODES_OFF}\r\n\x1b[33m[${text}]\x1b[0m\r\n`);
}

function finish(text) {
  ended = true;
  sessionStorage.removeItem(key);
  say(text, "ended");
  button("New shell", () => location.reload());
}

function lost() {
  if (ended) return;
  if (!lostAt) lostAt = performance.now();
  delete status.dataset.via;
  if (!boundFor) say("connection lost, reattaching…");
  setTimeout(connect, backoff);
  backoff = Math.min(Math.max(backoff * 2, 100), BACKOFF_MS_MAX);
}

function send(data) {
  if (attached && socket?.readyState === WebSocket.OPEN) socket.send(data);
}

function resize() {
  send(JSON.stringify({ resize: { cols: terminal.cols, rows: terminal.rows } }));
}

const encoder = new TextEncoder();
terminal.onData((text) => send(encoder.encode(held(text))));
terminal.onResize(resize);
new ResizeObserver(() => fit.fit()).observe(place);

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = label;
  made.addEventListener("click", () => {
    act(made);
    terminal.focus();
  });
  tools.append(made);
  return made;
}

const find = document.createElement("input");
find.type = "search";
find.placeholder = "Search";
find.setAttribute("aria-label", "Search in the terminal");
find.addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.shiftKey ? search.findPrevious(find.value) : search.findNext(find.value);
  if (event.key === "Escape") terminal.focus();
});
tools.append(find);
button("Copy", () => navigator.clipboard.writeText(terminal.getSelection()));
button("Paste", async () => terminal.paste(await navigator.clipboard.readText()));
button("A−", () => ((terminal.options.fontSize -= 1), fit.fit()));
button("A+", () => ((terminal.options.fontSize += 1), fit.fit()));
button("Screen reader", (made) => {
  terminal.options.screenReaderMode = !terminal.options.screenReaderMode;
  made.setAttribute("aria-pressed", String(terminal.options.screenReaderMode));
});
terminal.attachCustomKeyEventHandler((event) => {
  if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
  if (event.code === "KeyF") find.focus();
  else if (event.code === "KeyC") navigator.clipboard.writeText(terminal.getSelection());
  else return true;
  event.preventDefault();
  return false;
});

// Keys that the keyboards of phones lack. Ctrl is held until the next character.
const keys = document.getElementById("terminal-keys");
let ctrl = null;

function held(text) {
  if (ctrl?.getAttribute("aria-pressed") !== "true") return text;
  ctrl.setAttribute("aria-pressed", "false");
  return /^[a-z@[\\\]^_ ]$/i.test(text) ? String.fromCharCode(text.toUpperCase().charCodeAt(0) & 31) : text;
}

function extraKey(label, name, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = label;
  made.setAttribute("aria-label", name);
  // The keyboard stays open: the terminal keeps the focus.
  made.addEventListener("pointerdown", (event) => event.preventDefault());
  made.addEventListener("click", () => {
    press();
    terminal.focus();
  });
  keys.append(made);
  return made;
}

const arrow = (letter) => () => send(encoder.encode(`${terminal.modes.applicationCursorKeysMode ? "\x1bO" : "\x1b["}${letter}`));
extraKey("Esc", "Escape", () => send(encoder.encode("\x1b")));
extraKey("Tab", "Tab", () => send(encoder.encode("\t")));
ctrl = extraKey("Ctrl", "Control, for the next character", () => ctrl.setAttribute("aria-pressed", String(ctrl.getAttribute("aria-pressed") !== "true")));
ctrl.setAttribute("aria-pressed", "false");
extraKey("↑", "Up", arrow("A"));
extraKey("↓", "Down", arrow("B"));
extraKey("←", "Left", arrow("D"));
extraKey("→", "Right", arrow("C"));

// The whole text, for tests and for people who ask the console.
window.dockletTerminal = {
  text() {
    const buffer = terminal.buffer.normal;
    const lines = Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row).translateToString(true));
    return lines.join("\n").trimEnd();
  },
};
connect();
