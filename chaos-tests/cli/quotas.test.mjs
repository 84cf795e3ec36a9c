// Roles, managers of groups, and how much people may have: through three masters at once, by command line and API.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(51);
const small = ["--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir;
let ada, bob, op;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-quotas-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [ada, bob, op] = ["ada", "bob", "op"].map((name) => cluster.person(name, dir));
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const item = (name, of = ada) => of.json("quota", "show").items.find(({ item }) => item === name);

// The same request through a master of one's choice.
function ask(of, master, method, path, body) {
  const token = readFileSync(of.env.DOCKLET_CONTEXT, "utf8").match(/^token = "(.+)"$/m)[1];
  const url = new URL(`/api/v1${path}`, cluster.masters[master % 3]);
  const options = { method, ca: readFileSync(`${cluster.dir}/ca.pem`), headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } };
  return new Promise((resolve, reject) => {
    const request = https.request(url, options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString() || "null") }));
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

test("who is given nothing else has the usual, and is told what is too much", () => {
  const usual = cluster.json("quota", "show", "--usual");
  assert.deepEqual([usual.vnodes, usual.ports, usual.gpus], [{ at_most: 8 }, { at_most: 8 }, { at_most: 1 }]);
  assert.deepEqual(item("vnodes"), { item: "vnodes", used: 0, limit: 8, whence: "usual" });
  assert.equal(item("vnodes", cluster).whence, "admin");
  assert.match(ada.run("quota", "show"), /memory +0 MiB +4 GiB +usual/);
  const text = ada.refused(["vc", "create", "wide", "--vnodes", "9", ...small], /vnodes: 0 used, 9 more wanted, 8 allowed \(usual\)/);
  assert.match(text, /ask a manager of your group or an admin for more/);
  assert.equal(ada.try(["vc", "create", "wide", "--vnodes", "9", ...small]).code, 4);
  ada.refused(["what-if", "create", "wide", "--vnodes", "9", ...small], /quota of "ada" is not enough/);
  const seen = ada.try(["what-if", "create", "wide", "--vnodes", "3", ...small]);
  assert.equal(seen.code, 0, seen.stderr);
  assert.match(seen.stderr, /ada has vnodes 3 of 8 \(usual\)/);
});

test("a hundred creates at once, through three masters, end exactly at the limit", async () => {
  ada.run("vc", "create", "lab", "--vnodes", "7", ...small, "--wait");
  const create = (n) => {
    const size = { cpu_milli: 50, memory_mib: 16, pids_max: 64 };
    return ask(ada, n, "POST", "/vclusters", { name: `one-${n}`, image: "busybox", vnodes: 1, size, wishes: { disk_mib: 64 } });
  };
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => create(n)));
  const made = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ status, body }) => status === 409 && body.code === "quota_exceeded");
  assert.deepEqual([made.length, refused.length], [1, 99], JSON.stringify(answers.map(({ status }) => status)));
  assert.equal(item("vnodes").used, 8);
  for (const master of [0, 1, 2]) {
    const told = async () => (await ask(ada, master, "GET", "/quotas/users/ada")).body.items[0].used === 8;
    await until("each master to tell the same", told, 5_000);
  }
  const extra = ada.json("vc", "list").map(({ name }) => name).find((name) => name.startsWith("one-"));
  const explained = ada.run("explain", "lab/host-0");
  assert.match(explained, /Quota: ada has vnodes 8 of 8 \(usual\).* allows no more of vnodes\./);
  // Whoever lets go of one may have one, as soon as its worker has said that it is gone.
  ada.run("vc", "delete", "--now", extra, "--wait");
  ada.run("vc", "create", "again", ...small, "--wait");
  ada.refused(["vc", "scale", "again", "2"], /vnodes: 8 used, 1 more wanted/);
});

