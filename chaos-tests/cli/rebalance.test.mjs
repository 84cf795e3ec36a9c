// Evening out how workers are loaded: looking, doing, and a policy by which the leader does it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(34);
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-rebalance-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.run("worker", "cordon", "w2");
  cluster.run("vc", "create", "lab", "--vnodes", "4", ...part(40), "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const workers = (vcluster = "lab") => cluster.json("vc", "show", vcluster).vnodes.map(({ worker }) => worker).toSorted();
// A vnode of so large a part of a worker's memory: what counts is promised, whatever the machine has.
const part = (of) => {
  const { memory_mib_max: most } = cluster.json("worker", "list").find(({ name }) => name === "w1");
  return ["--cpu-milli", "100", "--memory-mib", String(Math.floor(most / of)), "--pids-max", "64"];
};
const hash = () => cluster.json("status").raft.state_hash;
// How much four vnodes are depends on the machine; more than a thousandth they are.
const plan = (...args) => cluster.try(["rebalance", "--plan", "--threshold", "0.1%", ...args]);
const planned = () => JSON.parse(plan("--format", "json").stdout);

test("one worker alone is not uneven, and whoever is no admin may not even look", () => {
  assert.deepEqual(workers(), ["w1", "w1", "w1", "w1"]);
  const alone = plan();
  assert.equal(alone.code, 0, alone.stderr);
  assert.match(alone.stdout, /w2 +- +- +takes nothing new/);
  assert.match(alone.stderr, /fewer than two workers take part, so there is nothing to even out\. Nothing was changed\./);
  cluster.refused(["rebalance", "--apply"], /1 of 2 workers can take part, and evening out needs two/);
  ada.refused(["rebalance", "--plan"], /admin/);
  ada.refused(["rebalance", "--apply"], /admin/);
  ada.refused(["rebalance", "policy"], /admin/);
  ada.refused(["rebalance", "policy", "--on"], /admin/);
});

test("a plan says what would move and changes nothing", () => {
  cluster.run("worker", "uncordon", "w2");
  const before = hash();
  const told = plan();
  assert.equal(told.code, 1, told.stderr);
  assert.match(told.stdout, /lab\/host-0 +w1 +[0-9.]+ % -> [0-9.]+ % +w2 +0 % -> [0-9.]+ %/);
  assert.match(told.stderr, /2 moves would make it 0 %\. Nothing was changed\./);
  const { moves, spread_permille, spread_after_permille, cut_off } = planned();
  assert.equal(moves.length, 2);
  assert.ok(moves.every(({ from, to }) => from === "w1" && to === "w2"));
  assert.ok(spread_permille > spread_after_permille && !cut_off);
  const one = plan("--budget", "1");
  assert.equal(one.code, 1);
  assert.match(one.stderr, /1 move would make it [0-9.]+ %, and then there is more to move/);
  cluster.refused(["rebalance", "--plan", "--threshold", "0%"], /threshold of 0 thousandths is out of range/);
  cluster.refused(["rebalance", "--apply", "--budget", "101"], /budget of 101 moves is out of range: give a value from 1 to 100 moves/);
  cluster.refused(["rebalance", "--plan", "--threshold", "much"], /"much" is no share: write it in percent, as 20% or 12\.5%/);
  cluster.refused(["rebalance", "--apply", "--threshold", "100%"], /there is nothing to even out/);
  assert.equal(cluster.try(["rebalance"]).code, 2);
  assert.equal(cluster.try(["rebalance", "--plan", "--apply"]).code, 2);
  assert.equal(hash(), before);
});

test("it is applied, and then there is nothing left to do", () => {
  const told = cluster.try(["rebalance", "--apply", "--threshold", "0.1%", "--wait"]);
  assert.equal(told.code, 0, told.stderr + cluster.logs());
  assert.match(told.stderr, /of 2 moved, \d on their way/);
  assert.equal(told.stdout.match(/lab\/host-\d came from w1 to w2/g).length, 2);
  assert.deepEqual(workers(), ["w1", "w1", "w2", "w2"]);
  assert.equal(cluster.json("vc", "show", "lab").running, 4);
  const after = plan();
  assert.equal(after.code, 0, after.stderr);
  assert.match(after.stderr, /shares are 0 % apart, and 0\.1 % may be: nothing would move\. 2 vnodes rest/);
  cluster.refused(["rebalance", "--apply", "--threshold", "0.1%"], /there is nothing to even out: of the most loaded worker 0 % more is promised/);
  const why = cluster.json("vc", "moves").map(({ why }) => why);
  assert.deepEqual(why, ["rebalance", "rebalance"]);
});

test("by a policy the leader does it, after the time for which it must hold and within its budget", async () => {
  assert.match(cluster.run("rebalance", "policy"), /by itself +off[^]*threshold +20 %[^]*hold +10m[^]*budget +10\/1h/);
  cluster.refused(["rebalance", "policy", "--threshold", "0.5%"], /threshold of 5 thousandths is out of range/);
  cluster.refused(["rebalance", "policy", "--budget", "10"], /"10" is no budget of moves: write it as 10\/h or 20\/6h/);
  // So much that two vnodes on one of two workers are further apart than a policy can allow.
  cluster.run("worker", "cordon", "w2");
  cluster.run("vc", "create", "big", "--vnodes", "2", ...part(8), "--wait");
  assert.deepEqual(workers("big"), ["w1", "w1"]);
  const quiet = cluster.try(["rebalance", "policy", "--threshold", "5%", "--hold", "10s", "--at-once", "1", "--budget", "3/h"]);
  assert.match(quiet.stderr, /The leader does nothing by itself yet/);
  cluster.run("rebalance", "policy", "--on");
  const policy = () => cluster.json("rebalance", "policy");
  assert.deepEqual(policy().policy, { enabled: true, threshold_permille: 50, hold_ms: 10_000, at_once: 1, moves_max: 3, window_ms: 3_600_000 });
  assert.equal(policy().begun, 2, "those that an admin wanted count");
  cluster.run("worker", "uncordon", "w2");
  const since = await until("it to be noted", () => policy().uneven_since ?? undefined);
  await until("one to have moved", () => workers("big").join() === "w1,w2", 90_000);
  const { times } = cluster.json("vc", "moves").find(({ vnode }) => vnode.startsWith("big/"));
  assert.ok(times.asked_at - since >= 10_000, `${times.asked_at - since} ms`);
  await until("it to be even", () => policy().uneven_since === null && policy().under_way.length === 0);
  assert.equal(policy().begun, 3);
  cluster.run("rebalance", "policy", "--off");
  assert.match(cluster.run("rebalance", "policy"), /by itself +off/);
});
