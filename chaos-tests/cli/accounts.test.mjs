// Accounts on a real cluster: asking for one, logging in in two steps, tokens and their scopes, and what ends when something is
// revoked through another master.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import https from "node:https";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(23);
const EVE = "eve's long password";
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-accounts-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const file = (name, text) => {
  writeFileSync(`${dir}/${name}`, `${text}\n`);
  return `${dir}/${name}`;
};
const ca = () => readFileSync(`${cluster.dir}/ca.pem`);

// Somebody with a context of their own, who is not logged in yet.
function somebody(name) {
  const other = new Cluster(cluster.instance);
  other.env = { ...other.env, DOCKLET_CONTEXT: `${dir}/${name}.toml` };
  return other;
}
const logIn = (who, name, password, ...more) =>
  who.try(["login", ...cluster.masters.flatMap((server) => ["--server", server]), "--ca", `${cluster.dir}/ca.pem`, "--user", name, "--password-file", file(`${name}-password`, password), ...more]);
const register = (...more) =>
  somebody("nobody").try(["register", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--real-name", "Eve Adams", "--mail", "eve@example.org", "--reason", "networks 101", "--password-file", file("eve-password", EVE), ...more]);

// A request with a bearer token, to one master.
function ask(master, method, path, token, body) {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) };
    const request = https.request(`${cluster.masters[master]}${path}`, { method, ca: ca(), headers, agent: false }, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    request.on("error", reject);
    request.end(body && JSON.stringify(body));
  });
}

// An event stream; its `ended` comes with how long after which moment it was cut.
function follow(master, token) {
  const follower = { text: "" };
  follower.ended = new Promise((resolve, reject) => {
    const request = https.get(`${cluster.masters[master]}/api/v1/events`, { ca: ca(), headers: { authorization: `Bearer ${token}` }, agent: false }, (response) => {
      follower.status = response.statusCode;
      response.on("data", (data) => (follower.text += data));
      response.on("end", () => resolve(performance.now()));
      response.on("error", () => resolve(performance.now()));
    });
    request.on("error", reject);
  });
  return follower;
}

// A terminal by WebSocket, as far as this needs one: the handshake, and when the connection ends.
function terminal(master, token) {
  const { hostname, port } = new URL(cluster.masters[master]);
  const opened = {};
  const path = `/api/v1/vclusters/lab/vnodes/host-0/terminal?session=${"0".repeat(31)}${master}`;
  opened.ended = new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "MDEyMzQ1Njc4OWFiY2RlZg==" };
    const request = https.request({ hostname, port, path, ca: ca(), headers, agent: false, ALPNProtocols: ["http/1.1"] });
    request.on("upgrade", (_, socket) => {
      opened.open = true;
      socket.on("data", () => {});
      socket.on("close", () => resolve(performance.now()));
      socket.on("error", () => {});
    });
    request.on("response", (response) => reject(new Error(`terminal: ${response.statusCode}`)));
    request.on("error", reject);
    request.end();
  });
  opened.ended.catch(() => {});
  return opened;
}

