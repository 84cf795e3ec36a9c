// The page of a vcluster in a real Chromium: ports, snapshots, what is made of one, disks, and the chart of what is used.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(26);
const pages = new Pages(cluster);

before(async () => {
  cluster.up();
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  await pages.open();
});

after(async () => {
  await pages.close();
  cluster.down();
});

const shell = (vnode, script) => cluster.run("exec", vnode, "--", "sh", "-c", script).trim();
const snapshot = (page, name) => page.locator(`tr[data-snapshot="${name}"][data-condition="taken"]`);
const answer = (page, button) => page.locator("dialog").getByRole("button", { name: button, exact: true }).click();

async function open(route = "vclusters/lab") {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${route}`);
  return page;
}

// What the vnode's web server says through a public port, asked from outside the workers.
async function served(address) {
  const came = await fetch(`http://${address}/`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
  return came && (await came.text()).trim();
}

test("a port is opened by the form, reached over TCP, and closed", async () => {
  shell("lab/host-1", "mkdir -p /tmp/www && echo hello > /tmp/www/index.html && busybox httpd -p 80 -h /tmp/www");
  const page = await open();
  await page.selectOption("#port-vnode", "host-1");
  await page.fill("#port-number", "80");
  await page.fill("#port-public", "20080");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  const row = page.locator('tr[data-port="20080/tcp"]');
  await row.waitFor();
  const address = await row.locator("code").textContent();
  await until("page", async () => (await served(address)) === "hello");
  assert.match(await row.textContent(), /host-1, port 80/);
  await page.locator("#ports").scrollIntoViewIfNeeded();

  await page.selectOption("#port-vnode", "host-0");
  await page.fill("#port-number", "80");
  await page.fill("#port-public", "20080");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText(/leads somewhere already/).waitFor();
  await page.goBack();

  await row.getByRole("button", { name: "Close port 20080/tcp" }).click();
  await row.waitFor({ state: "detached" });
  await until("closed port", async () => (await served(address)) === undefined);
});

test("a snapshot is taken, restored, undone and deleted by the forms, each time after a question", async () => {
  shell("lab/host-0", "echo before > /root/kept");
  const page = await open();
  await page.selectOption("#snapshot-vnode", "host-0");
  await page.fill("#snapshot-name", "before");
  await page.getByRole("button", { name: "Take", exact: true }).click();
  // It comes by itself, and its buttons ask as those that were there from the beginning.
  await snapshot(page, "host-0@before").waitFor();
  shell("lab/host-0", "echo after > /root/kept");

  await page.getByRole("button", { name: "Restore host-0@before" }).click();
  await answer(page, "Cancel");
  assert.equal(shell("lab/host-0", "cat /root/kept"), "after");
  await page.getByRole("button", { name: "Restore host-0@before" }).click();
  await answer(page, "Restore");
  const told = page.locator('[data-restore="host-0"]');
  await told.getByText(/was put back to before/).waitFor();
  await page.locator('tr[data-vnode="host-0"][data-phase="running"]').waitFor();
  assert.equal(shell("lab/host-0", "cat /root/kept"), "before");

  const [left] = (await told.textContent()).match(/host-0@before-restore-\d+/);
  await page.getByRole("button", { name: `Restore ${left}` }).click();
  await answer(page, "Restore");
  await told.getByText(new RegExp(`was put back to ${left.split("@")[1]}`)).waitFor();
  await page.locator('tr[data-vnode="host-0"][data-phase="running"]').waitFor();
  assert.equal(shell("lab/host-0", "cat /root/kept"), "after");
  await shoot(page, "snapshots-restored", { fullPage: true });

  await page.getByRole("button", { name: `Delete ${left}` }).click();
  await answer(page, "Delete");
  await snapshot(page, left).waitFor({ state: "detached" });
  await page.fill("#snapshot-name", "auto-mine");
  await page.getByRole("button", { name: "Take", exact: true }).click();
  await page.getByText(/one that Docklet gives by itself/).waitFor();
  assert.deepEqual(page.complaints.filter((complaint) => !complaint.includes("422")), []);
});

test("a schedule is set and taken away", async () => {
  const page = await open();
  const schedule = page.locator("#snapshot-schedule");
  await schedule.getByText("None are taken by themselves.").waitFor();
  await page.selectOption("#snapshot-every", { label: "Every 15 minutes" });
  await page.fill("#snapshot-keep", "3");
  await page.selectOption("#snapshot-expiry", { label: "For a week" });
  await schedule.getByRole("button", { name: "Set" }).click();
  await schedule.getByText(/The next of all vnodes are taken/).waitFor();
  assert.match(cluster.run("snapshot", "schedule", "lab"), /lab +15m +3 +1w/);
  assert.equal(await page.inputValue("#snapshot-keep"), "3");
  await page.selectOption("#snapshot-every", { label: "Not any more" });
  await schedule.getByRole("button", { name: "Set" }).click();
  await schedule.getByText("None are taken by themselves.").waitFor();
});

