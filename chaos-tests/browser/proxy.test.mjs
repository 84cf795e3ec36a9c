// Services and the workspace in a real Chromium: one login, one origin for each, and what is waited for comes by itself.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { serve, servingImage } from "../inside.mjs";
import { barriers, Pages, shoot } from "./pages.mjs";

const cluster = new Cluster(58);
const pages = new Pages(cluster);
let dir, ada;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-proxy-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  servingImage(cluster, "serving");
  servingImage(cluster, "declaring", { entrypoint: ["/usr/bin/python3", "/srv/service.py", "8000"], environment: ["DOCKLET_SERVICES=desk:8000"] });
  [ada] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  ada.run("vc", "create", "lab", "--image", "serving", "--memory-mib", "256", "--wait");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


test("a service is added and opened from its vcluster's page, and goes over by itself as soon as it answers", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  await page.goto("/vclusters/lab");
  await page.fill("#service-name", "web");
  await page.fill("#service-port", "8000");
  await page.getByLabel("Add a service").getByRole("button", { name: "Add" }).click();
  await page.locator("tr[data-service]").getByText("host-0, port 8000").waitFor();
  await page.locator("tr[data-service] details summary").click();
  await shoot(page, "vcluster-services-share", { fullPage: true });
  const opening = page.waitForEvent("popup");
  await page.getByRole("link", { name: "web", exact: true }).click();
  const inside = await opening;
  await inside.getByRole("heading", { name: "web is not ready yet" }).waitFor();
  await shoot(inside, "proxy-waiting");
  assert.deepEqual(await barriers(inside), []);
  serve(ada, "lab/host-0", 8000);
  await inside.getByText("socket says hello").waitFor();
  await inside.getByText('{"counted": 5}').waitFor();

  // The portal's cookie never arrives inside, and nothing inside sets the portal's.
  const { headers } = await inside.evaluate(() => fetch("/seen").then((response) => response.json()));
  const cookie = headers.find(([name]) => name.toLowerCase() === "cookie")?.[1] ?? "";
  assert.equal(cookie, "own=1");
  const cookies = await page.context().cookies();
  const sessions = cookies.filter(({ name }) => name === "__Host-docklet-session");
  assert.equal(sessions.find(({ domain }) => domain === "127.0.0.1").value.length, 64);
  const visit = cookies.find(({ name }) => name === "__Host-docklet-visit");
  assert.deepEqual([visit.httpOnly, visit.secure, visit.sameSite, visit.path], [true, true, "Lax", "/"]);
  assert.match(visit.domain, /^s\d+\.apps\.localhost$/);
  const portal = await inside.evaluate((url) => fetch(url, { credentials: "include" }).then(() => "read", () => "refused"), `${cluster.portal}/api/v1/status`);
  assert.equal(portal, "refused");

  // With the login its sockets end.
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(/\/login$/);
  await inside.getByText("and is closed").waitFor({ timeout: 2_000 });
});

test("a service that an image declares is a link of each vnode that is made of it, and is pressed at once", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  await page.goto("/new/vcluster");
  await page.fill("#name", "own");
  await page.locator('input[name=image][value$="declaring"]').check();
  for (const [id, text] of Object.entries({ vnodes: "1", memory: "256" })) await page.fill(`#${id}`, text);
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.waitForURL(/\/vclusters\/own/);
  await page.locator('tr[data-vnode="host-0"][data-phase="running"]').waitFor({ timeout: 30_000 });
  const row = page.locator("tr[data-service]", { hasText: "host-0, port 8000" });
  await row.waitFor();
  const opening = page.waitForEvent("popup");
  await row.getByRole("link", { name: "desk", exact: true }).click();
  const inside = await opening;
  await inside.getByText("socket says hello").waitFor();
  assert.match(new URL(inside.url()).hostname, /^s\d+\.apps\.localhost$/);
  await shoot(page, "vcluster-service-declared", { fullPage: true });
  assert.deepEqual(page.complaints, []);
  ada.run("vc", "delete", "--now", "own");
  await page.context().close();
});

test("who is not logged in comes back to the service after logging in, and others are told that it is not there", async () => {
  const [{ url, id }] = ada.json("service", "list");
  const page = await pages.newPage();
  await page.goto(url);
  await page.waitForURL(/\/login\?next=%2Fservices%2F\d+%2Fgo$/);
  await page.fill("#user", "ada");
  await page.fill("#password", cluster.password("ada"));
  await page.click("button[type=submit]");
  await page.getByText("socket says hello").waitFor();
  const other = await pages.newPage();
  await pages.logIn(other, "bob");
  await other.goto(url);
  await other.getByText(`There is no service "${id}" that you can see`).waitFor();
  ada.run("service", "share", "lab/host-0", "web", "--user", "bob");
  await other.goto("/workspace");
  await other.locator("tr[data-service]").getByText("ada").waitFor();
  await other.goto(url);
  await other.getByText("socket says hello").waitFor();
});

test("siblings are strangers to each other", async () => {
  ada.run("service", "add", "lab/host-0", "second", "--port", "8000");
  const [first, second] = ["web", "second"].map((name) => ada.json("service", "list").find((view) => view.name === name).url);
  const page = await pages.newPage();
  await pages.logIn(page, "ada");
  for (const url of [second, first]) {
    await page.goto(url);
    await page.getByText("socket says hello").waitFor();
  }
  const tried = await page.evaluate(async (other) => {
    const socket = await new Promise((resolve) => {
      const socket = new WebSocket(`${other.replace("https", "wss")}ws`);
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    });
    const post = await fetch(`${other}count`, { method: "POST", body: "x", mode: "no-cors", credentials: "include" }).then((r) => r.type, () => "refused");
    const image = await new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve("loaded");
      image.onerror = () => resolve("refused");
      image.src = `${other}evil`;
    });
    return { socket, post, image };
  }, second);
  assert.equal(tried.socket, "refused");
  assert.equal(tried.image, "refused");
  ada.run("service", "remove", "lab/host-0", "second");
});

test("JupyterLab is one click away, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page, "ada");
  await page.getByRole("link", { name: "Workspace" }).click();
  await page.getByText("There is no image jupyter that you may use").waitFor();
  await shoot(page, "workspace-without", { fullPage: true });
  const recipe = `${dir}/jupyter.toml`;
  writeFileSync(recipe, `description = "stands for JupyterLab"
base = "busybox"
init = ["/bin/httpd", "-f", "-p", "127.0.0.1:8888", "-h", "/srv"]
environment = ["PATH=/bin", "DOCKLET_SERVICES=lab:8888/lab"]
[[files]]
path = "/srv/lab/index.html"
content = "<h1>Launcher</h1>"
`);
  ada.run("image", "build", recipe);
  await page.reload();
  await page.getByRole("button", { name: "Make and open JupyterLab" }).click();
  await page.getByRole("heading", { name: "Launcher" }).waitFor();
  assert.match(page.url(), /^https:\/\/s\d+\.apps\.localhost:\d+\/lab\/$/);
  await page.goto("/workspace");
  await page.getByText("In the vcluster workspace.").waitFor();
  ada.run("vc", "stop", "workspace", "--wait");
  await page.reload();
  await page.getByRole("button", { name: "Start and open JupyterLab" }).click();
  await page.getByRole("heading", { name: "Launcher" }).waitFor();
});

test("the pages are fine, light and dark, wide and narrow", () => {
  cluster.run("vc", "create", "mine", "--memory-mib", "32", "--cpu-milli", "50", "--wait");
  cluster.run("service", "add", "mine/host-0", "web", "--port", "80");
  return pages.areFine(["workspace", "vclusters/mine"]);
});
