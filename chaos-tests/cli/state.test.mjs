// Looking back: the state as it was before and after a write, what differs, only what is one's own, and how far it goes.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(24);
const scratch = mkdtempSync(path.join(os.tmpdir(), "docklet-state-"));
const password = path.join(scratch, "password");
const ada = { ...cluster.env, DOCKLET_CONTEXT: path.join(scratch, "ada.toml") };
const masters = ["m1", "m2", "m3"];

before(() => {
  writeFileSync(password, "a good long password\n");
  cluster.up();
  cluster.run("user", "create", "ada", "--password-file", password);
  logIn(ada);
});
after(() => {
  cluster.down();
  rmSync(scratch, { recursive: true });
});

function logIn(env) {
  const servers = cluster.masters.flatMap((server) => ["--server", server]);
  const { code, stderr } = cluster.try(["login", ...servers, "--ca", `${cluster.dir}/ca.pem`, "--user", "ada", "--password-file", password], { env });
  assert.equal(code, 0, stderr);
}

function as(env, ...args) {
  const { code, stdout, stderr } = cluster.try(args, { env });
  assert.equal(code, 0, stderr);
  return stdout;
}

const state = (...args) => JSON.parse(cluster.run("state", ...args, "--json"));
const applied = () => cluster.json("status").raft.applied;
const names = (view, noun) => Object.keys(view[noun] ?? {});

function refused(code, reason, ...args) {
  const ran = cluster.try(["state", ...args]);
  assert.equal(ran.code, code, `state ${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
  assert.match(ran.stderr, reason);
  assert.equal(ran.stdout, "");
}

test("a write is not there before it and is there after it, by entry, by time, and through every master", async () => {
  const early = applied();
  const time = new Date().toISOString();
  const receipt = cluster.json("vc", "create", "lab", "--vnodes", "2", "--wait");
  const late = applied();
  assert.ok(late > early, JSON.stringify(receipt));

  for (const server of cluster.masters) {
    cluster.run("login", "--server", server, "--ca", `${cluster.dir}/ca.pem`, "--user", "admin", "--password-file", cluster.passwordFile());
    await until("what the others have", () => applied() >= late);
    const old = state("--at", String(early));
    assert.equal(old.index, early);
    assert.ok(old.oldest.index < early);
    assert.deepEqual(names(old.state, "vclusters"), []);
    assert.deepEqual(names(state("--at", time).state, "vclusters"), []);
    assert.deepEqual(names(state("--at", String(late)).state, "vclusters"), ["admin/lab"]);
    assert.deepEqual(names(state("--at", String(late)).state, "vnodes"), ["admin/lab/host-0", "admin/lab/host-1"]);
  }
  cluster.login();
  assert.deepEqual(names(state().state, "vclusters"), ["admin/lab"], "now, if no moment is given");
  assert.deepEqual(names(state("--at", "-0s").state, "vclusters"), ["admin/lab"]);
  assert.match(cluster.run("state", "--at", String(late)), /^after entry \d+ \(.* UTC\); kept since entry \d+[^]*\nvclusters\n {2}admin\/lab\n/);
});

test("what differs between two moments is told, forwards and backwards", () => {
  const early = applied();
  cluster.run("vc", "scale", "lab", "3", "--wait");
  cluster.run("vc", "create", "web", "--vnodes", "1", "--wait");
  const late = applied();
  const { from, to, diff } = state("diff", String(early), String(late));
  assert.deepEqual([from.index, to.index], [early, late]);
  assert.deepEqual(Object.keys(diff.vclusters["admin/web"]), ["added"]);
  assert.deepEqual(Object.keys(diff.vnodes["admin/lab/host-2"]), ["added"]);
  assert.equal(diff.vnodes["admin/lab/host-0"], undefined, "what is the same is left out");
  assert.deepEqual(Object.keys(state("diff", String(late), String(early)).diff.vclusters["admin/web"]), ["removed"]);
  const tree = cluster.run("state", "diff", String(early), String(late));
  assert.match(tree, /^from entry \d+ .* to entry \d+ /);
  assert.match(tree, /\nvclusters\n( .*\n)* {2}\+ admin\/web\n/);
  assert.match(cluster.run("state", "diff", String(late), String(late)), /nothing differs that you can see/);
});

test("who asks sees what is their own, of now and of then, and no secret", () => {
  as(ada, "vc", "create", "own", "--vnodes", "1", "--wait");
  const late = String(applied());
  const own = JSON.parse(as(ada, "state", "--at", late, "--json")).state;
  assert.deepEqual(names(own, "vclusters"), ["own"]);
  assert.deepEqual(names(own, "vnodes"), ["own/host-0"]);
  assert.deepEqual(names(own, "users"), ["ada"]);
  for (const noun of ["masters", "workers", "tokens", "drills"]) assert.deepEqual(names(own, noun), [], noun);
  const first = String(state("--at", late).oldest.index + 1);
  const seen = JSON.parse(as(ada, "state", "diff", first, late, "--json"));
  // A public image says who added it, to everybody.
  assert.deepEqual(Object.keys(seen.diff.images), ["busybox"]);
  delete seen.diff.images;
  const text = JSON.stringify(seen);
  for (const foreign of ["lab", "web", "admin", "m1"]) assert.ok(!new RegExp(`"${foreign}\\b`).test(text), `${foreign} in ${text}`);
  const all = cluster.run("state", "--at", late, "--json") + cluster.run("state", "diff", first, late, "--json");
  assert.match(all, /"ada\/own"/, "an admin sees all of it");
  assert.doesNotMatch(all, /argon2|password_hash|secret/);
});

test("nonsense, the future, and nobody are refused with the reason", () => {
  const nonsense = /" is not valid: give an entry's number, a time as 2026-01-31T12:00:00Z, or how long ago as -15m/;
  for (const text of ["yesterday", "-15y", "", "1e9", "9".repeat(30), "2026-13-01T00:00:00Z", "\u001b[31m"]) refused(2, nonsense, "--at", text);
  refused(2, nonsense, "diff", "1", "soon");
  refused(3, /entry 99999999 is still to come: the newest entry is \d+/, "--at", "99999999");
  refused(3, /is still to come: the newest entry is \d+/, "--at", "2999-01-01T00:00:00Z");
  refused(3, /reaches back to entry \d+.*ask for that or a later one/, "--at", "-100000d");
  const nobody = cluster.try(["state"], { env: { ...cluster.env, DOCKLET_CONTEXT: path.join(scratch, "none.toml") } });
  assert.notEqual(nobody.code, 0);
});

test("what is no longer kept is refused, and the oldest that is kept is named", async () => {
  const early = applied();
  for (const name of masters) {
    const file = `${cluster.dir}/${name}/master.toml`;
    writeFileSync(file, readFileSync(file, "utf8").replace(/history_mib = \d+/, "history_mib = 0"));
  }
  cluster.kill(...masters);
  cluster.run("dev", "up");
  cluster.run("vc", "create", "newer", "--vnodes", "1", "--wait");
  const oldest = await until("an end of the history", () => {
    const { index } = state().oldest;
    return index > early && index;
  });
  refused(3, new RegExp(`the state after entry ${early} is not kept: the history of this master reaches back to entry \\d+, .*; ask for that or a later one`), "--at", String(early));
  refused(3, /is not kept/, "diff", String(early), String(applied()));
  assert.ok(oldest > early);
  assert.ok(names(state().state, "vclusters").includes("admin/newer"), "and now can be looked at as ever");
});
