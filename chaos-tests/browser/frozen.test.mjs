// A master that stands still without being gone, in a real Chromium: its connections seem to be there, and nothing comes over
// them. Pages and terminals go to another. And a terminal that was away for longer than its worker keeps what it prints.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";
import { elsewhere, ready, shows, text, type } from "./terminal.mjs";

const cluster = new Cluster(79);
const pages = new Pages(cluster);
let admin;

before(async () => {
  cluster.up();
  await pages.open();
  cluster.run("vc", "create", "lab", "--image", "busybox", "--wait");
  const page = await pages.newPage();
  await pages.logIn(page);
  admin = await page.context().storageState();
  await page.context().close();
});
after(async () => {
  await pages.close();
  cluster.down();
});

// Keeps all that the screen gets.
function recorded() {
  const pane = globalThis.dockletTerminal.desk.active;
  const print = Object.getPrototypeOf(pane).print;
  globalThis.printed = [];
  pane.print = (bytes, done) => {
    globalThis.printed.push(bytes.slice());
    print.call(pane, bytes, done);
  };
}

const LINES = 900;
// A browser notices by itself that a connection of many answers is dead, some ten seconds after the page has asked for another.
const AWAY_MS_MAX = 100_000;

test("a page and a terminal whose master stands still go to another, and no byte is lost", async () => {
  const page = await pages.newPage({ storageState: admin });
  await page.goto("/terminal/lab/host-0?new");
  const frozen = await ready(page);
  const list = await page.context().newPage();
  await list.goto("/vclusters");
  await list.locator("#leader", { hasText: "leads" }).waitFor();
  await page.bringToFront();
  await page.evaluate(recorded);
  await type(page, `i=0; stty -echo; while [ $i -lt ${LINES} ]; do echo number-$i; i=$((i+1)); usleep 50000; done; stty echo; echo END-$((40+2))`);
  await shows(page, /^number-20$/m);
  const pid = cluster.processes()[frozen];
  const status = page.locator("#terminal-status");
  let awayMs;
  process.kill(pid, "SIGSTOP");
  try {
    const frozenAt = performance.now();
    // The page does not know yet.
    await type(page, "echo late-$((40+2))");
    await status.getByText("connection lost, reattaching; nothing can be typed").waitFor({ timeout: 15_000 });
    const noticedMs = Math.round(performance.now() - frozenAt);
    assert.ok(noticedMs < 12_000, `noticed after ${noticedMs} ms`);
    await shoot(page, "terminal-frozen");
    await until("another master", async () => ![frozen, undefined].includes(await page.evaluate(() => document.getElementById("terminal-status")?.dataset.via)), AWAY_MS_MAX);
    awayMs = Math.round(performance.now() - frozenAt);
    await elsewhere(page, frozen);
    await list.bringToFront();
    await list.locator("#connection", { hasText: /Connected again after [\d.]+ s, through m\d/ }).waitFor({ timeout: AWAY_MS_MAX, state: "attached" });
    const told = await list.locator("#connection").textContent();
    assert.doesNotMatch(told, new RegExp(`through ${frozen};`));
    cluster.run("vc", "create", "fresh", "--cpu-milli", "50", "--memory-mib", "16");
    await list.getByRole("link", { name: "fresh", exact: true }).waitFor();
    console.log(`frozen: the terminal noticed after ${noticedMs} ms, and went on after ${awayMs} ms; the page: ${told}`);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await page.bringToFront();
  await until("the end", async () => /^END-42$/m.test(await text(page)), 120_000);
  const seen = await page.evaluate(() => new Blob(globalThis.printed).text());
  const numbers = [...seen.matchAll(/^number-(\d+)\r?$/gm)].map(([, number]) => Number(number));
  assert.deepEqual(numbers, Array.from({ length: LINES }, (_, number) => number));
  // What was typed to the master that stood still is not done late: not even when that one goes on.
  await until("the other master again", () => cluster.json("master", "list").masters.every(({ lag }) => (lag ?? 0) < 5));
  await type(page, "echo final-$((40+2))");
  await shows(page, /^final-42$/m);
  assert.doesNotMatch(await text(page), /late-42/);
  await page.context().close();
});

test("a terminal that was away for longer than is kept begins on a screen that is reset, and says how much is missing", async () => {
  let down = false;
  const held = [];
  const page = await pages.newPage({ storageState: admin });
  await page.routeWebSocket(/\/terminal\/ws/, (socket) => {
    if (down) return socket.close({ code: 1011 });
    const server = socket.connectToServer();
    held.push({ socket, server });
  });
  await page.goto("/terminal/lab/host-0?new");
  await ready(page);
  // What a program left on the screen: colours, a second screen, no cursor. What it prints stays in one line.
  await type(page, "echo before-$((1+1)); (sleep 2; printf '\\033[?1049h\\033[31;44m\\033[?25l'; head -c 3000000 /dev/zero | tr '\\0' x | fold -w 70 | tr '\\n' '\\r'; echo; echo far-$((1+2)); touch /tmp/printed) &");
  await shows(page, /^before-2$/m);
  down = true;
  for (const { socket, server } of held.splice(0)) {
    await server.close({ code: 1011 });
    await socket.close({ code: 1011 });
  }
  await page.locator('.pane[data-state="waiting"]').waitFor();
  // The worker waits for who was lost, for a while; then the shell goes on.
  await until("the shell to go on", () => cluster.try(["exec", "lab/host-0", "--", "test", "-e", "/tmp/printed"]).code === 0, 60_000);
  down = false;
  await page.locator("#terminal-status", { hasText: /reattached through m\d after [\d.]+ s, \d+ bytes are no longer kept/ }).waitFor({ timeout: 20_000 });
  await shows(page, /^far-3$/m);
  const shown = await text(page);
  const [, missing] = shown.match(/\[(\d+) bytes are no longer kept\]/);
  assert.ok(Number(missing) > 1_500_000, missing);
  assert.doesNotMatch(shown, /before-2/, "the screen was reset");
  // It is the first one, with a cursor and in its own colours.
  const { type: kind, hidden } = await page.evaluate(() => {
    const { terminal } = globalThis.dockletTerminal.desk.active;
    return { type: terminal.buffer.active.type, hidden: terminal._core.coreService.isCursorHidden };
  });
  assert.deepEqual([kind, hidden], ["normal", false]);
  await shoot(page, "terminal-gap");
  assert.deepEqual(await barriers(page), []);
  await type(page, "echo after-$((1+3))");
  await shows(page, /^after-4$/m);
  await page.context().close();
});
