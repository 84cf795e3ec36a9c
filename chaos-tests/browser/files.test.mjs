// Files of a vnode in a real Chromium: brought, found, edited, moved and deleted, with JavaScript and without.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(56);
const pages = new Pages(cluster);
const FILES = "vclusters/lab/vnodes/host-0/files";
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-file-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("vc", "create", "lab", "--cpu-milli", "200", "--memory-mib", "64", "--pids-max", "64", "--disk", "256MiB", "--wait");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const shell = (line) => cluster.run("exec", "lab/host-0", "--", "sh", "-c", line);
const row = (page, name) => page.locator(`tr[data-file="${name}"]`);

test("without JavaScript files are brought, moved and deleted, and nothing is replaced unasked", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await page.goto("/vclusters/lab");
  await page.getByRole("link", { name: "Files of host-0" }).click();
  await page.getByRole("heading", { name: "Files of host-0" }).waitFor();
  await page.getByLabel("New folder").fill("empty & <b>");
  await page.getByRole("button", { name: "Make", exact: true }).click();
  await page.getByRole("link", { name: "empty & <b>/" }).click();
  await page.getByText("Nothing is here yet").waitFor();
  await shoot(page, "files-empty", { fullPage: true });
  writeFileSync(`${dir}/notes.txt`, "first\n");
  await page.setInputFiles("#upload-file", `${dir}/notes.txt`);
  await page.getByRole("button", { name: "Upload" }).click();
  await row(page, "notes.txt").waitFor();
  assert.equal(shell("cat '/root/empty & <b>/notes.txt'"), "first\n");
  await page.setInputFiles("#upload-file", `${dir}/notes.txt`);
  await page.getByRole("button", { name: "Upload" }).click();
  await page.getByText("Something of that name is there already").or(page.getByText("something of that name is there already")).first().waitFor();
  await page.goBack();
  await row(page, "notes.txt").locator("summary").click();
  await row(page, "notes.txt").getByLabel("New name or path of notes.txt").fill("/root/moved.txt");
  await row(page, "notes.txt").getByRole("button", { name: "Move" }).click();
  await page.getByText("Nothing is here yet").waitFor();
  await page.getByRole("navigation", { name: "Directory" }).getByRole("link", { name: "root", exact: true }).click();
  await row(page, "moved.txt").waitFor();
  await row(page, "moved.txt").locator("summary").click();
  await row(page, "moved.txt").getByRole("button", { name: "Delete moved.txt" }).click();
  await row(page, "moved.txt").waitFor({ state: "detached" });
  assert.equal(shell("ls /root/moved.txt 2>/dev/null; true"), "");
});

test("a large file goes on after the connection broke and after the page was loaded anew", async () => {
  const bytes = Buffer.alloc(22 << 20, "docklet and its files ");
  writeFileSync(`${dir}/large.bin`, bytes);
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${FILES}?path=%2Froot`);
  let parts = 0;
  let cut = true;
  await page.route("**/uploads/*?path=*", async (route) => {
    if (route.request().method() !== "PATCH") return route.continue();
    parts += 1;
    return parts > 2 && cut ? route.abort("connectionreset") : route.continue();
  });
  await page.setInputFiles("#upload-file", `${dir}/large.bin`);
  await page.getByRole("button", { name: "Upload" }).click();
  await page.getByText("The connection broke; going on as soon as there is one").waitFor();
  await shoot(page, "files-uploading");
  await page.reload();
  cut = false;
  const before = parts;
  await page.setInputFiles("#upload-file", `${dir}/large.bin`);
  await page.getByRole("button", { name: "Upload" }).click();
  await row(page, "large.bin").waitFor();
  assert.ok(parts - before <= 4, `${parts - before} parts: it began anew`);
  const hash = createHash("sha256").update(bytes).digest("hex");
  assert.equal(shell("sha256sum /root/large.bin").split(" ")[0], hash);
  const waiting = page.waitForEvent("download");
  await row(page, "large.bin").getByRole("link", { name: "large.bin", exact: true }).click();
  const path = await (await waiting).path();
  assert.equal(createHash("sha256").update(readFileSync(path)).digest("hex"), hash);
  const zipped = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download all as zip" }).click();
  assert.equal((await zipped).suggestedFilename(), "root.zip");
});

test("an upload that is paused brings nothing until it is to go on", async () => {
  const bytes = Buffer.alloc(9 << 20, "paused and gone on with ");
  writeFileSync(`${dir}/paused.bin`, bytes);
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${FILES}?path=%2Froot`);
  let parts = 0;
  let letGo;
  const held = new Promise((resolve) => (letGo = resolve));
  await page.route("**/uploads/*?path=*", async (route) => {
    if (route.request().method() !== "PATCH") return route.continue();
    parts += 1;
    await held;
    return route.continue();
  });
  const first = page.waitForResponse((answer) => answer.request().method() === "PATCH");
  await page.setInputFiles("#upload-file", `${dir}/paused.bin`);
  await page.getByRole("button", { name: "Upload" }).click();
  await until("the first part", () => parts === 1);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused.").waitFor();
  letGo();
  await (await first).finished();
  await page.getByText("paused.bin: 44 %").waitFor();
  await shoot(page, "files-paused");
  // Whatever it would do next, it would have done by now.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.equal(parts, 1);
  assert.equal(shell("ls /root/paused.bin 2>/dev/null; true"), "");
  await page.getByRole("button", { name: "Go on" }).click();
  await row(page, "paused.bin").waitFor();
  assert.equal(parts, 3);
  assert.equal(shell("sha256sum /root/paused.bin").split(" ")[0], createHash("sha256").update(bytes).digest("hex"));
});

