// Throughput of one TCP stream between two vnodes on two workers, over VXLAN, bridges, guards and devices, beside one between
// the same workers' own namespaces, over nothing but the veth pairs that join them. Pairs are interleaved; the ratio is
// taken pair by pair. Prints a table and writes target/bench/workers-network.json.

import { execFileSync, spawn, spawnSync } from "node:child_process";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster } = await import("../harness.mjs");
const { compared, report } = await import("./report.mjs");
const { ofVnode } = await import("./inside.mjs");

const PAIRS = Number(process.env.PAIRS ?? 7);
const SECONDS = Number(process.env.SECONDS ?? 3);
const GOAL = 0.8;
const INSTANCE = 14;
const cluster = new Cluster(INSTANCE);

// Words that run what follows in the network namespace of a worker.
const ofWorker = (number) => ["nsenter", `--net=/run/netns/dkdev${INSTANCE}-w${number}`];

// Mbit/s that arrive at `address`.
function stream(from, to, address) {
  const server = spawn(to[0], [...to.slice(1), "iperf3", "--server", "--one-off"], { stdio: "ignore" });
  try {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const ran = spawnSync(from[0], [...from.slice(1), "iperf3", "--client", address, "--time", String(SECONDS), "--json"], { encoding: "utf8" });
      const said = JSON.parse(ran.stdout);
      if (!said.error) return said.end.sum_received.bits_per_second / 1e6;
      if (!said.error.includes("refused")) throw new Error(said.error);
      // The server is not listening yet.
    }
    throw new Error("the server never listens");
  } finally {
    server.kill();
  }
}

cluster.up();
try {
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  const lab = JSON.parse(cluster.run("vc", "show", "lab", "--format", "json"));
  const [one, two] = lab.vnodes.map((vnode) => ({ space: ofVnode(INSTANCE, vnode.worker, vnode.id), address: vnode.address, worker: vnode.worker }));
  if (one.worker === two.worker) throw new Error("both vnodes are on one worker");
  const workers = [1, 2].map((number) => ({ space: ofWorker(number), address: `10.211.${INSTANCE}.${10 + number}` }));
  const [ours, plain] = [[], []];
  for (let pair = -1; pair < PAIRS; pair += 1) {
    const vxlan = stream(one.space, two.space, two.address);
    const veth = stream(workers[0].space, workers[1].space, workers[1].address);
    if (pair >= 0) {
      ours.push(vxlan);
      plain.push(veth);
    }
  }
  const name = "one TCP stream between vnodes on two workers, against plain veth between the workers' namespaces";
  const measure = compared(name, "Mbit/s", ours, plain, { least: GOAL });
  const iperf3 = execFileSync("iperf3", ["--version"], { encoding: "utf8" }).split("\n")[0];
  report("workers-network", [measure], { iperf3, pairs: PAIRS, seconds: SECONDS });
} finally {
  cluster.down();
}
