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
// What of the first placement had been used before beans were turned on.
let uncharged;

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
// What was granted and taken back, whatever is charged meanwhile: the last of what ran is told after it has stopped.
const given = (of) => lines(of).reduce((sum, { credit }) => sum + credit, 0);
const tallies = () => Object.entries(cluster.json("state").state.tallies ?? {});
const vnode = (vcluster = "lab") => ada.json("vc", "show", vcluster).vnodes[0];
// Burns CPU in the vnode for so long; ends by itself, also when its exec is cut off.
const burn = (seconds, vcluster = "lab") => ada.run("exec", `${vcluster}/host-0`, "--", "sh", "-c", `timeout ${seconds} sh -c 'while :; do :; done' >/dev/null 2>&1 & echo begun`);

const readIfThere = (file) => {
  try {
    return [readFileSync(file, "utf8")];
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return [];
  }
};

// What agents keep, by vnode and epoch.
function kept() {
  const found = {};
  for (const worker of ["w1", "w2"]) {
    const files = `${cluster.dir}/${worker}/state/tallies`;
    if (!existsSync(files)) continue;
    for (const name of readdirSync(files).filter((name) => name.endsWith(".json"))) {
      // One may go while it is looked at.
      const [text] = readIfThere(`${files}/${name}`);
      if (text) found[name.match(/^v(.+)\.json$/)[1].replace("-", "@")] = JSON.parse(text).used;
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
  uncharged = tally.used;
  assert.match(cluster.run("beans", "rates", "show"), /^500 +seconds of one core/m);
  assert.match(ada.run("beans"), /^ada +150/m);
});

const added = (list, part) => list.reduce((all, one) => all + part(one), 0);
const chargesOf = (events) => events.filter((event) => event.Charged).map(({ Charged: { charge } }) => charge);
const costOf = ({ cost }) => added(Object.values(cost), (one) => one);
const COUNTED = ["cpu_ms", "run_ms", "port_ms", "network_bytes"];

// That what the log charged for a placement, each dimension for itself, is what its agent has counted since `before`; answers that.
async function compared({ id, epoch }, before) {
  const key = `${id}@${epoch}`;
  const recorded = () => tallies().find(([name]) => name === key)?.[1].used;
  await until("all to be recorded", () => {
    const [found, own] = [recorded(), kept()[key]];
    return found && own && COUNTED.every((dimension) => found[dimension] === own[dimension]);
  });
  const [own, charges] = [kept()[key], chargesOf(await ledger())];
  assert.equal(new Set(charges.map(({ id }) => `${id.index}.${id.place}`)).size, charges.length, "each has a number of its own");
  const theirs = charges.filter(({ about }) => about.vnode === id && about.epoch === epoch);
  for (const dimension of COUNTED) assert.equal(added(theirs, ({ used }) => used[dimension]), own[dimension] - (before?.[dimension] ?? 0), dimension);
  const ofCpu = (used) => Math.floor(((used?.cpu_ms ?? 0) * 1e6) / (1000 * 500));
  assert.equal(added(theirs, ({ cost }) => cost.cpu), ofCpu(own) - ofCpu(before), "what CPU cost");
  assert.equal(added(charges, costOf), charged(), "the statement is all charges");
  assert.equal(balance(), 150e6 - charged(), "the purse is what is left of it");
  return { own, charges: theirs };
}

test("load is charged through killed agents and a killed leader, to the millionth of what the agents count", async () => {
  const before = charged();
  ada.run("port", "add", "lab/host-0", "80", "--public", "20081");
  burn(300);
  await until("a charge", () => charged() > before);
  const { worker, id, epoch } = vnode();
  // The agent dies in the middle, and comes back by hand of whoever looks after it; then the master that leads does.
  for (const [what, victim] of [["the agent", () => worker], ["the leader", () => cluster.leader()], ["the agent again", () => worker]]) {
    cluster.kill(victim());
    const now = charged();
    if (what === "the leader") await until("charges without it", () => charged() > now + 10_000, 60_000);
    cluster.run("dev", "up");
    await until(`charges after ${what} was killed`, () => charged() > now + 20_000, 60_000);
  }
  // What the meter of the worker says, from the counters of the container that ran through all of it.
  const meter = await until("the meter", () => ada.json("vc", "top", "lab")[0].usage?.totals.cpu_us);
  const read = performance.now();
  ada.run("vc", "stop", "lab", "--wait");
  const since = performance.now() - read;
  const { own, charges } = await compared({ id, epoch }, uncharged);
  assert.ok(charges.length > 3 && own.cpu_ms > 3_000, `${charges.length} charges of ${own.cpu_ms} ms`);
  assert.ok(own.port_ms > 0 && own.port_ms <= own.run_ms, `${own.port_ms} ms of one port in ${own.run_ms} ms`);
  // The first second of a placement may be counted by one of the two only.
  const low = meter / 1000 - 1_000;
  assert.ok(own.cpu_ms >= low && own.cpu_ms <= low + 2_000 + since, `${own.cpu_ms} ms charged, ${meter / 1000} ms metered ${Math.round(since)} ms before the end`);
});

test("a move ends one sum and begins another, and both are charged to the end", async () => {
  ada.run("vc", "start", "lab", "--wait");
  const { worker, id, epoch } = vnode();
  burn(20);
  const before = charged();
  await until("charges of what was started again", () => charged() > before + 2_000);
  ada.run("vc", "move", "lab/host-0", "--cold", "--wait");
  const moved = vnode();
  assert.notEqual(moved.worker, worker);
  await until("the last of the old placement", () => !tallies().some(([name]) => name === `${id}@${epoch}`) && !(`${id}@${epoch}` in kept()));
  burn(20);
  const beneath = charged();
  await until("charges of the new placement", () => charged() > beneath + 2_000);
  ada.run("vc", "stop", "lab", "--wait");
  const { own } = await compared(moved);
  assert.ok(own.port_ms > 0 && own.port_ms <= own.run_ms, `${own.port_ms} ms of one port in ${own.run_ms} ms`);
  const { stdout, stderr, code } = ada.try(["beans", "statement", "--verify"]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /All lines are what the events of entries \d+ to \d+ say/);
  assert.match(stdout, /^lab\/host-0 .* yes$/m);
  const statement = ada.json("beans", "statement");
  assert.equal(added(statement.days, ({ spent_micro, credit }) => credit - spent_micro), added(statement.lines, ({ amount }) => amount), "the days are the lines");
  const days = ada.run("beans", "statement", "--by-day", "--csv").trim().split("\n");
  assert.match(days[0], /^day,purse,cpu,.*,spent,credit$/);
  assert.match(days[1], /^\d{4}-\d\d-\d\d,ada,/);
  assert.match(ada.run("beans", "statement", "--by-day"), /rounding +spent +given/i);
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
  bob.run("beans", "request", "4000", "--reason", "homewrok");
  const mistaken = String(teacher.json("beans", "requests")[0].number);
  ada.refused(["beans", "withdraw", mistaken], /no request for beans/);
  bob.run("beans", "withdraw", mistaken);
  assert.deepEqual(teacher.json("beans", "requests"), []);
  bob.run("beans", "request", "3000", "--reason", "homework");
  bob.refused(["beans", "request", "100", "--reason", "more"], /asked for 3000 beans already/);
  const [asked] = teacher.json("beans", "requests");
  assert.deepEqual([asked.user, asked.beans, asked.reason], ["bob", 3000, "homework"]);
  const number = String(asked.number);
  ada.refused(["beans", "approve", number], /needs the role admin/);
  teacher.refused(["beans", "approve", number, "--from", "course"], /has 0 beans, and 3000 are more/);
  cluster.run("beans", "grant", "--group", "course", "1000000");
  teacher.refused(["beans", "grant", "teacher", "1", "--from", "course"], /no user "teacher"|to themselves/);
  const had = given(bob);
  teacher.run("beans", "approve", number, "--from", "course", "--reason", "fine");
  assert.equal(given(bob), had + micro(3000));
  cluster.refused(["beans", "decline", number], /approved by teacher already/);
  teacher.run("beans", "grant", "bob", "900000", "--from", "course", "--reason", "spring");
  const before = given(bob);
  teacher.refused(["beans", "take-back", "bob", "1", "--reason", "mine"], /needs the role admin/);
  cluster.refused(["beans", "take-back", "bob", "1000000", "--reason", "too many"], /take back no more than there are/);
  cluster.run("beans", "take-back", "bob", "70", "--reason", "given twice");
  assert.equal(given(bob), before - micro(70));
  assert.match(bob.run("notice", "list"), /70 beans were taken out of your purse/);
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
  cluster.run("user", "delete", "bob", "--with-data", "--now");
  await until("bob to be gone", () => !cluster.json("user", "list").some(({ name }) => name === "bob"), 60_000);
  assert.ok(!cluster.json("beans", "top").some(({ name }) => name === "bob"));
  assert.ok((await ledger()).some((event) => event.Closed));
});
