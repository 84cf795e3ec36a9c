// Two hundred logins in a minute beside people who read pages, with all masters on one core: how long each takes, from the moment
// at which it should have begun. Prints a table and writes target/bench/logins.json.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import os from "node:os";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster, until } = await import("../harness.mjs");
const { alone, percentile, report } = await import("./report.mjs");

const LOGINS = Number(process.env.LOGINS ?? 200);
const SECONDS = Number(process.env.SECONDS ?? 60);
const PAGES_PER_S = Number(process.env.PAGES_PER_S ?? 20);
const PEOPLE = 20;
const GOAL_MS = 1_000;
const cluster = new Cluster(53);
const dir = mkdtempSync("/var/tmp/docklet-bench-logins-");
const agents = new Map(cluster.masters.map((base) => [base, new https.Agent({ keepAlive: true, maxSockets: 64 })]));
let ca;

function ask(base, method, path, { headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(base + path, { method, headers, ca, agent: agents.get(base) }, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function logIn(base, user, password) {
  const got = await ask(base, "POST", "/api/v1/login", { headers: { "content-type": "application/json" }, body: JSON.stringify({ user, password }) });
  assert.equal(got.status, 200, got.text);
  return JSON.parse(got.text).token;
}

async function read(base, token) {
  const got = await ask(base, "GET", "/vclusters", { headers: { authorization: `Bearer ${token}` } });
  assert.equal(got.status, 200, got.text.slice(0, 200));
}

// Begins each in its turn, whatever became of those before; answers how long each took from when it was due.
async function paced(count, perSecond, act) {
  const begun = performance.now();
  const done = [];
  for (let number = 0; number < count; number += 1) {
    const due = begun + (number * 1_000) / perSecond;
    const ahead = due - performance.now();
    if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead));
    done.push(act(number).then(() => performance.now() - due));
  }
  return Promise.all(done);
}

const master = (number) => cluster.masters[number % cluster.masters.length];

try {
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ca = readFileSync(`${cluster.dir}/ca.pem`);
  const password = "a password of this benchmark";
  writeFileSync(`${dir}/password`, `${password}\n`);
  const people = Array.from({ length: PEOPLE }, (_, number) => `person-${number}`);
  people.forEach((name) => cluster.run("user", "create", name, "--password-file", `${dir}/password`));
  const pids = cluster.processes();
  ["m1", "m2", "m3"].forEach((name) => execFileSync("taskset", ["-apc", "0", String(pids[name])], { stdio: "pipe" }));
  const token = await logIn(master(0), "admin", cluster.password());
  const single = [];
  for (let number = 0; number < 15; number += 1) {
    const begun = performance.now();
    await logIn(master(number), people[number % PEOPLE], password);
    single.push(performance.now() - begun);
  }
  const quiet = await paced(10 * PAGES_PER_S, PAGES_PER_S, (number) => read(master(number), token));
  const before = os.loadavg()[0];
  const [logins, pages] = await Promise.all([
    paced(LOGINS, LOGINS / SECONDS, (number) => logIn(master(number), people[number % PEOPLE], password)),
    paced(SECONDS * PAGES_PER_S, PAGES_PER_S, (number) => read(master(number), token)),
  ]);
  const measures = [
    alone("one login alone", "ms", single),
    alone(`logins, ${LOGINS} in ${SECONDS} s, median`, "ms", logins),
    alone("the same, 99 of 100", "ms", [percentile(logins, 0.99)], { most: GOAL_MS }),
    alone("the same, the longest", "ms", [Math.max(...logins)]),
    alone(`pages, ${PAGES_PER_S} a second, without logins, 99 of 100`, "ms", [percentile(quiet, 0.99)]),
    alone("pages beside the logins, median", "ms", pages),
    alone("the same, 99 of 100", "ms", [percentile(pages, 0.99)], { most: GOAL_MS }),
  ];
  report("logins", measures, { profile: process.env.DOCKLET_PROFILE, load_before: before, load_after: os.loadavg()[0] });
} finally {
  agents.forEach((agent) => agent.destroy());
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
}
