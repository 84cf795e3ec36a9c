// Terminals of vnodes that move: `docklet shell` on a pseudo-terminal goes on where its vnode does, and says what became of the shell.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(43);
const open = [];

before(async () => {
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("vc", "create", "lab", "--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64", "--wait");
});
after(() => {
  open.forEach((shell) => shell.kill("SIGKILL"));
  cluster.down();
});

const vnode = () => cluster.json("vc", "show", "lab").vnodes[0];
const other = (worker) => (worker === "w1" ? "w2" : "w1");

// `docklet shell` as a person has it: what it shows, keys, and the code with which it ends.
class Shell {
  constructor() {
    this.child = spawn("script", ["--quiet", "--flush", "--return", "--command", `${program} shell lab/host-0`, "/dev/null"], { env: cluster.env });
    open.push(this.child);
    this.text = "";
    this.child.stdout.on("data", (data) => (this.text += data));
    this.code = new Promise((resolve) => this.child.on("exit", resolve));
  }

  type(text) {
    this.child.stdin.write(text);
  }

  // Waits for something that was not shown before the last that was waited for.
  async shows(pattern) {
    const found = await until(`${pattern}`, () => this.text.match(pattern)).catch((error) => {
      throw new Error(`${error.message} in ${JSON.stringify(this.text)}${cluster.logs()}`);
    });
    this.text = this.text.slice(found.index + found[0].length);
    return found;
  }

  // A shell that answers, and whether it is the one that was marked.
  async answers(marked) {
    this.type("echo it-is-$((40+2))-$mark\r");
    await this.shows(new RegExp(`it-is-42-${marked ? "marked" : ""}\r`));
  }

