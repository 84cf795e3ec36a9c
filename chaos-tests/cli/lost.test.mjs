// Workers that are lost: in time down, what shall be restarted runs elsewhere in time, the rest waits and says so, and who
// comes back is reconciled. A recorder in the vnodes writes into the home that all workers share; whatever happens, no two
// copies of a vnode ever write in turns. LOST_FAULTS and LOST_SEED say how many random faults, and which. Where libfaketime is
// installed the clock on the wall of a master or a worker jumps, too: each process reads a file of its own for by how much.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, program, root, until } from "../harness.mjs";

const cluster = new Cluster(38);
const home = `/var/tmp/docklet-lost-home-${cluster.instance}`;
const dir = `/var/tmp/docklet-lost-${cluster.instance}`;
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
const faults = Number(process.env.LOST_FAULTS ?? 3);
const seed = Number(process.env.LOST_SEED ?? 1);
// From a fault to the new container; a machine that is busy with much else gets more by LOST_BAR_MS.
const bar = Number(process.env.LOST_BAR_MS ?? 15_000);
const RECORDER = `id=$(cat /proc/sys/kernel/random/uuid)
n=0
while true; do n=$((n+1)); echo "$id $n" >> /root/nfs/$(hostname)-$(cat /etc/vcluster); sleep 0.1; done
`;

