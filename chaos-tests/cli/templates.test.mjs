// Templates: published for everybody or for a group, and one made of it for each of its members.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(27);
const SMALL = ["--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir;
let teacher, ada, bob, carl;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-templates-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [teacher, ada, bob, carl] = ["teacher", "ada", "bob", "carl"].map((name) => cluster.person(name, dir));
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "teacher");
  cluster.run("group", "add", "course", "ada", "bob");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("a manager publishes for the group, and nobody else sees it", () => {
  teacher.refused(["template", "publish", "systems", ...SMALL], /needs the role operator/);
  ada.refused(["template", "publish", "systems", "--group", "course", ...SMALL], /needs a manager of the group or the role admin/);
  carl.refused(["template", "publish", "systems", "--group", "course", ...SMALL], /no group "course"/);
  teacher.run("template", "publish", "systems", "--group", "course", "--description", "Systems, spring", "--vnodes", "2", "--prefer", "zone=a", ...SMALL);
  const [seen] = ada.json("template", "list");
  assert.deepEqual([seen.name, seen.group, seen.vnodes, seen.image, seen.by, seen.usable, seen.kept], ["systems", "course", 2, "busybox", "teacher", true, false]);
  assert.deepEqual(seen.rules.prefers, { zone: "a" });
  assert.deepEqual(carl.json("template", "list"), []);
  carl.refused(["template", "show", "systems"], /no template "systems"/);
  carl.refused(["template", "clone", "systems"], /no template "systems"/);
  ada.refused(["template", "withdraw", "systems"], /needs a manager of its group/);
  assert.match(ada.run("template", "list"), /^systems +course +2 +busybox/m);
});

test("one command makes one for each member, says what became of each, and makes nothing twice", async () => {
  ada.run("vc", "create", "systems", ...SMALL, "--wait");
  cluster.run("quota", "set", "--user", "bob", "--vnodes", "1");
  const first = teacher.try(["template", "clone", "systems", "--group", "course", "--format", "json"]);
  assert.equal(first.code, 4, first.stderr);
  assert.match(first.stderr, /1 of 2 got none/);
  const made = JSON.parse(first.stdout);
  assert.deepEqual(made.map(({ user, outcome, code }) => [user, outcome, code]), [["ada", "kept", "name_taken"], ["bob", "refused", "quota_exceeded"]]);
  assert.equal(ada.json("vc", "show", "systems").vnodes.length, 1);
  cluster.run("quota", "set", "--user", "bob", "--vnodes", "inherit");
  assert.match(teacher.run("template", "clone", "systems", "--group", "course"), /^bob +made/m);
  const mine = await until("bob's to run", () => bob.json("vc", "list").find(({ name, running }) => name === "systems" && running === 2));
  assert.equal(mine.name, "systems");
  assert.match(teacher.run("template", "clone", "systems", "--group", "course"), /^bob +kept/m);
  teacher.refused(["template", "clone", "systems", "--group", "course", "--user", "carl"], /1 of 1 got none/);
  ada.refused(["template", "clone", "systems", "--group", "course"], /needs a manager of the group/);
});

test("an operator publishes for everybody, who make their own; what was made stays when it is withdrawn", async () => {
  cluster.run("template", "publish", "one", ...SMALL);
  carl.run("template", "clone", "one", "--as", "mine");
  await until("it to run", () => carl.json("vc", "show", "mine").running === 1);
  cluster.run("template", "withdraw", "one");
  carl.refused(["template", "clone", "one"], /no template "one"/);
  assert.equal(carl.json("vc", "show", "mine").running, 1);
  cluster.run("group", "delete", "course");
  assert.deepEqual(teacher.json("template", "list"), []);
});
