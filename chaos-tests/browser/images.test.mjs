// The page of images in a real Chromium: a file becomes an image by the form, with JavaScript and without.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(89);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-images-pages-");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// A busybox system as a tar, with a word in it, and perhaps a large file.
function system(word, large = "") {
  const root = `${dir}/${word}`;
  for (const part of ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"]) mkdirSync(`${root}/${part}`, { recursive: true });
  execFileSync("cp", ["/bin/busybox", `${root}/bin/busybox`]);
  for (const applet of ["sh", "cat", "mkdir"]) execFileSync("ln", ["-sf", "busybox", `${root}/bin/${applet}`]);
  execFileSync("ln", ["-sf", "../bin/busybox", `${root}/sbin/init`]);
  writeFileSync(`${root}/etc/inittab`, "::sysinit:/bin/mkdir -p /run\n");
  writeFileSync(`${root}/word`, word);
  if (large) execFileSync("cp", [large, `${root}/large`]);
  execFileSync("tar", ["-C", root, "-cf", `${root}.tar`, "."]);
  return `${root}.tar`;
}

async function imported(page, name, file, description) {
  await page.goto("/images");
  await page.fill("#import-name", name);
  await page.fill("#import-description", description);
  await page.setInputFiles("#import-file", file);
  await page.getByRole("button", { name: "Import" }).click();
}

const row = (page, name) => page.locator(`tr[data-image="${name}"]`);

test("a file is imported by the page's script, which tells how it goes, and the page shows the image by itself", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  await imported(page, "first", system("first"), "by script");
  await page.getByText("first is there.").waitFor();
  await row(page, "first").getByText("by script").waitFor();
  await imported(page, "nothing", "/bin/busybox", "");
  await page.locator("#import-told.refused", { hasText: /damaged, or no such archive/ }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.context().close();
});

test("while a file is on its way the bar says how far it is", async () => {
  const page = await pages.newPage();
  await pages.logIn(page);
  // Some that takes a while: it does not get shorter on its way.
  writeFileSync(`${dir}/noise`, randomBytes(6 << 20));
  const network = await page.context().newCDPSession(page);
  const speed = (bytes) => network.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes });
  await network.send("Network.enable");
  await page.goto("/images");
  await speed(1 << 20);
  await page.fill("#import-name", "slow");
  await page.setInputFiles("#import-file", system("slow", `${dir}/noise`));
  const bar = page.locator("#import-progress");
  assert.equal(await bar.isVisible(), false);
  await page.getByRole("button", { name: "Import" }).click();
  await page.getByText("Sending …").waitFor();
  const values = [];
  await until("a bar that grows", async () => {
    const value = await bar.evaluate((bar) => (bar.checkVisibility() ? bar.value : 0));
    if (value > 0 && value < 1 && value !== values.at(-1)) values.push(value);
    return values.length >= 3;
  });
  assert.deepEqual(values, values.toSorted((one, other) => one - other));
  await shoot(page, "images-importing", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  await speed(-1);
  await page.getByText("slow is there.").waitFor();
  assert.equal(await bar.isVisible(), false);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("without JavaScript the form does the same, says why it refuses, and takes nothing from another site", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  await imported(page, "second", system("second"), "without a script");
  await page.waitForURL(/\/images\?after=\d+$/);
  await row(page, "second").getByText("without a script").waitFor();
  await shoot(page, "images-imported", { fullPage: true });
  cluster.run("vc", "create", "made", "--image", "second", "--wait");
  assert.equal(cluster.run("exec", "made/host-0", "--", "cat", "/word"), "second");

  await imported(page, "nothing", "/bin/busybox", "");
  await page.getByText(/damaged, or no such archive/).waitFor();
  await page.goto("/images");
  assert.equal(await row(page, "nothing").count(), 0);
  // The name is refused before the file is taken.
  await page.evaluate(() => document.getElementById("import-name").removeAttribute("pattern"));
  await page.fill("#import-name", "Not Allowed");
  await page.setInputFiles("#import-file", system("third"));
  await page.getByRole("button", { name: "Import" }).click();
  await page.getByText(/is not allowed/).waitFor();

  const multipart = { csrf: "wrong", name: "forged", file: { name: "x.tar", mimeType: "application/x-tar", buffer: Buffer.alloc(10) } };
  assert.equal((await page.request.post("/images/import", { multipart })).status(), 403);
  assert.equal((await page.request.post("/images/import", { multipart: { name: "forged", file: multipart.file } })).status(), 403);
  await page.context().close();
});
