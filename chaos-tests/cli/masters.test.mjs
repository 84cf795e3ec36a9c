// Masters by command line, on real processes: listed, moved, refused where the quorum would go, replaced, removed for ever.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(30);
const started = [];

before(() => cluster.up());
after(() => {
  started.filter(({ exitCode }) => exitCode === null).forEach((child) => child.kill("SIGKILL"));
  cluster.down();
});

const group = () => cluster.json("master", "list").group;
const named = (name) => group().masters.find((master) => master.name === name);
const roles = () => group().masters.map(({ role }) => role).sort();

// Runs a master's process; answers its exit code and what it said when it has ended.
function run(dir) {
  const child = spawn(program, ["master", "run", "--dir", dir], { env: cluster.env, stdio: ["ignore", "ignore", "pipe"] });
  started.push(child);
  let stderr = "";
  child.stderr.on("data", (data) => (stderr += data));
  return new Promise((resolve) => child.on("exit", (code) => resolve({ code, stderr })));
}

test("the list shows what the leader observes and what each tells of itself", async () => {
  const masters = await until("a settled group", () => {
    const { masters } = group();
    return masters.every(({ lag, state_agrees }) => lag !== null && state_agrees) && masters;
  });
  assert.deepEqual(masters.map(({ role }) => role).sort(), ["leader", "voter", "voter"]);
  for (const master of masters) {
    assert.match(master.version, /^\d+\.\d+\.\d+/);
    assert.ok(master.certificate_expires_at > Date.now(), "certificates have not ended");
    assert.ok(master.in_reach);
  }
  const table = cluster.run("master", "list");
  for (const word of ["ROLE", "LAG", "LAST CONTACT", "VERSION", "CERTIFICATE UNTIL", "leader", "agrees"]) {
    assert.ok(table.includes(word), `${word} in ${table}`);
  }
});

test("all masters know the newest cluster version, and the cluster has risen to it", async () => {
  const { cluster_version: newest } = await until("the version to rise", () => {
    const told = group();
    return told.masters.every(({ knows }) => knows === told.cluster_version) && told.cluster_version > 1 && told;
  });
  const status = cluster.json("status");
  assert.equal(status.cluster_version, newest);
  assert.equal(status.version_warning, null, "nobody holds it back");
  assert.ok(cluster.run("master", "list").includes("KNOWS"));
  assert.match(cluster.run("status"), /cluster version/);
});

test("an admin chooses who leads, which the trail has, and what is no master is refused", async () => {
  for (const name of ["m3", "m1", "m2"]) {
    cluster.run("master", "transfer", name);
    assert.equal(cluster.leader(), name);
  }
  cluster.run("master", "drain", "m2");
  assert.notEqual(cluster.leader(), "m2");
  const told = (command) => cluster.json("audit", "list", "--who", "admin", "--command", command).records.map(({ things }) => things.join());
  await until("the last record", () => told("DrainMaster").join() === "master m2");
  assert.deepEqual(told("TransferLeadership"), ["master m2", "master m1", "master m3"], "the newest first");
  const cases = [
    [["transfer", "m9"], 3, /no master "m9"/],
    [["remove", "m9"], 3, /no master "m9"/],
    [["remove", "../users"], 2, /no master/],
    [["autopilot", "--dead-after-s", "0"], 2, /out of range/],
  ];
  for (const [args, code, text] of cases) {
    const refused = cluster.try(["master", ...args]);
    assert.equal(refused.code, code, refused.stderr);
    assert.match(refused.stderr, text);
  }
});