test("what somebody has begun to fill in stays when something is drawn anew", async () => {
  const page = await open();
  const schedule = page.locator("#snapshot-schedule");
  await schedule.getByText("None are taken by themselves.").waitFor();
  await page.selectOption("#snapshot-every", { label: "Every 15 minutes" });
  await page.fill("#snapshot-keep", "5");
  cluster.run("snapshot", "schedule", "lab", "--every", "1d", "--keep", "2");
  await schedule.getByText(/The next of all vnodes are taken/).waitFor();
  assert.deepEqual([await page.inputValue("#snapshot-every"), await page.inputValue("#snapshot-keep")], ["900000", "5"]);
  cluster.run("snapshot", "schedule", "lab", "--off");
  await schedule.getByText("None are taken by themselves.").waitFor();
});

test("the focus, marked text and what is scrolled stay when parts are drawn anew, which come by one stream", async () => {
  cluster.run("port", "add", "lab/host-0", "81");
  cluster.run("port", "add", "lab/host-0", "82");
  const page = await pages.newPage({ viewport: { width: 1280, height: 420 } });
  const streams = [];
  page.on("request", (request) => request.url().includes("/live/vclusters/lab") && streams.push(request.url()));
  await pages.logIn(page);
  await page.goto("/vclusters/lab");
  const host2 = page.locator('tr[data-vnode="host-2"]');
  const seen = () =>
    page.evaluate(() => ({ focus: document.activeElement.getAttribute("aria-label"), same: document.activeElement === globalThis.focused, marked: String(getSelection()), scrolled: scrollY }));
  const mark = (selector) =>
    page.evaluate((selector) => {
      getSelection().selectAllChildren(document.querySelector(selector));
      scrollTo(0, 150);
      globalThis.focused = document.activeElement;
    }, selector);
  const [gone, stays] = await page.locator("#ports tr[data-port]").evaluateAll((rows) => rows.map((row) => row.dataset.port));

  // A button of a row that moves up, and text in another part.
  await page.getByRole("button", { name: `Close port ${stays}` }).focus();
  await mark('tr[data-vnode="host-1"] td[data-label="Address"]');
  const before = await seen();
  assert.deepEqual([before.focus, before.same, before.scrolled], [`Close port ${stays}`, true, 150]);
  assert.match(before.marked, /^\d+\.\d+\.\d+\.\d+$/);
  cluster.run("port", "remove", gone.split("/")[0]);
  await page.locator(`tr[data-port="${gone}"]`).waitFor({ state: "detached" });
  assert.deepEqual(await seen(), before);

  // A link in the part that changes, and text in it.
  await page.getByRole("link", { name: "Files of host-1" }).focus();
  await mark('tr[data-vnode="host-1"] td[data-label="Address"]');
  const inside = await seen();
  cluster.run("vc", "scale", "lab", "3");
  await host2.waitFor();
  assert.deepEqual(await seen(), inside);
  assert.equal(inside.focus, "Files of host-1");
  cluster.run("vc", "scale", "lab", "2", "--wait");
  await host2.waitFor({ state: "detached" });
  assert.deepEqual(await seen(), inside);
  // A field in which somebody types, with text marked outside of the part that changes.
  await page.fill("#snapshot-keep", "5");
  await page.evaluate(() => (globalThis.focused = document.activeElement));
  cluster.run("snapshot", "schedule", "lab", "--every", "1d", "--keep", "2");
  await page.locator("#snapshot-schedule", { hasText: "The next of all vnodes are taken" }).waitFor();
  assert.deepEqual([(await seen()).same, await page.inputValue("#snapshot-keep")], [true, "5"]);
  cluster.run("snapshot", "schedule", "lab", "--off");
  await page.locator("#snapshot-schedule", { hasText: "None are taken by themselves." }).waitFor();
  assert.equal(streams.length, 1, streams.join(" "));
  cluster.run("port", "remove", stays.split("/")[0]);
  await page.context().close();
});

