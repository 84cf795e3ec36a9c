// The command line before a server that lies: one that stands before the real one and puts into each text of an answer what would steer a
// terminal, add lines to files, or lead elsewhere.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(95);
// A title, a cleared screen, the clipboard, letters turned around, and lines that are nobody's.
const STEERS = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;b3duZWQ=\x07\x9b31m\u202e\r\nHost *\n  ProxyCommand touch /tmp/docklet-owned\n";
// Whatever a terminal would act on, but for the ends of lines and columns.
const ACTS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
let dir, ada, liar, asked, lie;

const certificate = (path) => spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", `${path}.key`, "-out", `${path}.pem`, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);

// Each text of a value as the lie has it; what names a kind of thing, or a moment, has to stay what it is for the rest to be looked at.
function changed(value, change, key = "") {
  if (Array.isArray(value)) return value.map((one) => changed(one, change, key));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, changed(one, change, name)]));
  return typeof value === "string" ? change(value, key) : value;
}

async function server(path, answer) {
  const server = https.createServer({ key: readFileSync(`${path}.key`), cert: readFileSync(`${path}.pem`) }, answer);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function pass(request, response) {
  asked.push(request.url);
  if (lie.instead?.(request, response)) return;
  const to = new URL(request.url, cluster.portal);
  const options = { method: request.method, headers: { ...request.headers, host: to.host, "accept-encoding": "identity" }, rejectUnauthorized: false };
  const onward = https.request(to, options, (came) => {
    const parts = [];
    came.on("data", (part) => parts.push(part));
    came.on("end", () => {
      const text = Buffer.concat(parts).toString();
      const lied = (line) => {
        try {
          return JSON.stringify(changed(JSON.parse(line), lie.change));
        } catch {
          return line;
        }
      };
      const { "content-length": _, "transfer-encoding": __, ...headers } = came.headers;
      response.writeHead(came.statusCode, headers);
      response.end(/json/.test(came.headers["content-type"] ?? "") ? text.split("\n").map(lied).join("\n") : text);
    });
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
}

// Runs a command against it, without blocking what answers.
function ask(args, { input, env = {} } = {}) {
  const child = spawn(program, args, { env: { ...ada.env, DOCKLET_CONTEXT: `${dir}/liar.toml`, ...env }, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] });
  child.stdin?.end(input);
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].on("data", (data) => (said[name] += data));
  const deadline = setTimeout(() => child.kill("SIGTERM"), 30_000);
  return new Promise((resolve) => child.on("close", (code) => (clearTimeout(deadline), resolve({ code, ...said }))));
}

// All commands that end, and only look, with something for each word that they want; by the program's own help.
function looks() {
  const words = { VCLUSTER: "lab", VNODE: "lab/host-0", "VC|VC/host-N": "lab", AT: "lab/host-0:/root", WHOSE: "lab", GROUP: "course", IMAGE: "busybox", TEMPLATE: "kit", SETTING: "trash", WORKER: "w1", NOTICE: "1", BUG: "1", DRILL: "1", NAME: "lab" };
  const only = ["list", "show", "top", "stats", "status", "moves", "requests", "statement", "queue", "history", "doctor", "explain", "ls", "gpus", "verify", "state", "drain", "loss", "quota", "beans", "rates", "rules", "policy", "autopilot"];
  const found = [];
  const walk = (args) => {
    const { stdout } = spawnSync(program, [...args, "--help"], { encoding: "utf8" });
    const below = /\nCommands:\n([\s\S]*?)\n\n/.exec(stdout)?.[1] ?? "";
    const usage = /Usage: docklet (.*)/.exec(stdout)[1];
    const last = args.at(-1);
    const local = ["dev", "context", "man", "completion", "api"].includes(args[0]) || (args[0] === "worker" && ["doctor", "drain"].includes(last)) || (args[0] === "master" && last === "drain");
    if (args.length && only.includes(last) && !local && !/<COMMAND>/.test(usage)) {
      const wanted = [...usage.matchAll(/ <([^>]+)>/g)].map(([, word]) => words[word]);
      if (wanted.every(Boolean)) found.push([...args, ...wanted]);
    }
    for (const line of below.split("\n")) {
      const name = /^ {2}([a-z][a-z-]*)/.exec(line)?.[1];
      if (name && name !== "help") walk([...args, name]);
    }
  };
  walk([]);
  return found;
}

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-liar-test-");
  ada = cluster.person("ada", dir);
  cluster.run("group", "create", "course");
  cluster.run("group", "add", "course", "ada");
  ada.run("vc", "create", "lab", "--memory-mib", "64", "--wait");
  ada.run("exec", "lab/host-0", "--", "touch", "/root/file");
  certificate(`${dir}/liar`);
  asked = [];
  liar = await server(`${dir}/liar`, pass);
  const token = /token = "([^"]+)"/.exec(readFileSync(`${dir}/ada.toml`, "utf8"))[1];
  const lines = { servers: [`https://127.0.0.1:${liar.address().port}`], ca_pem: readFileSync(`${dir}/liar.pem`, "utf8"), user: "ada", token };
  writeFileSync(`${dir}/liar.toml`, Object.entries(lines).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join(""), { mode: 0o600 });
});
after(() => {
  liar?.closeAllConnections();
  liar?.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("no text of a server's steers the terminal, whatever is looked at", async () => {
  const commands = looks();
  assert.ok(commands.length > 50, `only ${commands.length} commands`);
  const kept = /^(id|.*_ms|at|kind|phase|role|state|status|mark|digest|level|type|[A-Z].*)$/;
  const lies = {
    "in each text": (text) => text + STEERS,
    "in texts for people": (text, key) => (kept.test(key) || /^[A-Z][A-Za-z]+$/.test(text) ? text : text + STEERS),
    "in place of all texts for people": (text, key) => (/^(name|title|text|cause|scope|next|message|description|reason|says|why|detail|real_name|hostname|path|image|label|owner|user|vcluster)$/.test(key) ? STEERS : text),
  };
  let shown = 0;
  for (const [name, change] of Object.entries(lies)) {
    lie = { change };
    for (const command of [...commands, ["vc", "stop", "lab"], ["vc", "start", "lab"]]) {
      const { code, stdout, stderr } = await ask(command);
      const what = `docklet ${command.join(" ")}, ${name}`;
      assert.doesNotMatch(stdout + stderr, ACTS, what);
      assert.doesNotMatch(stderr, /panicked/, what);
      assert.notEqual(code, null, `${what}: it did not end`);
      shown += /owned/.test(stdout) ? 1 : 0;
    }
  }
  assert.ok(shown > 10, `what was put in was shown by ${shown} commands only: the test looks at nothing`);
});

test("data for programs steers no terminal, and says all the same what the server said", async () => {
  const takes = ([...args]) => spawnSync(program, [...args, "--help"], { encoding: "utf8" }).stdout.includes("--format");
  const commands = looks().filter(takes);
  assert.ok(commands.length > 40, `only ${commands.length} commands`);
  const kept = /^(id|.*_ms|at|kind|phase|role|state|status|mark|digest|level|type|[A-Z].*)$/;
  lie = { change: (text, key) => (kept.test(key) || /^[A-Z][A-Za-z]+$/.test(text) ? text : text + STEERS) };
  let whole = 0;
  for (const format of ["json", "yaml", "csv"]) {
    for (const command of commands) {
      const { code, stdout, stderr } = await ask([...command, "--format", format]);
      const what = `docklet ${command.join(" ")} --format ${format}`;
      assert.doesNotMatch(stdout + stderr, ACTS, what);
      assert.notEqual(code, null, `${what}: it did not end`);
      if (format !== "json" || code !== 0) continue;
      whole += JSON.stringify(JSON.parse(stdout)).includes(JSON.stringify(STEERS).slice(1, -1)) ? 1 : 0;
    }
  }
  assert.ok(whole > 5, `${whole} have what was put in: the test looks at nothing`);
});

test("no name of a server's comes to a shell that would read it otherwise", async () => {
  const words = ["vc show", "exec", "explain", "files ls", "files ls lab/host-0:/root/", "cp lab/host-0:/root/", "snapshot list", "vc create other --image", "group show"].map((line) => {
    const typed = line.split(" ");
    return typed.at(-1).includes("/") ? typed : [...typed, ""];
  });
  // What a word could become, without the options that there are as well.
  const completed = async (typed) => {
    const { code, stdout, stderr } = await ask(["--", "docklet", ...typed], { env: { DOCKLET_COMPLETE: "fish" } });
    assert.deepEqual([code, stderr], [0, ""], typed.join(" "));
    return stdout.split("\n").filter((line) => line && !line.startsWith("-"));
  };
  const odd = [STEERS, "\x1b[31m", "\x07", "\x7f", "\x9b2J", "\u202e", "\u200b", "\n", "\r", "\t", " b", "\u00a0b", "\u3000b", "$(id)", "`id`", ";id", "&id", "|id", ">id", "'", '"', "\\", "*", "?", "[a]", "{a,b}", "!a", "=a"];
  for (const typed of words) {
    lie = { change: (text, key) => (key === "name" ? `${text}x` : text) };
    const plain = await until(`a name for ${typed.join(" ")}`, async () => (await completed(typed)).find((word) => /x([/:]|$)/.test(word)));
    assert.match(plain, /^[\w./:-]+$/);
    for (const more of odd) {
      lie = { change: (text, key) => (key === "name" ? text + more : text) };
      assert.deepEqual(await completed(typed), [], `${typed.join(" ")}, ${JSON.stringify(more)}`);
    }
  }
});

test("what ssh is told has the lines that it must have, and no other", async () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVudHJ1c3RlZCBieSBhbnlib2R5IGF0IGFsbCEhISEh";
  const instead = (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "https://localhost");
    if (!pathname.endsWith("/files/content") || request.method !== "GET") return false;
    if (searchParams.get("path").endsWith("authorized_keys")) return false;
    response.writeHead(200, { etag: "\"1\"" }).end(`${key} comment\n@cert-authority * ${key}\n* ${key}\n${STEERS}`);
    return true;
  };
  lie = { change: (text) => text, instead };
  const plain = await ask(["ssh", "lab/host-0", "--config"]);
  assert.doesNotMatch(plain.stdout + plain.stderr, ACTS);
  const lines = plain.stdout.trimEnd().split("\n");
  assert.equal(lines[0], "Host lab.host-0", plain.stderr);
  const names = ["User", "HostKeyAlias", "UserKnownHostsFile", "GlobalKnownHostsFile", "StrictHostKeyChecking", "UpdateHostKeys", "IdentityFile", "IdentitiesOnly", "ProxyCommand"];
  assert.deepEqual(lines.slice(1).map((line) => line.trim().split(" ")[0]), names);
  const known = readFileSync(`${dir}/liar.ssh/known_hosts`, "utf8").trimEnd().split("\n");
  // Each names this vnode and nothing else; what is no key ssh takes for none.
  for (const line of known) assert.match(line, /^docklet-vnode-\d+ \S+ \S+$/);
  lie = { change: (text, key) => (["path", "name", "hostname"].includes(key) ? text + STEERS : text), instead };
  const lied = await ask(["ssh", "lab/host-0", "--config", "--user", "daemon"]);
  assert.doesNotMatch(lied.stdout + lied.stderr, ACTS);
  assert.doesNotMatch(lied.stdout, /^Host \*/m);
});

