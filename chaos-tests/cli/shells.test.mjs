// The command line as shells and programs have it: words completed by the running cluster in real shells, output in each form,
// lists that follow the stream of changes, and exit codes by what went wrong.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(72);
let dir, ada;

before(() => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-shells-test-");
  ada = cluster.person("ada", dir);
  cluster.run("vc", "create", "forest", "--wait");
  cluster.run("group", "create", "owls");
});
after(() => {
  cluster.down();
  if (dir) rmSync(dir, { recursive: true, force: true });
});

// What words could become, as a shell's script asks it.
function completed(words, { env = {}, who = cluster, shell = "fish", cwd } = {}) {
  const begun = performance.now();
  const ran = spawnSync(program, ["--", "docklet", ...words], { encoding: "utf8", env: { ...who.env, DOCKLET_COMPLETE: shell, ...env }, cwd, timeout: 10_000 });
  assert.equal(ran.status, 0, ran.stderr);
  assert.equal(ran.stderr, "");
  const names = ran.stdout.split("\n").map((line) => line.split("\t")[0]).filter((name) => name && !name.startsWith("-"));
  return { names, ms: performance.now() - begun };
}

test("names come from the cluster, as far as who asks may see them", () => {
  const names = (...words) => completed(words).names;
  assert.deepEqual(names("vc", "show", ""), ["forest"]);
  assert.deepEqual(names("vc", "show", "x"), []);
  assert.deepEqual(names("exec", ""), ["forest/host-0"]);
  assert.deepEqual(names("explain", "f"), ["forest", "forest/host-0"]);
  assert.deepEqual(names("vc", "move", "forest/host-0", "--to", ""), ["w1", "w2"]);
  assert.deepEqual(names("worker", "cordon", ""), ["w1", "w2"]);
  assert.deepEqual(names("group", "add", ""), ["owls"]);
  assert.deepEqual(names("group", "add", "owls", "a"), ["ada", "admin"]);
  assert.deepEqual(names("vc", "create", "meadow", "--image", ""), ["busybox"]);
  assert.deepEqual(names("master", "drain", ""), ["m1", "m2", "m3"]);
  assert.deepEqual(names("user", "lock", "ad"), ["ada", "admin"]);
  assert.ok(names("setting", "undo", "").includes("trash"));
  assert.deepEqual(names("trash", "restore", ""), []);
  assert.deepEqual(names("user", "create", ""), []);
  assert.deepEqual(completed(["vc", "show", ""], { who: ada }).names, []);
  assert.deepEqual(completed(["worker", "cordon", ""], { who: ada }).names, []);
});

test("snapshots, and files of vnodes, come from the cluster, too", () => {
  const names = (...words) => completed(words).names;
  cluster.run("snapshot", "create", "forest/host-0@friday");
  assert.deepEqual(names("snapshot", "restore", ""), ["forest/host-0@friday", "forest@friday"]);
  assert.deepEqual(names("snapshot", "delete", "forest@f"), ["forest@friday"]);
  assert.deepEqual(names("snapshot", "delete", "meadow@"), []);
  assert.deepEqual(names("snapshot", "list", "f"), ["forest", "forest/host-0"]);
  assert.deepEqual(names("snapshot", "create", ""), []);
  assert.deepEqual(names("vc", "create", "copy", "--from", "forest"), ["forest/host-0@friday"]);
  assert.deepEqual(completed(["snapshot", "restore", ""], { who: ada }).names, []);

  const odd = ["$(touch ran)", "a b", "'q", "`id`", "x;y", "e\x1b[31m", "\u202eturned"];
  cluster.run("exec", "forest/host-0", "--", "sh", "-c", 'mkdir -p /srv/there/deep; cd /srv/there; touch fine größe "$@"', "sh", ...odd);
  cluster.run("exec", "forest/host-0", "--", "ln", "-s", "/srv/there", "/srv/link");
  assert.deepEqual(names("files", "ls", ""), ["forest/host-0:"]);
  assert.deepEqual(names("files", "ls", "forest/host-0:/srv/"), ["forest/host-0:/srv/link/", "forest/host-0:/srv/there/"]);
  assert.deepEqual(names("files", "rm", "forest/host-0:/srv/there/"), ["deep/", "fine", "größe"].map((name) => `forest/host-0:/srv/there/${name}`));
  assert.deepEqual(names("cp", "forest/host-0:/srv/link/f"), ["forest/host-0:/srv/link/fine"]);
  assert.deepEqual(names("cp", "here", "forest/host-0:/srv/t"), ["forest/host-0:/srv/there/"]);
  assert.deepEqual(names("cp", "forest/host-0:/nothing/"), []);
  assert.deepEqual(names("cp", "forest/host-0:/etc/hostname/"), []);
  writeFileSync(`${dir}/forward`, "");
  assert.deepEqual(completed(["cp", "f"], { cwd: dir }).names, ["forest/host-0:", "forward"]);
  assert.deepEqual(completed(["cp", "forest/host-0:/"], { who: ada }).names, []);
});