test("a page that is one of too many says so, and that it does not follow", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.route("**/live/**", (route) => route.fulfill({ status: 429, contentType: "application/problem+json", body: "{}" }));
  await page.goto("/vclusters/lab");
  await page.locator("#connection", { hasText: "Too many pages are open: this one does not follow what happens until you close others." }).waitFor();
  await shoot(page, "too-many-pages");
  assert.deepEqual(await barriers(page), []);
  await page.context().close();
});

test("a vcluster is made of a snapshot by the link beside it, and says what it is made of", async () => {
  shell("lab/host-0", "echo template > /root/kept && sync");
  cluster.run("snapshot", "create", "lab/host-0@template", "--wait");
  const page = await open();
  await page.getByRole("link", { name: "New vcluster of host-0@template" }).click();
  await page.locator("#from", { hasText: "lab/host-0@template" }).waitFor();
  assert.equal(await page.locator('input[name="image"]').count(), 0, "it has the image of its vnode");
  await shoot(page, "new-vcluster-of-snapshot", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  await page.fill("#name", "copy");
  await page.fill("#disk", "64");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.locator(".notice.refused", { hasText: "a disk only grows" }).waitFor();
  assert.equal(await page.inputValue("#name"), "copy");
  await page.fill("#disk", "10240");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.waitForURL(/\/vclusters\/copy/);
  await page.locator('tr[data-vnode="host-0"][data-phase="running"]').waitFor();
  assert.equal(shell("copy/host-0", "cat /root/kept"), "template");
  assert.equal(shell("lab/host-0", "cat /root/kept"), "template");
  cluster.run("vc", "delete", "--now", "copy", "--wait");
});

test("disks are as large as the form says, limits change while the vnode runs, and GPUs are not offered where nobody has any", async () => {
  const page = await open("new/vcluster");
  assert.equal(await page.locator("#gpus").count(), 0);
  await page.fill("#name", "small");
  await page.fill("#vnodes", "1");
  await page.fill("#disk", "63");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  assert.ok(await page.locator("#disk").evaluate((field) => field.validity.rangeUnderflow), "too little is said before it is sent");
  await page.fill("#disk", "2048");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.waitForURL(/\/vclusters\/small/);
  await page.locator('tr[data-vnode="host-0"][data-phase="running"]').waitFor();
  assert.match(await page.locator("#facts").textContent(), /2 GiB of disk$|2 GiB of disk/);
  const limits = page.locator("#limits");
  await limits.locator("summary").click();
  await page.fill("#resize", "3072");
  await page.fill("#resize-memory", "384");
  await page.fill("#resize-cpu", "750");
  await limits.getByRole("button", { name: "Change" }).click();
  await page.locator("#facts", { hasText: "3 GiB of disk" }).waitFor();
  assert.match(await page.locator("#facts").textContent(), /384 MiB/);
  await until("the vnode to see its new memory", () => /\b393216 kB/.test(shell("small/host-0", "grep MemTotal /proc/meminfo")));
  const options = await page.locator("#usage-what option").allTextContents();
  assert.deepEqual(options.filter((option) => option.includes("GPU")), []);
  cluster.run("vc", "delete", "--now", "small", "--wait");
});

test("a vcluster says where it shall be, what waits says why, and a worker is cordoned and freed by its page", async () => {
  cluster.run("worker", "label", "w1", "zone=a");
  const page = await open("new/vcluster");
  await page.fill("#name", "apart");
  await page.fill("#vnodes", "3");
  await page.locator("#rules summary").click();
  await page.selectOption("#spread", { label: "few in each zone" });
  await page.fill("#per-worker", "1");
  await page.fill("#labels", "zone");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.locator(".notice.refused", { hasText: 'not of the form key=value' }).waitFor();
  assert.equal(await page.inputValue("#per-worker"), "1");
  await page.fill("#labels", "");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.waitForURL(/\/vclusters\/apart/);
  await page.locator('tr[data-vnode="host-1"][data-phase="running"]').waitFor();
  await page.locator('tr[data-vnode="host-2"][data-phase="pending"]').getByRole("link", { name: "Why host-2 is pending" }).click();
  await page.locator("#summary", { hasText: "None of 2 workers can take it." }).waitFor();
  await page.locator('tr[data-worker="w1"]', { hasText: "as many as it may" }).waitFor();
  assert.ok((await page.locator("#unblock li").count()) >= 3);
  assert.deepEqual(await barriers(page), []);
  // The page tells by itself what becomes of it.
  cluster.run("vc", "rules", "apart", "--at-most", "2");
  await page.locator("#summary", { hasText: /It is running, on w[12]\./ }).waitFor();
  await page.goto("/workers");
  const row = page.locator('tr[data-worker="w1"]');
  await row.getByText("zone=a").waitFor();
  await row.getByRole("button", { name: "Cordon w1" }).click();
  await row.getByText("takes nothing new").waitFor();
  await row.getByRole("button", { name: "Uncordon w1" }).click();
  await row.locator("[data-cordon]").waitFor({ state: "detached" });
  assert.deepEqual(await barriers(page), []);
  cluster.run("vc", "delete", "--now", "apart", "--wait");
});

test("the chart is drawn after some seconds, says the same in words and in a table, and complains of nothing", async () => {
  const page = await open();
  const plot = page.locator("#usage-plot");
  await plot.locator("canvas").waitFor();
  await until("words", async () => /CPU of all vnodes in the last 10 minutes, in cores: CPU .+ last, from .+ to .+; highest second/.test(await plot.getAttribute("aria-label")));
  await page.locator("#usage-remark:empty").waitFor({ state: "attached" });
  assert.deepEqual(await page.locator(".u-legend .u-label").allTextContents(), ["Time", "CPU", "highest second"]);
  for (const [what, words] of [["memory", /Memory of all vnodes .* [KM]iB/], ["network", /Network .* received .*\/s/], ["processes", /Processes .* processes/]]) {
    await page.selectOption("#usage-what", what);
    await until(`words of ${what}`, async () => words.test(await plot.getAttribute("aria-label")));
  }
  await page.selectOption("#usage-of", "host-1");
  await until("words of one vnode", async () => /of host-1/.test(await plot.getAttribute("aria-label")));
  await plot.scrollIntoViewIfNeeded();
  await shoot(page, "usage-chart");
  await page.locator('[data-usage]', { hasText: /% CPU, [\d.]+ [KM]iB/ }).first().waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.complaints, []);
  await page.getByRole("link", { name: "As a table" }).click();
  await page.waitForURL(/usage\?span=10m&of=host-1/);
  await page.locator("tbody tr").first().waitFor();
  assert.match(await page.locator("tbody tr").first().textContent(), /\d [KM]iB/);
});