function code(secret, step = Math.floor(Date.now() / 30_000)) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const tag = createHmac("sha1", key).update(counter).digest();
  const number = tag.readUInt32BE(tag.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

test("strangers ask only where an admin lets them, and are told by their login how it stands", () => {
  assert.match(register("--user", "eve").stderr, /takes no requests for accounts/);
  cluster.run("user", "registration", "open");
  assert.match(register("--user", "root").stderr, /taken, kept for the cluster, or looks like one/);
  assert.match(register("--user", "adm1n").stderr, /taken, kept for the cluster, or looks like one/);
  const asked = register("--user", "eve");
  assert.equal(asked.code, 0, asked.stderr);
  const eve = somebody("eve");
  assert.match(logIn(eve, "eve", EVE).stderr, /your request for an account waits/);
  assert.match(logIn(eve, "eve", "another password").stderr, /user name and password do not match/);
  const [{ id }] = cluster.json("user", "requests");
  cluster.run("user", "decline", String(id), "--reason", "which course is that?");
  assert.match(logIn(eve, "eve", EVE).stderr, /was declined: which course is that\?/);
  const anew = register("--user", "eve", "--affiliation", "Physics");
  assert.equal(anew.code, 0, anew.stderr);
  const again = cluster.json("user", "requests").find(({ declined }) => declined === null);
  cluster.run("user", "approve", String(again.id));
  const in_ = logIn(eve, "eve", EVE);
  assert.equal(in_.code, 0, in_.stderr);
  const own = eve.json("user", "list");
  assert.deepEqual(own.map(({ name, profile }) => [name, profile.mail]), [["eve", "eve@example.org"]]);
  eve.refused(["user", "requests"], /admin/);
  eve.refused(["user", "show", "admin"], /no user "admin" that you can see/);
});

test("with a second factor a login needs a code, and each code works once", async () => {
  const eve = somebody("eve");
  const begun = eve.json("user", "factor", "begin");
  assert.match(begun.uri, /^otpauth:\/\/totp\/[a-z0-9-]+:eve\?secret=[A-Z2-7]{32}&issuer=/);
  eve.refused(["user", "factor", "confirm", "000000"], /code is wrong/);
  const first = code(begun.secret);
  const { recovery } = eve.json("user", "factor", "confirm", first);
  assert.equal(recovery.length, 10);
  assert.match(logIn(eve, "eve", EVE, "--totp-code", first).stderr, /code is wrong, over, or was used already/);
  // Of the next step, which is near enough: the one before is used up.
  const next = logIn(eve, "eve", EVE, "--totp-code", code(begun.secret, Math.floor(Date.now() / 30_000) + 1));
  assert.equal(next.code, 0, next.stderr);
  assert.match(logIn(eve, "eve", "wrong password", "--totp-code", recovery[0]).stderr, /do not match/);
  const lost = logIn(eve, "eve", EVE, "--totp-code", recovery[0]);
  assert.equal(lost.code, 0, lost.stderr);
  assert.match(logIn(eve, "eve", EVE, "--totp-code", recovery[0]).stderr, /code is wrong/);
  assert.equal(eve.json("user", "show").recovery_codes_left, 9);
  // Asked for where it is not given.
  const servers = ["--server", cluster.masters[1], "--ca", `${cluster.dir}/ca.pem`];
  const typed = eve.try(["login", ...servers, "--user", "eve", "--password-file", `${dir}/eve-password`], { input: `${recovery[1]}\n` });
  assert.equal(typed.code, 0, typed.stderr);
  assert.match(typed.stderr, /Code that your device shows/);
  eve.refused(["user", "factor", "remove", "--password-file", `${dir}/eve-password`], /second factor: give the code/);
  cluster.run("user", "factor", "remove", "--user", "eve");
  assert.equal(logIn(eve, "eve", EVE).code, 0);
  // Nothing that a master writes down for people has it.
  const logs = `${cluster.dir}/log`;
  for (const name of readdirSync(logs).filter((name) => statSync(`${logs}/${name}`).isFile())) {
    const text = readFileSync(`${logs}/${name}`, "utf8");
    assert.ok(!text.includes(begun.secret) && !text.includes(recovery[2]) && !text.includes(EVE), name);
  }
  const told = cluster.try(["events", "--from", "1", "--format", "json"], { timeout: 3_000 }).stdout;
  assert.match(told, /FactorConfirmed/);
  const seen = told + JSON.stringify(cluster.json("state"));
  assert.ok(!seen.includes(begun.secret) && !seen.includes("argon2"), "nothing that people see has it");
  // Whose account it is learns that somebody with the password tried codes.
  const records = () => eve.json("audit", "list", "--limit", "200").records;
  const noted = await until("a record of wrong codes", () => records().find(({ command, refused }) => command === "show a code" && refused === "code_wrong"), 130_000);
  assert.deepEqual([noted.things, noted.who], [["user eve"], { master: { name: "m1" } }]);
});

test("a token does what its scopes say and nothing with accounts", async () => {
  const eve = somebody("eve");
  eve.run("vc", "create", "lab", "--vnodes", "1", "--wait");
  eve.refused(["access-token", "create", "root", "--scope", "admin"], /"admin" is for admins/);
  const reader = eve.run("access-token", "create", "reader", "--scope", "read").trim();
  assert.match(reader, /^docklet_[0-9a-f]{64}$/);
  assert.equal((await ask(1, "GET", "/api/v1/vclusters", reader)).status, 200);
  const stop = await ask(1, "POST", "/api/v1/vclusters/lab/stop", reader);
  assert.equal(stop.status, 403);
  assert.match(stop.text, /lacks the scope \\"vclusters\\"/);
  for (const [method, path, body] of [
    ["POST", "/api/v1/access-tokens", { name: "more", scopes: ["read"], ttl_s: 3600 }],
    ["DELETE", "/api/v1/logins", undefined],
    ["PUT", "/api/v1/users/eve/password", { password: "another password", current: EVE }],
    ["POST", "/api/v1/factor", undefined],
  ]) {
    const { status, text } = await ask(2, method, path, reader, body);
    assert.equal(status, 403, `${method} ${path}: ${text}`);
    assert.match(text, /no token may/);
  }
  const writer = eve.run("access-token", "create", "writer", "--scope", "vclusters").trim();
  assert.equal((await ask(0, "GET", "/api/v1/vclusters", writer)).status, 403);
  assert.equal((await ask(0, "GET", "/api/v1/events", writer)).status, 403);
  await assert.rejects(terminal(0, reader).ended, /403/);
  // An admin's without that scope is a plain user's.
  const plain = cluster.run("access-token", "create", "plain", "--scope", "read").trim();
  assert.equal((await ask(0, "GET", "/api/v1/workers", plain)).status, 403);
  assert.deepEqual(JSON.parse((await ask(0, "GET", "/api/v1/vclusters", plain)).text), []);
  const scraper = cluster.run("access-token", "create", "scraper", "--scope", "metrics").trim();
  assert.equal((await ask(0, "GET", "/metrics", scraper)).status, 200);
  assert.equal((await ask(0, "GET", "/api/v1/workers", scraper)).status, 403);
  assert.equal((await ask(0, "GET", "/metrics", plain)).status, 403);
  await until("its use to be noted", () => eve.json("access-token", "list").find(({ name }) => name === "reader").used_day > 20_000);
});

// What a token holds open at all masters ends within two seconds of what ends it.
async function endsEverywhere(token, end) {
  const open = [0, 1, 2].map((master) => ({ stream: follow(master, token), shell: terminal(master, token) }));
  await until("all of them to be open", () => open.every(({ stream, shell }) => stream.status === 200 && shell.open));
  const begun = performance.now();
  end();
  for (const { stream, shell } of open) {
    for (const end of [stream.ended, shell.ended]) {
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error("still open")), 4_000));
      const after = (await Promise.race([end, late])) - begun;
      assert.ok(after < 2_000, `${after} ms`);
    }
    assert.match(stream.text, /the login has ended/);
  }
  for (const master of [0, 1, 2]) assert.equal((await ask(master, "GET", "/api/v1/vclusters", token)).status, 401);
}

