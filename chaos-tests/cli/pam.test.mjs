// Logging in by PAM: the real libpam with services of these tests, whose modules know some people, hang, and ask what they must not.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(66);
const services = ["docklet-test", "docklet-test-hangs", "docklet-test-asks", "docklet-test-unix"];
// People of this machine while this file runs: in its shadow file, and in its user database alone (nss-systemd).
const local = (name) => `dklt${cluster.instance}-${name}`;
const LOCAL = ["fits", "locked", "over", "aged", "open"].map(local);
const record = `/run/userdb/${local("beyond")}.user`;
const file = (service) => `/etc/pam.d/${service}`;
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-pam-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  // As Debian's own services have it: whoever is not let in by the first module is turned away by the second.
  const service = (script) =>
    ["auth", "account"].map((kind) => `${kind} [success=1 default=ignore] pam_exec.so quiet ${kind === "auth" ? "expose_authtok " : ""}${script}\n${kind} requisite pam_deny.so\n${kind} required pam_permit.so\n`).join("");
  const script = (name, text) => {
    writeFileSync(`${dir}/${name}`, `#!/bin/sh\n${text}`, { mode: 0o755 });
    return `${dir}/${name}`;
  };
  const knows = script(
    "knows",
    `echo "$PAM_TYPE $PAM_USER $PAM_RHOST" >> ${dir}/asked
case "$PAM_TYPE $PAM_USER" in
  "account locked" | "account expired") exit 1 ;;
  "account "*) exit 0 ;;
  *" ada" | *" carl" | *" locked" | *" expired" | *" root" | *" admin") [ "$(tr -d '\\0')" = "the machine's password" ] ;;
  *) exit 1 ;;
esac
`,
  );
  const hangs = script("hangs", `exec sleep 3600.53\n`);
  const asks = `${dir}/pam_asks.so`;
  execFileSync("cc", ["-shared", "-fPIC", "-Wall", "-Werror", "-o", asks, new URL("pam_asks.c", import.meta.url).pathname, "-l:libpam.so.0"]);
  writeFileSync(file(services[0]), service(knows));
  writeFileSync(file(services[1]), service(hangs));
  writeFileSync(file(services[3]), "auth required pam_unix.so\naccount required pam_unix.so\n");
  writeFileSync(file(services[2]), `auth required ${asks}\naccount required pam_permit.so\n`);
});
after(() => {
  services.forEach((service) => rmSync(file(service), { force: true }));
  LOCAL.forEach((name) => spawnSync("userdel", [name]));
  [record, `${record}-privileged`].forEach((path) => rmSync(path, { force: true }));
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

function logIn(user, password, more = []) {
  const given = `${dir}/given`;
  writeFileSync(given, `${password}\n`);
  const begun = performance.now();
  const got = cluster.try(["login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, `--user=${user}`, "--password-file", given, ...more], {
    env: { ...cluster.env, DOCKLET_CONTEXT: `${dir}/${encodeURIComponent(user).slice(0, 20)}.toml` },
  });
  return { ...got, ms: performance.now() - begun };
}
const refused = (user, password, pattern) => {
  const got = logIn(user, password);
  assert.notEqual(got.code, 0, `${user} is let in`);
  assert.match(got.stderr, pattern);
  return got;
};
const WRONG = /user name and password do not match/;
const RIGHT = "the machine's password";
const asked = () => (existsSync(`${dir}/asked`) ? readFileSync(`${dir}/asked`, "utf8") : "");

test("nobody is asked until an admin says so, by a service that was made for it", () => {
  refused("ada", RIGHT, WRONG);
  assert.equal(asked(), "");
  cluster.refused(["pam", "set", "--service", "su"], /begins with "docklet"/);
  cluster.refused(["pam", "set", "--service", "docklet/../su"], /begins with "docklet"/);
  cluster.run("pam", "set", "--service", "docklet-no-such-service");
  refused("ada", RIGHT, /PAM of master m1 could not say/);
  cluster.run("pam", "set", "--service", services[0], "--newcomers", "request");
  assert.equal(cluster.json("pam", "show").service, services[0]);
});

test("a newcomer asks by logging in, and is let in when an admin says so", () => {
  refused("carl", RIGHT, /your request for an account waits/);
  refused("carl", "guess", WRONG);
  const [request] = cluster.json("user", "requests");
  assert.deepEqual([request.name, request.way], ["carl", "pam"]);
  cluster.run("user", "approve", String(request.id));
  assert.equal(logIn("carl", RIGHT).code, 0);
  assert.match(asked(), /^auth carl 127\.0\.0\.1$/m);
  assert.match(asked(), /^account carl 127\.0\.0\.1$/m);
  refused("carl", "guess", WRONG);
  const shown = cluster.json("user", "show", "carl");
  assert.deepEqual([shown.way, shown.password], ["pam", true]);
});

test("an account of this cluster stays one: the machines' people of the same name are somebody else", () => {
  cluster.person("ada", dir);
  refused("ada", RIGHT, WRONG);
  assert.equal(logIn("ada", "ada's long password").code, 0);
  cluster.run("user", "way", "ada", "pam");
  refused("ada", "ada's long password", WRONG);
  assert.equal(logIn("ada", RIGHT).code, 0);
  refused("admin", RIGHT, WRONG);
  assert.equal(logIn("admin", cluster.password()).code, 0);
});

test("who is locked or over on the machines is told so, but only with the right password", () => {
  cluster.run("pam", "set", "--service", services[0], "--newcomers", "active");
  for (const user of ["locked", "expired"]) {
    refused(user, RIGHT, /do not let the account in/);
    refused(user, "guess", WRONG);
  }
  assert.ok(!cluster.json("user", "list").some(({ name }) => name === "locked" || name === "expired"));
});

test("names that are none, and no password, are nobody's, and PAM is not asked", () => {
  const before = asked();
  for (const user of ["root", "r00t", "carl\nroot", "carl ", "CARL", "../carl", "-carl", "carl;id"]) refused(user, RIGHT, WRONG);
  refused("carl", "", WRONG);
  refused("carl", "x".repeat(2_000), WRONG);
  assert.equal(asked(), before);
});

test("it is not to be told by the time it takes whether somebody is known", () => {
  const spans = ["carl", "stranger", "admin", "root"].map((user) => refused(user, "guess", WRONG).ms);
  spans.forEach((span) => assert.ok(span >= 3_000 && span < 6_000, String(spans)));
});

test("a module that never answers is ended with all that it began, and others log in meanwhile", async () => {
  cluster.run("pam", "set", "--service", services[1]);
  const sleeping = () => readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`) && cmdline(pid).includes("3600.53"));
  const cmdline = (pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      return "";
    }
  };
  const got = refused("carl", RIGHT, /PAM of master m1 could not say/);
  assert.ok(got.ms < 20_000, String(got.ms));
  await until("its process to end", () => !sleeping());
  assert.equal(logIn("admin", cluster.password()).code, 0);
});

test("a module that asks for something else than the password gets nothing", () => {
  cluster.run("pam", "set", "--service", services[2]);
  refused("carl", RIGHT, WRONG);
});

test("people of a machine's shadow file come in with their password, unless it or they are locked or over", () => {
  const machine = (program, ...args) => execFileSync(program, args);
  for (const name of LOCAL) {
    machine("useradd", "--no-create-home", "--shell", "/usr/sbin/nologin", name);
    execFileSync("chpasswd", { input: `${name}:${RIGHT}\n` });
  }
  const [fits, locked, over, aged, open] = LOCAL;
  machine("usermod", "--lock", locked);
  machine("chage", "--expiredate", "1", over);
  machine("chage", "--lastday", "0", aged);
  machine("passwd", "--delete", open);
  cluster.run("pam", "set", "--service", services[3], "--newcomers", "active");
  assert.equal(logIn(fits, RIGHT).code, 0);
  refused(fits, "guess", WRONG);
  // A lock of passwd(1) makes the password one that nothing fits; an account that is over, and a password that must be changed, are told.
  refused(locked, RIGHT, WRONG);
  for (const user of [over, aged]) {
    refused(user, RIGHT, /do not let the account in/);
    refused(user, "guess", WRONG);
  }
  refused(open, "", WRONG);
  refused(open, "guess", WRONG);
  // Who is let in is looked at each time.
  machine("chage", "--expiredate", "1", fits);
  refused(fits, RIGHT, /do not let the account in/);
  const known = cluster.json("user", "list").map(({ name }) => name);
  assert.deepEqual(LOCAL.filter((name) => known.includes(name)), [fits]);
});

test("people whom the machine knows from elsewhere than its files come in as well", () => {
  const user = { userName: local("beyond"), uid: 61_900 + cluster.instance, gid: 61_900 + cluster.instance, homeDirectory: "/nonexistent", shell: "/usr/sbin/nologin", disposition: "regular" };
  const hash = execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: `${RIGHT}\n`, encoding: "utf8" }).trim();
  mkdirSync("/run/userdb", { recursive: true });
  writeFileSync(record, JSON.stringify(user));
  writeFileSync(`${record}-privileged`, JSON.stringify({ privileged: { hashedPassword: [hash] } }), { mode: 0o600 });
  assert.match(spawnSync("getent", ["passwd", user.userName], { encoding: "utf8" }).stdout, /:x:/, "this machine asks nss-systemd for people");
  assert.ok(!readFileSync("/etc/passwd", "utf8").includes(user.userName));
  assert.equal(logIn(user.userName, RIGHT).code, 0);
  refused(user.userName, "guess", WRONG);
  writeFileSync(record, JSON.stringify({ ...user, locked: true }));
  refused(user.userName, RIGHT, /do not let the account in/);
  refused(user.userName, "guess", WRONG);
  rmSync(record);
  refused(user.userName, RIGHT, WRONG);
});

test("turned off, nobody is let in by it; a password of this cluster takes its place", () => {
  cluster.run("pam", "set", "--service", "docklet-none");
  cluster.run("pam", "set", "--service", services[0]);
  cluster.run("setting", "undo", "pam");
  cluster.run("setting", "undo", "pam");
  assert.equal(cluster.json("pam", "show").service, services[0]);
  assert.equal(logIn("carl", RIGHT).code, 0);
  cluster.run("pam", "off");
  refused("carl", RIGHT, WRONG);
  const file = `${dir}/new`;
  writeFileSync(file, "carl's long password\n");
  cluster.run("user", "passwd", "carl", "--password-file", file);
  assert.equal(logIn("carl", "carl's long password").code, 0);
});
