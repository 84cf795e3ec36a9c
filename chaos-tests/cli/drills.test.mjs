// Drills on real processes: a stopped leader, cut networks, the operator's terminal killed, the runner killed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(22);

before(() => cluster.up());
beforeEach(async () => {
  cluster.run("dev", "up");
  await until("a cluster that is well", () => cluster.try(["drill", "leader-loss", "--max-gap", "100s"], { input: "" }).stderr.includes("say --yes"));
});
after(() => cluster.down());

const drills = () => cluster.json("drill", "list");
const bounds = (fault, gap) => ["--for", fault, "--max-gap", gap, "--announce", "0s", "--yes"];

// Runs a drill to its end; answers its record and prints what it cost.
function drill(kind, ...options) {
  const { code, stdout, stderr } = cluster.try(["drill", kind, ...options, "--wait", "--format", "json"]);
  assert.ok(stdout, stderr + cluster.logs());
  const view = JSON.parse(stdout);
  tell(view);
  return { code, view };
}

function tell({ kind, verdict, figures, reasons }) {
  console.log(`${kind}: ${verdict}; write gap ${figures.write_gap_ms} ms (usually ${figures.write_gap_before_ms}), next write after ${figures.resumed_ms} ms, healed after ${figures.healed_ms} ms, lost ${figures.probes_lost} of ${figures.probes_acked}; ${reasons.join("; ")}`);
}

function passed({ code, view }) {
  assert.equal(view.verdict, "passed", view.reasons.join("; "));
  assert.equal(code, 0);
  assert.equal(view.figures.probes_lost, 0);
  assert.deepEqual(view.checks.map(({ missing }) => missing), [0, 0, 0]);
  assert.equal(new Set(view.checks.map(({ state_hash }) => state_hash)).size, 1, "equal states");
}

const ended = (id, ms = 40_000) => until(`end of drill ${id}`, () => {
  const view = cluster.json("drill", "show", String(id));
  return view.verdict && view;
}, ms);

// Starts a drill with a terminal that stays; answers its process and the drill's number once the fault is on.
async function attached(kind, ...options) {
  const before = drills()[0]?.id ?? 0;
  const terminal = spawn(program, ["drill", kind, ...options, "--wait"], { env: cluster.env, stdio: "ignore" });
  const view = await until("the fault", () => drills().find(({ id, stage }) => id > before && stage === "fault"));
  return { terminal, view };
}

test("a stopped leader is replaced in time and nothing acknowledged is lost", () => {
  const leader = cluster.leader();
  const ran = drill("leader-loss", ...bounds("3s", "3s"));
  passed(ran);
  assert.deepEqual(ran.view.targets, [leader]);
  assert.notEqual(ran.view.leader_after, leader);
  assert.ok(ran.view.figures.held_ms >= 3_000);
  assert.ok(ran.view.probers.some(({ prober }) => prober === "command line"), "measured as a client sees it");
});

test("a leader that is cut off, both ways", () => passed(drill("partition", ...bounds("2s", "3s"))));

test("without a quorum nobody writes, vnodes go on, and writes come back by themselves", () => {
  cluster.run("vc", "create", "through", "--vnodes", "2", "--wait");
  const ran = drill("quorum-loss", ...bounds("3s", "7s"));
  passed(ran);
  assert.ok(ran.view.figures.write_gap_ms >= 2_500, "there was no quorum");
  assert.equal(ran.view.figures.vnodes_after, 2);
  assert.ok(ran.view.probers.find(({ prober }) => prober === "command line").figures.local_read_gap_ms < 2_500, "reads of local state go on");
  cluster.run("vc", "delete", "--now", "through", "--wait");
});

test("the operator's terminal is killed in the middle: the drill ends and heals by itself", async () => {
  // Long enough before the fault for its own probes to be in the record.
  const { terminal, view } = await attached("leader-loss", "--for", "3s", "--max-gap", "3s", "--announce", "2s", "--yes");
  terminal.kill("SIGKILL");
  const end = await ended(view.id);
  tell(end);
  assert.equal(end.verdict, "passed", end.reasons.join("; "));
  assert.deepEqual(end.gone, ["command line"]);
});

test("the master that runs it is killed in the middle: the targets heal, the next leader aborts and says so", async () => {
  const { terminal, view } = await attached("quorum-loss", ...bounds("20s", "40s"));
  const runner = view.runner;
  cluster.kill(runner);
  const end = await ended(view.id);
  tell(end);
  assert.equal(end.verdict, "aborted", end.reasons.join("; "));
  assert.match(end.aborted, new RegExp(`${runner}, which ran it, was lost`));
  assert.ok(end.faults.every(({ held_ms }) => held_ms < 8_000), JSON.stringify(end.faults));
  terminal.kill("SIGKILL");
});

