// Moves of vnodes between workers: what comes along, what stays behind, who ends them, and workers that are emptied by them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(32);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-moves-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.run("vc", "create", "lab", "--vnodes", "2", ...SMALL, "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const vnode = (name = "host-0", vcluster = "lab") => cluster.json("vc", "show", vcluster).vnodes.find((vnode) => vnode.name === name);
const other = (worker) => (worker === "w1" ? "w2" : "w1");
const sh = (script, name = "lab/host-0") => cluster.run("exec", name, "--", "sh", "-c", script);
const vnodesOf = (worker) => cluster.traces()[Number(worker.slice(1)) - 1];

// Answers what a service behind a public port of a worker says; nothing if there is none.
function ask(worker, port) {
  const shown = spawnSync("ip", ["netns", "exec", `dkdev32-${worker}`, "ip", "-4", "-o", "address", "show", "uplink"], { encoding: "utf8" });
  const [, host] = shown.stdout.match(/inet ([0-9.]+)/);
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 2_000 });
    let said = "";
    socket.on("connect", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    socket.on("data", (data) => (said += data));
    socket.on("timeout", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", () => resolve(said.trim().split("\n").at(-1)));
  });
}

test("a vnode is refreshed on another worker with its files, snapshots, address and ports", async () => {
  sh("dd if=/dev/urandom of=/root/big bs=64k count=200 2>/dev/null; ln /root/big /root/same; mkdir -p /root/a/b; echo deep > /root/a/b/c; mknod /root/pipe p");
  sh("mkdir -p /www && echo served > /www/index.html && busybox httpd -p 80 -h /www");
  const before = sh("cd /root; find . | sort | xargs ls -lnid | sed 's/ .* / /' | wc -l; md5sum big same a/b/c");
  cluster.run("snapshot", "create", "lab/host-0@friday", "--wait");
  const { worker: from, address, epoch } = vnode();
  const to = other(from);
  cluster.run("port", "add", "lab/host-0", "80", "--public", "20090");
  const told = cluster.try(["vc", "move", "lab/host-0", "--to", to, "--refresh", "--wait"]);
  assert.equal(told.code, 0, told.stderr + cluster.logs());
  assert.match(told.stderr, /It is being copied from w[12] to w[12] \(refresh/);
  assert.match(told.stdout, /lab\/host-0 came from w[12] to w[12] \(refresh, \d+ ms down\)\./);
  assert.match(told.stdout, /copying while it ran \d+ ms\n +standing still, copying the rest \d+ ms\n +starting \d+ ms/);
  const moved = vnode();
  assert.deepEqual([moved.worker, moved.address, moved.phase], [to, address, "running"]);
  assert.ok(moved.epoch > epoch);
  assert.equal(moved.moving.stage, "moved");
  assert.equal(sh("cd /root; find . | sort | xargs ls -lnid | sed 's/ .* / /' | wc -l; md5sum big same a/b/c"), before);
  sh("busybox httpd -p 80 -h /www");
  assert.equal(cluster.run("exec", "lab/host-1", "--", "busybox", "wget", "-q", "-O", "-", "http://host-0/"), "served\n");
  assert.equal(await until("the port there", async () => (await ask(to, 20090)) || undefined), "served");
  assert.equal(await ask(from, 20090), "");
  // The snapshot came along, and is restored there.
  sh("rm -r /root/a");
  cluster.run("snapshot", "restore", "lab/host-0@friday", "--wait");
  assert.equal(sh("cat /root/a/b/c"), "deep\n");
  // Nothing of it is left behind.
  const id = `v${moved.id}`;
  await until("nothing there", () => !vnodesOf(from).vnodes.includes(id) && !vnodesOf(from).cgroups.includes(id) && !vnodesOf(from).mounts.some((mount) => mount.includes(`/${id}/`)));
  assert.deepEqual(cluster.traces().map(({ arriving }) => arriving), [[], []]);
  cluster.run("port", "remove", "20090");
});

test("one that stands still moves too, and a cold one stands still for all of it", () => {
  cluster.run("vc", "create", "still", ...SMALL, "--wait");
  cluster.run("exec", "still/host-0", "--", "sh", "-c", "echo kept > /root/f");
  const cold = cluster.run("vc", "move", "still/host-0", "--cold", "--wait");
  assert.match(cold, /\(cold, \d+ ms down\)/);
  cluster.run("vc", "stop", "still", "--wait");
  const from = vnode("host-0", "still").worker;
  const told = cluster.run("vc", "move", "still/host-0", "--wait");
  assert.match(told, /came from w[12] to w[12] \(refresh\)\.\n/);
  assert.equal(vnode("host-0", "still").worker, other(from));
  cluster.run("vc", "start", "still", "--wait");
  assert.equal(cluster.run("exec", "still/host-0", "--", "cat", "/root/f"), "kept\n");
  cluster.run("vc", "delete", "--now", "still", "--wait");
});

test("moves that cannot be are refused with the reason, and other people's vnodes are not there", () => {
  const here = vnode().worker;
  cluster.refused(["vc", "move", "lab/host-0", "--to", here], new RegExp(`on ${here} already`));
  cluster.refused(["vc", "move", "lab/host-0", "--to", "w9"], /no worker "w9"/);
  cluster.refused(["vc", "move", "lab/host-9"], /no vnode/);
  cluster.refused(["vc", "move", "lab/host-0", "--cancel"], /not on its way/);
  cluster.refused(["vc", "move", "lab/host-0", "--cold", "--refresh"], /cannot be used with/);
  ada.refused(["vc", "move", "lab/host-0"], /no vcluster "lab"/);
  cluster.run("worker", "cordon", other(here), "--reason", "new disk");
  cluster.refused(["vc", "move", "lab/host-0", "--to", other(here)], /cannot take vnode "host-0": takes nothing new \(new disk\)/);
  cluster.refused(["vc", "move", "lab/host-0"], /no other worker can take vnode "host-0": w[12]: takes nothing new/);
  cluster.run("worker", "uncordon", other(here));
});

test("a move is cancelled while it copies, and the vnode never noticed", async () => {
  const { worker: from, epoch } = vnode();
  const pid = cluster.processes()[from];
  process.kill(pid, "SIGSTOP");
  try {
    cluster.run("vc", "move", "lab/host-0", "--refresh");
    assert.equal(vnode().moving.stage, "copying");
    cluster.refused(["snapshot", "create", "lab/host-0@now"], /on its way from/);
    cluster.run("vc", "move", "lab/host-0", "--cancel");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const stayed = vnode();
  assert.deepEqual([stayed.worker, stayed.epoch, stayed.moving.stage], [from, epoch, "cancelled"]);
  await until("nothing on its way", () => cluster.traces().every(({ arriving }) => arriving.length === 0));
  await until("it running", () => vnode().phase === "running");
});

test("a worker is emptied and filled again", () => {
  cluster.run("vc", "create", "more", "--vnodes", "4", ...SMALL, "--wait");
  const on = (worker) => cluster.json("vc", "list").flatMap(({ vnodes }) => vnodes).filter((vnode) => vnode.worker === worker).map(({ id }) => id).sort();
  const before = on("w1");
  assert.ok(before.length > 0);
  const drained = cluster.try(["worker", "drain", "w1", "--at-once", "2", "--wait"]);
  assert.equal(drained.code, 0, drained.stderr + cluster.logs());
  assert.match(drained.stdout, new RegExp(`w1 is drained: ${before.length} moved away\\.`));
  assert.match(drained.stderr, /w1: \d moved, [12] on their way, \d left/);
  assert.deepEqual(on("w1"), []);
  cluster.refused(["vc", "move", "lab/host-0", "--to", "w1"], /takes nothing new \(being drained\)/);
  const restored = cluster.run("worker", "restore", "w1", "--wait");
  assert.match(restored, /w1 is restored\./);
  assert.deepEqual(on("w1"), before);
  assert.equal(cluster.json("worker", "list").find(({ name }) => name === "w1").cordon, null);
  assert.ok(cluster.json("vc", "list").every(({ vnodes }) => vnodes.every(({ phase }) => phase === "running")));
  cluster.run("vc", "delete", "--now", "more", "--wait");
});

test("a drain that finds no room says why, ends at its deadline, or is aborted", () => {
  cluster.run("worker", "cordon", "w2");
  cluster.run("vc", "create", "stuck", ...SMALL, "--wait");
  const late = cluster.try(["worker", "drain", "w1", "--deadline", "1s", "--wait"]);
  assert.notEqual(late.code, 0);
  assert.match(late.stdout, /w1: the time is over, 0 moved and \d left/);
  assert.match(late.stdout, /stuck\/host-0 stays: w2: takes nothing new/);
  cluster.run("worker", "drain", "w1");
  assert.match(cluster.run("worker", "drain", "w1", "--status"), /find no other worker/);
  assert.match(cluster.run("worker", "drain", "w1", "--abort", "--wait"), /w1: aborted, 0 moved and \d left/);
  cluster.run("worker", "uncordon", "w2");
  cluster.refused(["worker", "drain", "w9"], /no worker "w9"/);
  ada.refused(["worker", "drain", "w1"], /needs the role operator or admin/);
  cluster.refused(["worker", "drain", "w1", "--at-once", "0"], /vnodes on their way at once/);
});
