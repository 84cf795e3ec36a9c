// Public certificates: given in files, the cluster's own, and by ACME from Debian's pebble.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(64);
const NAME = "cloud.example.org";
const PORT = 8443 + 640;
const ACME = { port: 14264, door: 14265, management: 15264, dns: 18264 };
let dir;
const servers = {};

const openssl = (...args) => execFileSync("openssl", args, { cwd: dir, stdio: "pipe", encoding: "utf8" });

// An authority of the test's own, and a certificate of it.
function issue(file, days = 30) {
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${file}.key`, "-out", `${file}.csr`, "-subj", `/CN=${NAME}`);
  writeFileSync(`${dir}/ext`, `subjectAltName=DNS:${NAME},DNS:localhost\nextendedKeyUsage=serverAuth\n`);
  openssl("x509", "-req", "-in", `${file}.csr`, "-CA", "world.pem", "-CAkey", "world.key", "-CAcreateserial", "-days", String(days), "-extfile", "ext", "-out", `${file}.pem`);
}

// What a master shows for this name; each has a port of its own. Nothing while it does not listen.
function shown(port, servername) {
  return new Promise((resolve) => {
    const socket = tls.connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false }, () => {
      const certificate = socket.getPeerX509Certificate();
      socket.destroy();
      resolve(certificate);
    });
    socket.on("error", () => resolve(null));
    socket.setTimeout(5000, () => socket.destroy(new Error("no handshake")));
  });
}

async function ofAll(name = NAME) {
  const all = () => Promise.all([1, 2, 3].map((n) => shown(PORT + n, name)));
  return until("all masters to listen", async () => {
    const seen = await all();
    return seen.every(Boolean) && seen;
  });
}
const same = (certificates) => new Set(certificates.map((it) => it.fingerprint256)).size === 1;

async function listens(port) {
  await until(`port ${port} to listen`, () => new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(socket.destroy()));
    socket.on("error", () => resolve(false));
  }));
}

function start(name, program, args, env = {}) {
  const child = spawn(program, args, { cwd: dir, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  child.log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (child.log += data));
  servers[name] = child;
  return child;
}

async function stop(name) {
  const child = servers[name];
  delete servers[name];
  if (!child || child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

// A real authority, which calls so many of a hundred numbers stale.
async function pebble({ seconds = 90 * 24 * 3600, stale = 50, accounts } = {}) {
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${ACME.port}`,
      managementListenAddress: `127.0.0.1:${ACME.management}`,
      certificate: `${dir}/acme.pem`,
      privateKey: `${dir}/acme.key`,
      httpPort: 5002,
      tlsPort: PORT,
      ocspResponderURL: "",
      externalAccountBindingRequired: Boolean(accounts),
      ...(accounts && { externalAccountMACKeys: accounts }),
      certificateValidityPeriod: seconds,
    },
  };
  writeFileSync(`${dir}/pebble.json`, JSON.stringify(config));
  const env = { PEBBLE_WFE_NONCEREJECT: String(stale), PEBBLE_VA_NOSLEEP: "1", PEBBLE_AUTHZREUSE: "0" };
  start("pebble", "pebble", ["-config", "pebble.json", "-strict", "-dnsserver", `127.0.0.1:${ACME.dns}`], env);
  await listens(ACME.port);
}

