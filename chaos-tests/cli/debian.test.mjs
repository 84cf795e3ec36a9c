// The Debian recipe: built from packages, carried to a worker, fetched by the other, and used as its users would.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(20);
const BUILD_MS_MAX = 15 * 60_000;

before(() => cluster.up());
after(() => cluster.down());

const inside = (vnode, ...argv) => cluster.run("exec", `deb/${vnode}`, "--", ...argv);

test("two hosts of the built image have python, sshd and ip, and see each other by name", async () => {
  const begun = performance.now();
  const built = cluster.try(["image", "build", "debian"], { timeout: BUILD_MS_MAX });
  assert.equal(built.code, 0, built.stderr);
  console.log(`image built and uploaded in ${Math.round((performance.now() - begun) / 1000)} s`);
  const digest = /sha256 ([0-9a-f]{64})/.exec(built.stderr)[1];
  const listed = cluster.json("image", "list").find(({ name }) => name === "debian");
  assert.equal(listed.digest, digest);
  assert.match(listed.description, /openssh, python3 and iproute2/);

  const view = cluster.json("vc", "create", "deb", "--image", "debian", "--vnodes", "2", "--wait");
  assert.deepEqual(view.vnodes.map(({ worker, phase }) => [worker, phase]), [["w1", "running"], ["w2", "running"]]);
  assert.deepEqual(cluster.json("image", "list").find(({ name }) => name === "debian").holders, ["w1", "w2"], "fetched by the other worker");

  assert.equal(inside("host-0", "python3", "-c", "print(6 * 7)"), "42\n");
  assert.match(inside("host-0", "ip", "-brief", "address", "show", "eth0"), new RegExp(`^eth0\\S* +UP +${view.vnodes[0].address}/22`));
  // Both count what the vnode may use, and not what the worker has.
  const { cpu_milli, memory_mib } = cluster.json("vc", "show", "deb").size;
  assert.equal(inside("host-0", "nproc"), `${Math.ceil(cpu_milli / 1000)}\n`);
  assert.match(inside("host-0", "free", "-k"), new RegExp(`^Mem: +${memory_mib * 1024} `, "m"));
  // Each host makes its keys first.
  await until("sshd on both", () => ["host-0", "host-1"].every((vnode) => cluster.try(["exec", `deb/${vnode}`, "--", "pgrep", "-x", "sshd"]).code === 0));
  assert.match(inside("host-0", "ps", "-p", "1", "-o", "args="), /^\/usr\/bin\/tini /);
  const greet = "import socket; print(socket.create_connection(('host-1', 22), 5).recv(99).decode())";
  assert.match(inside("host-0", "python3", "-c", greet), /^SSH-2\.0-OpenSSH/, "by name, on the other worker");
  assert.match(inside("host-1", "ping", "-c", "1", "-W", "2", "host-0"), / 1 received/);

  const keys = ["host-0", "host-1"].map((vnode) => inside(vnode, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"));
  assert.notEqual(keys[0], keys[1], "each host has keys of its own");
  cluster.run("vc", "delete", "--now", "deb", "--wait");
});
