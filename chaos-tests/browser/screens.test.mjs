// Every page of the portal in light and dark, wide and narrow, of a cluster in which there is something to see. What is made
// lies in target/screenshots, to be looked at.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, isFine, shoot } from "./pages.mjs";
import { pagesOfRouter, routeOf } from "./routes.mjs";

const cluster = new Cluster(71);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-screens-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  const ada = cluster.person("ada", dir);
  cluster.run("group", "create", "bio", "--description", "The biologists");
  cluster.run("group", "add", "bio", "ada", "admin");
  cluster.run("quota", "set", "--group", "bio", "--vnodes", "12");
  const size = ["--cpu-milli", "100", "--memory-mib", "48"];
  cluster.run("vc", "create", "lab", "--vnodes", "2", ...size, "--wait");
  cluster.run("vc", "create", "gpu-farm", "--vnodes", "1", ...size, "--gpus", "1");
  ada.run("vc", "create", "thesis", "--vnodes", "2", ...size, "--wait");
  for (const [one, vnode] of [[cluster, "lab/host-0"], [ada, "thesis/host-0"]]) one.run("exec", vnode, "--", "sh", "-c", "echo text > /root/text");
  cluster.run("snapshot", "create", "lab/host-0@before");
  cluster.run("port", "add", "lab/host-0", "80");
  cluster.run("notice", "announce", "Maintenance on Sunday", "--body", "The second rack is without power from 8 to 10.");
  cluster.run("setting", "set", "disk-overcommit", '{"percent":150}');
  cluster.run("vc", "create", "old", "--vnodes", "1", ...size);
  cluster.run("vc", "delete", "old");
  cluster.run("template", "publish", "course", "--group", "bio", "--image", "busybox", "--vnodes", "1");
  cluster.run("user", "registration", "open");
  await pages.open();
  await ask();
});
// A stranger's request for an account.
async function ask() {
  const stranger = await pages.newPage();
  await stranger.goto("/register");
  for (const [id, text] of Object.entries({ name: "eve", password: "eve's long password", "real-name": "Eve Adams", mail: "eve@example.org", reason: "networks" })) await stranger.fill(`#${id}`, text);
  await stranger.getByRole("button", { name: "Ask for an account" }).click();
  await stranger.getByText("Your request is noted").waitFor();
  await stranger.context().close();
}

after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const ROUTES = [
  "", "register", "vclusters", "new/vcluster", "vclusters/lab", "vclusters/lab/usage", "vclusters/gpu-farm/vnodes/host-0/explain", "vclusters/lab/vnodes/host-0/files",
  "vclusters/lab/vnodes/host-0/files/edit?path=/root/text", "terminal/lab/host-0", "terminal/lab/host-0/share", "replay",
  "workspace", "images", "templates", "events", "past", "audit", "usage", "usage/table", "groups", "groups/bio", "quotas", "beans", "notices", "bugs", "account",
  "workers", "workers/w1", "workers/w1/usage", "workers/w1/what-if", "masters", "drills", "health", "people", "people/ada", "people/ada/usage", "people/ada/usage/table", "mail", "settings",
];
// Those that must be there first: numbers differ.
const numbered = () => {
  const [{ id: request }] = cluster.json("user", "requests");
  const { id: master } = cluster.json("master", "list").masters.find(({ name }) => name === "m3");
  const { owner, name } = cluster.json("image", "list").find(({ name }) => name.endsWith("busybox"));
  return [`requests/${request}`, `masters/${master}/remove`, `images/${owner}/${name.split("/").at(-1)}`];
};
// What needs more than this cluster has, and where it is looked at in the same way.
const ELSEWHERE = { "/drills/{id}": "drills.test.mjs", "/shared/{link}": "shares.test.mjs", "/login/code": "accounts.test.mjs" };

test("every page that the router has is visited", () => {
  const routes = pagesOfRouter();
  assert.ok(routes.length > 40, `${routes.length} pages`);
  const visited = new Set(["login", ...ROUTES, ...numbered()].map((address) => routeOf(`/${address}`, routes)));
  assert.ok(!visited.has(undefined), "each address is one of the router's");
  const left = routes.filter((route) => !visited.has(route));
  assert.deepEqual(left.toSorted(), Object.keys(ELSEWHERE).toSorted());
  for (const [route, file] of Object.entries(ELSEWHERE)) {
    const text = readFileSync(new URL(file, import.meta.url), "utf8");
    const looks = /areFine\(|isFine\(|barriers\(/.test(text);
    assert.ok(looks, `${route} in ${file}`);
  }
});

test("every page is fine, and was photographed", async () => {
  assert.ok(ROUTES.length > 30);
  await pages.areFine([...ROUTES, ...numbered()]);
});

test("every page is as fine for an ordinary user, also where it says that it is not for them", async () => {
  const own = [...ROUTES, ...numbered()].map((route) => route.replace(/(vclusters|terminal)\/(lab|gpu-farm)/, "$1/thesis"));
  await pages.areFine(own, "ada");
});

test("what is shown once, in answer to a form, is as fine", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/account");
  await page.getByText("Make a token").click();
  await page.fill("#token-name", "screens");
  await page.getByRole("button", { name: "Make", exact: true }).click();
  assert.match(await page.locator("#token").textContent(), /^docklet_[0-9a-f]{64}$/);
  await isFine(page, "token-made");
  await page.goto("/templates");
  await page.locator("section[data-template=course]").getByRole("button", { name: "Make one for each" }).click();
  await page.getByText(/had one of that name already/).waitFor();
  await isFine(page, "template-made");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a vcluster's page tells what happened to it and to nothing else, as it happens", async () => {
  cluster.run("vc", "create", "lab-2", "--vnodes", "1", "--cpu-milli", "50", "--memory-mib", "16");
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto("/vclusters/lab");
  const rows = page.locator("#happened tr");
  // The last of it: what pages did before this may have pushed its creation out.
  await rows.getByText("admin/lab").first().waitFor();
  const before = await rows.count();
  assert.ok(before <= 8, `${before} rows`);
  cluster.run("vc", "stop", "lab-2");
  cluster.run("port", "add", "lab/host-1", "8080");
  await rows.first().getByText("Vnode admin/lab/host-1: port 8080 opened").waitFor();
  const told = await page.locator("#happened").textContent();
  assert.doesNotMatch(told, /lab-2/);
  await page.getByRole("link", { name: "All events of lab" }).click();
  await page.getByLabel("Thing").waitFor();
  assert.equal(await page.getByLabel("Thing").inputValue(), "admin/lab");
  cluster.run("vc", "delete", "--now", "lab-2");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("machines are invited by a button, with what they run, by whoever may", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  for (const [list, button, command] of [["workers", "Invite a worker", "docklet agent join"], ["masters", "Invite a master", "docklet master join"]]) {
    await page.goto(`/${list}`);
    await page.getByRole("button", { name: button }).click();
    const invitation = page.locator("#invitation");
    await invitation.waitFor();
    assert.match(await invitation.textContent(), new RegExp(`^${command} D1\\.[a-z]+\\.\\S+ --name NAME --dir DIR`));
    await shoot(page, `invitation-${list}`, { fullPage: true });
    assert.deepEqual(await barriers(page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  }
  await page.goto("/masters");
  const { applied, state_hash } = cluster.json("status").raft;
  await page.locator('tr[data-master="m1"] td[data-label="Entry"]', { hasText: String(applied) }).waitFor();
  assert.equal(await page.locator("#masters dd[title]").getAttribute("title"), state_hash);
  await page.context().close();
});
