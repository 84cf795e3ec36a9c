// What the tests on a real cluster share: a dev cluster of their own, its command line, its processes.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
const profile = process.env.DOCKLET_PROFILE ?? "debug";
export const program = path.join(root, "target", profile, "docklet");

// Whether any thread of a process has not ended; the first one's end waits until somebody asks for it.
function lives(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`).length > 1 || !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

// The file behind a loop device; none of any other device, and of one that was just detached.
function backing(device) {
  try {
    return [readFileSync(`/sys/block/${device}/loop/backing_file`, "utf8").trim()];
  } catch {
    return [];
  }
}

// A dev cluster with its own directory, ports and names.
export class Cluster {
  constructor(instance) {
    this.instance = instance;
    this.dir = `/var/lib/docklet-test-${instance}`;
    this.env = {
      ...process.env,
      DOCKLET_DEV_DIR: this.dir,
      DOCKLET_DEV_INSTANCE: String(instance),
      DOCKLET_CONTEXT: `${this.dir}/context.toml`,
    };
    this.portal = `https://127.0.0.1:${8443 + 10 * instance}`;
    this.masters = [1, 2, 3].map((n) => `https://127.0.0.1:${8443 + 10 * instance + n}`);
  }

  // Runs a command; answers exit code and output.
  try(args, options = {}) {
    const ran = spawnSync(program, args, { env: this.env, encoding: "utf8", timeout: 120_000, ...options });
    return { code: ran.status, stdout: ran.stdout ?? "", stderr: ran.stderr ?? "" };
  }

  // Runs a command that must succeed; answers its standard output.
  run(...args) {
    const { code, stdout, stderr } = this.try(args);
    if (code !== 0) throw new Error(`docklet ${args.join(" ")}: exit ${code}\n${stderr}${this.logs()}`);
    return stdout;
  }

  json(...args) {
    return JSON.parse(this.run(...args, "--format", "json"));
  }

  // A fresh cluster with the admin logged in through all three masters.
  up() {
    this.down();
    this.run("dev", "up");
    this.login();
  }

  login() {
    const servers = this.masters.flatMap((server) => ["--server", server]);
    this.run("login", ...servers, "--ca", `${this.dir}/ca.pem`, "--user", "admin", "--password-file", this.passwordFile());
  }

  down() {
    execFileSync(program, ["dev", "down", "--wipe"], { env: this.env, stdio: "pipe" });
  }

  passwordFile() {
    return `${this.dir}/admin-password`;
  }

  // The admin's, or that of somebody whom `person` made.
  password(name = "admin") {
    return name === "admin" ? readFileSync(this.passwordFile(), "utf8").trim() : `${name}'s long password`;
  }

  // Names and pids of its processes.
  processes() {
    return Object.fromEntries(this.json("dev", "status").map(({ name, pid }) => [name, pid]));
  }

  leader() {
    const { masters, raft } = this.json("master", "list");
    return masters.find((master) => master.id === raft.leader)?.name;
  }

  // The same cluster, as somebody else whom the admin makes; `dir` keeps the password and the login.
  person(name, dir) {
    const file = `${dir}/${name}-password`;
    writeFileSync(file, `${this.password(name)}\n`);
    this.run("user", "create", name, "--password-file", file);
    const other = new Cluster(this.instance);
    other.env = { ...other.env, DOCKLET_CONTEXT: `${dir}/${name}.toml` };
    other.run("login", "--server", this.masters[0], "--ca", `${this.dir}/ca.pem`, "--user", name, "--password-file", file);
    return other;
  }

  // Runs a command that must be refused with such a reason; answers all that it said.
  refused(args, pattern) {
    const { code, stderr } = this.try(args);
    assert.notEqual(code, 0, args.join(" "));
    assert.match(stderr, pattern);
    return stderr;
  }

  // They are dead, and their sockets closed, when this returns.
  kill(...names) {
    const all = this.processes();
    const pids = names.map((name) => all[name]);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    while (pids.some(lives)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }

  // Acts the moment that the log says that a vnode is at this step of its move; answers what ends looking for it.
  atMove(step, act) {
    const from = this.json("status").raft.applied + 1;
    const events = spawn(program, ["events", "--from", String(from), "--format", "json"], { env: this.env, stdio: ["ignore", "pipe", "ignore"] });
    readline.createInterface({ input: events.stdout }).on("line", (line) => {
      if (!line.includes(`"Moved":{"${step}"`)) return;
      events.kill("SIGKILL");
      act();
    });
    return () => events.kill("SIGKILL");
  }

  // The last lines of its logs, for a failure's message.
  logs() {
    const dir = `${this.dir}/log`;
    if (!existsSync(dir)) return "";
    const tail = (file) => readFileSync(`${dir}/${file}`, "utf8").split("\n").slice(-8).join("\n");
    return readdirSync(dir).map((file) => `\n== ${file}\n${tail(file)}`).join("");
  }

  // Runs a program in the network of a worker; answers its standard output.
  inWorker(worker, ...command) {
    return execFileSync("ip", ["netns", "exec", `dkdev${this.instance}-${worker}`, ...command], { encoding: "utf8" });
  }

  // Everything of its vnodes that there is on this machine, to compare before and after.
  traces() {
    const worker = (n) => `dkdev${this.instance}-w${n}`;
    const inside = (n, ...command) => spawnSync("ip", ["netns", "exec", worker(n), ...command], { encoding: "utf8" }).stdout ?? "";
    const lines = (text, pattern) => text.split("\n").filter((line) => pattern.test(line)).sort();
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    const files = (dir) => (existsSync(dir) ? readdirSync(dir) : []);
    const loops = files("/sys/block").flatMap(backing);
    const cgroups = ["/sys/fs/cgroup", ...files("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`)];
    return [1, 2].map((n) => ({
      links: lines(inside(n, "ip", "-o", "link"), /dk[bxhcngu]\d/).map((line) => line.split(":")[1].trim()),
      nft: inside(n, "nft", "list", "tables"),
      ports: [...inside(n, "nft", "list", "map", "ip", "docklet", "tcp_ports").matchAll(/(\d+) : [0-9.]+/g)].map(([, port]) => Number(port)),
      // Spare disks are no vnode's: they are with each agent, and go with it.
      loops: loops.filter((file) => file.startsWith(`${this.dir}/w${n}/`) && !file.startsWith(`${this.dir}/w${n}/state/spares/`)).sort(),
      mounts: lines(mounts, new RegExp(`${this.dir}/w${n}/`)).map((line) => line.split(" ")[4]),
      vnodes: files(`${this.dir}/w${n}/state/vnodes`),
      containers: files(`${this.dir}/w${n}/state/lxc`),
      lower: files(`${this.dir}/w${n}/state/lower`),
      run: files(`${this.dir}/w${n}/state/run`),
      arriving: files(`${this.dir}/w${n}/state/arriving`),
      gateways: files(`${this.dir}/w${n}/state/gateways`),
      cgroups: cgroups.map((dir) => `${dir}/${worker(n)}`).filter(existsSync).flatMap((dir) => files(dir).filter((name) => /^v\d/.test(name))),
    }));
  }
}

// Waits until `look` answers something true; answers it.
export async function until(what, look, timeoutMs = 30_000) {
  const begun = performance.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() - begun > timeoutMs) throw new Error(`no ${what} within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
