// The whole by command line: create, exec, lose the leader, scale, delete; nothing of a deleted vnode is left.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(11);

before(() => cluster.up());
beforeEach(() => cluster.run("dev", "up"));
after(() => cluster.down());

const phases = (view) => view.vnodes.map(({ name, phase, worker }) => ({ name, phase, worker }));

test("create, exec, lose the leader, scale, delete: as many traces after as before", async () => {
  const before = cluster.traces();
  const view = cluster.json("vc", "create", "lab", "--vnodes", "2", "--wait");
  assert.deepEqual(phases(view), [
    { name: "host-0", phase: "running", worker: "w1" },
    { name: "host-1", phase: "running", worker: "w2" },
  ]);

  const ping = cluster.run("exec", "lab/host-0", "--", "ping", "-c", "1", "-W", "2", "host-1");
  assert.match(ping, /1 packets received/);
  const mixed = cluster.try(["exec", "lab/host-1", "--", "sh", "-c", "cat; echo err >&2; exit 7"], { input: "typed" });
  assert.deepEqual(mixed, { code: 7, stdout: "typed", stderr: "err\n" });
  const ids = cluster.run("exec", "lab/host-0", "--", "cat", "/proc/self/uid_map");
  assert.match(ids, /^\s*0\s+1065536\s+65536/, "root inside is nobody outside");

  const first = cluster.leader();
  cluster.kill(first);
  const begun = performance.now();
  const scaled = cluster.json("vc", "scale", "lab", "3", "--wait");
  const tookMs = performance.now() - begun;
  assert.equal(scaled.vnodes.filter(({ phase }) => phase === "running").length, 3);
  assert.notEqual(cluster.leader(), first);
  console.log(`third vnode running ${Math.round(tookMs)} ms after the leader was killed`);

  cluster.run("vc", "scale", "lab", "1", "--wait");
  await until("vnodes removed", () => cluster.json("vc", "show", "lab").vnodes.length === 1);
  cluster.run("vc", "stop", "lab", "--wait");
  cluster.run("vc", "start", "lab", "--wait");
  cluster.run("vc", "delete", "--now", "lab", "--wait");
  await until("clean workers", () => JSON.stringify(cluster.traces()) === JSON.stringify(before)).catch(() => {
    assert.deepEqual(cluster.traces(), before);
  });
});

