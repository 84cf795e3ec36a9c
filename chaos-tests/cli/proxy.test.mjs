// Services through the proxy, and ports of vnodes by the command line: who comes in, what goes through, and what never does.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import readline from "node:readline";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";
import { serve, servingImage } from "../inside.mjs";
import { Browser } from "../proxied.mjs";

const cluster = new Cluster(57);
const MIB = 1 << 20;
const AS_PROGRAM = { headers: { accept: "application/json" } };
let dir, ada, bob, service;
const of = (name) => readFileSync(`${dir}/${name}-password`, "utf8").trim();
const browserOf = async (name) => {
  const browser = new Browser(cluster);
  await browser.logIn(name, of(name));
  return browser;
};
const inside = async (name) => {
  const browser = await browserOf(name);
  await browser.enter(service);
  return browser;
};

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-proxy-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  servingImage(cluster, "serving");
  [ada, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  ada.run("vc", "create", "lab", "--image", "serving", "--memory-mib", "256", "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("a service is declared by its owner or by its image, and is its owner's alone", () => {
  bob.refused(["service", "add", "lab/host-0", "web", "--port", "8000"], /there is no vcluster "lab"/);
  [service] = ada.json("service", "add", "lab/host-0", "web", "--port", "8000").map(({ id }) => id);
  const [view] = ada.json("service", "list");
  assert.deepEqual([view.name, view.vcluster, view.vnode, view.own, view.phase], ["web", "lab", "host-0", true, "running"]);
  assert.equal(view.url, `https://s${service}.apps.localhost:${8447 + 570}/`);
  assert.deepEqual(bob.json("service", "list"), []);
  bob.refused(["service", "remove", "lab/host-0", "web"], /no service "web" of yours/);
  const recipe = `${dir}/declares.toml`;
  writeFileSync(recipe, 'description = "says what it serves"\nbase = "busybox"\ninit = ["/bin/sh", "-c", "exec sleep infinity"]\nenvironment = ["PATH=/bin", "DOCKLET_SERVICES=lab:8888/lab"]\n');
  ada.run("image", "build", recipe);
  ada.run("vc", "create", "said", "--image", "declares", "--memory-mib", "32", "--wait");
  const said = ada.json("service", "list").find(({ vcluster }) => vcluster === "said");
  assert.deepEqual([said.name, said.port, said.path, said.by_image], ["lab", 8888, "/lab", true]);
  ada.run("vc", "delete", "--now", "said", "--wait");
  assert.equal(ada.json("service", "list").length, 1, "it goes with its vcluster");
});

test("who is nobody is sent to the portal, or told so", async () => {
  const browser = new Browser(cluster);
  const { status, headers } = await browser.get(service, "/deep?x=1");
  assert.equal(status, 303);
  const to = new URL(headers.location);
  assert.deepEqual([to.origin, to.pathname, to.searchParams.get("next")], [cluster.portal, `/open/${service}`, "/deep?x=1"]);
  const asked = await browser.get(service, "/", AS_PROGRAM);
  assert.deepEqual([asked.status, JSON.parse(asked.text).code], [401, "not_logged_in"]);
  const nobody = await browser.get(424242, "/", AS_PROGRAM);
  assert.deepEqual([nobody.status, nobody.text], [asked.status, asked.text], "a service that is not there looks alike");
  const again = await browser.ask(headers.location);
  assert.match(again.text, /http-equiv="refresh" content="0;url=\/open\/\d+\?state=[0-9a-f]{64}&amp;next=%2Fdeep%3Fx%3D1&amp;again=1"/);
  const login = await browser.ask(`${headers.location}&again=1`);
  assert.deepEqual([login.status, login.headers.location], [303, `/login?next=%2Fservices%2F${service}%2Fgo`]);
});

test("what does not listen yet is told, and is there as soon as it does", async () => {
  const browser = await inside("ada");
  const waiting = await browser.get(service, "/");
  assert.deepEqual([waiting.status, waiting.headers["retry-after"]], [503, "1"]);
  assert.match(waiting.text, /http-equiv="refresh" content="1"/);
  assert.match(waiting.text, /Nothing listens on port 8000/);
  const told = await browser.get(service, "/", AS_PROGRAM);
  assert.deepEqual([told.status, JSON.parse(told.text).code], [503, "service_not_ready"]);
  serve(ada, "lab/host-0", 8000);
  await until("an answer", async () => (await browser.get(service, "/")).status === 200);
});