test("files that are dropped on the page are brought", async () => {
  for (const name of ["one", "two"]) writeFileSync(`${dir}/dropped-${name}.txt`, `dropped ${name}\n`);
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${FILES}?path=%2Froot`);
  const browser = await page.context().newCDPSession(page);
  const drag = (type) => browser.send("Input.dispatchDragEvent", {
    type, x: 600, y: 500, data: { items: [], files: ["one", "two"].map((name) => `${dir}/dropped-${name}.txt`), dragOperationsMask: 1 },
  });
  await drag("dragEnter");
  await drag("dragOver");
  await page.locator("#upload.dropping").waitFor();
  await shoot(page, "files-dropping");
  await drag("drop");
  await row(page, "dropped-two.txt").waitFor();
  assert.equal(shell("cat /root/dropped-one.txt /root/dropped-two.txt"), "dropped one\ndropped two\n");
  assert.deepEqual(page.complaints, []);
});

test("how far the deletion of a directory is is shown, and it can be ended", async () => {
  shell("mkdir -p /root/many && cd /root/many && seq 1 40000 | xargs touch");
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${FILES}?path=%2Froot`);
  const remove = async () => {
    await row(page, "many").locator("summary").click();
    await row(page, "many").getByRole("button", { name: "Delete many" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  };
  await remove();
  // At once: a picture takes as long as the rest would.
  await page.getByText(/Deleting many: [\d,]+ files gone …/).waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText(/many: Stopped\. [\d,]+ files or more are gone, the rest is there\./).waitFor();
  await shoot(page, "files-stopped");
  assert.notEqual(shell("ls /root/many | wc -l").trim(), "0");
  await page.reload();
  await remove();
  await row(page, "many").waitFor({ state: "detached", timeout: 60_000 });
  assert.equal(shell("ls /root/many 2>/dev/null | wc -l").trim(), "0");
  assert.deepEqual(page.complaints, []);
});

test("text is edited, and what somebody else changed meanwhile is not lost", async () => {
  shell("printf '\\nfirst\\nsecond\\n' > /root/text");
  const page = await pages.newPage();
  await pages.logIn(page);
  await page.goto(`/${FILES}?path=%2Froot`);
  await row(page, "text").getByRole("link", { name: "Edit text" }).click();
  const text = page.getByLabel("Text of text");
  assert.equal(await text.inputValue(), "\nfirst\nsecond\n");
  await text.fill("\nfirst\n<script>mended</script>\n");
  await page.getByRole("button", { name: "Save" }).click();
  await row(page, "text").waitFor();
  assert.equal(shell("cat /root/text"), "\nfirst\n<script>mended</script>\n");
  await row(page, "text").getByRole("link", { name: "Edit text" }).click();
  shell("echo another >> /root/text");
  await text.fill("mine");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("it was changed meanwhile").waitFor();
  assert.equal(await text.inputValue(), "mine");
  await shoot(page, "files-conflict", { fullPage: true });
  assert.match(shell("cat /root/text"), /another/);
  const unexpected = page.complaints.filter((complaint) => !complaint.includes("412"));
  assert.deepEqual(unexpected, []);
});

test("the pages are fine, light and dark, wide and narrow", async () => {
  shell("mkdir -p /root/data && ln -s /etc/passwd /root/link && mkfifo /root/pipe");
  await pages.areFine([`${FILES}?path=%2Froot`, `${FILES}?path=%2F`, `${FILES}?path=%2Froot%2Fdata`, `${FILES}/edit?path=%2Froot%2Ftext`]);
});
