// Bad input at every door: each refusal says why and what to do next, in the form that the door promises.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(50);
let scratch;

before(() => {
  cluster.up();
  cluster.run("vc", "create", "lab", "--wait");
  scratch = mkdtempSync("/var/tmp/docklet-doors-");
});
after(() => {
  cluster.down();
  rmSync(scratch, { recursive: true, force: true });
});

const refused = (args, code, pattern, env = {}) => {
  const got = cluster.try(args, { env: { ...cluster.env, ...env }, timeout: 60_000 });
  assert.equal(got.code, code, `${args.join(" ")}: ${got.stderr}`);
  assert.match(got.stderr, pattern, args.join(" "));
  assert.equal(got.stdout, "", "what is refused prints no data");
};

test("what prints data prints it as JSON too", () => {
  assert.match(cluster.json("token", "create", "--role", "agent").token, /^D1\.agent\./);
  const made = cluster.json("user", "create", "ann", "--password-file", cluster.passwordFile());
  assert.equal(made.command, "CreateUser");
  cluster.run("vc", "create", "brief", "--wait");
  assert.equal(cluster.json("vc", "delete", "--now", "brief", "--wait").command, "DeleteVcluster");
  const { leader } = cluster.json("status");
  assert.match(cluster.run("status"), new RegExp(`^leader +${leader}$`, "m"));
  assert.match(leader, /^m\d$/);
});

test("a reader who has seen enough ends the command, without a complaint", () => {
  const script = `"$0" status --format json | true; echo "\${PIPESTATUS[0]}" >&2`;
  const got = spawnSync("bash", ["-c", script, program], { env: cluster.env, encoding: "utf8", timeout: 60_000 });
  assert.equal(got.stderr, "141\n");
});

test("a program that cannot run, and a vnode that does not, say so", () => {
  refused(["exec", "lab/host-0", "--", "no-such-program"], 127, /cannot run "no-such-program": No such file or directory/);
  refused(["exec", "lab/host-0", "--", "/etc"], 126, /cannot run "\/etc": Permission denied/);
  refused(["exec", "lab/host-9", "--", "true"], 3, /there is no vnode "host-9"/);
  cluster.run("vc", "stop", "lab", "--wait");
  refused(["exec", "lab/host-0", "--", "true"], 4, /vnode "lab\/host-0" is stopped, not running: start it/);
  cluster.run("vc", "start", "lab", "--wait");
});

test("a script goes to exec, as a shell wants a terminal", () => {
  refused(["shell", "lab/host-0"], 2, /standard input is no terminal: give a script to `docklet exec lab\/host-0 -- sh`/);
  const got = cluster.try(["exec", "lab/host-0", "--", "sh"], { input: "echo a-$((40+2))\nexit 5\n" });
  assert.deepEqual(got, { code: 5, stdout: "a-42\n", stderr: "" });
});

test("exec ends with its program, also while its input stays open", async () => {
  const running = spawn(program, ["exec", "lab/host-0", "--", "true"], { env: cluster.env, stdio: ["pipe", "ignore", "ignore"] });
  const [code] = await once(running, "exit", { signal: AbortSignal.timeout(20_000) }).finally(() => running.kill());
  assert.equal(code, 0);
});

