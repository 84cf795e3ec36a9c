// The peer that a user would pick instead: Incus, on the same root file system, with a daemon of its own.

import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import { root, until } from "../harness.mjs";

const run = promisify(execFile);

export class Incus {
  // Installs it, starts a daemon, and imports `rootfs` as the image `bench`.
  static async start(rootfs) {
    execFileSync(path.join(root, "scripts/setup-bench"), ["incus"], { stdio: "inherit" });
    const incus = new Incus();
    try {
      await incus.begin(rootfs);
    } catch (error) {
      await incus.remove();
      throw error;
    }
    return incus;
  }

  constructor() {
    this.dir = mkdtempSync("/var/lib/docklet-bench-incus-");
    this.env = { ...process.env, INCUS_DIR: `${this.dir}/var`, INCUS_CONF: `${this.dir}/conf`, HOME: this.dir, PATH: `/usr/libexec/incus:${process.env.PATH}` };
  }

  async begin(rootfs) {
    mkdirSync(this.env.INCUS_DIR, { mode: 0o711 });
    execFileSync("chmod", ["711", this.dir]);
    const log = openSync(`${this.dir}/log`, "a");
    const daemon = ["/usr/libexec/incus/incusd", "/usr/bin/incusd", "/usr/sbin/incusd"].find(existsSync);
    this.daemon = spawn(daemon, ["--group", "root"], { env: this.env, stdio: ["ignore", log, log] });
    await until("Incus", () => this.run("admin", "waitready", "--timeout=1").then(() => true, () => false));
    const preseed = {
      storage_pools: [{ name: "default", driver: "dir" }],
      profiles: [{ name: "default", devices: { root: { type: "disk", path: "/", pool: "default" } } }],
    };
    execFileSync("incus", ["admin", "init", "--preseed"], { env: this.env, input: JSON.stringify(preseed), stdio: ["pipe", "ignore", "pipe"] });
    this.pack(rootfs);
    await this.run("image", "import", `${this.dir}/image.tar.gz`, "--alias", "bench");
  }

  pack(rootfs) {
    const image = `${this.dir}/image`;
    mkdirSync(image);
    writeFileSync(`${image}/metadata.yaml`, "architecture: x86_64\ncreation_date: 1700000000\nproperties:\n  description: bench\n");
    execFileSync("cp", ["-a", rootfs, `${image}/rootfs`]);
    execFileSync("tar", ["-C", image, "-czf", `${this.dir}/image.tar.gz`, "metadata.yaml", "rootfs"]);
    rmSync(image, { recursive: true });
  }

  // It reads a configuration from standard input, to its end.
  run(...args) {
    const running = run("incus", args, { env: this.env });
    running.child.stdin.end();
    return running;
  }

  launch(name) {
    return this.run("launch", "bench", name);
  }

  delete(name) {
    return this.run("delete", "-f", name);
  }

  exec(name, ...argv) {
    return this.run("exec", name, "--", ...argv);
  }

  async remove() {
    const listed = await this.run("list", "-f", "csv", "-c", "n").catch(() => ({ stdout: "" }));
    for (const name of listed.stdout.split("\n").filter(Boolean)) await this.delete(name).catch(() => {});
    await this.run("admin", "shutdown").catch(() => {});
    this.daemon?.kill("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