test("what is revoked through one master ends on all of them within two seconds", async () => {
  const eve = somebody("eve");
  const token = eve.run("access-token", "create", "shell", "--scope", "read", "--scope", "terminals").trim();
  await endsEverywhere(token, () => eve.run("access-token", "revoke", "shell"));
});

test("so does what a login holds open: when it is ended, at a new password, and at a lock", async () => {
  const [eve, phone] = [somebody("eve"), somebody("phone")];
  // By the phone's own secret, as it keeps it.
  const secret = (password) => {
    const { code, stderr } = logIn(phone, "eve", password);
    assert.equal(code, 0, stderr);
    return readFileSync(`${dir}/phone.toml`, "utf8").match(/^token = "([0-9a-f]{64})"$/m)[1];
  };
  const ended = secret(EVE);
  const [{ number }] = eve.json("session", "list").filter(({ this: own }) => !own).toSorted((one, other) => other.number - one.number);
  await endsEverywhere(ended, () => eve.run("session", "end", String(number)));
  const next = file("next", "eve's next long password");
  const old = file("old", EVE);
  await endsEverywhere(secret(EVE), () => eve.run("user", "passwd", "--current-password-file", old, "--password-file", next));
  await endsEverywhere(secret("eve's next long password"), () => cluster.run("user", "lock", "eve", "--reason", "a stolen phone"));
  cluster.run("user", "unlock", "eve");
  assert.equal(logIn(eve, "eve", "eve's next long password").code, 0);
  eve.run("user", "passwd", "--current-password-file", next, "--password-file", old);
  assert.equal(logIn(eve, "eve", EVE).code, 0);
});

test("one login is ended by its number, all others with the tokens at once", async () => {
  const [eve, phone] = [somebody("eve"), somebody("phone")];
  assert.equal(logIn(phone, "eve", EVE).code, 0);
  const there = eve.json("session", "list");
  const newest = there.find(({ this: own }) => !own);
  assert.match(newest.from, /^127\./);
  eve.run("session", "end", String(newest.number));
  phone.refused(["vc", "list"], /not logged in/);
  assert.equal(logIn(phone, "eve", EVE).code, 0);
  eve.run("session", "end", "--others");
  phone.refused(["vc", "list"], /not logged in/);
  assert.equal(eve.json("session", "list").length, 1);
  assert.deepEqual(eve.json("access-token", "list"), []);
  somebody("phone").refused(["session", "list", "--user", "admin"], /not logged in/);
  eve.refused(["session", "list", "--user", "admin"], /no user "admin" that you can see/);
});

