// An OpenID provider that lies, and browsers that do: each lie is refused for what it is, and nobody is let in or made by it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { after, before, beforeEach, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { HostileProvider } from "../hostile_provider.mjs";
import { certificate } from "../mail.mjs";

const cluster = new Cluster(53);
const CALLBACK = "/login/oidc/callback";
let dir, provider, secretFile, authority, ca;

const set = (...more) =>
  cluster.run("oidc", "set", "--label", "Example", "--issuer", provider.issuer, "--client-id", "docklet", "--secret-file", secretFile, "--ca", authority, ...more);

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-hostile-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ca = readFileSync(`${cluster.dir}/ca.pem`);
  const made = certificate(dir, "provider", "localhost");
  authority = made.ca;
  secretFile = `${dir}/secret`;
  writeFileSync(secretFile, "a secret of the client\n");
  provider = new HostileProvider(made);
  await provider.start();
  set("--newcomers", "active", "--domain", "example.org");
});
after(() => {
  provider?.stop();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => provider.reset());

// A request as a browser makes it; answers status, headers and text.
function ask(method, path, { form, cookie, base = cluster.masters[0], origin = base } = {}) {
  const body = form && new URLSearchParams(form).toString();
  const headers = { ...(cookie && { cookie }), ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded", origin, "sec-fetch-site": "same-origin" }) };
  return new Promise((resolve, reject) => {
    const request = https.request(base + path, { method, headers, ca, agent: false }, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

const cookies = ({ headers }) => Object.fromEntries((headers["set-cookie"] ?? []).map((line) => line.split(";")[0].split(/=(.*)/s).slice(0, 2)));

// Begins a login; answers what a browser knows then.
async function begin(form = { next: "" }) {
  const begun = await ask("POST", "/login/oidc", { form });
  const [, address] = begun.text.match(/http-equiv="refresh" content="0;url=([^"]+)"/) ?? assert.fail(begun.text);
  const query = new URL(address.replaceAll("&amp;", "&")).searchParams;
  const held = cookies(begun)["__Host-docklet-oidc"];
  return { query, cookie: `__Host-docklet-oidc=${held}`, line: begun.headers["set-cookie"][0] };
}

// The provider of these tests is told by the code what it has to say.
const codeOf = ({ query }) => `${query.get("nonce")} ${query.get("code_challenge")}`;
function come(begun, answer = {}, options = {}) {
  const query = { code: codeOf(begun), state: begun.query.get("state"), ...answer };
  for (const [name, value] of Object.entries(query)) if (value === undefined) delete query[name];
  return ask("GET", `${CALLBACK}?${new URLSearchParams(query)}`, { cookie: begun.cookie, ...options });
}

const code = ({ text }) => text.match(/data-code="([a-z_]+)"/)?.[1];
const people = () => JSON.stringify(["users", "applications", "sessions"].map((noun) => JSON.parse(cluster.run("state", "--json"))[noun]));

// What is refused lets nobody in, and leaves nothing behind.
async function refused(expected, answer, options) {
  const before = people();
  const got = await come(await begin(), answer, options);
  assert.equal(code(got), expected, got.text);
  assert.ok(got.status >= 400, String(got.status));
  assert.ok(!cookies(got)["__Host-docklet-session"], "nobody is logged in");
  assert.equal(people(), before);
}

test("an honest provider is believed: once, with a challenge that was answered", async () => {
  const begun = await begin({ next: "/images" });
  assert.match(begun.line, /; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/);
  assert.deepEqual([begun.query.get("response_type"), begun.query.get("code_challenge_method"), begun.query.get("scope")], ["code", "S256", "openid profile email"]);
  const got = await come(begun);
  assert.equal(got.status, 200, got.text);
  assert.match(got.text, /0;url=\/images\?after=\d+"/);
  const session = cookies(got)["__Host-docklet-session"];
  const home = await ask("GET", "/", { cookie: `__Host-docklet-session=${session}` });
  assert.match(home.text, /Welcome, eve/);
  const { verifier, challenge } = provider.verifier;
  assert.equal(createHash("sha256").update(verifier).digest("base64url"), challenge);
  assert.match(provider.asked.find(({ pathname }) => pathname === "/token").headers.authorization, /^Basic /);
  const before = people();
  const again = await come(begun);
  assert.equal(code(again), "login_spent");
  assert.equal(people(), before);
});

test("a browser that has not begun this login does not end it", async () => {
  const [one, other] = [await begin(), await begin()];
  const before = people();
  const tries = [
    come(one, { state: undefined }),
    come(one, { state: other.query.get("state") }),
    come(one, { state: "" }),
    come(one, {}, { cookie: other.cookie }),
    come(one, {}, { cookie: "" }),
    come(one, {}, { cookie: `${one.cookie}A` }),
    come(one, {}, { cookie: one.cookie.replace(/.$/, (letter) => (letter === "A" ? "B" : "A")) }),
    come(one, { code: undefined }),
  ];
  for (const got of await Promise.all(tries)) {
    assert.equal(code(got), "oidc_not_begun");
    assert.equal(got.status, 401);
  }
  assert.equal(people(), before);
  const foreign = await ask("POST", "/login/oidc", { form: { next: "" }, origin: "https://evil.example" });
  assert.equal(foreign.status, 403);
});

test("another provider is not taken for this one", async () => {
  await refused("oidc_issuer_mixed_up", { iss: "https://evil.example" });
  await refused("oidc_issuer_mixed_up", { iss: "" });
  provider.claims = { iss: "https://evil.example" };
  await refused("oidc_token_issuer");
  provider.claims = { iss: `${provider.issuer}/` };
  await refused("oidc_token_issuer");
});

test("a token that is not for this cluster and this login is nothing", async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const [claims, expected] of [
    [{ aud: "other" }, "oidc_audience"],
    [{ aud: ["docklet", "other"] }, "oidc_audience"],
    [{ aud: ["docklet", "other"], azp: "other" }, "oidc_audience"],
    [{ nonce: "another" }, "oidc_nonce"],
    [{ nonce: undefined }, "oidc_nonce"],
    [{ exp: now - 3600 }, "oidc_expired"],
    [{ exp: undefined }, "oidc_malformed"],
    [{ exp: String(now + 300) }, "oidc_malformed"],
    [{ sub: undefined }, "oidc_malformed"],
    [{ sub: 7 }, "oidc_malformed"],
    [{ sub: "" }, "malformed"],
  ]) {
    provider.claims = claims;
    await refused(expected);
  }
});

test("what is not signed with a key of the provider is nothing", async () => {
  provider.head = { alg: "none" };
  provider.token = (message) => `${message}.`;
  await refused("oidc_algorithm");
  provider.head = { alg: "HS256" };
  provider.token = (message) => `${message}.${provider.hmac(message)}`;
  await refused("oidc_algorithm");
  provider.head = {};
  provider.token = (message) => `${message}.${provider.sign(message, provider.other)}`;
  await refused("oidc_signature");
  provider.token = (message) => `${message}.`;
  await refused("oidc_signature");
  provider.token = null;
  provider.head = { kid: "k-2" };
  await refused("oidc_key_unknown");
  // A key that comes along in the token's own head is not asked.
  provider.head = { kid: "k-2", jwk: { ...provider.other.publicKey.export({ format: "jwk" }), kid: "k-2" } };
  provider.token = (message) => `${message}.${provider.sign(message, provider.other)}`;
  await refused("oidc_key_unknown");
  provider.head = {};
  provider.token = () => "no token";
  await refused("oidc_malformed");
});

test("a mail address counts only if the provider says in so many words that it is verified, and of whole domains", async () => {
  provider.claims = { sub: "s-new" };
  for (const [claims, expected] of [
    [{ email_verified: "true" }, "oidc_mail_claim"],
    [{ email_verified: 1 }, "oidc_mail_claim"],
    [{ email_verified: [true] }, "oidc_mail_claim"],
    [{ email: ["eve@example.org"] }, "oidc_mail_claim"],
    [{ email_verified: false }, "mail_unverified"],
    [{ email_verified: undefined }, "mail_unverified"],
    [{ email_verified: null }, "mail_unverified"],
    [{ email: "eve@evil-example.org" }, "mail_domain_refused"],
    [{ email: "eve@example.org.evil" }, "mail_domain_refused"],
    [{ email: "eve@sub.example.org" }, "mail_domain_refused"],
    [{ email: "eve@evil@example.org" }, "malformed"],
    [{ email: "eve@evil.example\n@example.org" }, "malformed"],
  ]) {
    provider.claims = { sub: "s-new", ...claims };
    await refused(expected);
  }
  // What it says beside the token is of the same person, or nothing.
  provider.claims = { sub: "s-new", email: undefined };
  provider.beside = { sub: "s-eve", email: "eve@example.org", email_verified: true };
  await refused("oidc_other_subject");
  provider.beside = { sub: "s-new", email: "eve@example.org", email_verified: "true" };
  await refused("oidc_mail_claim");
});

test("nobody comes into an account by its mail address or name", async () => {
  cluster.run("user", "profile", "--mail", "admin@example.org");
  const before = people();
  provider.claims = { sub: "s-thief", email: "admin@example.org", preferred_username: "admin" };
  const got = await come(await begin());
  assert.match(got.text, /Choose what you are called here/);
  assert.ok(!cookies(got)["__Host-docklet-session"]);
  const arrived = `__Host-docklet-newcomer=${cookies(got)["__Host-docklet-newcomer"]}`;
  const named = await ask("POST", "/login/oidc/name", { form: { name: "admin" }, cookie: arrived });
  assert.match(named.text, /is taken, kept for the cluster/);
  assert.equal(people(), before);
  // Nor does a login that was begun say that it is a newcomer.
  const begun = await begin();
  const crossed = await ask("POST", "/login/oidc/name", { form: { name: "judy" }, cookie: begun.cookie.replace("oidc=", "newcomer=") });
  assert.equal(code(crossed), "oidc_not_begun");
});

test("a provider that is slow, endless, elsewhere or no provider holds nothing up", async () => {
  provider.onToken = (response) => provider.held.push(response);
  const slow = performance.now();
  await refused("oidc_slow");
  assert.ok(performance.now() - slow < 15_000);
  provider.onToken = (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.on("error", () => {});
    const pour = (fault) => fault || response.destroyed || response.write("x".repeat(65_536), pour);
    pour();
  };
  await refused("oidc_too_long");
  provider.onToken = (response) => {
    response.writeHead(302, { location: `${cluster.masters[0]}/api/v1/status` });
    response.end();
  };
  await refused("oidc_redirects");
  provider.onToken = (_, json) => json({ error: "invalid_grant" }, 400);
  await refused("oidc_code_refused");
  provider.onToken = (_, json) => json({ error: "server_error" }, 500);
  await refused("oidc_provider_failed");
  provider.onToken = (_, json) => json([]);
  await refused("oidc_malformed");
  await refused("oidc_denied", { code: undefined, error: "access_denied" });
  await refused("oidc_provider_failed", { code: undefined, error: "<script>alert(1)</script>" });
});

test("what a provider offers is looked at before anybody is sent there", async () => {
  const tried = async (expected) => {
    // Another label, so that what it offers is asked for anew.
    cluster.run("oidc", "set", "--label", `Try ${performance.now().toFixed()}`, "--issuer", provider.issuer, "--client-id", "docklet", "--keep-secret", "--ca", authority);
    const got = await ask("POST", "/login/oidc", { form: { next: "" } });
    assert.equal(code(got), expected, got.text);
    assert.ok(!got.headers["set-cookie"]);
  };
  provider.discovery = { issuer: "https://evil.example" };
  await tried("oidc_issuer_unlike");
  provider.discovery = { token_endpoint: provider.issuer.replace("https", "http") };
  await tried("oidc_malformed");
  provider.discovery = { authorization_endpoint: "javascript:alert(1)" };
  await tried("oidc_malformed");
  provider.discovery = { jwks_uri: undefined };
  await tried("oidc_malformed");
  provider.discovery = { authorization_response_iss_parameter_supported: true };
  set("--newcomers", "refused");
  await refused("oidc_issuer_mixed_up");
  provider.reset();
  cluster.run("oidc", "set", "--label", "Untrusted", "--issuer", provider.issuer, "--client-id", "docklet", "--keep-secret");
  const got = await ask("POST", "/login/oidc", { form: { next: "" } });
  assert.equal(code(got), "oidc_unreachable", "its authority is not one that the machine trusts");
});

test("newcomers are sent away where an admin wants that; without a provider there is no way in", async () => {
  set("--newcomers", "refused");
  provider.claims = { sub: "s-nobody", preferred_username: "nobody-yet" };
  await refused("newcomers_refused");
  const begun = await begin();
  cluster.run("oidc", "off");
  assert.equal(code(await come(begun)), "no_oidc_provider");
  const login = await ask("GET", "/login");
  assert.doesNotMatch(login.text, /Sign in with/);
  assert.equal(code(await ask("POST", "/login/oidc", { form: { next: "" } })), "no_oidc_provider");
  cluster.refused(["oidc", "set", "--label", "x", "--issuer", "http://id.example.org", "--client-id", "docklet", "--no-secret"], /not of the form https:\/\/host/);
});

test("where one goes on after a login is a page of this site", async () => {
  const password = cluster.password();
  for (const next of ["//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "https://evil.example", "javascript:alert(1)", "/login"]) {
    const got = await ask("POST", "/login", { form: { user: "admin", password, next } });
    assert.equal(got.status, 303, next);
    assert.match(got.headers.location, /^\/\?after=\d+$/, next);
  }
  const got = await ask("POST", "/login", { form: { user: "admin", password, next: "/images?x=1" } });
  assert.match(got.headers.location, /^\/images\?x=1&after=\d+$/);
  const lost = await ask("GET", "/images?x=1");
  assert.equal(lost.headers.location, "/login?next=%2Fimages%3Fx%3D1");
});
