// The document of the interface against a running cluster: as an admin and as somebody else, with what fits and what does not.
// Each answer has a status, a kind and a form that the document names; nothing is a fault of a master.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, root, until } from "../harness.mjs";

const cluster = new Cluster(68);
const venv = path.join(root, "target/openapi");
const checker = path.join(venv, "bin/st");
const here = path.join(root, "chaos-tests/openapi");
let dir, ada;

// What is asked of nobody at random, and why.
const NEVER = {
  "events.stream": "a stream without end: tried by portal/tests/doors/follow.rs",
  "exec.program": "a socket: tried by portal/tests/doors/sockets.rs and exec",
  "terminal.program": "a socket: the same, and docklet shell",
  "forward.program": "a socket: the same, and docklet port-forward",
  "access.log_in": "who guesses waits, and so would all that follows: tried by portal/tests/doors/people.rs",
};
// What ends the login by which it is asked: asked for by somebody of whom nothing else is wanted.
const PARTING = ["access.end_others", "access.end", "account.change_password", "account.delete", "access.log_out"];
// What an admin would stop or remake the cluster by: at random they are asked by a user only, to whom they are refused.
const ADMINS_HARM = {
  "account.lock": "might lock out who asks",
  "identity.set_way": "might take away the way in of who asks",
  "role.set": "might take the role from who asks",
  "master.remove": "ids are small numbers: a master would be gone",
  "master.drain": "the leader changes, and all others have no answer until then",
  "master.transfer": "the same",
  "drill.start": "a drill stops masters and workers",
  "drain.begin": "what is there is moved away",
  "tls.set": "all that follows would begin with an authority that is not there",
};
before(async () => {
  if (!existsSync(checker)) {
    const run = (program, ...args) => assert.equal(spawnSync(program, args, { stdio: "inherit" }).status, 0, program);
    run("python3", "-m", "venv", venv);
    run(path.join(venv, "bin/pip"), "-q", "install", "-r", `${here}/requirements.txt`);
  }
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-openapi-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  ada.run("vc", "create", "lab", "--wait");
  ada.run("snapshot", "create", "lab@friday");
});
after(() => {
  cluster.down();
  if (dir) rmSync(dir, { recursive: true, force: true });
});

const login = (who) => /^token = "(.*)"$/m.exec(readFileSync(who.env.DOCKLET_CONTEXT, "utf8"))[1];

