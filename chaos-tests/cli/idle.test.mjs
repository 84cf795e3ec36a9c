// Stopping what does nothing, on real containers: the quota's idle time, what counts as doing something, and what is told.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";
import { serve, servingImage } from "../inside.mjs";
import { Browser } from "../proxied.mjs";

const cluster = new Cluster(48);
const SMALL = ["--cpu-milli", "200", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB"];
const SERVING = ["--image", "serving", "--cpu-milli", "500", "--memory-mib", "128", "--pids-max", "64", "--disk", "256MiB"];
let dir, ada;
// Who looks, types and runs something now and then, by the vcluster.
const busy = {};
// Who uses a service in a browser now and then, by the vcluster: how often they did, and what ends it.
const used = {};

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-idle-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  servingImage(cluster, "serving");
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "12");
});
const begin = (name, command) => (busy[name] = spawn("sh", ["-c", command, program], { env: ada.env, stdio: "ignore", detached: true }));
// Uses a service by the proxy, one small thing each five seconds: all that comes into the vnode is what is sent to the service.
async function visit(name, opened) {
  serve(ada, `${name}/host-0`, 8000);
  const [{ id }] = ada.json("service", "add", `${name}/host-0`, "web", "--port", "8000");
  const browser = new Browser(cluster);
  await browser.logIn("ada", cluster.password("ada"));
  await browser.enter(id);
  await until("an answer of the service", async () => (await browser.get(id, "/")).status === 200);
  const { act, end } = await opened(browser, id);
  const visit = (used[name] = { times: 0 });
  let timer;
  const again = () => act().then(() => ((visit.times += 1), (timer = setTimeout(again, 5_000))), (error) => (visit.failed ??= error));
  visit.end = () => (clearTimeout(timer), end());
  again();
}
const asking = async (browser, id) => ({
  act: async () => assert.equal((await browser.get(id, "/asked")).status, 200),
  end: () => {},
});
// As the page of a notebook does with its kernel: one socket, on which now and then a little is said and answered.
const talking = async (browser, id) => {
  const { echo, socket } = await browser.socket(id);
  return { act: async () => assert.equal(await echo("1+1"), "1+1"), end: () => socket.destroy() };
};

// Ends all of them: who writes, and who carries it.
const leave = () => {
  for (const name of Object.keys(used)) {
    used[name].end();
    delete used[name];
  }
  for (const [name, { pid }] of Object.entries(busy)) {
    spawnSync("kill", ["-KILL", "--", `-${pid}`]);
    delete busy[name];
  }
};
after(() => {
  leave();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("what does nothing for longer than the quota is stopped and told, and what works goes on", async () => {
  // Of a page that is open a few bytes come now and then, over one connection. It is there before all that rests.
  ada.run("vc", "create", "page", "--vnodes", "1", ...SMALL, "--wait");
  ada.run("exec", "page/host-0", "--", "sh", "-c", "(sleep 86400 | nc -l -p 8000 >/root/came) >/dev/null 2>&1 &");
  begin("page", 'while printf x; do sleep 5; done | exec "$0" port-forward page/host-0 8000 --stdio');
  // Somebody thinks between the keys, and a program that comes by each time does next to nothing.
  for (const name of ["typed", "run"]) ada.run("vc", "create", name, "--vnodes", "1", ...SMALL, "--wait");
  begin("typed", `while printf ':\\r'; do sleep 5; done | exec script --quiet --flush --command "$0 shell typed/host-0" /dev/null`);
  begin("run", 'while "$0" exec run/host-0 -- true; do sleep 5; done');
  // Services are used by the proxy, which a vnode's network does not count.
  for (const [name, opened] of [["asked", asking], ["talked", talking]]) {
    ada.run("vc", "create", name, "--vnodes", "1", ...SERVING, "--wait");
    await visit(name, opened);
  }
  for (const name of ["rests", "works", "half"]) ada.run("vc", "create", name, "--vnodes", name === "half" ? "2" : "1", ...SMALL, "--wait");
  for (const vnode of ["works/host-0", "half/host-1"]) ada.run("exec", vnode, "--", "sh", "-c", "(while :; do :; done) >/dev/null 2>&1 &");
  cluster.run("vc", "create", "of-an-admin", "--vnodes", "1", ...SMALL, "--wait");
  cluster.run("quota", "set", "--user", "ada", "--idle", "1m");
  const rests = await until("it to be stopped", () => ada.json("vc", "list").find(({ name, wanted }) => name === "rests" && wanted === "stopped"), 150_000);
  assert.equal(rests.vnodes.length, 1);
  const wanted = Object.fromEntries(ada.json("vc", "list").map(({ name, wanted }) => [name, wanted]));
  assert.deepEqual(wanted, { rests: "stopped", works: "running", half: "running", page: "running", typed: "running", run: "running", asked: "running", talked: "running" });
  assert.equal(cluster.json("vc", "list").find(({ name }) => name === "of-an-admin").wanted, "running");
  assert.match(ada.run("notice", "list"), /Vcluster rests was stopped/);
  const [stopped] = ada.json("audit", "list", "--command", "StopIdle").records;
  assert.deepEqual([stopped.who, stopped.things[0]], ["cluster", "vcluster ada/rests"]);
});

test("what nobody looks at any more, types into, runs programs in or asks for something rests, too", async () => {
  assert.match(ada.run("exec", "page/host-0", "--", "cat", "/root/came"), /^xx+$/);
  for (const [name, { exitCode, signalCode }] of Object.entries(busy)) assert.deepEqual([exitCode, signalCode], [null, null], `${name} goes on until now`);
  for (const [name, { times, failed }] of Object.entries(used)) assert.ok(!failed && times > 8, `${name} goes on until now: ${failed ?? times}`);
  assert.deepEqual([Object.keys(busy), Object.keys(used)], [["page", "typed", "run"], ["asked", "talked"]]);
  const left = [...Object.keys(busy), ...Object.keys(used)];
  leave();
  const stopped = () => ada.json("vc", "list").filter(({ name, wanted }) => left.includes(name) && wanted === "stopped");
  await until("all of them to be stopped", () => stopped().length === left.length, 150_000);
});

test("whoever starts it begins anew", async () => {
  ada.run("vc", "start", "rests", "--wait");
  assert.equal(ada.run("exec", "rests/host-0", "--", "echo", "here"), "here\n");
  assert.equal(ada.json("vc", "show", "rests").wanted, "running");
});
