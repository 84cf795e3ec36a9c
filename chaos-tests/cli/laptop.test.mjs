// The command line as it is on somebody's own machine: several clusters by name, ssh into vnodes with nothing but the login, and
// manual pages.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(69);
const BUILD_MS_MAX = 15 * 60_000;
let home;

before(() => {
  cluster.up();
  home = mkdtempSync("/var/tmp/docklet-laptop-test-");
});
after(() => {
  cluster.down();
  if (home) rmSync(home, { recursive: true, force: true });
});

// As somebody who has nothing but a home.
function here(args, { env = {}, ...options } = {}) {
  const { DOCKLET_CONTEXT: _, ...plain } = cluster.env;
  const ran = spawnSync(program, args, { env: { ...plain, HOME: home, XDG_CONFIG_HOME: `${home}/config`, ...env }, encoding: "utf8", timeout: 60_000, ...options });
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}
function fine(args, options) {
  const { code, stdout, stderr } = here(args, options);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return stdout;
}
const names = () => JSON.parse(fine(["context", "list", "--format", "json"])).map(({ name, used }) => (used ? `${name}*` : name));
const as = (...args) => ["login", ...cluster.masters.flatMap((server) => ["--server", server]), "--ca", `${cluster.dir}/ca.pem`, "--user", "admin", "--password-file", cluster.passwordFile(), ...args];

test("contexts have names, and each command can name one", () => {
  assert.match(here(["status"]).stderr, /not logged in/);
  fine(as());
  assert.deepEqual(names(), ["default*"]);
  fine(["--context", "work", ...as()]);
  assert.deepEqual(names(), ["default*", "work"]);
  assert.equal(statSync(`${home}/config/docklet/contexts/work.toml`).mode & 0o777, 0o600);
  fine(["context", "use", "work"]);
  assert.deepEqual(names(), ["default", "work*"]);
  fine(["context", "rename", "work", "lab"]);
  assert.deepEqual(names(), ["default", "lab*"]);
  fine(["status", "--context", "lab"]);
  fine(["status"], { env: { DOCKLET_CONTEXT: "default" } });
  fine(["status"], { env: { DOCKLET_CONTEXT: `${home}/config/docklet/context.toml` } });
  assert.doesNotMatch(fine(["context", "show", "--format", "json"]), /token/);
  assert.equal(here(["status", "--context", "nothing"]).code, 5);
  assert.equal(here(["context", "use", "nothing"]).code, 3);
  assert.equal(here(["context", "rename", "lab", "default"]).code, 4);
  assert.equal(here(["--context", "../x", "status"]).code, 2);
  fine(["context", "remove", "lab"]);
  assert.deepEqual(names(), ["default*"]);
});

test("there is a manual page for each command", () => {
  fine(["man", `${home}/man`]);
  const pages = readdirSync(`${home}/man`);
  for (const page of ["docklet.1", "docklet-ssh.1", "docklet-context-use.1"]) assert.ok(pages.includes(page), page);
  if (!existsSync("/usr/bin/man")) return;
  const shown = spawnSync("man", ["--warnings", "-l", `${home}/man/docklet-ssh.1`], { encoding: "utf8", env: { ...process.env, MANPAGER: "cat", MANWIDTH: "100" } });
  assert.equal(shown.stderr, "");
  assert.match(shown.stdout, /VCLUSTER\/host-0/);
});

test("ssh goes into a vnode with nothing but the login", async () => {
  const built = cluster.try(["image", "build", "ssh"], { timeout: BUILD_MS_MAX });
  assert.equal(built.code, 0, built.stderr);
  cluster.run("vc", "create", "lab", "--image", "ssh", "--wait");
  await until("sshd", () => cluster.try(["exec", "lab/host-0", "--", "pgrep", "-x", "sshd"]).code === 0);
  assert.equal(fine(["ssh", "lab/host-0", "--", "echo", "hello"]), "hello\n");
  assert.equal(fine(["ssh", "lab/host-0", "--", "cat"], { input: "through" }), "through");
  assert.equal(here(["ssh", "lab/host-0", "--", "exit", "7"]).code, 7);
  // Once let in, not again.
  assert.equal(cluster.run("exec", "lab/host-0", "--", "cat", "/root/.ssh/authorized_keys").trim().split("\n").length, 1);

  writeFileSync(`${home}/config-of-ssh`, fine(["ssh", "lab/host-0", "--config"]));
  writeFileSync(`${home}/a`, "a file\n");
  const env = { ...process.env, HOME: home };
  const plain = (...argv) => spawnSync(argv[0], ["-F", `${home}/config-of-ssh`, ...argv.slice(1)], { encoding: "utf8", env, timeout: 30_000 });
  assert.equal(plain("ssh", "lab.host-0", "hostname").stdout, "host-0\n");
  assert.equal(plain("scp", `${home}/a`, "lab.host-0:/root/b").status, 0);
  assert.equal(cluster.run("exec", "lab/host-0", "--", "cat", "/root/b"), "a file\n");

  // A vnode that has other keys than those that the cluster told is none that plain ssh talks to.
  const known = `${home}/config/docklet/ssh/default/known_hosts`;
  const right = readFileSync(known, "utf8");
  const other = readFileSync(`${home}/config/docklet/ssh/default/id_ed25519.pub`, "utf8").split(" ").slice(0, 2).join(" ");
  const alias = right.split(" ")[0];
  writeFileSync(known, `${alias} ${other}\n`);
  const refused = plain("ssh", "lab.host-0", "true");
  assert.equal(refused.status, 255);
  assert.match(refused.stderr, /verification failed|no matching host key/i);
  // Asking the cluster again mends it, and leaves others alone.
  appendFileSync(known, `elsewhere ${other}\n`);
  assert.equal(fine(["ssh", "lab/host-0", "--", "echo", "again"]), "again\n");
  assert.match(readFileSync(known, "utf8"), /^elsewhere /m);
  assert.equal(here(["ssh", "lab/host-9", "--", "true"]).code, 3);
});
