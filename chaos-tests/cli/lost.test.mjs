// Workers that are lost: in time down, what shall be restarted runs elsewhere in time, the rest waits and says so, and who
// comes back is reconciled. A recorder in the vnodes writes into the home that all workers share; whatever happens, no two
// copies of a vnode ever write in turns. LOST_FAULTS and LOST_SEED say how many faults are drawn, and which: first one of each
// kind, then at random.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Faults, KINDS, drawn } from "../faults.mjs";
import { Cluster, root, until } from "../harness.mjs";

const cluster = new Cluster(38);
const home = `/var/tmp/docklet-lost-home-${cluster.instance}`;
const dir = `/var/tmp/docklet-lost-${cluster.instance}`;
rmSync(dir, { recursive: true, force: true });
mkdirSync(dir, { recursive: true });
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
const faults = Number(process.env.LOST_FAULTS ?? KINDS.length);
const seed = Number(process.env.LOST_SEED ?? 1);
// From a fault to the new container; a machine that is busy with much else gets more by LOST_BAR_MS.
const bar = Number(process.env.LOST_BAR_MS ?? 15_000);
const RECORDER = `id=$(cat /proc/sys/kernel/random/uuid)
n=0
while true; do n=$((n+1)); echo "$id $n $EPOCHREALTIME" >> /root/nfs/$(hostname)-$(cat /etc/vcluster); sleep 0.1; done
`;

const trouble = new Faults(cluster, dir);
const start = () => trouble.start();

before(async () => {
  cluster.up();
  // Its network stays.
  cluster.kill("m1", "m2", "m3", "w1", "w2");
  mkdirSync(home, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "tmpfs", home]);
  for (const worker of ["w1", "w2"]) {
    const file = `${cluster.dir}/${worker}/agent.toml`;
    writeFileSync(file, readFileSync(file, "utf8").replace("home_mounted = false", `home_dir = "${home}"\nhome_mounted = true`));
  }
  trouble.prepare();
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
  trouble.heal();
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

// The files of the recorders: who wrote each line, and when.
function records() {
  const files = readdirSync(home, { recursive: true }).filter((name) => /host-\d+-(moves|waits)$/.test(name));
  return files.map((name) => {
    const lines = readFileSync(`${home}/${name}`, "utf8").split("\n").filter(Boolean).map((line) => line.split(" "));
    return { name, ids: lines.map(([id]) => id), seconds: lines.map(([, , at]) => Number(at)) };
  });
}

// The longest time for which nobody wrote.
const gap = ({ seconds }) => Math.max(0, ...seconds.slice(1).map((at, before) => at - seconds[before]));

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

const signal = (name, what) => trouble.signal(name, what);

// Whether anything of the vnode is left on the worker.
function left(name, id) {
  return existsSync(`${cluster.dir}/${name}/state/vnodes/v${id}`);
}

const losses = {
  "whose agent is killed": { begin: (name) => signal(name, "SIGKILL"), end: start },
  "whose agent is stopped": { begin: (name) => signal(name, "SIGSTOP"), end: (name) => signal(name, "SIGCONT") },
  "that nobody reaches": { begin: (name) => trouble.link(name, "down"), end: (name) => trouble.link(name, "up") },
  // One more heartbeat of it may come.
  "that hears nobody": { begin: (name) => trouble.cut(name, ["in"]), end: () => trouble.heal() },
  "that nobody hears": { begin: (name) => trouble.cut(name, ["out"]), end: () => trouble.heal() },
};

for (const [what, { begin, end }] of Object.entries(losses)) {
  test(`a worker ${what} is down in 5 s, its vnodes run elsewhere or wait, and it is reconciled when it comes back`, async (t) => {
    await settled();
    // Whatever comes of it, the tests after it begin on a whole cluster.
    t.after(() => trouble.heal());
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
  start();
  signal("w2", "SIGSTOP");
  await until("a worker that is down", () => worker("w2").status === "down", 20_000);
  signal("w2", "SIGCONT");
  await settled();
  assert.deepEqual(vnodes("moves").map(({ epoch }) => epoch), before);
  assert.deepEqual(overlaps(), []);
});

// The master that a worker's agent follows.
function followed(name) {
  const there = [...spawnSync("ip", ["netns", "exec", `dkdev${cluster.instance}-${name}`, "ss", "-Htn", "state", "established"], { encoding: "utf8" }).stdout.matchAll(/ 10\.211\.\d+\.1:(\d+)/g)];
  const masters = new Set(there.map(([, port]) => `m${port - 7_000 - 10 * cluster.instance}`).filter((master) => /^m[123]$/.test(master)));
  return masters.size === 1 ? [...masters][0] : undefined;
}

test("a worker whose master is stopped follows another before it counts as lost", async (t) => {
  await settled();
  const since = worker("w1").status_since;
  const master = await until("a master that it follows", () => followed("w1"));
  signal(master, "SIGSTOP");
  const begun = performance.now();
  await until("another master", () => followed("w1") && followed("w1") !== master);
  t.diagnostic(`another after ${Math.round(performance.now() - begun)} ms`);
  trouble.heal();
  await settled();
  assert.equal(worker("w1").status_since, since, "it was up all the time");
});

test("every kind of fault is among the first, whatever the seed", () => {
  for (let seed = 0; seed < 100; seed++) {
    const kinds = drawn(seed, KINDS.length).map(({ kind }) => kind);
    assert.deepEqual(kinds.sort(), KINDS.map(({ kind }) => kind).sort(), `seed ${seed}`);
  }
});

test(`no two copies of a vnode ever run, whatever happens: ${faults} faults from seed ${seed}`, async (t) => {
  const all = drawn(seed, faults);
  const missing = KINDS.filter(({ kind }) => !all.some((fault) => fault.kind === kind)).map(({ kind }) => kind);
  if (missing.length > 0) t.diagnostic(`too few faults for all kinds; not drawn: ${missing.join(", ")}`);
  for (const [n, fault] of all.entries()) {
    t.diagnostic(`${n + 1}: ${fault.what} for ${fault.ms} ms`);
    await trouble.happens(fault);
    // What starts them logs in, too, and of so many sessions the oldest end.
    cluster.login();
    assert.deepEqual(overlaps(), [], `seed ${seed}, fault ${n + 1}: ${fault.what}`);
    if (fault.settles) await settled();
  }
  await settled();
  assert.deepEqual(overlaps(), [], `seed ${seed}`);
  for (const { kind } of KINDS) t.diagnostic(`${kind}: ${all.filter((fault) => fault.kind === kind).length}`);
  for (const record of records()) {
    t.diagnostic(`${record.name}: ${record.ids.length} lines of ${new Set(record.ids).size} copies, longest gap ${gap(record).toFixed(1)} s`);
  }
});

// The checker itself: where agent and fence are both put out of action, nobody ends the old copy, and that is seen.
test("a copy that nobody ends is noticed", async () => {
  await settled();
  const moving = vnodes("moves")[0];
  const lost = moving.worker;
  signal(lost, "SIGSTOP");
  process.kill(fence(lost), "SIGKILL");
  await until("two copies", () => overlaps().length > 0, 60_000);
  trouble.heal();
  await settled();
});
