// What the scheduler goes by: labels, cordons and rules; why vnodes are where they are; and what would come of something.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(31);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-scheduling-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const workers = (vcluster, as = cluster) => as.json("vc", "show", vcluster).vnodes.map((vnode) => vnode.worker);
const explain = (what, as = cluster) => as.json("explain", what);
const worker = (name) => cluster.json("worker", "list").find((worker) => worker.name === name);

test("workers have labels, and vnodes go where their rules say", async () => {
  cluster.run("worker", "label", "w1", "zone=a", "disk=ssd");
  cluster.run("worker", "label", "w2", "zone=b");
  cluster.run("worker", "label", "w1", "disk-");
  assert.deepEqual(worker("w1").labels, { zone: "a" });
  cluster.refused(["worker", "label", "w1", "zone"], /is no label: write it as zone=a/);
  cluster.refused(["worker", "label", "w9", "zone=a"], /no worker "w9"/);
  cluster.refused(["vc", "create", "odd", "--label", "Zone=a"], /name "Zone" is not allowed: use 1 to 40/);
  cluster.run("vc", "create", "there", "--vnodes", "2", "--label", "zone=b", ...SMALL, "--wait");
  assert.deepEqual(workers("there"), ["w2", "w2"]);
  cluster.run("vc", "create", "close", "--vnodes", "3", "--spread", "together", ...SMALL, "--wait");
  assert.equal(new Set(workers("close")).size, 1);
  cluster.run("vc", "create", "wide", "--vnodes", "2", ...SMALL, "--wait");
  assert.deepEqual(workers("wide").toSorted(), ["w1", "w2"]);
  cluster.run("vc", "create", "liked", "--vnodes", "2", "--prefer", "zone=b", ...SMALL, "--wait");
  assert.deepEqual(workers("liked"), ["w2", "w2"]);
  cluster.run("vc", "delete", "--now", "liked", "--wait");
  cluster.run("vc", "delete", "--now", "close", "--wait");
  cluster.run("vc", "delete", "--now", "wide", "--wait");
});

test("what waits is explained worker by worker, until a rule is taken back", async () => {
  cluster.run("vc", "create", "apart", "--vnodes", "3", "--at-most", "1", ...SMALL);
  await until("two of three", () => cluster.json("vc", "show", "apart").running === 2);
  await until("the third to wait", () => explain("apart/host-2")[0].worker === null && explain("apart/host-2")[0].workers.every(({ lacks }) => lacks.length === 1));
  const [third] = explain("apart/host-2");
  assert.equal(third.vnode, "apart/host-2");
  assert.match(third.summary, /^None of 2 workers can take it\.$/);
  assert.deepEqual(third.workers.map(({ lacks }) => lacks.map(({ text }) => text)), [
    ["has 1 vnodes of this vcluster, as many as it may"],
    ["has 1 vnodes of this vcluster, as many as it may"],
  ]);
  assert.ok(third.unblock.length >= 3);
  const text = cluster.run("explain", "apart");
  assert.match(text, /^apart\/host-0: It is running, on w[12]\.$/m);
  assert.match(text, /^apart\/host-2: None of 2 workers can take it\.$/m);
  assert.match(text, /Would help: w1 takes it once more than 1 vnodes may be on one worker/);
  assert.match(text, /Quota: ./);
  cluster.run("vc", "rules", "apart", "--at-most", "2");
  assert.match(cluster.run("vc", "rules", "apart"), /workers +2/);
  await until("all three", () => cluster.json("vc", "show", "apart").running === 3);
});