  async begin() {
    // busybox asks where the cursor is, and goes on without an answer.
    await this.shows(/[#$] (\x1b\[6n)?$/);
    this.type("mark=marked\r");
    await this.answers(true);
    return this;
  }
}

const begun = () => new Shell().begin();

for (const way of ["refresh", "cold", "live"]) {
  test(`a terminal says where its vnode has gone, and has a new shell there: ${way}`, async () => {
    const shell = await begun();
    const { worker: from } = vnode();
    const to = other(from);
    // In memory only.
    cluster.run("exec", "lab/host-0", "--", "sh", "-c", "echo kept > /dev/mark");
    cluster.run("vc", "move", "lab/host-0", "--to", to, `--${way}`, "--wait");
    await shell.shows(new RegExp(`\\[moving to ${to} …; ctrl-c leaves\\]\r\n`));
    await shell.shows(new RegExp(`\\[moved to ${to}; a new shell there, the one before has ended\\]\r\n`));
    await shell.answers(false);
    assert.doesNotMatch(shell.text, /moved|moving|lost/);
    // And back, with the shell that it has now.
    shell.type("mark=marked\r");
    await shell.answers(true);
    cluster.run("vc", "move", "lab/host-0", "--to", from, `--${way}`, "--wait");
    await shell.shows(new RegExp(`\\[moved to ${from}; a new shell there, the one before has ended\\]\r\n`));
    await shell.answers(false);
    assert.equal(cluster.try(["exec", "lab/host-0", "--", "cat", "/dev/mark"]).stdout, way === "live" ? "kept\n" : "");
    shell.type("exit 3\r");
    assert.equal(await shell.code, 3);
  });
}

test("a shell's end is told, though what it left behind has its terminal open", async () => {
  const shell = await begun();
  shell.type("(trap '' HUP; until [ -e /tmp/end ]; do sleep 0.1; done) & exit 7\r");
  assert.equal(await shell.code, 7);
  cluster.run("exec", "lab/host-0", "--", "touch", "/tmp/end");
});

test("a move that is cancelled while it copies leaves the terminal as it is", async () => {
  const shell = await begun();
  const pid = cluster.processes()[other(vnode().worker)];
  process.kill(pid, "SIGSTOP");
  try {
    cluster.run("vc", "move", "lab/host-0", "--refresh");
    await shell.answers(true);
    cluster.run("vc", "move", "lab/host-0", "--cancel");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await shell.answers(true);
  shell.type("exit\r");
  assert.equal(await shell.code, 0);
});

test("it is cancelled when the vnode stands still already: a new shell where it was", async () => {
  const shell = await begun();
  const { worker: from, epoch } = vnode();
  const pid = cluster.processes()[other(from)];
  cluster.atMove("Switching", () => process.kill(pid, "SIGSTOP"));
  cluster.run("vc", "move", "lab/host-0", "--cold");
  await shell.shows(/\[moving to w[12] …; ctrl-c leaves\]\r\n/);
  // Nothing that is typed now reaches any shell.
  shell.type("mark=marked\r");
  try {
    cluster.run("vc", "move", "lab/host-0", "--cancel");
    await shell.shows(new RegExp(`\\[still on ${from}; a new shell there, the one before has ended\\]\r\n`));
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await shell.answers(false);
  assert.deepEqual([vnode().worker, vnode().epoch], [from, epoch]);
  shell.type("exit\r");
  assert.equal(await shell.code, 0);
});

test("whoever waits for a vnode on its way can leave, and come while it is", async () => {
  const shell = await begun();
  const { worker: from } = vnode();
  const pid = cluster.processes()[other(from)];
  cluster.atMove("Switching", () => process.kill(pid, "SIGSTOP"));
  cluster.run("vc", "move", "lab/host-0", "--cold");
  await shell.shows(/\[moving to w[12] …; ctrl-c leaves\]\r\n/);
  const late = new Shell();
  try {
    shell.type("\x03");
    assert.equal(await shell.code, 130);
    await late.shows(/\[moving to w[12] …; ctrl-c leaves\]\r\n/);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await late.begin();
  assert.equal(vnode().worker, other(from));
  late.type("exit\r");
  assert.equal(await late.code, 0);
});

test("the master of a terminal dies while the vnode moves", async () => {
  const shell = await begun();
  const to = other(vnode().worker);
  // It is the first that the login knows.
  const pid = cluster.processes().m1;
  cluster.atMove("Switching", () => process.kill(pid, "SIGKILL"));
  cluster.run("vc", "move", "lab/host-0", "--to", to, "--cold");
  await shell.shows(new RegExp(`\\[moved to ${to}; a new shell there, the one before has ended\\]\r\n`));
  await shell.answers(false);
  cluster.run("dev", "up");
  shell.type("exit\r");
  assert.equal(await shell.code, 0);
});

test("a master that stands still is left for another, and what was printed meanwhile comes once", async () => {
  const shell = await begun();
  const { m1 } = cluster.processes();
  shell.type("i=0; while [ $i -lt 400 ]; do echo line-$i-; i=$((i+1)); usleep 50000; done; echo end-$((40+2))\r");
  await shell.shows(/line-5-\r/);
  // It is the first that the login knows: whoever comes back asks it again, and goes on to the next.
  process.kill(m1, "SIGSTOP");
  let noticedMs;
  try {
    const stoppedAt = performance.now();
    const before = await shell.shows(/([^]*)\[connection lost, reattaching\]\r\n/);
    noticedMs = Math.round(performance.now() - stoppedAt);
    const rest = await shell.shows(/([^]*)end-42\r/);
    const lines = (before[1] + rest[1]).matchAll(/line-(\d+)-\r/g);
    assert.deepEqual([...lines].map(([, nth]) => Number(nth)), Array.from({ length: 394 }, (_, nth) => nth + 6));
  } finally {
    process.kill(m1, "SIGCONT");
  }
  assert.ok(noticedMs < 12_000, `noticed after ${noticedMs} ms`);
  await shell.answers(true);
  shell.type("exit 6\r");
  assert.equal(await shell.code, 6);
});

test("a program that says nothing is waited for, and one whose master stands still is not", async () => {
  const child = spawn(program, ["exec", "lab/host-0", "--", "sh", "-c", "sleep 8; echo woke; sleep 300"], { env: cluster.env });
  open.push(child);
  const said = { stdout: "", stderr: "" };
  for (const name of Object.keys(said)) child[name].on("data", (data) => (said[name] += data));
  const code = new Promise((resolve) => child.on("exit", resolve));
  await until("a program that wakes", () => said.stdout === "woke\n");
  const { m1 } = cluster.processes();
  process.kill(m1, "SIGSTOP");
  try {
    const stoppedAt = performance.now();
    assert.equal(await code, 6, said.stderr);
    assert.match(said.stderr, /the master fell silent: whether the program still runs is not known/);
    const noticedMs = Math.round(performance.now() - stoppedAt);
    assert.ok(noticedMs < 12_000, `noticed after ${noticedMs} ms`);
  } finally {
    process.kill(m1, "SIGCONT");
  }
});

test("a terminal whose agent begins anew has another shell where it was", async () => {
  const shell = await begun();
  const { worker } = vnode();
  cluster.kill(worker);
  await shell.shows(/\[connection lost, reattaching\]/);
  cluster.run("dev", "up");
  await shell.shows(new RegExp(`\\[still on ${worker}; a new shell there, the one before has ended\\]\r\n`));
  await shell.answers(false);
  shell.type("exit 4\r");
  assert.equal(await shell.code, 4);
});

test("a terminal of a vnode that stops ends with it", async () => {
  const shell = await begun();
  cluster.run("vc", "stop", "lab", "--wait");
  assert.notEqual(await shell.code, null);
  assert.doesNotMatch(shell.text, /moving|lost/);
});
