// Pages on which something changes by others' doing show it by themselves, in a real Chromium; and what somebody has begun to fill
// in, what is folded out and what has the focus stays as it was.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(81);
const pages = new Pages(cluster);
let dir, ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-lively-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  ada = cluster.person("ada", dir);
  cluster.run("group", "create", "course");
  ada.run("vc", "create", "lab", "--vnodes", "1", "--cpu-milli", "100", "--memory-mib", "48", "--wait");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// A page that is never loaded again.
async function open(route, user) {
  const page = await pages.newPage();
  await pages.logIn(page, user);
  await page.goto(`/${route}`);
  await page.locator("#leader", { hasText: "leads" }).waitFor();
  await page.evaluate(() => (globalThis.loadedOnce = true));
  return page;
}

async function close(page) {
  assert.equal(await page.evaluate(() => globalThis.loadedOnce), true, "it was not loaded again");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
}

// Begins to fill a field in; answers what looks whether it still is so, and has the focus.
async function begin(page, selector, text) {
  await page.fill(selector, text);
  await page.focus(selector);
  return async () => {
    assert.equal(await page.inputValue(selector), text);
    assert.equal(await page.evaluate((selector) => document.activeElement.matches(selector), selector), true, `${selector} has the focus`);
  };
}

test("quotas: what somebody may have, and what they use", async () => {
  const page = await open("quotas");
  await page.getByText("Set a quota").click();
  const stays = await begin(page, "#quota-user", "carl");
  cluster.run("quota", "set", "--user", "ada", "--vnodes", "7");
  await page.locator('tr[data-user="ada"] [data-label=vnodes]', { hasText: "1 of 7" }).waitFor();
  ada.run("vc", "create", "more", "--vnodes", "2", "--cpu-milli", "50", "--memory-mib", "16");
  await page.locator('tr[data-user="ada"] [data-label=vnodes]', { hasText: "3 of 7" }).waitFor();
  await stays();
  await shoot(page, "lively-quotas", { fullPage: true });
  await close(page);
});

test("settings: what another admin sets", async () => {
  const page = await open("settings");
  cluster.run("setting", "set", "disk-overcommit", '{"percent":170}');
  await page.getByText("170").first().waitFor();
  await close(page);
});

test("beans: what one has, as soon as they are in use and given", async () => {
  const page = await open("beans", "ada");
  await page.getByText("This site does not use beans").waitFor();
  cluster.run("beans", "set", "--on", "--birth", "12");
  await page.getByRole("heading", { name: "Your purse" }).waitFor();
  const stays = await begin(page, "#why", "the second sheet");
  cluster.run("beans", "grant", "ada", "500");
  await page.locator("#page").getByText(/51[12]/).first().waitFor();
  await stays();
  await close(page);
  cluster.run("beans", "set", "--off");
});

