// Workers beside bare LXC and Incus, on the same root file system, in the same run, pairs interleaved. Prints a table and
// writes target/bench/workers.json. Agents set favordynmods for the whole machine (ADR 0049): peers that run beside them have it, too. PARTS picks among create, exec, scale, agent, hold; PAIRS sets how often.

import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { promisify } from "node:util";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster, program } = await import("../harness.mjs");
const { Bare, abreast } = await import("./bare.mjs");
const { Incus } = await import("./incus.mjs");
const { alone, compared, fromRest, report, timed } = await import("./report.mjs");

const PARTS = (process.env.PARTS ?? "create,exec,scale,agent,hold").split(",");
const PAIRS = Number(process.env.PAIRS ?? 15);
const BULK_PAIRS = Number(process.env.BULK_PAIRS ?? 3);
const HOLD = Number(process.env.HOLD ?? 500);
// Many fit on the machine only if each may use little of it; of one alone its work is measured, not its limit.
const SMALL = ["--cpu-milli", "10", "--memory-mib", "32", "--pids-max", "64"];
// A program that is run in a vnode works within the vnode's limit: with a hundredth of a core it takes seconds.
const ASKED = ["--cpu-milli", "30", "--memory-mib", "32", "--pids-max", "64"];
const ALONE = ["--cpu-milli", "1000", "--memory-mib", "64", "--pids-max", "64"];

const cluster = new Cluster(13);
const run = promisify(execFile);
const docklet = (...args) => run(program, args, { env: cluster.env });
const create = (name, vnodes, size = SMALL) => docklet("vc", "create", name, "--vnodes", String(vnodes), ...size, "--wait");
const remove = (name) => docklet("vc", "delete", "--now", name, "--wait");

// Runs `pair` once to warm up and then PAIRS times; each answers an object of times. Gives an array for each of its keys.
async function interleaved(pairs, pair) {
  const all = {};
  for (let turn = -1; turn < pairs; turn += 1) {
    const times = await pair(turn + 1);
    if (turn >= 0) for (const [key, ms] of Object.entries(times)) (all[key] ??= []).push(ms);
  }
  return all;
}

async function one(bare, incus) {
  bare.make("one");
  const first = await interleaved(BULK_PAIRS, async (turn) => {
    const ours = await fromRest(() => create(`f${turn}`, 1, ALONE));
    await remove(`f${turn}`);
    return { ours };
  });
  // The peers have their bridge and their image's files before; so have we with a vnode on each worker.
  await create("warm", 2);
  const { ours, lxc, theirs } = await interleaved(PAIRS, async (turn) => {
    const ours = await fromRest(() => create(`b${turn}`, 1, ALONE));
    await remove(`b${turn}`);
    const lxc = await fromRest(() => bare.start("one"));
    await bare.stop("one");
    const theirs = await fromRest(() => incus.launch(`b${turn}`));
    await incus.delete(`b${turn}`);
    return { ours, lxc, theirs };
  });
  await remove("warm");
  return [
    alone("the first vnode of a person on a worker: network, home and shifted image are made too", "ms", first.ours),
    compared("one busybox vnode, vc create --wait against lxc-start -d, unprivileged", "ms", ours, lxc, { most: 3 }),
    compared("the same against incus launch", "ms", ours, theirs, { times: 8 }),
  ];
}

async function exec(incus) {
  await create("e", 1, ALONE);
  await incus.launch("e");
  const { ours, theirs } = await interleaved(PAIRS * 2, async () => ({
    ours: await fromRest(() => docklet("exec", "e/host-0", "--", "true")),
    theirs: await fromRest(() => incus.exec("e", "true")),
  }));
  await remove("e");
  await incus.delete("e");
  return [compared("exec true through the public API against incus exec", "ms", ours, theirs, { times: 8 })];
}

