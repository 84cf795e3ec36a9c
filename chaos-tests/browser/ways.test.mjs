// A day by the keyboard alone, and one without scripts, in a real Chromium: everything but terminals and charts is there without
// scripts, and nothing at all needs a mouse.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { packedImage } from "../inside.mjs";
import { Pages, shoot } from "./pages.mjs";
import { ready, shows } from "./terminal.mjs";

const cluster = new Cluster(80);
const pages = new Pages(cluster);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-ways-pages-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  writeFileSync(`${dir}/note.txt`, "a note\n");
  packedImage(cluster, "other", [], () => {});
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

// What has the focus: by what names one knows it, and whether one sees that it has it.
function focused() {
  const { activeElement: element } = document;
  const style = getComputedStyle(element);
  const names = [element.type === "radio" ? "radio" : "", element.id, element.getAttribute("aria-label"), ...[...(element.labels ?? [])].map(({ textContent }) => textContent), element.textContent];
  // In a terminal it is seen by its cursor.
  const marked = style.outlineStyle !== "none" || style.boxShadow !== "none" || element.matches(".xterm-helper-textarea");
  const seen = element.matches(":focus-visible") && marked;
  return { names: names.filter(Boolean).map((name) => name.replaceAll(/\s+/g, " ").trim()), seen, tag: element.localName };
}

const STEPS_MAX = 120;

// Goes on to what has this name, as somebody does who only has this key.
async function tabTo(page, name, key = "Tab") {
  const passed = [];
  for (let step = 0; step < STEPS_MAX; step += 1) {
    // It may be there from the beginning.
    if (step > 0) await page.keyboard.press(key);
    const { names, seen, tag } = await page.evaluate(focused);
    if (names.includes(name)) {
      assert.ok(seen, `one sees that ${name} has the focus`);
      return;
    }
    passed.push(`${tag} ${names[0] ?? ""}`.slice(0, 40));
  }
  assert.fail(`no ${name} on the way: ${passed.join(" | ")}`);
}

