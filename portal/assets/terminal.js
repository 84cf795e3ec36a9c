// Terminals in the page: those of a person's own vcluster, one that was shared, or the replay of one.

import { Desk } from "./terminal/desk.js";
import { copy } from "./terminal/guard.js";
import { Keys } from "./terminal/keys.js";
import { Preferences } from "./terminal/preferences.js";
import { replay } from "./terminal/replay.js";
import { lastLeft } from "./terminal/shells.js";
import { Tools } from "./terminal/tools.js";

async function terminals(place) {
  const { vcluster, vnode, vnodes, session, shared, mode } = place.dataset;
  const status = document.getElementById("terminal-status");
  const preferences = new Preferences();
  const keys = new Keys(document.getElementById("terminal-keys"), () => desk.active);
  const watches = mode === "watch";
  const path = (vnode) => (shared ? `/shared/${shared}/ws` : `/terminal/ws?vcluster=${vcluster}&vnode=${vnode}`);
  const desk = new Desk({
    place,
    strip: document.getElementById("terminal-tabs"),
    storageKey: shared ? `docklet-shared ${shared}` : `docklet-desk ${vcluster}/${vnode}`,
    open: (vnode, session) => ({ name: `${vnode} of ${vcluster}`, vnode, path: path(vnode), session, guest: Boolean(shared), watches, preferences, keys }),
  });
  // A shell that was left is come back to, unless another is asked for, or the layout of this tab says which it has.
  const anew = shared || desk.isKept() || new URLSearchParams(location.search).has("new");
  const left = anew ? undefined : await lastLeft(vcluster, vnode);
  new Tools({
    place: document.getElementById("terminal-tools"),
    desk,
    preferences,
    vcluster,
    vnodes: vnodes.split(" "),
    shareAt: shared ? undefined : (pane) => `/terminal/${vcluster}/${pane.vnode}/share?session=${pane.session}`,
  });
  desk.addEventListener("change", () => {
    const { state, text, via, worker } = desk.active.status;
    if (status.textContent !== text) status.textContent = text;
    const set = (name, value) => (value ? (status.dataset[name] = value) : delete status.dataset[name]);
    set("state", state);
    set("via", via);
    set("worker", worker);
  });
  desk.restore(vnode, left?.session ?? session, left?.alone_ms);

  const acts = {
    KeyF: () => document.querySelector("#terminal-tools input").focus(),
    KeyC: () => copy(desk.active.terminal.getSelection()),
    KeyE: () => !shared && desk.split("row", desk.active.vnode),
    KeyD: () => !shared && desk.split("column", desk.active.vnode),
    KeyX: () => !shared && desk.closeActive(),
    BracketLeft: () => desk.step(-1),
    BracketRight: () => desk.step(1),
  };
  // Before the terminal sees it.
  place.addEventListener(
    "keydown",
    (event) => {
      const act = event.ctrlKey && event.shiftKey && acts[event.code];
      if (!act) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    },
    { capture: true },
  );

  // For tests and for people who ask the console.
  window.dockletTerminal = { text: () => desk.active.text(), desk };
}

const place = document.getElementById("terminal");
if (place) terminals(place);
const player = document.getElementById("replay");
if (player) replay(player);
