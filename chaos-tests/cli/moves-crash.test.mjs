// Moves while something dies: the old worker's agent, the new one's, the leader, at every step of every way. Afterwards the vnode
// runs once, with all its files, and nothing is left anywhere else.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import readline from "node:readline";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(33);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
const WAYS = (process.env.WAYS ?? "refresh,cold,live").split(",");
// What the log says when a step begins.
const STEPS = ["Begun", "Switching", "Placed", "Ended"];
const WHO = ["source", "target", "leader"];

let tree;

before(async () => {
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("vc", "create", "lab", ...SMALL, "--wait");
  sh("mkdir /root/tree; cd /root/tree; for i in 1 2 3 4 5 6 7 8; do mkdir -p d$i; dd if=/dev/urandom of=d$i/f bs=64k count=20 2>/dev/null; ln d$i/f d$i/same; ln -s f d$i/link; done; mknod pipe p; touch -d '2001-02-03' d1/old");
  tree = look();
});
after(() => cluster.down());

const sh = (script) => cluster.run("exec", "lab/host-0", "--", "sh", "-c", script);
const vnode = () => cluster.json("vc", "show", "lab").vnodes[0];

// All that is in its files and about them.
const look = () => sh("cd /root/tree; find . -type f | sort | xargs md5sum; find . | sort | xargs stat -c '%n %a %u %g %s %h %F %Y'");

// Kills the moment that the log says so; answers when it has.
function killAt(step, name) {
  const from = cluster.json("status").raft.applied + 1;
  const events = spawn(program, ["events", "--from", String(from), "--format", "json"], { env: cluster.env, stdio: ["ignore", "pipe", "ignore"] });
  const lines = readline.createInterface({ input: events.stdout });
  const pid = cluster.processes()[name];
  const killed = new Promise((resolve) => {
    lines.on("line", (line) => {
      if (line.includes(`"Moved":{"${step}"`)) {
        process.kill(pid, "SIGKILL");
        resolve(true);
      }
    });
    events.on("exit", () => resolve(false));
  });
  return { killed, end: () => events.kill("SIGKILL") };
}

for (const way of WAYS) {
  for (const who of WHO) {
    for (const step of STEPS) {
      test(`${way}: the ${who} dies at ${step}`, async () => {
        const { worker: from, id } = vnode();
        const to = from === "w1" ? "w2" : "w1";
        const name = { source: from, target: to, leader: cluster.leader() }[who];
        const watch = killAt(step, name);
        try {
          cluster.run("vc", "move", "lab/host-0", "--to", to, `--${way}`);
          assert.ok(await Promise.race([watch.killed, until(`${step} in the log`, () => false, 30_000)]));
        } finally {
          watch.end();
        }
        cluster.run("dev", "up");
        // It ends by itself, one way or the other.
        const settled = await until("an end", () => {
          const now = vnode();
          return !now.moving.is_open && now.phase === "running" && now;
        }, 60_000).catch((error) => {
          throw new Error(`${error.message}: ${JSON.stringify(vnode().moving)}${cluster.logs()}`);
        });
        assert.ok(["moved", "failed"].includes(settled.moving.stage), settled.moving.stage);
        assert.equal(settled.worker, settled.moving.stage === "moved" ? to : from);
        const here = Number(settled.worker.slice(1)) - 1;
        await until("one copy only", () => {
          const traces = cluster.traces();
          const [mine, others] = [traces[here], traces[1 - here]];
          const left = others.vnodes.length + others.cgroups.length + others.mounts.length + others.containers.length;
          return left === 0 && mine.vnodes.includes(`v${id}`) && traces.every(({ arriving }) => arriving.length === 0);
        }).catch((error) => {
          throw new Error(`${error.message}: ${JSON.stringify(cluster.traces(), null, 1)}${cluster.logs()}`);
        });
        assert.equal(look(), tree);
      });
    }
  }
}
