// What vnodes use, by command line, API and Prometheus, on a real cluster; the figures survive the agent's death.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";

import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(15);
before(() => {
  cluster.up();
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
});
after(() => cluster.down());

// The token that `docklet login` stored.
function token() {
  return /token = "([^"]+)"/.exec(readFileSync(`${cluster.dir}/context.toml`, "utf8"))[1];
}

function get(path, bearer) {
  const headers = bearer ? { authorization: `Bearer ${bearer}` } : {};
  const ca = readFileSync(`${cluster.dir}/ca.pem`);
  return new Promise((resolve, reject) => {
    const request = https.get(`${cluster.masters[0]}${path}`, { ca, headers }, (response) => {
      let body = "";
      response.on("data", (part) => (body += part));
      response.on("end", () => resolve({ status: response.statusCode, type: response.headers["content-type"], body }));
    });
    request.on("error", reject);
  });
}

const top = () => cluster.json("vc", "top", "lab");
const used = (measure) => top().every(({ usage }) => usage?.[measure] > 0);

test("top tells of each vnode what it uses and may use", async () => {
  await until("figures of both", () => used("memory_bytes") && used("processes"));
  const table = cluster.run("vc", "top", "lab", "--by", "memory");
  assert.match(table, /VNODE\s+WORKER\s+CPU/);
  assert.match(table, /host-0/);
  assert.match(table, /host-1/);
  cluster.run("exec", "lab/host-1", "--", "sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");
  await until("a second with work in it", () => {
    const { columns } = cluster.json("vnode", "stats", "lab/host-1");
    return columns.cpu_milli.some((value) => value > 100);
  });
  assert.match(cluster.run("vnode", "stats", "lab/host-1"), /FROM\s+CPU\s+MEMORY/);
});

test("the sum of a vcluster is there for each span, and what is asked wrongly is refused", async () => {
  for (const span of ["10m", "4h", "1d", "7d", "31d", "1y"]) {
    const { status, body } = await get(`/api/v1/vclusters/lab/history?span=${span}&measures=memory_bytes`, token());
    assert.equal(status, 200);
    const { times, columns, unanswered, step_s } = JSON.parse(body);
    assert.deepEqual(unanswered, []);
    assert.deepEqual(Object.keys(columns), ["memory_bytes"]);
    assert.equal(columns.memory_bytes.length, times.length);
    assert.equal(times[1] - times[0], step_s);
    assert.ok(columns.memory_bytes.at(-2) > 0 || columns.memory_bytes.at(-1) > 0, `${span} has the present`);
  }
  const refused = await get("/api/v1/vclusters/lab/history?measures=happiness", token());
  assert.equal(refused.status, 422);
  assert.match(JSON.parse(refused.body).detail, /"happiness" is none of cpu_milli/);
  assert.equal((await get("/api/v1/vclusters/lab/history")).status, 401);
  assert.equal(cluster.try(["vnode", "stats", "lab/host-7"]).code, 3);
});

test("an agent that was killed goes on with the history", async () => {
  const measured = () => cluster.json("vnode", "stats", "lab/host-0").columns.memory_bytes.filter((value) => value > 0).length;
  const before = await until("ten seconds", () => measured() > 10 && measured());
  cluster.kill("w1", "w2");
  cluster.run("dev", "up");
  await until("more than before", () => cluster.json("vnode", "stats", "lab/host-0").unanswered.length === 0 && measured() > before);
});

test("Prometheus reads it with an admin's token, and nobody without", async () => {
  const { status, type, body } = await until("metrics of both vnodes", async () => {
    const answer = await get("/metrics", token());
    return answer.body.includes('vnode="host-1"') && answer.body.includes('vnode="host-0"') && answer;
  });
  assert.equal(status, 200);
  assert.match(type, /^text\/plain; version=0\.0\.4/);
  for (const line of body.trimEnd().split("\n")) assert.match(line, /^(# (HELP|TYPE) |[a-z_]+(\{[^}]*\})? -?[0-9.e+-]+$)/);
  assert.match(body, /^docklet_vnode_memory_bytes\{user="admin",vcluster="lab",vnode="host-0",worker="w[12]"\} [1-9]/m);
  assert.match(body, /^docklet_vnode_cpu_seconds_total\{.*vnode="host-1".*\} [0-9.]+$/m);
  assert.match(body, /^docklet_worker_up\{worker="w1"\} 1$/m);
  assert.equal((await get("/metrics")).status, 401);
  const password = cluster.passwordFile();
  cluster.run("user", "create", "bob", "--password-file", password);
  const env = { ...cluster.env, DOCKLET_CONTEXT: `${cluster.dir}/bob.toml` };
  const login = cluster.try(["login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "bob", "--password-file", password], { env });
  assert.equal(login.code, 0, login.stderr);
  const bobs = /token = "([^"]+)"/.exec(readFileSync(`${cluster.dir}/bob.toml`, "utf8"))[1];
  assert.equal((await get("/metrics", bobs)).status, 403);
  assert.equal((await get("/api/v1/vclusters/lab/usage", bobs)).status, 404, "another's vcluster is none");
});