test("nobody else is told the token, wherever the server sends one", async () => {
  const told = [];
  const elsewhere = await server(`${dir}/liar`, (request, response) => {
    told.push(request.url);
    response.end("{}");
  });
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      lie = { instead: (_, response) => (response.writeHead(status, { location: `https://127.0.0.1:${elsewhere.address().port}/` }).end(), true) };
      for (const command of [["vc", "list"], ["vc", "stop", "lab"], ["exec", "lab/host-0", "--", "true"], ["files", "ls", "lab/host-0:/root"], ["events", "--from", "1"]]) {
        const { code, stderr } = await ask(command);
        assert.notEqual(code, 0, `${command.join(" ")}, ${status}`);
        assert.doesNotMatch(stderr, /panicked/);
      }
    }
    assert.deepEqual(told, []);
  } finally {
    elsewhere.close();
  }
});

test("answers without an end, or that are none, are told and not waited for", async () => {
  const answers = {
    "not JSON": (response) => response.writeHead(200, { "content-type": "application/json" }).end("<html>"),
    "deep JSON": (response) => response.writeHead(200, { "content-type": "application/json" }).end("[".repeat(200_000)),
    "a cut answer": (response) => (response.writeHead(200, { "content-type": "application/json", "content-length": "1000" }), response.write("{"), setTimeout(() => response.destroy(), 50)),
    "a refusal that steers": (response) => response.writeHead(409, { "content-type": "application/json" }).end(JSON.stringify({ code: STEERS, cause: STEERS, scope: STEERS, next: STEERS, message: STEERS, error: STEERS })),
    "a status that is none": (response) => response.writeHead(599).end(STEERS),
  };
  for (const [name, answer] of Object.entries(answers)) {
    lie = { instead: (_, response) => (answer(response), true) };
    const { code, stdout, stderr } = await ask(["vc", "list"]);
    assert.ok(code > 0, `${name}: ${code}`);
    assert.match(stderr, /^docklet: /, name);
    assert.doesNotMatch(stdout + stderr, ACTS, name);
    assert.doesNotMatch(stderr, /panicked/, name);
  }
});
