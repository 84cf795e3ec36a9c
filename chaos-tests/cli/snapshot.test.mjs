// Snapshots by command line, on real containers: taken, restored, undone, expired, and taken by themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(37);

before(() => {
  cluster.up();
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
});
after(() => cluster.down());

const shell = (vnode, script) => cluster.run("exec", `lab/${vnode}`, "--", "sh", "-c", script).trim();
const snapshots = (whose = "lab") => cluster.json("snapshot", "list", whose).snapshots;
const names = (whose) => snapshots(whose).map(({ vnode, name }) => `${vnode}@${name}`);

test("what was there comes back, and so does what was there before that", () => {
  shell("host-0", "echo before > /root/kept; (i=0; while :; do i=$((i+1)); echo $i >> /root/count; done) > /dev/null 2>&1 &");
  const taken = cluster.json("snapshot", "create", "lab/host-0@before", "--wait");
  assert.equal(taken.snapshots.length, 1);
  const { at, disk_mib: disk, used_bytes: used, still_us: still } = taken.snapshots[0].seen.taken;
  assert.ok(at > 0 && disk > 0 && used > 0 && used < disk * 2 ** 20 && still > 0, JSON.stringify(taken));
  assert.match(cluster.run("snapshot", "list", "lab"), /lab\/host-0@before +taken +asked/);

  shell("host-0", "echo after > /root/kept");
  const restored = cluster.json("snapshot", "restore", "lab/host-0@before", "--wait");
  assert.equal(shell("host-0", "cat /root/kept"), "before");
  const [{ left }] = restored.restores;
  assert.match(left, /^before-restore-\d+$/);
  assert.deepEqual(names(), ["host-0@before", `host-0@${left}`]);
  cluster.run("snapshot", "restore", `lab/host-0@${left}`, "--wait");
  assert.equal(shell("host-0", "cat /root/kept"), "after");
  assert.equal(cluster.json("vc", "show", "lab").phase, "running");
});

test("each vnode of a vcluster has its own, and one that stands still stays so", () => {
  for (const n of [0, 1]) shell(`host-${n}`, `echo ${n} > /root/number`);
  cluster.run("snapshot", "create", "lab@both", "--wait");
  assert.deepEqual(names().filter((name) => name.endsWith("@both")), ["host-0@both", "host-1@both"]);
  for (const n of [0, 1]) shell(`host-${n}`, "rm /root/number");
  cluster.run("vc", "stop", "lab", "--wait");
  cluster.run("snapshot", "restore", "lab@both", "--wait");
  assert.equal(cluster.json("vc", "show", "lab").phase, "stopped");
  cluster.run("vc", "start", "lab", "--wait");
  for (const n of [0, 1]) assert.equal(shell(`host-${n}`, "cat /root/number"), `${n}`);
  cluster.run("snapshot", "delete", "lab@both");
  assert.deepEqual(names().filter((name) => name.endsWith("@both")), []);
});

test("refusals say why and what to do", () => {
  const refused = (args, message) => {
    const { code, stderr } = cluster.try(["snapshot", ...args]);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  };
  refused(["create", "lab/host-0@before"], /named "host-0@before" exists already/);
  refused(["create", "lab/host-0@auto-1"], /gives by itself/);
  refused(["create", "lab/host-0@../x"], /is no snapshot: name it as/);
  refused(["create", "lab/host-0@x", "--expires", "1y"], /no span of time/);
  refused(["create", "lab/host-0@x", "--expires", "1s"], /expiry of 1000 ms is out of range/);
  refused(["restore", "lab/host-1@before"], /no snapshot "host-1@before"/);
  refused(["delete", "lab@nothing"], /no snapshot "nothing"/);
  refused(["create", "other/host-0@x"], /no vcluster "other"/);
  refused(["schedule", "lab", "--every", "hourly", "--keep", "99"], /from 1 to 24/);
});

test("a vnode has 32 that people asked for", () => {
  const room = 32 - snapshots("lab/host-1").filter(({ why }) => why === "asked").length;
  for (let n = 0; n < room; n++) cluster.run("snapshot", "create", `lab/host-1@n${n}`);
  const { stderr } = cluster.try(["snapshot", "create", "lab/host-1@more"]);
  assert.match(stderr, /has 32 snapshots, and one may have no more: delete one/);
  for (let n = 0; n < room; n++) cluster.run("snapshot", "delete", `lab/host-1@n${n}`);
});