async function fill(page, id, text) {
  await tabTo(page, id);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

async function enter(page, name) {
  await tabTo(page, name);
  await page.keyboard.press("Enter");
}

// The question before what cannot be undone: it begins at the harmless answer.
async function confirm(page, answer) {
  await page.getByRole("dialog").waitFor();
  assert.deepEqual((await page.evaluate(focused)).names.at(-1), "Cancel");
  await enter(page, answer);
}

const phase = (page, word) => page.locator(`tr[data-vnode="host-0"][data-phase="${word}"]`).waitFor({ timeout: 30_000 });

test("a whole day by the keyboard: in, a vcluster, a terminal, a file there and gone, all deleted and had back, out", async () => {
  const page = await pages.newPage();
  // Whoever is asked for a file by the system names this one.
  page.on("filechooser", (chooser) => chooser.setFiles(`${dir}/note.txt`));
  await page.goto("/");
  await page.waitForURL(/\/login$/);
  await tabTo(page, "user");
  await page.keyboard.type("admin");
  await tabTo(page, "password");
  await page.keyboard.type(cluster.password());
  await page.keyboard.press("Enter");
  await page.getByText("Welcome, admin").waitFor();

  // What is on every page is passed over by one key.
  await page.keyboard.press("Tab");
  assert.deepEqual((await page.evaluate(focused)).names, ["Skip to the content"]);
  await shoot(page, "keyboard-skip");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.getElementById("main").contains(document.activeElement)), "the content comes next");

  await page.goto("/vclusters");
  await enter(page, "Create a vcluster");
  await page.waitForURL(/\/new\/vcluster/);
  await fill(page, "name", "keys");
  // One of several images is chosen by arrows, and chosen back.
  await tabTo(page, "radio");
  const chosen = () => page.evaluate(() => document.querySelector("input[name=image]:checked").value);
  const image = await chosen();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await chosen(), image);
  await page.keyboard.press("ArrowUp");
  assert.equal(await chosen(), image);
  for (const [id, text] of [["vnodes", "1"], ["cpu", "100"], ["memory", "32"], ["pids", "64"], ["disk", "64"]]) await fill(page, id, text);
  await tabTo(page, "Where they shall be");
  await page.keyboard.press("Space");
  await tabTo(page, "spread");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.inputValue("#spread"), "zones");
  await tabTo(page, "Create");
  await page.keyboard.press("Space");
  await page.waitForURL(/\/vclusters\/keys/);
  await phase(page, "running");

  await enter(page, "Terminal on host-0");
  await page.waitForURL(/\/terminal\/keys\/host-0/);
  await ready(page);
  await tabTo(page, "Terminal input");
  await page.keyboard.type("echo typed-$((40+2))\n");
  await shows(page, /^typed-42$/m);
  // Tab is the shell's there; this leaves it.
  await page.keyboard.press("Control+Shift+F");
  assert.ok((await page.evaluate(focused)).names.includes("Search in the terminal"));
  await tabTo(page, "keys", "Shift+Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/vclusters\/keys$/);

  await enter(page, "Files of host-0");
  await page.waitForURL(/\/files/);
  await tabTo(page, "upload-file");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("upload-file").files.length === 1);
  await enter(page, "Upload");
  const row = page.locator('tr[data-file="note.txt"]');
  await row.waitFor();
  await enter(page, "More for note.txt");
  await enter(page, "Delete note.txt");
  await confirm(page, "Delete");
  await row.waitFor({ state: "detached" });

  await page.goto("/vclusters/keys");
  await enter(page, "Delete");
  await confirm(page, "Delete");
  await page.locator("tr[data-trashed]").waitFor();
  await enter(page, "Undo deleting keys");
  await page.locator("tr[data-trashed]").waitFor({ state: "detached" });
  await enter(page, "keys");
  await phase(page, "running");
  await page.goto("/");
  await enter(page, "Log out");
  await page.waitForURL(/\/login$/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

// The page that comes of it is there when this returns: the one before has a receipt, too.
async function press(page, name) {
  const comes = page.waitForEvent("framenavigated");
  await page.getByRole("button", { name, exact: true }).first().click();
  await comes;
  await page.waitForLoadState();
}
const follow = (page, name) => page.getByRole("link", { name, exact: true }).first().click();

// Without scripts somebody looks again.
const again = (page, what, look) =>
  until(what, async () => {
    await page.reload();
    return look();
  });

test("a whole day without scripts: all but terminals and charts, each with a receipt", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await pages.logIn(page);
  const receipt = async (text) => {
    await page.locator("#receipt").getByText(/^Done/).first().waitFor();
    if (text) await page.locator("#receipt").getByText(text).first().waitFor();
  };
  await page.goto("/new/vcluster");
  const fields = { name: "plain", vnodes: "1", cpu: "100", memory: "32", pids: "64", disk: "64" };
  for (const [id, text] of Object.entries(fields)) await page.fill(`#${id}`, text);
  await press(page, "Create");
  await receipt("Vcluster admin/plain: created.");
  const is = (word) => () => page.locator(`tr[data-vnode="host-0"][data-phase="${word}"]`).count();
  await again(page, "a vnode that runs", is("running"));
  await receipt("host-0: runs");
  await press(page, "Stop");
  await receipt();
  await again(page, "a vnode that stands still", is("stopped"));
  await press(page, "Start");
  await again(page, "a vnode that runs again", is("running"));
  await page.fill("#scale", "2");
  await press(page, "Scale");
  await receipt();
  await page.getByText("Limits of each vnode").click();
  await page.fill("#resize-memory", "40");
  await press(page, "Change");
  await receipt();
  await again(page, "both vnodes", () => page.locator('tr[data-vnode="host-1"][data-phase="running"]').count());

  await follow(page, "Files of host-0");
  await page.setInputFiles("#upload-file", `${dir}/note.txt`);
  await press(page, "Upload");
  await receipt(/has put all of it in its place/);
  await page.getByRole("link", { name: "Edit note.txt" }).click();
  await page.fill("#text", "another note\n");
  await press(page, "Save");
  await receipt(/has put all of it in its place/);
  await page.locator('tr[data-file="note.txt"] summary').click();
  await press(page, "Delete note.txt");
  await receipt(/has deleted it/);
  assert.equal(await page.locator('tr[data-file="note.txt"]').count(), 0);

  await page.goto("/terminal/plain/host-0");
  // This browser shows what is for browsers without scripts to nobody whose scripts it was told to stop.
  assert.match(await page.content(), /A terminal needs JavaScript\..*docklet shell plain\/host-0/);
  await page.goto("/vclusters/plain/usage");
  await page.locator("table").first().waitFor();

  await page.goto("/vclusters/plain/vnodes/host-0/explain");
  await press(page, "Move");
  await receipt("is to move from");
  await again(page, "its end", () => page.locator('#last-move[data-stage="moved"]').count());
  await page.goto("/workers");
  await press(page, "Cordon w1");
  await receipt("Worker w1: takes nothing new.");
  await press(page, "Uncordon w1");
  await receipt("Worker w1: takes what comes.");
  await page.goto("/masters");
  await press(page, "Let it lead");
  await receipt(/leads\./);

  await page.goto("/people");
  await press(page, "Open registration");
  await receipt();
  await page.goto("/bugs");
  await page.locator("textarea").first().fill("The light is on at night.");
  await press(page, "Tell the admins");
  await receipt();
  await page.goto("/account");
  await page.fill("#real-name", "The Admin");
  await press(page, "Set");
  await receipt();
  await page.goto("/events");
  await page.getByText("Vcluster admin/plain: created.").first().waitFor();
  await page.fill("#thing", "admin/plain");
  await press(page, "Find");
  await page.getByText("Vcluster admin/plain: created.").first().waitFor();
  await page.goto("/audit");
  await page.getByText("CreateVclusterWith").first().waitFor();

  await page.goto("/vclusters/plain");
  await page.locator("section.foot").getByRole("button", { name: "Delete" }).click();
  await page.waitForURL(/\/vclusters\?after=/);
  await receipt();
  await press(page, "Undo deleting plain");
  await receipt();
  await page.goto("/vclusters/plain");
  await again(page, "all back", is("running"));
  await shoot(page, "plain-day", { fullPage: true });
  await press(page, "Log out");
  await page.waitForURL(/\/login$/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
