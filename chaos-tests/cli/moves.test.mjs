// Moves of vnodes between workers: what comes along, what stays behind, who ends them, and workers that are emptied by them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(32);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-moves-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.run("vc", "create", "lab", "--vnodes", "2", ...SMALL, "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const vnode = (name = "host-0", vcluster = "lab") => cluster.json("vc", "show", vcluster).vnodes.find((vnode) => vnode.name === name);
const other = (worker) => (worker === "w1" ? "w2" : "w1");
const sh = (script, name = "lab/host-0") => cluster.run("exec", name, "--", "sh", "-c", script);
const vnodesOf = (worker) => cluster.traces()[Number(worker.slice(1)) - 1];

// Answers what a service behind a public port of a worker says; nothing if there is none.
function ask(worker, port) {
  const shown = spawnSync("ip", ["netns", "exec", `dkdev32-${worker}`, "ip", "-4", "-o", "address", "show", "uplink"], { encoding: "utf8" });
  const [, host] = shown.stdout.match(/inet ([0-9.]+)/);
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 2_000 });
    let said = "";
    socket.on("connect", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    socket.on("data", (data) => (said += data));
    socket.on("timeout", () => socket.destroy());
    socket.on("error", () => {});
    socket.on("close", () => resolve(said.trim().split("\n").at(-1)));
  });
}

