// The peer without anything around it: unprivileged containers on a copy of an image, started by liblxc's own programs.

import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

if (!existsSync("/usr/bin/lxc-start")) {
  execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "lxc"], { stdio: "ignore" });
}

export class Bare {
  // `rootfs` is an unpacked image.
  constructor(rootfs) {
    this.dir = mkdtempSync("/var/lib/docklet-bench-");
    execFileSync("chmod", ["711", this.dir]);
    execFileSync("cp", ["-a", rootfs, `${this.dir}/rootfs`]);
    this.made = [];
  }

  make(name) {
    mkdirSync(`${this.dir}/${name}`);
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
    writeFileSync(`${this.dir}/${name}/config`, `${config.join("\n")}\n`);
    this.made.push(name);
  }

  run(tool, name, ...args) {
    return run(`/usr/bin/${tool}`, ["-P", this.dir, "-n", name, ...args], { env: { PATH: "/nowhere" } });
  }

  start(name) {
    return this.run("lxc-start", name, "-d");
  }

  stop(name) {
    return this.run("lxc-stop", name, "-k");
  }

  async remove() {
    for (const name of this.made) await this.stop(name).catch(() => {});
    rmSync(this.dir, { recursive: true, force: true });
  }
}

// Runs `act` for each of `items`, `width` at a time.
export async function abreast(width, items, act) {
  const left = [...items];
  const worker = async () => {
    while (left.length > 0) await act(left.shift());
  };
  await Promise.all(Array.from({ length: width }, worker));
}
