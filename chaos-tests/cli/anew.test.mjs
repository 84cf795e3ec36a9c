// A cluster that is lost comes back: restored from a backup with its people, vnodes and files, and recovered by the one
// master that is left, which the others can never join again but as new ones.

import { once } from "node:events";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(21);
const scratch = mkdtempSync(path.join(os.tmpdir(), "docklet-anew-"));
const file = (name) => path.join(scratch, name);
const password = file("password");
const started = [];

before(() => writeFileSync(password, "a good long password\n"));
beforeEach(() => {
  stopAll();
  cluster.up();
});
after(() => {
  stopAll();
  cluster.down();
  rmSync(scratch, { recursive: true });
});

// Addresses of the dev cluster's master number `n`.
const clusterAddr = (n) => `10.211.${cluster.instance}.1:${7000 + 10 * cluster.instance + n}`;
const publicAddr = (n) => `127.0.0.1:${8443 + 10 * cluster.instance + n}`;
const addresses = (n, name, dir) => ["--dir", dir, "--name", name, "--cluster-addr", clusterAddr(n), "--public-addr", publicAddr(n)];

// Starts a process that stays until the test has ended.
function start(name, args, namespace) {
  const log = openSync(file(`${name}.log`), "a");
  // `ip netns exec` would hide the cgroups.
  const inside = namespace ? ["nsenter", `--net=/run/netns/${namespace}`, program] : [program];
  const child = spawn(inside[0], [...inside.slice(1), ...args], { env: cluster.env, stdio: ["ignore", log, log] });
  started.push(child);
  return child;
}