test("a vnode is refreshed on another worker with its files, snapshots, address and ports", async () => {
  sh("dd if=/dev/urandom of=/root/big bs=64k count=200 2>/dev/null; ln /root/big /root/same; mkdir -p /root/a/b; echo deep > /root/a/b/c; mknod /root/pipe p");
  sh("mkdir -p /www && echo served > /www/index.html && busybox httpd -p 80 -h /www");
  const before = sh("cd /root; find . | sort | xargs ls -lnid | sed 's/ .* / /' | wc -l; md5sum big same a/b/c");
  cluster.run("snapshot", "create", "lab/host-0@friday", "--wait");
  const { worker: from, address, epoch } = vnode();
  const to = other(from);
  cluster.run("port", "add", "lab/host-0", "80", "--public", "20090");
  const told = cluster.try(["vc", "move", "lab/host-0", "--to", to, "--refresh", "--wait"]);
  assert.equal(told.code, 0, told.stderr + cluster.logs());
  assert.match(told.stderr, /It is being copied from w[12] to w[12] \(refresh/);
  assert.match(told.stdout, /lab\/host-0 came from w[12] to w[12] \(refresh, \d+ ms down\)\./);
  assert.match(told.stdout, /copying while it ran \d+ ms\n +standing still, copying the rest \d+ ms\n +starting \d+ ms/);
  const moved = vnode();
  assert.deepEqual([moved.worker, moved.address, moved.phase], [to, address, "running"]);
  assert.ok(moved.epoch > epoch);
  assert.equal(moved.moving.stage, "moved");
  assert.equal(sh("cd /root; find . | sort | xargs ls -lnid | sed 's/ .* / /' | wc -l; md5sum big same a/b/c"), before);
  sh("busybox httpd -p 80 -h /www");
  assert.equal(cluster.run("exec", "lab/host-1", "--", "busybox", "wget", "-q", "-O", "-", "http://host-0/"), "served\n");
  assert.equal(await until("the port there", async () => (await ask(to, 20090)) || undefined), "served");
  assert.equal(await ask(from, 20090), "");
  // The snapshot came along, and is restored there.
  sh("rm -r /root/a");
  cluster.run("snapshot", "restore", "lab/host-0@friday", "--wait");
  assert.equal(sh("cat /root/a/b/c"), "deep\n");
  // Nothing of it is left behind.
  const id = `v${moved.id}`;
  await until("nothing there", () => !vnodesOf(from).vnodes.includes(id) && !vnodesOf(from).cgroups.includes(id) && !vnodesOf(from).mounts.some((mount) => mount.includes(`/${id}/`)));
  assert.deepEqual(cluster.traces().map(({ arriving }) => arriving), [[], []]);
  cluster.run("port", "remove", "20090");
});

test("its history comes along, and a home on a worker's own disk stays there", async () => {
  const measured = () => {
    const { times, columns } = cluster.json("vnode", "stats", "lab/host-0");
    return times.filter((_, slot) => columns.memory_bytes[slot] > 0);
  };
  sh("echo marked > ~/nfs/mark");
  const before = await until("some seconds", () => measured().length > 5 && measured());
  const from = vnode().worker;
  cluster.run("vc", "move", "lab/host-0", "--refresh", "--wait");
  assert.equal(vnode().worker, other(from));
  const after = await until("more of them", () => measured().at(-1) > before.at(-1) && measured());
  // What is ten minutes old goes meanwhile.
  const kept = before.filter((time) => time >= after[0]);
  assert.ok(kept.length > 2, `${kept.length} of ${before.length}`);
  assert.deepEqual(kept.filter((time) => !after.includes(time)), []);
  assert.equal(sh("ls -A ~/nfs"), "");
  cluster.run("vc", "move", "lab/host-0", "--refresh", "--wait");
  assert.equal(sh("cat ~/nfs/mark; rm ~/nfs/mark"), "marked\n");
});

test("a worker without CRIU says so, and nothing that runs moves to it live", async () => {
  // In a mount namespace of its own; what is mounted there is seen nowhere else.
  const hidden = (...args) => spawnSync("unshare", ["--mount", "sh", "-c", 'mount -t tmpfs none /usr/libexec/docklet && exec "$@"', "sh", program, ...args], { env: cluster.env, encoding: "utf8" });
  const ability = (findings) => findings.find(({ what }) => what === "moves of vnodes that run");
  const there = ability(cluster.json("worker", "doctor"));
  assert.equal(there.there, true, there.says);
  assert.match(there.says, /^CRIU \d/);
  const missing = ability(JSON.parse(hidden("worker", "doctor", "--format", "json").stdout));
  assert.equal(missing.there, false);
  assert.match(missing.says, /^CRIU is not at \/usr\/libexec\/docklet\/criu: .*scripts\/setup-criu/);
  assert.equal(missing.required, false);

  const to = other(vnode().worker);
  const live = ["vc", "move", "lab/host-0", "--to", to, "--live"];
  cluster.kill(to);
  try {
    const begun = hidden("dev", "up");
    assert.equal(begun.status, 0, begun.stderr);
    await until("its word", () => JSON.parse(cluster.try(["doctor", "--format", "json"]).stdout).workers.find(({ name, status }) => name === to && status === "up")?.moves?.Err);
    cluster.refused(live, new RegExp(`${to} cannot checkpoint \\(CRIU is not at /usr/libexec/docklet/criu`));
    assert.equal(vnode().phase, "running");
  } finally {
    cluster.kill(to);
    cluster.run("dev", "up");
  }
  await until("it can again", () => cluster.try(live).code === 0);
  const ended = await until("an end", () => !vnode().moving.is_open && vnode());
  assert.deepEqual([ended.worker, ended.moving.stage], [to, "moved"]);
});

test("one that stands still moves too, and a cold one stands still for all of it", () => {
  cluster.run("vc", "create", "still", ...SMALL, "--wait");
  cluster.run("exec", "still/host-0", "--", "sh", "-c", "echo kept > /root/f");
  const cold = cluster.run("vc", "move", "still/host-0", "--cold", "--wait");
  assert.match(cold, /\(cold, \d+ ms down\)/);
  cluster.run("vc", "stop", "still", "--wait");
  const from = vnode("host-0", "still").worker;
  const told = cluster.run("vc", "move", "still/host-0", "--wait");
  assert.match(told, /came from w[12] to w[12] \(refresh\)\.\n/);
  assert.equal(vnode("host-0", "still").worker, other(from));
  cluster.run("vc", "start", "still", "--wait");
  assert.equal(cluster.run("exec", "still/host-0", "--", "cat", "/root/f"), "kept\n");
  cluster.run("vc", "delete", "--now", "still", "--wait");
});

// Numbers from one on, each in a line of a file, until there is a file that ends it.
const counting = (file) => `i=0; until [ -e ${file}.end ]; do i=$((i+1)); echo $i >> ${file}; sleep 0.02; done`;
const lines = (file, name) => sh(`cat ${file}`, name).trim().split("\n");
const upTo = (count) => Array.from({ length: count }, (_, at) => String(at + 1));

test("what runs goes along: what exec and a terminal left behind, its numbers and its connections", async () => {
  sh(`(${counting("/root/by-exec")}) </dev/null >/dev/null 2>&1 & nc -ll -p 9000 -e /bin/cat </dev/null >/dev/null 2>&1 &`);
  sh(`cat > /root/counting.sh <<'END'\ntrap '' HUP\n${counting("/root/by-shell")}\nEND`);
  const typed = "sh /root/counting.sh </dev/null >/dev/null 2>&1 & exit 5\n";
  const shell = spawnSync("script", ["--quiet", "--return", "--command", `${program} shell lab/host-0`, "/dev/null"], { env: cluster.env, input: typed, encoding: "utf8", timeout: 30_000 });
  assert.equal(shell.status, 5, shell.stdout);
  const client = `${counting("/root/asked")} & tail -f /root/asked | nc host-0 9000 > /root/answered &`;
  sh(`: > /root/asked; (${client}) </dev/null >/dev/null 2>&1`, "lab/host-1");
  const heard = () => Number(lines("/root/answered", "lab/host-1").at(-1));
  await until("an answer", () => heard() > 0);
  for (const turn of [1, 2]) {
    const { worker: from, address, epoch } = vnode();
    const told = cluster.try(["vc", "move", "lab/host-0", "--to", other(from), "--live", "--wait"]);
    assert.equal(told.code, 0, told.stderr + cluster.logs());
    assert.match(told.stdout, /lab\/host-0 came from w[12] to w[12] \(live, \d+ ms down\)\./);
    const moved = vnode();
    assert.deepEqual([moved.worker, moved.address, moved.epoch > epoch], [other(from), address, true], `turn ${turn}`);
    const before = heard();
    await until("answers on the same connection", () => heard() > before);
  }
  sh("touch /root/asked.end", "lab/host-1");
  const asked = await until("the last answer", () => {
    const all = lines("/root/asked", "lab/host-1");
    return heard() === all.length && all;
  });
  assert.deepEqual(asked, upTo(asked.length));
  assert.deepEqual(lines("/root/answered", "lab/host-1"), asked, "each number came back once");
  sh("touch /root/by-exec.end /root/by-shell.end");
  for (const file of ["/root/by-exec", "/root/by-shell"]) {
    const counted = lines(file, "lab/host-0");
    assert.deepEqual(counted, upTo(counted.length), `${file} goes on where it was`);
  }
  sh("killall nc tail", "lab/host-1");
  sh("killall nc");
});

test("what cannot go along while it runs is named, and refreshed if nobody insists", () => {
  cluster.run("vc", "create", "odd", ...SMALL, "--wait");
  const inside = (script) => sh(script, "odd/host-0");
  inside("unshare -u sleep 1000 </dev/null >/dev/null 2>&1 & until pidof sleep; do sleep 0.1; done");
  const { worker } = vnode("host-0", "odd");
  const insisted = cluster.try(["vc", "move", "odd/host-0", "--live", "--wait"]);
  const cause = /program sleep \(process \d+ of the worker\): it has made itself a namespace within the vnode's/;
  assert.notEqual(insisted.code, 0);
  assert.match(insisted.stderr, cause);
  assert.equal(vnode("host-0", "odd").worker, worker);
  assert.match(inside("pidof sleep"), /^\d+\n$/, "it runs on");
  const told = cluster.try(["vc", "move", "odd/host-0", "--wait"]);
  assert.equal(told.code, 0, told.stderr + cluster.logs());
  assert.match(told.stdout, /odd\/host-0 came from w[12] to w[12] \(refresh, \d+ ms down\)\./);
  assert.match(told.stdout + told.stderr, cause);
  assert.equal(vnode("host-0", "odd").worker, other(worker));
  cluster.run("vc", "delete", "--now", "odd", "--wait");
});

test("moves that cannot be are refused with the reason, and other people's vnodes are not there", () => {
  const here = vnode().worker;
  cluster.refused(["vc", "move", "lab/host-0", "--to", here], new RegExp(`on ${here} already`));
  cluster.refused(["vc", "move", "lab/host-0", "--to", "w9"], /no worker "w9"/);
  cluster.refused(["vc", "move", "lab/host-9"], /no vnode/);
  cluster.refused(["vc", "move", "lab/host-0", "--cancel"], /not on its way/);
  cluster.refused(["vc", "move", "lab/host-0", "--cold", "--refresh"], /cannot be used with/);
  ada.refused(["vc", "move", "lab/host-0"], /no vcluster "lab"/);
  cluster.run("worker", "cordon", other(here), "--reason", "new disk");
  cluster.refused(["vc", "move", "lab/host-0", "--to", other(here)], /cannot take vnode "host-0": takes nothing new \(new disk\)/);
  cluster.refused(["vc", "move", "lab/host-0"], /no other worker can take vnode "host-0": w[12]: takes nothing new/);
  cluster.run("worker", "uncordon", other(here));
});

test("a move is cancelled while it copies, and the vnode never noticed", async () => {
  const { worker: from, epoch } = vnode();
  const pid = cluster.processes()[from];
  process.kill(pid, "SIGSTOP");
  try {
    cluster.run("vc", "move", "lab/host-0", "--refresh");
    assert.equal(vnode().moving.stage, "copying");
    cluster.refused(["snapshot", "create", "lab/host-0@now"], /on its way from/);
    cluster.run("vc", "move", "lab/host-0", "--cancel");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  const stayed = vnode();
  assert.deepEqual([stayed.worker, stayed.epoch, stayed.moving.stage], [from, epoch, "cancelled"]);
  await until("nothing on its way", () => cluster.traces().every(({ arriving }) => arriving.length === 0));
  await until("it running", () => vnode().phase === "running");
});

test("a worker is emptied and filled again", () => {
  cluster.run("vc", "create", "more", "--vnodes", "4", ...SMALL, "--wait");
  const on = (worker) => cluster.json("vc", "list").flatMap(({ vnodes }) => vnodes).filter((vnode) => vnode.worker === worker).map(({ id }) => id).sort();
  const before = on("w1");
  assert.ok(before.length > 0);
  const drained = cluster.try(["worker", "drain", "w1", "--at-once", "2", "--wait"]);
  assert.equal(drained.code, 0, drained.stderr + cluster.logs());
  assert.match(drained.stdout, new RegExp(`w1 is drained: ${before.length} moved away\\.`));
  assert.match(drained.stderr, /w1: \d moved, [12] on their way, \d left/);
  assert.deepEqual(on("w1"), []);
  cluster.refused(["vc", "move", "lab/host-0", "--to", "w1"], /takes nothing new \(being drained\)/);
  const restored = cluster.run("worker", "restore", "w1", "--wait");
  assert.match(restored, /w1 is restored\./);
  assert.deepEqual(on("w1"), before);
  assert.equal(cluster.json("worker", "list").find(({ name }) => name === "w1").cordon, null);
  assert.ok(cluster.json("vc", "list").every(({ vnodes }) => vnodes.every(({ phase }) => phase === "running")));
  cluster.run("vc", "delete", "--now", "more", "--wait");
});

test("a drain that finds no room says why, ends at its deadline, or is aborted", () => {
  cluster.run("worker", "cordon", "w2");
  cluster.run("vc", "create", "stuck", ...SMALL, "--wait");
  const late = cluster.try(["worker", "drain", "w1", "--deadline", "1s", "--wait"]);
  assert.notEqual(late.code, 0);
  assert.match(late.stdout, /w1: the time is over, 0 moved and \d left/);
  assert.match(late.stdout, /stuck\/host-0 stays: w2: takes nothing new/);
  cluster.run("worker", "drain", "w1");
  assert.match(cluster.run("worker", "drain", "w1", "--status"), /find no other worker/);
  assert.match(cluster.run("worker", "drain", "w1", "--abort", "--wait"), /w1: aborted, 0 moved and \d left/);
  cluster.run("worker", "uncordon", "w2");
  cluster.refused(["worker", "drain", "w9"], /no worker "w9"/);
  ada.refused(["worker", "drain", "w1"], /needs the role operator or admin/);
  cluster.refused(["worker", "drain", "w1", "--at-once", "0"], /vnodes on their way at once/);
});
