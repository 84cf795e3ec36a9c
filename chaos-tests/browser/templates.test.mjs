// Templates in a real Chromium: published by a manager, made one's own, and one for each member of a group.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(28);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-template-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  for (const name of ["ada", "bob", "carl"]) cluster.person(name, dir);
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "ada");
  cluster.run("group", "add", "course", "bob", "carl");
  cluster.run("quota", "set", "--user", "carl", "--vnodes", "1");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


test("a manager publishes one and makes one for each member, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Templates" }).click();
  await page.getByText("There is none for you yet. Publish one below.").waitFor();
  await page.getByText("Publish a template").click();
  await page.fill("#name", "systems");
  await page.selectOption("#group", "course");
  await page.fill("#description", "Systems, <b>spring</b>");
  await page.fill("#vnodes", "2");
  await page.fill("#cpu", "50");
  await page.fill("#memory", "16");
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByText("Systems, <b>spring</b>").waitFor();
  await shoot(page, "templates", { fullPage: true });
  await page.getByRole("button", { name: "Make one for each" }).click();
  await page.getByText("1 made, 0 had one of that name already, 1 got none.").waitFor();
  assert.match(await page.locator('tr[data-user="carl"]').textContent(), /none.*vnodes: 0 used, 2 more wanted, 1 allowed/);
  await shoot(page, "templates-made", { fullPage: true });
});

test("a member makes their own under another name, and withdraws nothing", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  await page.getByRole("link", { name: "Templates" }).click();
  assert.equal(await page.getByRole("button", { name: "Withdraw" }).count(), 0);
  assert.equal(await page.getByText("Publish a template").count(), 0);
  await page.getByLabel("Name of your vcluster").fill("mine");
  await page.getByRole("button", { name: "Make one", exact: true }).click();
  await page.waitForURL(/\/vclusters\/mine/);
  await page.getByText("host-1").first().waitFor();
  assert.deepEqual(page.complaints, []);
});

test("the page is fine, light and dark, wide and narrow", () => pages.areFine(["templates"]));
