// Certificates between masters and workers that live for seconds: the cluster goes on over many of them.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { Cluster, program, until } from "../harness.mjs";

const LIFE_S = 40;
const cluster = new Cluster(67);
cluster.env.DOCKLET_CLUSTER_CERTIFICATE_S = String(LIFE_S);
let dir;
let first;
let second;

const names = ["m1", "m2", "m3", "w1", "w2"];
const held = (name) => new X509Certificate(readFileSync(`${cluster.dir}/${name}/own.pem`));
const endsAt = (name) => new Date(held(name).validTo).getTime();
const log = (name) => readFileSync(`${cluster.dir}/log/${name}.log`, "utf8");
const worker = (name) => cluster.json("worker", "list").find((row) => row.name === name);
const up = (name) => until(`${name} to be up`, () => worker(name).status === "up", 60_000);
const said = (vcluster, ...command) => cluster.run("exec", `${vcluster}/host-0`, "--", ...command).trim();
const began = (vcluster) => said(vcluster, "cat", "/proc/1/stat").split(" ")[21];
const make = (name, vnodes, ...more) => cluster.run("vc", "create", name, "--vnodes", String(vnodes), ...more, "--wait");
const audit = (command) => cluster.json("audit", "list", "--command", command).records;

// What a master's cluster listener says to whoever shows this; true if it lets in, at least until it looks further.
function greeted({ cert, key } = {}) {
  const [, host, port] = /cluster_listen = "(.*):(\d+)"/.exec(readFileSync(`${cluster.dir}/m1/master.toml`, "utf8"));
  return new Promise((resolve) => {
    const socket = tls.connect({ port: Number(port), host, servername: "docklet", cert, key, rejectUnauthorized: false, minVersion: "TLSv1.3" });
    // Wire version 1, for an agent: whoever is let in hears nothing yet, whoever is not is cut off.
    socket.on("secureConnect", () => socket.write(Buffer.from([0, 0, 0, 2, 1, 1])));
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
    socket.setTimeout(1500, () => { resolve(true); socket.destroy(); });
  });
}
// Joins again in the directory of `home`, under this name, as docs/tls.md says.
function join(home, name, token) {
  const space = `dkdev${cluster.instance}-${home}`;
  const addr = `10.211.${cluster.instance}.${10 + Number(home.slice(1))}:7443`;
  const args = ["agent", "join", token, "--again", "--dir", `${cluster.dir}/${home}`, "--name", name, "--data-addr", addr, "--cgroup-prefix", space, "--memory-mib", "8000"];
  const ran = spawnSync("ip", ["netns", "exec", space, program, ...args], { env: cluster.env, encoding: "utf8" });
  return { code: ran.status, stderr: ran.stderr };
}

