// Settings of the whole cluster: what they were, and going back.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(36);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-settings-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const value = (name) => cluster.json("setting", "list").find((setting) => setting.name === name).value;

test("every setting says what it is, and what was never changed has no history", () => {
  const settings = cluster.json("setting", "list");
  assert.deepEqual(
    settings.map(({ name }) => name),
    ["registration", "oidc", "pam", "usual-quota", "image-quota", "usual-home", "trash", "bandwidth", "bandwidth-ceiling", "disk-overcommit", "rebalance", "autopilot", "beans", "mail", "acme"],
  );
  assert.deepEqual(cluster.json("setting", "history", "autopilot").changes, []);
  cluster.refused(["setting", "undo", "autopilot"], /no change that could be undone of the setting "autopilot"/);
});

test("a change is undone and done again, and one may go further back", () => {
  const usual = value("disk-overcommit");
  cluster.run("setting", "set", "disk-overcommit", '{"percent":150}');
  const first = cluster.json("setting", "history", "disk-overcommit").changes[0];
  assert.deepEqual([first.by, first.before, first.after], ["admin", usual, { percent: 150 }]);
  cluster.run("setting", "set", "disk-overcommit", '{"percent":175}');
  cluster.run("setting", "undo", "disk-overcommit");
  assert.deepEqual(value("disk-overcommit"), { percent: 150 });
  cluster.run("setting", "undo", "disk-overcommit");
  assert.deepEqual(value("disk-overcommit"), { percent: 175 });
  cluster.run("setting", "undo", "disk-overcommit", "--to", String(first.change));
  assert.deepEqual(value("disk-overcommit"), { percent: 150 });
  assert.equal(cluster.json("setting", "history", "disk-overcommit").changes.length, 5);
});

test("what its own command sets is in the history, and what that refuses cannot be set", () => {
  const before = value("registration");
  cluster.run("setting", "set", "registration", '{"registration":true}');
  assert.notDeepEqual(value("registration"), before);
  cluster.run("quota", "set", "--usual", "--vnodes", "3");
  assert.deepEqual(cluster.json("setting", "history", "usual-quota").changes[0].after.vnodes, { at_most: 3 });
  cluster.run("setting", "undo", "usual-quota");
  assert.notDeepEqual(value("usual-quota").vnodes, { at_most: 3 });
  cluster.refused(["setting", "set", "disk-overcommit", '{"percent":1}'], /out of range/);
  cluster.refused(["setting", "set", "disk-overcommit", '{"per":1}'], /disk-overcommit is not valid/);
  cluster.refused(["setting", "set", "disk-overcommit", "150%"], /is no JSON/);
  cluster.refused(["setting", "set", "speed", "1"], /no setting "speed"/);
});

test("beans, mails and certificates are gone back to as well, and no secret is shown", () => {
  cluster.run("beans", "set", "--on", "--birth", "150", "--thresholds", "100,0");
  cluster.run("beans", "set", "--thresholds", "50,0");
  cluster.run("setting", "undo", "beans");
  assert.deepEqual(value("beans").thresholds, [100, 0]);
  writeFileSync(`${dir}/secret`, "hush-hush");
  const server = (host) => cluster.run("mail", "set", "--host", host, "--tls", "tls", "--user", "docklet", "--secret-file", `${dir}/secret`, "--from", "docklet@example.org");
  server("one.example.org");
  server("two.example.org");
  cluster.run("setting", "undo", "mail");
  assert.equal(value("mail").host, "one.example.org");
  const { changes } = cluster.json("setting", "history", "mail");
  assert.deepEqual([changes[0].before.host, changes[0].after.host], ["two.example.org", "one.example.org"]);
  assert.ok(!JSON.stringify(cluster.json("setting", "list")).includes("hush-hush"));
  cluster.run("mail", "off");
  cluster.run("setting", "undo", "mail");
  assert.equal(value("mail").secret, "(secret)");
  cluster.refused(["setting", "set", "acme", "{}"], /docklet tls acme/);
});

test("settings are for admins", () => {
  const ada = cluster.person("ada", dir);
  for (const ask of [["list"], ["history", "bandwidth"], ["undo", "disk-overcommit"], ["set", "registration", '{"registration":false}']]) {
    ada.refused(["setting", ...ask], /needs the role admin/);
  }
});
