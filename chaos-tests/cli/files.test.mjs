// Files of vnodes by command and by the interface, on a real cluster: whole or not there, whatever happens on the way; nobody
// else's; and nothing that a server says of names is believed here.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(55);
const LARGE = process.env.FILES_LARGE === "1";
const PART = 16 << 20;
let dir;
let ada, bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-files-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [ada, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  const servers = cluster.masters.flatMap((server) => ["--server", server]);
  ada.run("login", ...servers, "--ca", `${cluster.dir}/ca.pem`, "--user", "ada", "--password-file", `${dir}/ada-password`);
  ada.run("vc", "create", "lab", "--cpu-milli", LARGE ? "2000" : "200", "--memory-mib", "128", "--pids-max", "64", "--disk", LARGE ? "6GiB" : "256MiB", "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const inside = (...argv) => ada.run("exec", "lab/host-0", "--", ...argv);
const shell = (line) => inside("sh", "-c", line);
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

// Bytes that are the same each time and compress badly.
function noise(length, seed) {
  const bytes = Buffer.allocUnsafe(length);
  let word = seed;
  for (let at = 0; at + 4 <= length; at += 4) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(word, at);
  }
  return bytes;
}

// A request as a program makes it.
function ask(token, method, path, { headers = {}, body, master = 0 } = {}) {
  const ca = readFileSync(`${cluster.dir}/ca.pem`);
  return new Promise((resolve, reject) => {
    const request = https.request(`${cluster.masters[master]}/api/v1/vclusters/lab/vnodes/host-0/files${path}`, { method, ca, agent: false, headers: { authorization: `Bearer ${token}`, ...headers } }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

let tokens = 0;
const token = (...scopes) => ada.run("access-token", "create", `t${(tokens += 1)}`, ...scopes.flatMap((scope) => ["--scope", scope])).trim();

test("files and directories go there and back, and are the vnode's own", () => {
  const tree = `${dir}/tree`;
  mkdirSync(`${tree}/sub/empty`, { recursive: true });
  writeFileSync(`${tree}/a`, "one");
  writeFileSync(`${tree}/sub/ä b`, noise(3_000_000, 1));
  writeFileSync(`${tree}/sub/empty-file`, "");
  ada.run("cp", `${tree}/a`, "lab/host-0:");
  assert.equal(shell("cat /root/a; stat -c %u:%g:%a /root/a"), "one0:0:644\n");
  ada.refused(["cp", tree, "lab/host-0:/root"], /say -r/);
  ada.run("cp", "-r", tree, "lab/host-0:/root");
  ada.run("cp", "-r", "lab/host-0:tree", `${dir}/back`);
  assert.equal(spawnSync("diff", ["-r", tree, `${dir}/back`], { encoding: "utf8" }).stdout, "");
  // Links are left out, and that is told.
  symlinkSync("/etc/passwd", `${tree}/link`);
  assert.equal(ada.try(["cp", "-r", tree, "lab/host-0:/root/second"]).code, 4);
  assert.equal(shell("ls /root/second"), "a\nsub\n");
  assert.equal(ada.try(["cp", "-", "lab/host-0:/root/stream"], { input: "typed" }).code, 0);
  assert.equal(ada.run("cp", "lab/host-0:/root/stream", "-"), "typed");

  ada.run("files", "mkdir", "lab/host-0:/root/made");
  ada.refused(["files", "mkdir", "lab/host-0:/root/made"], /is there already/);
  ada.run("files", "mv", "lab/host-0:stream", "/root/made/moved");
  ada.refused(["files", "mv", "lab/host-0:a", "/root/made/moved"], /is there already/);
  ada.refused(["files", "rm", "lab/host-0:made"], /not empty/);
  assert.match(ada.run("files", "ls", "lab/host-0:made"), /^-0644 +0:0 +5 .* moved$/m);
  ada.run("files", "rm", "-r", "lab/host-0:made");
  ada.refused(["files", "ls", "lab/host-0:made"], /no such file/);
  assert.deepEqual(readdirSync(dir).filter((name) => name.startsWith(".docklet")), []);
});

test("others' vnodes look absent, tokens do what their scopes say, and the trail has who did what", async () => {
  for (const args of [["cp", "lab/host-0:/etc/passwd", "-"], ["files", "ls", "lab/host-0:/"], ["files", "rm", "lab/host-0:/root/a"]]) bob.refused(args, /no vcluster "lab"/);
  const [reads, writes, runs] = [token("read-files"), token("write-files"), token("read", "terminals")];
  assert.equal((await ask(reads, "GET", "/content?path=/root/a")).status, 200);
  assert.equal((await ask(reads, "DELETE", "?path=/root/a")).status, 403);
  assert.equal((await ask(reads, "PUT", "/content?path=/root/b", { body: "x" })).status, 403);
  assert.equal((await ask(writes, "PUT", "/content?path=/root/b", { body: "x" })).status, 200);
  assert.equal((await ask(writes, "GET", "/content?path=/root/b")).status, 403);
  assert.equal((await ask(runs, "GET", "/content?path=/root/b")).status, 403);
  assert.equal((await ask(runs, "GET", "?path=/root")).status, 403);

  cluster.run("cp", "1/host-0:/root/a", "-");
  const records = ada.json("audit", "list", "--thing", "ada/lab", "--limit", "200").records;
  const told = records.map(({ who, command, things }) => [who.user?.name, command, ...things.slice(1)].join(" "));
  assert.ok(told.includes("admin ReadFiles file /root/a"), told.join("\n"));
  assert.ok(told.includes("ada WriteFiles file /root/tree/"), told.join("\n"));
  assert.ok(told.includes("ada MoveFiles file /root/stream file /root/made/moved"), told.join("\n"));
  assert.ok(told.includes("ada DeleteFiles file /root/made/"), told.join("\n"));
  assert.ok(!told.some((line) => line.includes("empty-file")), "one record of a whole directory");
});

test("parts of files, marks, and what comes is never a page", async () => {
  const own = token("read-files", "write-files");
  const made = await ask(own, "PUT", "/content?path=/root/page.html", { body: "<script>0123456789</script>" });
  assert.equal(made.status, 200);
  const whole = await ask(own, "GET", "/content?path=/root/page.html");
  assert.equal(whole.headers["content-disposition"], "attachment; filename*=UTF-8''page.html");
  assert.equal(whole.headers["content-type"], "application/octet-stream");
  assert.equal(whole.headers["x-content-type-options"], "nosniff");
  assert.match(whole.headers["content-security-policy"], /sandbox/);
  const part = await ask(own, "GET", "/content?path=/root/page.html", { headers: { range: "bytes=8-17" } });
  assert.deepEqual([part.status, part.headers["content-range"], part.body.toString()], [206, "bytes 8-17/27", "0123456789"]);
  const last = await ask(own, "GET", "/content?path=/root/page.html", { headers: { range: "bytes=-9", "if-range": whole.headers.etag } });
  assert.equal(last.body.toString(), "</script>");
  const stale = await ask(own, "GET", "/content?path=/root/page.html", { headers: { range: "bytes=-9", "if-range": '"other"' } });
  assert.deepEqual([stale.status, stale.body.length], [200, 27]);
  assert.equal((await ask(own, "GET", "/content?path=/root/page.html", { headers: { range: "bytes=99-" } })).status, 416);
  const put = (headers) => ask(own, "PUT", "/content?path=/root/page.html", { body: "new", headers }).then(({ status }) => status);
  assert.equal(await put({}), 409);
  assert.equal(await put({ "if-match": '"other"' }), 412);
  assert.equal(await put({ "if-match": whole.headers.etag }), 200);
  assert.equal(await put({ "if-match": whole.headers.etag }), 412);
  // One form of a path, and no other.
  for (const path of ["/root/../etc/passwd", "/root/%2e%2e/etc/passwd", "//etc/passwd", "/etc/passwd/", "etc/passwd", "/etc/pass%00wd", "/etc/%ff", "/root/./a"]) {
    assert.equal((await ask(own, "GET", `/content?path=${path}`)).status, 422, path);
  }
  for (const path of ["/proc/self/root/etc/passwd", "/proc/self/exe", "/proc/1/root/etc/shadow"]) assert.equal((await ask(own, "GET", `/content?path=${path}`)).status, 403, path);
  assert.equal((await ask(own, "GET", "/content?path=/root/%252e%252e/etc/passwd")).status, 404);
  assert.equal((await ask(own, "GET", "/content?path=/root/a&path=/etc/passwd")).status, 400);
});

test("a directory comes as a zip", async () => {
  const zip = await ask(token("read-files"), "GET", "/zip?path=/root/tree");
  assert.equal(zip.headers["content-disposition"], "attachment; filename*=UTF-8''tree.zip");
  writeFileSync(`${dir}/tree.zip`, zip.body);
  const unpacked = spawnSync("python3", ["-m", "zipfile", "-e", `${dir}/tree.zip`, `${dir}/unpacked`], { encoding: "utf8" });
  assert.equal(unpacked.status, 0, unpacked.stderr);
  assert.equal(spawnSync("diff", ["-r", `${dir}/back`, `${dir}/unpacked`], { encoding: "utf8" }).stdout, "");
});

test("a full disk is told, and nothing of what did not fit stays", { skip: LARGE }, () => {
  writeFileSync(`${dir}/large`, "");
  truncateSync(`${dir}/large`, 300 << 20);
  const { code, stderr } = ada.try(["cp", `${dir}/large`, "lab/host-0:/root/large"]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /is full/);
  assert.equal(shell("ls -A /root | grep -e large -e docklet-upload; true"), "");
});

test("how far the deletion of a directory is is told, and one for which nobody waits ends", { skip: LARGE }, async () => {
  const token = /token = "([^"]+)"/.exec(readFileSync(`${dir}/ada.toml`, "utf8"))[1];
  const make = (name, count) => shell(`mkdir /root/${name} && cd /root/${name} && seq 1 ${count} | xargs touch`);
  const left = () => Number(shell("ls /root/many 2>/dev/null | wc -l"));
  const headers = { accept: "application/x-ndjson" };
  make("some", 3_500);
  const whole = await ask(token, "DELETE", "?path=%2Froot%2Fsome&all=true", { headers });
  assert.equal(whole.headers["content-type"], "application/x-ndjson");
  assert.deepEqual(whole.body.toString(), '{"gone":1000}\n{"gone":2000}\n{"gone":3000}\n{"files":3501}\n');
  const missing = await ask(token, "DELETE", "?path=%2Froot%2Fsome&all=true", { headers });
  assert.equal(missing.status, 404);

  make("many", 30_000);
  const ca = readFileSync(`${cluster.dir}/ca.pem`);
  const first = await new Promise((resolve, reject) => {
    const path = `${cluster.masters[0]}/api/v1/vclusters/lab/vnodes/host-0/files?path=%2Froot%2Fmany&all=true`;
    const request = https.request(path, { method: "DELETE", ca, agent: false, headers: { authorization: `Bearer ${token}`, ...headers } }, (response) => {
      response.once("data", (line) => (request.destroy(), resolve(line.toString())));
    });
    request.on("error", reject);
    request.end();
  });
  assert.match(first, /^\{"gone":\d+\}\n/);
  await until("the end of the deletion", () => shell("cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c lxc-helpe[r]; true").trim() === "0");
  assert.ok(left() > 0, "it went on");
  ada.run("files", "rm", "-r", "lab/host-0:/root/many");
  assert.equal(left(), 0);
});

test("names of a server that mean something else here are left out", () => {
  shell(`mkdir -p /root/hostile && cd /root/hostile && touch fine "$(printf 'a\\033[2Jb')" "$(printf 'line\\nbreak')" "$(printf 'bad\\377')"`);
  const { code, stderr } = ada.try(["cp", "-r", "lab/host-0:/root/hostile", `${dir}/hostile`]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /3 files were left out/);
  assert.ok(!stderr.includes("\x1b"), JSON.stringify(stderr));
  assert.deepEqual(readdirSync(`${dir}/hostile`), ["fine"]);
  assert.ok(!ada.run("files", "ls", "lab/host-0:/root/hostile").includes("\x1b"));
});

test("a server that lies about names writes nothing outside of the directory that was named", async () => {
  const facts = (name, kind, bytes = 4) => ({ name, named: true, kind, bytes, mode: 0o644, uid: 0, gid: 0, changed_ms: 0, mark: "m" });
  const key = `${dir}/liar`;
  spawnSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", `${key}.key`, "-out", `${key}.pem`, "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
  const liar = https.createServer({ key: readFileSync(`${key}.key`), cert: readFileSync(`${key}.pem`) }, (request, response) => {
    const url = new URL(request.url, "https://localhost");
    if (url.pathname.endsWith("/content")) return response.end("evil");
    const entries = ["../evil", "/tmp/docklet-evil", "..", ".", "", "a/../../evil", "\u001b]0;evil\u0007", "ok"].map((name) => facts(name, "file"));
    entries.push(facts("../evil-dir", "directory"), facts("up", "link"));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ path: url.searchParams.get("path") ?? "/root", file: facts("x", "directory"), entries: url.searchParams.get("path") === "/x" ? entries : [], count: 9, more: false }));
  });
  await new Promise((resolve) => liar.listen(0, "127.0.0.1", resolve));
  try {
    const context = `${dir}/liar.toml`;
    const token = /token = "([^"]+)"/.exec(readFileSync(`${dir}/ada.toml`, "utf8"))[1];
    const lines = { servers: [`https://127.0.0.1:${liar.address().port}`], ca_pem: readFileSync(`${key}.pem`, "utf8"), user: "ada", token };
    writeFileSync(context, Object.entries(lines).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`).join(""), { mode: 0o600 });
    mkdirSync(`${dir}/trap/in`, { recursive: true });
    const child = spawn(program, ["cp", "-r", "lab/host-0:/x", `${dir}/trap/in`], { env: { ...ada.env, DOCKLET_CONTEXT: context } });
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    const code = await new Promise((resolve) => child.on("exit", resolve));
    assert.equal(code, 4, stderr);
    assert.deepEqual(readdirSync(`${dir}/trap`), ["in"], stderr);
    assert.deepEqual(readdirSync(`${dir}/trap/in`), ["x"], stderr);
    assert.deepEqual(readdirSync(`${dir}/trap/in/x`), ["ok"], stderr);
    assert.ok(!existsSync("/tmp/docklet-evil"));
  } finally {
    liar.close();
  }
});

// Feeds `docklet cp` piece by piece.
function bringing(target) {
  const child = spawn(program, ["cp", "-", target], { env: ada.env, stdio: ["pipe", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (data) => (stderr += data));
  const code = new Promise((resolve) => child.on("exit", resolve));
  const write = (bytes) => new Promise((resolve) => child.stdin.write(bytes, resolve));
  return { write, end: async () => { child.stdin.end(); assert.equal(await code, 0, stderr); } };
}

test("an upload goes on when the master that serves it, and leads, is killed in its middle", async () => {
  cluster.run("master", "transfer", "m1");
  await until("m1 to lead", () => cluster.leader() === "m1");
  const bytes = noise(4 * PART, 7);
  const upload = bringing("lab/host-0:/root/big");
  await upload.write(bytes.subarray(0, PART + 1_000));
  const there = () => Number(shell("cat /root/.docklet-upload-* 2>/dev/null | wc -c"));
  await until("the first part", () => there() === PART);
  assert.ok(!ada.run("files", "ls", "lab/host-0:/root").includes("big"), "not before it is whole");
  cluster.kill("m1");
  await upload.write(bytes.subarray(PART + 1_000));
  await upload.end();
  assert.equal(shell("sha256sum /root/big").split(" ")[0], hash(bytes));
  assert.equal(shell("ls -A /root | grep docklet-upload; true"), "");
  // And back, from masters of which one is gone.
  ada.run("cp", "lab/host-0:/root/big", `${dir}/big`);
  assert.equal(hash(readFileSync(`${dir}/big`)), hash(bytes));
  cluster.run("dev", "up");
});

test("five gigabytes go there and come back", { skip: !LARGE && "make test-files-large" }, async () => {
  const bytes = noise(64 << 20, 9);
  const whole = createHash("sha256");
  const upload = bringing("lab/host-0:/root/huge");
  const begun = performance.now();
  for (let part = 0; part < 80; part += 1) {
    whole.update(bytes);
    await upload.write(bytes);
  }
  await upload.end();
  const wanted = whole.digest("hex");
  const there = (performance.now() - begun) / 1_000;
  const child = spawn(program, ["cp", "lab/host-0:/root/huge", "-"], { env: ada.env, stdio: ["ignore", "pipe", "inherit"] });
  const got = createHash("sha256");
  let length = 0;
  for await (const chunk of child.stdout) {
    got.update(chunk);
    length += chunk.length;
  }
  const back = (performance.now() - begun) / 1_000 - there;
  console.log(`5 GiB: there in ${there.toFixed(1)} s, back in ${back.toFixed(1)} s`);
  assert.equal(length, 5 * 2 ** 30);
  assert.equal(got.digest("hex"), wanted);
});
