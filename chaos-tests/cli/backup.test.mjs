// Backups of a running cluster: taken through any master while writes go on, of one state, refused when damaged.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(60);
const scratch = mkdtempSync(path.join(os.tmpdir(), "docklet-backup-"));
const file = (name) => path.join(scratch, name);
const password = file("password");

before(() => {
  writeFileSync(password, "a good long password\n");
  cluster.up();
});
after(() => {
  cluster.down();
  rmSync(scratch, { recursive: true });
});

// Makes accounts until told to stop; answers how many it made.
function writer() {
  let made = 0;
  let going = true;
  const one = () =>
    new Promise((resolve, reject) => {
      const args = ["user", "create", `writer-${made}`, "--password-file", password];
      const child = spawn(program, args, { env: cluster.env, stdio: "ignore" });
      child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`user create: exit ${code}`))));
    });
  const done = (async () => {
    for (; going; made += 1) await one();
    return made;
  })();
  return {
    made: () => made,
    stop: () => {
      going = false;
      return done;
    },
  };
}

// The state's hash at each entry at which a master was asked.
function hashes() {
  const seen = new Map();
  let going = true;
  const done = (async () => {
    while (going) {
      const { raft } = cluster.json("status");
      seen.set(raft.applied, raft.state_hash);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return seen;
  })();
  return { seen, stop: () => ((going = false), done) };
}

test("a backup taken while writes go on is of one state that the cluster really had", async () => {
  const writes = writer();
  const watched = hashes();
  let matched = 0;
  for (let number = 0; (matched === 0 || number < 8) && number < 60; number += 1) {
    const backup = cluster.json("backup", file(`b${number}`));
    assert.equal(backup.cluster_name, "docklet");
    assert.ok(backup.users >= 1 && backup.masters === 3 && backup.workers === 2, JSON.stringify(backup));
    assert.equal(statSync(file(`b${number}`)).mode & 0o777, 0o600, "secrets are in it");
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (watched.seen.has(backup.index)) {
      assert.equal(backup.state_hash, watched.seen.get(backup.index), `the state after entry ${backup.index}`);
      matched += 1;
    }
    const { file: _, ...verified } = cluster.json("backup", "verify", file(`b${number}`));
    const { file: __, ...taken } = backup;
    assert.deepEqual(verified, taken);
  }
  await watched.stop();
  const made = await writes.stop();
  assert.ok(matched > 0, "some backup is of a state whose hash was seen");
  assert.ok(made > 2, "writes went on");
  console.log(`${made} accounts made meanwhile`);
  assert.deepEqual(readdirSync(scratch).filter((name) => name.endsWith(".part")), [], "nothing half is left");
});

test("the last backup is shown to admins, and it is in itself", async () => {
  const backup = cluster.json("backup", file("recorded"));
  const { last_backup: last } = cluster.json("status");
  assert.ok(last.index <= backup.index && Date.now() - last.at < 60_000, JSON.stringify(last));
  assert.match(cluster.run("status"), /last backup/);
});

test("each master gives a backup, and the one that is taken next is newer", async () => {
  let index = 0;
  for (const [number, server] of cluster.masters.entries()) {
    cluster.run("login", "--server", server, "--ca", `${cluster.dir}/ca.pem`, "--user", "admin", "--password-file", cluster.passwordFile());
    const backup = cluster.json("backup", file(`through-${number}`));
    assert.ok(backup.index > index, `${backup.index} after ${index}`);
    index = backup.index;
  }
  cluster.login();
});

test("only admins get one, and no file is overwritten", () => {
  cluster.run("user", "create", "ada", "--password-file", password);
  const env = { ...cluster.env, DOCKLET_CONTEXT: file("ada.toml") };
  const login = ["login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "ada", "--password-file", password];
  assert.equal(cluster.try(login, { env }).code, 0);
  const refused = cluster.try(["backup", file("ada")], { env });
  assert.equal(refused.code, 5, refused.stderr);
  assert.match(refused.stderr, /you may not take a backup: this needs the role admin; ask an admin/);
  writeFileSync(file("taken"), "something else");
  const taken = cluster.try(["backup", file("taken")]);
  assert.equal(taken.code, 4, taken.stderr);
  assert.match(taken.stderr, /choose another name/);
  assert.equal(readFileSync(file("taken"), "utf8"), "something else");
});

test("a damaged, a cut and a foreign file are refused with the reason", async () => {
  cluster.run("backup", file("good"));
  const good = readFileSync(file("good"));
  const told = (bytes, ...options) => {
    writeFileSync(file("bad"), bytes);
    const ran = cluster.try(["backup", "verify", file("bad"), ...options]);
    return `${ran.code}: ${ran.stderr}`;
  };
  const flipped = Buffer.from(good);
  flipped[good.length >> 1] ^= 1;
  assert.match(told(flipped), /^2: .*damaged at byte \d+.*copy it again/);
  assert.match(told(good.subarray(0, good.length - 1)), /^2: .*ends at byte \d+ in the middle of/);
  assert.match(told(Buffer.from("#!/bin/sh\necho not a backup\n")), /^2: .*does not begin like a backup/);
  assert.match(told(good, "--cluster", "00".repeat(16)), /^4: .*is of cluster [0-9a-f]{32}, not of 0{32}/);
  const { cluster: id } = cluster.json("backup", "verify", file("good"));
  assert.equal(cluster.try(["backup", "verify", file("good"), "--cluster", id]).code, 0);
});

test("without a quorum there is none, and a master that dies in between costs a moment", async () => {
  cluster.kill(cluster.leader());
  const backup = cluster.json("backup", file("after-a-kill"));
  assert.ok(backup.users > 1);
  const [left] = Object.entries(cluster.processes()).find(([name, pid]) => name.startsWith("m") && pid !== null);
  cluster.kill(left);
  const refused = cluster.try(["backup", file("none")]);
  assert.equal(refused.code, 6, refused.stderr);
  assert.ok(!readdirSync(scratch).includes("none"));
  cluster.run("dev", "up");
  await until("a quorum", () => cluster.try(["status"]).code === 0);
});