test("of many vnodes a hundred are shown, the others on the next page, and one is found by its name", async () => {
  for (const worker of ["w1", "w2"]) cluster.run("worker", "cordon", worker);
  cluster.run("vc", "create", "many", "--vnodes", "130", "--cpu-milli", "10", "--memory-mib", "16");
  const page = await open("vclusters/many");
  const names = () => page.locator("#vnodes tr[data-vnode]").evaluateAll((rows) => rows.map((row) => row.dataset.vnode));
  assert.deepEqual([(await names()).length, (await names())[99]], [100, "host-99"]);
  await page.getByText("1 to 100 of 130").waitFor();
  await page.locator("#vnodes").getByRole("link", { name: "Next" }).click();
  await page.getByText("101 to 130 of 130").waitFor();
  assert.equal((await names())[0], "host-100");
  // What is pushed is the part that is shown.
  cluster.run("vc", "scale", "many", "125");
  await page.getByText("101 to 125 of 125").or(page.locator('tr[data-vnode="host-129"][data-phase="removing"]')).first().waitFor();
  assert.equal((await names())[0], "host-100");
  await page.getByLabel("Find vnodes by name").fill("host-12");
  await page.getByRole("button", { name: "Find" }).click();
  await page.locator('tr[data-vnode="host-12"]').waitFor();
  assert.ok((await names()).every((name) => name.includes("host-12")));
  assert.deepEqual(await barriers(page), []);
  await shoot(page, "vcluster-many", { fullPage: true });
  cluster.run("vc", "delete", "--now", "many");
  for (const worker of ["w1", "w2"]) cluster.run("worker", "uncordon", worker);
});

test("its pages are fine in light and dark, wide and narrow", async () => {
  cluster.run("port", "add", "lab/host-1", "80");
  cluster.run("port", "add", "lab/host-0", "53", "--protocol", "udp");
  cluster.run("snapshot", "create", "lab@friday", "--expires", "4w", "--wait");
  cluster.run("snapshot", "schedule", "lab", "--every", "daily", "--keep", "7");
  cluster.run("worker", "label", "w2", "zone=b", "disk=ssd");
  cluster.run("worker", "cordon", "w2", "--reason", "new disk");
  cluster.run("vc", "create", "large", "--memory-mib", "4000000", "--label", "disk=hdd");
  await pages.areFine(["vclusters/lab", "vclusters/lab/usage", "vclusters/lab/vnodes/host-0/explain", "vclusters/large/vnodes/host-0/explain", "workers", "new/vcluster", "new/vcluster?from=lab/host-0@friday"]);
});
