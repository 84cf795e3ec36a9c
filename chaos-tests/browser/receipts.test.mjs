// Receipts in a real Chromium: whatever a page does leads to one that says what came of it, in stages with their times, as they
// come; nobody is shown one that is not theirs, and none can be made up.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, isFine, shoot } from "./pages.mjs";

const cluster = new Cluster(78);
const pages = new Pages(cluster);
const SMALL = ["--cpu-milli", "100", "--memory-mib", "64", "--pids-max", "64"];
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-receipts-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("vc", "create", "lab", ...SMALL, "--wait");
  cluster.person("ada", dir);
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

async function open(route, options, user) {
  const page = await pages.newPage(options);
  await pages.logIn(page, user);
  await page.goto(`/${route}`);
  return page;
}

const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
// The stages: when, and what.
const stages = (page) => page.locator("#receipt li").evaluateAll((lines) => lines.map((line) => [...line.children].map(({ textContent }) => textContent.trim())));
const says = (page, text) => page.locator("#receipt li", { hasText: text }).waitFor({ timeout: 30_000 });
const TIME = /^\d{1,2}:\d\d:\d\d( [AP]M)?$/;
const LATER = /^\+(\d+\.\d+ s|\d+ min \d+ s)$/;

// The first says when it began, the others how long after that; in their order.
async function told(page) {
  const all = await stages(page);
  assert.match(all[0][0], TIME);
  for (const [when] of all.slice(1)) assert.match(when, LATER);
  const times = all.slice(1).map(([when]) => parseFloat(when.slice(1)));
  assert.deepEqual(times, times.toSorted((one, other) => one - other));
  return all.map(([, what]) => what);
}

test("a vcluster that is made says how far it is, while one looks", async () => {
  const page = await open("new/vcluster");
  const fields = { name: "made", vnodes: "2", cpu: "100", memory: "32", pids: "64", disk: "64" };
  for (const [id, text] of Object.entries(fields)) await page.fill(`#${id}`, text);
  await press(page, "Create");
  await page.waitForURL(/\/vclusters\/made\?after=\d+$/);
  await page.locator("#receipt").getByText(/Done\. It is entry \d+ of the log/).waitFor();
  await says(page, "host-0: runs");
  await says(page, "host-1: runs");
  const what = await told(page);
  assert.match(what[0], /Vcluster admin\/made: created\./);
  assert.ok(what.some((text) => /host-0: placed on w[12]\./.test(text)), what.join("\n"));
  await isFine(page, "receipt-vcluster");
  // Without scripts it is the same after a reload.
  const plain = await pages.newPage({ javaScriptEnabled: false, storageState: await page.context().storageState() });
  await plain.goto(page.url());
  await plain.locator("#receipt li", { hasText: "host-1: runs" }).waitFor();
  assert.deepEqual(page.complaints, []);
  await plain.context().close();
  await page.context().close();
});