function stopAll() {
  for (const child of started.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
}

function logs() {
  const tail = (name) => readFileSync(file(name), "utf8").split("\n").slice(-12).join("\n");
  return readdirSync(scratch).filter((name) => name.endsWith(".log")).map((name) => `\n== ${name}\n${tail(name)}`).join("");
}

// `docklet restore` with files that are no good backup: refused with the reason, and nothing is made.
function refusesHostile(good, dir) {
  const changed = (at, ...bytes) => {
    const copy = Buffer.from(good);
    bytes.forEach((byte, place) => (copy[at + place] = byte));
    return copy;
  };
  const cases = [
    ["cut", good.subarray(0, good.length - 1), /^2: .*ends at byte \d+ in the middle of/],
    ["empty", Buffer.alloc(0), /^2: .*does not begin like a backup/],
    ["flipped", changed(good.length >> 1, good[good.length >> 1] ^ 1), /^2: .*damaged at byte \d+.*copy it again/],
    ["longer", Buffer.concat([good, Buffer.from("x")]), /^2: .*damaged at byte \d+/],
    ["other", Buffer.from("#!/bin/sh\necho not a backup at all\n"), /^2: .*does not begin like a backup/],
    ["older", changed(8, 0, 0), /^2: .*has format 0, and this program reads 1 to 1: restore it with an older Docklet/],
    ["newer", changed(8, 2, 0), /^2: .*has format 2, and this program reads 1 to 1: use a Docklet as new/],
    ["greedy", changed(10, 255, 255, 255, 255), /^2: .*claims a header of 4294967295 bytes, at most 4096 are accepted/],
  ];
  for (const [name, bytes, reason] of cases) {
    writeFileSync(file(name), bytes);
    const ran = cluster.try(["restore", file(name), ...addresses(1, "r1", dir)]);
    assert.match(`${ran.code}: ${ran.stderr.replace(/^docklet: /, "")}`, reason);
  }
  const stranger = cluster.try(["restore", file("saved"), "--cluster", "00".repeat(16), ...addresses(1, "r1", dir)]);
  assert.equal(stranger.code, 4, stranger.stderr);
  assert.match(stranger.stderr, /saved is refused: it is of cluster [0-9a-f]{32}, not of 0{32}/);
  const absent = cluster.try(["restore", file("absent"), ...addresses(1, "r1", dir)]);
  assert.equal(absent.code, 1, absent.stderr);
  assert.match(absent.stderr, /absent/);
}

// `docklet master recover` with directories that are not those of one cluster's masters: refused, and nothing is changed.
function refusesWrongDirectories(dir) {
  const told = (...args) => {
    const ran = cluster.try(["master", "recover", ...args]);
    return `${ran.code}: ${ran.stderr.replaceAll("docklet: ", "")}`;
  };
  assert.match(told("--dir", file("nowhere")), /^3: .*nowhere holds no master: give the directory/s);
  assert.ok(!existsSync(file("nowhere")));
  assert.match(told("--dir", `${cluster.dir}/w1`), /^3: .*w1 holds no master/s);
  assert.match(told("--dir", dir, "--dir", `${cluster.dir}/m1`, "--accept-loss-after", "1"), /^2: one master goes on, so give the one --dir/);
  assert.match(told("--dir", dir, "--accept-loss-after", "1"), /^2: the log ends with entry \d+, not with 1: accept .* with --accept-loss-after \d+/);
  const other = cluster.try(["restore", file("other-cluster"), ...addresses(9, "x1", file("another"))]);
  assert.equal(other.code, 0, other.stderr);
  assert.match(told("--dir", dir, "--dir", file("another")), /^2: .*these directories are of different clusters/s);
  assert.match(told("--dir", file("another"), "--accept-loss-after", "1"), /^4: master "x1" is the only voter, so its quorum is not lost: run it/);
}

const login = (server, ca, user, secret) => cluster.try(["login", "--server", `https://${server}`, "--ca", ca, "--user", user, "--password-file", secret]);

async function loggedIn(server, ca, user, secret) {
  let last;
  await until(`login of ${user}`, () => (last = login(server, ca, user, secret)).code === 0).catch((error) => {
    throw new Error(`${error.message}: ${last.stderr}${logs()}`);
  });
}

// Makes accounts one after the other until told to stop.
function writer() {
  let made = 0;
  let going = true;
  const done = (async () => {
    for (; going; made += 1) {
      const args = ["user", "create", `writer-${made}`, "--password-file", password];
      const child = spawn(program, args, { env: cluster.env, stdio: "ignore" });
      await new Promise((resolve) => child.on("exit", resolve));
    }
    return made;
  })();
  return { stop: () => ((going = false), done) };
}

// Runs a command while other things go on.
function runAside(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: cluster.env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (data) => (stdout += data));
    child.stderr.on("data", (data) => (stderr += data));
    child.on("exit", (code) => (code === 0 ? resolve(stdout) : reject(new Error(stderr))));
  });
}

