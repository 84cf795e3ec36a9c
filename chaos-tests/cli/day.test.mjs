// A day in the life of somebody new, from the first request to the last line of the audit: one scene after the other on one
// cluster. Days pass where libfaketime is installed.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { DAY_MS, clocks, pass, upWithClocks } from "../clocks.mjs";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(45);
const eve = new Cluster(cluster.instance);
const SMALL = ["--cpu-milli", "1000", "--memory-mib", "32", "--pids-max", "64", "--disk", "64MiB"];
let dir;

before(async () => {
  dir = mkdtempSync("/var/tmp/docklet-day-test-");
  writeFileSync(`${dir}/password`, "eve's long password\n");
  eve.env = { ...eve.env, DOCKLET_CONTEXT: `${dir}/eve.toml` };
  upWithClocks(cluster);
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  // A second of one core is a bean, so that one sees them go.
  cluster.run("beans", "rates", "set", "--cpu", "1", "--whole-hours", "false");
  cluster.run("beans", "set", "--on", "--birth", "12", "--thresholds", "10,0", "--every", "1s");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const titles = (who) => who.json("notice", "list").notices.map(({ title }) => title);
const balance = () => eve.json("beans").own.micro / 1e6;
const lab = () => eve.json("vc", "show", "lab");
const inside = (...command) => eve.run("exec", "lab/host-0", "--", ...command);
const ca = () => ["--ca", `${cluster.dir}/ca.pem`];
const logIn = () => eve.try(["login", ...cluster.masters.flatMap((server) => ["--server", server]), ...ca(), "--user", "eve", "--password-file", `${dir}/password`]);

test("a stranger asks for an account, an admin is told and approves, and she is welcome", () => {
  const ask = ["register", "--server", cluster.masters[0], ...ca(), "--user", "eve", "--real-name", "Eve Adams", "--mail", "eve@example.org", "--reason", "networks 101", "--password-file", `${dir}/password`];
  eve.refused(ask, /takes no requests for accounts/);
  cluster.run("user", "registration", "open");
  eve.run(...ask);
  assert.match(logIn().stderr, /your request for an account waits/);
  assert.equal(titles(cluster)[0], "eve asks for an account");
  const [{ id }] = cluster.json("user", "requests");
  cluster.run("user", "approve", String(id));
  assert.equal(logIn().code, 0);
  assert.deepEqual(titles(eve), ["Your account is ready"]);
});

test("she makes her first vcluster and meets her quota, which says by how much", () => {
  cluster.run("quota", "set", "--user", "eve", "--vnodes", "2");
  assert.equal(titles(eve)[0], "Your quota was changed");
  eve.run("vc", "create", "lab", ...SMALL, "--wait");
  inside("sh", "-c", "echo the first sheet > /root/homework");
  const told = eve.refused(["vc", "scale", "lab", "4"], /vnodes: 1 used, 3 more wanted, 2 allowed \(own\)/);
  assert.match(told, /ask a manager of your group or an admin for more/);
  assert.equal(lab().vnodes.length, 1);
});

test("her work costs beans, and she is told before they are gone", async () => {
  assert.ok(balance() > 11);
  // It ends when she has seen enough, or by itself.
  inside("sh", "-c", "timeout 100 sh -c 'while [ ! -e /tmp/enough ]; do :; done' >/dev/null 2>&1 & echo begun");
  await until("beans to run low", () => titles(eve)[0] === "You have 10 beans left, or fewer", 60_000);
  inside("touch", "/tmp/enough");
  assert.ok(balance() <= 10);
});

test("she asks for more, an admin is told and grants them, and so is she", () => {
  eve.run("beans", "request", "500", "--reason", "the second sheet");
  assert.equal(titles(cluster)[0], "eve asks for 500 beans");
  const [asked] = cluster.json("beans", "requests");
  assert.deepEqual([asked.user, asked.beans, asked.reason], ["eve", 500, "the second sheet"]);
  cluster.run("beans", "approve", String(asked.number), "--reason", "good luck");
  const [told] = eve.json("notice", "list").notices;
  assert.deepEqual([told.title, told.body], ["The 500 beans that you asked for are yours", "admin: good luck"]);
  assert.ok(balance() > 500);
});

test("what does nothing for as long as her quota says is stopped by itself, and she starts it again", async () => {
  cluster.run("quota", "set", "--user", "eve", "--idle", "1m");
  await until("it to be stopped", () => titles(eve)[0] === "Vcluster lab was stopped", 150_000);
  await until("it to stand still", () => lab().phase === "stopped");
  eve.run("vc", "start", "lab", "--wait");
  assert.equal(inside("cat", "/root/homework"), "the first sheet\n");
});

test("what stands still for days is going to be released, and she is warned", { skip: !clocks && "there is no libfaketime" }, async () => {
  cluster.run("setting", "set", "trash", '{"undo_minutes":10,"release":{"warn_after_days":7,"grace_days":7,"keep_days":30}}');
  eve.run("vc", "stop", "lab", "--wait");
  pass(cluster, 8);
  const told = await until("a warning", () => eve.json("notice", "list").notices.find(({ title }) => /^Vcluster lab goes on \d{4}-\d\d-\d\d$/.test(title)));
  const goes = Date.parse(told.title.split(" ").at(-1));
  assert.ok(goes > Date.now() + 13 * DAY_MS && goes < Date.now() + 16 * DAY_MS, told.title);
  assert.match(told.body, /Start it once to keep it/);
});

test("it goes when that day comes, and she has it back from the trash", { skip: !clocks && "there is no libfaketime" }, async () => {
  pass(cluster, 16);
  await until("it to be gone", () => eve.json("vc", "list").length === 0);
  assert.equal(titles(eve)[0], "Vcluster lab was deleted, as nobody started it");
  const [kept] = eve.json("trash", "list");
  assert.deepEqual([kept.kind, kept.name], ["vcluster", "lab"]);
  eve.run("trash", "restore", "lab");
  eve.run("vc", "start", "lab", "--wait");
  assert.equal(inside("cat", "/root/homework"), "the first sheet\n");
  assert.deepEqual(eve.json("trash", "list"), []);
});

test("she deletes it, thinks better of it, and has everything back", () => {
  eve.run("vc", "delete", "lab", "--wait");
  assert.deepEqual(eve.json("vc", "list"), []);
  assert.deepEqual(eve.json("trash", "list").map(({ name }) => name), ["lab"]);
  eve.run("trash", "restore", "lab");
  eve.run("vc", "start", "lab", "--wait");
  assert.equal(inside("cat", "/root/homework"), "the first sheet\n");
  assert.deepEqual(eve.json("trash", "list"), []);
});

test("her statement is what the events say, month by month", () => {
  const { months } = eve.json("beans", "statement");
  assert.ok(months.length > 0);
  for (const month of months) {
    const { code, stdout, stderr } = eve.try(["beans", "statement", "--month", month, "--verify"]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /All lines are what the events of entries \d+ to \d+ say/);
    if (month === months[0]) assert.match(stdout, /^lab\/host-0 .* yes$/m);
  }
  const statements = months.map((month) => eve.json("beans", "statement", "--month", month));
  for (const { month, begins_micro, lines, ends_micro } of statements) {
    assert.equal(lines.reduce((sum, { amount }) => sum + amount, begins_micro), ends_micro, month);
  }
  eve.refused(["beans", "statement", "--user", "admin"], /no user "admin"/);
});

test("the audit tells her the whole day in order, and holds", () => {
  const records = eve.json("audit", "list", "--limit", "500").records.toReversed();
  const who = (record) => record.who.user?.name ?? (record.who === "cluster" ? "the cluster" : "a master");
  const beside = ["OpenLogin", "OpenPurses", "PlaceVnodes", "RunProgram"];
  const told = records.filter(({ command }) => !beside.includes(command));
  const released = [["eve", "StopVcluster"], ["the cluster", "WarnOfRelease"], ["the cluster", "ReleaseVclusters"], ["eve", "UndeleteVcluster"], ["eve", "StartVcluster"]];
  assert.deepEqual(told.map((record) => [who(record), record.command]), [
    ["admin", "ApproveAccount"],
    ["admin", "SetQuotaOfUser"],
    ["eve", "CreateVclusterWith"],
    ["eve", "RequestBeans"],
    ["admin", "ApproveBeans"],
    ["admin", "SetQuotaOfUser"],
    ["the cluster", "StopIdle"],
    ["eve", "StartVcluster"],
    ...(clocks ? released : []),
    ["eve", "DiscardVcluster"],
    ["eve", "UndeleteVcluster"],
    ["eve", "StartVcluster"],
  ]);
  const programs = records.filter(({ command }) => command === "RunProgram").map(({ things }) => things[1]);
  assert.deepEqual(programs, ["sh", "sh", "touch", "cat", ...(clocks ? ["cat"] : []), "cat"].map((name) => `program ${name}`));
  const times = records.map(({ at }) => at);
  assert.deepEqual(times, times.toSorted((one, other) => one - other));
  if (clocks) {
    const [stopped, warned, gone] = released.map(([, wanted]) => records.find(({ command }) => command === wanted).at);
    assert.ok(warned - stopped > 7 * DAY_MS && warned - stopped < 9 * DAY_MS);
    assert.ok(gone - warned > 7 * DAY_MS && gone - warned < 9 * DAY_MS);
  }
  assert.match(cluster.run("audit", "verify"), /and the cluster has the same/);
});
