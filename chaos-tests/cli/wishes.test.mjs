// Disks of a size of one's own, GPUs as wishes, and limits that change while vnodes run, by command line, on real containers.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(28);

before(async () => {
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
});
after(() => cluster.down());

// Mounted disks grow where the agents, as this process, may enlarge them; elsewhere when their vnodes start.
const growsMounted = ((BigInt(`0x${/CapEff:\s*(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]}`) >> 24n) & 1n) === 1n;
const resize = (size) => {
  cluster.run("vc", "resize", "lab", "--disk", size, ...(growsMounted ? ["--wait"] : []));
  if (growsMounted) return;
  cluster.run("vc", "stop", "lab", "--wait");
  cluster.run("vc", "start", "lab", "--wait");
};

const inside = (vnode, script) => cluster.run("exec", vnode, "--", "sh", "-c", script).trim();
// What the root file system holds as the vnode sees it, in MiB.
const holds = (vnode) => Number(inside(vnode, "df -m / | tail -n 1").split(/\s+/)[1]);
// When the vnode's first process began.
const begun = (vnode) => inside(vnode, "cut -d ' ' -f 22 /proc/1/stat");
const refused = (...args) => {
  const { code, stderr } = cluster.try(args);
  assert.notEqual(code, 0, args.join(" "));
  return stderr;
};

test("a disk holds what was asked for and grows", async () => {
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--disk", "256MiB", "--wait");
  for (const vnode of ["lab/host-0", "lab/host-1"]) assert.ok(holds(vnode) > 200 && holds(vnode) < 256, `${holds(vnode)} MiB`);
  assert.deepEqual(cluster.json("vc", "show", "lab").vnodes.map((vnode) => vnode.disk_mib), [256, 256]);
  assert.match(cluster.run("vc", "list"), /256MiB/);

  const first = begun("lab/host-0");
  inside("lab/host-0", "echo here > /root/kept; dd if=/dev/zero of=/root/full bs=1M count=400 2>/dev/null; sync");
  resize("3GiB");
  for (const vnode of ["lab/host-0", "lab/host-1"]) assert.ok(holds(vnode) > 2_800, `${vnode}: --wait said that it was done`);
  if (growsMounted) assert.equal(begun("lab/host-0"), first, "it went on");
  assert.equal(inside("lab/host-0", "dd if=/dev/zero of=/root/more bs=1M count=400 2>/dev/null && cat /root/kept"), "here");

  cluster.run("vc", "scale", "lab", "3", "--wait");
  assert.ok(holds("lab/host-2") > 2_800, "one that is added is as large");
});

test("a disk that stands still grows when it is started, and an agent that was dead catches up", async () => {
  cluster.run("vc", "stop", "lab", "--wait");
  cluster.run("vc", "resize", "lab", "--disk", "4GiB");
  cluster.run("vc", "start", "lab", "--wait");
  assert.ok(holds("lab/host-0") > 3_700);
  cluster.kill("w1", "w2");
  cluster.run("vc", "resize", "lab", "--disk", "5GiB");
  cluster.run("dev", "up");
  if (!growsMounted) resize("5GiB");
  await until("larger disk", () => cluster.try(["exec", "lab/host-0", "--", "true"]).code === 0 && holds("lab/host-0") > 4_700);
});

// What the kernel lets a vnode have, as its worker's cgroups say, by version 1 or 2.
const lxcfs = existsSync("/var/lib/lxcfs/proc/meminfo");
const memory = (vnode) => Math.round(Number(/MemTotal:\s+(\d+)/.exec(inside(vnode, "cat /proc/meminfo"))[1]) / 1_024);

test("CPU, memory and processes change while the vnodes run", async () => {
  const size = (name) => cluster.json("vc", "show", name).vnodes.map((vnode) => [vnode.size.cpu_milli, vnode.size.memory_mib, vnode.size.pids_max]);
  const first = begun("lab/host-0");
  cluster.run("vc", "resize", "lab", "--cpu-milli", "1500", "--memory-mib", "256", "--pids-max", "300", "--wait");
  assert.deepEqual(size("lab"), [[1_500, 256, 300], [1_500, 256, 300], [1_500, 256, 300]]);
  assert.equal(begun("lab/host-0"), first, "it went on");
  if (lxcfs) assert.equal(memory("lab/host-0"), 256);
  assert.match(cluster.run("vc", "show", "lab"), /1500\s+256\s+300/);
  cluster.run("vc", "scale", "lab", "4", "--wait");
  assert.deepEqual(size("lab")[3], [1_500, 256, 300], "one that is added is alike");
  cluster.run("vc", "scale", "lab", "3", "--wait");

  const { code, stderr } = cluster.try(["vc", "resize", "lab", "--memory-mib", "4000000"]);
  assert.notEqual(code, 0);
  assert.match(stderr, /worker "w[12]" has no room for it: \d+ MiB of memory/);
  assert.match(refused("vc", "resize", "lab", "--cpu-milli", "1"), /out of range/);
  assert.match(refused("vc", "resize", "lab"), /say what shall become another/);
  assert.deepEqual(size("lab")[0], [1_500, 256, 300], "unchanged");
});