test("ports and sizes count, and a lower limit takes nothing away", () => {
  cluster.run("quota", "set", "--user", "ada", "--ports", "1", "--cpu", "0.4", "--memory", "inherit");
  assert.deepEqual([item("ports").limit, item("cpu_milli").limit], [1, 400]);
  ada.run("port", "add", "lab/host-0", "22");
  ada.refused(["port", "add", "lab/host-0", "80"], /ports: 1 used, 1 more wanted, 1 allowed \(own\)/);
  ada.refused(["vc", "resize", "lab", "--cpu-milli", "51"], /CPU: 0\.4 cores used, 0\.007 cores more wanted, 0\.4 cores allowed \(own\)/);
  const seen = cluster.try(["what-if", "quota", "--user", "ada", "--vnodes", "4"]);
  assert.equal(seen.code, 1, seen.stderr);
  assert.match(seen.stdout, /ada +vnodes +8 +4 +own/);
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "4");
  ada.run("vc", "stop", "lab", "--wait");
  ada.run("vc", "start", "lab", "--wait");
  assert.equal(ada.json("vc", "show", "lab").running, 7);
  ada.refused(["vc", "scale", "lab", "8"], /vnodes: 8 used, 1 more wanted, 4 allowed \(own\)/);
  ada.run("vc", "scale", "lab", "2", "--wait");
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "inherit", "--cpu", "inherit", "--ports", "inherit");
  assert.equal(item("vnodes").whence, "usual");
  for (const [args, pattern] of [
    [["--vnodes", "many"], /"many" is no limit: write a number, "none" or "inherit"/],
    [["--home", "none"], /a home has a size/],
    [["--idle", "5"], /"5" is no limit: write a time as 90m, 24h or 7d/],
    [[], /nothing is to change/],
  ]) cluster.refused(["quota", "set", "--user", "ada", ...args], pattern);
  assert.equal(cluster.try(["quota", "set", "--vnodes", "1"]).code, 2, "of whom");
});

test("the bandwidth of a quota is what workers hold each vnode of that person to", async () => {
  const tc = (worker) => cluster.inWorker(worker, "tc", "qdisc", "show");
  // What one vnode sends and receives at most, by where its device is; all of them together, as their devices have no names that are told.
  const rates = () => ["w1", "w2"].flatMap((worker) => [...tc(worker).matchAll(/tbf.*rate (\S+)bit/g)].map(([, rate]) => rate)).sort().join(" ");
  const hold = (what, expected) => until(`${what}, ${expected}`, () => rates() === expected, 20_000).catch((error) => assert.fail(`${error.message}: ${rates()}`));
  const limit = (mbit, ...of) => cluster.run("quota", "set", ...(of.length ? of : ["--user", "ada"]), "--bandwidth-mbit", mbit);
  const six = (rate) => Array(6).fill(rate).join(" ");
  assert.equal(ada.json("vc", "list").reduce((all, { vnodes }) => all + vnodes.length, 0), 3);
  cluster.run("vc", "create", "of-an-admin", "--vnodes", "1", ...small, "--wait");
  assert.equal(rates(), "", "nobody is held to anything");
  limit("12");
  await hold("three vnodes, both ways", six("12M"));
  assert.deepEqual(ada.json("vc", "show", "again").vnodes[0].bandwidth, { sent: 12_000, received: 12_000 });
  ada.refused(["vc", "resize", "again", "--bandwidth-mbit", "20"], /20000 kbit\/s is more than each vnode of "ada" may have, 12000 kbit\/s \(own\)/);
  ada.run("vc", "resize", "again", "--bandwidth-mbit", "10", "--wait");
  assert.equal(rates(), `10M 10M ${Array(4).fill("12M").join(" ")}`, "--wait said that it holds");
  // The least of what holds does: the site's ceiling each way, the quota, the wish, which stays when the quota falls below it.
  cluster.run("bandwidth", "ceiling", "--sent", "11");
  await hold("the site's ceiling", "10M 10M 11M 11M 11M 12M 12M");
  cluster.run("bandwidth", "ceiling", "--none");
  limit("3");
  await hold("less than what is wished", six("3M"));
  // A vnode that starts later begins with it.
  ada.run("vc", "stop", "again", "--wait");
  ada.run("vc", "start", "again", "--wait");
  assert.equal(rates(), six("3M"), "it runs, and is held to it");
  cluster.run("group", "create", "narrow");
  cluster.run("group", "add", "narrow", "ada");
  limit("7", "--group", "narrow");
  limit("inherit");
  await hold("what a group gives", six("7M"));
  cluster.run("group", "delete", "narrow", "--now");
  await hold("the wish only", "10M 10M");
  ada.run("vc", "resize", "again", "--bandwidth-mbit", "site", "--wait");
  assert.equal(rates(), "");
  cluster.run("vc", "delete", "--now", "of-an-admin", "--wait");
});

