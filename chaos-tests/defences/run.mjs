// Takes each defence away and sees that its test misses it: `node chaos-tests/defences/run.mjs [PATTERN]`, of names or classes.
//
// In a work tree of its own, of what is committed, each defence gets a switch (entry.mjs); that is built once. Then each test
// runs with all of them there, and once for each of its defences with that one gone: it must pass, and it must fail.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GONE, isScript, switched } from "./entry.mjs";
import { defences } from "./list.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const made = path.join(root, "target", "defences");
const [tree, build] = [path.join(made, "tree"), path.join(made, "build")];
const TEST_S_MAX = 900;
// What `timeout` answers when it had to end what it ran: its whole group of processes, at last by force.
const OUT_OF_TIME = [124, 137];
// What pages load, made of their sources.
const BUNDLED = "portal/assets/dist";

const pattern = new RegExp(process.argv[2] || ".");
// What is built by few first, and clusters last.
const ROOMS = ["link", "control", "portal", "."];
const order = ({ test }) => (test.file ? ROOMS.length : ROOMS.indexOf(test.room));
const chosen = defences.filter(({ name, threat }) => pattern.test(name) || pattern.test(String(threat))).sort((one, other) => order(one) - order(other));

function run(command, args, options = {}) {
  const ran = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
  if (ran.error) throw ran.error;
  return ran;
}

// Runs a test: what it says, and what is told of it if it did not end by itself.
function runTest(command, args, options) {
  const { status, stdout } = run("timeout", ["--kill-after=60", TEST_S_MAX, command, ...args], options);
  return { stdout, late: OUT_OF_TIME.includes(status) ? `did not end in ${TEST_S_MAX} s\n${stdout.slice(-4_000)}` : null };
}

