// The jupyter recipe: built from packages and wheels, booted, asked over HTTP from within, and used in a browser through the
// proxy. Too slow for each change: `make test-recipes` (BUILDS=1 builds it once).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Pages, shoot } from "../browser/pages.mjs";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(42);
const pages = new Pages(cluster);
const BUILDS = Number(process.env.BUILDS ?? 2);
const BUILD_MS_MAX = 20 * 60_000;

before(() => cluster.up());
after(async () => {
  await pages.close();
  cluster.down();
});

test("JupyterLab answers inside a vnode, and two builds of it are one image", async () => {
  const built = Array.from({ length: BUILDS }, () => {
    const begun = performance.now();
    const { code, stderr } = cluster.try(["image", "build", "jupyter", "--again"], { timeout: BUILD_MS_MAX });
    assert.equal(code, 0, stderr);
    console.log(`jupyter built and uploaded in ${Math.round((performance.now() - begun) / 1000)} s\n${stderr}`);
    return /sha256 ([0-9a-f]{64})/.exec(stderr)[1];
  });
  if (BUILDS > 1) console.log(`the second build is ${built[0] === built[1] ? "the same" : "another"}`);

  const image = cluster.json("image", "list").find(({ name }) => name === "jupyter");
  console.log(`packed it has ${Math.round(image.blob_bytes / (1 << 20))} MiB`);

  const asked = performance.now();
  cluster.run("vc", "create", "lab", "--image", "jupyter", "--memory-mib", "1024", "--wait");
  const ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8888/api').read().decode())";
  const answer = await until("an answer", () => {
    const { code, stdout } = cluster.try(["exec", "lab/host-0", "--", "python3", "-c", ask]);
    return code === 0 && stdout;
  }, 60_000);
  console.log(`answered ${Math.round(performance.now() - asked)} ms after it was asked for: ${answer}`);
  assert.match(answer, /"version"/);
  const page = cluster.try(["exec", "lab/host-0", "--", "python3", "-c", ask.replace("/api", "/lab")]);
  assert.match(page.stdout, /Jupyter/, page.stderr);
  assert.doesNotMatch(cluster.run("exec", "lab/host-0", "--", "/opt/jupyter/bin/jupyter", "server", "list"), /token=/);
  const address = cluster.json("vc", "show", "lab").vnodes[0].address;
  const outside = cluster.try(["exec", "lab/host-0", "--", "python3", "-c", ask.replace("127.0.0.1", address)]);
  assert.notEqual(outside.code, 0, "it listens where other vnodes come");
  cluster.run("vc", "delete", "--now", "lab", "--wait");
});

test("one click opens JupyterLab in a browser: a kernel computes, and its terminal works", async () => {
  await pages.open();
  const page = await pages.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(60_000);
  await pages.logIn(page);
  await page.goto("/workspace");
  const clicked = performance.now();
  await page.getByRole("button", { name: "Make and open JupyterLab" }).click();
  await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().waitFor();
  console.log(`JupyterLab was there ${Math.round(performance.now() - clicked)} ms after one click`);
  assert.match(page.url(), /^https:\/\/s\d+\.apps\.localhost:\d+\/lab/);
  await shoot(page, "jupyter-lab");
  await page.locator('.jp-LauncherCard[data-category="Notebook"]').first().click();
  await page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').waitFor();
  await page.locator(".jp-CodeCell .cm-content").first().click();
  await page.keyboard.type("6*7");
  await page.keyboard.press("Shift+Enter");
  await page.locator(".jp-OutputArea-output").getByText("42", { exact: true }).waitFor();
  await shoot(page, "jupyter-kernel");
  await page.getByRole("menuitem", { name: "File", exact: true }).click();
  await page.locator('.lm-Menu-item[data-type="submenu"]').getByText("New", { exact: true }).hover();
  await page.locator('.lm-Menu-item[data-command="terminal:create-new"]').first().click();
  await page.locator(".jp-Terminal .xterm-helper-textarea").waitFor({ state: "attached" });
  await page.locator(".jp-Terminal").click();
  // What is typed before the shell listens is kept by the terminal's socket.
  await page.keyboard.type("echo $((6*7)) > /root/from-terminal\n");
  await until("what the terminal wrote", () => cluster.try(["exec", "workspace/host-0", "--", "cat", "/root/from-terminal"]).stdout === "42\n");
  await shoot(page, "jupyter-terminal");
  cluster.run("vc", "delete", "--now", "workspace", "--wait");
});
