// Looking back in a real Chromium: a moment, what differs until another, only one's own, and what cannot be shown.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster } from "../harness.mjs";
import { Pages } from "./pages.mjs";

const cluster = new Cluster(24);
const pages = new Pages(cluster);
const moments = {};

before(async () => {
  cluster.up();
  cluster.run("user", "create", "ada", "--password-file", cluster.passwordFile());
  moments.early = cluster.json("status").raft.applied;
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  moments.late = cluster.json("status").raft.applied;
  await pages.open();
});

after(async () => {
  await pages.close();
  cluster.down();
});

async function look(page, at, to = "") {
  await page.fill("#at", String(at));
  await page.fill("#to", String(to));
  await page.getByRole("button", { name: "Look" }).click();
  await page.waitForURL(/\/past\?/);
}

const named = (page, noun) => page.locator(`table[data-noun="${noun}"] tr[data-name]`).evaluateAll((rows) => rows.map((row) => row.dataset.name));

test("a moment is shown as it was, and what differs until another", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.getByRole("link", { name: "Past" }).click();
  await page.getByText(/reaches back to entry \d+/).waitFor();
  await look(page, moments.early);
  await page.locator("h2", { hasText: `After entry ${moments.early}` }).waitFor();
  assert.deepEqual(await named(page, "vclusters"), []);
  await look(page, "-0s");
  await page.locator("h2", { hasText: /After entry/ }).waitFor();
  assert.deepEqual(await named(page, "vclusters"), ["admin/lab"]);
  await look(page, moments.early, moments.late);
  await page.locator("h2", { hasText: `to entry ${moments.late}` }).waitFor();
  const row = page.locator('tr[data-name="admin/lab/host-0"]');
  assert.match(await row.textContent(), /new.*seen: running/);
  await page.locator(".by-command", { hasText: `docklet state diff ${moments.early} ${moments.late}` }).waitFor();
  assert.deepEqual(page.complaints, []);
});

test("who looks sees what is their own", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada", cluster.password());
  await page.goto("/past?at=-0s");
  await page.locator("h2", { hasText: /After entry/ }).waitFor();
  assert.deepEqual(await named(page, "users"), ["ada"]);
  for (const noun of ["vclusters", "vnodes", "masters", "workers", "drills"]) assert.deepEqual(await named(page, noun), [], noun);
});

test("nonsense, the future and what is too old come back with what was typed and the reason", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/past");
  for (const [text, reason] of [["<b>soon", /give an entry's number/], ["99999999", /still to come/], ["-100000d", /reaches back to entry/]]) {
    await look(page, text);
    await page.locator(".notice.refused", { hasText: reason }).waitFor();
    assert.equal(await page.inputValue("#at"), text);
  }
});

test("its pages are fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["past", "past?at=-0s", `past?at=${moments.early}&to=${moments.late}`]);
});