test("a vcluster is made of a snapshot: the same files, a name, addresses and keys of its own", () => {
  shell("host-0", "echo template > /root/kept; mkdir -p /etc/ssh; echo key > /etc/ssh/ssh_host_rsa_key; sync");
  cluster.run("snapshot", "create", "lab/host-0@template", "--wait");
  shell("host-0", "echo later > /root/kept");
  cluster.run("vc", "create", "copy", "--from", "lab/host-0@template", "--vnodes", "2", "--wait");
  const { vnodes, image, wishes } = cluster.json("vc", "show", "copy");
  const source = cluster.json("vc", "show", "lab");
  assert.equal(vnodes[0].worker, source.vnodes[0].worker, "where the snapshot is");
  assert.deepEqual([image, wishes.disk_mib], [source.image, source.wishes.disk_mib]);
  assert.ok(source.vnodes.every(({ address }) => vnodes.every((vnode) => vnode.address !== address)));
  const inside = (vnode, script) => cluster.run("exec", `copy/${vnode}`, "--", "sh", "-c", script).trim();
  assert.equal(inside("host-0", "cat /root/kept; ls /etc/ssh; hostname"), "template\nhost-0");
  assert.equal(inside("host-1", "ls /root/kept 2>/dev/null || echo none"), "none", "the others begin empty");
  assert.equal(inside("host-0", "cat /etc/docklet/ssh/id_ed25519.pub") === shell("host-0", "cat /etc/docklet/ssh/id_ed25519.pub"), false);
  assert.equal(shell("host-0", "cat /root/kept"), "later");

  const refused = (args, message) => assert.match(cluster.try(["vc", "create", "more", ...args]).stderr, message);
  refused(["--from", "lab/host-0@nothing"], /no snapshot "host-0@nothing"/);
  refused(["--from", "lab@template"], /no snapshot of one vnode/);
  refused(["--from", "lab/host-0@template", "--image", "busybox"], /cannot be used with/);
  refused(["--from", "lab/host-0@template", "--disk", "64MiB"], /a disk only grows/);
  cluster.run("snapshot", "delete", "lab/host-0@template");
  cluster.run("vc", "stop", "copy", "--wait");
  cluster.run("vc", "start", "copy", "--wait");
  assert.equal(inside("host-0", "cat /root/kept"), "template", "it needs the snapshot no more");
  cluster.run("vc", "delete", "--now", "copy", "--wait");
});

test("they come by their schedule and go when their time is over", async () => {
  cluster.run("snapshot", "create", "lab/host-0@short", "--expires", "1m", "--wait");
  cluster.run("snapshot", "schedule", "lab", "--every", "1m", "--keep", "2");
  assert.match(cluster.run("snapshot", "schedule", "lab"), /lab +1m +2 +never/);
  const scheduled = () => snapshots().filter(({ why, seen }) => why === "scheduled" && seen.taken);
  await until("scheduled snapshot of each vnode", () => scheduled().length === 2, 90_000);
  assert.match(scheduled()[0].name, /^auto-\d{8}-\d{4}$/);
  await until("expired snapshot", () => !names().includes("host-0@short"), 30_000);
  cluster.run("snapshot", "schedule", "lab", "--off");
  assert.match(cluster.try(["snapshot", "schedule", "lab"]).stderr, /No snapshots of lab are taken by themselves/);
});

test("an agent that is killed takes none twice and loses none", async () => {
  const { worker } = cluster.json("vc", "show", "lab").vnodes[0];
  cluster.kill(worker);
  cluster.run("snapshot", "create", "lab/host-0@meanwhile");
  cluster.run("dev", "up");
  await until("snapshot that waited for the agent", () => snapshots().find(({ name, seen }) => name === "meanwhile" && seen.taken));
  assert.ok(names().includes("host-0@before"));
});

test("with the vnodes they are gone", async () => {
  cluster.run("vc", "delete", "--now", "lab", "--wait");
  await until("clean workers", () => cluster.traces().every(({ vnodes }) => vnodes.length === 0), 10_000);
});