test("memory that is in use is not taken away until it is free", async () => {
  inside("lab/host-1", "mkdir -p /run/hog && mount -t tmpfs none /run/hog && dd if=/dev/zero of=/run/hog/f bs=1M count=100 2>/dev/null");
  const { code, stderr } = cluster.try(["vc", "resize", "lab", "--memory-mib", "64", "--wait", "--timeout-s", "8"]);
  assert.notEqual(code, 0);
  assert.match(stderr, /host-1: 1\d\d MiB of memory are in use, and 64 MiB were asked for/);
  const reasons = () => cluster.json("vc", "show", "lab").vnodes.map((vnode) => vnode.resizing);
  assert.deepEqual([reasons()[0], reasons()[2]], [null, null], "siblings have it");
  assert.equal(inside("lab/host-1", "wc -c < /run/hog/f"), String(100 << 20), "nothing was killed");
  inside("lab/host-1", "rm /run/hog/f && umount /run/hog");
  await until("less memory", () => reasons().every((reason) => reason === null), 20_000);
  cluster.run("vc", "resize", "lab", "--memory-mib", "128", "--wait");
});

test("a home holds what an admin says", async () => {
  const free = () => Number(inside("lab/host-0", "df -m /root/nfs | tail -n 1").split(/\s+/)[3]);
  assert.deepEqual(cluster.json("home", "list"), [{ user: "admin", disk_mib: 10_240, whence: "usual" }]);
  assert.ok(free() > 9_000, `${free()} MiB`);
  cluster.run("home", "limit", "--size", "2GiB");
  await until("smaller home", () => free() < 2_048 && free() > 1_500);
  cluster.run("home", "limit", "admin", "--size", "1GiB");
  await until("a home of one's own", () => free() < 1_024 && free() > 700);
  const full = cluster.try(["exec", "lab/host-0", "--", "dd", "if=/dev/zero", "of=/root/nfs/full", "bs=1M", "count=1500"]);
  assert.match(full.stdout + full.stderr, /No space left on device/);
  inside("lab/host-0", "rm /root/nfs/full");
  assert.deepEqual(cluster.json("home", "list"), [{ user: "admin", disk_mib: 1_024, whence: "own" }]);
  cluster.run("home", "limit", "admin", "--usual");
  cluster.run("home", "limit", "--size", "10GiB");
  await until("the first size", () => free() > 9_000);
  assert.match(refused("home", "limit", "nobody", "--size", "1GiB"), /no user "nobody"/);
  assert.match(refused("home", "limit", "--size", "1MiB"), /out of range/);
});

test("what cannot be is refused or waits, with the reason", async () => {
  assert.match(refused("vc", "resize", "lab", "--disk", "1GiB"), /5120 MiB.*a disk only grows/);
  assert.match(refused("vc", "resize", "lab", "--disk", "8TiB"), /worker "w1" has no room/);
  assert.match(refused("vc", "resize", "lab", "--disk", "9TiB"), /out of range/);
  assert.match(refused("vc", "create", "odd", "--disk", "20"), /write it as 512MiB, 20GiB or 1TiB/);
  assert.match(refused("vc", "create", "odd", "--gpus", "9"), /out of range/);
  assert.match(refused("vc", "create", "odd", "--gpus", "1", "--gpu-model", "A100\nx"), /GPU model is not valid/);
  assert.equal(cluster.json("vc", "show", "lab").wishes.disk_mib, 5_120, "unchanged");

  cluster.run("vc", "create", "huge", "--disk", "8TiB");
  cluster.run("vc", "create", "fast", "--gpus", "2", "--gpu-model", "Nothing Of The Kind");
  const reason = (name) => cluster.json("vc", "show", name).vnodes[0].reason;
  await until("reason", () => /w1: wants 8388608 MiB of disk, \d+ MiB free; w2: wants/.test(reason("huge")));
  await until("reason", () => /w1: wants 2 GPUs "Nothing Of The Kind", has none of this kind/.test(reason("fast")));
});

test("an admin says how much disk may be promised", async () => {
  assert.deepEqual(cluster.json("worker", "overcommit"), { percent: 1_000 });
  assert.match(refused("worker", "overcommit", "--disk", "99"), /out of range/);
  cluster.run("worker", "overcommit", "--disk", "100");
  const [worker] = cluster.json("worker", "list");
  assert.equal(worker.disk_mib_max, worker.facts.capacity.disk_mib);
  const most = Math.ceil(worker.disk_mib_max * 0.9);
  cluster.run("vc", "create", "wide", "--disk", `${most}MiB`, "--vnodes", "3");
  const views = () => cluster.json("vc", "show", "wide").vnodes;
  await until("two that fit and one that waits", () => views().filter((vnode) => vnode.worker).length === 2 && /MiB of disk/.test(views()[2].reason));
  cluster.run("worker", "overcommit", "--disk", "1000");
  await until("all three", () => views().every((vnode) => vnode.phase === "running"));
});

test("nothing is left when they go", async () => {
  for (const name of ["lab", "huge", "fast", "wide"]) cluster.run("vc", "delete", "--now", name, "--wait");
  await until("clean workers", () => cluster.traces().every(({ vnodes, mounts }) => vnodes.length + mounts.length === 0), 10_000);
});