test("aborted without a quorum, by another command", async () => {
  const { terminal, view } = await attached("quorum-loss", ...bounds("20s", "40s"));
  cluster.run("drill", "abort", String(view.id));
  const end = await ended(view.id);
  tell(end);
  assert.equal(end.verdict, "aborted", end.reasons.join("; "));
  terminal.kill("SIGKILL");
});

test("a backup is restored beside the cluster, on a master that does not lead, and nobody notices", () => {
  cluster.run("vc", "create", "kept", "--vnodes", "2", "--wait");
  const leader = cluster.leader();
  const ran = drill("restore", ...bounds("60s", "3s"));
  passed(ran);
  const { id, restored, steps, figures, faults } = ran.view;
  console.log(`restored: ${JSON.stringify(restored)}`);
  assert.ok(restored.same_state && restored.index >= id && restored.bytes > 1_000);
  assert.equal(figures.elections, 0);
  assert.deepEqual(faults, []);
  const by = steps.find(({ text }) => text.includes("restored it beside the cluster")).text.split(" ")[0];
  assert.ok(["m1", "m2", "m3"].includes(by) && by !== leader, by);
  for (const master of ["m1", "m2", "m3"]) assert.ok(!existsSync(`${cluster.dir}/${master}/rehearsal`), "nothing is left of it");
  assert.match(cluster.run("drill", "list"), new RegExp(`${id} +restore .* passed`));
  assert.match(cluster.run("drill", "show", String(id)), /restored in +\d/);
  assert.deepEqual(cluster.json("vc", "list").map(({ name }) => name), ["kept"]);
  cluster.run("vc", "delete", "--now", "kept", "--wait");
});

test("a master killed while it tries a backup out: the drill fails, ends by itself, and nothing is left after a start", async () => {
  const { terminal, view } = await attached("restore", ...bounds("5s", "5s"));
  const restorer = ["m1", "m2", "m3"].find((name) => name !== view.leader_before);
  cluster.kill(restorer);
  const end = await ended(view.id, 60_000);
  tell(end);
  assert.equal(end.verdict, "failed", "it did not do it, or did not say what it has");
  assert.ok(end.reasons.length > 0);
  assert.equal(end.figures.probes_lost, 0);
  terminal.kill("SIGKILL");
  cluster.run("dev", "up");
  await until("a cluster that is well", () => cluster.try(["drill", "restore", "--max-gap", "100s"], { input: "" }).stderr.includes("say --yes"));
  passed(drill("restore", ...bounds("60s", "5s")));
  for (const master of ["m1", "m2", "m3"]) assert.ok(!existsSync(`${cluster.dir}/${master}/rehearsal`), "nothing is left of either");
});

test("a worker's loss is told to everybody before anything happens, and can be called off until then", async () => {
  cluster.run("drill", "worker-loss", "--worker", "w2", "--for", "10s", "--announce", "60s", "--yes");
  const [{ id, stage }] = drills();
  assert.equal(stage, "announced");
  assert.equal(cluster.json("status").notice.text, "A drill is announced: worker w2 lets nothing in or out for up to 10 s, as if it was lost. Its vnodes cannot be reached meanwhile, and go on.");
  cluster.run("drill", "abort", String(id));
  const end = await ended(id);
  assert.equal(end.verdict, "aborted");
  assert.deepEqual([end.loss.down_ms, end.loss.held_ms, end.loss.vnodes], [null, null, []]);
  assert.equal(cluster.json("status").notice, null);
});

