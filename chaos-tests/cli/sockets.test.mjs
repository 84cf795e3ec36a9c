// WebSockets over HTTP/2 (RFC 8441), to services and to terminals: several over one connection, to whom those over HTTP/1.1 are
// open and to nobody else.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http2 from "node:http2";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { serve, servingImage } from "../inside.mjs";
import { Browser } from "../proxied.mjs";

const cluster = new Cluster(75);
const port = 8447 + 10 * cluster.instance;
let dir, service, browser, host;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-sockets-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  servingImage(cluster, "serving");
  cluster.run("vc", "create", "lab", "--image", "serving", "--memory-mib", "256", "--wait");
  [service] = cluster.json("service", "add", "lab/host-0", "web", "--port", "8000").map(({ id }) => id);
  serve(cluster, "lab/host-0", 8000);
  browser = new Browser(cluster);
  host = browser.authority(service);
  await browser.logIn("admin", cluster.password());
  await browser.enter(service);
  await until("the service", async () => (await browser.get(service, "/x")).status === 200);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// One connection, once it has said what it can do.
async function connect(to, servername) {
  const session = http2.connect(`https://127.0.0.1:${to}`, { ca: browser.ca, servername });
  const settings = await new Promise((resolve, reject) => {
    session.on("remoteSettings", resolve);
    session.on("error", reject);
  });
  assert.equal(settings.enableConnectProtocol, true, "it does not say that it takes sockets");
  return session;
}

// A socket over it, as far as the handshake; `next` gives the text of one message after the other.
function open(session, authority, path, headers = {}) {
  const stream = session.request(
    { ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": authority, ":path": path,
      "sec-websocket-version": "13", origin: `https://${authority}`, cookie: browser.cookies(authority), ...headers },
    { endStream: false });
  const closed = new Promise((resolve) => stream.on("close", () => resolve(performance.now())));
  stream.on("error", () => {});
  // As browsers do: what the other side has ended is over.
  stream.on("end", () => stream.end());
  let rest = Buffer.alloc(0);
  const messages = [];
  let came = () => {};
  stream.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 2) {
      const long = (rest[1] & 127) === 126;
      if (rest.length < (long ? 4 : 2)) break;
      const [start, length] = long ? [4, rest.readUInt16BE(2)] : [2, rest[1] & 127];
      if (rest.length < start + length) break;
      messages.push(rest.subarray(start, start + length));
      rest = rest.subarray(start + length);
    }
    came();
  });
  const next = async () => {
    while (!messages.length) await new Promise((resolve) => (came = resolve));
    return messages.shift();
  };
  const send = (data, kind = 1) => {
    const [mask, bytes] = [randomBytes(4), Buffer.from(data)];
    stream.write(Buffer.concat([Buffer.from([0x80 | kind, 0x80 | bytes.length]), mask, bytes.map((byte, at) => byte ^ mask[at % 4])]));
  };
  return new Promise((resolve, reject) => {
    stream.on("response", (answer) => resolve({ status: answer[":status"], answer, stream, send, next, closed }));
    stream.on("error", reject);
  });
}

// Waits until a terminal has written that.
async function shows({ next }, text) {
  let shown = "";
  while (!shown.includes(text)) shown += (await next()).toString("latin1");
}

test("sockets and requests to a service share one connection", async () => {
  const session = await connect(port, host.split(":")[0]);
  const sockets = await Promise.all([1, 2, 3].map(() => open(session, host, "/ws?x=1")));
  for (const [number, { status, answer, send, next }] of sockets.entries()) {
    assert.equal(status, 200);
    for (const name of ["sec-websocket-accept", "upgrade", "connection"]) assert.equal(answer[name], undefined, name);
    for (const text of [`hello ${number}`, "x".repeat(100)]) {
      send(text);
      assert.equal((await next()).toString(), text);
    }
  }
  const page = session.request({ ":path": "/told", ":authority": host, cookie: browser.cookies(host), accept: "*/*" });
  let text = "";
  for await (const part of page) text += part;
  assert.match(text, /GET \/told HTTP\/1\.1/);
  sockets[0].send(Buffer.from([3, 232]), 8);
  await sockets[0].closed;
  sockets[1].send("still");
  assert.equal((await sockets[1].next()).toString(), "still", "the end of one is the end of none other");
  session.destroy();
});