test("all masters gone: containers go on, a restarted agent adopts them, masters come back and agree", async () => {
  cluster.run("vc", "create", "keep", "--vnodes", "2", "--wait");
  const booted = cluster.run("exec", "keep/host-0", "--", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat");
  cluster.kill("m1", "m2", "m3");
  cluster.kill("w1", "w2");
  const gone = cluster.try(["vc", "list"]);
  assert.equal(gone.code, 6, gone.stderr);
  cluster.run("dev", "up");
  const again = cluster.run("exec", "keep/host-0", "--", "cat", "/proc/sys/kernel/random/boot_id", "/proc/1/stat");
  const started = (text) => text.split(" ")[21];
  assert.equal(started(again), started(booted), "the same init runs on");
  const views = cluster.masters.map(loggedInAt);
  const equal = await until("equal states on all masters", () => {
    const raft = views.map((one) => one.json("status").raft);
    return raft.every(({ applied }) => applied === raft[0].applied) && raft;
  });
  assert.equal(new Set(equal.map(({ state_hash }) => state_hash)).size, 1);
  const view = cluster.json("vc", "show", "keep");
  assert.deepEqual(view.vnodes.map(({ phase }) => phase), ["running", "running"]);
  cluster.run("vc", "delete", "--now", "keep", "--wait");
});

// The same cluster, asked through one master only.
function loggedInAt(server, number) {
  const one = new Cluster(11);
  one.env = { ...one.env, DOCKLET_CONTEXT: `${one.dir}/m${number + 1}.toml` };
  one.masters = [server];
  one.login();
  return one;
}

test("events can be followed from any index, each once and in order", () => {
  const text = cluster.run("events", "--from", "1", "--limit", "12", "--format", "json");
  const indices = text.trim().split("\n").map((line) => JSON.parse(line).index);
  assert.deepEqual(indices, [...new Set(indices)].sort((a, b) => a - b));
  const rest = cluster.run("events", "--from", String(indices[4]), "--limit", "8", "--format", "json");
  assert.deepEqual(rest.trim().split("\n").map((line) => JSON.parse(line).index), indices.slice(4));
  assert.ok(!text.includes("argon2"), "no password hash leaves the masters");
});

test("bad input is refused with its reason, and nothing changes", () => {
  const cases = [
    [["vc", "create", "two\nlines"], 2, /name "two\\nlines" is not allowed/],
    [["vc", "create", "a/b"], 2, /not allowed/],
    [["vc", "create", ".."], 2, /not allowed/],
    [["vc", "create", "x".repeat(300)], 2, /1 to 40/],
    [["vc", "create", "ok", "--vnodes", "0"], 2, /out of range: give a value from 1 to 1000/],
    [["vc", "create", "ok", "--vnodes", "10000"], 2, /out of range/],
    [["vc", "create", "ok", "--memory-mib", "0"], 2, /memory of 0 MiB is out of range/],
    [["vc", "create", "ok", "--image", "nothing"], 3, /no image "nothing"/],
    [["vc", "show", "nobody"], 3, /no vcluster "nobody"/],
    [["vc", "scale", "nobody", "2"], 3, /no vcluster/],
    [["exec", "nobody", "--", "true"], 2, /VCLUSTER\/host-0/],
    [["exec", "nobody/host-0", "--", "true"], 3, /no vcluster/],
    [["master", "join", "rubbish", "--dir", "/nonexistent/x", "--name", "m9", "--cluster-addr", "127.0.0.1:1", "--public-addr", "127.0.0.1:2"], 2, /join token/],
  ];
  const hash = () => cluster.json("status").raft.state_hash;
  const before = hash();
  for (const [args, code, text] of cases) {
    const got = cluster.try(args);
    assert.equal(got.code, code, `${args.join(" ")}: ${got.stderr}`);
    assert.match(got.stderr, text);
  }
  assert.equal(hash(), before, "the state is the same, to the last row");
});

test("a wrong token and a wrong password are refused alike for everybody", () => {
  const other = new Cluster(11);
  other.env = { ...other.env, DOCKLET_CONTEXT: `${other.dir}/wrong.toml` };
  const login = (user) => other.try(["login", "--server", other.portal, "--ca", `${other.dir}/ca.pem`, "--user", user, "--password-file", "/etc/hostname"]);
  const [known, unknown] = [login("admin"), login("nobody")];
  assert.equal(known.code, 5);
  assert.deepEqual(known, unknown);
});

test("limits hold: a hog is killed in its own vnode, which goes on", () => {
  cluster.run("vc", "create", "small", "--memory-mib", "32", "--pids-max", "20", "--wait");
  const hog = cluster.try(["exec", "small/host-0", "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]);
  assert.equal(hog.code, 137, hog.stderr);
  const bomb = cluster.try(["exec", "small/host-0", "--", "sh", "-c", "for i in $(seq 40); do sleep 5 & done; wait"]);
  assert.match(bomb.stderr, /can't fork/);
  assert.equal(cluster.run("exec", "small/host-0", "--", "echo", "alive"), "alive\n");
  cluster.run("vc", "delete", "--now", "small", "--wait");
});

test("two people: neither sees the other's vclusters, addresses or frames, and nobody can pose as another", () => {
  cluster.run("vc", "create", "mine", "--vnodes", "2", "--wait");
  cluster.run("user", "create", "bob", "--password-file", cluster.passwordFile());
  const bob = new Cluster(11);
  bob.env = { ...bob.env, DOCKLET_CONTEXT: `${bob.dir}/bob.toml` };
  const servers = bob.masters.flatMap((server) => ["--server", server]);
  bob.run("login", ...servers, "--ca", `${bob.dir}/ca.pem`, "--user", "bob", "--password-file", bob.passwordFile());
  assert.equal(bob.try(["vc", "show", "mine"]).code, 3);
  assert.equal(bob.try(["exec", "mine/host-0", "--", "true"]).code, 3);
  assert.equal(bob.try(["worker", "list"]).code, 5);
  assert.equal(bob.try(["token", "create", "--role", "master"]).code, 5);
  assert.deepEqual(bob.json("vc", "list"), []);
  assert.ok(!bob.run("events", "--from", "1", "--limit", "2", "--format", "json").includes("mine"));

  const theirs = cluster.json("vc", "show", "mine").vnodes[0].address;
  bob.run("vc", "create", "mine", "--wait");
  const map = bob.run("exec", "mine/host-0", "--", "cat", "/proc/self/uid_map");
  assert.match(map, /^\s*0\s+1131072\s+65536/, "ids of two people never overlap");
  const prepare = `ip route add ${theirs}/32 dev eth0; ping -c 1 -W 1 ${theirs}`;
  assert.notEqual(bob.try(["exec", "mine/host-0", "--", "sh", "-c", prepare]).code, 0, "another segment");

  const ping = (from) => cluster.try(["exec", "mine/host-0", "--", "sh", "-c", from]).code;
  const peer = cluster.json("vc", "show", "mine").vnodes[1].address;
  assert.equal(ping(`ping -c 1 -W 1 ${peer}`), 0);
  assert.notEqual(ping(`ip addr add 10.64.3.9/22 dev eth0; ping -c 1 -W 1 -I 10.64.3.9 ${peer}`), 0, "an address of its own choice");
  cluster.run("vc", "delete", "--now", "mine", "--wait");
  bob.run("vc", "delete", "--now", "mine", "--wait");
});
