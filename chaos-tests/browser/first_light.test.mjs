// The whole in a real Chromium: log in, create, watch it turn green, use a terminal, lose the leader and go on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";
import { elsewhere, ready, shows, text, throughLeader } from "./terminal.mjs";

const cluster = new Cluster(12);
const pages = new Pages(cluster);
const newPage = (options) => pages.newPage(options);
const logIn = (page) => pages.logIn(page);

before(async () => {
  cluster.up();
  await pages.open();
});

after(async () => {
  await pages.close();
  cluster.down();
});

test("a person creates a vcluster, uses a terminal, loses the leader and goes on", async () => {
  const page = await newPage();
  await logIn(page);
  await shoot(page, "home");
  await page.getByRole("link", { name: "Create a vcluster" }).click();
  await page.fill("#name", "lab");
  await shoot(page, "create");
  await page.getByRole("button", { name: "Create" }).click();
  await page.waitForURL(/\/vclusters\/lab/);
  await page.locator('tr[data-phase="running"]').nth(1).waitFor();
  const workers = await page.locator("td[data-worker]").evaluateAll((cells) => cells.map((cell) => cell.dataset.worker));
  assert.deepEqual(workers.toSorted(), ["w1", "w2"], "on different workers");
  await shoot(page, "vcluster-running");

  const shell = await newPage({ storageState: await page.context().storageState() });
  await shell.goto("/terminal/lab/host-0");
  const leader = await throughLeader(cluster, shell);
  await shell.locator("#terminal").click();
  await shell.keyboard.type("ping -c 1 host-1\n");
  await shows(shell, /1 packets received/);
  await shell.keyboard.type("echo before-$((40+2))\n");
  await shows(shell, /^before-42$/m);
  await shoot(shell, "terminal");
  const scrollback = await text(shell);

  cluster.kill(leader);
  const killedAt = performance.now();
  await elsewhere(shell, leader);
  const reattachedMs = performance.now() - killedAt;
  await shell.keyboard.type("echo after-$((50+5))\n");
  await shows(shell, /^after-55$/m);
  const now = await text(shell);
  assert.ok(now.startsWith(scrollback.trimEnd()), "the scroll-back is intact, no byte lost or twice");
  assert.match(await shell.locator("#terminal-status").textContent(), /reattached through m\d after [\d.]+ s, nothing lost/);
  await shoot(shell, "terminal-after-leader-loss");

  const scaleAt = performance.now();
  await page.fill("#scale", "3");
  await page.getByRole("button", { name: "Scale" }).click();
  await page.locator('tr[data-phase="running"]').nth(2).waitFor();
  const scaledMs = performance.now() - scaleAt;
  console.log(`terminal reattached after ${Math.round(reattachedMs)} ms, third vnode running after ${Math.round(scaledMs)} ms`);
  await shoot(page, "vcluster-scaled");

  await shell.keyboard.type("exit 3\n");
  await shell.getByText("The shell ended with code 3.").waitFor();
  cluster.run("dev", "up");
});

test("an open page says what happened to the leader, without a reload", async () => {
  const page = await newPage();
  await logIn(page);
  await page.goto("/masters");
  await page.locator('tr[data-master="m3"]').waitFor();
  await shoot(page, "masters");
  cluster.kill(cluster.leader());
  await page.locator("#connection", { hasText: /(leads|elect)/ }).waitFor();
  await shoot(page, "masters-after-leader-loss");
  cluster.run("dev", "up");
});

test("every page is fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["", "vclusters", "new/vcluster", "nothing", "vclusters/lab", "workers", "masters", "images", "terminal/lab/host-0"]);
});

test("a phone has the keys that its keyboard lacks", async () => {
  const page = await newPage({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  await logIn(page);
  await page.goto("/terminal/lab/host-0?new");
  await ready(page);
  await page.locator("#terminal").tap();
  await page.keyboard.type("sleep 100\n");
  await page.getByRole("button", { name: "Control, for the next character" }).tap();
  await page.keyboard.type("c");
  await page.keyboard.type("echo on-$((40+2))\n");
  await shows(page, /^on-42$/m);
  await page.getByRole("button", { name: "Up" }).tap();
  await page.keyboard.type("\n");
  await shows(page, /^on-42$[^]*^on-42$/m);
  const seen = await page.locator("#terminal-keys").boundingBox();
  assert.ok(seen.y + seen.height <= 800, "in sight, below the terminal");
});

test("every page says where it is, and every vcluster has a page, whatever its name", async () => {
  cluster.run("vc", "create", "new", "--wait");
  const page = await newPage();
  await logIn(page);
  for (const [route, section] of [["/vclusters/new", "Vclusters"], ["/terminal/new/host-0", "Vclusters"], ["/images", "Images"], ["/workers", "Workers"]]) {
    await page.goto(route);
    assert.deepEqual(await page.locator("nav [aria-current]").allTextContents(), [section], route);
  }
  await page.goto("/vclusters/new");
  await page.locator('tr[data-phase="running"]').waitFor();
  await page.locator("#leader", { hasText: /m\d leads/ }).waitFor();
  assert.match(await page.locator("#facts time").textContent(), /just now|second|minute/);
  cluster.run("vc", "delete", "--now", "new", "--wait");
  await page.getByText("This vcluster is gone.").waitFor();
  assert.equal(await page.getByRole("button", { name: /Stop|Start|Scale|Delete/ }).count(), 0);
});

test("somebody who has nothing yet is told how to begin", async () => {
  cluster.run("user", "create", "bob", "--password-file", cluster.passwordFile());
  const page = await newPage();
  await page.goto("/login");
  await page.fill("#user", "bob");
  await page.fill("#password", cluster.password());
  await page.click("button[type=submit]");
  await page.getByText("Welcome, bob").waitFor();
  await page.getByRole("link", { name: "Create your first" }).waitFor();
  await shoot(page, "home-of-a-newcomer");
  assert.equal(await page.getByRole("link", { name: "Masters" }).count(), 0);
  assert.equal((await page.request.get("/masters")).status(), 403);
});

test("a form that is refused comes back with what was typed and the reason", async () => {
  const page = await newPage();
  await logIn(page);
  await page.goto("/new/vcluster");
  await page.fill("#name", "Not Allowed");
  await page.getByRole("button", { name: "Create" }).click();
  await page.locator(".notice.refused", { hasText: "is not allowed" }).waitFor();
  assert.equal(await page.inputValue("#name"), "Not Allowed");
});

test("a page of another site can change nothing", async () => {
  const page = await newPage();
  await logIn(page);
  const status = await page.evaluate(async () => (await fetch("/vclusters/lab/delete", { method: "POST", body: new URLSearchParams({ csrf: "wrong" }) })).status);
  assert.equal(status, 403);
  const foreign = await page.request.post("/vclusters/lab/delete", { form: { csrf: "x" }, headers: { origin: "https://evil.example" } });
  assert.equal(foreign.status(), 403);
});

test("the vcluster can be stopped, started and deleted, the last after a question", async () => {
  const page = await newPage();
  await logIn(page);
  await page.goto("/vclusters/lab");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.locator('tr[data-phase="stopped"]').first().waitFor();
  await page.getByRole("button", { name: "Start" }).click();
  await page.locator('tr[data-phase="running"]').first().waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText(/(No vclusters yet|This vcluster is gone)/).waitFor();
});