test("where nobody answers there are no names, at once and without a word", () => {
  const lost = `${dir}/lost.toml`;
  // An address of documents, to which no packet finds a way back, and one at which nobody listens.
  writeFileSync(lost, 'servers = ["https://192.0.2.1:1", "https://127.0.0.1:1"]\nuser = "ada"\ntoken = "t"\n');
  const { names, ms } = completed(["vc", "show", ""], { env: { DOCKLET_CONTEXT: lost } });
  assert.deepEqual(names, []);
  assert.ok(ms < 6_000, `${ms} ms`);
  assert.deepEqual(completed(["vc", "show", ""], { env: { DOCKLET_CONTEXT: `${dir}/none.toml` } }).names, []);
  // What needs no cluster is there all the same.
  assert.deepEqual(completed(["vc", "sc"], { env: { DOCKLET_CONTEXT: lost } }).names, ["scale"]);
});

// Types into a shell that has a terminal, with the tabulator in place of what is left out.
async function typed(shell, args, prepare, line) {
  const env = { ...cluster.env, PATH: `${path.dirname(program)}:${process.env.PATH}`, TERM: "xterm", HOME: dir, ZDOTDIR: dir };
  const child = spawn("script", ["-qec", [shell, ...args].join(" "), "/dev/null"], { env, cwd: dir });
  let seen = "";
  child.stdout.on("data", (data) => (seen += data));
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const shows = (pattern, from = 0) => until(`${pattern} in ${JSON.stringify(seen.slice(-400))}`, () => pattern.test(seen.slice(from)));
  try {
    // The shell puts the marks together, so that they are not seen where they are typed.
    child.stdin.write(`${prepare}; echo be""gun\n`);
    await shows(/begun/);
    const from = seen.length;
    child.stdin.write(`${line}--format json > out.json; echo do""ne\n`);
    await shows(/done/, from);
  } finally {
    child.stdin.end("exit\n");
    child.kill();
    await ended;
  }
}

const SHELLS = [
  ["bash", ["--norc", "--noprofile", "-i"], "source <(docklet completion bash)"],
  ["zsh", ["-f", "-i"], "autoload -Uz compinit; compinit -u; source <(docklet completion zsh)"],
  ["fish", ["--no-config", "-i"], "docklet completion fish | source"],
];
for (const [shell, args, prepare] of SHELLS) {
  test(`${shell} completes a name`, { skip: existsSync(`/usr/bin/${shell}`) ? false : `${shell} is not installed` }, async () => {
    await typed(shell, args, prepare, "docklet vc show for\t");
    assert.equal(JSON.parse(readFileSync(`${dir}/out.json`, "utf8")).name, "forest");
    // Names that have signs at which shells may part words.
    await typed(shell, args, prepare, "docklet files ls forest/host-0:/srv/th\t ");
    assert.equal(JSON.parse(readFileSync(`${dir}/out.json`, "utf8")).path, "/srv/there");
    await typed(shell, args, prepare, `docklet vc create copy-${shell} --from forest/host-0@fri\t `);
    assert.equal(JSON.parse(readFileSync(`${dir}/out.json`, "utf8")).command, "CreateVclusterOfSnapshot");
    cluster.run("vc", "delete", "--now", `copy-${shell}`, "--wait");
  });
}