async function scale(bare, incus) {
  const twenty = await interleaved(BULK_PAIRS, async (turn) => {
    const ours = await fromRest(() => create(`t${turn}`, 20));
    await remove(`t${turn}`);
    const names = Array.from({ length: 20 }, (_, n) => `t${turn}n${n}`);
    const theirs = await fromRest(() => abreast(20, names, (name) => incus.launch(name)));
    await abreast(8, names, (name) => incus.delete(name));
    return { ours, theirs };
  });
  const names = Array.from({ length: 100 }, (_, n) => `h${n}`);
  names.forEach((name) => bare.make(name));
  const hundred = await interleaved(BULK_PAIRS, async (turn) => {
    const ours = await fromRest(() => create(`h${turn}`, 100));
    await remove(`h${turn}`);
    const lxc = await fromRest(() => abreast(8, names, (name) => bare.start(name)));
    await abreast(8, names, (name) => bare.stop(name));
    return { ours, lxc };
  });
  return [
    compared("20 vnodes in one vcluster, request to all running, against 20 incus launch at once", "ms", twenty.ours, twenty.theirs, { times: 20 }),
    alone("100 vnodes in one vcluster, request to all running", "ms", hundred.ours, { most: 3_000 }),
    compared("the same against 100 lxc-start, 8 at a time, without network", "ms", hundred.ours, hundred.lxc),
  ];
}

// CPU seconds and resident MiB of a process.
function usage(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").slice(11, 13).map(Number);
  const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return { seconds: (user + system) / 100, mib: Number(resident[1]) / 1024 };
}

const agents = () => Object.entries(cluster.processes()).filter(([name]) => /^w\d/.test(name)).map(([, pid]) => pid);

// All on one worker would be 100; here each of two agents has its half, so both are added up.
async function agent() {
  await create("a", 100);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const before = agents().map(usage);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  const after = agents().map(usage);
  await remove("a");
  const percent = after.map((now, n) => ((now.seconds - before[n].seconds) / 20) * 100);
  return [
    alone("agents with 100 vnodes in all, idle: the larger one, resident", "MiB", [Math.max(...after.map((now) => now.mib))], { most: 40 }),
    alone("agents with 100 vnodes in all, idle: both, of a core", "%", [percent.reduce((sum, part) => sum + part, 0)], { most: 2 }),
  ];
}

async function hold() {
  // Their disks may hold more in all than there is, and hold next to nothing.
  await docklet("worker", "overcommit", "--disk", "100000");
  const free = () => Number(/MemAvailable:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))[1]) / 1024;
  const before = free();
  const groups = Array.from({ length: Math.ceil(HOLD / 100) }, (_, n) => `i${n}`);
  const took = await timed(async () => {
    for (const name of groups) await create(name, 100, ASKED);
  });
  const used = before - free();
  let answered = 0;
  const vnodes = groups.flatMap((name) => Array.from({ length: 100 }, (_, n) => `${name}/host-${n}`));
  await abreast(8, vnodes, async (vnode) => {
    await docklet("exec", vnode, "--", "true");
    answered += 1;
  });
  for (const name of groups) await remove(name);
  return [
    alone("idle vnodes held on this machine, all answering", "vnodes", [answered], { least: HOLD }),
    alone("making them, 100 at a time", "s", [took / 1_000]),
    alone("memory of each", "MiB", [used / vnodes.length]),
  ];
}

function unpacked() {
  const stores = ["w1", "w2"].map((worker) => `${cluster.dir}/${worker}/state/images`);
  return stores.flatMap((dir) => readdirSync(dir).map((name) => `${dir}/${name}/rootfs`))[0];
}

cluster.up();
let [bare, incus] = [];
try {
  await create("warm", 2);
  await remove("warm");
  const wants = (...parts) => parts.some((part) => PARTS.includes(part));
  if (wants("create", "scale")) bare = new Bare(unpacked());
  if (wants("create", "exec", "scale")) incus = await Incus.start(unpacked());
  const parts = { create: () => one(bare, incus), exec: () => exec(incus), scale: () => scale(bare, incus), agent, hold };
  const measures = [];
  for (const part of PARTS) measures.push(...(await parts[part]()));
  report("workers", measures, { pairs: PAIRS, bulk_pairs: BULK_PAIRS });
} finally {
  await bare?.remove();
  await incus?.remove();
  cluster.down();
}
