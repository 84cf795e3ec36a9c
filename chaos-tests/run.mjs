// Runs files of tests, some at a time: `node chaos-tests/run.mjs [--own-network] AT_A_TIME FILE...`; says at last what failed,
// whole, and which files took longest. Each file has a cluster of its own.
//
// In a browser each has a network of its own, too: Chromium drops what it loads when an interface comes or goes anywhere in its
// network, and clusters of other files come and go. Others need the machine's, as they fetch Debian's packages.

import path from "node:path";
import { compose } from "node:stream";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const {
  values: options,
  positionals: [atATime, ...files],
} = parseArgs({ options: { "own-network": { type: "boolean" } }, allowPositionals: true });
const LONGEST = 8;

// The runner begins each file as another process of its own program.
if (options["own-network"]) process.execPath = path.join(path.dirname(fileURLToPath(import.meta.url)), "in-own-network");

const took = new Map();
const tests = run({ files: files.map((file) => path.resolve(file)), concurrency: Number(atATime) });
tests.on("test:fail", () => (process.exitCode = 1));
for (const ended of ["test:pass", "test:fail"]) {
  tests.on(ended, ({ file, nesting, details }) => nesting === 0 && took.set(file, (took.get(file) ?? 0) + details.duration_ms));
}
compose(tests, new spec()).pipe(process.stdout);
tests.on("end", () => {
  const longest = [...took].sort(([, one], [, other]) => other - one).slice(0, LONGEST);
  console.log(`longest: ${longest.map(([file, ms]) => `${path.basename(file, ".test.mjs")} ${Math.round(ms / 1000)} s`).join(", ")}`);
});
