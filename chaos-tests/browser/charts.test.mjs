// What workers and people use, groups, what draining a worker would come to, and public certificates, in a real Chromium.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(70);
const pages = new Pages(cluster);
let dir;
let ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-charts-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.person("bob", dir);
  ada.run("vc", "create", "lab", "--vnodes", "2", "--cpu-milli", "100", "--memory-mib", "32", "--wait");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


async function drawn(page, words) {
  const plot = page.locator("#usage-plot");
  await plot.locator("canvas").waitFor();
  await until("words of the chart", async () => words.test((await plot.getAttribute("aria-label")) ?? ""));
}

test("a worker's page has its chart, its vnodes by use, live, and the same as a table without JavaScript", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/workers");
  await page.getByRole("link", { name: "w1", exact: true }).click();
  await drawn(page, /^CPU in the last 10 minutes, in cores: CPU .+ last/);
  for (const [what, words] of [["memory", /^Memory .*[MG]iB/], ["space", /^Disk space .*iB/], ["network", /^Network .*\/s/]]) {
    await page.selectOption("#usage-what", what);
    await drawn(page, words);
  }
  assert.deepEqual(await page.locator("#usage-span option").allTextContents(), ["10 minutes", "4 hours", "1 day", "1 week", "1 month", "1 year"]);
  for (const span of ["1 month", "1 year"]) {
    await page.selectOption("#usage-span", { label: span });
    await drawn(page, new RegExp(`^Network.* in the last ${span}, in per second: received `));
    assert.ok(await page.locator("#usage-plot canvas").isVisible());
  }
  await page.locator("#usage-remark:empty").waitFor({ state: "attached" });
  await page.locator("td", { hasText: "ada/lab/host-" }).first().waitFor();
  await page.locator("[data-usage]", { hasText: /% CPU, / }).first().waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.complaints, []);
  await page.selectOption("#usage-what", "cpu");
  const plain = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(plain);
  await plain.goto("/workers/w1");
  await plain.getByRole("link", { name: "As a table" }).click();
  await plain.locator("tbody tr").first().waitFor();
  assert.match(await plain.locator("tbody tr").first().textContent(), /cores?.*[MG]iB/);
  await plain.goto("/workers/w9");
  await plain.getByText("There is no worker", { exact: false }).or(plain.getByText("no worker", { exact: false })).first().waitFor();
});

test("a chart asks for figures only while it is in sight", async () => {
  const page = await pages.newPage({ viewport: { width: 1280, height: 300 } });
  await page.clock.install();
  const asked = [];
  page.on("request", (request) => request.url().includes("/history?") && asked.push(request.url()));
  await pages.logIn(page);
  await page.goto("/workers/w1");
  await drawn(page, /^CPU in the last 10 minutes/);
  const passes = async (seconds) => {
    const before = asked.length;
    for (let second = 0; second < seconds; second += 1) {
      await page.clock.runFor(1000);
      // What was asked is answered, and the next question set, before the clock goes on.
      await page.evaluate(() => fetch("/api/v1/status").then((answer) => answer.text()));
    }
    return asked.length - before;
  };
  const seen = (wanted) =>
    until(`a chart that is ${wanted ? "" : "not "}in sight`, () =>
      page.evaluate(async (wanted) => {
        const plot = document.getElementById("usage-plot");
        const entry = await new Promise((answer) => {
          const observer = new IntersectionObserver(([entry]) => (observer.disconnect(), answer(entry)));
          observer.observe(plot);
        });
        return entry.isIntersecting === wanted;
      }, wanted));
  await page.locator("#usage-plot").scrollIntoViewIfNeeded();
  await seen(true);
  assert.ok((await passes(12)) >= 2);
  await page.evaluate(() => scrollTo(0, 0));
  await seen(false);
  // One question may have been on its way.
  assert.ok((await passes(20)) <= 1);
  await page.locator("#usage-plot").scrollIntoViewIfNeeded();
  await seen(true);
  await until("figures of now", async () => (await passes(3)) >= 1);
  await page.context().close();
});

test("a worker that is lost has a page that says so", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/workers/w2");
  cluster.kill("w2");
  await page.locator("#worker-facts", { hasText: "down" }).waitFor({ timeout: 60_000 });
  await page.locator("#usage-remark", { hasText: /did not come/ }).waitFor({ timeout: 30_000 });
  cluster.run("dev", "up");
  await page.locator("#worker-facts .phase-running").waitFor({ timeout: 60_000 });
});

test("what draining would come to is told before it is done", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await page.goto("/workers/w1");
  await page.getByRole("link", { name: "What if it is drained?" }).click();
  await page.getByText("Nothing was changed by looking.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Drain w1" }).isVisible());
  assert.equal(cluster.json("worker", "list").find((one) => one.name === "w1").cordon, null);
});

