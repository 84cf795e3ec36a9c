// What tests of the proxy share: requests as browsers send them, through one address, to hosts that only this machine knows.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import tls from "node:tls";

// A browser that keeps cookies by host, follows nothing by itself, and trusts the cluster's authority.
export class Browser {
  constructor(cluster) {
    this.cluster = cluster;
    this.ca = readFileSync(`${cluster.dir}/ca.pem`);
    this.port = 8447 + 10 * cluster.instance;
    this.jars = new Map();
  }

  authority(service) {
    return `s${service}.apps.localhost:${this.port}`;
  }

  cookies(host) {
    return [...(this.jars.get(host) ?? new Map())].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  // One request; `stream` answers the response itself.
  ask(url, { method = "GET", headers = {}, body, stream = false, upgrade = false } = {}) {
    const { host, hostname, port, pathname, search } = new URL(url);
    const cookie = this.cookies(host);
    const options = {
      host: "127.0.0.1",
      port,
      servername: /^[\d.]+$/.test(hostname) ? "" : hostname,
      path: pathname + search,
      method,
      ca: this.ca,
      agent: false,
      headers: { host, accept: "text/html", ...(cookie && { cookie }), ...headers },
    };
    return new Promise((resolve, reject) => {
      const request = https.request(options, (response) => {
        this.keep(host, response.headers["set-cookie"]);
        if (stream) return resolve(response);
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(parts).toString() }));
      });
      request.on("error", reject);
      if (upgrade) request.on("upgrade", (response, socket, head) => resolve({ status: 101, headers: response.headers, socket, head }));
      if (body?.pipe) body.pipe(request);
      else request.end(body);
    });
  }

  keep(host, lines = []) {
    const jar = this.jars.get(host) ?? new Map();
    this.jars.set(host, jar);
    for (const line of lines) {
      const [, name, value] = /^([^=]*)=([^;]*)/.exec(line);
      if (/Max-Age=0/.test(line)) jar.delete(name);
      else jar.set(name, value);
    }
  }

  async logIn(user, password) {
    const headers = { origin: this.cluster.portal, "content-type": "application/x-www-form-urlencoded" };
    const body = new URLSearchParams({ user, password }).toString();
    const { status } = await this.ask(`${this.cluster.portal}/login`, { method: "POST", headers, body });
    assert.equal(status, 303, `${user} is not logged in`);
  }

  async logOut() {
    const page = await this.ask(`${this.cluster.portal}/`);
    const [, csrf] = /name="csrf" value="([0-9a-f]+)"/.exec(page.text);
    const headers = { origin: this.cluster.portal, "content-type": "application/x-www-form-urlencoded" };
    return this.ask(`${this.cluster.portal}/logout`, { method: "POST", headers, body: `csrf=${csrf}` });
  }

  // From the service to the portal and back with a ticket: the steps that a browser goes, each answered.
  async wayIn(service, path = "/") {
    const begun = await this.ask(`https://${this.authority(service)}${path}`);
    assert.equal(begun.status, 303, begun.text);
    const opened = await this.ask(begun.headers.location);
    return { begun, opened };
  }

  async enter(service, path = "/") {
    const { opened } = await this.wayIn(service, path);
    assert.equal(opened.status, 303, opened.text);
    const entered = await this.ask(opened.headers.location);
    assert.equal(entered.status, 303, entered.text);
    return entered;
  }

  get(service, path, options) {
    return this.ask(`https://${this.authority(service)}${path}`, options);
  }

  // A WebSocket to a service, as far as the handshake.
  async socket(service, origin = `https://${this.authority(service)}`) {
    const headers = {
      accept: "*/*", connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"), ...(origin !== undefined && origin !== null && { origin }),
    };
    const answer = await this.get(service, "/ws", { headers, upgrade: true });
    return answer.status === 101 ? { ...answer, ...framed(answer.socket, headers["sec-websocket-key"], answer.headers) } : answer;
  }

  // Bytes as they are, to a service; answers what comes until the other side ends.
  raw(service, bytes, timeoutMs = 3_000) {
    const servername = this.authority(service).split(":")[0];
    return new Promise((resolve, reject) => {
      const socket = tls.connect({ host: "127.0.0.1", port: this.port, servername, ca: this.ca, ALPNProtocols: ["http/1.1"] }, () => socket.write(bytes));
      const parts = [];
      const done = () => (socket.destroy(), resolve(Buffer.concat(parts).toString("latin1")));
      socket.setTimeout(timeoutMs, done);
      socket.on("data", (part) => parts.push(part));
      socket.on("end", done);
      socket.on("error", (error) => (parts.length ? done() : reject(error)));
    });
  }
}

// Frames of text over a socket, one at a time.
function framed(socket, key, headers) {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  assert.equal(headers["sec-websocket-accept"], accept);
  const closed = new Promise((resolve) => socket.on("close", () => resolve(performance.now())));
  socket.on("error", () => {});
  const echo = (text) => {
    const [mask, data] = [randomBytes(4), Buffer.from(text)];
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | data.length]), mask, data.map((byte, at) => byte ^ mask[at % 4])]));
    return new Promise((resolve) => socket.once("data", (frame) => resolve(frame.subarray(2).toString())));
  };
  return { closed, echo };
}