test("a worker that is kept free, and emptied, has a receipt of each", async () => {
  const page = await open("workers");
  await press(page, "Cordon w1");
  await says(page, "Worker w1: takes nothing new.");
  assert.equal((await told(page)).length, 1);
  await press(page, "Uncordon w1");
  await says(page, "Worker w1: takes what comes.");
  await press(page, "Drain w1");
  await says(page, "Worker w1: is being emptied.");
  await says(page, "Worker w1: emptied.");
  await told(page);
  await isFine(page, "receipt-drain");
  await press(page, "Restore w1");
  await says(page, "Worker w1: has back what was moved away.");
  await told(page);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("who leads is changed with a receipt, though no entry says so", async () => {
  const page = await open("masters");
  const leader = cluster.leader();
  const next = ["m1", "m2", "m3"].find((name) => name !== leader);
  await page.locator(`tr[data-master="${next}"]`).getByRole("button", { name: "Let it lead" }).click();
  await says(page, `${next} leads.`);
  assert.deepEqual(await told(page), [`${leader} was asked to let ${next} lead.`, `${next} leads.`]);
  assert.equal(cluster.leader(), next);
  await isFine(page, "receipt-lead");
  // Nobody makes one up, and nobody has somebody else's.
  const address = new URL(page.url());
  const other = await open("account", {}, "ada");
  await other.goto(`/account${address.search}`);
  assert.equal(await other.locator("#receipt").count(), 0);
  const bent = address.search.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  await page.goto(`/masters${bent}`);
  assert.equal(await page.locator("#receipt").count(), 0);
  await other.context().close();
  await page.context().close();
});

test("a move tells each step of its way on the page that asked for it", async () => {
  const [{ worker }] = cluster.json("vc", "show", "lab").vnodes;
  const to = worker === "w1" ? "w2" : "w1";
  const page = await open("vclusters/lab/vnodes/host-0/explain");
  await page.selectOption("#move-to", to);
  await page.selectOption("#move-way", "refresh");
  await press(page, "Move");
  await says(page, `Vnode admin/lab/host-0: is to move from ${worker} to ${to}, refresh.`);
  await says(page, "Vnode admin/lab/host-0: moved.");
  const what = await told(page);
  assert.ok(what.some((text) => text.includes(`placed on ${to}`)), what.join("\n"));
  await isFine(page, "receipt-move");
  // Somebody else's entry is no receipt of theirs.
  const other = await open("vclusters", {}, "ada");
  const { search } = new URL(page.url());
  await other.goto(`/vclusters${search}`);
  assert.equal(await other.locator("#receipt").count(), 0);
  assert.deepEqual(page.complaints, []);
  await other.context().close();
  await page.context().close();
});

for (const javaScriptEnabled of [true, false]) {
  test(`files are brought, moved, changed and deleted with receipts, ${javaScriptEnabled ? "by the script" : "without scripts"}`, async () => {
    const name = javaScriptEnabled ? "one" : "two";
    const page = await open("vclusters/lab/vnodes/host-0/files?path=/root", { javaScriptEnabled });
    const worker = cluster.json("vc", "show", "lab").vnodes[0].worker;
    writeFileSync(`${dir}/${name}.txt`, `${name}\n`);
    await page.setInputFiles("#upload-file", `${dir}/${name}.txt`);
    await press(page, "Upload");
    await says(page, `${worker} has put all of it in its place.`);
    assert.deepEqual(await told(page), [`Vnode admin/lab/host-0, file /root/${name}.txt: is to be written.`, `${worker} has put all of it in its place.`]);
    // What looks for barriers is a script itself.
    if (javaScriptEnabled) await isFine(page, `receipt-upload-${name}`);
    await page.fill("#folder", `dir-${name}`);
    await press(page, "Make");
    await says(page, `${worker} has made it.`);
    const row = (file) => page.locator(`tr[data-file="${file}"]`);
    await row(`${name}.txt`).locator("summary").click();
    await row(`${name}.txt`).getByLabel(`New name or path of ${name}.txt`).fill(`/root/dir-${name}/moved.txt`);
    await row(`${name}.txt`).getByRole("button", { name: "Move" }).click();
    await says(page, `${worker} has moved it.`);
    assert.match((await told(page))[0], new RegExp(`file /root/${name}.txt, file /root/dir-${name}/moved.txt: is to be moved`));
    await page.goto(`/vclusters/lab/vnodes/host-0/files/edit?path=/root/dir-${name}/moved.txt`);
    await page.fill("#text", "changed\n");
    await press(page, "Save");
    await says(page, `${worker} has put all of it in its place.`);
    await page.goto("/vclusters/lab/vnodes/host-0/files?path=/root");
    await row(`dir-${name}`).locator("summary").click();
    await row(`dir-${name}`).getByRole("button", { name: "Delete" }).click();
    if (javaScriptEnabled) await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await says(page, "is to be deleted.");
    await row(`dir-${name}`).waitFor({ state: "detached" });
    await told(page);
    await shoot(page, `receipt-delete-${name}`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test("a directory is shown from a name on that is a number, and that is no entry", async () => {
  const page = await open("vclusters/lab/vnodes/host-0/files?path=/&past=17");
  await page.locator("#files").waitFor();
  const answer = await page.request.get("/api/v1/vclusters/lab/vnodes/host-0/files?path=/&after=99999999999");
  assert.equal(answer.status(), 200);
  assert.equal(await page.locator("#receipt").count(), 0);
  await page.context().close();
});
