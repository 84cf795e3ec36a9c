// A day in the life of somebody new, by clicking: she in one browser, an admin in another, one scene after the other. Days pass
// where libfaketime is installed.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { DAY_MS, clocks, pass, upWithClocks } from "../clocks.mjs";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";

const cluster = new Cluster(46);
const pages = new Pages(cluster);
const PASSWORD = "eve's long password";
let dir, admin, eve;

before(async () => {
  dir = mkdtempSync("/var/tmp/docklet-day-pages-");
  upWithClocks(cluster);
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  // A second of one core is a bean, so that one sees them go. Beans are turned on by a click.
  cluster.run("beans", "rates", "set", "--cpu", "1", "--whole-hours", "false");
  cluster.run("beans", "set", "--thresholds", "10,0", "--every", "1s");
  await pages.open();
  [admin, eve] = [await pages.newPage(), await pages.newPage()];
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// A page of each scene, to look at afterwards, on which nobody stumbles.
async function scene(page, name, fullPage = true) {
  await page.bringToFront();
  await shoot(page, `day-${name}`, { fullPage });
  assert.deepEqual(await barriers(page), [], name);
}

const bell = (page, unread) => page.getByRole("link", { name: unread ? `Notices, ${unread} unread` : "Notices, nothing new", exact: true });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const phase = (page, word) => page.locator(`tr[data-vnode="host-0"][data-phase="${word}"]`).waitFor({ timeout: 30_000 });

// What she was told since she last looked, the newest first; then she has read it.
async function told(page, unread) {
  await bell(page, unread).click({ timeout: 60_000 });
  await page.waitForURL(/\/notices/);
  const titles = await page.locator("article.told.unread h2").allTextContents();
  await press(page, "Mark all as read");
  await bell(page, 0).waitFor();
  return titles.map((title) => title.trim());
}

test("an admin opens the house: strangers may ask, and work costs beans", async () => {
  await pages.logIn(admin);
  await admin.getByRole("link", { name: "People" }).click();
  await press(admin, "Open registration");
  await admin.getByText("Anybody may ask for an account.").waitFor();
  await admin.getByRole("link", { name: "Quotas" }).click();
  await admin.getByRole("link", { name: "how this site uses beans" }).click();
  await admin.getByText("How this site uses beans").click();
  await admin.selectOption("#on", "true");
  await admin.fill("#birth", "12");
  await press(admin, "Set");
  await admin.getByRole("heading", { name: "Your purse" }).waitFor();
  await scene(admin, "1-beans-on");
});

test("a stranger asks for an account, an admin is told and approves, and she is welcome", async () => {
  await eve.goto("/login");
  await eve.getByRole("link", { name: "Ask for one" }).click();
  const fields = { name: "eve", password: PASSWORD, "real-name": "Eve Adams", mail: "eve@example.org", reason: "networks 101" };
  for (const [id, text] of Object.entries(fields)) await eve.fill(`#${id}`, text);
  await scene(eve, "2-register");
  await press(eve, "Ask for an account");
  await eve.getByText("Your request is noted").waitFor();
  // The bell of a page that is open already.
  await bell(admin, 1).click();
  await admin.getByRole("link", { name: "eve asks for an account" }).waitFor();
  await scene(admin, "2-asked");
  await admin.getByRole("link", { name: "eve asks for an account" }).click();
  await scene(admin, "2-request");
  await press(admin, "Approve");
  await admin.locator("tr[data-user=eve]").waitFor();
  await pages.logIn(eve, "eve", PASSWORD);
  await bell(eve, 1).waitFor();
  await scene(eve, "2-welcome");
  assert.deepEqual(await told(eve, 1), ["Your account is ready"]);
  assert.deepEqual(await told(admin, 1), ["eve asks for an account"]);
});

test("she makes her first vcluster and meets her quota, which says by how much", async () => {
  await admin.getByRole("link", { name: "Quotas" }).click();
  await admin.getByText("Set a quota").click();
  await admin.fill("#quota-user", "eve");
  await admin.selectOption("#quota-item", "vnodes");
  await admin.fill("#quota-most", "2");
  await press(admin, "Set");
  await admin.locator('tr[data-user="eve"]').locator("[data-label=vnodes]").getByText("0 of 2").waitFor();
  await scene(admin, "3-quota");
  assert.deepEqual(await told(eve, 1), ["Your quota was changed"]);
  await eve.goto("/");
  await eve.getByRole("link", { name: "Create your first" }).click();
  const fields = { name: "lab", vnodes: "1", cpu: "1000", memory: "32", pids: "64", disk: "64" };
  for (const [id, text] of Object.entries(fields)) await eve.fill(`#${id}`, text);
  await press(eve, "Create");
  await eve.waitForURL(/\/vclusters\/lab/);
  await phase(eve, "running");
  await scene(eve, "3-lab");
  await eve.fill("#scale", "4");
  await press(eve, "Scale");
  await eve.getByText(/vnodes: 1 used, 3 more wanted, 2 allowed \(own\)/).waitFor();
  await scene(eve, "3-refused");
  assert.deepEqual(eve.complaints.splice(0).filter((complaint) => !complaint.includes("409")), []);
  await eve.goto("/");
  assert.match(await eve.locator('[data-item="vnodes"]').textContent(), /vnodes1 of 2 own/);
});

test("her work costs beans, and she is told before they are gone", async () => {
  await eve.goto("/beans");
  await scene(eve, "4-beans");
  const shell = await eve.context().newPage();
  shell.setDefaultTimeout(10_000);
  await shell.goto("/vclusters/lab");
  await shell.getByRole("link", { name: "Terminal on host-0" }).click();
  await until("a connection", () => shell.evaluate(() => document.getElementById("terminal-status")?.dataset.via));
  await shell.locator("#terminal").click();
  await shell.keyboard.type("echo the first sheet > /root/homework\n");
  // It ends when she has seen enough.
  await shell.keyboard.type("while [ ! -e /tmp/enough ]; do :; done &\n");
  assert.deepEqual(await told(eve, 1), ["warning You have 10 beans left, or fewer"]);
  await shell.bringToFront();
  await shell.keyboard.type("touch /tmp/enough; wait; echo over-$((40+2))\n");
  await until("the end of the work", () => shell.evaluate(() => /^over-42$/m.test(globalThis.dockletTerminal.text())));
  await scene(shell, "4-terminal");
  await shell.close();
  await scene(eve, "4-low");
});

test("she asks for more, an admin is told and grants them, and so is she", async () => {
  await eve.getByRole("link", { name: "You have 10 beans left, or fewer" }).click();
  await eve.fill("#wanted", "500");
  await eve.fill("#why", "the second sheet");
  await press(eve, "Ask");
  await eve.getByText("nobody has decided yet").waitFor();
  await scene(eve, "5-asked");
  assert.deepEqual(await told(admin, 1), ["eve asks for 500 beans"]);
  await admin.getByRole("link", { name: "eve asks for 500 beans" }).click();
  await admin.getByText("“the second sheet”").waitFor();
  await admin.getByLabel("Answer").fill("good luck");
  await scene(admin, "5-request");
  await press(admin, "Approve");
  await admin.getByText("Nobody whom you look after asks for beans.").waitFor();
  assert.deepEqual(await told(eve, 1), ["The 500 beans that you asked for are yours"]);
  await eve.getByText("admin: good luck").waitFor();
  await scene(eve, "5-granted");
  assert.ok(Number(await eve.locator("header [data-beans]").getAttribute("data-beans")) > 500);
});

test("she stops it and starts it again", async () => {
  await eve.goto("/vclusters/lab");
  await press(eve, "Stop");
  await phase(eve, "stopped");
  await scene(eve, "6-stopped");
  await press(eve, "Start");
  await phase(eve, "running");
});

test("what does nothing for as long as her quota says is stopped by itself, and the page says why", async () => {
  await admin.goto("/quotas");
  await admin.getByText("Set a quota").click();
  await admin.fill("#quota-user", "eve");
  await admin.selectOption("#quota-item", "idle_minutes");
  await admin.fill("#quota-most", "1");
  await press(admin, "Set");
  assert.deepEqual(await told(eve, 1), ["Your quota was changed"]);
  await eve.goto("/vclusters/lab");
  await phase(eve, "running");
  // The open page does not keep it, and shows its end.
  await eve.locator('tr[data-vnode="host-0"][data-phase="stopped"]').waitFor({ timeout: 150_000 });
  await scene(eve, "7-rests");
  await bell(eve, 1).click();
  await eve.getByText("Its vnodes did nothing for a minute, which is your quota's idle time.").waitFor();
  await scene(eve, "7-why");
  await eve.getByRole("link", { name: "Vcluster lab was stopped" }).click();
  await eve.waitForURL(/\/vclusters\/lab/);
  await press(eve, "Start");
  await phase(eve, "running");
  assert.deepEqual(await told(eve, 1), ["Vcluster lab was stopped"]);
});

test("what stands still for days is going to be released: she is warned, and where it would go", { skip: !clocks && "there is no libfaketime" }, async () => {
  cluster.run("setting", "set", "trash", '{"undo_minutes":10,"release":{"warn_after_days":7,"grace_days":7,"keep_days":30}}');
  await eve.goto("/vclusters/lab");
  await press(eve, "Stop");
  await phase(eve, "stopped");
  pass(cluster, 8);
  await until("the warning", () => cluster.json("audit", "list", "--command", "WarnOfRelease").records.length > 0, 60_000);
  // Their logins have ended meanwhile.
  for (const [page, name, password] of [[eve, "eve", PASSWORD], [admin, "admin", cluster.password()]]) await pages.logIn(page, name, password);
  await bell(eve, 1).click();
  const card = eve.locator("article.told.unread");
  const title = (await card.locator("h2").textContent()).trim();
  const goes = Date.parse(/^warning Vcluster lab goes on (\d{4}-\d\d-\d\d)$/.exec(title)[1]);
  assert.ok(goes > Date.now() + 13 * DAY_MS && goes < Date.now() + 16 * DAY_MS, title);
  await card.getByText("Start it once to keep it").waitFor();
  await scene(eve, "8-goes");
  assert.equal((await told(eve, 1)).length, 1);
  eve.complaints.splice(0);
  admin.complaints.splice(0);
});

test("it goes when that day comes, she is told, and has it back from below the list", { skip: !clocks && "there is no libfaketime" }, async () => {
  pass(cluster, 16);
  await until("its release", () => cluster.json("audit", "list", "--command", "ReleaseVclusters").records.length > 0, 60_000);
  for (const [page, name, password] of [[eve, "eve", PASSWORD], [admin, "admin", cluster.password()]]) await pages.logIn(page, name, password);
  assert.deepEqual(await told(eve, 1), ["warning Vcluster lab was deleted, as nobody started it"]);
  await eve.goto("/vclusters");
  await eve.locator("tr[data-trashed]").waitFor();
  await scene(eve, "8-released");
  await press(eve, "Undo deleting lab");
  await eve.locator("tr[data-trashed]").waitFor({ state: "detached" });
  await eve.getByRole("link", { name: "lab", exact: true }).click();
  await press(eve, "Start");
  await phase(eve, "running");
  eve.complaints.splice(0);
  admin.complaints.splice(0);
});

test("she deletes it, thinks better of it, and has everything back", async () => {
  await press(eve, "Delete");
  const sure = eve.locator("dialog");
  await sure.getByText("Delete lab with all files of its vnode? You can undo it for 10 minutes.").waitFor();
  await scene(eve, "9-sure", false);
  await sure.getByRole("button", { name: "Delete", exact: true }).click();
  await eve.locator("tr[data-trashed]").waitFor();
  await scene(eve, "9-deleted");
  await press(eve, "Undo deleting lab");
  await eve.locator("tr[data-trashed]").waitFor({ state: "detached" });
  await eve.getByRole("link", { name: "lab", exact: true }).click();
  await phase(eve, "running");
  // An admin can look, and she is going to see who did.
  assert.equal(cluster.run("exec", `${cluster.json("vc", "list")[0].id}/host-0`, "--", "cat", "/root/homework"), "the first sheet\n");
});

test("her statement is what the events say: the page names the command that verifies it", async () => {
  await eve.locator("header [data-beans]").click();
  await eve.locator('tr[data-line="lab/host-0"]').waitFor();
  await scene(eve, "10-statement");
  const [, ...words] = (await eve.locator(".by-command code", { hasText: "statement" }).first().textContent()).split(" ");
  writeFileSync(`${dir}/password`, `${PASSWORD}\n`);
  const herself = new Cluster(cluster.instance);
  herself.env = { ...herself.env, DOCKLET_CONTEXT: `${dir}/eve.toml` };
  herself.run("login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "eve", "--password-file", `${dir}/password`);
  assert.deepEqual(words, ["beans", "statement", "--verify"]);
  const { code, stderr } = herself.try(words);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /All lines are what the events of entries \d+ to \d+ say/);
});

test("the audit tells her the whole day in order, and an admin's copy of it holds", async () => {
  await eve.getByRole("link", { name: "Audit", exact: true }).click();
  const rows = await eve.locator("tr[data-record]").evaluateAll((rows) => rows.map((row) => ["Who", "What"].map((label) => row.querySelector(`[data-label="${label}"]`).textContent.trim())));
  const released = [["eve", "StopVcluster"], ["the cluster", "WarnOfRelease"], ["the cluster", "ReleaseVclusters"], ["eve", "UndeleteVcluster"], ["eve", "StartVcluster"]];
  const beside = ["ForgetExpired", "OpenLogin", "OpenPurses", "PlaceVnodes", "ReadAllNotices"];
  assert.deepEqual(rows.filter(([, what]) => !beside.includes(what)).toReversed(), [
    ["admin", "ApproveAccount"],
    ["admin", "SetQuotaOfUser"],
    ["eve", "CreateVclusterWith"],
    ["eve", "OpenTerminal"],
    ["eve", "RequestBeans"],
    ["admin", "ApproveBeans"],
    ["eve", "StopVcluster"],
    ["eve", "StartVcluster"],
    ["admin", "SetQuotaOfUser"],
    ["the cluster", "StopIdle"],
    ["eve", "StartVcluster"],
    ...(clocks ? released : []),
    ["eve", "DiscardVcluster"],
    ["eve", "UndeleteVcluster"],
    ["admin", "RunProgram"],
  ]);
  await scene(eve, "11-audit");
  await admin.getByRole("link", { name: "Audit", exact: true }).click();
  const copy = await admin.request.get(await admin.getByRole("link", { name: "Export the whole trail" }).getAttribute("href"));
  writeFileSync(`${dir}/trail.ndjson`, await copy.body());
  assert.match(cluster.run("audit", "verify", `${dir}/trail.ndjson`), /each follows the one before, and the cluster has the same/);
  assert.deepEqual([...admin.complaints, ...eve.complaints], []);
});

test("what she saw is as fine in the dark and on a telephone", async () => {
  for (const [colorScheme, width] of [["dark", 1280], ["dark", 390], ["light", 390]]) {
    const page = await pages.newPage({ colorScheme, viewport: { width, height: 800 }, storageState: await eve.context().storageState() });
    for (const route of ["", "notices", "beans", "vclusters", "vclusters/lab", "audit"]) {
      await page.goto(`/${route}`);
      await scene(page, `${route.replace("/", "-") || "home"}-${colorScheme}-${width}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${route} is ${overflow} px too wide at ${width}`);
    }
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  }
});
