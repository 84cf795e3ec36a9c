// Uploads with which nobody goes on go by themselves: no other file has to come, and an agent that began anew knows of them.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(75);
// Instead of a day.
cluster.env.DOCKLET_UPLOADS_KEPT_S = "3";
const shell = (line) => cluster.run("exec", "lab/host-0", "--", "sh", "-c", line);

before(() => {
  cluster.up();
  cluster.run("vc", "create", "lab", "--cpu-milli", "200", "--memory-mib", "64", "--pids-max", "64", "--disk", "256MiB", "--wait");
});
after(() => cluster.down());

function begin(path) {
  const token = /token = "([^"]+)"/.exec(readFileSync(cluster.env.DOCKLET_CONTEXT, "utf8"))[1];
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const to = `${cluster.masters[0]}/api/v1/vclusters/lab/vnodes/host-0/files/uploads`;
    const request = https.request(to, { method: "POST", ca: readFileSync(`${cluster.dir}/ca.pem`), agent: false, headers }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    request.on("error", reject);
    request.end(JSON.stringify({ path }));
  });
}

test("what is left of an upload goes by itself, also where the agent began anew meanwhile", async () => {
  shell("mkdir /root/data");
  assert.equal(await begin("/root/data/never"), 200);
  assert.match(shell("ls -A /root/data"), /^\.docklet-upload-[0-9a-f]{32}$/m);
  const [{ id, worker }] = cluster.json("vc", "show", "lab").vnodes;
  const note = `${cluster.dir}/${worker}/state/vnodes/v${id}/uploads.json`;
  assert.equal(readFileSync(note, "utf8"), '["/root/data"]');
  cluster.kill(worker);
  cluster.run("dev", "up");
  await until("the end of the note", () => !existsSync(note));
  assert.equal(shell("ls -A /root/data"), "");
});