before(async () => {
  dir = mkdtempSync("/var/tmp/docklet-renewal-test-");
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  make("first", 1);
  first = began("first");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("all of them begin some minutes back, are shown, and no key is for others' eyes", async () => {
  await until("workers' certificates to be known", () => ["w1", "w2"].every((name) => worker(name).certificate));
  for (const name of names) {
    const certificate = held(name);
    assert.ok(Date.now() - new Date(certificate.validFrom).getTime() >= 299_000, name);
    assert.ok(endsAt(name) - Date.now() <= LIFE_S * 1000, name);
    assert.equal(statSync(`${cluster.dir}/${name}/own.key`).mode & 0o777, 0o600, name);
  }
  const view = cluster.json("tls", "show").cluster;
  assert.deepEqual(view.masters.map(({ name }) => name), ["m1", "m2", "m3"]);
  assert.deepEqual(view.workers.map(({ name }) => name), ["w1", "w2"]);
  assert.ok(view.authority_ends_at > Date.now() + 9 * 365 * 24 * 3600_000);
  assert.match(cluster.run("worker", "list"), /CERTIFICATE UNTIL/);
  assert.match(cluster.run("tls", "show"), /worker w1 until/);
});

test("after two lives all of it works, and nothing was restarted or cut off", async () => {
  const serials = Object.fromEntries(names.map((name) => [name, held(name).serialNumber]));
  const keys = Object.fromEntries(names.map((name) => [name, readFileSync(`${cluster.dir}/${name}/own.key`, "utf8")]));
  const pids = cluster.processes();
  const over = Date.now() + 2 * LIFE_S * 1000;
  await until("two lives to pass", () => {
    assert.equal(said("first", "true"), "");
    return Date.now() > over;
  }, 120_000);
  for (const name of names) {
    assert.notEqual(held(name).serialNumber, serials[name], name);
    assert.notEqual(readFileSync(`${cluster.dir}/${name}/own.key`, "utf8"), keys[name], `${name} has a new key`);
    assert.ok(endsAt(name) > Date.now(), name);
  }
  assert.deepEqual(cluster.processes(), pids);
  assert.equal(began("first"), first, "the vnode was not restarted");
  make("second", 2, "--spread", "workers");
  second = began("second");
  const issued = audit("IssueWorkerCertificate");
  assert.ok(issued.length >= 4, `${issued.length} were issued`);
  for (const line of issued) assert.match(line.things.join(), /^worker w[12]$/);
  const numbers = ["w1", "w2"].map((name) => worker(name).certificate.number);
  for (const number of numbers) assert.ok(issued.some(({ index }) => index === number), `entry ${number} issued it`);
  const serial = BigInt(`0x${held("w1").serialNumber}`).toString(16).padStart(32, "0");
  assert.equal(Number.parseInt(serial.slice(2, 18), 16), numbers[0], "the serial number names the entry");
  assert.deepEqual(cluster.json("status").certificate_warnings, []);
});

test("the leader dies and another leads, over links that were opened with other certificates", async () => {
  const leader = cluster.leader();
  cluster.kill(leader);
  await until("another leader", () => { const now = cluster.leader(); return now && now !== leader; });
  make("third", 1);
  cluster.run("dev", "up");
});

test("who shows another authority's certificate, or none, gets nowhere", async () => {
  const openssl = (...args) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  const name = /DNS:([^,]*)/.exec(held("w1").subjectAltName)[1];
  writeFileSync(`${dir}/ext`, `subjectAltName=DNS:${name}\nextendedKeyUsage=serverAuth,clientAuth\n`);
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3", "-subj", "/CN=Docklet cluster");
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "w.key", "-out", "w.csr", "-subj", `/CN=${name}`);
  openssl("x509", "-req", "-in", "w.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "3", "-extfile", "ext", "-out", "w.pem");
  const own = { cert: readFileSync(`${cluster.dir}/w1/own.pem`), key: readFileSync(`${cluster.dir}/w1/own.key`) };
  assert.equal(await greeted(own), true, "the real one is let in");
  assert.equal(await greeted({ cert: readFileSync(`${dir}/w.pem`), key: readFileSync(`${dir}/w.key`) }), false);
  assert.equal(await greeted(), false);
});

test("an agent that is frozen over its renewal goes on when it thaws", async () => {
  const pid = cluster.processes().w1;
  const due = endsAt("w1") - (LIFE_S / 3) * 1000;
  await until("the time just before renewal", () => Date.now() > due - 5_000 || endsAt("w1") - (LIFE_S / 3) * 1000 > due, 60_000);
  const serial = held("w1").serialNumber;
  const thaw = Math.min(endsAt("w1") - 4_000, Date.now() + 15_000);
  process.kill(pid, "SIGSTOP");
  await until("renewal to be due, and nearly over", () => Date.now() > thaw, 60_000);
  process.kill(pid, "SIGCONT");
  await until("the next certificate", () => held("w1").serialNumber !== serial, 30_000);
  await up("w1");
});

test("a master that was off beyond the end of its certificate comes back", async () => {
  await until("the group to be whole", () => cluster.json("status").raft.members.filter(({ voter }) => voter).length === 3);
  const [name] = ["m1", "m2", "m3"].filter((name) => name !== cluster.leader());
  cluster.kill(name);
  const ends = endsAt(name);
  await until("its certificate to end", () => Date.now() > ends + 1_000, 90_000);
  cluster.run("dev", "up");
  assert.ok(endsAt(name) > Date.now());
  await until("it to have caught up", () => cluster.json("master", "list").group.masters.find((row) => row.name === name).state_agrees === true, 60_000);
  assert.match(log(name), /has issued itself its next certificate/);
});

test("a worker whose certificate has ended says so, and joins again as what it was, with what runs there", async () => {
  const home = cluster.json("vc", "show", "first").vnodes[0].worker;
  const id = worker(home).id;
  cluster.kill(home);
  cpSync(`${cluster.dir}/${home}/own.pem`, `${dir}/old.pem`);
  cpSync(`${cluster.dir}/${home}/own.key`, `${dir}/old.key`);
  const ends = endsAt(home);
  await until("its certificate to end", () => Date.now() > ends + 1_000, 90_000);
  assert.match(cluster.run("worker", "list"), /HAS ENDED/);
  assert.match(cluster.json("tls", "show").cluster.warnings.join("\n"), new RegExp(`worker "${home}" has ended.*docklet worker readmit ${home}`));
  const look = (name) => JSON.parse(cluster.try(["worker", "doctor", "--dir", `${cluster.dir}/${name}`, "--format", "json"]).stdout).find(({ what }) => what === "certificate");
  assert.equal(look(home).there, false);
  assert.match(look(home).says, /ended at .*docklet worker readmit/);
  assert.equal(look("m1").there, true);
  cluster.try(["dev", "up"], { timeout: 10_000 });
  await until("the agent to say so", () => /certificate has ended.*docklet worker readmit/.test(log(home)), 30_000);
  assert.equal(await greeted({ cert: readFileSync(`${dir}/old.pem`), key: readFileSync(`${dir}/old.key`) }), false);
  const token = cluster.run("worker", "readmit", home).trim();
  const other = home === "w1" ? "w2" : "w1";
  const pid = cluster.processes()[home];
  if (pid) process.kill(pid, "SIGKILL");
  assert.match(join(home, other, token).stderr, /this join token is unknown/, "the token is for that worker");
  const joined = join(home, home, token);
  assert.equal(joined.code, 0, joined.stderr);
  assert.match(joined.stderr, /Joined again as worker/);
  assert.match(join(home, home, token).stderr, /this join token is unknown/, "and for once");
  cluster.run("dev", "up");
  await up(home);
  assert.equal(worker(home).id, id);
  assert.equal(began("first"), first, "the vnode was not restarted");
  make("fourth", 1);
  assert.equal(began("second"), second);
  assert.ok(audit("ReadmitWorker").some(({ things }) => things.includes(`worker ${home}`)));
});

test("what is revoked is refused at once, also on open connections, and the worker's place is taken by who joins again", async () => {
  const before = worker("w2");
  const token = cluster.run("worker", "readmit", "w2", "--revoke").trim();
  await until("it to be cut off", () => worker("w2").status === "down", 60_000);
  await until("the agent to say why", () => /docklet worker readmit w2/.test(log("w2")), 30_000);
  const issued = () => audit("IssueWorkerCertificate").filter(({ things }) => things.includes("worker w2")).length;
  const sofar = issued();
  assert.match(cluster.json("tls", "show").cluster.warnings.join("\n"), /worker "w2" may join again/);
  assert.ok(endsAt("w2") > Date.now() - LIFE_S * 1000);
  assert.equal(worker("w2").id, before.id);
  assert.equal(issued(), sofar, "it gets no other");
  cluster.kill("w2");
  assert.match(cluster.try(["agent", "join", token, "--dir", `${dir}/new`, "--name", "w3", "--data-addr", "127.0.0.1:17443"]).stderr, /this join token is unknown/, "no other worker comes of it");
  const joined = join("w2", "w2", token);
  assert.equal(joined.code, 0, joined.stderr);
  cluster.run("dev", "up");
  await up("w2");
  assert.equal(worker("w2").id, before.id);
  await until("it to be renewed as all others", () => issued() > sofar, 60_000);
  assert.equal(began("first"), first, "nothing was restarted");
});

test("metrics say when each of them ends", async () => {
  const token = /token = "([^"]+)"/.exec(readFileSync(`${cluster.dir}/context.toml`, "utf8"))[1];
  const ca = readFileSync(`${cluster.dir}/ca.pem`);
  const body = await new Promise((resolve, reject) => {
    const asked = https.get(`${cluster.masters[0]}/metrics`, { ca, headers: { authorization: `Bearer ${token}` } }, (response) => {
      let body = "";
      response.on("data", (part) => (body += part));
      response.on("end", () => resolve(body));
    });
    asked.on("error", reject);
  });
  for (const label of ['kind="authority"', 'kind="master",name="m1"', 'kind="worker",name="w1"']) {
    assert.ok(body.split("\n").some((line) => line.startsWith("docklet_cluster_certificate_end_seconds{") && line.includes(label)), label);
  }
  assert.ok(readdirSync(`${cluster.dir}/w1`).every((name) => !name.endsWith(".new")), "nothing half written is left");
});
