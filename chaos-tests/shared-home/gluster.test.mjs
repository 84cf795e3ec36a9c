// The shared home on a real GlusterFS volume of two bricks: not started without it, one home on two workers with it, and
// still there when a brick is lost and when the vcluster is deleted.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { Cluster, until } from "../harness.mjs";
import { Gluster } from "./gluster.mjs";

const cluster = new Cluster(16);
const gluster = new Gluster();
const point = (worker) => `/var/tmp/docklet-home-${cluster.instance}-${worker}`;
const vnodes = (vcluster) => cluster.json("vc", "show", vcluster).vnodes;
const inside = (vnode, line) => cluster.run("exec", vnode, "--", "sh", "-c", line);

before(async () => {
  cluster.up();
  cluster.run("dev", "down");
  for (const worker of ["w1", "w2"]) {
    mkdirSync(point(worker), { recursive: true });
    const file = `${cluster.dir}/${worker}/agent.toml`;
    writeFileSync(file, readFileSync(file, "utf8").replace("home_mounted = false", `home_dir = "${point(worker)}"\nhome_mounted = true`));
  }
  cluster.run("dev", "up");
  cluster.login();
  await gluster.up();
});

after(() => {
  cluster.down();
  gluster.remove();
  for (const worker of ["w1", "w2"]) rmSync(point(worker), { recursive: true, force: true });
});

test("vnodes do not start while the file system is not mounted, and say why", async () => {
  cluster.run("vc", "create", "lab", "--vnodes", "2");
  await until("two refusals", () => vnodes("lab").every(({ phase, reason }) => phase === "failed" && /nothing is mounted there/.test(reason)));
  for (const worker of ["w1", "w2"]) assert.deepEqual(readdirSync(point(worker)), [], "nothing below the mount point");
});

test("they start by themselves once it is, and share one home on two workers", async () => {
  for (const worker of ["w1", "w2"]) gluster.mount(point(worker));
  await until("both running", () => vnodes("lab").every(({ phase }) => phase === "running"), 60_000);
  assert.deepEqual(new Set(vnodes("lab").map(({ worker }) => worker)), new Set(["w1", "w2"]));
  inside("lab/host-0", "echo from host-0 > ~/nfs/greeting; mkdir ~/nfs/dir; chmod 640 ~/nfs/greeting");
  assert.equal(inside("lab/host-1", "cat ~/nfs/greeting"), "from host-0\n");
  assert.match(inside("lab/host-1", "ls -ln ~/nfs"), /-rw-r----- .* 0 +0 .* greeting/, "root's own, from both");
  inside("lab/host-1", "mv ~/nfs/greeting ~/nfs/dir/ && echo and host-1 >> ~/nfs/dir/greeting");
  assert.equal(inside("lab/host-0", "cat ~/nfs/dir/greeting"), "from host-0\nand host-1\n");
  assert.match(inside("lab/host-0", "cat /etc/docklet/home"), /all workers share/);
});

test("a lost brick is no lost home", async () => {
  gluster.kill(2);
  await until("a write", () => cluster.try(["exec", "lab/host-0", "--", "sh", "-c", "echo alone > ~/nfs/alone"]).code === 0);
  await until("a read", () => cluster.try(["exec", "lab/host-1", "--", "cat", "/root/nfs/alone"]).stdout === "alone\n");
});

test("the home outlives the vcluster, and another person's is another", async () => {
  cluster.run("vc", "delete", "--now", "lab", "--wait");
  cluster.run("vc", "create", "next", "--vnodes", "1", "--wait");
  assert.equal(inside("next/host-0", "cat ~/nfs/dir/greeting"), "from host-0\nand host-1\n");
  const password = cluster.passwordFile();
  cluster.run("user", "create", "bob", "--password-file", password);
  const env = { ...cluster.env, DOCKLET_CONTEXT: `${cluster.dir}/bob.toml` };
  const bob = (...args) => {
    const { code, stdout, stderr } = cluster.try(args, { env });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  bob("login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "bob", "--password-file", password);
  bob("vc", "create", "his", "--vnodes", "1", "--wait");
  assert.equal(bob("exec", "his/host-0", "--", "ls", "-A", "/root/nfs"), "");
  bob("vc", "delete", "--now", "his", "--wait");
  cluster.run("vc", "delete", "--now", "next", "--wait");
});
