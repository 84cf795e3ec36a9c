// The page of what happens, and `docklet events`, where the log was cut: both say what is missing and from where it goes on.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(76);
const pages = new Pages(cluster);
const masters = ["m1", "m2", "m3"];
const applied = () => cluster.json("status").raft.applied;
// Each master has a history of its own, and a page goes to any of them.
const at = (master) => ({ ...cluster.env, DOCKLET_CONTEXT: `${cluster.dir}/at-${master}.toml` });
const oldest = () => Math.min(...masters.map((master) => {
  const { code, stdout } = cluster.try(["state", "--format", "json"], { env: at(master) });
  return code === 0 ? JSON.parse(stdout).oldest.index : 0;
}));

before(async () => {
  cluster.up();
  cluster.run("user", "create", "ada", "--password-file", cluster.passwordFile());
  masters.forEach((master, i) => {
    const from = ["--server", cluster.masters[i], "--ca", `${cluster.dir}/ca.pem`];
    const { code, stderr } = cluster.try(["login", ...from, "--user", "admin", "--password-file", cluster.passwordFile()], { env: at(master) });
    assert.equal(code, 0, stderr);
  });
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
});

function restart(history_mib) {
  for (const master of masters) {
    const file = `${cluster.dir}/${master}/master.toml`;
    writeFileSync(file, readFileSync(file, "utf8").replace(/history_mib = \d+/, `history_mib = ${history_mib}`));
  }
  cluster.kill(...masters);
  cluster.run("dev", "up");
}

// Masters keep no history for a while, and forget what they have of it in memory.
async function cut(name) {
  const early = applied();
  restart(0);
  cluster.run("user", "create", name, "--password-file", cluster.passwordFile());
  await until("an end of the history", () => oldest() > early);
  restart(512);
}

test("an open page that comes back after the log was cut marks the gap, and goes on after it", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/events");
  await page.locator("#entry").waitFor();
  const seen = applied();
  const lost = (route) => route.abort("connectionreset");
  await page.route("**/live/**", lost);
  await cut("bob");
  await page.unroute("**/live/**", lost);
  const gap = page.locator("tr.gap");
  await gap.waitFor({ timeout: 30_000 });
  const [, upto, next] = /What came up to entry (\d+) is no longer kept: this goes on from entry (\d+)\./.exec(await gap.textContent());
  assert.ok(Number(upto) >= seen, `${upto} is before ${seen}`);
  assert.equal(Number(next), Number(upto) + 1);
  cluster.run("user", "create", "carol", "--password-file", cluster.passwordFile());
  const row = page.locator("tr", { hasText: "carol" }).first();
  await row.waitFor();
  const rows = await page.locator("table.events tbody tr").evaluateAll((all) => all.map((one) => [one.className, Number(one.id.split("-")[1])]));
  const at = rows.findIndex(([kind]) => kind === "gap");
  assert.ok(at > 0 && rows.slice(0, at).every(([, index]) => index > Number(upto)), JSON.stringify(rows));
  assert.deepEqual(await barriers(page), []);
  await shoot(page, "events-gap", { fullPage: true });
});

test("a page and a command that begin before the cut say what is missing", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  for (const route of ["/events", "/events?after=3"]) {
    await page.goto(route);
    const notice = await page.locator("main p.notice", { hasText: "is no longer kept" }).textContent();
    const [, upto] = /What came up to entry (\d+) is no longer kept: this goes on from entry \d+\. The audit trail reaches further back\./.exec(notice);
    const indices = await page.locator("table.events tbody tr").evaluateAll((all) => all.map((one) => Number(one.id.split("-")[1])));
    assert.ok(indices.length && indices.every((index) => index > Number(upto)), `${indices} and ${upto}`);
  }
  await shoot(page, "events-cut", { fullPage: true });
  const { code, stdout, stderr } = cluster.try(["events", "--from", "2", "--limit", "1", "--format", "json"]);
  assert.equal(code, 0, stderr);
  const [, from, upto, next] = /Changes of entries (\d+) to (\d+) are no longer kept: going on from entry (\d+)\./.exec(stderr);
  assert.deepEqual([Number(from), Number(next)], [2, Number(upto) + 1]);
  assert.ok(JSON.parse(stdout).index >= Number(next));
});
