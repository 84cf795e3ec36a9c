// Faults of a dev cluster, made from outside of it: processes killed and stopped, networks cut in one direction or in both, clocks
// that jump. All that a fault cuts or stops is whole again after `heal`; a clock stays where it was set.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { program, until } from "./harness.mjs";

const WORKERS = ["w1", "w2"];
const MASTERS = ["m1", "m2", "m3"];
// The addresses from which masters connect: this and their number.
const DIAL_FROM = 2;

// Longest that is over before a worker is lost, and beyond its restart elsewhere.
const LASTS_MS = [500, 3_000, 6_000, 9_000, 12_000, 16_000];
// Less than a certificate's slack and more than any lease.
const JUMPS = ["-120", "-20", "-5", "+5", "+20", "+120"];

const acts = {
  kill: (faults, name) => faults.signal(name, "SIGKILL"),
  stop: (faults, name) => faults.signal(name, "SIGSTOP"),
  cut: (faults, name) => faults.cut(name, ["in", "out"]),
  deafen: (faults, name) => faults.cut(name, ["in"]),
  mute: (faults, name) => faults.cut(name, ["out"]),
  "set the clock of": (faults, name, by) => faults.jump(name, by),
};

// Each kind of fault there is, and to whom it may happen.
export const KINDS = [
  ...Object.entries(acts).flatMap(([act, begin]) => [
    { kind: `${act} an agent`, act, of: WORKERS, begin },
    { kind: `${act} a master`, act, of: MASTERS, begin },
  ]),
  { kind: "unplug an agent", act: "unplug", of: WORKERS, begin: (faults, name) => faults.link(name, "down") },
];