function ask(who, method, address, { body, headers = {}, agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const bearer = who ? { authorization: `Bearer ${login(who)}` } : {};
    const request = https.request(`${cluster.masters[0]}/api/v1${address}`, { method, ca: readFileSync(`${cluster.dir}/ca.pem`), agent, headers: { ...bearer, ...headers } }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

test("every master serves the document that this program prints, to everybody", async () => {
  const { status, headers, text } = await ask(null, "GET", "/openapi.json");
  assert.equal(status, 200);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(text, cluster.run("api"));
  assert.equal(text, readFileSync(path.join(root, "docs/openapi.json"), "utf8"), "the recording is current");
});

test("what no operation takes is a problem", async () => {
  const document = JSON.parse(cluster.run("api"));
  for (const [address, operations] of Object.entries(document.paths)) {
    const method = ["put", "patch", "delete", "post"].find((method) => !operations[method]);
    const { status, headers, text } = await ask(ada, method.toUpperCase(), address.replace(/\{(number|id)\}/g, "1").replaceAll(/\{\w+\}/g, "x"));
    assert.equal(status, 405, `${method} ${address}: ${text}`);
    assert.equal(headers["content-type"], "application/problem+json");
    assert.equal(JSON.parse(text).code, "method_not_allowed");
    assert.ok(headers.allow, address);
  }
  const absent = await ask(ada, "GET", "/nothing");
  assert.deepEqual([absent.status, JSON.parse(absent.text).code], [404, "not_found"]);
});

// The checker leaves these out: each operation takes them.
test("who has seen an entry is told nothing older, or why not", async () => {
  const index = (value) => ask(ada, "GET", "/vclusters", { headers: { "docklet-index": value } });
  const { applied } = ada.json("status").raft;
  assert.equal((await index(String(applied))).status, 200);
  const early = await index(String(applied + 1_000_000));
  assert.equal(early.status, 503);
  assert.equal(early.headers["content-type"], "application/problem+json");
  const document = JSON.parse(cluster.run("api"));
  const codes = document.components.responses.Problem503.content["application/problem+json"].schema.properties.code.enum;
  assert.ok(codes.includes(JSON.parse(early.text).code), early.text);
});

test("who brings something that is refused sees why, and may go on with the same connection", async () => {
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const bring = (bytes) => ask(ada, "PUT", "/images/x?digest=00&spec=1", { agent, body: Buffer.alloc(bytes), headers: { "content-type": "application/octet-stream" } });
  try {
    for (let turn = 0; turn < 300; turn += 1) {
      const { status, headers } = await bring(turn % 2 ? 1 : 100_000);
      assert.deepEqual([status, headers.connection], [400, undefined], `${turn}`);
    }
  } finally {
    agent.destroy();
  }
});

// Each operation that changes something refuses a token that can only look, and names the scope that the document does.
test("scopes are those of the document", async () => {
  const document = JSON.parse(cluster.run("api"));
  assert.deepEqual(document.paths["/vclusters"].post.security, [{ token: ["vclusters"] }, { session: [] }]);
  const token = cluster.run("access-token", "create", "looks", "--scope", "read").trim();
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  let named = 0;
  for (const [address, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (method === "get" || operation.requestBody || !operation.security.length || operation.operationId.startsWith("files.")) continue;
      const { status, text } = await ask(null, method.toUpperCase(), address.replace(/\{(number|id)\}/g, "1").replaceAll(/\{\w+\}/g, "x"), { headers });
      const problem = JSON.parse(text);
      if (problem.code !== "scope_missing" && problem.code !== "login_needed") continue;
      assert.equal(status, 403);
      const needed = operation.security[0].token?.[0];
      assert.equal(problem.code, needed ? "scope_missing" : "login_needed", `${method} ${address}: ${text}`);
      if (needed) assert.match(problem.detail, new RegExp(`\\b${needed}\\b`), `${method} ${address}`);
      named += 1;
    }
  }
  assert.ok(named > 5, `${named}`);
});

// Without a limit in time: the same requests each time, and a few thousand of them.
function checked(who, name, { document = `${cluster.masters[0]}/api/v1/openapi.json`, out = [], more = [] } = {}) {
  const args = ["run", document, "--url", `${cluster.masters[0]}/api/v1`, "--tls-verify", `${cluster.dir}/ca.pem`, "--header", `Authorization: Bearer ${login(who)}`,
    "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
    "--phases", "coverage,fuzzing", "--max-examples", "3", "--request-timeout", "20", "--workers", "1", "--seed", "1",
    "--generation-database", "none", "--continue-on-failure", "--warnings", "off", "--no-color", ...[...Object.keys(NEVER), ...out].flatMap((id) => ["--exclude-operation-id", id]), ...more];
  const ran = spawnSync(checker, args, { encoding: "utf8", cwd: dir, env: { ...process.env, SCHEMATHESIS_HOOKS: `${here}/hooks.py` }, timeout: 600_000, maxBuffer: 64 << 20 });
  writeFileSync(path.join(root, `target/openapi-${name}.txt`), ran.stdout + ran.stderr);
  return ran;
}

// Before anything is asked at random. What needs no name is there for an admin, and for a user but for what only admins look at. Of what has a name, these are there for who owns lab.
const NOT_HERE = { "bean.csv": 404 };
const FOR_ADMINS = [
  "account.applications", "audit.end", "audit.export", "bean.purses", "drill.list", "health.show", "identity.pam", "identity.provider", "machine.disk_overcommit", "machine.workers", "mail.queue", "mail.server", "master.list",
  "meter.workers_gpus", "meter.workers_usage", "rebalance.plan", "rebalance.policy", "setting.list", "tls.show",
];
const OF_LAB = [
  "vcluster.show", "meter.vcluster_usage", "meter.vcluster_history", "schedule.rules", "schedule.explain_all", "snapshot.list", "schedule.explain_one", "meter.vnode_history", "files.look", "files.content",
  "account.user", "allowance.of_user", "meter.person_history",
];
const OF_ALL = ["account.user", "allowance.of_user", "meter.person_history", "meter.worker_history", "audit.mark", "setting.show"];

test("what there is to look at has the form that the document says", () => {
  writeFileSync(`${dir}/document.json`, cluster.run("api"));
  const document = JSON.parse(cluster.run("api"));
  const unnamed = Object.entries(document.paths)
    .filter(([address, { get }]) => get && !address.includes("{") && !get.parameters?.some((parameter) => parameter.required))
    .map(([, { get }]) => get.operationId)
    .filter((id) => id !== "events.stream");
  const known = ["vnode=host-0", "snapshot=friday", "image.show:name=base", "setting.show:name=trash", "meter.worker_history:name=w1", "drain.show:name=w1", "user=ada", "account.user:name=ada", "meter.person_history:name=ada",
    "allowance.of_user:user=ada", "audit.mark:number=1", "files.content?path=/etc/hostname", "files.zip?path=/etc/network", "state.diff?from=-1m", "name=lab"];
  for (const [who, refused, named] of [[ada, FOR_ADMINS, OF_LAB], [cluster, [], OF_ALL]]) {
    const ran = spawnSync(path.join(venv, "bin/python"), [`${here}/answers.py`, `${dir}/document.json`, `${cluster.masters[0]}/api/v1`, `${cluster.dir}/ca.pem`, login(who), ...known], { encoding: "utf8", timeout: 120_000 });
    assert.equal(ran.status, 0, ran.stderr);
    const answers = JSON.parse(ran.stdout);
    for (const id of [...unnamed, ...named]) {
      const status = NOT_HERE[id] ?? (refused.includes(id) ? 403 : 200);
      assert.equal(answers[id], status, id);
    }
  }
});

// Who asks for what at random; `more` names what is asked for and nothing else.
const only = (ids) => ids.flatMap((id) => ["--include-operation-id", id]);
const PASSES = [
  { name: "user", who: () => ada, out: PARTING },
  { name: "admin", who: () => cluster, out: [...PARTING, ...Object.keys(ADMINS_HARM)] },
  ...PARTING.map((id) => ({ name: id, who: () => cluster.person(id.replace(/\W/g, "-").replaceAll("_", "-"), dir), out: [], more: only([id]) })),
];
for (const { name, who, out, more } of PASSES) {
  test(`answers are as the document says: ${name}`, () => {
    const ran = checked(who(), name, { out, more });
    assert.equal(ran.status, 0, ran.stdout.slice(-6_000) + ran.stderr.slice(-2_000));
    assert.match(ran.stdout, /\d+ passed/);
  });
}

test("whatever is asked for by nobody is in the document, and said why", () => {
  const document = JSON.parse(cluster.run("api"));
  const all = Object.values(document.paths).flatMap((operations) => Object.values(operations).map(({ operationId }) => operationId));
  for (const id of [...Object.keys(NEVER), ...PARTING, ...Object.keys(ADMINS_HARM)]) assert.ok(all.includes(id), `${id} is no operation`);
  const asked = (id) => PASSES.some(({ out, more }) => !out.includes(id) && (!more || more.includes(id)));
  assert.deepEqual(all.filter((id) => !(id in NEVER) && !asked(id)), []);
});

test("the checker sees an answer that is not as the document says", () => {
  const document = JSON.parse(cluster.run("api"));
  document.components.schemas.Status.properties.workers = { type: "string" };
  writeFileSync(`${dir}/wrong.json`, JSON.stringify(document));
  const ran = checked(cluster, "wrong", { document: `${dir}/wrong.json`, more: ["--include-operation-id", "status.show"] });
  assert.equal(ran.status, 1, ran.stdout.slice(-2_000));
  assert.match(ran.stdout, /Response violates schema/i);
});
