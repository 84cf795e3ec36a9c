// The pages of drills in a real Chromium: ordered, watched to its end without a reload, announced to everybody, aborted.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(29);
const pages = new Pages(cluster);
const verdict = (page, word) => page.locator(`#drill[data-verdict="${word}"]`).waitFor({ timeout: 40_000 });

before(async () => {
  cluster.up();
  cluster.run("user", "create", "ada", "--password-file", cluster.passwordFile());
  await pages.open();
  await until("a cluster that is well", () => cluster.try(["drill", "restore"], { input: "" }).stderr.includes("say --yes"));
});

after(async () => {
  await pages.close();
  cluster.down();
});

async function admin() {
  const page = await pages.newPage();
  await pages.logIn(page);
  return page;
}

// Fills the form in and answers the question that follows.
async function order(page, { kind, fault = "60", gap = "3", announce = "0" }) {
  await page.goto("/drills");
  await page.getByText("Order a drill").click();
  await page.selectOption("#kind", kind);
  await page.fill("#fault", fault);
  await page.fill("#gap", gap);
  await page.fill("#announce", announce);
  await page.getByRole("button", { name: "Announce the drill" }).click();
  await page.locator("dialog").getByRole("button", { name: "Announce the drill" }).click();
}

test("a restore is ordered, and its page shows the verdict and the backup without a reload", async () => {
  const page = await admin();
  await page.goto("/drills");
  await page.getByText("No drills yet").waitFor();
  await shoot(page, "drills-none");
  await order(page, { kind: "restore" });
  await page.waitForURL(/\/drills\/\d+/);
  await verdict(page, "passed");
  for (const fact of ["Taken in", "Restored in", "Wrote after", "Same state"]) await page.locator("dt", { hasText: fact }).waitFor();
  assert.match(await page.locator("ol.timeline:not(.plain)").textContent(), /restored it beside the cluster/);
  await page.locator("table", { hasText: "Acknowledged writes that it lacks" }).waitFor();
  assert.deepEqual(page.complaints, []);
});

const ANNOUNCED = {
  partition: /A drill is announced: .* is cut off/,
  "worker-loss": /A drill is announced: worker w[12] lets nothing in or out for up to 10 s, as if it was lost\. Its vnodes cannot be reached meanwhile/,
};

for (const [kind, told] of Object.entries(ANNOUNCED)) {
  test(`everybody is told of a ${kind} on the page that is open, before it begins; aborted by a button it ends at once`, async () => {
    const reader = await pages.newPage();
    await pages.logIn(reader, "ada", cluster.password());
    const page = await admin();
    await order(page, { kind, fault: "10", gap: "5", announce: "60" });
    await page.waitForURL(/\/drills\/\d+/);
    await reader.locator("#notice", { hasText: told }).waitFor();
    await page.locator('#drill[data-stage="announced"]').waitFor();
    assert.equal(await reader.locator("#notice a").count(), 0, "the drill's own page is for admins");
    await shoot(reader, `drill-announced-${kind}`);
    assert.equal((await reader.request.get("/drills")).status(), 403);
    await page.getByRole("button", { name: "Abort and heal" }).click();
    await verdict(page, "aborted");
    await until("an end of the notice", async () => (await reader.locator("#notice p").count()) === 0);
  });
}

test("what would cost more than is accepted comes back with what was typed and the reason", async () => {
  const page = await admin();
  await order(page, { kind: "quorum-loss", fault: "5", gap: "2" });
  await page.locator(".notice.refused", { hasText: "would stop writes for about" }).waitFor();
  assert.deepEqual([await page.inputValue("#kind"), await page.inputValue("#gap")], ["quorum-loss", "2"]);
});

test("a lost leader is in the history and in the chart", async () => {
  const page = await admin();
  await order(page, { kind: "leader-loss", fault: "2", gap: "5" });
  await page.waitForURL(/\/drills\/\d+/);
  const id = new URL(page.url()).pathname.split("/").pop();
  await until("the verdict", () => cluster.try(["drill", "show", id, "--format", "json"]).stdout.includes('"verdict": "passed"'), 40_000);
  await page.goto("/drills");
  await page.locator(`tr[data-drill="${id}"][data-verdict="passed"]`).waitFor();
  await page.locator(`figure.chart a[aria-label^="Drill ${id}, leader-loss, passed"]`).waitFor();
  assert.equal(await page.locator("#history tbody tr").count(), 4);
  assert.equal(await page.locator("figure.chart rect.bar").count(), 2, "those that were aborted before they began measured nothing");
});

test("its pages are fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["drills", ...cluster.json("drill", "list").map(({ id }) => `drills/${id}`)]);
});