function must(command, args, options) {
  const { status, stdout, stderr } = run(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${status}\n${stdout.slice(-4_000)}\n${stderr.slice(-8_000)}`);
  return stdout;
}

const git = (...args) => must("git", args, { cwd: root });

function begin() {
  end();
  mkdirSync(made, { recursive: true });
  git("worktree", "add", "--detach", tree, "HEAD");
  cpSync(path.join(root, BUNDLED), path.join(tree, BUNDLED), { recursive: true });
  // What others made is built already where this project was; what is its own is built anew.
  const built = path.join(root, "target", "debug");
  if (!existsSync(build) && existsSync(built)) {
    mkdirSync(build, { recursive: true });
    must("bash", ["-c", 'cp -al "$0" "$1"/debug && find "$1" -depth \\( -name "docklet*" -o -name "libdocklet*" -o -name incremental \\) -exec rm -rf {} +', built, build]);
  }
  mkdirSync(build, { recursive: true });
  symlinkSync(build, path.join(tree, "target"));
  for (const modules of ["portal/assets/node_modules", "chaos-tests/browser/node_modules"]) {
    if (existsSync(path.join(root, modules))) symlinkSync(path.join(root, modules), path.join(tree, modules));
  }
  const read = (file) => readFileSync(path.join(tree, file), "utf8");
  const sources = switched(chosen, read);
  for (const [file, source] of sources) writeFileSync(path.join(tree, file), source);
  if ([...sources.keys()].some(isScript)) must("node", ["build.mjs"], { cwd: path.join(tree, "portal/assets") });
  rememberTimes();
}

// What is as it was the last time has the time that it had then, so that nothing of it is built anew.
function rememberTimes() {
  const file = path.join(build, "times.json");
  const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const now = {};
  const own = must("git", ["ls-files"], { cwd: tree }).trim().split("\n");
  const bundled = readdirSync(path.join(tree, BUNDLED)).map((name) => path.join(BUNDLED, name));
  for (const name of [...own, ...bundled]) {
    const at = path.join(tree, name);
    const hash = createHash("sha256").update(readFileSync(at)).digest("hex");
    const known = before[name]?.hash === hash;
    now[name] = known ? before[name] : { hash, ms: statSync(at).mtimeMs };
    if (known) utimesSync(at, now[name].ms / 1_000, now[name].ms / 1_000);
  }
  writeFileSync(file, JSON.stringify(now));
}

function end() {
  if (existsSync(tree)) run("git", ["worktree", "remove", "--force", tree], { cwd: root });
  rmSync(tree, { recursive: true, force: true });
  run("git", ["worktree", "prune"], { cwd: root });
}

// What is known of lines is of no use here.
const QUICK = ROOMS.flatMap((room) => ["--config", `profile.dev.package.${packageOf(room)}.debug=false`]);

function packageOf(room) {
  return room === "." ? "docklet" : `docklet-${room}`;
}

// Programs of tests by their room and target. All are built at once: what others made is then built in one form only.
const programs = new Map();
function buildTests() {
  const tests = chosen.map(({ test }) => test).filter(({ file }) => !file);
  if (tests.length === 0) return;
  const kinds = new Set(tests.map(({ target }) => target));
  const args = ["test", ...QUICK, "--locked", "--no-run", "--message-format=json-render-diagnostics"];
  for (const room of ROOMS) args.push("-p", packageOf(room));
  for (const kind of kinds) args.push(...(kind === "lib" ? ["--lib"] : ["--test", kind]));
  const lines = must("cargo", args, { cwd: tree }).split("\n").filter((line) => line.startsWith("{"));
  for (const { executable, profile, target, manifest_path: manifest } of lines.map((line) => JSON.parse(line))) {
    if (!executable || !profile?.test) continue;
    const room = path.relative(tree, path.dirname(manifest)) || ".";
    programs.set(`${room} ${target.kind.includes("test") ? target.name : "lib"}`, executable);
  }
}

let whole = false;
function buildWhole() {
  if (!whole) must("cargo", ["build", ...QUICK, "--locked"], { cwd: tree });
  whole = true;
}

// Whether a test passed, failed, or did not run: with the defence of this name gone, if there is one.
function outcome(test, gone) {
  // What a random search found is not made shorter.
  const env = { ...process.env, PROPTEST_MAX_SHRINK_ITERS: "1" };
  delete env[GONE];
  if (gone) env[GONE] = gone;
  return test.file ? outcomeInNode(test, env) : outcomeInRust(test, env);
}

function outcomeInRust(test, env) {
  const file = programs.get(`${test.room} ${test.target}`);
  const { stdout, late } = runTest(file, ["--exact", test.name], { cwd: path.join(tree, test.room), env: { ...env, ...test.env } });
  if (late) return late;
  const [, passed, failed] = /(\d+) passed; (\d+) failed/.exec(stdout) ?? [];
  if (passed === "1" && failed === "0") return "passed";
  return passed === "0" && failed === "1" ? "failed" : `did not run\n${stdout.slice(-2_000)}`;
}

function outcomeInNode({ file, name, after }, env) {
  buildWhole();
  const escaped = (text) => `^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  const names = [...after, name].map((text) => `--test-name-pattern=${escaped(text)}`);
  const args = ["--test", "--test-reporter=tap", ...names, path.join(tree, file)];
  // A browser has a network of its own, as in `make test`.
  const apart = ["--net", "--", "bash", "-c", 'ip link set lo up && exec "$0" "$@"', "node", ...args];
  const [command, all] = file.includes("/browser/") ? ["unshare", apart] : ["node", args];
  const { stdout, late } = runTest(command, all, { cwd: tree, env });
  if (late) return late;
  const lines = stdout.split("\n");
  const at = (text) => lines.findIndex((line) => /^\s*(not )?ok \d+ - /.test(line) && line.includes(` - ${text}`));
  const is = (text) => at(text) >= 0 && /^\s*ok /.test(lines[at(text)]);
  if (!after.every(is)) return `did not run\n${stdout.slice(-4_000)}`;
  if (is(name)) return "passed";
  const says = lines.slice(at(name), at(name) + 12).join("\n");
  return /failureType: '?testCodeFailure/.test(says) ? "failed" : `did not run\n${stdout.slice(-4_000)}`;
}

function verdict(entry) {
  const { test, name } = entry;
  const key = JSON.stringify(test);
  if (!sound.has(key)) sound.set(key, outcome(test));
  if (sound.get(key) !== "passed") return `with it there the test ${sound.get(key)}`;
  const gone = outcome(test, name);
  if (gone === "failed") return "missed";
  return gone === "passed" ? "NOT MISSED" : `with it gone the test ${gone}`;
}

const sound = new Map();
let unmissed = 0;
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));
process.on("exit", end);
begin();
buildTests();
for (const entry of chosen) {
  const begun = performance.now();
  const told = verdict(entry);
  if (told !== "missed") unmissed += 1;
  const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
  console.log(`${entry.threat}  ${entry.name.padEnd(24)} ${told.split("\n")[0].padEnd(12)} ${seconds.padStart(6)} s  ${entry.what}`);
  if (told.includes("\n")) console.log(told.split("\n").slice(1).map((line) => `      ${line}`).join("\n"));
}
console.log(`${chosen.length} defences, ${chosen.length - unmissed} missed when gone, ${unmissed} not`);
process.exitCode = unmissed > 0 || chosen.length === 0 ? 1 : 0;
