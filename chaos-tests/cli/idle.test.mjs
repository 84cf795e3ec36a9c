// Stopping what does nothing, on real containers: the quota's idle time, what counts as doing something, and what is told.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(48);
const SMALL = ["--cpu-milli", "200", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir, ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-idle-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("what does nothing for longer than the quota is stopped and told, and what works goes on", async () => {
  for (const name of ["rests", "works", "half"]) ada.run("vc", "create", name, "--vnodes", name === "half" ? "2" : "1", ...SMALL, "--wait");
  for (const vnode of ["works/host-0", "half/host-1"]) ada.run("exec", vnode, "--", "sh", "-c", "(while :; do :; done) >/dev/null 2>&1 &");
  cluster.run("vc", "create", "of-an-admin", "--vnodes", "1", ...SMALL, "--wait");
  cluster.run("quota", "set", "--user", "ada", "--idle", "1m");
  const rests = await until("it to be stopped", () => ada.json("vc", "list").find(({ name, wanted }) => name === "rests" && wanted === "stopped"), 150_000);
  assert.equal(rests.vnodes.length, 1);
  const wanted = Object.fromEntries(ada.json("vc", "list").map(({ name, wanted }) => [name, wanted]));
  assert.deepEqual(wanted, { rests: "stopped", works: "running", half: "running" });
  assert.equal(cluster.json("vc", "list").find(({ name }) => name === "of-an-admin").wanted, "running");
  assert.match(ada.run("notice", "list"), /Vcluster rests was stopped/);
  const [stopped] = ada.json("audit", "list", "--command", "StopIdle").records;
  assert.deepEqual([stopped.who, stopped.things[0]], ["cluster", "vcluster ada/rests"]);
});

test("whoever starts it begins anew", async () => {
  ada.run("vc", "start", "rests", "--wait");
  assert.equal(ada.run("exec", "rests/host-0", "--", "echo", "here"), "here\n");
  assert.equal(ada.json("vc", "show", "rests").wanted, "running");
});
