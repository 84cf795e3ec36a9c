// The audit trail on a real cluster: who sees what of it, that copies of it can be checked elsewhere, and that it is one trail,
// whichever master is asked and whoever leads.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(35);
const SMALL = ["--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
let dir;
let ada, bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-audit-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [ada, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  ada.run("vc", "create", "lab", ...SMALL, "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const list = (who, ...more) => who.json("audit", "list", ...more).records;
const seen = (records) => records.map(({ who, command, things }) => [who.user?.name ?? Object.keys(who)[0] ?? who, command, things[0]]);
const copy = (name, lines) => {
  writeFileSync(`${dir}/${name}`, lines.join("\n") + "\n");
  return `${dir}/${name}`;
};

test("whose something is sees who touched it, also by going in; from where is for admins", () => {
  ada.run("exec", "lab/host-0", "--", "/bin/echo", "a secret of ada's");
  cluster.run("exec", "1/host-0", "--", "true");
  bob.refused(["exec", "lab/host-0", "--", "true"], /no vcluster "lab"/);
  const mine = list(ada, "--thing", "ada/lab", "--command", "Run");
  assert.deepEqual(seen(mine), [["admin", "RunProgram", "vnode ada/lab/host-0"], ["ada", "RunProgram", "vnode ada/lab/host-0"]]);
  assert.deepEqual(mine.map(({ things }) => things[1]), ["program true", "program echo"]);
  const [byAdmin, byAda] = mine;
  assert.deepEqual([byAdmin.from, byAdmin.login], [undefined, undefined], "from where an admin came is not told");
  assert.equal(byAda.from, "127.0.0.1");
  assert.ok(byAda.login > 0);
  assert.deepEqual(list(bob, "--thing", "ada"), []);
  const all = list(cluster, "--who", "ada", "--command", "CreateVcluster");
  assert.deepEqual([all[0].from, all[0].effects.VnodeCreated], ["127.0.0.1", 1]);
  assert.ok(!cluster.run("audit", "export").includes("a secret of ada's"), "arguments are not told");
});

test("who was refused something of somebody's is noted for them, and for nobody who tried", async () => {
  for (let times = 0; times < 3; times++) bob.refused(["exec", "1/host-0", "--", "true"], /no vcluster "1"/);
  bob.refused(["exec", "99/host-0", "--", "true"], /no vcluster "99"/);
  bob.refused(["user", "role", "bob", "admin"], /needs the role admin/);
  const tried = await until("a record of it", () => list(ada, "--thing", "ada/lab").find(({ refused }) => refused === "not_found"), 120_000);
  assert.deepEqual([tried.who.user.name, tried.things, tried.from], ["bob", ["vcluster ada/lab"], undefined]);
  assert.match(tried.command, /\/vclusters\/\{name\}\/vnodes\/\{vnode\}/);
  assert.ok(!list(bob).some(({ effects }) => effects["Audit.Refused"]), "whoever was refused learns nothing");
  const all = list(cluster, "--who", "bob").filter(({ effects }) => effects["Audit.Refused"]);
  assert.ok(all.some(({ refused }) => refused === "not_permitted"));
  assert.ok(all.every(({ from }) => from === "127.0.0.1"));
});

test("what a program did with a token names the token", async () => {
  const token = ada.run("access-token", "create", "nightly", "--scope", "vclusters").trim();
  const status = await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const request = https.request(`${cluster.masters[0]}/api/v1/vclusters/lab/stop`, { method: "POST", ca: readFileSync(`${cluster.dir}/ca.pem`), headers, agent: false }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode));
    });
    request.on("error", reject).end();
  });
  assert.equal(status, 200);
  const [stopped] = list(cluster, "--command", "StopVcluster");
  assert.deepEqual([stopped.who.user.name, stopped.token, stopped.things[0]], ["ada", "nightly", "vcluster ada/lab"]);
});

test("a copy is checked line by line, and against the cluster", () => {
  const lines = cluster.run("audit", "export").trimEnd().split("\n");
  const whole = copy("whole.ndjson", lines);
  assert.match(cluster.run("audit", "verify", whole), /each follows the one before, and the cluster has the same/);
  assert.match(cluster.run("audit", "verify", whole, "--offline"), /this cluster's was not asked/);
  assert.match(cluster.run("audit", "verify"), /and the cluster has the same/);
  const broken = (name, change, wanted) => {
    const changed = [...lines];
    change(changed);
    const told = cluster.try(["audit", "verify", copy(name, changed)]);
    assert.equal(told.code, 1, told.stderr);
    assert.match(told.stderr, wanted);
  };
  const middle = Math.floor(lines.length / 2);
  broken("changed.ndjson", (copy) => (copy[middle] = copy[middle].replace(/"at":(\d)/, (_, digit) => `"at":${(Number(digit) % 9) + 1}`)), new RegExp(`record ${JSON.parse(lines[middle]).number} is not what was written`));
  broken("missing.ndjson", (copy) => copy.splice(middle, 1), /what is between them is missing/);
  broken("moved.ndjson", (copy) => ([copy[2], copy[3]] = [copy[3], copy[2]]), /missing, or was moved/);
  broken("cut.ndjson", (copy) => copy.pop(), /breaks off after record/);
  broken("more.ndjson", (copy) => copy.push(copy[1]), /something comes after the end/);
  broken("empty.ndjson", (copy) => copy.splice(0, copy.length), /no copy of an audit trail/);
  // Who leaves the last records out and writes an end of their own is told by the cluster only if they write another chain.
  const shorter = lines.slice(0, -2);
  const last = JSON.parse(shorter.at(-1));
  shorter.push(JSON.stringify({ end: last.number, hash: "0".repeat(64) }));
  broken("forged.ndjson", (copy) => copy.splice(0, copy.length, ...shorter), /but the last one is/);
  ada.refused(["audit", "export"], /needs the role admin/);
});

test("it is one trail: every master gives the same, also after the leader was killed", async () => {
  const through = (server) => {
    const one = new Cluster(cluster.instance);
    one.env = { ...one.env, DOCKLET_CONTEXT: `${dir}/one.toml` };
    one.run("login", "--server", server, "--ca", `${cluster.dir}/ca.pem`, "--user", "admin", "--password-file", cluster.passwordFile());
    return one;
  };
  const records = (who) => who.run("audit", "export").trimEnd().split("\n").slice(1, -1);
  const before = records(through(cluster.masters[0]));
  for (const server of cluster.masters.slice(1)) {
    assert.deepEqual(records(through(server)).slice(0, before.length), before);
  }
  cluster.kill(cluster.leader());
  await until("another to lead", () => cluster.try(["vc", "create", "after", ...SMALL]).code === 0);
  const later = records(cluster);
  assert.deepEqual(later.slice(0, before.length), before);
  assert.ok(later.some((line) => line.includes('"CreateVcluster') && line.includes("admin/after")));
  assert.match(cluster.run("audit", "verify"), /and the cluster has the same/);
});