test("audit: a record of each entry as it comes, only those that one looks for, each once", async () => {
  const [all, some] = [await open("audit"), await open("audit?thing=group+course")];
  const before = await some.locator("tr[data-record]").count();
  cluster.run("group", "add", "course", "ada");
  const row = (page) => page.locator("tr[data-record]", { hasText: "group course" });
  await until("one more", async () => (await some.locator("tr[data-record]").count()) === before + 1);
  await row(all).first().waitFor();
  cluster.run("vc", "create", "other", "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "16");
  await all.locator("tr[data-record]", { hasText: "vcluster admin/other" }).first().waitFor();
  assert.equal(await some.locator("tr[data-record]").count(), before + 1);
  const numbers = await all.locator("tr[data-record]").evaluateAll((rows) => rows.map(({ dataset }) => Number(dataset.record)));
  assert.deepEqual(numbers, [...new Set(numbers)].toSorted((one, other) => other - one));
  for (const page of [all, some]) await close(page);
});

test("templates: one that is published, and withdrawn", async () => {
  const page = await open("templates", "ada");
  cluster.run("template", "publish", "systems", "--image", "busybox", "--vnodes", "1");
  const card = page.locator("section[data-template=systems]");
  await card.waitFor();
  const stays = await begin(page, "#as-systems", "mine");
  cluster.run("template", "publish", "nets", "--image", "busybox", "--vnodes", "2");
  await page.locator("section[data-template=nets]").waitFor();
  await stays();
  cluster.run("template", "withdraw", "systems");
  await card.waitFor({ state: "detached" });
  await close(page);
});

test("account: another login of one's own, and what an admin takes away", async () => {
  const page = await open("account", "ada");
  const stays = await begin(page, "#affiliation", "The third floor");
  const logins = page.locator("section", { has: page.locator("#logins-title") }).locator("tbody tr");
  const before = await logins.count();
  const file = `${dir}/ada-password`;
  const again = new Cluster(cluster.instance);
  again.env = { ...again.env, DOCKLET_CONTEXT: `${dir}/again.toml` };
  again.run("login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "ada", "--password-file", file);
  await until("one more login", async () => (await logins.count()) === before + 1);
  await stays();
  await close(page);
});

test("an image: how it is described, with whom it is shared, and that it is gone", async () => {
  const { owner, name } = cluster.json("image", "list").find(({ name }) => name.endsWith("busybox"));
  const page = await open(`images/${owner}/${name.split("/").at(-1)}`);
  cluster.run("image", "describe", name, "The small one");
  await page.locator("dd", { hasText: "The small one" }).waitFor();
  await close(page);
});

test("files: what somebody else brings, moves and deletes in the directory", async () => {
  const page = await open("vclusters/lab/vnodes/host-0/files?path=/root", "ada");
  const stays = await begin(page, "#folder", "mine");
  writeFileSync(`${dir}/brought`, "brought\n");
  ada.run("cp", `${dir}/brought`, "lab/host-0:/root/brought");
  await page.locator('tr[data-file="brought"]').waitFor();
  ada.run("cp", `${dir}/brought`, "lab/host-0:/root/again");
  await page.locator('tr[data-file="again"]').waitFor();
  await stays();
  await close(page);
});

test("a share of a terminal that is revoked elsewhere, and limits that were changed elsewhere", async () => {
  const page = await open("vclusters/lab", "ada");
  await page.getByText("Limits of each vnode").click();
  ada.run("vc", "resize", "lab", "--memory-mib", "56");
  await until("the field", async () => (await page.inputValue("#resize-memory")) === "56");
  const stays = await begin(page, "#resize-cpu", "150");
  ada.run("vc", "resize", "lab", "--memory-mib", "64");
  await until("the field", async () => (await page.inputValue("#resize-memory")) === "64");
  await stays();
  assert.equal(await page.locator("#limits").getAttribute("open"), "");
  const session = "0".repeat(31) + "1";
  const sharing = await page.context().newPage();
  await sharing.goto("/terminal/lab/host-0/share");
  await sharing.getByText("Nothing of this vnode is shared.").waitFor();
  await sharing.locator("#leader", { hasText: "leads" }).waitFor();
  const terminal = await page.context().newPage();
  await terminal.goto(`/terminal/lab/host-0?new&session=${session}`);
  await until("a connection", () => terminal.evaluate(() => document.getElementById("terminal-status")?.dataset.via));
  const shell = await terminal.evaluate(() => globalThis.dockletTerminal.desk.active.session);
  const made = await terminal.evaluate(async ([path, session]) => {
    const answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ session, types: false, minutes: 60 }) });
    return answer.status;
  }, ["/api/v1/vclusters/lab/vnodes/host-0/shares", shell]);
  assert.ok(made < 300, `${made}`);
  await sharing.locator("#shared table").waitFor();
  const [{ id }] = ada.json("share", "list");
  ada.run("share", "revoke", String(id));
  await sharing.getByText("Nothing of this vnode is shared.").waitFor();
  await close(page);
});

// What a stream sends until all of it came, after the id that it says to have seen last.
const heard = (page, path, last, wanted) =>
  page.evaluate(async ([path, last, wanted]) => {
    const cut = new AbortController();
    const late = setTimeout(() => cut.abort(), 10_000);
    let text = "";
    try {
      const answer = await fetch(path, { headers: last ? { "last-event-id": String(last) } : {}, signal: cut.signal });
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (wanted.every((one) => text.includes(one))) break;
      }
    } catch (error) {
      text += `\n${error}`;
    }
    clearTimeout(late);
    cut.abort();
    return text;
  }, [path, last, wanted]);

test("a stream that comes back with its last id hears what it missed, in order and nothing twice", async () => {
  const page = await open("events");
  const applied = () => cluster.json("status").raft.applied;
  const before = applied();
  cluster.run("group", "create", "one");
  const seen = applied();
  for (const name of ["two", "three"]) cluster.run("group", "create", name);
  const told = (name) => `>Group ${name}: `;
  // The header says more than the address, with which the page once came.
  const path = `/live/events?after=${before}&seen=${before}`;
  const back = await heard(page, path, seen, [told("two"), told("three"), "event: hello"]);
  assert.ok(!back.includes(told("one")), back);
  assert.ok(back.indexOf(told("two")) < back.indexOf(told("three")), back);
  for (const name of ["two", "three"]) assert.equal(back.split(told(name)).length, 2, back);
  const ids = [...back.matchAll(/event: row\nid: (\d+)\n/g)].map(([, id]) => Number(id));
  assert.ok(ids.length >= 2 && ids.every((id) => id > seen), `${ids}`);
  assert.deepEqual(ids, [...new Set(ids)].toSorted((one, other) => one - other));
  // Without it the address holds, and nonsense is no id.
  for (const last of [null, "x"]) {
    const anew = await heard(page, path, last, [told("one"), told("two"), told("three")]);
    assert.ok(anew.includes(told("one")), anew);
  }
  // What shows a state, and no list, is drawn as it is now, wherever it was left.
  const home = await heard(page, "/live/vclusters", 1, ["event: fragment", '"id":"vclusters"']);
  assert.match(home, /event: fragment/);
  await close(page);
});
