// From `vc create --wait` of one busybox vnode to running, beside a bare lxc-start of the same root file system.
// Pairs are interleaved; the ratio is taken pair by pair. Prints a table and writes target/bench/start.json.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

process.env.DOCKLET_PROFILE ??= "release";
const { Cluster, root } = await import("../harness.mjs");

const PAIRS = Number(process.env.PAIRS ?? 25);
const GOAL = 5;
const cluster = new Cluster(13);

if (!existsSync("/usr/bin/lxc-start")) {
  execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "lxc"], { stdio: "ignore" });
}

function timed(act) {
  const begun = process.hrtime.bigint();
  act();
  return Number(process.hrtime.bigint() - begun) / 1e6;
}

// The peer: an unprivileged container on a copy of the image, started by liblxc's own program.
class Peer {
  constructor() {
    this.dir = mkdtempSync("/var/lib/docklet-bench-");
    execFileSync("chmod", ["711", this.dir]);
    const images = `${cluster.dir}/w1/state/images`;
    const rootfs = [images, images.replace("/w1/", "/w2/")].flatMap((dir) => readdirSync(dir).map((name) => `${dir}/${name}/rootfs`))[0];
    execFileSync("cp", ["-a", rootfs, `${this.dir}/rootfs`]);
    execFileSync("mkdir", [`${this.dir}/bare`]);
    const config = [
      `lxc.rootfs.path = dir:${this.dir}/rootfs`,
      "lxc.rootfs.options = idmap=container",
      "lxc.idmap = u 0 1000000 65536",
      "lxc.idmap = g 0 1000000 65536",
      "lxc.net.0.type = empty",
      "lxc.init.cmd = /sbin/init",
      "lxc.tty.max = 0",
      "lxc.mount.auto = proc:mixed sys:ro",
    ];
    writeFileSync(`${this.dir}/bare/config`, `${config.join("\n")}\n`);
  }

  run(program, ...args) {
    const ran = spawnSync(`/usr/bin/${program}`, ["-P", this.dir, "-n", "bare", ...args], { env: { PATH: "/nowhere" }, encoding: "utf8" });
    if (ran.status !== 0) throw new Error(`${program}: ${ran.stderr}`);
  }

  start() {
    this.run("lxc-start", "-d");
  }

  stop() {
    this.run("lxc-stop", "-k");
  }

  remove() {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const round = (number) => Math.round(number * 100) / 100;

cluster.up();
let peer;
try {
  peer = new Peer();
  const [ours, bare] = [[], []];
  // Two pairs to warm up: the image is fetched to both workers, caches are filled.
  for (let pair = -2; pair < PAIRS; pair += 1) {
    const name = `b${pair + 2}`;
    const create = timed(() => cluster.run("vc", "create", name, "--wait"));
    cluster.run("vc", "delete", name, "--wait");
    const start = timed(() => peer.start());
    peer.stop();
    if (pair >= 0) {
      ours.push(create);
      bare.push(start);
    }
  }
  const ratios = ours.map((ms, pair) => ms / bare[pair]);
  const measure = {
    measure: "one busybox vnode: vc create --wait against lxc-start -d, unprivileged, same files",
    ours: round(median(ours)),
    peer: round(median(bare)),
    unit: "ms",
    ratio_median: round(median(ratios)),
    ratio_min: round(Math.min(...ratios)),
    ratio_max: round(Math.max(...ratios)),
    goal: GOAL,
    met: median(ratios) <= GOAL,
  };
  const version = (program, ...args) => execFileSync(program, args, { encoding: "utf8" }).trim();
  const head = {
    machine: { cores: os.cpus().length, cpu: os.cpus()[0]?.model, memory_mib: Math.round(os.totalmem() / 2 ** 20), kernel: os.release() },
    versions: { docklet: version(path.join(root, "target", process.env.DOCKLET_PROFILE, "docklet"), "--version"), lxc: version("/usr/bin/lxc-start", "--version") },
    pairs: PAIRS,
  };
  console.table([measure]);
  mkdirSync(path.join(root, "target", "bench"), { recursive: true });
  writeFileSync(path.join(root, "target", "bench", "start.json"), `${JSON.stringify({ ...head, measures: [measure] }, null, 2)}\n`);
} finally {
  peer?.remove();
  cluster.down();
}