test("a person has a chart of all that is theirs; admins of everybody, others of nobody else", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Your usage over time" }).click();
  await drawn(page, /^CPU in the last 10 minutes/);
  await page.locator('tr[data-vcluster="lab"]', { hasText: "2 of 2" }).waitFor();
  assert.match(await page.locator('tr[data-vcluster="lab"]').textContent(), /[KM]iB/);
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("link", { name: "As a table" }).click();
  await page.locator("tbody tr").first().waitFor();
  assert.equal((await page.request.get("/people/bob/usage")).status(), 404);
  assert.equal((await page.request.get("/api/v1/users/bob/history")).status(), 404);
  assert.equal((await page.request.get("/workers/w1")).status(), 403);
  const admin = await pages.newPage();
  await pages.logIn(admin);
  await admin.goto("/people/ada");
  await admin.getByRole("link", { name: "What they use" }).click();
  await drawn(admin, /^CPU in the last 10 minutes/);
  await admin.goto("/people/bob/usage");
  await admin.locator("#usage-remark", { hasText: "Nothing was measured" }).waitFor();
  await admin.getByText("There are no vclusters.").waitFor();
});

test("a group is made, filled and looked after by its manager, and its members see it, live", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/groups");
  await page.getByText("No groups").waitFor();
  await page.fill("#name", "bio");
  await page.fill("#description", "The biologists");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("heading", { name: "bio" }).waitFor();
  await page.fill("#manage-user", "ada");
  await page.getByRole("button", { name: "Let them" }).click();
  await page.locator("dl.facts", { hasText: "ada" }).first().waitFor();
  cluster.run("quota", "set", "--usual", "--vnodes", "3");
  cluster.run("quota", "set", "--group", "bio", "--vnodes", "5");
  await page.locator("dl.facts", { hasText: "5" }).last().waitFor();
  const manager = await pages.newPage();
  await pages.logIn(manager, "ada");
  await manager.getByRole("link", { name: "Groups", exact: true }).click();
  await manager.getByRole("link", { name: "bio", exact: true }).click();
  await manager.fill("#add-user", "bob");
  await manager.getByRole("button", { name: "Add", exact: true }).click();
  await manager.locator('tr[data-member="bob"]', { hasText: "0 of 5" }).waitFor();
  assert.equal(await manager.getByRole("button", { name: "Let them" }).count(), 0);
  assert.deepEqual(await barriers(manager), []);
  // The admin's page heard of it.
  await page.locator('tr[data-member="bob"]').waitFor();
  const member = await pages.newPage();
  await pages.logIn(member, "bob");
  await member.goto("/groups/bio");
  await member.locator('tr[data-member="bob"]').waitFor();
  assert.equal(await member.getByRole("button", { name: /Take/ }).count(), 0);
  await manager.locator('tr[data-member="bob"]').getByRole("button", { name: "Take bob out" }).click();
  await manager.locator("dialog").getByRole("button", { name: "Take out" }).click();
  await manager.locator('tr[data-member="bob"]').waitFor({ state: "detached" });
  assert.equal((await member.request.get("/groups/bio")).status(), 404);
  await shoot(page, "group", { fullPage: true });
});

test("the public certificates are on the page of the settings; what ACME fails at is told there and as health", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/settings");
  const card = page.locator("#tls");
  await card.locator('tr[data-source="own"]').waitFor();
  await card.getByText("Let the cluster get itself certificates").click();
  await page.fill("#tls-directory", "https://127.0.0.1:1/directory");
  await page.fill("#tls-domains", "cloud.example.org");
  await card.getByRole("checkbox").check();
  assert.deepEqual(await barriers(page), []);
  await card.getByRole("button", { name: "Set", exact: true }).click();
  await card.locator("dl.facts", { hasText: "cloud.example.org" }).waitFor();
  await until("the failure", async () => {
    await page.goto("/settings");
    return (await card.locator(".notice.refused", { hasText: "try 1" }).count()) > 0;
  });
  await page.goto("/health");
  await page.locator(".findings li", { hasText: "public certificates" }).getByText("docklet tls acme renew").waitFor();
  await page.goto("/settings");
  await card.getByRole("button", { name: "Switch ACME off" }).click();
  await page.locator("dialog").getByRole("button", { name: "Switch ACME off" }).click();
  await card.getByText("The cluster gets itself no certificates.").waitFor();
});

test("the pages are fine, light and dark, wide and narrow", () => pages.areFine(["workers/w1", "workers/w1/usage", "workers/w1/what-if", "usage", "people/ada/usage", "groups", "groups/bio"]));
