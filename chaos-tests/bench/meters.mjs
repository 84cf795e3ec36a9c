// What an agent with a hundred idle vnodes costs, meters and all: part of a core over half a minute, and resident memory.
// Prints a table and writes target/bench/meters.json.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster, root, until } = await import("../harness.mjs");

const VNODES = Number(process.env.VNODES ?? 100);
const SECONDS = Number(process.env.SECONDS ?? 30);
const GOALS = { "part of a core, %": 2, "resident, MiB": 40 };
const TICKS_PER_S = 100;
const cluster = new Cluster(14);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function spentTicks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function residentMib(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
}

cluster.up();
try {
  // All of them on one worker: the other's agent is gone.
  cluster.kill("w2");
  await until("worker w2 down", () => cluster.json("worker", "list").find(({ name }) => name === "w2").status === "down");
  const size = ["--cpu-milli", "10", "--memory-mib", "16", "--pids-max", "32"];
  cluster.run("vc", "create", "many", "--vnodes", String(VNODES), ...size, "--wait");
  const pid = cluster.processes().w1;
  await pause(5_000);
  const before = spentTicks(pid);
  const begun = performance.now();
  await pause(SECONDS * 1_000);
  const seconds = (performance.now() - begun) / 1_000;
  const spent = (spentTicks(pid) - before) / TICKS_PER_S;
  const usage = cluster.json("vc", "top", "many");
  const measured = usage.filter(({ usage }) => usage?.processes > 0).length;
  const found = { "part of a core, %": (100 * spent) / seconds, "resident, MiB": residentMib(pid) };
  const measures = Object.entries(found).map(([measure, value]) => ({ measure, vnodes: VNODES, measured, value: Math.round(value * 100) / 100, goal: GOALS[measure], met: value <= GOALS[measure] }));
  console.table(measures);
  const machine = { cores: os.cpus().length, cpu: os.cpus()[0]?.model, memory_mib: Math.round(os.totalmem() / 2 ** 20), kernel: os.release() };
  mkdirSync(path.join(root, "target", "bench"), { recursive: true });
  writeFileSync(path.join(root, "target", "bench", "meters.json"), `${JSON.stringify({ machine, seconds, measures }, null, 2)}\n`);
} finally {
  cluster.down();
}
