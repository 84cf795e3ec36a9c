// Beans in a real Chromium: turned on by an admin, asked for by a person, given by a manager of their group.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(28);
const pages = new Pages(cluster);
let dir;
let bob;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-bean-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
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


test("an admin turns beans on, without JavaScript too, and everybody has some", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await page.getByRole("link", { name: "Quotas" }).click();
  await page.getByRole("link", { name: "how this site uses beans" }).click();
  await page.getByText("This site does not use beans: nothing costs anything.").waitFor();
  await page.getByText("How this site uses beans").click();
  await page.selectOption("#on", "true");
  await page.fill("#birth", "150");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByRole("heading", { name: "Your purse" }).waitFor();
  await until("purses", () => cluster.json("beans", "top").length === 4);
  await page.reload();
  assert.equal(await page.locator("header [data-beans]").textContent(), "150 beans");
  assert.match(await page.locator('tr[data-purse="bob"]').textContent(), /bob.*150/);
  await page.fill("#to", "course");
  await page.selectOption("#kind", "group");
  await page.fill("#beans", "1000");
  await page.getByRole("button", { name: "Give", exact: true }).click();
  await page.locator('tr[data-purse="course"]').getByText("1000").first().waitFor();
});

test("the first page has one's beans and the newest notices, which come by themselves", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  await page.getByRole("region", { name: "Your beans" }).locator("[data-balance]").waitFor();
  const notices = page.getByRole("region", { name: "Newest notices" });
  cluster.run("notice", "announce", "Please clean up", "--user", "bob", "--link", "/vclusters");
  await notices.locator("li").first().getByRole("link", { name: "Please clean up" }).waitFor();
  await notices.getByText(/, \d+ unread/).waitFor();
  await shoot(page, "home-with-beans", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a person sees what theirs were spent on, and asks for more", async () => {
  cluster.run("beans", "set", "--every", "1s");
  bob.run("vc", "create", "lab", "--cpu-milli", "200", "--memory-mib", "32", "--pids-max", "64", "--disk", "64MiB", "--wait");
  bob.run("exec", "lab/host-0", "--", "sh", "-c", "timeout 60 sh -c 'while :; do :; done' >/dev/null 2>&1 & echo begun");
  await until("a charge", () => bob.json("beans", "statement").lines.some(({ cost }) => cost.cpu > 2_000));
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  await page.locator("header [data-beans]").click();
  const line = page.locator('tr[data-line="lab/host-0"]');
  assert.match(await line.textContent(), /lab\/host-0.*< 0\.01/);
  assert.match(await page.locator("caption").textContent(), /It began with 0 beans/);
  const csv = await page.request.get(await page.getByRole("link", { name: "As a table (CSV)" }).getAttribute("href"));
  assert.match(await csv.text(), /^month,purse,line,.*\n.*credits.*\n.*lab\/host-0/);
  const [{ day, spent_micro: spent }] = bob.json("beans", "statement").days.slice(-1);
  assert.ok(spent > 0);
  const bar = page.getByRole("img", { name: new RegExp(`^${day}: [\\d.]+ beans$`) });
  await bar.locator("rect.bar").waitFor();
  await page.getByText("As a table", { exact: true }).click();
  assert.match(await page.locator(`tr[data-day="${day}"]`).textContent(), /150/, "what was given");
  assert.equal(await page.getByText("Purses").count(), 0);
  await page.fill("#wanted", "500");
  await page.fill("#why", "homework <3>");
  await page.getByRole("button", { name: "Ask" }).click();
  await page.getByText("nobody has decided yet").waitFor();
  await shoot(page, "beans-asked", { fullPage: true });
  assert.deepEqual(page.complaints, []);
});

test("a manager of the group decides, once, and the balance is in the head of the page", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await page.locator("header [data-beans]").click();
  await page.getByText("bob asks for 500").waitFor();
  await page.getByText("“homework <3>”").waitFor();
  await shoot(page, "beans-manager", { fullPage: true });
  await page.getByLabel("Answer").fill("good luck");
  await page.getByRole("button", { name: "Approve" }).click();
  await page.getByText("Nobody whom you look after asks for beans.").waitFor();
  assert.match(await page.locator('tr[data-purse="course"]').textContent(), /500/);
  const bobs = await pages.newPage();
  await pages.logIn(bobs, "bob");
  await bobs.getByRole("link", { name: /^6\d\d(\.\d+)? beans$/ }).click();
  await bobs.getByText("approved by ada").waitFor();
});

test("the page is fine, light and dark, wide and narrow", () => {
  cluster.run("vc", "create", "mine", "--cpu-milli", "50", "--memory-mib", "16", "--pids-max", "64", "--disk", "64MiB", "--wait");
  cluster.run("beans", "request", "500", "--reason", "to see how it looks");
  return pages.areFine(["beans"]);
});
