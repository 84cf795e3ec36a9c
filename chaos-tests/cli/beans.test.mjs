// Beans: what vnodes use is charged once, whoever dies in between; who has none left is stopped; requests and grants.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import readline from "node:readline";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(27);
const SMALL = ["--cpu-milli", "300", "--memory-mib", "32", "--pids-max", "64", "--disk", "64MiB"];
let dir;
let teacher, ada, bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-beans-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [teacher, ada] = ["teacher", "ada"].map(person);
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "teacher");
  cluster.run("group", "add", "course", "ada");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// Somebody who asks whichever master is there.
function person(name) {
  const person = cluster.person(name, dir);
  const servers = cluster.masters.flatMap((server) => ["--server", server]);
  person.run("login", ...servers, "--ca", `${cluster.dir}/ca.pem`, "--user", name, "--password-file", `${dir}/${name}-password`);
  return person;
}

const micro = (beans) => Math.round(Number(beans) * 1e6);
const balance = (of = ada) => of.json("beans").own.micro;
const lines = (of = ada) => of.json("beans", "statement").lines;
const charged = (of = ada) => lines(of).reduce((sum, { cost }) => sum + Object.values(cost).reduce((a, b) => a + b, 0), 0);
const tallies = () => Object.entries(cluster.json("state").state.tallies ?? {});
const vnode = (vcluster = "lab") => ada.json("vc", "show", vcluster).vnodes[0];
// Burns CPU in the vnode for so long; ends by itself, also when its exec is cut off.
const burn = (seconds, vcluster = "lab") => ada.run("exec", `${vcluster}/host-0`, "--", "sh", "-c", `timeout ${seconds} sh -c 'while :; do :; done' >/dev/null 2>&1 & echo begun`);

// What agents keep, by vnode and epoch.
function kept() {
  const found = {};
  for (const worker of ["w1", "w2"]) {
    const files = `${cluster.dir}/${worker}/state/tallies`;
    if (!existsSync(files)) continue;
    for (const name of readdirSync(files).filter((name) => name.endsWith(".json"))) {
      found[name.match(/^v(.+)\.json$/)[1].replace("-", "@")] = JSON.parse(readFileSync(`${files}/${name}`, "utf8")).used;
    }
  }
  return found;
}

// All events about beans until now: up to a change that is made to end with.
let birth = 200;
function ledger() {
  birth += 1;
  const { index } = cluster.json("beans", "set", "--birth", String(birth));
  const found = [];
  const events = spawn(program, ["events", "--from", "1", "--format", "json"], { env: cluster.env, stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve) => {
    readline.createInterface({ input: events.stdout }).on("line", (line) => {
      const change = JSON.parse(line);
      found.push(...change.events.filter((event) => event.Bean).map(({ Bean }) => Bean));
      if (change.index < index) return;
      events.kill("SIGKILL");
      resolve(found);
    });
  });
}

test("nothing is counted until an admin turns beans on, and what ran before costs nothing", async () => {
  ada.refused(["beans"], /does not use beans: an admin turns them on/);
  ada.refused(["beans", "request", "100", "--reason", "more"], /does not use beans/);
  ada.run("vc", "create", "lab", "--vnodes", "1", ...SMALL, "--wait");
  burn(2);
  await until("load", () => ada.json("vc", "top", "lab")[0].usage?.totals.cpu_us > 300_000);
  assert.deepEqual(kept(), {});
  ada.refused(["beans", "set", "--on"], /needs the role admin/);
  cluster.refused(["beans", "set"], /nothing is to change/);
  cluster.refused(["beans", "set", "--on", "--grace", "soon"], /is no time/);
  cluster.run("beans", "set", "--on", "--birth", "150", "--grace", "1h", "--thresholds", "1000,500,149,0", "--every", "1s");
  await until("a purse", () => ada.json("beans").own?.balance === "150");
  const [[name, tally]] = await until("the first reading", () => { const all = tallies(); return all[0]?.[1].used && all; });
  assert.equal(name, `${vnode().id}@${vnode().epoch}`);
  assert.equal(tally.charged, "0");
  assert.match(cluster.run("beans", "rates", "show"), /^500 +seconds of one core/m);
  assert.match(ada.run("beans"), /^ada +150/m);
});