test("commands refuse what is wrong before they do anything", () => {
  refused(["image", "build", "debian", "--name", "../x"], 2, /image name "\.\.\/x" is not allowed/);
  refused(["vc", "create", "ok", "--vnodes", "-1"], 2, /invalid value '-1' for '--vnodes/);
  refused(["events", "--from", "999999"], 6, /has applied entry \d+ only: begin with --from \d+/);
  refused(["master", "run", "--dir", scratch], 3, /cannot be read .*: give the --dir that/);
  refused(["agent", "run", "--dir", "/nonexistent"], 3, /cannot be read .*: give the --dir that/);
});

test("a login says what was wrong with it", () => {
  const password = ["--password-file", cluster.passwordFile()];
  const admin = ["--user", "admin", ...password];
  const ca = ["--ca", `${cluster.dir}/ca.pem`];
  const env = { DOCKLET_CONTEXT: path.join(scratch, "none.toml") };
  const login = (...args) => ["login", ...args];
  refused(login("--server", "127.0.0.1:8673", ...admin), 2, /is no server: give it as https:\/\/HOST:PORT/, env);
  refused(login("--server", `${cluster.portal}/x`, ...ca, ...admin), 2, /is no server/, env);
  refused(login("--server", "https://127.0.0.1:1", ...ca, ...admin), 6, /Connection refused.*: check that the masters run/, env);
  refused(login("--server", cluster.portal, ...admin), 6, /certificate.*: log in with --ca/, env);
  refused(login("--server", cluster.portal, "--ca", "/etc/hostname", ...admin), 2, /holds no certificate/, env);
  refused(login("--server", cluster.portal, "--ca", "/nonexistent", ...admin), 2, /cannot be read .*: check the path/, env);
  refused(login("--server", cluster.portal, ...ca, "--user", "ad\nmin", ...password), 5, /do not match/, env);
  assert.ok(!existsSync(env.DOCKLET_CONTEXT), "nothing is remembered");
});

test("who guesses passwords waits, and the owner gets in", async () => {
  const env = { ...cluster.env, DOCKLET_CONTEXT: path.join(scratch, "owner.toml") };
  const login = ["login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "admin"];
  const wrong = path.join(scratch, "wrong");
  writeFileSync(wrong, "not this one");
  const guess = () => cluster.try([...login, "--password-file", wrong], { env, timeout: 60_000 });
  for (let attempt = 0; attempt < 7; attempt += 1) assert.equal(guess().code, 5);
  let begun = performance.now();
  const owner = JSON.stringify({ user: "admin", password: cluster.password() });
  const elsewhere = await ask("POST", "/api/v1/login", owner, json, { localAddress: "127.0.0.2" });
  assert.equal(elsewhere.status, 200);
  assert.ok(performance.now() - begun < 1_500, "the owner comes from elsewhere and does not wait");
  begun = performance.now();
  const got = cluster.try([...login, "--password-file", cluster.passwordFile()], { env, timeout: 60_000 });
  assert.equal(got.code, 0, got.stderr);
  assert.ok(performance.now() - begun > 1_500, "even the owner waits where the guesses came from");

  const many = Array.from({ length: 12 }, () => ask("POST", "/api/v1/login", JSON.stringify({ user: "ann", password: "guess" }), json));
  const statuses = (await Promise.all(many)).map(({ status }) => status);
  assert.ok(statuses.includes(429) && statuses.includes(401), `${statuses}`);
});

test("a damaged context says how to mend it", () => {
  const text = readFileSync(cluster.env.DOCKLET_CONTEXT, "utf8");
  const cases = [
    ["servers = ", 2, /log in again to write it anew/],
    [text.replace("servers", "server"), 2, /unknown field `server`/],
    [text.replace(/servers = \[[^\]]*\]/, "servers = []"), 2, /it names no server: log in again/],
    [text.replace(/^token = .*$/m, 'token = "00"'), 5, /you are not logged in, or your session ended: log in again/],
  ];
  const env = { DOCKLET_CONTEXT: path.join(scratch, "context.toml") };
  for (const [content, code, pattern] of cases) {
    writeFileSync(env.DOCKLET_CONTEXT, content);
    refused(["status"], code, pattern, env);
    refused(["exec", "lab/host-0", "--", "true"], code, pattern, env);
  }
});

test("a join token admits only what it is for, and only if it is real", () => {
  const dir = path.join(scratch, "w9");
  const join = (token) => ["agent", "join", token, "--dir", dir, "--name", "w9", "--data-addr", "127.0.0.1:9"];
  const { token: master } = cluster.json("token", "create", "--role", "master");
  const { token: agent } = cluster.json("token", "create", "--role", "agent");
  const forged = agent.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  for (const worthless of [master, forged]) refused(join(worthless), 5, /this join token is unknown, used up, expired or for another role: have an admin/);
  refused(join("rubbish"), 2, /a join token has five parts .*: copy the whole of it/);
  assert.ok(!existsSync(path.join(dir, "own.key")), "nothing of an agent is there");
  assert.equal(cluster.json("worker", "list").length, 2);
});

test("a cluster that is refused leaves nothing in the way of the next attempt", () => {
  const dir = path.join(scratch, "m1");
  const init = (name, ...more) => ["master", "init", "--dir", dir, "--name", name, "--cluster-addr", "127.0.0.1:1", "--public-addr", "127.0.0.1:2", "--admin-password-file", cluster.passwordFile(), ...more];
  refused(init("Two Words"), 2, /master name "Two Words" is not allowed/);
  refused(init("m1", "--user-prefix", "31"), 2, /out of range/);
  assert.ok(!existsSync(dir));
  const made = cluster.try(init("m1"));
  assert.equal(made.code, 0, made.stderr);
  refused(init("m1"), 4, /holds a master already/);
});

test("a configuration file with an unknown key is refused with its line", () => {
  const dir = path.join(scratch, "m1");
  writeFileSync(path.join(dir, "master.toml"), `${readFileSync(path.join(dir, "master.toml"), "utf8")}hartbeat_ms = 5\n`);
  refused(["master", "run", "--dir", dir], 2, /master\.toml: TOML parse error at line \d+[^]*unknown field `hartbeat_ms`, expected one of/);
});

// A request over HTTP/2, as browsers make it: answers status, headers and body.
function ask(method, route, body = "", headers = {}, from = {}) {
  const token = /^token = "(.*)"$/m.exec(readFileSync(cluster.env.DOCKLET_CONTEXT, "utf8"))[1];
  const session = http2.connect(cluster.masters[0], { ca: readFileSync(`${cluster.dir}/ca.pem`), ...from });
  return new Promise((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({ ":method": method, ":path": route, authorization: `Bearer ${token}`, ...headers }, { endStream: body === "" });
    let answer;
    const chunks = [];
    stream.on("response", (given) => (answer = given));
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ status: answer[":status"], headers: answer, text: Buffer.concat(chunks).toString() });
    });
    if (body !== "") stream.end(body);
  });
}