test("a lock ends everything and says why; a deletion takes what is owned along, if that is said", async () => {
  const eve = somebody("eve");
  const token = eve.run("access-token", "create", "ci", "--scope", "read").trim();
  cluster.refused(["user", "lock", "admin", "--reason", "holiday"], /cannot lock your own account/);
  cluster.run("user", "lock", "eve", "--reason", "a key in a public repository");
  eve.refused(["vc", "list"], /not logged in/);
  assert.equal((await ask(1, "GET", "/api/v1/vclusters", token)).status, 401);
  assert.match(logIn(eve, "eve", EVE).stderr, /locked: a key in a public repository/);
  assert.match(logIn(eve, "eve", "wrong password").stderr, /do not match/);
  assert.equal(cluster.json("vc", "list").find(({ name }) => name === "lab").running, 1, "what runs goes on");
  cluster.run("user", "unlock", "eve");
  assert.equal(logIn(eve, "eve", EVE).code, 0);
  eve.run("user", "passwd", "--current-password-file", `${dir}/eve-password`, "--password-file", file("new", "another long password"));
  eve.refused(["vc", "list"], /not logged in/);
  assert.match(logIn(eve, "eve", EVE).stderr, /do not match/);
  assert.equal(logIn(eve, "eve", "another long password").code, 0);
  cluster.refused(["user", "delete", "eve"], /has 1 vclusters and 0 images: nothing was changed/);
  cluster.run("user", "delete", "eve", "--with-data", "--now", "--wait");
  assert.ok(!cluster.json("user", "list").some(({ name }) => name === "eve"));
  assert.match(logIn(eve, "eve", "another long password").stderr, /do not match/);
});

test("a deleted account comes back with what went with it, and nobody comes in meanwhile", async () => {
  const DAN = "dan's long password";
  cluster.run("user", "create", "dan", "--password-file", file("dan-password", DAN));
  const dan = somebody("dan");
  assert.equal(logIn(dan, "dan", DAN).code, 0);
  const token = dan.run("access-token", "create", "shell", "--scope", "read", "--scope", "terminals").trim();
  dan.run("vc", "create", "lab", "--vnodes", "1", "--wait");
  dan.run("port", "add", "lab/host-0", "80", "--public", "20080");
  dan.run("exec", "lab/host-0", "--", "sh", "-c", "echo mine > /root/kept");
  cluster.run("group", "create", "crew", "--description", "");
  cluster.run("group", "add", "crew", "dan");
  const open = [0, 1, 2].map((master) => follow(master, token));
  await until("all of them to be open", () => open.every((stream) => stream.status === 200));
  const begun = performance.now();
  const deleted = cluster.try(["user", "delete", "dan", "--with-data"]);
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.match(deleted.stderr, /until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC it can be undone: docklet trash restore dan --kind account/);
  for (const stream of open) {
    const after = (await stream.ended) - begun;
    assert.ok(after < 2_000, `${after} ms`);
  }
  assert.match(logIn(dan, "dan", DAN).stderr, /the account "dan" was deleted/);
  assert.match(logIn(dan, "dan", "wrong password").stderr, /do not match/);
  assert.ok(!cluster.json("vc", "list").some(({ owner }) => owner === "dan"));
  cluster.refused(["user", "create", "dan", "--password-file", `${dir}/dan-password`], /a user named "dan" exists already/);
  assert.deepEqual(cluster.json("trash", "list").map(({ kind, name, about }) => [kind, name, about]), [["account", "dan", "1 vcluster"]]);
  cluster.run("trash", "restore", "dan", "--kind", "account");
  assert.equal(logIn(dan, "dan", DAN).code, 0);
  assert.equal((await ask(1, "GET", "/api/v1/vclusters", token)).status, 401, "its tokens are gone");
  await until("what ran to run", () => dan.json("vc", "list").find(({ name, running }) => name === "lab" && running === 1));
  assert.equal(dan.run("exec", "lab/host-0", "--", "cat", "/root/kept"), "mine\n");
  assert.match(dan.run("port", "list"), /20080/);
  assert.deepEqual(cluster.json("group", "show", "crew").members, ["dan"]);
  const told = dan.json("audit", "list").records.map(({ command }) => command);
  assert.ok(told.includes("DiscardUser") && told.includes("RecoverDeleted"), "who is back sees what was done");
  cluster.run("user", "delete", "dan", "--with-data");
  cluster.run("trash", "purge", "dan", "--kind", "account");
  await until("it to be gone", () => !cluster.json("user", "list").some(({ name }) => name === "dan"), 60_000);
  cluster.refused(["trash", "restore", "dan"], /nothing "dan" in the trash/);
});
