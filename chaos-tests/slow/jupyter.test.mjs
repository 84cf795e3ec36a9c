// The jupyter recipe: built from packages and wheels, booted, and asked over HTTP by its neighbour. Too slow for each
// change: `make test-jupyter`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(42);
const BUILD_MS_MAX = 20 * 60_000;

before(() => cluster.up());
after(() => cluster.down());

test("JupyterLab answers inside a vnode, and two builds of it are one image", async () => {
  const built = [1, 2].map(() => {
    const begun = performance.now();
    const { code, stderr } = cluster.try(["image", "build", "jupyter", "--again"], { timeout: BUILD_MS_MAX });
    assert.equal(code, 0, stderr);
    console.log(`jupyter built and uploaded in ${Math.round((performance.now() - begun) / 1000)} s\n${stderr}`);
    return /sha256 ([0-9a-f]{64})/.exec(stderr)[1];
  });
  console.log(`the second build is ${built[0] === built[1] ? "the same" : "another"}`);

  const image = cluster.json("image", "list").find(({ name }) => name === "jupyter");
  console.log(`packed it has ${Math.round(image.blob_bytes / (1 << 20))} MiB`);

  const asked = performance.now();
  cluster.run("vc", "create", "lab", "--image", "jupyter", "--memory-mib", "1024", "--wait");
  const ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8888/api').read().decode())";
  const answer = await until("an answer", () => {
    const { code, stdout } = cluster.try(["exec", "lab/host-0", "--", "python3", "-c", ask]);
    return code === 0 && stdout;
  }, 60_000);
  console.log(`answered ${Math.round(performance.now() - asked)} ms after it was asked for: ${answer}`);
  assert.match(answer, /"version"/);
  const page = cluster.try(["exec", "lab/host-0", "--", "python3", "-c", ask.replace("/api", "/lab")]);
  assert.match(page.stdout, /Jupyter/, page.stderr);
  assert.match(cluster.run("exec", "lab/host-0", "--", "/opt/jupyter/bin/jupyter", "server", "list"), /token=/);
  cluster.run("vc", "delete", "--now", "lab", "--wait");
});
