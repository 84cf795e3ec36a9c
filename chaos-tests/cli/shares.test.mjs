// Links to terminals by command line and API: made, listed and revoked by whoever may go into the vnode, and by nobody else.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(63);
const SESSION = "0123456789abcdef0123456789abcdef";
let dir, ada, bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-shares-cli-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [ada, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  ada.run("vc", "create", "lab", "--image", "busybox", "--wait");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// Asks the interface of the first master with a token.
function ask(token, method, path, body) {
  const url = new URL(`/api/v1${path}`, cluster.masters[0]);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return new Promise((done, failed) => {
    const request = https.request(url, { method, headers, rejectUnauthorized: false }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => done({ status: response.statusCode, body: JSON.parse(text) }));
    });
    request.on("error", failed);
    request.end(body && JSON.stringify(body));
  });
}

const token = (person, ...scopes) => person.run("access-token", "create", scopes.join("-"), ...scopes.flatMap((scope) => ["--scope", scope])).trim();

test("a program with the scope for terminals makes a link that is told once", async () => {
  const terminals = token(ada, "read", "terminals");
  const vclusters = token(ada, "read", "vclusters");
  const path = "/vclusters/lab/vnodes/host-0/shares";
  const wanted = { session: SESSION, types: true, minutes: 60 };
  const made = await ask(terminals, "POST", path, wanted);
  assert.equal(made.status, 200, JSON.stringify(made.body));
  assert.match(made.body.link, /^\/shared\/[0-9a-f]{40}$/);
  for (const [asker, body, code] of [
    [vclusters, wanted, "scope_missing"],
    [terminals, { ...wanted, minutes: 0 }, "out_of_range"],
    [terminals, { ...wanted, minutes: 10_081 }, "out_of_range"],
    [terminals, { ...wanted, session: "../x" }, "malformed"],
    [token(bob, "read", "terminals"), wanted, "not_found"],
  ]) {
    assert.equal((await ask(asker, "POST", path, body)).body.code, code);
  }
  const listed = ada.json("share", "list");
  assert.deepEqual(
    listed.map(({ owner, vcluster, vnode, by, types, guests }) => ({ owner, vcluster, vnode, by, types, guests })),
    [{ owner: "ada", vcluster: "lab", vnode: "host-0", by: "ada", types: true, guests: [] }],
  );
  const told = [ada.run("share", "list", "--format", "json"), ada.run("state", "--format", "json"), cluster.run("state", "--format", "json")];
  for (const text of told) assert.ok(!text.includes(made.body.link.slice(8)) && !text.includes(SESSION));
});

test("whose the vnode is lists and revokes it, an admin too, and nobody else knows of it", () => {
  const [{ id }] = ada.json("share", "list");
  assert.match(ada.run("share", "list"), new RegExp(`^${id} +lab/host-0 +ada +ada +type +`, "m"));
  assert.deepEqual(bob.json("share", "list"), []);
  const [there, absent] = [id, 99_999].map((number) => bob.refused(["share", "revoke", String(number)], /no shared terminal/).replaceAll(String(number), "N"));
  assert.equal(there, absent);
  assert.equal(cluster.json("share", "list").length, 1);
  cluster.run("share", "revoke", String(id));
  assert.deepEqual(ada.json("share", "list"), []);
  ada.refused(["share", "revoke", String(id)], /no shared terminal/);
});
