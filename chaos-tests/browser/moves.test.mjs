// Moving vnodes by the pages, in a real Chromium: a terminal that goes along, a worker that is emptied and filled again, workers
// evened out; and what an image's page changes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";
import { shows, text } from "./terminal.mjs";

const cluster = new Cluster(44);
const pages = new Pages(cluster);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-moves-browser-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("vc", "create", "lab", ...SMALL, "--wait");
  await pages.open();
});

after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

async function open(route, options) {
  const page = await pages.newPage(options);
  await pages.logIn(page);
  await page.goto(`/${route}`);
  return page;
}

const vnode = () => cluster.json("vc", "show", "lab").vnodes[0];
const other = (worker) => (worker === "w1" ? "w2" : "w1");
function move(name, to) {
  const [vcluster, host] = name.split("/");
  const { worker } = cluster.json("vc", "show", vcluster).vnodes.find(({ name }) => name === host);
  if (worker !== to) cluster.run("vc", "move", name, "--to", to, "--refresh", "--wait");
}
const status = (page, words) => page.locator("#terminal-status", { hasText: words }).waitFor();

test("a vnode is moved by its page, and the terminal that is open says so and has a shell there", async () => {
  const { worker: from } = vnode();
  const to = other(from);
  const shell = await open("terminal/lab/host-0");
  await shell.locator("#terminal-status[data-worker]").waitFor();
  await shell.locator("#terminal").click();
  // A program on the second screen, as an editor is.
  await shell.keyboard.type("printf '\\033[?1049hon another screen'; mark=marked; cat\n");
  const page = await open("vclusters/lab");
  await page.getByRole("link", { name: "Why host-0 is running" }).click();
  await page.selectOption("#move-to", to);
  await page.selectOption("#move-way", "refresh");
  await page.getByRole("button", { name: "Move", exact: true }).click();
  await page.locator('#last-move[data-stage="moved"]').waitFor();
  await shows(shell, new RegExp(`\\[moving to ${to} …\\]\n+\\[moved to ${to}; a new shell there, the one before has ended\\]`));
  await status(shell, new RegExp(`^moved to ${to}, a new shell through m\\d after [\\d.]+ s; m\\d leads$`));
  await shell.keyboard.type("echo here-$((40+2))-$mark.\n");
  await shows(shell, /^here-42-\.$/m);
  await shoot(shell, "terminal-moved");
  assert.deepEqual(await barriers(shell), []);
  // A page that is loaded again comes back to the same shell.
  await shell.keyboard.type("mark=marked\n");
  await shell.reload();
  await shell.locator("#terminal-status[data-worker]").waitFor();
  await shell.locator("#terminal").click();
  await shell.keyboard.type("echo again-$((40+2))-$mark.\n");
  await shows(shell, /^again-42-marked\.$/m);
  assert.deepEqual([...page.complaints, ...shell.complaints], []);
});