const FAKER = readdirSync("/usr/lib").map((arch) => `/usr/lib/${arch}/faketime/libfaketime.so.1`).find((path) => existsSync(path));
const clocks = FAKER !== undefined;
// Clocks that nobody sets go on as they do.
const faked = { LD_PRELOAD: FAKER, FAKETIME_TIMESTAMP_FILE: "/proc/self/cwd/clock", FAKETIME_CACHE_DURATION: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" };
const jump = (name, seconds) => writeFileSync(`${cluster.dir}/${name}/clock`, `${seconds}\n`);

// Starts what does not run.
function start() {
  execFileSync(program, ["dev", "up"], { env: clocks ? { ...cluster.env, ...faked } : cluster.env, stdio: "pipe" });
}

before(async () => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  cluster.up();
  cluster.run("dev", "down");
  mkdirSync(home, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", home]);
  for (const worker of ["w1", "w2"]) {
    const file = `${cluster.dir}/${worker}/agent.toml`;
    writeFileSync(file, readFileSync(file, "utf8").replace("home_mounted = false", `home_dir = "${home}"\nhome_mounted = true`));
  }
  for (const name of ["m1", "m2", "m3", "w1", "w2"]) jump(name, "+0");
  start();
  cluster.login();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  const recipe = readFileSync(`${root}/conf/images/busybox.toml`, "utf8").replace("::shutdown", "::respawn:/bin/sh /etc/recorder\n::shutdown");
  for (const vcluster of ["moves", "waits"]) {
    const files = { "/etc/recorder": RECORDER, "/etc/vcluster": `${vcluster}\n` };
    const extra = Object.entries(files).map(([path, content]) => `\n[[files]]\npath = "${path}"\ncontent = '''\n${content}'''\n`);
    writeFileSync(`${dir}/${vcluster}.toml`, recipe + extra.join(""));
    cluster.run("image", "build", `${dir}/${vcluster}.toml`);
  }
  cluster.run("vc", "create", "moves", "--image", "moves", "--vnodes", "2", "--on-lost", "restart", ...SMALL, "--wait");
  cluster.run("vc", "create", "waits", "--image", "waits", "--vnodes", "2", ...SMALL, "--wait");
  await until("fences", () => fenced().length === 2);
});

after(() => {
  heal();
  cluster.down();
  spawnSync("umount", ["-l", home]);
  for (const made of [home, dir]) rmSync(made, { recursive: true, force: true });
});

const vnodes = (vcluster) => cluster.json("vc", "show", vcluster).vnodes;
const worker = (name) => cluster.json("worker", "list").find((worker) => worker.name === name);
const other = (name) => (name === "w1" ? "w2" : "w1");
const fenced = () => ["w1", "w2"].filter((name) => existsSync(`${cluster.dir}/${name}/state/run/fence`));
const fence = (name) => Number(readFileSync(`${cluster.dir}/${name}/state/run/fence`, "utf8"));
const settled = (limit = 90_000) =>
  until("everything to run", () => ["moves", "waits"].every((name) => vnodes(name).every(({ phase }) => phase === "running")), limit);

// The files of the recorders, with the line of each.
function records() {
  const files = readdirSync(home, { recursive: true }).filter((name) => /host-\d+-(moves|waits)$/.test(name));
  return files.map((name) => ({ name, ids: readFileSync(`${home}/${name}`, "utf8").split("\n").filter(Boolean).map((line) => line.split(" ")[0]) }));
}

// Copies that wrote after another had begun to: what is appended to one file is in the order in which it was written.
function overlaps() {
  return records().flatMap(({ name, ids }) => {
    const begun = new Set();
    let last;
    return ids.flatMap((id) => {
      const again = id !== last && begun.has(id);
      begun.add(id);
      last = id;
      return again ? [`${name}: ${id} wrote again`] : [];
    });
  });
}

const table = `dklost${cluster.instance}`;
const signal = (name, what) => process.kill(cluster.processes()[name], what);
const link = (name, state) => execFileSync("ip", ["link", "set", `dkdev${cluster.instance}${name}`, state]);

// Nobody reaches this master's door any more, not over what is open either.
function cut(master) {
  const port = 7_000 + 10 * cluster.instance + Number(master.slice(1));
  const at = `10.211.${cluster.instance}.1`;
  const rules = `add table ip ${table}
add chain ip ${table} in { type filter hook input priority -5; }
add rule ip ${table} in ip daddr ${at} tcp dport ${port} drop
add rule ip ${table} in ip saddr ${at} tcp sport ${port} drop
`;
  execFileSync("nft", ["-f", "-"], { input: rules });
}

// Ends all trouble. What does not run is started.
function heal() {
  spawnSync("nft", ["delete", "table", "ip", table]);
  for (const name of ["w1", "w2"]) spawnSync("ip", ["link", "set", `dkdev${cluster.instance}${name}`, "up"]);
  for (const pid of Object.values(cluster.processes())) {
    if (pid) process.kill(pid, "SIGCONT");
  }
}

// Whether anything of the vnode is left on the worker.
function left(name, id) {
  return existsSync(`${cluster.dir}/${name}/state/vnodes/v${id}`);
}

const losses = {
  "whose agent is killed": { begin: (name) => signal(name, "SIGKILL"), end: () => cluster.run("dev", "up") },
  "whose agent is stopped": { begin: (name) => signal(name, "SIGSTOP"), end: (name) => signal(name, "SIGCONT") },
  "that nobody reaches": { begin: (name) => link(name, "down"), end: (name) => link(name, "up") },
};

for (const [what, { begin, end }] of Object.entries(losses)) {
  test(`a worker ${what} is down in 5 s, its vnodes run elsewhere or wait, and it is reconciled when it comes back`, async (t) => {
    await settled();
    const moving = vnodes("moves")[0];
    const lost = moving.worker;
    const epoch = moving.epoch;
    const at = Date.now();
    begin(lost);
    await until("a worker that is down", () => worker(lost).status === "down", 20_000);
    const down = worker(lost).status_since - at;
    await until("it runs elsewhere", () => vnodes("moves").every(({ phase, worker }) => phase === "running" && worker === other(lost)), 60_000);
    const again = vnodes("moves").find(({ name }) => name === moving.name);
    const ms = again.seen_at - at;
    t.diagnostic(`down after ${down} ms, running elsewhere after ${ms} ms`);
    assert.ok(down <= bar / 3, `down after ${down} ms`);
    assert.ok(ms <= bar, `elsewhere after ${ms} ms`);
    assert.ok(again.epoch > epoch);
    assert.match(again.began_anew, new RegExp(`^it began anew at .* because ${lost} was lost; what was on its disk is lost with it$`));
    assert.match(cluster.run("explain", `moves/${moving.name}`), /Mind that it began anew/);
    for (const vnode of vnodes("waits").filter(({ worker }) => worker === lost)) {
      assert.equal(vnode.phase, "unknown");
      assert.match(vnode.reason, new RegExp(`^its worker ${lost} is lost since .* UTC; it waits for it, and may well be running$`));
    }
    end(lost);
    await until("a worker that is up", () => worker(lost).status === "up");
    await until("nothing of it is left", () => !left(lost, moving.id));
    await settled();
    assert.ok(vnodes("waits").some(({ worker }) => worker === lost), "who waited is where it was");
    assert.deepEqual(overlaps(), []);
    // So that each worker has one again.
    cluster.run("vc", "delete", "--now", "moves", "--wait");
    cluster.run("vc", "create", "moves", "--image", "moves", "--vnodes", "2", "--on-lost", "restart", ...SMALL, "--wait");
  });
}

test("a worker that comes back in time keeps what it has", async () => {
  await settled();
  const before = vnodes("moves").map(({ epoch }) => epoch);
  signal("w1", "SIGKILL");
  cluster.run("dev", "up");
  signal("w2", "SIGSTOP");
  await until("a worker that is down", () => worker("w2").status === "down", 20_000);
  signal("w2", "SIGCONT");
  await settled();
  assert.deepEqual(vnodes("moves").map(({ epoch }) => epoch), before);
  assert.deepEqual(overlaps(), []);
});

// A generator of numbers from a seed: mulberry32.
function random(state) {
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

// Less than a certificate's slack and more than any lease. It does not go back when other faults end.
function jumping(pick, name) {
  const seconds = pick(["-120", "-20", "-5", "+0", "+5", "+20", "+120"]);
  return [`clock of ${name} at ${seconds} s`, () => jump(name, seconds)];
}

test(`no two copies of a vnode ever run, whatever happens: ${faults} faults from seed ${seed}`, async (t) => {
  const draw = random(seed);
  const pick = (list) => list[draw(list.length)];
  for (let n = 1; n <= faults; n++) {
    const [agent, master] = [pick(["w1", "w2"]), pick(["m1", "m2", "m3"])];
    const [what, begin] = pick([
      [`kill ${agent}`, () => signal(agent, "SIGKILL")],
      [`stop ${agent}`, () => signal(agent, "SIGSTOP")],
      [`cut ${agent}`, () => link(agent, "down")],
      [`kill ${master}`, () => signal(master, "SIGKILL")],
      [`stop ${master}`, () => signal(master, "SIGSTOP")],
      [`cut ${master}`, () => cut(master)],
      ...(clocks ? [jumping(pick, agent), jumping(pick, master)] : []),
    ]);
    const ms = pick([500, 3_000, 6_000, 9_000, 12_000, 16_000]);
    t.diagnostic(`${n}: ${what} for ${ms} ms`);
    begin();
    const over = Date.now() + ms;
    await until("the end of the fault", () => Date.now() >= over, ms + 30_000);
    heal();
    // Which logs in, and of so many sessions the oldest end.
    start();
    cluster.login();
    assert.deepEqual(overlaps(), [], `seed ${seed}, fault ${n}`);
    if (draw(3) === 0) await settled();
  }
  await settled();
  assert.deepEqual(overlaps(), [], `seed ${seed}`);
  const copies = records().map(({ name, ids }) => `${name}: ${ids.length} lines of ${new Set(ids).size} copies`);
  copies.forEach((line) => t.diagnostic(line));
});

// The checker itself: where agent and fence are both put out of action, nobody ends the old copy, and that is seen.
test("a copy that nobody ends is noticed", async () => {
  await settled();
  const moving = vnodes("moves")[0];
  const lost = moving.worker;
  signal(lost, "SIGSTOP");
  process.kill(fence(lost), "SIGKILL");
  await until("two copies", () => overlaps().length > 0, 60_000);
  heal();
  await settled();
});
