// A GlusterFS volume of two replicated bricks on this machine: each server in a network and mount namespace of its own,
// without systemd; each worker has a mount of its own.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";

import { until } from "../harness.mjs";

const NET = "10.212.77";
const BRIDGE = "dkgfs";
const CLIENTS = "dkgfs-c";
const SERVERS = [1, 2].map((n) => ({ n, name: `dkgfs-${n}`, address: `${NET}.${n}` }));
// What one glusterd must not share with another.
const OWN_DIRS = ["/var/lib/glusterd", "/run", "/var/log/glusterfs"];

const run = (program, ...args) => execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
const quietly = (program, ...args) => spawnSync(program, args, { stdio: "ignore", timeout: 60_000 });

function namespace(name, address) {
  run("ip", "netns", "add", name);
  run("ip", "-netns", name, "link", "set", "lo", "up");
  run("ip", "link", "add", `${name}v`, "type", "veth", "peer", "name", "eth0", "netns", name);
  run("ip", "link", "set", `${name}v`, "master", BRIDGE, "up");
  run("ip", "-netns", name, "address", "add", `${address}/24`, "dev", "eth0");
  run("ip", "-netns", name, "link", "set", "eth0", "up");
}

export class Gluster {
  constructor() {
    this.dir = mkdtempSync("/var/tmp/docklet-gluster-");
    this.mounts = [];
    this.daemons = new Map();
  }

  async up() {
    this.remove();
    mkdirSync(this.dir, { recursive: true });
    run("ip", "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0");
    run("ip", "link", "set", BRIDGE, "up");
    for (const { name, address } of SERVERS) namespace(name, address);
    namespace(CLIENTS, `${NET}.9`);
    for (const { n } of SERVERS) mkdirSync(`${this.dir}/brick${n}`);
    for (const server of SERVERS) this.serve(server);
    for (const server of SERVERS) await until(`glusterd ${server.n}`, () => this.gluster(server, "peer", "status").status === 0);
    this.must("peer", "probe", SERVERS[1].address);
    await until("both peers", () => /Peer in Cluster \(Connected\)/.test(this.gluster(SERVERS[0], "peer", "status").stdout));
    const bricks = SERVERS.map(({ n, address }) => `${address}:${this.dir}/brick${n}`);
    this.must("volume", "create", "homes", "replica", "2", ...bricks, "force");
    this.must("volume", "set", "homes", "network.ping-timeout", "3");
    this.must("volume", "start", "homes");
    const online = /<path>[^<]*brick\d<\/path>\s*<peerid>[^<]*<\/peerid>\s*<status>1<\/status>/g;
    await until("both bricks", () => (this.gluster(SERVERS[0], "volume", "status", "homes", "--xml").stdout.match(online) ?? []).length === 2);
  }

  // One glusterd with directories of its own. It and its bricks die with the process that made the namespace.
  serve({ n, name }) {
    const binds = OWN_DIRS.flatMap((dir) => {
      const own = `${this.dir}/own${n}${dir}`;
      mkdirSync(own, { recursive: true });
      return [own, dir];
    });
    // "$@" are pairs of what is mounted where; nothing of it comes from outside of this file.
    const script = 'while [ $# -gt 0 ]; do mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; done; exec glusterd -N --log-level WARNING';
    const log = openSync(`${this.dir}/glusterd${n}.log`, "a");
    const args = [`--net=/run/netns/${name}`, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", ...binds];
    this.daemons.set(n, spawn("nsenter", args, { stdio: ["ignore", log, log] }));
  }

  // The first process in the pid namespace is the child of unshare, which nsenter became.
  pid({ n }) {
    const parent = this.daemons.get(n).pid;
    return spawnSync("ps", ["-o", "pid=", "--ppid", String(parent)], { encoding: "utf8" }).stdout.trim().split("\n")[0].trim();
  }

  gluster(server, ...args) {
    const target = spawnSync("nsenter", ["-t", this.pid(server), "-m", "-n", "-p", "gluster", "--mode=script", ...args], { encoding: "utf8", timeout: 30_000 });
    return { status: target.status, stdout: target.stdout ?? "", stderr: target.stderr ?? "" };
  }

  must(...args) {
    const { status, stdout, stderr } = this.gluster(SERVERS[0], ...args);
    if (status !== 0) throw new Error(`gluster ${args.join(" ")}: ${stdout}${stderr}`);
  }

  // A mount of the volume, as each worker has one.
  mount(point) {
    const client = ["glusterfs", "--volfile-server", SERVERS[0].address, "--volfile-server", SERVERS[1].address, "--volfile-id", "homes", "--log-file", `${this.dir}/client.log`];
    run("nsenter", `--net=/run/netns/${CLIENTS}`, ...client, point);
    this.mounts.push(point);
  }

  // One server is gone, with its brick.
  kill(n) {
    process.kill(Number(this.pid(SERVERS[n - 1])), "SIGKILL");
  }

  remove() {
    for (const point of this.mounts.splice(0)) quietly("umount", "-l", point);
    for (const daemon of this.daemons.values()) daemon.kill("SIGKILL");
    this.daemons.clear();
    for (const { name } of [...SERVERS, { name: CLIENTS }]) {
      quietly("ip", "netns", "delete", name);
      quietly("ip", "link", "delete", `${name}v`);
    }
    quietly("ip", "link", "delete", BRIDGE);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
