// How the cluster is: doctor, the API, the probes of load balancers, and events from an index on.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(70);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-health-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// What a master answers to somebody who is nobody: status and body.
function probe(master, path) {
  return new Promise((resolve) => {
    const asked = https.get(`${master}${path}`, { rejectUnauthorized: false, agent: false }, (response) => {
      let body = "";
      response.on("data", (part) => (body += part));
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    asked.on("error", () => resolve({ status: 0, body: "" }));
  });
}

const findings = (health, name) => health.findings.filter((found) => found.name === name);
const doctor = () => JSON.parse(cluster.try(["doctor", "--format", "json"]).stdout);

test("doctor tells of each subsystem, master and worker, and what to do next", async () => {
  const health = await until("all that is seen", () => {
    const seen = doctor();
    return seen.workers.every((worker) => worker.status === "up" && worker.measures) && seen.masters.every((one) => one.disk && one.applied) && seen;
  });
  assert.deepEqual(health.masters.map((one) => one.role).sort(), ["leader", "voter", "voter"]);
  assert.ok(health.masters.every((one) => one.answers && Math.abs(one.clock_ahead_ms) < 2000));
  assert.ok(health.workers.every((one) => one.disk.bytes > 0 && one.disk.free_bytes > 0 && typeof one.lxcfs === "boolean"));
  const names = health.subsystems.map((part) => part.name);
  for (const name of ["group of masters", "version", "workers", "vnodes", "backups", "public certificates", "mails", "drills", "requests"]) {
    assert.ok(names.includes(name), name);
  }
  assert.equal(findings(health, "backups")[0].says, "None was ever taken.");
  assert.ok(health.findings.every((found) => found.next));
  const { stdout } = cluster.try(["doctor", "--all"]);
  assert.match(stdout, /WHAT\s+STATE\s+SINCE\s+HOW IT IS/);
  assert.match(stdout, /warning: backups: None was ever taken/);
  assert.match(stdout, /`docklet backup FILE`/);
  cluster.run("backup", `${dir}/backup`);
  assert.deepEqual(findings(doctor(), "backups"), []);
});

test("people who look after nothing are told nothing", () => {
  const ada = cluster.person("ada", dir);
  ada.refused(["doctor"], /needs the role operator or admin/);
});

test("a worker that is lost is bad since it was, and doctor fails until it is back", async () => {
  cluster.kill("w1");
  const found = await until("the loss", () => findings(doctor(), "w1").find((one) => one.grade === "bad"), 60_000);
  assert.ok(found.since > 0);
  assert.match(found.next, /docklet agent run/);
  assert.equal(cluster.try(["doctor"]).code, 1);
  cluster.run("dev", "up");
  await until("it is back", () => findings(doctor(), "w1").length === 0, 60_000);
});

test("probes tell who lives and who keeps up, and nothing else", async () => {
  for (const master of cluster.masters) {
    assert.deepEqual(await probe(master, "/healthz"), { status: 200, body: "ok\n" });
    assert.deepEqual(await probe(master, "/readyz"), { status: 200, body: "ready\n" });
  }
  const leader = cluster.leader();
  const [other, last] = ["m1", "m2", "m3"].filter((name) => name !== leader);
  cluster.kill(leader, other);
  const left = cluster.masters[Number(last.slice(1)) - 1];
  const answer = await until("it is not ready", async () => {
    const said = await probe(left, "/readyz");
    return said.status === 503 && said;
  });
  assert.equal(answer.body, "not ready\n");
  assert.equal((await probe(left, "/healthz")).status, 200);
  cluster.run("dev", "up");
  await until("it is ready", async () => (await probe(left, "/readyz")).status === 200);
});

test("events go on after an index", async () => {
  const seen = cluster.json("status").raft.applied;
  cluster.run("notice", "announce", "Hello to all");
  const events = spawn(program, ["events", "--after", String(seen), "--limit", "1", "--format", "json"], { env: cluster.env, stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  events.stdout.on("data", (part) => (text += part));
  await new Promise((resolve) => events.on("exit", resolve));
  assert.ok(JSON.parse(text).index > seen);
  cluster.refused(["events", "--after", "1", "--from", "2"], /cannot be used with/);
});
