// Sharing a terminal by a link: who looks on sees all and types nothing, who may type does; and it ends when it is revoked, when
// its time is over, when whoever shared it may not go in any more, and with the login of whoever looks.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import https from "node:https";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";
import { elsewhere, ready, shows, text, throughLeader, type } from "./terminal.mjs";

const cluster = new Cluster(62);
const pages = new Pages(cluster);
const CUT_MS = 2_000;
let dir, ada, bob, own, guest;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-shares-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  [ada, bob] = ["ada", "bob"].map((name) => cluster.person(name, dir));
  ada.run("vc", "create", "lab", "--image", "busybox", "--vnodes", "2", "--wait");
  await pages.open();
  [own, guest] = [await loggedIn("ada"), await loggedIn("bob")];
});

after(async () => {
  await pages.close();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});


async function loggedIn(name) {
  const page = await pages.newPage();
  await pages.logIn(page, name);
  const state = await page.context().storageState();
  await page.context().close();
  return state;
}

const ended = (page) => until("the end", () => page.evaluate(() => document.getElementById("terminal-status").dataset.state === "ended"));
const status = (page) => page.locator("#terminal-status").textContent();

async function terminal(storageState = own) {
  const page = await pages.newPage({ storageState, permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto("/terminal/lab/host-0?new");
  await ready(page);
  return page;
}

// Makes a link by the page that Share leads to; answers it.
async function share(page, { may = "watch", minutes = "15" } = {}) {
  const opening = page.context().waitForEvent("page");
  await page.getByRole("link", { name: "Share" }).click();
  const sharing = await opening;
  await sharing.selectOption("#may", may);
  await sharing.selectOption("#minutes", minutes);
  await sharing.getByRole("button", { name: "Make a link" }).click();
  const link = await sharing.locator("#link").textContent();
  assert.match(link, /^https:\/\/127\.0\.0\.1:\d+\/shared\/[0-9a-f]{40}$/);
  return { link, sharing };
}

async function visit(link, storageState = guest) {
  const page = await pages.newPage({ storageState });
  await page.goto(link);
  await ready(page);
  return page;
}

// The same by the API, for a terminal of a page.
async function shareByApi(page, asker, wanted, vnode = "host-0") {
  const session = await page.evaluate(() => globalThis.dockletTerminal.desk.active.session);
  const answer = await asker.post(`/api/v1/vclusters/lab/vnodes/${vnode}/shares`, { data: { session, ...wanted }, headers: { origin: cluster.portal } });
  assert.equal(answer.status(), 200, await answer.text());
  return `${cluster.portal}${(await answer.json()).link}`;
}

// How long it takes from `act` until the page knows that it is over.
async function cutAfter(page, act) {
  const begun = performance.now();
  await act();
  await ended(page);
  const took = Math.round(performance.now() - begun);
  assert.match(await status(page), /not shared with you any more|your login has ended/i);
  return took;
}

test("who looks on sees what is printed, before and after, and nothing of theirs reaches the shell", async () => {
  const page = await terminal();
  await type(page, "echo earlier-$((40+1))");
  await shows(page, /^earlier-41$/m);
  const { link, sharing } = await share(page);
  await sharing.getByRole("button", { name: "Copy" }).click();
  await sharing.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await sharing.evaluate(() => navigator.clipboard.readText()), link);
  await sharing.getByText("nobody yet").waitFor();
  await shoot(sharing, "share-made", { fullPage: true });

  const watcher = await visit(link);
  await shows(watcher, /^earlier-41$/m);
  await page.locator(".pane-head", { hasText: "one more looks on" }).waitFor();
  await watcher.locator(".pane-head", { hasText: "you only watch" }).waitFor();
  assert.equal(await watcher.getByRole("button", { name: "Split right" }).count(), 0);
  assert.equal(await watcher.getByRole("link", { name: "Share" }).count(), 0);
  assert.equal(await watcher.getByRole("button", { name: "Record" }).count(), 0);
  await type(page, "echo now-$((40+2))");
  await shows(watcher, /^now-42$/m);
  const size = (one) => one.evaluate(() => globalThis.dockletTerminal.desk.active.size());
  const { cols: wide } = await size(page);
  await page.setViewportSize({ width: 900, height: 500 });
  await until("a narrower terminal", async () => (await size(page)).cols < wide);
  await until("the owner's size", async () => JSON.stringify(await size(watcher)) === JSON.stringify(await size(page)));
  await shoot(watcher, "shared-watching");
  assert.deepEqual(await barriers(watcher), []);

  // By the keyboard, and by a socket of their own that asks for everything.
  await type(watcher, "touch /tmp/typed-by-guest");
  const before = await size(page);
  await watcher.evaluate(async (path) => {
    const socket = new WebSocket(`wss://${location.host}${path}/ws?session=${"0".repeat(32)}&viewer=${"1".repeat(16)}&cols=20&rows=5`);
    socket.binaryType = "arraybuffer";
    await new Promise((done) => socket.addEventListener("message", ({ data }) => typeof data === "string" && data.includes("attached") && done()));
    socket.send(new TextEncoder().encode("touch /tmp/typed-by-socket\n"));
    socket.send(JSON.stringify({ resize: { cols: 20, rows: 5 } }));
    socket.send(JSON.stringify({ record: true }));
    globalThis.rawSocket = socket;
  }, new URL(link).pathname);
  await page.locator(".pane-head", { hasText: "2 more look on" }).waitFor();
  await type(page, "stty size; ls /tmp; echo listed-$((1+2))");
  await shows(page, /^listed-3$/m);
  assert.doesNotMatch(await text(page), /typed-by/);
  assert.match(await text(page), new RegExp(`^${before.rows} ${before.cols}$`, "m"));
  assert.equal(await page.locator(".pane-head", { hasText: "being recorded" }).count(), 0);
  await watcher.evaluate(() => globalThis.rawSocket.close());

  // Whoever looks on sees that it is recorded.
  await page.getByRole("button", { name: "Record" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Record" }).click();
  await watcher.locator(".pane-head", { hasText: "being recorded" }).waitFor();

  // The owner sees who came, and so does the trail.
  const [known] = ada.json("share", "list");
  assert.deepEqual([known.by, known.types, known.guests, known.vcluster, known.vnode], ["ada", false, ["bob"], "lab", "host-0"]);
  assert.match(ada.run("audit", "list", "--command", "JoinTerminal"), /bob.*JoinTerminal.*vnode ada\/lab\/host-0/);
  assert.deepEqual(bob.json("share", "list"), []);
  bob.refused(["share", "revoke", String(known.id)], /no shared terminal/);

  const took = await cutAfter(watcher, () => ada.run("share", "revoke", String(known.id)));
  assert.ok(took < CUT_MS, `cut after ${took} ms`);
  console.log(`revoked by command, cut after ${took} ms`);
  await page.locator(".pane-head", { hasText: "looks on" }).waitFor({ state: "detached" });
  const gone = await watcher.goto(link);
  assert.equal(gone.status(), 404);
  await watcher.getByText("This link leads to no shared terminal").waitFor();
  await Promise.all([page, watcher].map((one) => one.context().close()));
});

test("who may type does, at the size that the owner has, and only while the shell is there", async () => {
  const page = await terminal();
  const { link, sharing } = await share(page, { may: "type", minutes: "60" });
  const typist = await visit(link);
  await type(typist, "echo typed-$((20+3))");
  await shows(page, /^typed-23$/m);
  await shows(typist, /^typed-23$/m);
  await shoot(typist, "shared-typing");
  await sharing.goto(sharing.url());
  await sharing.getByText("bob").waitFor();
  const took = await cutAfter(typist, () => sharing.getByRole("button", { name: /Revoke link/ }).click());
  assert.ok(took < CUT_MS, `cut after ${took} ms`);
  console.log(`revoked by the page, cut after ${took} ms`);
  await sharing.getByText("Nothing of this vnode is shared.").waitFor();

  const again = (await share(page, { may: "type" })).link;
  await type(page, "exit 3");
  await page.getByText("The shell ended with code 3.").waitFor();
  const late = await pages.newPage({ storageState: guest });
  await late.goto(again);
  await ended(late);
  // Its worker keeps what it printed for a while for whoever was cut off.
  assert.match(await status(late), /The shell ended with code 3|the shell that was shared has ended/);
  await Promise.all([page, typist, late].map((one) => one.context().close()));
});

test("wrong links, foreign pages and other people's vnodes come to nothing", async () => {
  const page = await terminal();
  const { link, sharing } = await share(page);
  const stranger = await pages.newPage({ storageState: guest });
  const wrong = link.replace(/.{40}$/, "0".repeat(40));
  for (const path of [wrong, `${cluster.portal}/shared/..%2fterminal`, `${link}0`, link.toUpperCase().replace(/^HTTPS.*SHARED/, `${cluster.portal}/shared`)]) {
    assert.equal((await stranger.goto(path)).status(), 404, path);
  }
  for (const path of ["/terminal/lab/host-0/share", "/terminal/1/host-0/share"]) {
    assert.equal((await stranger.goto(path)).status(), 404, path);
  }
  // The link of one terminal does not lead to another, whatever the guest names.
  const { hostname, port, pathname } = new URL(link);
  const [{ value: secret }] = guest.cookies.filter(({ name }) => name === "__Host-docklet-session");
  const upgrade = (headers, path = `${pathname}/ws?session=${"0".repeat(32)}`) =>
    new Promise((done, failed) => {
      const request = https.request({ hostname, port, path, rejectUnauthorized: false, headers: { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==", ...headers } });
      request.on("response", (response) => done(response.resume().statusCode));
      request.on("upgrade", (response, socket) => done(socket.destroy() && response.statusCode));
      request.on("error", failed);
      request.end();
    });
  const cookie = `__Host-docklet-session=${secret}`;
  assert.equal(await upgrade({ cookie, origin: cluster.portal }), 101);
  assert.equal(await upgrade({ cookie, origin: "https://evil.example" }), 403);
  assert.equal(await upgrade({ cookie }), 403);
  assert.equal(await upgrade({ origin: cluster.portal }), 303, "to the login");
  assert.equal(await upgrade({ cookie, origin: cluster.portal }, `${new URL(wrong).pathname}/ws?session=${"0".repeat(32)}`), 404);
  await sharing.goto(sharing.url());
  const links = sharing.getByRole("button", { name: /Revoke link/ });
  for (let left = await links.count(); left > 0; left -= 1) {
    await links.first().click();
    await until("one link less", async () => (await links.count()) === left - 1);
  }
  await sharing.getByText("Nothing of this vnode is shared.").waitFor();
  assert.equal(await upgrade({ cookie, origin: cluster.portal }), 404);
  await Promise.all([page, stranger].map((one) => one.context().close()));
});

test("whoever is not logged in comes to the terminal after the login, and to nowhere else", async () => {
  const page = await terminal();
  const { link } = await share(page);
  const late = await pages.newPage();
  await late.goto(link);
  await late.waitForURL(/\/login\?next=%2Fshared%2F/);
  await late.fill("#user", "bob");
  await late.fill("#password", cluster.password("bob"));
  await late.click("button[type=submit]");
  await late.waitForURL(/\/shared\//);
  await ready(late);

  // Who is logged in and comes from another site need not log in again.
  const elsewhere = await pages.newPage({ storageState: guest });
  await elsewhere.route("https://elsewhere.example/", (route) => route.fulfill({ contentType: "text/html", body: `<a href="${link}">look</a>` }));
  await elsewhere.goto("https://elsewhere.example/");
  await elsewhere.getByText("look").click();
  await elsewhere.waitForURL(/\/shared\/.*again=1/);
  await ready(elsewhere);
  const took = await cutAfter(late, () => late.evaluate(() => fetch("/logout", { method: "POST", body: new URLSearchParams(new FormData(document.querySelector("form[action='/logout']"))), redirect: "manual" })));
  assert.ok(took < CUT_MS, `cut after ${took} ms`);
  const [{ id }] = ada.json("share", "list");
  ada.run("share", "revoke", String(id));
  await Promise.all([page, late, elsewhere].map((one) => one.context().close()));
});

test("who looks on comes back when the leader is killed", async () => {
  const page = await terminal();
  const link = await shareByApi(page, page.request, { minutes: 15 });
  const watcher = await visit(link);
  const leader = await throughLeader(cluster, watcher);
  const begun = performance.now();
  cluster.kill(leader);
  for (const one of [watcher, page]) {
    await elsewhere(one, leader);
  }
  console.log(`leader killed, both back after ${Math.round(performance.now() - begun)} ms`);
  await type(page, "echo after-$((50+5))");
  await shows(watcher, /^after-55$/m);
  cluster.run("dev", "up");
  const [{ id }] = ada.json("share", "list");
  ada.run("share", "revoke", String(id));
  await Promise.all([page, watcher].map((one) => one.context().close()));
});

test("it ends with its time, with the trash, and when whoever shared it is locked or has another role", async () => {
  const page = await terminal();
  // An admin who shares somebody's terminal is seen to, and shares nothing any more when they are no admin.
  cluster.person("boss", dir);
  cluster.run("user", "role", "boss", "admin");
  const bossPage = await pages.newPage({ storageState: await loggedIn("boss") });
  const number = ada.json("vc", "list").find(({ name }) => name === "lab").id;
  const session = await page.evaluate(() => globalThis.dockletTerminal.desk.active.session);
  const made = await bossPage.request.post(`/api/v1/vclusters/${number}/vnodes/host-0/shares`, { data: { session, types: true, minutes: 15 }, headers: { origin: cluster.portal } });
  const theirs = await visit(`${cluster.portal}${(await made.json()).link}`);
  assert.ok(ada.json("share", "list").some(({ by }) => by === "boss"));
  const demoted = await cutAfter(theirs, () => cluster.run("user", "role", "boss", "user"));

  const locked = await visit(await shareByApi(page, page.request, { minutes: 15 }));
  const lockedAfter = await cutAfter(locked, () => cluster.run("user", "lock", "ada", "--reason", "away"));
  cluster.run("user", "unlock", "ada");
  ada.run("login", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "ada", "--password-file", `${dir}/ada-password`);

  own = await loggedIn("ada");
  const anew = await terminal(own);
  const trashed = await visit(await shareByApi(anew, anew.request, { minutes: 15 }));
  const trashedAfter = await cutAfter(trashed, () => ada.run("vc", "delete", "lab"));
  ada.run("trash", "restore", "lab");
  for (const took of [demoted, lockedAfter, trashedAfter]) assert.ok(took < CUT_MS, `cut after ${took} ms`);
  console.log(`cut after ${demoted} ms by a role, ${lockedAfter} ms by a lock, ${trashedAfter} ms by the trash`);

  await until("lab runs", () => ada.json("vc", "list")[0].phase === "running", 60_000);
  const last = await terminal(own);
  const timed = await visit(await shareByApi(last, last.request, { minutes: 1 }));
  const since = performance.now();
  await until("the end of its time", () => timed.evaluate(() => document.getElementById("terminal-status").dataset.state === "ended"), 70_000);
  const lived = Math.round(performance.now() - since);
  assert.ok(lived > 55_000 && lived < 62_000, `lived ${lived} ms`);
  assert.match(await status(timed), /not shared with you any more/);
});

test("the pages are fine, light and dark, wide and narrow", async () => {
  own = await loggedIn("ada");
  const page = await terminal(own);
  const session = await page.evaluate(() => globalThis.dockletTerminal.desk.active.session);
  const link = await shareByApi(page, page.request, { minutes: 15, types: true });
  await type(page, "echo fine-$((1+1))");
  for (const colorScheme of ["light", "dark"]) {
    for (const [name, width] of [["wide", 1280], ["narrow", 390]]) {
      const options = { colorScheme, viewport: { width, height: 800 } };
      const sharing = await pages.newPage({ storageState: own, ...options });
      const watching = await pages.newPage({ storageState: guest, ...options });
      await sharing.goto(`/terminal/lab/host-0/share?session=${session}`);
      await watching.goto(link);
      await shows(watching, /^fine-2$/m);
      for (const [one, what] of [[sharing, "share"], [watching, "shared"]]) {
        await shoot(one, `${what}-${colorScheme}-${name}`, { fullPage: true });
        assert.deepEqual(await barriers(one), [], `${what}, ${colorScheme}, ${name}`);
        const overflow = await one.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(overflow <= 0, `${what} is ${overflow} px too wide when ${name}`);
        assert.deepEqual(one.complaints, []);
        await one.context().close();
      }
    }
  }
  // Without JavaScript, too; and with nothing shared.
  const plain = await pages.newPage({ storageState: own, javaScriptEnabled: false });
  await plain.goto(`/terminal/lab/host-0/share?session=${session}`);
  await plain.getByRole("button", { name: /Revoke link/ }).click();
  await plain.getByText("Nothing of this vnode is shared.").waitFor();
  await shoot(plain, "share-empty", { fullPage: true });
  await plain.getByRole("button", { name: "Make a link" }).click();
  assert.match(await plain.locator("#link").textContent(), /\/shared\/[0-9a-f]{40}$/);
  await page.context().close();
});
