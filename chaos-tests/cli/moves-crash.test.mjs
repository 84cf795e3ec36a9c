// Moves while something dies: the old worker's agent, the new one's, the leader, at every event of every way that has it.
// Afterwards the vnode runs once, with all its files and its public port, and nothing is left anywhere else. Of all these cases a
// sample is drawn by MOVES_CRASH_SEED, in which each event meets the death of each and each way that has it; MOVES_CRASH=all runs
// all of them. What an agent does between two events is killed at each change in agent/tests.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import readline from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { random } from "../faults.mjs";
import { Cluster, program, root, until } from "../harness.mjs";

const cluster = new Cluster(33);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
const WHO = ["source", "target", "leader"];
const PORT = 20_091;

// Ways of moving, by what is asked for. What is "unsuited" is to go live and cannot, so that it is refreshed; what is "unwelcome"
// does not start at the other worker, and comes back.
const REACHES = ["refresh", "cold", "live"];
const UNWELCOME = REACHES.map((way) => `unwelcome ${way}`);
// Which ways have which event. An event that is added to the program is to be added here.
const HAVE = {
  Begun: REACHES,
  Copied: REACHES,
  Switching: REACHES,
  WayChanged: ["unsuited"],
  Placed: REACHES,
  Returning: UNWELCOME,
  PlacedBack: UNWELCOME,
  // One that comes back ends with that.
  Ended: REACHES,
};

// What the program's own source says can happen to a vnode that moves: its events are about one.
function events() {
  const source = readFileSync(`${root}/control/src/moves/event.rs`, "utf8");
  const [body] = source.match(/^pub enum MoveEvent \{$.*?^\}$/ms);
  return [...body.matchAll(/^ {4}(\w+) \{(.*?)\}/gms)].filter(([, , fields]) => fields.includes("about: VnodeRef")).map(([, name]) => name);
}

function shuffled(list, draw) {
  const left = [...list];
  return list.map(() => left.splice(draw(left.length), 1)[0]);
}

// Each event with the death of each, by ways in turn, so that each way that has it is among them if there are not more than deaths.
function sample(seed) {
  const draw = random(seed);
  return Object.entries(HAVE).flatMap(([event, ways]) => {
    const turns = shuffled(ways, draw);
    return WHO.map((who, n) => ({ event, who, way: turns[n % turns.length] }));
  });
}

const everything = Object.entries(HAVE).flatMap(([event, ways]) => ways.flatMap((way) => WHO.map((who) => ({ event, who, way }))));
const seed = Number(process.env.MOVES_CRASH_SEED ?? 1);
const cases = process.env.MOVES_CRASH === "all" ? everything : sample(seed);

test("each event of a move that the program knows is among the cases, with the death of each", () => {
  assert.deepEqual(events(), Object.keys(HAVE));
  for (let seed = 0; seed < 100; seed++) {
    const drawn = sample(seed);
    for (const event of events()) assert.deepEqual(drawn.filter((one) => one.event === event).map(({ who }) => who), WHO);
  }
});

let tree;
// What there is on workers that have no vnode.
let clean;

before(async () => {
  cluster.up();
  // What runs is copied so slowly that there is something to tell of it.
  for (const worker of ["w1", "w2"]) {
    const file = `${cluster.dir}/${worker}/agent.toml`;
    writeFileSync(file, `move_mib_per_s = 5\n${readFileSync(file, "utf8")}`);
  }
  cluster.kill("w1", "w2");
  cluster.run("dev", "up");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  clean = cluster.traces();
  cluster.run("vc", "create", "lab", ...SMALL, "--wait");
  cluster.run("port", "add", "lab/host-0", "80", "--public", String(PORT));
  // What is not on its disk is not copied before it stands still.
  sh("mkdir /root/tree; cd /root/tree; for i in 1 2 3 4 5 6 7 8; do mkdir -p d$i; dd if=/dev/urandom of=d$i/f bs=64k count=20 2>/dev/null; ln d$i/f d$i/same; ln -s f d$i/link; done; mknod pipe p; touch -d '2001-02-03' d1/old; sync");
  tree = look();
});
after(() => cluster.down());

const sh = (script) => cluster.run("exec", "lab/host-0", "--", "sh", "-c", script);
const vnode = () => cluster.json("vc", "show", "lab").vnodes[0];