const json = { "content-type": "application/json" };
const wide = "x".repeat(300);

test("whatever the API refuses is problem+json with a code and a next step", async () => {
  const create = (body) => ["POST", "/api/v1/vclusters", JSON.stringify(body), json];
  const cases = [
    [create({ name: "two\nlines", image: "busybox", vnodes: 1 }), 422, "name_invalid"],
    [create({ name: wide, image: "busybox", vnodes: 1 }), 422, "name_invalid"],
    [create({ name: "../x", image: "busybox", vnodes: 1 }), 422, "name_invalid"],
    [create({ name: "ok", image: "busybox", vnodes: 10_000 }), 422, "out_of_range"],
    [create({ name: "ok", image: "busybox", vnodes: 1.5 }), 422, "malformed"],
    [create({ name: "ok", image: "busybox", vnodes: 1, evil: true }), 422, "malformed"],
    [create({ name: "ok", image: "busybox" }), 422, "malformed"],
    [["POST", "/api/v1/vclusters", "{", json], 422, "malformed"],
    [["POST", "/api/v1/vclusters", "name=x", { "content-type": "application/x-www-form-urlencoded" }], 422, "malformed"],
    [["POST", "/api/v1/vclusters", "x".repeat(2 << 20), json], 413, "too_long"],
    [["PATCH", "/api/v1/vclusters", "{}", json], 405, "method_not_allowed"],
    [["GET", "/api/v1/vclusters/%00"], 404, "not_found"],
    [["GET", "/api/v1/vclusters/%ff"], 400, "malformed"],
    [["GET", `/api/v1/vclusters/${wide}`], 404, "not_found"],
    [["GET", "/api/v1/events?from=x"], 400, "malformed"],
    [["GET", "/api/v1/nothing"], 404, "not_found"],
    [["GET", "/api/v1/vclusters/lab/vnodes/host-0/exec"], 405, "method_not_allowed"],
    [["PUT", "/api/v1/images/x?digest=00&spec=%7B%7D", "x"], 400, "malformed"],
    [["PUT", "/api/v1/images/..%2fx?digest=00&spec=%7B%7D", "x"], 400, "malformed"],
    [["GET", "/api/v1/status", "", { authorization: "Bearer x" }], 401, "not_logged_in"],
  ];
  const hash = () => cluster.json("status").raft.state_hash;
  const before = hash();
  for (const [request, status, code] of cases) {
    const what = request.join(" ").slice(0, 120);
    const answer = await ask(...request);
    assert.equal(answer.status, status, `${what}: ${answer.text}`);
    assert.equal(answer.headers["content-type"], "application/problem+json", what);
    const problem = JSON.parse(answer.text);
    assert.equal(problem.code, code, what);
    assert.match(problem.detail, /: /, "cause and next step");
  }
  assert.equal((await ask("PATCH", "/api/v1/vclusters")).headers.allow, "GET,HEAD,POST");
  assert.equal(hash(), before, "nothing changed");
});

test("a refusal reaches its asker though it came before the body", async () => {
  for (let attempt = 0; attempt < 30; attempt += 1) {
    const answer = await ask("POST", "/api/v1/vclusters", "x".repeat(100_000), { authorization: "Bearer wrong" });
    assert.equal(answer.status, 401);
  }
});

test("who vanishes without a word is noticed, by masters and by workers", async () => {
  const running = spawn(program, ["exec", "lab/host-0", "--", "sleep", "60"], { env: cluster.env, stdio: "ignore" });
  const watched = (netns, port) => {
    const inside = netns ? ["netns", "exec", netns] : [];
    const [command, ...args] = [...(netns ? ["ip", ...inside] : []), "ss", "-tnoH", "state", "established", `sport = :${port}`];
    return spawnSync(command, args, { encoding: "utf8" }).stdout.split("\n").filter(Boolean);
  };
  const places = [[null, new URL(cluster.masters[0]).port], [`dkdev${cluster.instance}-w1`, 7443]];
  for (const [netns, port] of places) {
    // While bytes are under way there is another timer.
    await until(`keepalive at ${port}`, () => {
      const lines = watched(netns, port);
      return lines.length > 0 && lines.every((line) => /timer:\(keepalive,/.test(line));
    });
  }
  running.kill();
});

test("whatever a page refuses is a page", async () => {
  const cookie = { authorization: "", "content-type": "application/x-www-form-urlencoded" };
  for (const [method, route, body, status] of [
    ["GET", "/nothing", "", 404],
    ["GET", "/assets/nothing.js", "", 404],
    ["POST", "/login", "user=x", 422],
    ["PUT", "/vclusters", "", 405],
  ]) {
    const answer = await ask(method, route, body, cookie);
    assert.equal(answer.status, status, route);
    assert.match(answer.headers["content-type"], /^text\/html/, route);
  }
});
