// Tabs of terminals, each split into as many panes as somebody likes. A node of a tab is a pane, or two nodes beside or
// above each other. How it is laid out, and which session each pane has, is kept for a reload.

import { randomHex } from "./link.js";
import { Pane } from "./pane.js";

const SHARE_MIN = 0.1;
const PANES_MAX = 12;

export class Desk extends EventTarget {
  // `open` makes the settings of a pane: of a vnode and a session.
  constructor({ place, strip, storageKey, open }) {
    super();
    Object.assign(this, { place, strip, storageKey, open, tabs: [], active: null });
    strip.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) this.show(this.tabs[(this.tabs.indexOf(this.tab) + step + this.tabs.length) % this.tabs.length], { keepFocus: true });
    });
  }

  get tab() {
    return this.tabs.find((tab) => panesOf(tab.root).includes(this.active)) ?? this.tabs[0];
  }

  get panes() {
    return this.tabs.flatMap((tab) => panesOf(tab.root));
  }

  // Whether there is something to restore.
  isKept() {
    return this.kept().length > 0;
  }

  // As it was before the reload, or one pane: of a shell that was left so long ago, if it is one.
  restore(vnode, session, leftMs) {
    const kept = this.kept();
    if (kept.length === 0) this.addTab(vnode, session, leftMs);
    for (const { root } of kept) {
      const tab = this.newTab();
      tab.root = this.grow(root);
      this.draw(tab);
    }
    this.show(this.tabs[0]);
  }

  kept() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(this.storageKey) ?? "[]");
      return kept.filter(({ root }) => isLayout(root));
    } catch {
      return [];
    }
  }

  keep() {
    const live = (node) => (node.pane ? (node.pane.status.state === "ended" ? null : { vnode: node.pane.vnode, session: node.pane.session }) : pair(node, live(node.first), live(node.second)));
    const kept = this.tabs.map(({ root }) => ({ root: live(root) })).filter(({ root }) => root);
    sessionStorage.setItem(this.storageKey, JSON.stringify(kept));
  }

  grow(node) {
    if (node.vnode) return { pane: this.newPane(node.vnode, node.session) };
    return { way: node.way, share: node.share, first: this.grow(node.first), second: this.grow(node.second) };
  }

  newPane(vnode, session = randomHex(16), leftMs = undefined) {
    const pane = new Pane({ ...this.open(vnode, session), leftMs });
    pane.addEventListener("focus", () => this.activate(pane));
    pane.addEventListener("change", () => this.changed(pane));
    return pane;
  }

  newTab() {
    const tab = { id: `terminal-tab-${randomHex(4)}`, button: document.createElement("button"), panel: document.createElement("div") };
    tab.button.type = "button";
    tab.button.setAttribute("role", "tab");
    tab.button.id = tab.id;
    tab.panel.className = "panel";
    tab.panel.id = `${tab.id}-panel`;
    tab.panel.setAttribute("role", "tabpanel");
    tab.panel.setAttribute("aria-labelledby", tab.id);
    tab.button.setAttribute("aria-controls", tab.panel.id);
    tab.button.addEventListener("click", () => this.show(tab));
    this.strip.append(tab.button);
    this.place.append(tab.panel);
    this.tabs.push(tab);
    return tab;
  }

  addTab(vnode, session, leftMs) {
    if (this.isFull()) return;
    const tab = this.newTab();
    tab.root = { pane: this.newPane(vnode, session, leftMs) };
    this.draw(tab);
    this.show(tab);
  }

  // Puts another pane beside ("row") or below ("column") the active one.
  split(way, vnode) {
    if (this.isFull()) return;
    const { tab, active } = this;
    const node = nodeOf(tab.root, active);
    const fresh = { pane: this.newPane(vnode) };
    Object.assign(node, { pane: undefined, way, share: 0.5, first: { pane: active }, second: fresh });
    this.draw(tab);
    this.activate(fresh.pane);
    fresh.pane.focus();
  }

  isFull() {
    return this.panes.length >= PANES_MAX;
  }

  // Ends the view of the active pane. Its shell hangs up when nobody has looked at it for a week.
  closeActive() {
    const { tab, active } = this;
    if (this.panes.length === 1) return;
    active.close();
    if (tab.root.pane === active) {
      const at = this.tabs.indexOf(tab);
      tab.button.remove();
      tab.panel.remove();
      this.tabs.splice(at, 1);
      this.show(this.tabs[Math.max(0, at - 1)]);
    } else {
      const parent = parentOf(tab.root, active);
      const rest = parent.first.pane === active ? parent.second : parent.first;
      const next = panesOf(rest)[0];
      Object.assign(parent, { pane: undefined, way: undefined, first: undefined, second: undefined }, rest);
      this.draw(tab);
      this.activate(next);
      next.focus();
    }
    this.keep();
  }

  // A new shell in place of one that ended.
  renew() {
    const { tab, active } = this;
    const node = nodeOf(tab.root, active);
    node.pane = this.newPane(active.vnode);
    active.close();
    this.draw(tab);
    this.activate(node.pane);
    node.pane.focus();
  }

  step(by) {
    const { panes } = this;
    const next = panes[(panes.indexOf(this.active) + by + panes.length) % panes.length];
    this.activate(next);
    this.showTab(this.tab);
    next.focus();
  }

  show(tab, { keepFocus = false } = {}) {
    const panes = panesOf(tab.root);
    if (!panes.includes(this.active)) this.activate(tab.last && panes.includes(tab.last) ? tab.last : panes[0]);
    this.showTab(tab);
    if (keepFocus) tab.button.focus();
    else this.active.focus();
  }

  showTab(shown) {
    for (const tab of this.tabs) {
      const selected = tab === shown;
      tab.panel.hidden = !selected;
      tab.button.setAttribute("aria-selected", String(selected));
      tab.button.tabIndex = selected ? 0 : -1;
    }
    for (const pane of panesOf(shown.root)) pane.refit();
  }

  activate(pane) {
    this.active = pane;
    const { tab } = this;
    tab.last = pane;
    for (const one of this.panes) one.element.toggleAttribute("data-active", one === pane);
    this.changed(pane);
  }

  changed(pane) {
    if (this.tabs.some((tab) => !tab.root)) return;
    for (const tab of this.tabs) {
      const panes = panesOf(tab.root);
      const last = panes.includes(this.active) ? this.active : (tab.last ?? panes[0]);
      const label = [last.vnode, last.title].filter(Boolean).join(" · ");
      tab.button.textContent = panes.length > 1 ? `${label} (${panes.length})` : label;
      tab.button.dataset.state = panes.some((one) => one.status.state !== "open") ? "waiting" : "open";
    }
    this.strip.hidden = this.tabs.length < 2;
    this.place.toggleAttribute("data-several", this.panes.length > 1);
    this.keep();
    if (pane === this.active) this.dispatchEvent(new Event("change"));
  }

  draw(tab) {
    const fresh = [];
    tab.panel.replaceChildren(this.drawn(tab.root, fresh));
    for (const pane of fresh) pane.open();
    for (const pane of panesOf(tab.root)) pane.refit();
  }

  drawn(node, fresh) {
    if (node.pane) {
      if (!node.pane.terminal.element) fresh.push(node.pane);
      return node.pane.element;
    }
    const split = document.createElement("div");
    split.className = `split split-${node.way}`;
    const [first, second] = [this.drawn(node.first, fresh), this.drawn(node.second, fresh)];
    const handle = this.handle(node, split, first, second);
    split.append(first, handle, second);
    return split;
  }

  // What one drags, or moves by arrows, to give one side more room.
  handle(node, split, first, second) {
    const handle = document.createElement("div");
    handle.className = "handle";
    handle.tabIndex = 0;
    handle.setAttribute("role", "separator");
    handle.setAttribute("aria-label", "Room of the terminals on both sides");
    handle.setAttribute("aria-orientation", node.way === "row" ? "vertical" : "horizontal");
    const set = (share) => {
      node.share = Math.min(1 - SHARE_MIN, Math.max(SHARE_MIN, share));
      first.style.flex = `${node.share} 1 0`;
      second.style.flex = `${1 - node.share} 1 0`;
      handle.setAttribute("aria-valuenow", String(Math.round(node.share * 100)));
    };
    set(node.share);
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.05, ArrowUp: -0.05, ArrowRight: 0.05, ArrowDown: 0.05 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(node.share + step);
      this.keep();
    });
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
      const { left, top, width, height } = split.getBoundingClientRect();
      const move = ({ clientX, clientY }) => set(node.way === "row" ? (clientX - left) / width : (clientY - top) / height);
      handle.addEventListener("pointermove", move);
      handle.addEventListener("lostpointercapture", () => {
        handle.removeEventListener("pointermove", move);
        this.keep();
      }, { once: true });
    });
    return handle;
  }
}

const panesOf = (node) => (node.pane ? [node.pane] : [...panesOf(node.first), ...panesOf(node.second)]);
const nodeOf = (node, pane) => (node.pane === pane ? node : node.pane ? null : (nodeOf(node.first, pane) ?? nodeOf(node.second, pane)));
const isOver = (node, pane) => node.first.pane === pane || node.second.pane === pane;
const parentOf = (node, pane) => (node.pane ? null : isOver(node, pane) ? node : (parentOf(node.first, pane) ?? parentOf(node.second, pane)));
const pair = ({ way, share }, first, second) => (first && second ? { way, share, first, second } : (first ?? second));

function isLayout(node, depth = 0) {
  if (!node || depth > PANES_MAX) return false;
  if (node.vnode) return /^[a-z0-9-]+$/.test(node.vnode) && /^[0-9a-f]{32}$/.test(node.session);
  return ["row", "column"].includes(node.way) && node.share > 0 && node.share < 1 && isLayout(node.first, depth + 1) && isLayout(node.second, depth + 1);
}