// All that is in its files and about them.
const look = () => sh("cd /root/tree; find . -type f | sort | xargs md5sum; find . | sort | xargs stat -c '%n %a %u %g %s %h %F %Y'");

// Kills the moment that the log says so; answers when it has.
function killAt(event, name) {
  const from = cluster.json("status").raft.applied + 1;
  const events = spawn(program, ["events", "--from", String(from), "--format", "json"], { env: cluster.env, stdio: ["ignore", "pipe", "ignore"] });
  const lines = readline.createInterface({ input: events.stdout });
  const pid = cluster.processes()[name];
  const killed = new Promise((resolve) => {
    lines.on("line", (line) => {
      if (line.includes(`"Moved":{"${event}"`)) {
        process.kill(pid, "SIGKILL");
        resolve(true);
      }
    });
    events.on("exit", () => resolve(false));
  });
  return { killed, end: () => events.kill("SIGKILL") };
}

// Puts a file in the place of the admin's home on a worker, so that nothing of theirs starts there; answers what ends that.
function unwelcoming(worker) {
  const homes = `${cluster.dir}/${worker}/state/homes`;
  const [home, away] = [`${homes}/u1`, `${homes}/away`];
  const was = existsSync(home);
  mkdirSync(homes, { recursive: true, mode: 0o711 });
  if (was) renameSync(home, away);
  writeFileSync(home, "");
  return () => {
    rmSync(home);
    if (was) renameSync(away, home);
  };
}

// What stands still is copied as fast as it goes, mostly before there is anything to tell: so its way from the worker is made a slow
// one. Answers what ends that.
function slow(worker) {
  const qdisc = (change, ...how) => cluster.inWorker(worker, "tc", "qdisc", change, "dev", "uplink", "root", ...how);
  qdisc("add", "tbf", "rate", "24mbit", "burst", "256kb", "latency", "400ms");
  return () => qdisc("del");
}

// Brings about what makes a move go this way; answers how it is asked for, and what ends it.
function prepared(way, to) {
  const [, reach] = way.split(" ");
  if (reach) return { option: [`--${reach}`], end: unwelcoming(to) };
  if (way !== "unsuited") return { option: [`--${way}`], end: () => {} };
  sh("unshare -u sleep 1000 </dev/null >/dev/null 2>&1 & until pidof sleep; do sleep 0.1; done");
  return { option: [], end: () => sh("killall sleep; true") };
}

for (const { event, who, way } of cases) {
  test(`${way}: the ${who} dies at ${event}`, async (t) => {
    const { worker: from, id } = vnode();
    const to = from === "w1" ? "w2" : "w1";
    const name = { source: from, target: to, leader: cluster.leader() }[who];
    const { option, end } = prepared(way, to);
    t.after(end);
    if (event === "Copied") t.after(slow(from));
    const watch = killAt(event, name);
    try {
      cluster.run("vc", "move", "lab/host-0", "--to", to, ...option);
      assert.ok(await Promise.race([watch.killed, until(`${event} in the log`, () => false, 30_000)]));
    } finally {
      watch.end();
    }
    cluster.run("dev", "up");
    // What starts them logs in, too, and of so many sessions the oldest end.
    cluster.login();
    // It ends by itself, one way or the other.
    const settled = await until("an end", () => {
      const now = vnode();
      return !now.moving.is_open && now.phase === "running" && now;
    }, 60_000).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(vnode().moving)}${cluster.logs()}`);
    });
    assert.ok(["moved", "failed"].includes(settled.moving.stage), settled.moving.stage);
    assert.equal(settled.worker, settled.moving.stage === "moved" ? to : from);
    if (UNWELCOME.includes(way)) assert.equal(settled.worker, from);
    const here = Number(settled.worker.slice(1)) - 1;
    await until("one copy only, with the port", () => {
      const traces = cluster.traces();
      const [mine, others] = [traces[here], traces[1 - here]];
      const whole = mine.vnodes.includes(`v${id}`) && mine.links.some((link) => link.startsWith(`dkh${id}`)) && mine.ports.includes(PORT) && mine.loops.some((file) => file.endsWith(`/v${id}/disk.img`));
      return whole && mine.arriving.length === 0 && isDeepStrictEqual(others, clean[1 - here]);
    }).catch((error) => {
      throw new Error(`${error.message}: ${JSON.stringify(cluster.traces(), null, 1)}${cluster.logs()}`);
    });
    assert.equal(look(), tree);
  });
}