test("a list is there as a table, JSON, YAML and CSV", () => {
  const [forest] = cluster.json("vc", "list");
  assert.match(cluster.run("vc", "list", "--format", "yaml"), /^- bandwidth|^- .*\n(.*\n)*  name: forest\n/m);
  const [head, row, ...rest] = cluster.run("vc", "list", "--format", "csv").trim().split("\n");
  assert.equal(head, "id,name,state,running,image,disk,gpus,owner,created");
  assert.match(row, new RegExp(`^${forest.id},forest,running,1/1,busybox,`));
  assert.deepEqual(rest, []);
  assert.match(cluster.run("vc", "show", "forest", "--format", "csv"), /^vnode,state,worker,address,cpu_milli,.*\nforest\/host-0,running,/);
  assert.match(cluster.run("state", "--format", "yaml"), /^state:\n/m);
  assert.match(cluster.run("explain", "forest", "--format", "csv"), /^vnode,worker,here,place,why\n.*forest\/host-0,w\d,/);
  assert.match(cluster.run("explain", "forest", "--format", "yaml"), /^ *vnode: .*host-0$/m);
  assert.match(cluster.run("events", "--limit", "3", "--format", "csv"), /^entry,at,event,about\n\d+,[^,]*,ClusterInitialised,"/);
  assert.equal(cluster.run("events", "--limit", "2", "--format", "yaml").match(/^---$/gm).length, 2);
});

// Documents one after the other, as they come.
function watched(who, ...args) {
  const child = spawn(program, [...args, "--watch", "--format", "json"], { env: who.env, stdio: ["ignore", "pipe", "inherit"] });
  const documents = [];
  let lines = [];
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    if (line !== "]" && line !== "[]") return;
    documents.push(JSON.parse(lines.join("\n")));
    lines = [];
  });
  return { documents, last: () => documents.at(-1), end: () => child.kill() };
}

test("what is watched is shown again when it changes, and only then", async () => {
  const list = watched(cluster, "vc", "list");
  const others = watched(ada, "vc", "list");
  try {
    await until("the first looks", () => list.documents.length === 1 && others.documents.length === 1);
    const before = cluster.json("status").raft.applied;
    cluster.run("vc", "create", "meadow", "--wait");
    await until("the vcluster running", () => list.last().some(({ name, running }) => name === "meadow" && running === 1));
    const texts = list.documents.map((document) => JSON.stringify(document));
    texts.forEach((text, place) => assert.notEqual(text, texts[place - 1]));
    // Somebody whom it does not concern is shown nothing anew, though entries were written.
    assert.ok(cluster.json("status").raft.applied > before);
    assert.deepEqual(others.documents, [[]]);
    // It goes on by another master.
    cluster.kill(cluster.leader());
    await until("it stopped", () => cluster.try(["vc", "stop", "meadow", "--wait"]).code === 0);
    await until("that is shown", () => list.last().some(({ name, running }) => name === "meadow" && running === 0));
  } finally {
    list.end();
    others.end();
    cluster.run("dev", "up");
  }
});

test("exit codes say what kind of failure it was", () => {
  const codes = (expected, args, env = {}) => {
    const { code, stderr } = cluster.try(args, { env: { ...cluster.env, ...env } });
    assert.equal(code, expected, `${args.join(" ")}: ${stderr}`);
    if (expected !== 0) assert.match(stderr, /^(docklet|error): ./m);
  };
  codes(0, ["status"]);
  codes(1, ["man", `${program}/man`]);
  codes(2, ["vc", "shew"]);
  codes(2, ["vc", "show", "../users"]);
  for (const odd of ["../users", "w1/drain", ""]) {
    for (const act of ["cordon", "uncordon", "drain", "restore"]) codes(2, ["worker", act, odd]);
    codes(2, ["vc", "rules", odd]);
  }
  for (const odd of ["../users", "", "forest/host-0/move", "forest/"]) codes(2, ["explain", odd]);
  codes(3, ["vc", "show", "desert"]);
  codes(4, ["vc", "create", "forest"]);
  codes(5, ["worker", "list"], { DOCKLET_CONTEXT: ada.env.DOCKLET_CONTEXT });
  codes(5, ["status"], { DOCKLET_CONTEXT: `${dir}/none.toml` });
  codes(6, ["status"], { DOCKLET_CONTEXT: `${dir}/lost.toml` });
  codes(7, ["vc", "create", "late", "--wait", "--timeout-s", "0"]);
  const help = cluster.run("--help");
  for (const code of [1, 2, 3, 4, 5, 6, 7, 8, 9]) assert.match(help, new RegExp(`^ +${code}  \\S`, "m"));
});