// A generator of numbers from a seed: mulberry32.
export function random(state) {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

// Faults from a seed: one of each kind, in an order that the seed says, and after those whatever it draws.
export function drawn(seed, count) {
  const draw = random(seed);
  const pick = (list) => list[draw(list.length)];
  const first = [...KINDS];
  return Array.from({ length: count }, () => {
    const kind = first.length > 0 ? first.splice(draw(first.length), 1)[0] : pick(KINDS);
    const name = pick(kind.of);
    const jumps = kind.act === "set the clock of" ? pick(JUMPS) : null;
    const what = jumps ? `${kind.act} ${name} to ${jumps} s` : `${kind.act} ${name}`;
    return { ...kind, name, what, ms: pick(LASTS_MS), settles: draw(3) === 0, begin: (faults) => kind.begin(faults, name, jumps) };
  });
}

// Makes faults of a cluster whose processes it starts; `dir` keeps what it builds.
export class Faults {
  constructor(cluster, dir) {
    this.cluster = cluster;
    this.dir = dir;
    this.tables = ["ip", "netdev"].map((family) => [family, `dklost${cluster.instance}`]);
    const faker = readdirSync("/usr/lib").map((arch) => `/usr/lib/${arch}/faketime/libfaketime.so.1`).find((path) => existsSync(path));
    if (!faker) throw new Error("clocks that jump need libfaketime: run scripts/setup, or apt-get install libfaketime");
    const dials = `${dir}/own_address.so`;
    execFileSync("cc", ["-shared", "-fPIC", "-Wall", "-Werror", "-o", dials, new URL("own_address.c", import.meta.url).pathname]);
    this.preloaded = [faker, dials];
    // Clocks that nobody sets go on as they do.
    this.env = {
      LD_PRELOAD: this.preloaded.join(":"),
      FAKETIME_TIMESTAMP_FILE: "/proc/self/cwd/clock",
      FAKETIME_CACHE_DURATION: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
      DIAL_FROM: `${this.network()}.${DIAL_FROM}`,
    };
  }

  network() {
    return `10.211.${this.cluster.instance}`;
  }

  // Where a master connects from.
  dials(master) {
    return `${this.network()}.${DIAL_FROM}${master.slice(1)}`;
  }

  // Before anything of the cluster runs.
  prepare() {
    for (const name of [...MASTERS, ...WORKERS]) this.jump(name, "+0");
    for (const master of MASTERS) execFileSync("ip", ["address", "replace", `${this.dials(master)}/32`, "dev", `dkdev${this.cluster.instance}`]);
  }

  // Starts what does not run.
  start() {
    execFileSync(program, ["dev", "up"], { env: { ...this.cluster.env, ...this.env }, stdio: "pipe" });
    for (const [name, pid] of Object.entries(this.cluster.processes())) {
      const loaded = readFileSync(`/proc/${pid}/maps`, "utf8");
      for (const library of this.preloaded) assert.ok(loaded.includes(library), `${name} runs without ${library}`);
    }
  }

  signal(name, what) {
    process.kill(this.cluster.processes()[name], what);
  }

  jump(name, seconds) {
    writeFileSync(`${this.cluster.dir}/${name}/clock`, `${seconds}\n`);
  }

  link(name, state) {
    execFileSync("ip", ["link", "set", `dkdev${this.cluster.instance}${name}`, state]);
  }

  // Cuts what goes to it ("in"), what comes from it ("out"), or both, on connections that are open as on new ones. What is dropped
  // is counted.
  cut(name, ways) {
    const [[, table]] = this.tables;
    const rules = ways.flatMap((way) => (WORKERS.includes(name) ? this.agentRules(table, name, way) : this.masterRules(table, name, way)));
    execFileSync("nft", ["-f", "-"], { input: `${rules.join("\n")}\n` });
  }

  agentRules(table, name, way) {
    const hook = { in: "egress", out: "ingress" }[way];
    return [
      `add table netdev ${table}`,
      `add chain netdev ${table} ${way} { type filter hook ${hook} device "dkdev${this.cluster.instance}${name}" priority 0; }`,
      `add rule netdev ${table} ${way} counter drop`,
    ];
  }

  // Its door, and what it connects to others.
  masterRules(table, name, way) {
    const door = `ip ${{ in: "daddr", out: "saddr" }[way]} ${this.network()}.1 tcp ${{ in: "dport", out: "sport" }[way]} ${7_000 + 10 * this.cluster.instance + Number(name.slice(1))}`;
    const dialled = `ip ${{ in: "daddr", out: "saddr" }[way]} ${this.dials(name)}`;
    return [
      `add table ip ${table}`,
      `add chain ip ${table} ${way} { type filter hook ${way}put priority -5; }`,
      `add rule ip ${table} ${way} ${door} counter drop`,
      `add rule ip ${table} ${way} ${dialled} counter drop`,
    ];
  }

  // How many packets each direction that is cut has dropped.
  dropped() {
    const shown = this.tables.map(([family, table]) => spawnSync("nft", ["-j", "list", "table", family, table], { encoding: "utf8" }));
    const rules = shown.filter(({ status }) => status === 0).flatMap(({ stdout }) => JSON.parse(stdout).nftables.flatMap(({ rule }) => rule ?? []));
    const counts = {};
    for (const { chain, expr } of rules) {
      const packets = expr.find(({ counter }) => counter).counter.packets;
      counts[chain] = (counts[chain] ?? 0) + packets;
    }
    return counts;
  }

  // Ends all trouble but for processes that are gone.
  heal() {
    for (const [family, table] of this.tables) spawnSync("nft", ["delete", "table", family, table]);
    for (const name of WORKERS) spawnSync("ip", ["link", "set", `dkdev${this.cluster.instance}${name}`, "up"]);
    for (const pid of Object.values(this.cluster.processes())) {
      if (pid) process.kill(pid, "SIGCONT");
    }
  }

  // One fault from its beginning to its end.
  async happens({ begin, what, ms }) {
    begin(this);
    const over = Date.now() + ms;
    await until("the end of the fault", () => Date.now() >= over, ms + 30_000);
    // Who is cut off both ways may be asked nothing meanwhile.
    const dropped = Object.values(this.dropped());
    assert.ok(dropped.length === 0 || ms < 3_000 || dropped.some((packets) => packets > 0), `${what}: nothing was dropped`);
    this.heal();
    this.start();
  }
}