test("who holds what is short is told by name to whom it belongs, and only counted for others", async () => {
  cluster.run("quota", "set", "--user", "ada", "--memory", "none");
  const promised = worker("w1");
  const memory = promised.memory_mib_max - promised.memory_mib_promised;
  ada.run("vc", "create", "mine", "--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64", "--label", "zone=a", "--wait");
  ada.run("vc", "create", "huge", "--cpu-milli", "100", "--memory-mib", String(memory), "--pids-max", "64", "--label", "zone=a");
  await until("it to wait", () => explain("huge/host-0", ada)[0].phase === "pending" && explain("huge/host-0", ada)[0].workers[0].lacks.length > 0);
  const [huge] = explain("huge/host-0", ada);
  const lack = huge.workers.find(({ worker }) => worker === "w1").lacks.find(({ dimension }) => "memory" in dimension);
  const who = lack.holders.map(({ who }) => who);
  assert.ok(who.includes("mine") && who.includes("vclusters of other people"), who.join());
  assert.ok(!who.some((name) => name.includes("apart")));
  const [seen] = cluster.json("explain", `${ada.json("vc", "show", "huge").id}`);
  assert.equal(seen.vnode, "ada/huge/host-0");
  const names = seen.workers.flatMap(({ lacks }) => lacks.flatMap(({ holders }) => holders.map(({ who }) => who)));
  assert.ok(names.includes("ada/mine") && names.includes("apart"), names.join());
  assert.ok(huge.unblock.some((text) => /^It asks for no more than fits on w1 now: `docklet vc resize huge --memory-mib \d+`\.$/.test(text)), huge.unblock.join("\n"));
  ada.run("vc", "delete", "--now", "huge", "--wait");
});

test("a cordoned worker takes nothing new, and what is there runs on", async () => {
  const before = workers("apart");
  cluster.run("worker", "cordon", "w1", "--reason", "new disk");
  assert.equal(worker("w1").cordon, "new disk");
  assert.match(cluster.run("worker", "list"), /w1 +up, cordoned/);
  cluster.run("vc", "create", "late", "--vnodes", "2", ...SMALL, "--wait");
  assert.deepEqual(workers("late"), ["w2", "w2"]);
  assert.deepEqual(workers("apart"), before);
  assert.equal(cluster.json("vc", "show", "apart").running, 3);
  assert.match(cluster.run("explain", "late/host-0"), /takes nothing new \(new disk\)/);
});

test("what would come of something is told, and nothing is changed", async () => {
  const hash = () => cluster.json("status").raft.state_hash;
  const before = hash();
  const drain = cluster.try(["what-if", "drain", "w2"]);
  assert.equal(drain.code, 1, drain.stderr);
  assert.match(drain.stdout, /late\/host-0 +w2 +pending +w1: takes nothing new/);
  assert.match(drain.stderr, /would wait\. Nothing was changed\./);
  const create = cluster.try(["what-if", "create", "next", "--vnodes", "2", ...SMALL]);
  assert.equal(create.code, 0, create.stderr);
  assert.match(create.stdout, /next\/host-1 +- +w2/);
  const large = cluster.try(["what-if", "create", "next", "--vnodes", "1", "--memory-mib", "4000000", "--format", "json"]);
  assert.equal(large.code, 1, large.stderr);
  assert.match(JSON.parse(large.stdout).pending[0].why, /wants 4000000 MiB of memory/);
  cluster.refused(["what-if", "create", "apart"], /a vcluster named "apart" exists already/);
  cluster.refused(["what-if", "loss", "w9"], /no worker "w9"/);
  assert.equal(hash(), before);
  cluster.run("worker", "uncordon", "w1");
  // What asks for w1's zone has nowhere to go.
  const loss = cluster.try(["what-if", "loss", "w1", "--format", "json"]);
  assert.equal(loss.code, 1, loss.stderr);
  const { placed, pending } = JSON.parse(loss.stdout);
  assert.ok(placed.length > 0 && placed.every(({ from, to }) => from === "w1" && to === "w2"));
  assert.match(pending.find(({ vnode }) => vnode === "ada/mine/host-0").why, /^w2: has the label zone=b, not a$/);
});

test("people who are no admins steer their own vclusters only", () => {
  ada.refused(["worker", "cordon", "w1"], /admin/);
  ada.refused(["worker", "label", "w1", "zone=c"], /admin/);
  ada.refused(["what-if", "drain", "w1"], /admin/);
  ada.refused(["explain", "apart"], /no vcluster "apart"/);
  ada.refused(["vc", "rules", "apart", "--at-most", "1"], /no vcluster "apart"/);
  assert.equal(ada.try(["what-if", "create", "next", ...SMALL]).code, 0);
});
