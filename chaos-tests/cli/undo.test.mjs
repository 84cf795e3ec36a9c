// Undoing the deletion of images, snapshots, groups and templates, on real workers: bytes stay until the time is over, and are used again.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(73);
const SMALL = ["--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir, ada, bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-undo-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  bob = cluster.person("bob", dir);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const image = (name, as = ada) => as.json("image", "list").find((image) => image.name === name);
const trash = (as = ada) => as.json("trash", "list").map(({ kind, name }) => `${kind} ${name}`);
const stores = [1, 2].map((n) => `${cluster.dir}/w${n}/state/images`);
const held = (digest) => stores.filter((store) => readdirSync(store).includes(digest)).length;
// What came within ten minutes may be news to the masters, and is not deleted.
const age = (digest) => {
  for (const store of stores.filter((store) => readdirSync(store).includes(digest))) utimesSync(path.join(store, digest, "blob.tar.zst"), 0, 0);
};
// The leader looks every second; whatever is to go has gone when something that was deleted for good later has.
const gone = async (what, digest) => {
  age(digest);
  await until(`${what} to be gone from the workers`, () => held(digest) === 0);
};
const save = (name, label) => {
  ada.run("exec", "lab/host-0", "--", "sh", "-c", `echo ${label} > /root/version`);
  ada.run("image", "save", "lab/host-0", name, "--version", label);
  return image(name).digest;
};

test("an image comes back with its versions, and a vcluster is made of it", async () => {
  ada.run("vc", "create", "lab", "--vnodes", "1", ...SMALL, "--wait");
  const [one, two] = [save("mine", "v1"), save("mine", "v2")];
  const witness = save("witness", "v3");
  await until("copies", () => [one, two, witness].every((digest) => held(digest) === 2));
  for (const digest of [one, two, witness]) age(digest);
  ada.run("image", "share", "mine", "bob");
  ada.run("image", "delete", "mine", "--version", "v1");
  ada.run("image", "delete", "mine");
  ada.refused(["image", "show", "mine"], /no image "mine"/);
  bob.refused(["vc", "create", "x", "--image", "ada/mine"], /no image/);
  assert.deepEqual(trash(), ["image mine", "image-version mine"]);
  assert.deepEqual(trash(bob), []);
  ada.run("image", "delete", "witness", "--now");
  await gone("the witness", witness);
  assert.deepEqual([held(one), held(two)], [2, 2], "what can be had back is there");
  ada.refused(["trash", "restore", "mine"], /several things of the trash are "mine": say which with --kind/);
  ada.run("trash", "restore", "mine", "--kind", "image");
  ada.run("trash", "restore", "mine", "--kind", "image-version");
  const back = ada.json("image", "show", "mine");
  assert.deepEqual(back.versions.map(({ digest }) => digest), [one, two]);
  assert.deepEqual([back.digest, back.shared_with], [two, ["bob"]]);
  bob.run("vc", "create", "of-it", "--image", "ada/mine", "--vnodes", "1", ...SMALL, "--wait");
  assert.equal(bob.run("exec", "of-it/host-0", "--", "cat", "/root/version"), "v2\n");
});

test("a snapshot stays on its worker while it is hidden, and is restored when it is back", async () => {
  const files = () => execFileSync("find", ["-L", `${cluster.dir}/w1/state`, `${cluster.dir}/w2/state`, "-path", "*snapshots*", "-name", "*.img"], { encoding: "utf8" }).split("\n").filter(Boolean);
  ada.run("exec", "lab/host-0", "--", "sh", "-c", "echo before > /root/kept");
  ada.run("snapshot", "create", "lab/host-0@friday", "--wait");
  const [file] = files();
  ada.run("exec", "lab/host-0", "--", "sh", "-c", "echo after > /root/kept");
  ada.run("snapshot", "create", "lab/host-0@witness", "--wait");
  ada.run("snapshot", "delete", "lab@friday");
  assert.deepEqual(ada.json("snapshot", "list", "lab").snapshots.map(({ name }) => name), ["witness"]);
  ada.refused(["snapshot", "restore", "lab/host-0@friday"], /no snapshot "host-0@friday"/);
  ada.run("snapshot", "delete", "lab/host-0@witness", "--now");
  await until("one file", () => files().length === 1);
  assert.deepEqual(files(), [file]);
  ada.run("snapshot", "create", "lab/host-0@friday", "--wait");
  ada.refused(["trash", "restore", "lab@friday"], /a snapshot named "host-0@friday" exists already/);
  ada.run("trash", "restore", "lab@friday", "--as", "thursday");
  ada.run("snapshot", "restore", "lab/host-0@thursday", "--wait");
  assert.equal(ada.run("exec", "lab/host-0", "--", "cat", "/root/kept"), "before\n");
});

test("a group comes back with its people and what it gives, and a template with it", () => {
  cluster.run("group", "create", "course", "--description", "Systems");
  cluster.run("group", "add", "course", "ada", "bob");
  cluster.run("quota", "set", "--group", "course", "--vnodes", "12");
  cluster.run("template", "publish", "systems", "--group", "course", "--image", "busybox", "--vnodes", "1");
  const vnodes = () => ada.json("quota", "show").items.find(({ item }) => item === "vnodes").limit ?? ada.json("quota", "show").items.find(({ item }) => item === "vnodes");
  const given = JSON.stringify(vnodes());
  ada.run("image", "share", "mine", "--group", "course");
  cluster.run("group", "delete", "course");
  ada.refused(["group", "show", "course"], /no group "course"/);
  assert.notEqual(JSON.stringify(vnodes()), given);
  assert.deepEqual(ada.json("template", "list"), []);
  ada.refused(["trash", "restore", "course"], /nothing "course" in the trash/);
  cluster.run("trash", "restore", "course");
  assert.deepEqual(ada.json("group", "show", "course").members, ["ada", "bob"]);
  assert.equal(JSON.stringify(vnodes()), given);
  assert.deepEqual(ada.json("image", "show", "mine").shared_with_groups, ["course"]);
  assert.deepEqual(ada.json("template", "list").map(({ name }) => name), ["systems"]);
  cluster.run("template", "withdraw", "systems");
  cluster.run("trash", "restore", "systems");
  assert.deepEqual(ada.json("template", "list").map(({ name }) => name), ["systems"]);
});

test("when the time is over the bytes go", async () => {
  const last = save("last", "v4");
  await until("copies", () => held(last) === 2);
  ada.run("image", "delete", "last");
  ada.run("trash", "purge", "last");
  ada.refused(["trash", "restore", "last"], /nothing "last" in the trash/);
  await gone("what was purged", last);
  cluster.run("setting", "set", "trash", '{"undo_minutes":1}');
  ada.run("snapshot", "delete", "lab/host-0@thursday");
  cluster.run("setting", "set", "trash", '{"undo_minutes":0}');
  await until("the minute to be over", () => trash().length === 0, 120_000);
  ada.run("snapshot", "delete", "lab/host-0@friday");
  assert.deepEqual(trash(), []);
});

test("snapshots count in the quota, and what was deleted does not", () => {
  const used = () => ada.json("quota", "show").items.find(({ item }) => item === "snapshots").used;
  cluster.run("setting", "set", "trash", '{"undo_minutes":10}');
  cluster.run("quota", "set", "--user", "ada", "--snapshots", String(used() + 1));
  ada.run("snapshot", "create", "lab/host-0@last", "--wait");
  ada.refused(["snapshot", "create", "lab/host-0@more"], /snapshots: \d+ used, 1 more wanted, \d+ allowed \(own\)/);
  ada.run("snapshot", "delete", "lab/host-0@last");
  ada.run("snapshot", "create", "lab/host-0@more", "--wait");
  ada.refused(["trash", "restore", "lab@last"], /1 more wanted/);
  ada.run("snapshot", "delete", "lab/host-0@more", "--now");
  ada.run("trash", "restore", "lab@last");
});
