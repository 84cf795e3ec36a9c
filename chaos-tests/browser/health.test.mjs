// How the cluster is, and what happened, in a real Chromium.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(71);
const pages = new Pages(cluster);
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-health-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  ada.run("vc", "create", "lab", "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "32", "--wait");
  for (let said = 0; said < 20; said += 1) cluster.run("notice", "announce", `Notice ${said}`);
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


test("the health page tells what is wrong, by itself and with the next step, until it is right", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.getByRole("link", { name: "Health", exact: true }).click();
  await page.locator("tr[data-master]").nth(2).waitFor();
  assert.equal(await page.locator("tr[data-master]").count(), 3);
  const row = page.locator('tr[data-worker="w2"]');
  await row.getByText("well").or(row.getByText("note")).waitFor();
  await page.locator(".findings li", { hasText: "None was ever taken." }).getByText("docklet backup FILE").waitFor();
  cluster.kill("w2");
  const lost = page.locator(".findings li", { hasText: "worker w2" });
  await lost.getByText("Its agent is lost.").waitFor({ timeout: 60_000 });
  await lost.getByText("docklet agent run --dir DIR").waitFor();
  assert.deepEqual(await barriers(page), []);
  await shoot(page, "health-of-a-loss", { fullPage: true });
  cluster.run("dev", "up");
  await lost.waitFor({ state: "detached", timeout: 60_000 });
  cluster.run("backup", `${dir}/backup`);
  await page.locator('tr[data-subsystem="backups"]', { hasText: "The last one is not old." }).waitFor();
  assert.deepEqual(page.complaints.filter((text) => !text.includes("ERR_")), []);
});

test("who looks after nothing has no health page", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  assert.equal(await page.getByRole("link", { name: "Health", exact: true }).count(), 0);
  assert.equal((await page.request.get("/health")).status(), 403);
});

test("a person sees what happened to what is theirs, finds it, and new things appear on top by themselves", async () => {
  const lab = String(ada.json("vc", "list")[0].id);
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Events", exact: true }).click();
  const rows = page.locator("#happened tr");
  const texts = () => rows.allTextContents();
  await page.locator("#happened tr", { hasText: "Vcluster ada/lab: created." }).waitFor();
  assert.ok((await texts()).every((text) => !/worker w\d: /i.test(text)));
  const indices = async () => rows.evaluateAll((all) => all.map((row) => Number(row.id.slice("entry-".length))));
  const before = await indices();
  assert.deepEqual(before, [...before].sort((one, other) => other - one));
  assert.deepEqual(await barriers(page), []);
  cluster.run("vc", "stop", lab);
  await page.locator("#happened tr", { hasText: "is to stop" }).first().waitFor();
  const later = await indices();
  assert.deepEqual(later, [...new Set(later)].sort((one, other) => other - one));
  // What came is there once, however the stream begins anew, and nothing is missing.
  cluster.kill(cluster.leader());
  await page.getByText(/Connected again|leads now|The leader is gone/).first().waitFor({ timeout: 20_000 });
  cluster.run("vc", "start", lab);
  await page.locator("#happened tr", { hasText: "is to run" }).first().waitFor({ timeout: 20_000 });
  const all = await indices();
  assert.deepEqual(all, [...new Set(all)].sort((one, other) => other - one));
  await page.reload();
  const fresh = await indices();
  assert.deepEqual(all.slice(0, 40), fresh.slice(fresh.indexOf(all[0])).slice(0, 40));
  cluster.run("dev", "up");
});

test("without JavaScript events are found, turned, and kept in an address", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await page.goto("/events");
  await page.selectOption("#topic", "people");
  await page.fill("#thing", "ada");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("User ada: created.").waitFor();
  const topics = await page.locator('#happened td[data-label="Topic"]').allTextContents();
  assert.deepEqual([...new Set(topics)], ["people"]);
  await page.goto("/events");
  await page.getByRole("link", { name: "Older" }).click();
  await page.getByRole("link", { name: "Newest" }).click();
  await page.getByRole("link", { name: "Only what comes from now on" }).click();
  await page.getByText("Only what came after entry").waitFor();
  const address = page.url();
  cluster.run("notice", "announce", "A new thing");
  await until("it is there", async () => {
    await page.goto(address);
    return (await page.locator('#happened td[data-label="Topic"]', { hasText: "notices" }).count()) > 0;
  });
  await page.goto("/events?topic=drills");
  await page.getByText("None fits.").waitFor();
});

test("the pages are fine, light and dark, wide and narrow", () => pages.areFine(["health", "events"]));
