// Notices in a real Chromium: the bell counts live on two pages at once, what was read is read everywhere, announcing works
// without JavaScript, and bug reports are told and answered.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(26);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-notice-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  for (const name of ["ada", "bob"]) cluster.person(name, dir);
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "ada");
  cluster.run("group", "add", "course", "bob");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const bell = (page, label) => page.getByRole("link", { name: label, exact: true }).waitFor();

test("the bell counts on every open page, and what is read on one is read on all", async () => {
  const first = await pages.newPage();
  await pages.logIn(first, "bob");
  await bell(first, "Notices, nothing new");
  const second = await first.context().newPage();
  await second.goto("/images");
  await first.goto("/notices");
  await first.getByText("Nobody has told you anything yet.").waitFor();
  cluster.run("notice", "announce", "Workers restart on <i>Sunday</i>", "--warning", "--body", "From 8 to 9.\nSave your work.");
  cluster.run("notice", "announce", "Please clean up", "--user", "bob", "--link", "/vclusters");
  for (const page of [first, second]) await bell(page, "Notices, 2 unread");
  await first.getByRole("heading", { name: "warning Workers restart on <i>Sunday</i>" }).waitFor();
  await first.bringToFront();
  await shoot(first, "notices-unread", { fullPage: true });
  await first.locator("article", { hasText: "Please clean up" }).getByRole("button", { name: "Mark as read" }).click();
  for (const page of [first, second]) await bell(page, "Notices, 1 unread");
  await first.getByRole("button", { name: "Mark all as read" }).click();
  for (const page of [first, second]) await bell(page, "Notices, nothing new");
  await first.getByText("You have read all of it.").waitFor();
  await first.getByRole("button", { name: "Remove" }).click();
  await first.locator("article", { hasText: "Please clean up" }).waitFor({ state: "detached" });
  await first.getByLabel("Mail me, too").selectOption("of all");
  await first.getByRole("button", { name: "Set" }).click();
  await until("the wish", () => first.getByLabel("Mail me, too").inputValue().then((value) => value === "all"));
  assert.equal(await first.getByText("Tell others something").count(), 0);
  assert.deepEqual(first.complaints, []);
});

test("a manager tells the group something and takes it back, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await bell(page, "Notices, 1 unread");
  await page.goto("/notices");
  await page.getByText("Tell others something").click();
  assert.equal(await page.locator("#user").count(), 0);
  await page.fill("#title", "The first sheet is out");
  await page.fill("#body", "In ~/nfs.\nUntil Friday.");
  await page.fill("#link", "/templates");
  await shoot(page, "notices-form", { fullPage: true });
  await page.getByRole("button", { name: "Tell", exact: true }).click();
  await page.getByRole("heading", { name: "The first sheet is out" }).waitFor();
  await shoot(page, "notices-announced", { fullPage: true });
  assert.deepEqual(await barriers(await quiet(page)), []);
  await page.getByRole("button", { name: "Withdraw The first sheet is out" }).click();
  await page.locator("tr[data-kind=notice]").waitFor();
  assert.equal(await page.getByRole("heading", { name: "The first sheet is out" }).count(), 0);
  await shoot(page, "notices-withdrawn", { fullPage: true });
  assert.deepEqual(await barriers(await quiet(page)), []);
  await page.getByRole("button", { name: "Undo deleting The first sheet is out" }).click();
  await page.getByRole("heading", { name: "The first sheet is out" }).waitFor();
  await page.getByRole("button", { name: "Withdraw The first sheet is out" }).click();
  await page.getByRole("button", { name: "Delete The first sheet is out for good" }).click();
  await page.locator("tr[data-kind=notice]").waitFor({ state: "detached" });
  assert.equal(await page.getByText("The first sheet is out").count(), 0);
});

test("what somebody found wrong is told, answered, and read", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  await page.goto("/notices");
  await page.getByRole("link", { name: "Found something wrong?" }).click();
  await page.getByText("Nothing yet.").waitFor();
  await page.fill("#text", "The terminal forgets its colours.\nIn every browser.");
  await page.getByRole("button", { name: "Tell the admins" }).click();
  await page.getByText("In every browser.").waitFor();
  const admin = await pages.newPage();
  await pages.logIn(admin);
  await admin.goto("/bugs");
  await admin.getByLabel("Answer", { exact: true }).fill("Fixed in the next image");
  await shoot(admin, "bugs-admin", { fullPage: true });
  await admin.getByRole("button", { name: "Answer and close" }).click();
  await page.getByText("Fixed in the next image").waitFor();
  await bell(page, "Notices, 1 unread");
  assert.deepEqual([...page.complaints, ...admin.complaints], []);
});

test("the pages are fine, light and dark, wide and narrow", async () => {
  cluster.run("user", "profile", "--mail", "admin@example.org");
  // Nobody listens there, so that the queue has something in it.
  cluster.run("mail", "set", "--host", "127.0.0.1", "--port", "9", "--tls", "none", "--from", "docklet@example.org");
  cluster.run("notice", "announce", "A title as long as they may be, so that whoever looks at it on a telephone sees where it goes on", "--mail", "--warning", "--link", "/vclusters");
  await until("a failure", () => cluster.json("mail", "queue").some(({ cause }) => cause));
  await pages.areFine(["notices", "bugs", "mail"]);
});

// The same page where scripts run, which looking for barriers takes.
async function quiet(page) {
  const context = await pages.browser.newContext({ baseURL: cluster.portal, ignoreHTTPSErrors: true, storageState: await page.context().storageState() });
  const other = await context.newPage();
  await other.goto("/notices");
  return other;
}
