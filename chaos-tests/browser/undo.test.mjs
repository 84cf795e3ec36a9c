// Undoing deletions in a real Chromium: what was deleted is below the list that it was in, and comes back with a button.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages } from "./pages.mjs";

const cluster = new Cluster(74);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-undo-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.person("ada", dir);
  const carl = cluster.person("carl", dir);
  carl.run("vc", "create", "his", "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "16", "--disk", "64MiB", "--wait");
  cluster.run("vc", "create", "lab", "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "16", "--disk", "64MiB", "--wait");
  cluster.run("image", "save", "lab/host-0", "kit", "--version", "v1");
  cluster.run("snapshot", "create", "lab/host-0@friday", "--wait");
  cluster.run("group", "create", "course", "--description", "Systems");
  cluster.run("group", "add", "course", "ada");
  cluster.run("template", "publish", "systems", "--image", "busybox", "--vnodes", "1");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

test("deleting says that it can be undone, and shows what was deleted below the list, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await page.goto("/images/admin/kit");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator('tr[data-kind="image"]').getByText("1 version").waitFor();
  await page.goto("/groups/course");
  await page.getByText("Delete the group").click();
  await page.getByText("You can undo it for 10 minutes.").waitFor();
  await page.getByRole("button", { name: "Delete course" }).click();
  await page.locator('tr[data-kind="group"]').getByText("1 member").waitFor();
  await page.goto("/templates");
  await page.getByRole("button", { name: "Withdraw" }).click();
  await page.locator('tr[data-kind="template"]').waitFor();
  await page.goto("/vclusters/lab");
  await page.getByRole("button", { name: "Delete host-0@friday" }).click();
  await page.locator('tr[data-kind="snapshot"]').getByText("of 1 vnode").waitFor();
  await page.goto("/people/carl");
  await page.getByText("Delete the account").click();
  await page.getByText("You can undo it for 10 minutes.").waitFor();
  await page.getByRole("button", { name: "Delete carl" }).click();
  await page.getByText(/has 1 vclusters and 0 images: nothing was changed/i).waitFor();
  await page.goto("/people/carl");
  await page.getByText("Delete the account").click();
  await page.getByLabel("with 1 vclusters and 0 images").check();
  await page.getByRole("button", { name: "Delete carl" }).click();
  await page.locator('tr[data-kind="account"]').getByText("1 vcluster").waitFor();
  await page.locator("tr[data-user=carl]").getByText("deleted").waitFor();
  await page.goto("/people/carl");
  assert.equal(await page.getByRole("button", { name: "Lock" }).count(), 0);
  await page.getByRole("link", { name: "Undo it, or delete it for good" }).waitFor();
});

test("the pages are fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["images", "groups", "templates", "vclusters/lab", "settings", "quotas", "people", "people/carl"]);
});

test("nobody else sees it, and a button brings it back", async () => {
  const other = await pages.newPage();
  await pages.logIn(other, "ada");
  for (const route of ["images", "groups", "templates"]) {
    await other.goto(`/${route}`);
    assert.equal(await other.locator("tr[data-kept]").count(), 0, route);
  }
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  for (const [route, kind, back] of [["images", "image", 'tr[data-image="kit"]'], ["groups", "group", 'tr[data-group="course"]'], ["templates", "template", '[data-template="systems"]'], ["vclusters/lab", "snapshot", 'tr[data-snapshot="host-0@friday"]'], ["people", "account", "tr[data-user=carl]"]]) {
    await page.goto(`/${route}`);
    await page.locator(`tr[data-kind="${kind}"]`).getByRole("button", { name: /^Undo deleting/ }).click();
    await page.locator(back).waitFor();
    assert.equal(await page.locator("tr[data-kept]").count(), 0, route);
  }
  assert.equal(cluster.json("user", "show", "carl").standing, "active");
});
