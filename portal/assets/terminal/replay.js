// Plays a recording of a terminal that the reader picks from the own disk: nothing of it is sent anywhere.

import { FitAddon } from "@xterm/addon-fit";

import { newTerminal } from "./pane.js";
import { parse } from "./recording.js";

// Nothing happens for longer than that, however long nobody typed.
const IDLE_SECONDS_MAX = 2;
const FRAME_MS = 40;

export function replay(place) {
  const part = (name) => place.querySelector(`[data-part="${name}"]`);
  const [file, play, seek, speed, clock, said] = ["file", "play", "seek", "speed", "clock", "said"].map(part);
  const terminal = newTerminal({ disableStdin: true, cursorBlink: false });
  terminal.loadAddon(new FitAddon());
  terminal.open(part("screen"));
  let cast = null;
  let next = 0;
  let at = 0;
  let timer = 0;

  const tell = () => {
    seek.value = String(at);
    clock.textContent = `${time(at)} of ${time(cast?.seconds ?? 0)}`;
    play.textContent = timer ? "Pause" : "Play";
  };

  // Shows everything up to a moment; what is before the present one, from the beginning.
  function show(moment) {
    if (moment < at) {
      next = 0;
      terminal.reset();
      terminal.resize(cast.header.width, cast.header.height);
    }
    at = moment;
    for (; next < cast.events.length && cast.events[next].at <= at; next += 1) {
      const { kind, data } = cast.events[next];
      const [, cols, rows] = kind === "r" ? (data.match(/^(\d{1,4})x(\d{1,4})$/) ?? []) : [];
      if (kind === "o") terminal.write(data);
      else if (cols > 1 && rows > 0) terminal.resize(Number(cols), Number(rows));
    }
    tell();
  }

  function pause() {
    clearInterval(timer);
    timer = 0;
    tell();
  }

  function start() {
    if (!cast) return;
    if (at >= cast.seconds) show(0);
    timer = setInterval(() => {
      const coming = cast.events[next]?.at ?? cast.seconds;
      const step = (FRAME_MS / 1000) * Number(speed.value);
      // A long silence is passed over.
      show(Math.min(cast.seconds, coming - at > IDLE_SECONDS_MAX ? coming - IDLE_SECONDS_MAX + step : at + step));
      if (at >= cast.seconds) pause();
    }, FRAME_MS);
    tell();
  }

  play.addEventListener("click", () => (timer ? pause() : start()));
  seek.addEventListener("input", () => cast && show(Number(seek.value)));
  file.addEventListener("change", async () => {
    pause();
    try {
      cast = parse(await file.files[0].text());
    } catch (error) {
      cast = null;
      said.textContent = error.message;
      said.hidden = false;
      return;
    }
    said.hidden = true;
    seek.max = String(cast.seconds);
    for (const control of [play, seek, speed]) control.disabled = false;
    at = Infinity;
    show(0);
    start();
  });
  window.dockletTerminal = { text: () => Array.from({ length: terminal.buffer.active.length }, (_, row) => terminal.buffer.active.getLine(row).translateToString(true)).join("\n").trimEnd() };
}

const time = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
