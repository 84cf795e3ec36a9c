// An OpenID provider that lies: over TLS, with keys of its own, and each answer as a test wants it.

import { createHmac, createSign, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";

const part = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export class HostileProvider {
  constructor({ pem, key }, host = "localhost") {
    this.host = host;
    this.pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.other = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.server = https.createServer({ cert: readFileSync(pem), key: readFileSync(key) }, (request, response) => this.answer(request, response));
    this.held = [];
    this.reset();
  }

  async start() {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.issuer = `https://${this.host}:${this.server.address().port}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  // An honest one, until a test says otherwise.
  reset() {
    Object.assign(this, { claims: {}, head: {}, token: null, discovery: {}, beside: null, onToken: null, onKeys: null, asked: [] });
    this.held.splice(0).forEach((response) => response.destroy());
  }

  jwk() {
    return { ...this.pair.publicKey.export({ format: "jwk" }), kid: "k-1", use: "sig", alg: "RS256" };
  }

  // What the cluster is told of somebody.
  idToken(nonce) {
    const now = Math.floor(Date.now() / 1000);
    const claims = { iss: this.issuer, sub: "s-eve", aud: "docklet", nonce, iat: now, exp: now + 300, email: "eve@example.org", email_verified: true, preferred_username: "eve", ...this.claims };
    for (const [name, value] of Object.entries(claims)) if (value === undefined) delete claims[name];
    const head = { alg: "RS256", kid: "k-1", ...this.head };
    const message = `${part(head)}.${part(claims)}`;
    if (this.token) return this.token(message);
    return `${message}.${this.sign(message, this.pair)}`;
  }

  sign(message, { privateKey }) {
    return createSign("RSA-SHA256").update(message).sign(privateKey).toString("base64url");
  }

  // Signed with the public key as if it were a secret: what a verifier does that asks the token how to check it.
  hmac(message) {
    const pem = this.pair.publicKey.export({ format: "pem", type: "spki" });
    return createHmac("sha256", pem).update(message).digest("base64url");
  }

  async answer(request, response) {
    const { pathname } = new URL(request.url, this.issuer);
    let body = "";
    for await (const chunk of request) body += chunk;
    this.asked.push({ pathname, body, headers: request.headers });
    const json = (value, status = 200) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(value));
    };
    if (pathname === "/.well-known/openid-configuration") {
      const at = (rest) => this.issuer + rest;
      return json({ issuer: this.issuer, authorization_endpoint: at("/authorize"), token_endpoint: at("/token"), jwks_uri: at("/keys"), userinfo_endpoint: at("/userinfo"), ...this.discovery });
    }
    if (pathname === "/keys") return this.onKeys ? this.onKeys(response, json) : json({ keys: [this.jwk()] });
    if (pathname === "/userinfo") return json(this.beside ?? { sub: "s-eve" });
    if (pathname === "/token") {
      if (this.onToken) return this.onToken(response, json);
      const form = new URLSearchParams(body);
      const [nonce, challenge] = form.get("code").split(" ");
      this.verifier = { verifier: form.get("code_verifier"), challenge };
      return json({ access_token: "a", token_type: "Bearer", id_token: this.idToken(nonce) });
    }
    return json({}, 404);
  }
}