test("a manager divides what a group gives, and nothing else", () => {
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "ada");
  cluster.run("quota", "set", "--group", "course", "--vnodes", "12", "--disk", "200GiB");
  assert.deepEqual(ada.json("group", "show", "course").managers, ["ada"]);
  ada.run("group", "add", "course", "bob");
  assert.deepEqual(item("vnodes", bob), { item: "vnodes", used: 0, limit: 12, whence: "group course" });
  ada.run("quota", "set", "--group", "course", "--user", "bob", "--vnodes", "2");
  assert.equal(item("vnodes", bob).limit, 2);
  bob.refused(["vc", "create", "his", "--vnodes", "3", ...small], /2 allowed \(group course\)/);
  bob.run("vc", "create", "his", "--vnodes", "2", ...small, "--wait");
  assert.match(ada.run("quota", "show", "bob"), /vnodes +2 +2 +group course/);
  assert.match(ada.run("quota", "show", "--group", "course"), /\(each member\) +vnodes +- +12[^]*bob +vnodes +2 +2 +group course/);
  ada.refused(["quota", "set", "--group", "course", "--user", "bob", "--vnodes", "13"], /gives its members 12 of vnodes at most, and 13 is more/);
  ada.refused(["quota", "set", "--group", "course", "--vnodes", "100"], /role admin/);
  ada.refused(["quota", "set", "--user", "ada", "--vnodes", "100"], /role admin/);
  ada.refused(["group", "add", "course", "ada"], /does not do that for themselves/);
  ada.refused(["group", "manager", "add", "course", "bob"], /role admin/);
  // Admins look as if they were not there, and so does whoever is in no group of one's own.
  const absent = (args, of = ada) => of.refused(args, /no (user|group) /).replaceAll(args.at(-1), "X");
  assert.equal(absent(["group", "add", "course", "admin"]), absent(["group", "add", "course", "nobody"]));
  assert.equal(absent(["quota", "show", "op"]), absent(["quota", "show", "nobody"]));
  assert.equal(absent(["quota", "show", "ada"], bob), absent(["quota", "show", "nobody"], bob));
  cluster.run("group", "create", "staff");
  assert.equal(absent(["quota", "show", "--group", "staff"]), absent(["quota", "show", "--group", "nothing"]));
  assert.deepEqual(ada.json("quota", "list").map(({ user }) => user), ["ada", "bob"]);
  ada.run("group", "remove", "course", "bob");
  assert.equal(item("vnodes", bob).whence, "usual");
});

test("an operator looks after machines, enters nothing, and is demoted at once", async () => {
  op.refused(["worker", "list"], /role operator or admin/);
  ada.refused(["user", "role", "ada", "admin"], /role admin/);
  cluster.run("user", "role", "op", "operator");
  assert.equal(op.json("worker", "list").length, 2);
  op.run("worker", "cordon", "w2", "--reason", "new disk");
  op.run("worker", "uncordon", "w2");
  op.run("token", "create", "--role", "agent");
  op.refused(["token", "create", "--role", "master"], /role admin/);
  op.refused(["backup", `${dir}/stolen`], /role admin/);
  const lab = op.json("vc", "list").find(({ name, owner }) => name === "lab" && owner === "ada");
  assert.ok(lab, "they see whose it is");
  const [{ worker }] = lab.vnodes;
  op.refused(["exec", `${lab.id}/host-0`, "--", "true"], /no vcluster/);
  op.refused(["vc", "stop", String(lab.id)], /no vcluster/);
  op.refused(["snapshot", "list", String(lab.id)], /no vcluster/);
  assert.match(op.run("explain", String(lab.id)), /Quota: It is not in the way/);
  op.run("vc", "move", `${lab.id}/host-0`, "--to", worker === "w1" ? "w2" : "w1", "--wait");
  assert.notEqual(ada.json("vc", "show", "lab").vnodes[0].worker, worker);
  // Through whichever master, the state says what somebody may.
  cluster.run("user", "role", "op", "user");
  for (const master of [0, 1, 2]) {
    await until("the role to be gone", async () => (await ask(op, master, "GET", "/workers")).status === 403, 5_000);
  }
  op.refused(["vc", "show", String(lab.id)], /no vcluster/);
  cluster.refused(["user", "role", "admin", "user"], /is the only admin/);
});
