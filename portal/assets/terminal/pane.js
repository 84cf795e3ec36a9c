// One shell on the screen: what it prints, where it is, and whether it takes input now.

import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { Terminal } from "@xterm/xterm";

import { oneLine } from "./dialog.js";
import { clipboard, copy, follow, pasteable } from "./guard.js";
import { Link } from "./link.js";
import { Recording } from "./recording.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const TITLE_LETTERS = 40;

const THEMES = {
  dark: { background: "#0b151b", foreground: "#dfe9ec", cursor: "#5fd3cb", selectionBackground: "#2b4f58" },
  light: { background: "#fbfcfd", foreground: "#10222d", cursor: "#0a6670", selectionBackground: "#bfe0e0", black: "#10222d", brightBlack: "#5a6675", white: "#6b7480", brightWhite: "#39434f", yellow: "#7a5b00", brightYellow: "#7a5b00", green: "#1d6b34", brightGreen: "#1d6b34", cyan: "#0b6470", brightCyan: "#0b6470" },
};

// Takes back what a program in front may have asked of the terminal: its second screen, the mouse, marks around what is
// pasted, other keys, no cursor, colours. The cursor is saved first, as leaving the second screen brings it to where it was saved.
const MODES_OFF = "\x1b7\x1b[?1049l\x1b[?1000;1002;1003;1006;2004;1l\x1b>\x1b[?25h\x1b[0m";

// A terminal as all are here; those that only show take no keys.
export function newTerminal(options = {}) {
  const terminal = new Terminal({
    allowProposedApi: false,
    cursorBlink: true,
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    scrollback: 10000,
    theme: THEMES[dark.matches ? "dark" : "light"],
    // What such a link shows need not be where it leads: it is always asked about.
    linkHandler: { activate: (event, address) => follow(event, address) },
    ...options,
  });
  dark.addEventListener("change", () => (terminal.options.theme = THEMES[dark.matches ? "dark" : "light"]));
  return terminal;
}

export class Pane extends EventTarget {
  constructor({ name, vnode, path, session, leftMs, guest, watches, preferences, keys }) {
    super();
    Object.assign(this, { name, vnode, session, guest, watches, preferences, title: "", around: { viewers: 1, recording: false } });
    this.element = document.createElement("div");
    this.element.className = "pane";
    this.element.toggleAttribute("data-guest", guest);
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", `Terminal on ${name}`);
    this.head = document.createElement("p");
    this.head.className = "pane-head";
    this.place = document.createElement("div");
    this.place.className = "pane-screen";
    this.element.append(this.head, this.place);
    this.terminal = newTerminal({ fontSize: preferences.get("fontSize"), screenReaderMode: preferences.get("screenReader"), disableStdin: true });
    this.fit = new FitAddon();
    this.search = new SearchAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.search);
    this.terminal.loadAddon(new WebLinksAddon((event, address) => follow(event, address, address)));
    this.link = new Link(path, session, this, leftMs);
    this.listen(keys);
    this.state("waiting", "connecting…");
  }

  listen(keys) {
    const { terminal, preferences } = this;
    terminal.onData((text) => this.type(keys.held(text)));
    terminal.onResize(() => !this.guest && this.link.resize());
    terminal.onTitleChange((title) => {
      this.title = oneLine(title, TITLE_LETTERS);
      this.changed();
    });
    terminal.onSelectionChange(() => {
      if (preferences.get("copyOnSelect") && terminal.hasSelection()) copy(terminal.getSelection());
    });
    clipboard(terminal, this.name);
    this.place.addEventListener("focusin", () => this.dispatchEvent(new Event("focus")));
    this.place.addEventListener("paste", (event) => this.paste(event.clipboardData?.getData("text/plain") ?? "", event), { capture: true });
    this.likes = () => {
      terminal.options.fontSize = preferences.get("fontSize");
      terminal.options.screenReaderMode = preferences.get("screenReader");
      this.refit();
    };
    preferences.addEventListener("change", this.likes);
    this.observer = new ResizeObserver(() => this.refit());
  }

  // Once its element is in the page.
  open() {
    this.terminal.open(this.place);
    this.refit();
    this.observer.observe(this.place);
    this.link.connect();
  }

  // In a tab that is not shown there is no size to fit into. To a guest a shell is as large as its owner made it.
  refit() {
    if (this.place.offsetWidth && !this.guest) this.fit.fit();
  }

  focus() {
    this.terminal.focus();
  }

  close() {
    this.recording?.stop();
    this.link.close();
    this.observer.disconnect();
    this.preferences.removeEventListener("change", this.likes);
    this.terminal.dispose();
    this.element.remove();
  }

  async paste(text, event) {
    event?.preventDefault();
    event?.stopPropagation();
    const may = text && (await pasteable(text, this.name, this.preferences));
    if (may) this.terminal.paste(may);
    this.focus();
  }

  type(text) {
    if (!this.watches) this.link.type(text);
  }

  // What the link asks of a screen.

  size() {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  print(bytes, done) {
    this.recording?.print(bytes);
    this.terminal.write(bytes, done);
  }

  // What comes next begins anywhere, perhaps amid an escape: it comes onto a screen that is as new.
  gap(bytes) {
    this.terminal.reset();
    this.terminal.write(`\x1b[33m[${bytes} bytes are no longer kept]\x1b[0m\r\n`);
  }

  remark(text) {
    this.terminal.write(`${MODES_OFF}\r\n\x1b[33m[${text}]\x1b[0m\r\n`);
  }

  company(company) {
    this.around = company;
    if (this.guest && company.cols) this.terminal.resize(company.cols, company.rows);
    this.changed();
  }

  state(state, text, { via, worker, code } = {}) {
    this.status = { state, text, via, worker, code };
    this.terminal.options.disableStdin = state !== "open" || this.watches;
    this.element.dataset.state = state;
    this.changed();
  }

  changed() {
    const { viewers, recording } = this.around;
    const others = viewers - 1;
    const parts = [this.name, this.title, this.watches && "you only watch", others > 0 && (others === 1 ? "one more looks on" : `${others} more look on`), recording && "being recorded"];
    const said = parts.filter(Boolean);
    this.head.textContent = said.join(" · ");
    this.head.classList.toggle("says", said.length > (this.title ? 2 : 1));
    this.element.toggleAttribute("data-recording", recording);
    this.dispatchEvent(new Event("change"));
  }

  record() {
    const { cols, rows } = this.size();
    this.recording = new Recording({ cols, rows, title: this.name, screen: this.screenText() });
    const sized = this.terminal.onResize(({ cols, rows }) => this.recording?.resize(cols, rows));
    this.recording.onStop = () => {
      sized.dispose();
      this.recording = null;
      this.link.record(false);
      this.changed();
    };
    this.link.record(true);
    this.changed();
  }

  screenText() {
    const buffer = this.terminal.buffer.active;
    const lines = Array.from({ length: this.terminal.rows }, (_, row) => buffer.getLine(buffer.viewportY + row)?.translateToString(true) ?? "");
    return lines.join("\r\n").trimEnd();
  }

  // The whole text, for tests and for people who ask the console.
  text() {
    const buffer = this.terminal.buffer.normal;
    const lines = Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row).translateToString(true));
    return lines.join("\n").trimEnd();
  }
}
