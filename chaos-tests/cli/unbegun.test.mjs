// Sockets on which nothing has begun: with the login they end before anything does, and no endless message is waited for.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(79);
const master = cluster.masters[0];
let ca;

before(() => {
  cluster.up();
  ca = readFileSync(`${cluster.dir}/ca.pem`);
  cluster.run("vc", "create", "lab", "--image", "busybox", "--wait");
});
after(() => cluster.down());

// A request with a token; a WebSocket's answer has its socket.
function ask(path, token, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request(`${master}${path}`, { ca, agent: false, headers: { authorization: `Bearer ${token}`, ...headers } }, (response) => {
      response.resume();
      response.on("end", () => resolve({ status: response.statusCode }));
    });
    request.on("upgrade", (response, socket) => resolve({ status: response.statusCode, socket, accept: response.headers["sec-websocket-accept"] }));
    request.on("error", reject);
    request.end();
  });
}

// A socket for a program that is not named yet.
async function unnamed(token) {
  const key = randomBytes(16).toString("base64");
  const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": key };
  const { status, socket, accept } = await ask("/api/v1/vclusters/lab/vnodes/host-0/exec", token, headers);
  assert.equal(status, 101);
  assert.equal(accept, createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"));
  const held = { over: false, say: (bytes) => socket.write(bytes), name: (argv) => held.say(frame(JSON.stringify({ argv }))) };
  socket.on("close", () => (held.over = true));
  socket.on("end", () => socket.end());
  socket.on("error", () => {});
  socket.resume();
  return held;
}

function frame(text) {
  const [mask, bytes] = [randomBytes(4), Buffer.from(text)];
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length]), mask, bytes.map((byte, at) => byte ^ mask[at % 4])]);
}

const isThere = (file) => cluster.try(["exec", "lab/host-0", "--", "test", "-e", file]).code === 0;

test("a socket on which no program is named yet ends with its login", async () => {
  const token = cluster.run("access-token", "create", "runs", "--scope", "terminals").trim();
  const stays = cluster.run("access-token", "create", "stays", "--scope", "terminals").trim();
  const early = await unnamed(token);
  early.name(["touch", "/early"]);
  await until("what was named in time has run", () => isThere("/early"));
  // Who names nothing is cut off, too, but only after some seconds.
  const silent = await unnamed(stays);
  const late = await unnamed(token);
  cluster.run("access-token", "revoke", "runs");
  await until("the socket is cut", () => late.over);
  assert.ok(!silent.over, "it was cut for its silence");
});

test("a message that would be too long is not waited for", async () => {
  const token = cluster.run("access-token", "create", "floods", "--scope", "terminals").trim();
  // Who names nothing is cut off, too, but only after some seconds.
  const silent = await unnamed(token);
  const held = await unnamed(token);
  // Two MiB are said to come.
  held.say(Buffer.from([0x81, 0x80 | 127, 0, 0, 0, 0, 0, 32, 0, 0, 1, 2, 3, 4]));
  await until("the socket is cut", () => held.over);
  assert.ok(!silent.over, "it was cut for its silence");
  const whole = await unnamed(token);
  whole.name(["touch", "/whole"]);
  await until("a short one is taken", () => isThere("/whole"));
});