// What a browser without scripts would do: follows no redirect, keeps no more than the cookie that it is given.
function visit(url, { cookie, form, at = cluster.portal } = {}) {
  const body = form && new URLSearchParams(form).toString();
  const headers = { ...(cookie && { cookie }), ...(body && { "content-type": "application/x-www-form-urlencoded", origin: cluster.portal }) };
  const options = { method: body === undefined ? "GET" : "POST", headers, ca: readFileSync(`${cluster.dir}/ca.pem`) };
  return new Promise((resolve, reject) => {
    const request = https.request(`${at}${url}`, options, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function logIn(user) {
  const form = { user, password: cluster.password() };
  const { headers, status } = await visit("/login", { form });
  assert.equal(status, 303);
  const cookie = headers["set-cookie"][0].split(";")[0];
  const { text } = await visit("/", { cookie });
  return { cookie, csrf: text.match(/name="csrf" value="([0-9a-f]+)"/)[1] };
}

// What the page of one master tells.
function figures(text) {
  const fact = (name) => new RegExp(`<dt>${name}</dt><dd[^>]*>(.*?)</dd>`, "s").exec(text)[1].replace(/<[^>]*>/g, "").trim();
  const [, hash, short, entry] = /<dd title="([0-9a-f]+)"><code>([0-9a-f]+)<\/code> at entry (\d+)<\/dd>/.exec(text);
  assert.ok(hash.startsWith(short));
  const rows = text.split('<tr data-master="').slice(1).map((row) => {
    const cell = (label) => new RegExp(`data-label="${label}">(.*?)(<p |</td>)`, "s").exec(row)[1].trim();
    return { name: row.slice(0, row.indexOf('"')), role: cell("Role"), entry: cell("Entry"), lag: cell("Lag"), state: cell("State") };
  });
  return { leader: fact("Leader"), term: fact("Term"), version: fact("Cluster version"), master: fact("Served by"), hash, entry, rows };
}

test("page and command line have the same figures, at each master", async () => {
  const { cookie } = await logIn("admin");
  for (const [place, at] of cluster.masters.entries()) {
    const only = new Cluster(cluster.instance);
    only.env = { ...cluster.env, DOCKLET_CONTEXT: `${cluster.dir}/only-${place}.toml` };
    only.run("login", "--server", at, "--ca", `${cluster.dir}/ca.pem`, "--user", "admin", "--password-file", cluster.passwordFile());
    const page = async () => figures((await visit("/masters", { cookie, at })).text);
    const settled = ({ rows }) => rows.every(({ role, lag, state }) => state === "agrees" && lag === (role === "leader" ? "—" : "none"));
    const [shown, status, list] = await until("one moment", async () => {
      const shown = await page();
      const told = [only.run("status"), only.json("master", "list")];
      // Nothing came in between.
      return settled(shown) && isDeepStrictEqual(shown, await page()) && [shown, ...told];
    });
    const told = (what) => new RegExp(`^${what} {2,}(.*)$`, "m").exec(status)[1];
    const own = shown.rows.find(({ name }) => name === shown.master);
    assert.equal(told("answered by"), `${shown.master} (${own.role === "leader" ? "leader" : "follower"})`);
    assert.deepEqual(
      ["leader", "term", "cluster version", "applied entry", "state hash"].map(told),
      [shown.leader, shown.term, shown.version, shown.entry, shown.hash],
    );
    assert.equal(own.entry, shown.entry, "as the leader knows it");
    assert.deepEqual([String(list.group.term), String(list.raft.term), list.raft.state_hash], [shown.term, shown.term, shown.hash]);
    for (const { name, role, lag, applied, state_agrees: agrees } of list.group.masters) {
      const row = shown.rows.find((row) => row.name === name);
      assert.deepEqual([role, String(applied), agrees], [row.role, row.entry, true], name);
      assert.ok(lag <= 5, `${name} lags ${lag}, of which the page says none`);
    }
  }
});

test("the page does the same without scripts, and refuses forms of others", async () => {
  const { cookie, csrf } = await logIn("admin");
  const page = await visit("/masters", { cookie });
  assert.equal(page.status, 200);
  for (const name of ["m1", "m2", "m3"]) assert.match(page.text, new RegExp(`data-master="${name}"`));
  assert.match(page.text, /Last contact.*Certificate/s);
  assert.match(page.text, /Cluster version.*knows version \d/s);
  const leader = cluster.leader();
  const next = group().masters.find(({ role }) => role === "voter");
  const foreign = await visit(`/masters/${next.id}/transfer`, { cookie, form: { csrf: "0" } });
  assert.equal(foreign.status, 403);
  assert.equal(cluster.leader(), leader);
  const moved = await visit(`/masters/${next.id}/transfer`, { cookie, form: { csrf } });
  assert.equal(moved.status, 303, moved.text);
  assert.equal(cluster.leader(), next.name);
  const sure = await visit(`/masters/${next.id}/remove`, { cookie });
  assert.match(sure.text, /Remove or replace .*method="post" action="\/masters\/\d+\/remove".*name="csrf"/s);
  assert.equal((await visit(`/masters/999/remove`, { cookie })).status, 404);
  assert.equal((await visit(`/masters/${next.id}/explode`, { cookie, form: { csrf } })).status, 404);

  cluster.run("user", "create", "bob", "--password-file", cluster.passwordFile());
  const bob = await logIn("bob");
  for (const url of ["/masters", `/masters/${next.id}/remove`]) {
    assert.equal((await visit(url, { cookie: bob.cookie })).status, 403, url);
  }
  const denied = await visit(`/masters/${next.id}/remove`, { cookie: bob.cookie, form: { csrf: bob.csrf } });
  assert.equal(denied.status, 403);
  assert.equal(group().masters.length, 3);
});

test("a dead master is replaced under its name; its old self is refused for ever", async () => {
  cluster.run("master", "autopilot", "--steady-ms", "200");
  cluster.run("master", "transfer", "m1");
  const old = named("m3");
  cluster.kill("m3");
  await until("m3 out of reach", () => named("m3").in_reach === false);
  for (const name of ["m1", "m2"]) {
    const refused = cluster.try(["master", "remove", name]);
    assert.equal(refused.code, 4, refused.stderr);
    assert.match(refused.stderr, /quorum at risk.*--force/s);
    const drained = cluster.try(["master", "drain", name]);
    assert.equal(drained.code, 4, drained.stderr);
  }
  const { cookie, csrf } = await logIn("admin");
  const page = await visit(`/masters/${named("m2").id}/remove`, { cookie, form: { csrf } });
  assert.equal(page.status, 409);
  assert.match(page.text, /role="alert".*would put the quorum at risk.*name="force"/s);
  assert.deepEqual(group().masters.map(({ id }) => id).includes(old.id), true, "nothing was changed");

  const plain = cluster.run("token", "create", "--role", "master").trim();
  const dir = `${cluster.dir}/m3-again`;
  const join = (token) =>
    cluster.try(["master", "join", token, "--name", "m3", "--dir", dir, "--cluster-addr", old.cluster_addr, "--public-addr", old.public_addr]);
  const held = join(plain);
  assert.equal(held.code, 4, held.stderr);
  assert.match(held.stderr, new RegExp(`member already, with id ${old.id}.*docklet master replace m3`, "s"));

  const { token } = cluster.json("master", "replace", "m3");
  const joined = join(token);
  assert.equal(joined.code, 0, joined.stderr);
  run(dir);
  const fresh = await until("the old one gone", () => {
    const { masters } = group();
    return masters.every(({ id }) => id !== old.id) && masters.find(({ name }) => name === "m3");
  });
  assert.ok(fresh.id > old.id, "an id is never used again");
  await until("three voters", () => roles().join() === "leader,voter,voter");

  // It was dead when it was removed: it is told when it comes back, on its own address even.
  started.at(-1).kill("SIGTERM");
  await until("the fresh one stopped", () => started.at(-1).exitCode !== null);
  const back = await run(`${cluster.dir}/m3`);
  assert.equal(back.code, 8, back.stderr);
  assert.match(back.stderr, new RegExp(`master ${old.id} was removed from its cluster`));
  assert.equal(existsSync(`${cluster.dir}/m3/own.key`) || existsSync(`${cluster.dir}/m3/ca.key`), false, "keys are deleted");
  const again = await run(`${cluster.dir}/m3`);
  assert.equal(again.code, 8);
  assert.match(again.stderr, /was removed from its cluster.*delete/s);
  run(dir);
  await until("three in reach", () => group().masters.every(({ in_reach }) => in_reach));
});

test("the leader is removed: another leads, its process ends by itself, two that vote are warned of", async () => {
  const leader = cluster.leader();
  const { id } = named(leader);
  const ended = leader === "m3" ? null : cluster.processes()[leader];
  const removed = cluster.try(["master", "remove", String(id), "--wait"]);
  assert.equal(removed.code, 0, removed.stderr);
  const { masters, warnings } = await until("two voters", () => {
    const now = group();
    return now.masters.length === 2 && now.leader && now;
  });
  assert.ok(masters.every((master) => master.id !== id));
  assert.ok(warnings.some((warning) => /Two masters vote/.test(warning)), warnings.join());
  assert.match(cluster.try(["master", "list"]).stderr, /Warning: Two masters vote/);
  if (ended) {
    await until("the removed process gone", () => !cluster.processes()[leader]);
    const log = readFileSync(`${cluster.dir}/log/${leader}.log`, "utf8");
    assert.match(log, /was removed from its cluster/);
    const back = await run(`${cluster.dir}/${leader}`);
    assert.equal(back.code, 8, back.stderr);
  }
  // The others still serve.
  cluster.run("user", "create", "ada", "--password-file", cluster.passwordFile());
});