test("one ticket is one way in, for the browser that began", async () => {
  const browser = await browserOf("ada");
  const { opened } = await browser.wayIn(service, "/deep?x=1");
  const other = new Browser(cluster);
  assert.equal((await other.ask(opened.headers.location)).status, 403, "another browser comes in with it");
  const entered = await browser.ask(opened.headers.location);
  assert.deepEqual([entered.status, entered.headers.location], [303, "/deep?x=1"]);
  const [visit] = entered.headers["set-cookie"];
  assert.match(visit, /^__Host-docklet-visit=[0-9a-f]{64}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=\d+$/);
  const again = new Browser(cluster);
  again.jars.set(browser.authority(service), new Map(browser.jars.get(browser.authority(service))));
  assert.equal((await again.ask(opened.headers.location)).status, 403, "it is good twice");
  for (const next of ["//evil.example", "/\\evil.example", "https://evil.example", "\t//evil.example"]) {
    const fresh = await browserOf("ada");
    const way = await fresh.get(service, "/");
    const there = await fresh.ask(`${way.headers.location}&next=${encodeURIComponent(next)}`);
    const end = await fresh.ask(there.headers.location);
    assert.deepEqual([end.status, end.headers.location], [303, "/"], next);
  }
});

test("what is the cluster's own does not go in, and nothing inside sets it", async () => {
  const browser = await inside("ada");
  const headers = {
    accept: "application/json", cookie: `${browser.cookies(browser.authority(service))}; __Host-docklet-session=secret; fine=1`,
    "x-forwarded-for": "6.6.6.6", "x_forwarded_for": "6.6.6.6", forwarded: "for=6.6.6.6", "x-docklet-user": "admin", "x-remote-user": "admin",
    connection: "x-hop", "x-hop": "1",
  };
  const { text } = await browser.get(service, "/a%2fb/..;/x?y=%2e%2e", { headers });
  const seen = JSON.parse(text);
  const names = seen.headers.map(([name]) => name.toLowerCase()).sort();
  assert.deepEqual(names, ["accept", "cookie", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]);
  const value = Object.fromEntries(seen.headers.map(([name, text]) => [name.toLowerCase(), text]));
  assert.deepEqual([value.cookie, value.host, value["x-forwarded-for"], value["x-forwarded-proto"]], ["fine=1", browser.authority(service), "127.0.0.1", "https"]);
  assert.equal(seen.target, "GET /a%2fb/..;/x?y=%2e%2e HTTP/1.1");
  const evil = await browser.get(service, "/evil");
  assert.deepEqual(evil.headers["set-cookie"], ["fine=1; Path=/"]);
  assert.deepEqual([evil.headers["strict-transport-security"], evil.headers["clear-site-data"], evil.headers["x-own"]], [undefined, undefined, "kept"]);
});

test("large bodies stream both ways, and events come one by one", async () => {
  const browser = await inside("ada");
  const down = await browser.get(service, `/big?bytes=${256 * MIB}`, { stream: true });
  let bytes = 0;
  for await (const part of down) bytes += part.length;
  assert.equal(bytes, 256 * MIB);
  const chunk = randomBytes(MIB);
  const up = () => Readable.from((function* () { for (let n = 0; n < 256; n++) yield chunk; })());
  for (const headers of [{ "content-length": String(256 * MIB) }, {}]) {
    const { text } = await browser.get(service, "/count", { method: "POST", headers, body: up() });
    assert.deepEqual(JSON.parse(text), { counted: 256 * MIB });
  }
  const master = cluster.processes().m1;
  const [, resident] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${master}/status`, "utf8"));
  assert.ok(Number(resident) < 400 * 1024, `a master took ${resident} kB`);
  const events = await browser.get(service, "/events", { stream: true });
  const [first] = await Promise.race([new Promise((resolve) => events.once("data", (part) => resolve([String(part)])))]);
  assert.match(first, /^data: \d/);
  events.destroy();
});

test("a socket is for the service's own pages", async () => {
  const browser = await inside("ada");
  const socket = await browser.socket(service);
  assert.equal(socket.status, 101);
  assert.equal(await socket.echo("hello"), "hello");
  socket.socket.destroy();
  const sibling = `https://${browser.authority(424242)}`;
  for (const origin of [sibling, "null", cluster.portal, "https://evil.example", null]) {
    const refused = await browser.socket(service, origin);
    assert.deepEqual([refused.status, JSON.parse(refused.text).code], [403, "foreign"], String(origin));
  }
  for (const headers of [{ origin: sibling }, { origin: "null" }, { "sec-fetch-site": "same-site" }]) {
    const { status } = await browser.get(service, "/count", { method: "POST", headers: { accept: "*/*", ...headers }, body: "x" });
    assert.equal(status, 403, JSON.stringify(headers));
  }
  const stranger = new Browser(cluster);
  assert.equal((await stranger.socket(service)).status, 401, "nobody opens one");
});

