// Clusters on which days pass, where libfaketime is installed: each process reads from a file of its own how far its clock is
// ahead. Clocks that nobody sets go on as they do, and without its file that of the wall, too.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { program } from "./harness.mjs";

export const DAY_MS = 24 * 3_600_000;

const FAKER = readdirSync("/usr/lib").map((arch) => `/usr/lib/${arch}/faketime/libfaketime.so.1`).find((path) => existsSync(path));
const faked = { LD_PRELOAD: FAKER, FAKETIME_TIMESTAMP_FILE: "/proc/self/cwd/clock", FAKETIME_CACHE_DURATION: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" };

// Whether days can pass here.
export const clocks = FAKER !== undefined;

// A fresh cluster whose clocks can be set, with the admin logged in.
export function upWithClocks(cluster) {
  cluster.down();
  execFileSync(program, ["dev", "up"], { env: clocks ? { ...cluster.env, ...faked } : cluster.env, stdio: "pipe" });
  cluster.login();
}

// All its machines have come so far.
export function pass(cluster, days) {
  for (const name of Object.keys(cluster.processes())) writeFileSync(`${cluster.dir}/${name}/clock`, `+${(days * DAY_MS) / 1_000}\n`);
}
