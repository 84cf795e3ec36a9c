// Words that run what follows them in the network namespace of a vnode.

import { readFileSync, readdirSync } from "node:fs";

export function ofVnode(instance, worker, vnode) {
  const inside = `/dkdev${instance}-${worker}/v${vnode}/lxc.payload`;
  const runs = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(inside);
    } catch {
      return false; // It ended meanwhile.
    }
  };
  const pid = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).find(runs);
  if (!pid) throw new Error(`vnode ${vnode} does not run on worker ${worker}`);
  return ["nsenter", "-t", pid, "--net"];
}