test("a lost cluster is restored with its people, its vnodes and their files", async () => {
  cluster.run("user", "create", "ada", "--password-file", password);
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  cluster.run("exec", "lab/host-0", "--", "sh", "-c", "echo precious > /root/file");
  const boot = cluster.run("exec", "lab/host-0", "--", "cat", "/proc/1/stat").split(" ")[21];

  const writes = writer();
  await until("some accounts", () => cluster.json("status").raft.applied > 40);
  const saved = JSON.parse(await runAside(["backup", file("saved"), "--format", "json"]));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const made = await writes.stop();
  assert.ok(saved.users > 2 && saved.users < made + 2, `${saved.users} of ${made + 2} accounts: writes went on`);
  cluster.run("vc", "create", "after", "--vnodes", "1", "--wait");
  const oldContext = readFileSync(`${cluster.dir}/context.toml`, "utf8");

  cluster.kill("m1", "m2", "m3", "w1", "w2");
  for (const master of ["m1", "m2", "m3"]) rmSync(`${cluster.dir}/${master}`, { recursive: true });
  const dir = `${cluster.dir}/restored`;
  const used = cluster.try(["restore", file("saved"), ...addresses(1, "r1", `${cluster.dir}/w1`)]);
  assert.equal(used.code, 4, used.stderr);
  assert.match(used.stderr, /w1 is not empty/);
  writeFileSync(file("half"), readFileSync(file("saved")).subarray(0, 700));
  const half = cluster.try(["restore", file("half"), ...addresses(1, "r1", dir)]);
  assert.equal(half.code, 2, half.stderr);
  assert.match(half.stderr, /half is refused: it ends at byte 700 in the middle of/);
  refusesHostile(readFileSync(file("saved")), dir);
  assert.ok(!readdirSync(cluster.dir).some((name) => name.startsWith("restored")));

  const restored = cluster.try(["restore", file("saved"), "--cluster", saved.cluster, ...addresses(1, "r1", dir), "--format", "json"]);
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(restored.stderr, /Workers join again/);
  start("r1", ["master", "run", "--dir", dir]);
  const ca = `${dir}/ca.pem`;
  await loggedIn(publicAddr(1), ca, "admin", cluster.passwordFile());
  const status = cluster.json("status");
  assert.equal(status.lineage.last, saved.index);
  assert.equal(status.workers_up, 0);

  // Who was logged in is out, by the old authority and by the new one.
  const stale = { ...cluster.env, DOCKLET_CONTEXT: file("stale.toml") };
  const pem = readFileSync(ca, "utf8");
  writeFileSync(file("stale.toml"), oldContext.replace(/ca_pem = """[^"]*"""/, `ca_pem = """\n${pem}"""`));
  const out = cluster.try(["status"], { env: stale });
  assert.equal(out.code, 5, out.stderr);

  // The workers come back to their vnodes, which ran on all the time; what the backup does not know goes.
  const token = cluster.run("token", "create", "--role", "agent", "--uses", "2").trim();
  for (const n of [1, 2]) {
    const netns = `dkdev${cluster.instance}-w${n}`;
    const old = `${cluster.dir}/w${n}`;
    const args = ["agent", "join", token, "--again", "--dir", old, "--name", `w${n}`, "--data-addr", `10.211.${cluster.instance}.${10 + n}:7443`, "--cgroup-prefix", netns, "--memory-mib", "8000"];
    const joined = spawnSync("ip", ["netns", "exec", netns, program, ...args], { encoding: "utf8" });
    assert.equal(joined.status, 0, joined.stderr);
    assert.match(joined.stderr, /Joined again as worker/);
    start(`w${n}`, ["agent", "run", "--dir", old], netns);
  }
  await until("running vnodes", () => cluster.json("vc", "show", "lab").vnodes.every(({ phase }) => phase === "running")).catch((error) => {
    throw new Error(`${error.message}${logs()}`);
  });
  assert.equal(cluster.run("exec", "lab/host-0", "--", "cat", "/root/file"), "precious\n");
  assert.equal(cluster.run("exec", "lab/host-0", "--", "cat", "/proc/1/stat").split(" ")[21], boot, "the same init ran on");
  assert.equal(cluster.try(["vc", "show", "after"]).code, 3, "it was made after the backup");

  // Everybody works on.
  cluster.run("vc", "create", "more", "--vnodes", "2", "--wait");
  await loggedIn(publicAddr(1), ca, "ada", password);
  cluster.run("vc", "create", "own", "--vnodes", "1", "--wait");
  assert.equal(cluster.json("vc", "list").length, 1, "ada has her own and sees no more");
});

