// The command line as it is on somebody's own machine: several clusters by name, ssh into vnodes with nothing but the login, and
// manual pages.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { appendFileSync, chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import readline from "node:readline";
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

// A user of this machine who reaches nothing but the public ports of masters: whatever else they send, also within this machine, is
// refused and counted.
class Laptop {
  constructor() {
    // Of those whom Debian knows, as ssh wants to know who it is; nobody else's programs run as this one.
    this.uid = Number(execFileSync("id", ["-u", "games"], { encoding: "utf8" }));
    this.table = `docklet_laptop_${cluster.instance}`;
    this.home = mkdtempSync("/var/tmp/docklet-reach-test-");
    this.env = { PATH: process.env.PATH, HOME: this.home, TERM: "xterm" };
  }

  open() {
    const ports = [cluster.portal, ...cluster.masters].map((address) => new URL(address).port);
    this.nft(["-f", "-"], `table inet ${this.table} {
      set tried {
        typeof ip daddr . meta l4proto . th dport
        flags dynamic
        size 4096
      }
      chain of_laptop {
        tcp dport { ${ports.join(", ")} } accept
        ct direction reply accept
        add @tried { ip daddr . meta l4proto . th dport }
        counter reject
      }
      chain sent {
        type filter hook output priority 0; policy accept;
        meta skuid ${this.uid} jump of_laptop
      }
    }`);
    writeFileSync(`${this.home}/password`, `${cluster.password()}\n`);
    writeFileSync(`${this.home}/ca.pem`, readFileSync(`${cluster.dir}/ca.pem`));
    for (const file of [this.home, `${this.home}/password`, `${this.home}/ca.pem`]) chownSync(file, this.uid, this.uid);
  }

  nft(args, input) {
    const ran = spawnSync("nft", args, { input, encoding: "utf8" });
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout;
  }

  get options() {
    return { env: this.env, uid: this.uid, gid: this.uid, cwd: this.home, encoding: "utf8", timeout: 60_000 };
  }

  try(argv, options = {}) {
    return spawnSync(argv[0], argv.slice(1), { ...this.options, ...options });
  }

  run(...args) {
    const ran = this.try([program, ...args]);
    assert.equal(ran.status, 0, `${args.join(" ")}: ${ran.stderr}`);
    return ran.stdout;
  }

  // How many packets were refused, and to where they were sent.
  refused() {
    const [, packets] = /counter packets (\d+)/.exec(this.nft(["list", "chain", "inet", this.table, "of_laptop"]));
    return Number(packets);
  }

  tried() {
    const [, elements = ""] = /elements = \{([^}]*)\}/.exec(this.nft(["list", "set", "inet", this.table, "tried"])) ?? [];
    return elements.split(",").map((place) => place.trim()).filter(Boolean).sort();
  }

  close() {
    spawnSync("nft", ["delete", "table", "inet", this.table]);
    rmSync(this.home, { recursive: true, force: true });
  }
}

test("with nothing but the public port in reach, ssh, exec, shell, cp and port-forward work", async () => {
  const laptop = new Laptop();
  let forward, shell;
  try {
    laptop.open();
    // Nothing else is in reach: cluster listener of a master, data port of a worker, the vnode itself.
    const { masters } = cluster.json("master", "list");
    const { data_addr: data } = cluster.json("worker", "list")[0];
    const { address } = cluster.json("vc", "show", "lab").vnodes[0];
    for (const place of [masters[0].cluster_addr, data, `${address}:22`]) {
      const before = laptop.refused();
      const [host, port] = place.split(":");
      assert.notEqual(laptop.try(["bash", "-c", `exec 3<> /dev/tcp/${host}/${port}`]).status, 0, place);
      assert.ok(laptop.refused() > before, place);
    }
    const [before, tried] = [laptop.refused(), laptop.tried()];
    assert.equal(tried.length, 3);
    laptop.run("login", "--server", cluster.portal, "--ca", "ca.pem", "--user", "admin", "--password-file", "password");
    assert.equal(laptop.run("ssh", "lab/host-0", "--", "hostname"), "host-0\n");
    assert.equal(laptop.run("exec", "lab/host-0", "--", "echo", "hello"), "hello\n");

    const bytes = randomBytes(3 << 20);
    writeFileSync(`${laptop.home}/there`, bytes);
    laptop.run("cp", "--quiet", "there", "lab/host-0:/root/there");
    laptop.run("cp", "--quiet", "lab/host-0:/root/there", "back");
    assert.ok(readFileSync(`${laptop.home}/back`).equals(bytes));

    shell = spawn("script", ["--quiet", "--flush", "--return", "--command", `${program} shell lab/host-0`, "/dev/null"], laptop.options);
    let shown = "";
    shell.stdout.on("data", (data) => (shown += data));
    const ended = new Promise((resolve) => shell.on("exit", resolve));
    await until("a prompt", () => /[#$] /.test(shown));
    shell.stdin.write("echo it-is-$((40+2)); exit 3\r");
    assert.equal(await ended, 3, shown);
    assert.match(shown, /it-is-42/);

    forward = spawn(program, ["port-forward", "lab/host-0", "0:22", "--anyone"], { ...laptop.options, stdio: ["ignore", "ignore", "pipe"] });
    const [, port] = await new Promise((resolve) => readline.createInterface({ input: forward.stderr }).on("line", (line) => {
      const told = /127\.0\.0\.1:(\d+) leads to/.exec(line);
      if (told) resolve(told);
    }));
    const greeting = await new Promise((resolve, reject) => net.connect(port, "127.0.0.1").once("data", (data) => resolve(String(data))).on("error", reject));
    assert.match(greeting, /^SSH-2\.0-/);
    assert.deepEqual(laptop.tried(), tried, "nothing else was tried");
    assert.equal(laptop.refused(), before, "nothing else was sent");
  } finally {
    for (const child of [forward, shell]) child?.kill("SIGKILL");
    laptop.close();
  }
});