test("a socket over HTTP/2 is for the service's own pages, and for a path where there is one", async () => {
  const session = await connect(port, host.split(":")[0]);
  for (const origin of ["https://evil.example", `https://s999.apps.localhost:${port}`, "null"]) {
    const { status } = await open(session, host, "/ws", { origin });
    assert.equal(status, 403, origin);
  }
  assert.equal((await open(session, host, "/ws", { cookie: "" })).status, 401);
  assert.equal((await open(session, host, "/told")).status, 502, "an answer that is none to a handshake opens nothing");
  for (const odd of [{ ":protocol": "connect-udp" }, { ":authority": `evil.example:${port}` }]) {
    const { status } = await open(session, host, "/ws", odd);
    assert.ok(status >= 400 && status < 500, JSON.stringify([odd, status]));
  }
  session.destroy();
  // Nothing that says CONNECT over HTTP/1.1 is one.
  const raw = await browser.raw(service, `CONNECT /ws HTTP/1.1\r\nHost: ${host}\r\nCookie: ${browser.cookies(host)}\r\n\r\n`);
  assert.match(raw, /^HTTP\/1\.1 4\d\d/);
});

test("a terminal comes over HTTP/2, for this site's own pages only", async () => {
  const authority = new URL(cluster.portal).host;
  const session = await connect(port - 4, "");
  const path = "/terminal/ws?vcluster=lab&vnode=host-0&session=0123456789abcdef0123456789abcdef&cols=80&rows=24";
  const foreign = await open(session, authority, path, { origin: "https://evil.example" });
  assert.equal(foreign.status, 403);
  const stranger = await open(session, authority, path, { cookie: "" });
  assert.equal(stranger.status, 303, "on to the login");
  const terminal = await open(session, authority, path);
  assert.equal(terminal.status, 200);
  terminal.send("echo up-$((40+2))\n", 2);
  await shows(terminal, "up-42");
  session.destroy();
});

test("a terminal ends with the login by which it came when that is ended on another one's page, and no other does", async () => {
  const authority = new URL(cluster.portal).host;
  const [phone, desk] = [new Browser(cluster), new Browser(cluster)];
  // Whose end is meant is told by who came later.
  for (const login of [phone, desk]) await login.logIn("admin", cluster.password());
  const terminals = [];
  for (const [login, number] of [[phone, "1"], [desk, "2"]]) {
    // Through any two of the masters, or the same.
    const session = await connect(port - 4, "");
    const path = `/terminal/ws?vcluster=lab&vnode=host-0&session=${number.repeat(32)}&cols=80&rows=24`;
    const terminal = await open(session, authority, path, { cookie: login.cookies(authority) });
    assert.equal(terminal.status, 200);
    terminal.send(`echo up-$((${number}+41))\n`, 2);
    await shows(terminal, `up-${41 + Number(number)}`);
    terminals.push({ session, ...terminal });
  }
  const page = await desk.ask(`${cluster.portal}/account`);
  const [, csrf] = /name="csrf" value="([0-9a-f]+)"/.exec(page.text);
  const numbers = [...page.text.matchAll(/\/account\/logins\/(\d+)\/end"/g)].map(([, number]) => Number(number));
  const begun = performance.now();
  const headers = { origin: cluster.portal, "content-type": "application/x-www-form-urlencoded" };
  const ended = await desk.ask(`${cluster.portal}/account/logins/${Math.max(...numbers)}/end`, { method: "POST", headers, body: `csrf=${csrf}` });
  assert.equal(ended.status, 303);
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it is still open")), 10_000).unref());
  assert.ok((await Promise.race([terminals[0].closed, late])) - begun < 2_000, "a terminal outlives the login by which it came");
  assert.equal((await phone.ask(`${cluster.portal}/account`)).status, 303, "on to the login");
  terminals[1].send("echo on-$((40+2))\n", 2);
  await shows(terminals[1], "on-42");
  for (const { session } of terminals) session.destroy();
});

test("logging out ends what came by the login, over HTTP/2 too", async () => {
  const session = await connect(port, host.split(":")[0]);
  const socket = await open(session, host, "/ws");
  socket.send("x");
  assert.equal((await socket.next()).toString(), "x");
  const begun = performance.now();
  await browser.logOut();
  assert.ok((await socket.closed) - begun < 2_000);
  session.destroy();
});