test("the one master that is left goes on alone, and the old ones are out for ever", async () => {
  cluster.run("user", "create", "ada", "--password-file", password);
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  const [left, ...lost] = ["m3", "m1", "m2"];
  const dir = `${cluster.dir}/${left}`;
  const number = Number(left.slice(1));
  const runs = cluster.try(["master", "recover", "--dir", dir]);
  assert.match(runs.stderr, /in use by another process/);
  await runAside(["backup", file("other-cluster")]);
  cluster.kill(...lost);
  for (const master of lost) cpSync(`${cluster.dir}/${master}`, file(`old-${master}`), { recursive: true });
  assert.equal(cluster.try(["backup", file("none")]).code, 6, "no quorum");
  cluster.kill(left);

  refusesWrongDirectories(dir);
  const told = cluster.try(["master", "recover", "--dir", dir, "--dir", `${cluster.dir}/m1`, "--format", "json"]);
  assert.equal(told.code, 0, told.stderr);
  const survivors = JSON.parse(told.stdout);
  assert.equal(survivors.length, 2);
  assert.match(told.stderr, /Nothing was changed.*--accept-loss-after \d+/s);
  const { last } = survivors.find(({ name }) => name === left);
  const unsure = cluster.try(["master", "recover", "--dir", dir, "--accept-loss-after", String(last + 1)]);
  assert.equal(unsure.code, 2, unsure.stderr);
  cluster.run("master", "recover", "--dir", dir, "--accept-loss-after", String(last));
  for (const master of lost) rmSync(`${cluster.dir}/${master}`, { recursive: true });

  const ca = `${dir}/ca.pem`;
  start(left, ["master", "run", "--dir", dir]);
  await loggedIn(publicAddr(number), ca, "admin", cluster.passwordFile());
  const status = cluster.json("status");
  assert.deepEqual([status.lineage.last, status.lineage.from], [last, null]);
  await until("both workers", () => cluster.json("status").workers_up === 2).catch((error) => {
    throw new Error(`${error.message}${logs()}${cluster.logs()}`);
  });
  cluster.run("vc", "scale", "lab", "3", "--wait");

  // Two new masters, under the names and addresses of the old.
  const token = cluster.run("token", "create", "--role", "master", "--uses", "2").trim();
  for (const [n, name] of lost.map((name) => [Number(name.slice(1)), name])) {
    cluster.run("master", "join", token, ...addresses(n, name, `${cluster.dir}/${name}`));
    start(name, ["master", "run", "--dir", `${cluster.dir}/${name}`]);
  }
  await until("three voters", () => cluster.json("master", "list").raft.members.filter(({ voter }) => voter).length === 3).catch((error) => {
    throw new Error(`${error.message}${logs()}`);
  });
  cluster.run("vc", "create", "web", "--vnodes", "1", "--wait");
  const before = cluster.json("master", "list").masters.map(({ id }) => id);

  // The old ones come back where they were, elect one of themselves, hear that they were removed, and end for ever.
  await stop("m1", "m2");
  const old = lost.map((name) => start(`old-${name}`, ["master", "run", "--dir", file(`old-${name}`)]));
  await until("end of the old masters", () => old.every(({ exitCode }) => exitCode !== null), 60_000).catch((error) => {
    throw new Error(`${error.message}${logs()}`);
  });
  assert.deepEqual(old.map(({ exitCode }) => exitCode), [8, 8], logs());
  for (const name of lost) {
    assert.ok(!existsSync(`${file(`old-${name}`)}/own.key`), "its keys are gone");
    const again = cluster.try(["master", "run", "--dir", file(`old-${name}`)]);
    assert.equal(again.code, 8, again.stderr);
    const recovered = cluster.try(["master", "recover", "--dir", file(`old-${name}`)]);
    assert.equal(recovered.code, 8, recovered.stderr);
  }
  assert.equal(cluster.try(["backup", file("none")]).code, 6, "the one that was left took none of them for a master");
  for (const name of lost) start(name, ["master", "run", "--dir", `${cluster.dir}/${name}`]);
  cluster.run("vc", "create", "still", "--vnodes", "1", "--wait");
  assert.deepEqual(cluster.json("master", "list").masters.map(({ id }) => id), before);
});

// Ends processes that this test started.
// Ends them, and waits until they have: others take their addresses.
async function stop(...names) {
  for (const name of names) {
    const child = started.find(({ spawnargs, exitCode }) => exitCode === null && spawnargs.includes(`${cluster.dir}/${name}`));
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }
}
