// The audit trail and the settings in a real Chromium.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(39);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-audit-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  const ada = cluster.person("ada", dir);
  for (let made = 0; made < 30; made += 1) {
    ada.run("vc", "create", `lab-${made}`, "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64");
    ada.run("vc", "delete", `lab-${made}`);
    if (made === 0) cluster.try(["exec", "1/host-0", "--", "true"]);
    await until("room", () => ada.json("vc", "list").length < 6);
  }
  cluster.run("setting", "set", "disk-overcommit", '{"percent":150}');
  cluster.run("setting", "set", "disk-overcommit", '{"percent":175}');
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


test("a person sees what they did, page by page, and finds things; without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Audit", exact: true }).click();
  const numbers = async () => (await page.locator("tr[data-record]").evaluateAll((rows) => rows.map((row) => Number(row.dataset.record))));
  const newest = await numbers();
  assert.equal(newest.length, 50);
  assert.equal(await page.getByText("Export the whole trail").count(), 0);
  await page.getByRole("link", { name: "Older" }).click();
  const older = await numbers();
  assert.ok(Math.max(...older) < Math.min(...newest));
  await page.fill("#thing", "ada/lab-29");
  await page.fill("#command", "discard");
  await page.getByRole("button", { name: "Find" }).click();
  assert.equal(await page.locator("tr[data-record]").count(), 1);
  await page.getByText("vcluster ada/lab-29").waitFor();
  await page.fill("#command", "fly");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("None fits.").waitFor();
});

test("an admin undoes a setting and goes back further", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.getByRole("link", { name: "Settings" }).click();
  const card = page.locator('section[data-setting="disk-overcommit"]');
  await card.getByText(/^Changed 2 times/).click();
  await card.getByRole("button", { name: "Undo" }).click();
  await page.getByText(/^Done\./).waitFor();
  assert.match(await card.locator("dl.facts").first().textContent(), /150/);
  await card.getByText(/^Changed 3 times/).click();
  await card.getByRole("button", { name: "Back to this" }).first().click();
  await page.getByText(/^Done\./).waitFor();
  assert.match(await card.locator("dl.facts").first().textContent(), /175/);
  assert.deepEqual(page.complaints, []);
});

test("the pages are fine, light and dark, wide and narrow", () => pages.areFine(["audit", "settings"]));