test("load is charged through killed agents, a killed leader and a move, to the millionth of what the agents count", async () => {
  const before = charged();
  burn(40);
  await until("a charge", () => charged() > before);
  const { worker, id, epoch } = vnode();
  // The agent dies in the middle, and comes back by hand of whoever looks after it.
  cluster.kill(worker);
  cluster.run("dev", "up");
  await until("charges after the agent was killed", () => charged() > before + 10_000);
  const leader = cluster.leader();
  cluster.kill(leader);
  const now = charged();
  await until("charges after the leader was killed", () => charged() > now + 10_000, 60_000);
  cluster.run("dev", "up");
  ada.run("vc", "move", "lab/host-0", "--cold", "--wait");
  const moved = vnode();
  assert.notEqual(moved.worker, worker);
  await until("the last of the old placement", () => !tallies().some(([name]) => name === `${id}@${epoch}`) && !(`${id}@${epoch}` in kept()));
  burn(20);
  const beneath = charged();
  await until("charges of the new placement", () => charged() > beneath + 2_000);
  ada.run("vc", "stop", "lab", "--wait");
  // What the masters have is what the agent has on its disk.
  const key = `${id}@${moved.epoch}`;
  await until("all to be recorded", () => {
    const found = tallies().find(([name]) => name === key)?.[1].used;
    const own = kept()[key];
    return found && own && found.cpu_ms === own.cpu_ms && found.run_ms === own.run_ms && found.network_bytes === own.network_bytes;
  });
  const charges = (await ledger()).filter((event) => event.Charged).map(({ Charged: { charge } }) => charge);
  assert.equal(new Set(charges.map((charge) => `${charge.id.index}.${charge.id.place}`)).size, charges.length, "each has a number of its own");
  const of = (epoch) => charges.filter((charge) => charge.about.vnode === id && charge.about.epoch === epoch);
  const sum = (list, part) => list.reduce((all, charge) => all + part(charge), 0);
  const own = kept()[key];
  assert.equal(sum(of(moved.epoch), ({ used }) => used.cpu_ms), own.cpu_ms);
  assert.equal(sum(of(moved.epoch), ({ used }) => used.run_ms), own.run_ms);
  assert.equal(sum(of(moved.epoch), ({ cost }) => cost.cpu), Math.floor((own.cpu_ms * 1e6) / (1000 * 500)));
  assert.ok(sum(of(epoch), ({ used }) => used.cpu_ms) > 3_000, "the load before the move");
  const costs = ({ cost }) => Object.values(cost).reduce((a, b) => a + b, 0);
  assert.equal(sum(charges, costs), charged());
  assert.equal(balance(), 150e6 - charged());
  const { stdout, stderr, code } = ada.try(["beans", "statement", "--verify"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /All lines are what the events of entries \d+ to \d+ say/);
  assert.match(stdout, /^lab\/host-0 .* yes$/m);
  const csv = ada.run("beans", "statement", "--csv").trim().split("\n");
  assert.deepEqual([csv[0].split(",")[2], csv[1].split(",")[2], csv[2].split(",")[2]], ["line", "credits", "lab/host-0"]);
  assert.ok((await ledger()).some((event) => event.RanLow?.threshold === 149));
});

test("without beans nothing starts, and what runs is stopped, the newest first", async () => {
  cluster.run("beans", "set", "--birth", "2");
  bob = person("bob");
  cluster.run("group", "add", "course", "bob");
  await until("bob's purse", () => bob.json("beans").own?.balance === "2");
  bob.run("vc", "create", "first", ...SMALL, "--wait");
  bob.run("vc", "create", "second", ...SMALL, "--wait");
  cluster.run("beans", "rates", "set", "--cpu", "1", "--cpu-memory", "1", "--whole-hours", "false");
  cluster.run("beans", "set", "--grace", "5s");
  bob.run("exec", "first/host-0", "--", "sh", "-c", "timeout 900 sh -c 'while :; do :; done' >/dev/null 2>&1 & echo begun");
  await until("nothing left", () => balance(bob) <= 0, 60_000);
  bob.refused(["vc", "create", "third", ...SMALL], /"bob" has -?[\d.]+ beans, and without beans nothing new is made, started/);
  assert.equal(bob.try(["vc", "scale", "first", "2"]).code, 4);
  await until("all stopped", () => bob.json("vc", "list").every(({ running }) => running === 0), 60_000);
  const stopped = (await ledger()).filter((event) => event.Stopped).map(({ Stopped }) => Stopped.about.vcluster);
  const ids = Object.fromEntries(bob.json("vc", "list").map(({ name, id }) => [name, id]));
  assert.deepEqual(stopped, [ids.second, ids.first]);
  bob.refused(["vc", "start", "first"], /without beans/);
  cluster.run("beans", "rates", "set", "--cpu", "500", "--cpu-memory", "2000000", "--whole-hours", "true");
});

test("who has few asks, and a manager gives of the purse of the group", async () => {
  bob.refused(["beans", "request", "99", "--reason", "more"], /100 to 5000 beans/);
  bob.run("beans", "request", "3000", "--reason", "homework");
  bob.refused(["beans", "request", "100", "--reason", "more"], /asked for 3000 beans already/);
  const [asked] = teacher.json("beans", "requests");
  assert.deepEqual([asked.user, asked.beans, asked.reason], ["bob", 3000, "homework"]);
  const number = String(asked.number);
  ada.refused(["beans", "approve", number], /needs the role admin/);
  teacher.refused(["beans", "approve", number, "--from", "course"], /has 0 beans, and 3000 are more/);
  cluster.run("beans", "grant", "--group", "course", "1000000");
  teacher.refused(["beans", "grant", "teacher", "1", "--from", "course"], /no user "teacher"|to themselves/);
  const had = balance(bob);
  teacher.run("beans", "approve", number, "--from", "course", "--reason", "fine");
  assert.equal(balance(bob), had + micro(3000));
  cluster.refused(["beans", "decline", number], /approved by teacher already/);
  teacher.run("beans", "grant", "bob", "900000", "--from", "course", "--reason", "spring");
  assert.match(teacher.run("beans"), /^group course +97000/m);
  assert.equal(bob.json("vc", "list").every(({ running }) => running === 0), true, "nothing starts by itself");
  bob.run("vc", "start", "first", "--wait");
  const [top] = cluster.json("beans", "top");
  assert.equal(top.name, "bob");
  teacher.refused(["beans", "top"], /needs the role admin/);
  for (const of of [ada, bob]) assert.equal(of.try(["beans", "statement", "--verify"]).code, 0);
  assert.equal(teacher.try(["beans", "statement", "--group", "course", "--verify"]).code, 0);
  ada.refused(["beans", "statement", "--user", "bob"], /no user "bob"/);
});

test("turned off nothing is counted or kept; an account that goes takes its purse along", async () => {
  cluster.run("beans", "set", "--off");
  await until("no tallies", () => Object.keys(kept()).length === 0);
  bob.refused(["beans"], /does not use beans/);
  cluster.run("beans", "set", "--on");
  cluster.run("user", "delete", "bob", "--with-data");
  await until("bob to be gone", () => !cluster.json("user", "list").some(({ name }) => name === "bob"), 60_000);
  assert.ok(!cluster.json("beans", "top").some(({ name }) => name === "bob"));
  assert.ok((await ledger()).some((event) => event.Closed));
});
