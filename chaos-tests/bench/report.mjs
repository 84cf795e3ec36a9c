// How benchmarks tell what they measured: a table, and target/bench/NAME.json.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

import { program, root } from "../harness.mjs";

// Milliseconds that `act` takes.
export async function timed(act) {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}

// Clock ticks of all processors: all, and those at rest.
function ticks() {
  const all = readFileSync("/proc/stat", "utf8").split("\n")[0].split(/\s+/).slice(1, 9).map(Number);
  return { all: all.reduce((sum, part) => sum + part, 0), idle: all[3] + all[4] };
}

// Waits until the machine has nothing left to do of what came before: a peer's network namespace takes the kernel a while to
// take down, in which nobody gets a new one. For at most 10 s.
async function rest() {
  const begun = performance.now();
  for (let before = ticks(), quiet = 0; quiet < 2 && performance.now() - begun < 10_000; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = ticks();
    quiet = now.idle - before.idle >= 0.85 * (now.all - before.all) ? quiet + 1 : 0;
    before = now;
  }
}

// Milliseconds that `act` takes on a machine at rest.
export async function fromRest(act) {
  await rest();
  return timed(act);
}

export const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
// The value below which this part of them lies.
export const percentile = (numbers, part) => numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * part))];
const round = (number) => Math.round(number * 100) / 100;

// One measure beside a peer, pair by pair. `goal` is a ratio: ours to the peer's at most if `most`, the peer's to ours at least if
// `times`, ours to the peer's at least if `least`.
export function compared(measure, unit, ours, peer, { most, times, least } = {}) {
  const ratios = ours.map((value, pair) => (times ? peer[pair] / value : value / peer[pair]));
  const middle = median(ratios);
  return {
    measure: times ? `${measure} (times faster)` : measure,
    ours: round(median(ours)),
    peer: round(median(peer)),
    unit,
    ratio_median: round(middle),
    ratio_min: round(Math.min(...ratios)),
    ratio_max: round(Math.max(...ratios)),
    goal: times ?? most ?? least ?? null,
    met: times ? middle >= times : most ? middle <= most : least ? middle >= least : null,
  };
}

// One measure without a peer.
export function alone(measure, unit, values, { most, least } = {}) {
  const middle = median(values);
  return {
    measure,
    ours: round(middle),
    peer: null,
    unit,
    ratio_median: null,
    ratio_min: null,
    ratio_max: null,
    goal: most ?? least ?? null,
    met: most ? middle <= most : least ? middle >= least : null,
  };
}

function version(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8" }).trim().split("\n")[0];
  } catch {
    return null;
  }
}

// Prints the table and writes target/bench/NAME.json.
export function report(name, measures, details = {}) {
  const head = {
    machine: { cores: os.cpus().length, cpu: os.cpus()[0]?.model, memory_mib: Math.round(os.totalmem() / 2 ** 20), kernel: os.release() },
    versions: { docklet: version(program, "--version"), lxc: version("/usr/bin/lxc-start", "--version"), incus: version("/usr/bin/incus", "--version") },
    ...details,
  };
  console.table(measures);
  mkdirSync(path.join(root, "target", "bench"), { recursive: true });
  writeFileSync(path.join(root, "target", "bench", `${name}.json`), `${JSON.stringify({ ...head, measures }, null, 2)}\n`);
}
