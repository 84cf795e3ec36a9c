// The python3 recipe: built from packages, and used as its users would: an environment of their own with pip, and
// a program that another vnode talks to. Too slow for each change: `make test-recipes`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(99);
const BUILD_MS_MAX = 15 * 60_000;

before(() => cluster.up());
after(() => cluster.down());

const inside = (vnode, ...argv) => cluster.run("exec", `lab/${vnode}`, "--", ...argv);

test("a vnode of the built image has Python with environments and pip, and serves its neighbour on the other worker", async () => {
  const begun = performance.now();
  const built = cluster.try(["image", "build", "python3"], { timeout: BUILD_MS_MAX });
  assert.equal(built.code, 0, built.stderr);
  console.log(`python3 built and uploaded in ${Math.round((performance.now() - begun) / 1000)} s`);
  const again = cluster.try(["image", "build", "python3"]);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /Nothing changed: python3 is sha256 [0-9a-f]{64}/);

  const { vnodes } = cluster.json("vc", "create", "lab", "--image", "python3", "--vnodes", "2", "--memory-mib", "256", "--wait");
  assert.deepEqual(vnodes.map(({ worker }) => worker), ["w1", "w2"]);
  assert.match(inside("host-0", "python3", "--version"), /^Python 3\.\d+/);
  inside("host-0", "python3", "-m", "venv", "/root/own");
  assert.match(inside("host-0", "/root/own/bin/pip", "--version"), /^pip \d+.* from \/root\/own\//);
  assert.match(inside("host-0", "/root/own/bin/python", "-c", "import sys; print(sys.prefix)"), /^\/root\/own$/m);
  inside("host-0", "sh", "-c", "mkdir /srv/here && echo hello > /srv/here/word && cd /srv/here && (setsid python3 -m http.server 8000 > /dev/null 2>&1 &)");
  const ask = "import urllib.request as r; print(r.urlopen('http://host-0:8000/word', timeout=5).read().decode(), end='')";
  const answer = await until("an answer", () => {
    const { code, stdout } = cluster.try(["exec", "lab/host-1", "--", "python3", "-c", ask]);
    return code === 0 && stdout;
  });
  assert.equal(answer, "hello\n");
  cluster.run("vc", "delete", "--now", "lab", "--wait");
});