test("what could be read in two ways is not passed on", async () => {
  const browser = await inside("ada");
  const host = browser.authority(service);
  const lines = (...lines) => `${lines.join("\r\n")}\r\n\r\n`;
  const own = [`Host: ${host}`, `Cookie: ${browser.cookies(host)}`, `Origin: https://${host}`, "Accept: */*"];
  const hidden = `GET /hidden HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const corpus = {
    "two lengths": lines("POST /count HTTP/1.1", ...own, "Content-Length: 5", "Content-Length: 6") + "12345",
    "a length that is none": lines("POST /count HTTP/1.1", ...own, "Content-Length: +5") + "12345",
    "a list of lengths": lines("POST /count HTTP/1.1", ...own, "Content-Length: 5, 5") + "12345",
    "another encoding last": lines("POST /count HTTP/1.1", ...own, "Transfer-Encoding: chunked, identity") + "0\r\n\r\n",
    "another encoding first": lines("POST /count HTTP/1.1", ...own, "Transfer-Encoding: gzip, chunked") + "0\r\n\r\n",
    "an encoding that looks like chunked": lines("POST /count HTTP/1.1", ...own, "Transfer-Encoding: xchunked") + "0\r\n\r\n",
    "an encoding twice": lines("POST /count HTTP/1.1", ...own, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "an encoding in HTTP/1.0": lines("POST /count HTTP/1.0", ...own, "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "a space before the colon": lines("POST /count HTTP/1.1", ...own, "Content-Length : 5") + "12345",
    "a folded header": lines("GET /x HTTP/1.1", ...own, "X-A: b\r\n c"),
    "a header without a name": lines("GET /x HTTP/1.1", ...own, ": b"),
    "a bare carriage return": lines("GET /x HTTP/1.1", ...own, "X-A: b\rX-B: c"),
    "a nothing in a header": lines("GET /x HTTP/1.1", ...own, "X-A: b\0c"),
    "two hosts": lines("GET /x HTTP/1.1", ...own, "Host: s1.apps.localhost"),
    "a host in the target that is another": lines(`GET https://${browser.authority(424242)}/x HTTP/1.1`, ...own),
    "a socket with a body": lines("GET /ws HTTP/1.1", ...own, "Connection: Upgrade", "Upgrade: websocket", `Content-Length: ${hidden.length}`) + hidden,
    "a tunnel": lines(`CONNECT ${host} HTTP/1.1`, ...own),
    "an asterisk": lines("OPTIONS * HTTP/1.1", ...own),
    "a backslash": lines("GET /a\\b HTTP/1.1", ...own),
    "a tab in the target": lines("GET /a\tb HTTP/1.1", ...own),
    "another version": lines("GET /x HTTP/3.0", ...own),
  };
  for (const [what, bytes] of Object.entries(corpus)) {
    const answer = await browser.raw(service, bytes);
    assert.match(answer, /^(HTTP\/1\.[01] (400|404|405|417|421|431|501|505) |$)/, `${what}: ${answer.slice(0, 300)}`);
    assert.doesNotMatch(answer, /hidden|HTTP\/1\.1 200/, what);
  }
  for (const [what, body] of Object.entries({
    "a chunk size that is none": "xyz\r\n12345\r\n0\r\n\r\n",
    "a chunk size beyond all": "fffffffffffffffff\r\n12345\r\n0\r\n\r\n",
    "a chunk without its end": "5\r\n12345GET /hidden HTTP/1.1\r\n\r\n0\r\n\r\n",
  })) {
    const answer = await browser.raw(service, lines("POST /count HTTP/1.1", ...own, "Transfer-Encoding: chunked") + body);
    assert.doesNotMatch(answer, /hidden|HTTP\/1\.1 200/, `${what}: ${answer}`);
  }
  // Of both, the encoding counts, and the service gets one request with one length.
  const both = lines("POST /count HTTP/1.1", ...own, "Content-Length: 4", "Transfer-Encoding: chunked");
  for (const bytes of [both + `0\r\n\r\n${hidden}`, both.replace(/(Content-Length: 4)\r\n(Transfer-Encoding: chunked)/, "$2\r\n$1") + `0\r\n\r\n${hidden}`]) {
    const answer = await browser.raw(service, bytes);
    assert.doesNotMatch(answer, /"target"/, `what comes after it reaches the service with its visit: ${answer}`);
  }
  // Other protocols are not gone over to.
  const h2c = await browser.raw(service, lines("GET /x HTTP/1.1", ...own, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"));
  assert.match(h2c, /^HTTP\/1\.1 200/);
  assert.doesNotMatch(h2c, /h2c|http2-settings/i);
});

// Fifteen bytes as they are, five in chunks; and what somebody hides behind them.
const BODY = "5\r\n12345\r\n0\r\n\r\n";
const LENGTHS = [
  "Content-Length: 15", "Content-Length: 5", "Content-Length: 0", "Content-Length: 015", "Content-Length: +15", "Content-Length: -15", "Content-Length: 0xf", "Content-Length: 15, 15", "Content-Length: 15 5",
  "Content-Length: 1.5e1", "Content-Length:", "Content-Length: 15\t", "Content-Length: \x0b15", "Content-Length : 15", " Content-Length: 15", "Content_Length: 15", "Content-Length: 15\r\nContent-Length: 5", "X-A: b\nContent-Length: 15",
  "X-A: b\rContent-Length: 15", "Content-Length: 18446744073709551631", "Content-Length: 15;a=b", null,
];
const ENCODINGS = [
  "Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked ", "Transfer-Encoding: chunked;a=b", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked\0", "Transfer-Encoding: \x0bchunked", "Transfer-Encoding:\r\n chunked",
  'Transfer-Encoding: "chunked"', "Transfer-Encoding:", "Transfer-Encoding : chunked", " Transfer-Encoding: chunked", "Transfer_Encoding: chunked", "X-A: b\nTransfer-Encoding: chunked", "X-A: b\rTransfer-Encoding: chunked",
  "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", null,
];

// As it is read in one way by everybody, or by nobody.
const ONE_ENCODING = /^((X-A: b\n)?Transfer-Encoding:[ \t]*chunked[ \t]*|Transfer_Encoding: chunked)$/i;

test("whatever lengths and encodings a request claims, nothing hidden in it reaches the service", async () => {
  const browser = await inside("ada");
  const host = browser.authority(service);
  const own = [`Host: ${host}`, `Cookie: ${browser.cookies(host)}`, `Origin: https://${host}`, "Accept: */*"];
  const hidden = `GET /hidden HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  const corpus = LENGTHS.flatMap((length) => ENCODINGS.flatMap((encoding) => ["POST", "GET"].map((method) => ({ method, length, encoding }))));
  const seen = {};
  const ask = async ({ method, length, encoding }, place) => {
    const claims = place % 2 ? [encoding, length] : [length, encoding];
    const head = [`${method} /count HTTP/1.1`, ...own, ...claims.filter((line) => line !== null)].join("\r\n");
    const answer = await browser.raw(service, `${head}\r\n\r\n${BODY}${hidden}`, 1_500).catch((error) => error.code);
    const what = JSON.stringify([method, length, encoding, answer.slice(0, 300)]);
    assert.doesNotMatch(answer, /"target": "GET \/hidden/, what);
    // What comes first is refused, or read in one way; what comes after it is somebody's without a login, or no request.
    const [, status = "none"] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? [];
    seen[status] = (seen[status] ?? 0) + 1;
    if (status === "200") assert.ok(encoding === null || ONE_ENCODING.test(encoding), what);
    for (const [, counted] of answer.matchAll(/"counted": (\d+)/g)) assert.ok(["0", "5", "15"].includes(counted), what);
    assert.ok((answer.match(/HTTP\/1\.1 200/g) ?? []).length <= 1, what);
  };
  const waiting = corpus.entries();
  await Promise.all(Array.from({ length: 24 }, async () => {
    for (const [place, claims] of waiting) await ask(claims, place);
  }));
  assert.ok(seen[200] > 0 && seen[400] > 100, JSON.stringify(seen));
  // And nothing of it is left over in the connections that are used again.
  for (let nth = 0; nth < 40; nth++) {
    const { text } = await browser.get(service, `/after-${nth}`, AS_PROGRAM);
    assert.equal(JSON.parse(text).target, `GET /after-${nth} HTTP/1.1`);
  }
  console.log(`of ${corpus.length} requests that claim lengths and encodings: ${JSON.stringify(seen)}`);
});

test("it is for whom its owner lets, and for no longer", async () => {
  const stranger = await browserOf("bob");
  const { opened } = await stranger.wayIn(service);
  assert.equal(opened.status, 404, "bob is told of it");
  const absent = await stranger.ask(`${cluster.portal}/open/424242?state=${"0".repeat(64)}`);
  const part = { headers: { "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" } };
  assert.equal((await stranger.ask(`${cluster.portal}/open/${service}?state=${"0".repeat(64)}`, part)).status, 403, "a part of a page opens one");
  assert.equal(opened.text.replaceAll(String(service), "424242"), absent.text, "what is not his looks as if it were not there");
  ada.run("service", "share", "lab/host-0", "web", "--user", "bob");
  assert.deepEqual(bob.json("service", "list").map(({ name, owner, own }) => [name, owner, own]), [["web", "ada", false]]);
  const browser = await inside("bob");
  const socket = await browser.socket(service);
  assert.equal(await socket.echo("bob"), "bob");
  ada.run("service", "share", "lab/host-0", "web");
  const begun = performance.now();
  let ended;
  socket.closed.then((at) => (ended = at));
  await until("its socket is cut", () => ended);
  assert.ok(ended - begun < 2_000, "a socket outlives what let it in");
  assert.equal((await browser.get(service, "/", AS_PROGRAM)).status, 401);
  ada.run("group", "list");
  bob.refused(["service", "share", "lab/host-0", "web", "--everybody"], /no service "web" of yours/);
  ada.run("service", "share", "lab/host-0", "web", "--everybody");
  assert.equal((await (await inside("bob")).get(service, "/")).status, 200);
  ada.run("service", "share", "lab/host-0", "web");
});

test("a connection to a service is one person's", async () => {
  ada.run("service", "share", "lab/host-0", "web", "--user", "bob");
  const browsers = { ada: await inside("ada"), bob: await inside("bob") };
  const peers = { ada: [], bob: [] };
  for (let turn = 0; turn < 40; turn++) {
    for (const [name, browser] of Object.entries(browsers)) {
      const { text } = await browser.get(service, "/peer", AS_PROGRAM);
      peers[name].push(JSON.parse(text).peer);
    }
  }
  assert.ok(new Set(peers.ada).size < 40, "connections are used again");
  assert.deepEqual(peers.ada.filter((peer) => peers.bob.includes(peer)), [], "what ada came by, bob comes by");
  ada.run("service", "share", "lab/host-0", "web");
});

test("with the login all of it ends within two seconds", async () => {
  const browser = await inside("ada");
  const socket = await browser.socket(service);
  assert.equal(await socket.echo("x"), "x");
  const events = await browser.get(service, "/events", { stream: true });
  const cut = new Promise((resolve) => ["close", "error", "aborted"].forEach((name) => events.on(name, () => resolve(performance.now()))));
  events.resume();
  const begun = performance.now();
  const times = [];
  for (const end of [socket.closed, cut]) end.then((ended) => times.push(ended - begun));
  assert.equal((await browser.logOut()).status, 303);
  await until("both are cut", () => times.length === 2);
  for (const ms of times) assert.ok(ms < 2_000, `${Math.round(ms)} ms`);
  assert.equal((await browser.get(service, "/", AS_PROGRAM)).status, 401);
});

test("programs connect to ports with their token, and nobody else does", async (t) => {
  const lines = (process) => readline.createInterface({ input: process.stderr });
  const forward = spawn(program, ["port-forward", "lab/host-0", "0:8000"], { env: ada.env, stdio: ["ignore", "ignore", "pipe"] });
  t.after(() => forward.kill("SIGKILL"));
  const said = await new Promise((resolve) => lines(forward).once("line", resolve));
  const [, port] = /127\.0\.0\.1:(\d+) leads to lab\/host-0 port 8000/.exec(said);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => fetch(`http://127.0.0.1:${port}/n${n}`).then((r) => r.json())));
  assert.deepEqual(answers.map(({ target }) => target), Array.from({ length: 20 }, (_, n) => `GET /n${n} HTTP/1.1`));
  const big = await fetch(`http://127.0.0.1:${port}/big?bytes=${64 * MIB}`);
  assert.equal((await big.arrayBuffer()).byteLength, 64 * MIB);
  // Who is refused is told there, and the connection here just ends.
  const ended = new Promise((resolve) => net.connect(port, "127.0.0.1").end("GET / HTTP/1.0\r\n\r\n").on("data", (data) => resolve(String(data))));
  assert.match(await ended, /^HTTP\/1\.[01] 200/, "half of a connection is closed, and the answer comes");
  // Other users of this machine are nobody.
  const noticed = new Promise((resolve) => lines(forward).once("line", resolve));
  const stranger = spawnSync("curl", ["-s", `http://127.0.0.1:${port}/`], { uid: 65534, gid: 65534, encoding: "utf8", timeout: 10_000 });
  assert.notEqual(stranger.status, 0, stranger.stdout);
  assert.equal(stranger.stdout, "");
  assert.match(await noticed, /another user of this machine was refused: `--anyone`/);
  const stdio = ada.try(["port-forward", "lab/host-0", "8000", "--stdio"], { input: "GET /stdio HTTP/1.0\r\n\r\n" });
  assert.match(stdio.stdout, /GET \/stdio HTTP\/1\.0/, stdio.stderr);
  const closed = ada.try(["port-forward", "lab/host-0", "8001", "--stdio"], { input: "" });
  assert.equal(closed.code, 4);
  assert.match(closed.stderr, /nothing listens on port 8001 of lab\/host-0: start it there/);
  const foreign = bob.try(["port-forward", "lab/host-0", "8000", "--stdio"], { input: "" });
  assert.match(foreign.stderr, /there is no vcluster "lab"/);
  const token = ada.run("access-token", "create", "reader", "--scope", "read").trim();
  const url = `${cluster.portal}/api/v1/vclusters/lab/vnodes/host-0/connect?port=8000`;
  const curl = spawnSync("curl", ["-sk", "--http1.1", "-H", `Authorization: Bearer ${token}`, "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
    "-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", url], { encoding: "utf8", timeout: 10_000 });
  assert.match(curl.stdout, /scope_missing/);
  const { records } = ada.json("audit", "list", "--limit", "1000");
  const told = (command) => records.filter((record) => record.command === command && !record.refused);
  assert.ok(told("ForwardPort").some(({ things }) => things.includes("vnode ada/lab/host-0") && things.includes("port 8000")));
  assert.ok(told("ForwardPort").length <= 3, "each connection leaves a line");
  assert.ok(told("OpenService").some(({ things }) => things.includes("service ada/lab/host-0/web")));
});

test("a port that says nothing is waited for, and one whose master stands still is not", async (t) => {
  const forward = spawn(program, ["port-forward", "lab/host-0", "8000", "--stdio"], { env: ada.env });
  t.after(() => forward.kill("SIGKILL"));
  const said = { stdout: "", stderr: "" };
  for (const name of Object.keys(said)) forward[name].on("data", (data) => (said[name] += data));
  // Longer than a master may be silent.
  forward.stdin.write("GET /later?seconds=8 HTTP/1.1\r\nHost: x\r\n\r\n");
  await until("an answer that is late", () => said.stdout.includes("HTTP/1.1 200"));
  const { m1 } = cluster.processes();
  process.kill(m1, "SIGSTOP");
  try {
    const stoppedAt = performance.now();
    await until("its end, though its input is open", () => forward.exitCode !== null);
    assert.equal(forward.exitCode, 6, said.stderr);
    assert.match(said.stderr, /the master fell silent: whether all that was sent came there is not known; connect again/);
    const noticedMs = Math.round(performance.now() - stoppedAt);
    assert.ok(noticedMs < 12_000, `noticed after ${noticedMs} ms`);
  } finally {
    process.kill(m1, "SIGCONT");
  }
  await until("its master again", () => ada.try(["status"]).code === 0);
});

test("no request names where it goes", async () => {
  const browser = await inside("ada");
  const foreign = await browser.raw(service, `GET http://10.64.0.1/ HTTP/1.1\r\nHost: 10.64.0.1\r\nCookie: ${browser.cookies(browser.authority(service))}\r\n\r\n`);
  assert.match(foreign, /^HTTP\/1\.1 421 /);
  for (const query of [
    "port=8000&vnode=1", "port=8000&address=127.0.0.1", "port=8000&host=127.0.0.1", "port=10.0.0.1:80", "port=127.0.0.1", "port=[::1]:80", "port=localhost:80", "port=unix:/run/x", "port=http://127.0.0.1", "port=8000%0d%0aHost:x", "port=8000/../9",
    "port=-1", "port=0", "port=65536", "port=65616", "port=8000.0", "port=0x1f40", "port=%2b8000", "port=8000,80", "port=8000&port=80", "port=", "port", "",
  ]) {
    const path = `/api/v1/vclusters/lab/vnodes/host-0/connect?${query}`;
    const { status } = await browser.ask(cluster.portal + path, AS_PROGRAM);
    assert.ok(status >= 400 && status < 500, `${query}: ${status}`);
  }
  // Addresses as resolvers and libraries spell them, of this machine, of masters, of the cloud it may run in, and of vnodes.
  const own = browser.authority(service);
  const [name, port] = own.split(":");
  const elsewhere = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
    "[64:ff9b::7f00:1]", "[fe80::1%25lo]", "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "169.254.169.254", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "metadata.google.internal", "10.64.0.1", "10.64.0.2", "m1", "w1", "lab", "host-0", "host-0.lab",
    `${name}.`, `${name}.nip.io`, `${name}@127.0.0.1`, `127.0.0.1@${name}`, `127.0.0.1#${name}`, `127.0.0.1\\${name}`, `${name}%00.evil.example`, "%31%32%37.0.0.1", `s${service}%2eapps.localhost`, `s0${service}.apps.localhost`, `s+${service}.apps.localhost`,
    `x.${name}`, "apps.localhost", ".apps.localhost", "s.apps.localhost", `s${service}.apps.localhost:${port}:${port}`, "",
  ];
  const cookie = `Cookie: ${browser.cookies(own)}`;
  const requests = elsewhere.flatMap((host) => {
    const places = [host, `${host}:80`, `${host}:${port}`].filter((place) => place.toLowerCase() !== own);
    return places.flatMap((place) => [
      [`GET / HTTP/1.1`, `Host: ${place}`], [`GET http://${place}/ HTTP/1.1`, `Host: ${own}`], [`GET https://${place}/ HTTP/1.1`, `Host: ${place}`], [`CONNECT ${place} HTTP/1.1`, `Host: ${own}`],
      [`GET / HTTP/1.1`, `Host: ${own}`, `Host: ${place}`], [`GET / HTTP/1.0`, `Host: ${place}`],
    ]);
  });
  const left = requests.values();
  await Promise.all(Array.from({ length: 24 }, async () => {
    for (const lines of left) {
      const answer = await browser.raw(service, `${[...lines, cookie, "Accept: */*", "Connection: close"].join("\r\n")}\r\n\r\n`, 5_000).catch((error) => error.code);
      assert.match(answer, /^(HTTP\/1\.[01] (400|404|405|414|421|501) |ECONNRESET|$)/, `${lines}: ${answer.slice(0, 200)}`);
    }
  }));
  // What a service says of other places is for the browser, and this master does not go there.
  const asked = [];
  const trap = net.createServer((socket) => (asked.push(socket.remotePort), socket.destroy()));
  await new Promise((resolve) => trap.listen(0, "127.0.0.1", resolve));
  try {
    const there = `127.0.0.1:${trap.address().port}`;
    for (const to of [`http://${there}/`, `https://${there}/`, `//${there}/`]) {
      for (const header of ["Location", "Refresh", "Link", "Content-Location", "X-Accel-Redirect", "X-Sendfile", "Alt-Svc"]) {
        const { status, headers } = await browser.get(service, `/redirect?header=${header}&to=${encodeURIComponent(to)}`, AS_PROGRAM);
        assert.equal(status, 302, header);
        assert.ok([to, undefined].includes(headers[header.toLowerCase()]), `${header}: ${headers[header.toLowerCase()]}`);
      }
    }
    assert.deepEqual(asked, [], "this master went there");
  } finally {
    trap.close();
  }
  const portal = await browser.ask(`${cluster.portal}/`, { headers: { host: browser.authority(service) } });
  assert.equal(portal.status, 421, "services are at their own port");
});