test("a worker that looks lost: what is to begin anew elsewhere does, the rest waits, all runs afterwards", async () => {
  cluster.run("vc", "create", "waits", "--vnodes", "2", "--wait");
  cluster.run("vc", "create", "moves", "--vnodes", "2", "--on-lost", "restart", "--wait");
  const ask = ["drill", "worker-loss", "--worker", "w2", "--announce", "2s", "--yes"];
  const dear = await until("a promise of the worker to end it", () => {
    const ran = cluster.try([...ask, "--max-gap", "3s", "--for", "20s"]);
    if (ran.code === 0) cluster.run("drill", "abort", String(drills()[0].id));
    return ran.code !== 0 && !ran.stderr.includes("is under way") && ran;
  });
  assert.equal(dear.code, 4, dear.stderr);
  assert.match(dear.stderr, /1 of the vnodes of w2 would begin anew elsewhere.* --on-lost wait/);
  assert.equal(cluster.try([...ask, "--for", "2s"]).code, 2, "too short to be found out");
  const ran = drill("worker-loss", ...ask.slice(2), "--max-gap", "30s", "--for", "20s");
  passed(ran);
  const { loss, figures, targets } = ran.view;
  console.log(`worker lost: ${JSON.stringify(loss)}`);
  assert.deepEqual(targets, ["w2"]);
  assert.ok(loss.held_ms >= 20_000 && loss.down_ms < 10_000, "found out in time");
  assert.deepEqual([figures.vnodes_before, figures.vnodes_after, figures.elections], [4, 4, 0]);
  const seen = Object.fromEntries(loss.vnodes.map(({ vnode, ...rest }) => [vnode, rest]));
  assert.deepEqual(Object.keys(seen).sort(), ["moves/host-1", "waits/host-1"]);
  assert.equal(seen["moves/host-1"].went_to, "w1");
  assert.ok(seen["moves/host-1"].again_ms > 5_000 && seen["moves/host-1"].unreached_ms > 5_000, "not before its old worker has ended it");
  assert.equal(seen["waits/host-1"].again_ms, null);
  assert.ok(seen["waits/host-1"].unreached_ms > 15_000, "nobody reached it");
  assert.equal(cluster.run("exec", "waits/host-1", "--", "hostname").trim(), "host-1", "and it went on");
  const ordered = ran.view.steps.find(({ text }) => text.startsWith("fault ordered")).at;
  assert.ok(ordered - ran.view.announced_at >= 2_000, "announced as long as was said");
  // All of it is kept, whoever is asked afterwards.
  cluster.kill("m1", "m2", "m3");
  cluster.run("dev", "up");
  assert.deepEqual(cluster.json("drill", "show", String(ran.view.id)), ran.view);
  assert.match(cluster.run("drill", "list"), new RegExp(`${ran.view.id} +worker-loss .* passed`));
});

test("a worker's loss that is aborted is over at once", async () => {
  const { terminal, view } = await attached("worker-loss", "--worker", "w2", "--announce", "0s", "--for", "60s", "--yes");
  await until("the loss to be found out", () => cluster.json("drill", "show", String(view.id)).loss.down_ms !== null);
  cluster.run("drill", "abort", String(view.id));
  const end = await ended(view.id);
  tell(end);
  assert.equal(end.verdict, "aborted", end.reasons.join("; "));
  assert.ok(end.loss.held_ms < 30_000, `${end.loss.held_ms}`);
  terminal.kill("SIGKILL");
});

test("an agent that is started anew meanwhile is back, and does not do it again", async () => {
  const { terminal, view } = await attached("worker-loss", "--worker", "w2", "--announce", "0s", "--for", "60s", "--yes");
  await until("the loss to be found out", () => cluster.json("drill", "show", String(view.id)).loss.down_ms !== null);
  cluster.kill("w2");
  cluster.run("dev", "up");
  const end = await ended(view.id);
  tell(end);
  assert.equal(end.verdict, "failed", end.reasons.join("; "));
  assert.match(end.reasons.join(), /worker w2 did not do as ordered: the order was there before/);
  terminal.kill("SIGKILL");
  for (const name of ["waits", "moves"]) cluster.run("vc", "delete", "--now", name, "--wait");
});

test("a second drill, one that costs more than is accepted, and one on an unwell cluster are refused", async () => {
  const cheap = cluster.try(["drill", "quorum-loss", "--for", "5s", "--max-gap", "2s", "--yes"]);
  assert.equal(cheap.code, 4, cheap.stderr);
  assert.match(cheap.stderr, /would stop writes for about .* and you accept 2000 ms/);
  cluster.run("drill", "partition", "--for", "1s", "--announce", "60s", "--yes");
  const [first] = drills();
  const second = cluster.try(["drill", "leader-loss", "--yes"]);
  assert.equal(second.code, 4, second.stderr);
  assert.match(second.stderr, new RegExp(`drill ${first.id} is under way`));
  assert.match(cluster.json("status").notice.text, /A drill is announced: .* is cut off/);
  cluster.run("drill", "abort", String(first.id));
  assert.equal((await ended(first.id)).verdict, "aborted");
  cluster.kill(["m1", "m2", "m3"].find((name) => name !== cluster.leader()));
  const unwell = await until("a refusal", () => {
    const ran = cluster.try(["drill", "partition", "--for", "1s"], { input: "" });
    return ran.stderr.includes("not well enough") && ran;
  });
  assert.equal(unwell.code, 4, unwell.stderr);
});
