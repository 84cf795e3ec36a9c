// Quotas in a real Chromium: one's own on the first page, and the page on which admins and managers say how much others may have.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(22);
const pages = new Pages(cluster);
let dir, ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-quota-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.person("bob", dir);
  cluster.run("group", "create", "course", "--description", "Systems, spring");
  cluster.run("group", "manager", "add", "course", "ada");
  cluster.run("quota", "set", "--group", "course", "--vnodes", "12");
  ada.run("group", "add", "course", "bob");
  ada.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


test("the first page tells what one has and may have", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  const vnodes = page.locator('[data-item="vnodes"]');
  assert.match(await vnodes.textContent(), /vnodes2 of 8 usual/);
  await page.locator('[data-item="memory_mib"] meter').waitFor();
  await shoot(page, "quota-own", { fullPage: true });
  // It is as new as the rest of the page.
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "1");
  await page.getByText("More than is allowed now").waitFor();
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "inherit");
  assert.deepEqual(page.complaints, []);
});

test("a manager divides what the group gives, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Quotas" }).click();
  assert.equal(await page.locator("tr[data-user]").count(), 2);
  await page.getByText("Set a quota").click();
  await page.selectOption("#quota-group", "course");
  await page.fill("#quota-user", "bob");
  await page.selectOption("#quota-item", "vnodes");
  await page.fill("#quota-most", "3");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.locator('tr[data-user="bob"]').getByText("0 of 3").waitFor();
  await page.getByText("Set a quota").click();
  await page.fill("#quota-user", "bob");
  await page.fill("#quota-most", "13");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByText(/gives its members 12 of vnodes at most/).waitFor();
});

test("whoever looks after nobody has no such page to go to, and an empty one behind it", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  assert.equal(await page.getByRole("link", { name: "Quotas" }).count(), 0);
  await page.goto("/quotas");
  await page.getByText("You look after nobody else").waitFor();
  assert.deepEqual(await barriers(page), []);
});

test("the pages are fine, light and dark, wide and narrow", () => pages.areFine(["", "quotas"]));