test("a socket outlives a leader that it did not come by, and the way in is open again at once", async () => {
  const browser = await inside("ada");
  const socket = await browser.socket(service);
  assert.equal(await socket.echo("x"), "x");
  cluster.kill(cluster.leader());
  const answered = await Promise.race([socket.echo("y"), socket.closed.then(() => "cut")]);
  assert.ok(["y", "cut"].includes(answered), answered);
  await until("an answer by another master", async () => {
    const answer = await browser.get(service, "/").catch(() => ({}));
    return answer.status === 200;
  });
  const fresh = await until("a way in", async () => {
    try {
      return await inside("ada");
    } catch {
      return undefined;
    }
  });
  assert.equal((await fresh.get(service, "/")).status, 200);
  socket.socket.destroy();
  cluster.run("dev", "up");
});

test("what stands still says so, and is in nobody's way", async () => {
  const browser = await inside("ada");
  ada.run("vc", "stop", "lab", "--wait");
  const told = await browser.get(service, "/");
  assert.equal(told.status, 503);
  assert.match(told.text, /stopped/);
  ada.run("vc", "start", "lab", "--wait");
  serve(ada, "lab/host-0", 8000);
  await until("an answer", async () => (await browser.get(service, "/")).status === 200);
});

test("who is refused at a service's origin is noted for whose it is, and for nobody else", async () => {
  const origin = `https://s${service}.apps.localhost:${8447 + cluster.instance * 10}`;
  const [hers, his] = [await browserOf("ada"), await browserOf("bob")];
  // A ticket of a browser that never began, another site's page, and what can be read in two ways.
  const stranger = new Browser(cluster);
  assert.equal((await stranger.ask(`${origin}/.docklet/enter?ticket=${"0".repeat(64)}&state=${"0".repeat(64)}`)).status, 403);
  await hers.enter(service);
  assert.equal((await hers.get(service, "/", { method: "POST", headers: { origin: "https://evil.example", "sec-fetch-site": "cross-site" } })).status, 403);
  assert.equal((await his.ask(`${cluster.portal}/open/${service}?state=${"0".repeat(64)}&again=1`)).status, 404);
  const noted = () => ada.json("audit", "list", "--thing", "ada/lab", "--limit", "200").records.filter(({ effects }) => effects["Audit.Refused"]).map(({ refused }) => refused);
  await until("a record of each", () => ["ticket_not_good", "foreign", "not_found"].every((code) => noted().includes(code)), 130_000);
  assert.ok(!bob.json("audit", "list", "--limit", "200").records.some(({ effects }) => effects["Audit.Refused"]), "whoever was refused learns nothing");
});
