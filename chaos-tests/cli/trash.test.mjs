// Deleting with a way back, on real containers: files, ports and the name come back, and what goes for good leaves nothing.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(40);
const SMALL = ["--vnodes", "2", "--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir, ada, traces;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-trash-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  traces = cluster.traces();
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const running = (name) => until(`${name} to run`, () => ada.json("vc", "show", name).running === 2);

test("what was deleted is gone to everybody, and comes back with files, port and name", async () => {
  ada.run("vc", "create", "lab", ...SMALL, "--wait");
  ada.run("exec", "lab/host-1", "--", "sh", "-c", "echo of value > /root/kept");
  ada.run("port", "add", "lab/host-0", "80");
  const [port] = ada.json("port", "list");
  ada.run("vc", "delete", "lab", "--wait");
  ada.refused(["vc", "show", "lab"], /no vcluster "lab"/);
  ada.refused(["exec", "lab/host-1", "--", "true"], /no vcluster "lab"/);
  assert.deepEqual([ada.json("vc", "list"), ada.json("port", "list")], [[], []]);
  assert.equal(ada.json("quota", "show").items.find(({ item }) => item === "vnodes").used, 0);
  const [trashed] = ada.json("trash", "list");
  assert.deepEqual([trashed.name, trashed.vnodes, trashed.by, trashed.ran], ["lab", 2, "ada", true]);
  ada.run("trash", "restore", "lab");
  await running("lab");
  assert.equal(ada.run("exec", "lab/host-1", "--", "cat", "/root/kept"), "of value\n");
  assert.deepEqual(ada.json("port", "list").map(({ public: open }) => open), [port.public]);
  assert.deepEqual(ada.json("trash", "list"), []);
});

test("a name that is taken by now is told, and another one does", async () => {
  ada.run("vc", "delete", "lab");
  ada.run("vc", "create", "lab", ...SMALL, "--wait");
  ada.refused(["trash", "restore", "lab"], /a vcluster named "lab" exists already/);
  ada.run("trash", "restore", "lab", "--as", "old");
  await running("old");
  assert.equal(ada.run("exec", "old/host-1", "--", "cat", "/root/kept"), "of value\n");
  const bob = cluster.person("bob", dir);
  ada.run("vc", "delete", "old");
  bob.refused(["trash", "restore", String(ada.json("trash", "list")[0].id)], /nothing "[0-9]+" in the trash/);
});

test("what goes for good leaves nothing, whether by itself, by its owner or at once", async () => {
  ada.run("trash", "purge", "old");
  ada.refused(["trash", "restore", "old"], /nothing "old" in the trash/);
  ada.run("vc", "create", "short", ...SMALL, "--wait");
  ada.run("vc", "delete", "short", "--now", "--wait");
  assert.deepEqual(ada.json("trash", "list"), []);
  cluster.run("setting", "set", "trash", '{"undo_minutes":0}');
  ada.run("vc", "delete", "lab", "--wait");
  assert.deepEqual(ada.json("trash", "list"), []);
  await until("nothing to be left", () => JSON.stringify(cluster.traces().map(({ vnodes, containers, cgroups }) => [vnodes, containers, cgroups])) === JSON.stringify(traces.map(({ vnodes, containers, cgroups }) => [vnodes, containers, cgroups])));
  ada.refused(["setting", "set", "trash", '{"undo_minutes":5}'], /needs the role admin/);
});