const set = (...more) => setAt(ACME.port, ...more);
const setAt = (port, ...more) => ["tls", "acme", "set", "--directory", `https://localhost:${port}/dir`, "--domain", NAME, "--contact", "mailto:ops@example.org", "--ca", `${dir}/world.pem`, ...more];
const view = () => cluster.json("tls", "show");
// A certificate by ACME; if none comes, what both sides say of it.
async function certified(unlike = "") {
  const other = () => {
    const found = byAcme();
    return found && found.fingerprint !== unlike && found;
  };
  return until("a certificate", other, 90_000).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(view().acme)}\n${servers.pebble.log}\n${cluster.logs()}`);
  });
}
const byAcme = () => view().certificates.find(({ source }) => source === "acme");
const issued = () => (servers.pebble.log.match(/Issued certificate serial/g) ?? []).length;

before(async () => {
  dir = mkdtempSync("/var/tmp/docklet-tls-test-");
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "world.key", "-out", "world.pem", "-days", "30", "-subj", "/CN=World");
  issue("acme");
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  start("dns", "pebble-challtestsrv", ["-dns01", `127.0.0.1:${ACME.dns}`, "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", `127.0.0.1:${ACME.dns + 1}`, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]);
  await listens(ACME.dns + 1);
});
after(async () => {
  await stop("pebble");
  await stop("dns");
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("what admins alone see: which certificates are in use, and for how long", () => {
  const seen = view();
  assert.deepEqual(seen.certificates.map(({ source, ended }) => [source, ended]), [["own", false]]);
  assert.equal(seen.acme, null);
  assert.match(cluster.run("tls", "show"), /of the cluster's own authority/);
  cluster.person("ada", dir).refused(["tls", "show"], /needs the role admin/);
});

test("a given certificate is judged at the start, taken over as its files change, and unfit ones never", async () => {
  const files = [`${dir}/tls.pem`, `${dir}/tls.key`];
  issue("first");
  issue("second");
  const put = (name) => ["pem", "key"].forEach((kind) => {
    copyFileSync(`${dir}/${name}.${kind}`, `${dir}/next`);
    chmodSync(`${dir}/next`, 0o600);
    renameSync(`${dir}/next`, `${dir}/tls.${kind}`);
  });
  put("first");
  const fingerprint = (name) => new X509Certificate(readFileSync(`${dir}/${name}.pem`)).fingerprint256;
  const config = `${cluster.dir}/m2/master.toml`;
  const before = readFileSync(config, "utf8");
  // A key that everybody can read, and a key of another certificate: the master does not start, and says why.
  writeFileSync(config, `public_certificate = "${files[0]}"\npublic_key = "${files[1]}"\n${before}`);
  const run = () => cluster.try(["master", "run", "--dir", `${cluster.dir}/m2`], { timeout: 20_000 });
  cluster.kill("m2");
  chmodSync(files[1], 0o644);
  const open = run();
  assert.notEqual(open.code, 0);
  assert.match(open.stderr, /everybody on this machine can read the key/);
  put("first");
  copyFileSync(`${dir}/second.key`, files[1]);
  assert.match(run().stderr, /is not that of the first certificate/);
  put("first");
  cluster.run("dev", "up");
  await until("the given certificate", async () => (await shown(PORT + 2, NAME))?.fingerprint256 === fingerprint("first"));
  assert.notEqual((await shown(PORT + 2, ""))?.fingerprint256, fingerprint("first"), "by address: the cluster's own");
  writeFileSync(files[0], "nothing");
  await until("the fault to be told", () => cluster.logs().includes("the old public certificate stays in use"));
  assert.equal((await shown(PORT + 2, NAME))?.fingerprint256, fingerprint("first"));
  put("second");
  await until("the second certificate", async () => (await shown(PORT + 2, NAME))?.fingerprint256 === fingerprint("second"));
  writeFileSync(config, before);
  cluster.kill("m2");
  cluster.run("dev", "up");
  await until("the own certificate", async () => /Docklet/.test((await shown(PORT + 2, NAME))?.issuer));
});

test("settings are refused with the reason", () => {
  const refused = (args, why) => {
    const { code, stderr } = cluster.try(args);
    assert.notEqual(code, 0);
    assert.match(stderr, why);
  };
  refused(set(), /terms of service .*--agree-terms/);
  refused([...set("--agree-terms"), "--domain", "*.example.org"], /a star has to be proved by DNS/);
  refused(["tls", "acme", "renew"], /tls acme/);
});

test("an authority that is down leaves what is in use, and is asked again", async () => {
  cluster.run(...set("--agree-terms"));
  const failure = await until("the failure", () => view().acme.failure);
  assert.equal(failure.tries, 1);
  assert.ok(failure.next_at > failure.at);
  assert.match(cluster.run("tls", "show"), /last failure .*try 1/);
  assert.deepEqual(view().certificates.map(({ source }) => source), ["own"]);
});

test("the first certificate is one, and all masters use it; numbers that are called stale are no matter", async () => {
  await pebble();
  cluster.run("tls", "acme", "renew");
  await certified();
  const all = await until("all masters to use it", async () => {
    const all = await ofAll();
    return same(all) && /Pebble/.test(all[0].issuer) && all;
  });
  assert.match(all[0].subjectAltName, new RegExp(NAME));
  assert.ok(!same([...(await ofAll("")), all[0]]), "by address: the cluster's own");
  assert.equal(issued(), 1);
  assert.equal(view().acme.failure, null);
});

test("the leader dies between order and certificate: one in the end, ordered on by whoever leads next", async () => {
  await stop("pebble");
  await pebble({ stale: 0 });
  const [before] = await ofAll();
  const old = byAcme().fingerprint;
  // The authority looks whether the name leads here, and hears nothing of it before the leader is dead: no connection of its
  // was to that one.
  const authority = servers.pebble;
  servers.dns.kill("SIGSTOP");
  const leader = cluster.leader();
  const looks = new Promise((resolve) => authority.stdout.on("data", () => /Pulled a task/.test(authority.log) && resolve()));
  // It has forgotten the account with everything else.
  cluster.run("tls", "acme", "off");
  cluster.run(...set("--agree-terms"));
  await looks;
  cluster.kill(leader);
  servers.dns.kill("SIGCONT");
  // The master that answers may use the old one a moment longer.
  await certified(old);
  assert.equal(issued(), 1, authority.log);
  assert.equal((authority.log.match(/Added order/g) ?? []).length, 1, `it went on with the same order: ${authority.log}\n${cluster.logs()}`);
  cluster.run("dev", "up");
  const all = await until("all masters to use it", async () => {
    const all = await ofAll();
    return same(all) && /Pebble/.test(all[0].issuer) && all;
  });
  assert.notEqual(all[0].fingerprint256, before.fingerprint256);
});

test("it is renewed before it ends; off, and the cluster's own is shown again", async () => {
  await stop("pebble");
  await pebble({ seconds: 45, stale: 5 });
  cluster.run("tls", "acme", "off");
  await until("the own certificate", async () => (await ofAll()).every(({ issuer }) => /Docklet/.test(issuer)));
  cluster.run(...set("--agree-terms"));
  const first = await certified();
  const next = await certified(first.fingerprint);
  assert.ok(next.from < first.until, "before the first ended");
  cluster.run("tls", "acme", "off");
  await until("the own certificate", async () => (await ofAll()).every(({ issuer }) => /Docklet/.test(issuer)));
});

test("an authority that wants an account that is there already gets its key, and nobody is shown it", async () => {
  const keys = { one: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W", other: "b10lLJs8l1GPIzsLP0s6pMt8O0XVGnfTaCeROxQM0BIt2XrJMDHJZBM5NuQmQJQH" };
  for (const [name, key] of Object.entries(keys)) writeFileSync(`${dir}/${name}.eab`, `${key}\n`, { mode: 0o600 });
  await stop("pebble");
  await pebble({ stale: 0, accounts: { "kid-1": keys.one } });
  const failed = async (why, ...more) => {
    cluster.run(...set("--agree-terms", ...more));
    const { cause } = await until("the failure", () => view().acme?.failure);
    assert.match(cause, why);
    cluster.run("tls", "acme", "off");
  };
  await failed(/externalAccountRequired/);
  await failed(/unauthorized/, "--eab-kid", "kid-1", "--eab-key-file", `${dir}/other.eab`);
  await failed(/unauthorized/, "--eab-kid", "kid-2", "--eab-key-file", `${dir}/one.eab`);
  cluster.run(...set("--agree-terms", "--eab-kid", "kid-1", "--eab-key-file", `${dir}/one.eab`));
  await certified();
  const told = [...["tls show", "state", "audit list"].map((words) => cluster.run(...words.split(" "), "--format", "json")), cluster.logs()];
  for (const [place, text] of told.entries()) for (const key of Object.values(keys)) assert.ok(!text.includes(key.slice(0, 20)), `${place} tells the key`);
  cluster.run("tls", "acme", "off");
});

// Longer than the pause after a first failure.
const RETRY_AFTER_S = 90;

// The same authority behind a door that lets nobody order while `limited`, and notes who came when.
async function door(came) {
  const tellers = { key: readFileSync(`${dir}/acme.key`), cert: readFileSync(`${dir}/acme.pem`) };
  const server = https.createServer(tellers, (request, response) => {
    came.at.push([Date.now(), request.method, request.url]);
    if (came.limited && request.method === "POST" && request.url.startsWith("/order-plz")) {
      request.resume();
      response.writeHead(429, { "content-type": "application/problem+json", "retry-after": String(came.limited), "replay-nonce": "none" });
      return response.end(JSON.stringify({ type: "urn:ietf:params:acme:error:rateLimited", detail: "too many certificates already issued", status: 429 }));
    }
    const on = https.request({ host: "127.0.0.1", port: ACME.port, method: request.method, path: request.url, headers: request.headers, rejectUnauthorized: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    on.on("error", () => response.destroy());
    request.pipe(on);
  });
  await new Promise((resolve) => server.listen(ACME.door, "127.0.0.1", resolve));
  return server;
}

test("an authority that has had enough is left alone for as long as it says", async () => {
  await stop("pebble");
  await pebble({ stale: 0 });
  const came = { limited: RETRY_AFTER_S, at: [] };
  const server = await door(came);
  try {
    cluster.run(...setAt(ACME.door, "--agree-terms"));
    const failure = await until("the failure", () => view().acme.failure);
    assert.match(failure.cause, /too many certificates already issued/);
    assert.equal(failure.next_at - failure.at, RETRY_AFTER_S * 1_000, "as long as it said, which is longer than usual");
    came.limited = 0;
    const told = Date.now();
    cluster.run("tls", "acme", "renew");
    await certified();
    const before = came.at.filter(([at]) => at > failure.at && at < told);
    assert.deepEqual(before, [], "it came before anybody said so");
    assert.equal(view().acme.failure, null);
  } finally {
    server.closeAllConnections();
    server.close();
    cluster.run("tls", "acme", "off");
  }
});