test("while its vnode is on its way a terminal says so, and takes nothing that is typed", async () => {
  const { worker: from } = vnode();
  const to = other(from);
  const shell = await open("terminal/lab/host-0");
  await shell.locator("#terminal-status[data-worker]").waitFor();
  await shell.locator("#terminal").click();
  const late = await open("vclusters");
  const pid = cluster.processes()[to];
  try {
    cluster.atMove("Switching", () => process.kill(pid, "SIGSTOP"));
    cluster.run("vc", "move", "lab/host-0", "--to", to, "--cold");
    await status(shell, `moving to ${to}; nothing can be typed until it is there`);
    await shell.keyboard.type("echo lost-$((40+2))\n");
    await shoot(shell, "terminal-moving");
    // One that comes only now waits with it.
    await late.goto("/terminal/lab/host-0");
    await status(late, `moving to ${to}`);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await status(shell, `moved to ${to}`);
  await shell.keyboard.type("echo here-$((40+2))\n");
  await shows(shell, /^here-42$/m);
  assert.doesNotMatch(await text(shell), /lost-/);
});

test("while a disk is being copied the bar says how far it is", async () => {
  const { worker: from } = vnode();
  const to = other(from);
  cluster.run("exec", "lab/host-0", "--", "sh", "-c", "head -c 150000000 /dev/urandom > /root/much");
  const page = await open("vclusters/lab/vnodes/host-0/explain");
  const bar = page.getByRole("progressbar", { name: "Copied of this round" });
  assert.equal(await bar.count(), 0);
  // Copying takes twenty seconds on this link: the bar is there while it is looked at.
  const slow = (change, ...how) => cluster.inWorker(from, "tc", "qdisc", change, "dev", "uplink", "root", ...how);
  slow("add", "tbf", "rate", "60mbit", "burst", "256kb", "latency", "400ms");
  try {
    await page.selectOption("#move-to", to);
    await page.selectOption("#move-way", "refresh");
    await page.getByRole("button", { name: "Move", exact: true }).click();
    await bar.waitFor();
    await until("some of it", () => bar.evaluate(({ value }) => value > 0 && value <= 1000));
    await shoot(page, "move-progress", { fullPage: true });
    assert.deepEqual(await barriers(page), []);
  } finally {
    slow("del");
  }
  await page.locator('#last-move[data-stage="moved"]').waitFor({ timeout: 60_000 });
  assert.equal(await bar.count(), 0);
  cluster.run("exec", "lab/host-0", "--", "rm", "/root/much");
  assert.deepEqual(page.complaints, []);
});

test("a worker is emptied and filled again by its buttons, and says how far it is", async () => {
  cluster.run("vc", "create", "more", "--vnodes", "3", ...SMALL, "--wait");
  move("lab/host-0", "w1");
  const before = cluster.json("vc", "list").flatMap(({ vnodes }) => vnodes).filter(({ worker }) => worker === "w1").length;
  assert.ok(before > 0);
  const page = await open("workers");
  const row = page.locator('tr[data-worker="w1"]');
  await row.getByRole("button", { name: "Drain w1" }).click();
  await row.locator("[data-drain]").waitFor();
  await shoot(page, "worker-draining");
  await row.locator('[data-drain="drained"]', { hasText: `${before} moved` }).waitFor({ timeout: 30_000 });
  assert.equal((await row.locator('[data-label="Vnodes"]').textContent()).trim(), "0");
  await shoot(page, "worker-drained", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  // Everything is on one worker now: there is something to even out once the other takes vnodes.
  await row.getByRole("button", { name: "Restore w1" }).click();
  await row.locator('[data-label="Vnodes"]', { hasText: String(before) }).waitFor({ timeout: 30_000 });
  await row.locator("[data-cordon]").waitFor({ state: "detached" });
  assert.deepEqual(page.complaints, []);
});

test("workers are evened out by the button beneath the plan", async () => {
  cluster.run("vc", "create", "big", "--memory-mib", "3072", "--vnodes", "2", "--spread", "together", "--wait");
  for (const name of ["big/host-0", "big/host-1", "lab/host-0"]) move(name, "w1");
  const page = await open("workers");
  await page.locator("details.card[data-moves] summary").click();
  await shoot(page, "rebalance-plan", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  const [named] = await page.locator('details.card[data-moves] [data-label="Vnode"]').allTextContents();
  await page.getByRole("button", { name: "Move them" }).click();
  await page.locator(".notice.done").waitFor();
  const [vcluster, host] = named.split("/");
  await until("it on the other worker", () => {
    const { worker, phase } = cluster.json("vc", "show", vcluster).vnodes.find(({ name }) => name === host);
    return worker === "w2" && phase === "running";
  });
});

test("an image is shared with a group and with a person, described, and set back to an older version", async () => {
  for (const word of ["first", "second"]) cluster.run("image", "import", system(word), "--name", "kit", "--version", word);
  cluster.run("group", "create", "course");
  cluster.run("user", "create", "ada", "--password-file", cluster.passwordFile());
  const page = await open("images");
  await page.getByRole("link", { name: /kit$/ }).click();
  const press = (label, button) => page.locator("form", { has: page.getByLabel(label, { exact: true }) }).getByRole("button", { name: button, exact: true }).click();
  const seenBy = page.locator("#seen-by");
  await page.getByRole("button", { name: "Make it private" }).click();
  await seenBy.filter({ hasText: /^admin$/ }).waitFor();
  await page.getByLabel("Share with the group", { exact: true }).fill("course");
  await press("Share with the group", "Share");
  await seenBy.filter({ hasText: "admin, group course" }).waitFor();
  await page.getByLabel("Share with", { exact: true }).fill("ada");
  await press("Share with", "Share");
  await seenBy.filter({ hasText: "admin, ada, group course" }).waitFor();
  await page.getByLabel("Description", { exact: true }).fill("what the course needs");
  await press("Description", "Describe");
  await page.locator("dd", { hasText: "what the course needs" }).waitFor();
  await page.getByLabel("Share with the group", { exact: true }).fill("nobodys");
  await press("Share with the group", "Share");
  await page.getByText(/no group "nobodys"/).waitFor();
  await page.goBack();
  await shoot(page, "image", { fullPage: true });
  assert.deepEqual(await barriers(page), []);

  const current = () => cluster.json("image", "list").find(({ name }) => name === "kit").versions.find(({ current }) => current).label;
  const version = (label) => page.locator("tr", { hasText: label });
  assert.equal(current(), "second");
  await version("first").getByRole("button", { name: "Go back to it" }).click();
  await version("first").getByText("current").waitFor();
  assert.equal(current(), "first");
  await version("second").getByRole("button", { name: "Delete it" }).click();
  await version("second").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Do not share with group course" }).click();
  await page.getByRole("button", { name: "Do not share with ada" }).click();
  await seenBy.filter({ hasText: /^admin$/ }).waitFor();
});

// A busybox system as a tar; no two words make one image.
function system(word) {
  const root = `${dir}/root-${word}`;
  for (const part of ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"]) mkdirSync(`${root}/${part}`, { recursive: true });
  execFileSync("cp", ["/bin/busybox", `${root}/bin/busybox`]);
  execFileSync("ln", ["-sf", "busybox", `${root}/bin/sh`]);
  execFileSync("ln", ["-sf", "../bin/busybox", `${root}/sbin/init`]);
  writeFileSync(`${root}/word`, word);
  const file = `${dir}/${word}.tar`;
  execFileSync("tar", ["-C", root, "-cf", file, "."]);
  return file;
}

test("its pages are fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["workers", "vclusters/lab/vnodes/host-0/explain", "images", "images/admin/kit", "terminal/lab/host-0"]);
});
