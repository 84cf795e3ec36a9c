// Terminals in a real Chromium: tabs and panes, what is asked before something is pasted or copied, what a program may not do,
// coming back, recordings, and ten mebibytes of which every byte is seen once while the leader is killed three times.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, shoot } from "./pages.mjs";
import { elsewhere, ready, shows, text, throughLeader, type } from "./terminal.mjs";

const cluster = new Cluster(61);
const pages = new Pages(cluster);
let admin;

before(async () => {
  cluster.up();
  await pages.open();
  cluster.run("vc", "create", "lab", "--image", "busybox", "--vnodes", "2", "--wait");
  const page = await pages.newPage();
  await pages.logIn(page);
  admin = await page.context().storageState();
  await page.context().close();
});

after(async () => {
  await pages.close();
  cluster.down();
});

// A page with a terminal that is ready for input: of a new shell, whichever others were left. What comes between the page and
// the master is put there by `before`.
async function open(options = {}, before = async () => {}) {
  const page = await pages.newPage({ storageState: admin, permissions: ["clipboard-read", "clipboard-write"], ...options });
  await before(page);
  await page.goto("/terminal/lab/host-0?new");
  await ready(page);
  return page;
}

// What the master says of the shells of whoever looks at the page.
async function running(page) {
  const answer = await page.context().request.get("/api/v1/vclusters/lab/vnodes/host-0/terminals");
  assert.equal(answer.status(), 200);
  return answer.json();
}

const panes = (page) => page.locator(".pane:visible");

test("terminals lie in tabs and beside each other, and are as they were after a reload", async () => {
  const page = await open();
  await type(page, "echo first-$((40+1))");
  await shows(page, /^first-41$/m);
  await page.getByLabel("Vnode of new terminals").selectOption("host-1");
  await page.getByRole("button", { name: "Split right" }).click();
  await ready(page);
  await type(page, "echo second-$((40+2)) on $(hostname)");
  await shows(page, /^second-42 on host-1$/m);
  await page.getByRole("button", { name: "Split down" }).click();
  await ready(page);
  assert.equal(await panes(page).count(), 3);
  await page.getByLabel("Vnode of new terminals").selectOption("host-0");
  await page.getByRole("button", { name: "New tab" }).click();
  await ready(page);
  await type(page, "echo third-$((40+3))");
  await shows(page, /^third-43$/m);
  assert.equal(await page.getByRole("tab").count(), 2);
  await page.getByRole("tab").first().click();
  await shoot(page, "terminal-panes");
  assert.deepEqual(await barriers(page), []);

  await page.reload();
  await ready(page);
  assert.equal(await page.getByRole("tab").count(), 2);
  assert.equal(await panes(page).count(), 3);
  await shows(page, /^first-41$/m);
  await page.keyboard.press("Control+Shift+BracketRight");
  await shows(page, /^second-42 on host-1$/m);
  await page.keyboard.press("Control+Shift+X");
  assert.equal(await panes(page).count(), 2);
  const handle = page.getByRole("separator").first();
  await handle.focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await handle.getAttribute("aria-valuenow"), "55");
  await page.getByRole("tab").nth(1).click();
  await shows(page, /^third-43$/m);
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(await page.getByRole("tablist").count(), 0, "one tab needs no list");
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("a shell that ends says by which code, and a new one takes its place", async () => {
  const page = await open();
  await type(page, "exit 7");
  const ended = page.locator("#terminal-status", { hasText: "The shell ended with code 7." });
  await ended.waitFor().catch(async ({ message }) => {
    throw new Error(`${message}\n${await page.locator("#terminal-status").textContent()}\n${await text(page)}`);
  });
  await page.getByRole("button", { name: "New shell" }).click();
  await ready(page);
  await type(page, "echo anew-$((1+1))");
  await shows(page, /^anew-2$/m);
  await page.context().close();
});

test("several lines are pasted only after a question, and an escape never is", async () => {
  const page = await open();
  const paste = async (pasted) => {
    await page.evaluate((pasted) => navigator.clipboard.writeText(pasted), pasted);
    await page.getByRole("button", { name: "Paste", exact: true }).click();
  };
  await paste("echo one-$((3+4))");
  await page.evaluate(() => globalThis.dockletTerminal.desk.active.focus());
  await page.keyboard.press("Enter");
  await shows(page, /^one-7$/m);

  await paste("echo bad-$((3+5))\necho worse\n");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Paste 2 lines into host-0 of lab?").waitFor();
  await shoot(page, "terminal-paste");
  assert.deepEqual(await barriers(page), []);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await paste("echo good-$((3+6))\necho \u001b[201~end\n");
  await dialog.getByText("1 escape characters are left out.").waitFor();
  await dialog.getByRole("button", { name: "Paste" }).click();
  await shows(page, /^good-9$/m);
  await shows(page, /^\[201~end$/m);
  assert.doesNotMatch(await text(page), /bad-8/);

  await page.getByText("Options").click();
  await page.getByLabel("Ask before several lines are pasted").uncheck();
  await page.keyboard.press("Escape");
  await paste("echo free-$((3+7))\necho free-$((3+8))\n");
  await shows(page, /^free-11$/m);
  await page.context().close();
});

test("a program fills the clipboard only if that is allowed, never reads it, and can not pretend to be something else", async () => {
  const page = await open();
  const offer = (value) => type(page, `printf '\\033]52;c;${Buffer.from(value).toString("base64")}\\007'`);
  const held = () => page.evaluate(() => navigator.clipboard.readText());
  await page.evaluate(() => navigator.clipboard.writeText("mine"));
  await offer("rm -rf /");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("A program in host-0 of lab wants to fill your clipboard").waitFor();
  assert.equal(await dialog.locator("pre").textContent(), "rm -rf /");
  await dialog.getByRole("button", { name: "Refuse" }).click();
  assert.equal(await held(), "mine");
  await offer("theirs");
  await dialog.getByRole("button", { name: "Allow once" }).click();
  await until("the clipboard", async () => (await held()) === "theirs");

  // Reading the clipboard, the title and the version are asked for; an answer would be input, and be seen.
  await type(page, "clear; stty -echo; printf '\\033]52;c;?\\007\\033[21t\\033]0;Bank login\\007'; read -t 1 -n 1 answer; stty echo; echo \"answer=<$answer>\"");
  await shows(page, /^answer=<>$/m);
  await page.locator(".pane-head", { hasText: "host-0 of lab · Bank login" }).waitFor({ state: "attached" });
  assert.equal(await page.title(), "host-0 of lab · Docklet");

  // What a title could be taken for something else by is left out: marks that turn letters around, and all beyond one line.
  await type(page, `printf '\\033]0;a\\342\\200\\256b   c${"d".repeat(60)}\\007'`);
  await page.locator(".pane-head", { hasText: `host-0 of lab · ab c${"d".repeat(36)}` }).waitFor({ state: "attached" });
  assert.doesNotMatch(await page.locator(".pane-head").textContent(), /d{37}/);
  await page.context().close();
});

test("a tab that was closed is opened again where it was, and a shell in another page is offered", async () => {
  const page = await open();
  await type(page, "x=41; echo set-$((x+1))");
  await shows(page, /^set-42$/m);
  const session = await page.evaluate(() => globalThis.dockletTerminal.desk.active.session);
  const context = page.context();
  await page.close();
  const again = await context.newPage();
  // That it was left, its worker hears a moment later; the one left last comes first.
  await until("the shell that was left", async () => {
    const [first] = await running(again);
    return first.session === session && typeof first.alone_ms === "number";
  });
  await again.goto("/terminal/lab/host-0");
  await ready(again);
  await again.locator("#terminal-status", { hasText: "back in the shell that you left" }).waitFor();
  await shows(again, /^set-42$/m);
  await type(again, "echo kept-$x");
  await shows(again, /^kept-41$/m);
  await shoot(again, "terminal-come-back");

  const other = await context.newPage();
  await other.goto("/terminal/lab/host-0?new");
  await ready(other);
  await type(other, "echo other-${x:-none}");
  await shows(other, /^other-none$/m);
  const list = other.locator("details.shells");
  await list.locator("summary", { hasText: /shells? goe?s? on/ }).click();
  const elsewhere = list.getByRole("button", { name: /open in another page/ });
  await elsewhere.waitFor();
  assert.equal(await elsewhere.count(), 1);
  await shoot(other, "terminal-shells");
  assert.deepEqual(await barriers(other), []);
  await elsewhere.click();
  await shows(other, /^kept-41$/m);
  await again.locator(".pane-head", { hasText: "one more looks on" }).waitFor();
  assert.equal(await other.getByRole("tab").count(), 2);
  await context.close();
});

test("nobody is told of the shells of others, and an admin does not come back to one that is not theirs", async () => {
  const dir = mkdtempSync("/var/tmp/docklet-terminals-pages-");
  cluster.person("bob", dir).run("vc", "create", "his", "--vnodes", "1", "--wait");
  const { id } = cluster.json("vc", "list").find((one) => one.name === "his");
  const known = async (page, vcluster) => {
    const answer = await page.context().request.get(`/api/v1/vclusters/${vcluster}/vnodes/host-0/terminals`);
    return answer.ok() ? (await answer.json()).map(({ alone_ms }) => (alone_ms === null ? "watched" : "left")) : answer.status();
  };
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  assert.equal(await known(page, "lab"), 404);
  await page.goto("/terminal/his/host-0");
  await ready(page);
  await type(page, "x=his; echo begun-$((1+1))");
  await shows(page, /^begun-2$/m);
  assert.deepEqual(await known(page, "his"), ["watched"], "somebody looks");
  await page.goto("/vclusters/his");
  await until("a shell that was left", async () => (await known(page, "his"))[0] === "left");

  const other = await pages.newPage({ storageState: admin });
  assert.deepEqual(await known(other, id), []);
  await other.goto(`/terminal/${id}/host-0`);
  await ready(other);
  await type(other, "echo whose-${x:-none}");
  await shows(other, /^whose-none$/m);
  assert.deepEqual([await known(other, id), await known(page, "his")], [["watched"], ["left"]]);
  cluster.run("vc", "stop", String(id), "--wait");
  assert.deepEqual(await known(page, "his"), [], "none goes on where nothing runs");
  await page.context().close();
  await other.context().close();
  rmSync(dir, { recursive: true, force: true });
});

test("what was printed is searched, on and back, and what is not there is said", async () => {
  const page = await open();
  await type(page, "clear; for n in 1 2 3; do echo needle-$((n+10)); done");
  await shows(page, /^needle-13$/m);
  const marked = () =>
    page.evaluate(() => {
      const { terminal } = globalThis.dockletTerminal.desk.active;
      const line = terminal.getSelectionPosition()?.start.y;
      return line === undefined ? "" : `${terminal.getSelection()} of ${terminal.buffer.active.getLine(line).translateToString(true)}`;
    });
  await page.keyboard.press("Control+Shift+F");
  const field = page.getByLabel("Search in the terminal");
  assert.ok(await field.evaluate((one) => one === document.activeElement));
  await field.fill("needle-1");
  const found = [];
  for (const key of ["Enter", "Enter", "Shift+Enter"]) {
    await page.keyboard.press(key);
    found.push(await marked());
  }
  assert.match(found[0], /^needle-1 of needle-1[123]$/);
  assert.notEqual(found[1], found[0], "the next");
  assert.equal(found[2], found[0], "and back");
  assert.equal(await page.getByText("not found").count(), 0);
  await shoot(page, "terminal-search");
  await field.fill("haystack");
  await page.keyboard.press("Enter");
  await page.getByText("not found").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.type("echo back-$((1+1))\n");
  await shows(page, /^back-2$/m);
  await page.context().close();
});

test("a screen reader reads what is printed if one says that one has one, and after a reload too", async () => {
  const page = await open();
  const spoken = page.locator(".xterm-accessibility");
  assert.equal(await spoken.count(), 0);
  await page.getByText("Options").click();
  await page.getByLabel("Screen reader mode").check();
  await page.keyboard.press("Escape");
  await type(page, "clear; echo aloud-$((40+2))");
  await spoken.getByRole("listitem").filter({ hasText: /^aloud-42/ }).first().waitFor({ state: "attached" });
  assert.deepEqual(await barriers(page), []);
  await page.reload();
  await ready(page);
  await spoken.getByRole("listitem").filter({ hasText: /^aloud-42/ }).first().waitFor({ state: "attached" });
  await page.context().close();
});

test("while the connection is lost nothing can be typed, the page says so, and then it goes on", async () => {
  let down = false;
  const held = [];
  const page = await open({}, (page) =>
    page.routeWebSocket(/\/terminal\/ws/, (socket) => {
      if (down) return socket.close({ code: 1011 });
      const server = socket.connectToServer();
      held.push({ socket, server });
    }));
  await type(page, "echo before-$((1+1))");
  await shows(page, /^before-2$/m);
  down = true;
  for (const { socket, server } of held.splice(0)) {
    await server.close();
    await socket.close({ code: 1011 });
  }
  const status = page.locator("#terminal-status");
  await page.locator("#terminal-status", { hasText: "connection lost, reattaching; nothing can be typed" }).waitFor();
  await page.locator('.pane[data-state="waiting"]').waitFor();
  assert.equal(await status.getAttribute("data-via"), null);
  await shoot(page, "terminal-lost");
  assert.deepEqual(await barriers(page), []);
  await type(page, "echo lost-$((1+2))");
  down = false;
  await page.locator("#terminal-status", { hasText: /reattached through .* nothing lost/ }).waitFor();
  await type(page, "echo after-$((1+3))");
  await shows(page, /^after-4$/m);
  assert.doesNotMatch(await text(page), /lost-/);
  await page.context().close();
});

test("who follows a link that may lead elsewhere sees where it leads", async () => {
  const page = await open();
  let times = 0;
  const pressed = async (address, shown = "press-here") => {
    times += 1;
    const link = shown === address ? address : `\\033]8;;${address}\\007${shown}\\033]8;;\\007`;
    await type(page, `clear; printf '${link}\\n\\n'; echo there-$((${times}+1))`);
    await shows(page, new RegExp(`^there-${times + 1}$`, "m"));
    const place = await page.evaluate((shown) => {
      const { terminal } = globalThis.dockletTerminal.desk.active;
      const lines = Array.from({ length: terminal.rows }, (_, row) => terminal.buffer.active.getLine(terminal.buffer.active.viewportY + row)?.translateToString(true));
      const { left, top, width, height } = document.querySelector(".xterm-screen").getBoundingClientRect();
      return { x: left + (5 * width) / terminal.cols, y: top + ((lines.findLastIndex((line) => line === shown) + 0.5) * height) / terminal.rows };
    }, shown);
    // Which links a line has, is looked up when the mouse comes to it.
    await page.mouse.move(place.x, place.y + 100);
    await page.mouse.move(place.x, place.y);
    await page.mouse.click(place.x, place.y);
  };
  const opened = [];
  page.context().on("page", (other) => opened.push(other));
  await page.context().route(/^https:\/\/[a-z]+\.example\//, (route) => route.fulfill({ contentType: "text/html", body: "<title>There</title>" }));
  // What is no address of the web leads nowhere, and is not even asked about.
  await pressed("javascript:alert(1)");
  await pressed("https://evil.example/\\342\\200\\256x");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("It leads to evil.example.").waitFor();
  assert.equal(await page.getByRole("dialog").count(), 1);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.deepEqual(opened, []);
  // An address that is shown as it is leads there at once; another only after the question.
  for (const [address, shown] of [["https://plain.example/way", "https://plain.example/way"], ["https://other.example/way", "press-here"]]) {
    const coming = page.context().waitForEvent("page");
    await pressed(address, shown);
    if (shown !== address) await dialog.getByRole("button", { name: "Open" }).click();
    const other = await coming;
    await other.waitForURL(address);
    assert.equal(await other.evaluate(() => globalThis.opener), null);
    await other.close();
  }
  assert.equal(opened.length, 2);
  await page.context().close();
});

test("what is marked is copied at once if one likes that", async () => {
  const page = await open();
  await page.getByText("Options").click();
  await page.getByLabel("Copy what I mark at once").check();
  await shoot(page, "terminal-options");
  await page.keyboard.press("Escape");
  await type(page, "clear; echo copied-$((2+3))");
  await shows(page, /^copied-5$/m);
  await page.evaluate(() => globalThis.dockletTerminal.desk.active.terminal.selectAll());
  await until("the clipboard", async () => (await page.evaluate(() => navigator.clipboard.readText())).includes("copied-5"));
  await page.context().close();
});

test("a recording says so to all who look, is saved as an asciicast, and plays", async () => {
  const page = await open();
  await type(page, "echo before-recording");
  await page.getByRole("button", { name: "Record" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Record" }).click();
  await page.locator(".pane-head", { hasText: "being recorded" }).waitFor();
  await type(page, "echo kept-$((5+6))");
  await shows(page, /^kept-11$/m);
  await shoot(page, "terminal-recording");
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Stop recording" }).click();
  const file = await coming;
  assert.match(file.suggestedFilename(), /^host-0-of-lab-.*\.cast$/);
  const saved = await file.path();

  await page.goto("/replay");
  await page.setInputFiles("input[type=file]", { name: "no.cast", mimeType: "text/plain", buffer: Buffer.from('{"version":1}\n') });
  await page.getByText("This is no asciicast of version 2.").waitFor();
  await page.setInputFiles("input[type=file]", saved);
  await shows(page, /^kept-11$/m);
  await shoot(page, "terminal-replay");
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

// Numbers of Park and Miller's generator, eight to a line; the same here and in the vnode. More than ten mebibytes.
const LINES = 160_000;
const SEED = 11;
const PROGRAM = `BEGIN { x = ${SEED}; for (line = 0; line < ${LINES}; line++) { text = ""; for (n = 0; n < 8; n++) { x = (x * 48271) % 2147483647; text = text sprintf("%08x", x) } print text } }`;
// The leader is killed when so many bytes have come.
const KILLED_AT = [300_000, 3_600_000, 7_200_000];

function expected() {
  let x = SEED;
  const lines = [];
  for (let line = 0; line < LINES; line += 1) {
    let words = "";
    for (let n = 0; n < 8; n += 1) {
      x = (x * 48271) % 2147483647;
      words += x.toString(16).padStart(8, "0");
    }
    lines.push(`${words}\r\n`);
  }
  return lines.join("");
}

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

// Keeps what the screen gets. From `mark` bytes on it says little of what it has read, but says it: the flood stands almost
// still, and is not given up.
function slowed([mark, little, everyMs]) {
  const pane = globalThis.dockletTerminal.desk.active;
  const { link } = pane;
  const flood = { parts: [], length: 0, held: null, mark };
  globalThis.flood = flood;
  const print = Object.getPrototypeOf(pane).print;
  pane.print = (bytes, done) => {
    flood.parts.push(bytes.slice());
    flood.length += bytes.length;
    print.call(pane, bytes, done);
  };
  const acknowledge = Object.getPrototypeOf(link).acknowledge;
  link.acknowledge = (position) => {
    if (flood.length < flood.mark) acknowledge.call(link, position);
    else flood.held = position;
  };
  setInterval(() => {
    const next = link.acknowledged + little;
    if (flood.held >= next) acknowledge.call(link, next);
  }, everyMs);
  flood.until = (mark) => {
    const { held } = flood;
    Object.assign(flood, { mark, held: null });
    if (held !== null) acknowledge.call(link, held);
  };
}

test("ten mebibytes of one flood are seen without a byte lost or twice while the leader is killed three times", async () => {
  const page = await open();
  await type(page, `cat > /tmp/flood <<'END'\n${PROGRAM}\nEND`);
  await page.evaluate(slowed, [KILLED_AT[0], 33 << 10, 1500]);
  await type(page, "stty -echo; echo BEGIN-$((40+2)); awk -f /tmp/flood; echo END-$((40+2)); stty echo");
  const waits = [];
  const cut = [];
  for (const [turn, mark] of KILLED_AT.entries()) {
    await until("the flood", () => page.evaluate((mark) => globalThis.flood.held !== null && globalThis.flood.length >= mark, mark));
    const leader = await throughLeader(cluster, page);
    cluster.kill(leader);
    const killedAt = performance.now();
    cut.push(await page.evaluate((mark) => {
      globalThis.flood.until(mark);
      return globalThis.flood.length;
    }, KILLED_AT[turn + 1] ?? Number.MAX_SAFE_INTEGER));
    await elsewhere(page, leader);
    waits.push(Math.round(performance.now() - killedAt));
    cluster.run("dev", "up");
  }
  await shows(page, /^END-42$/m);
  const seen = await page.evaluate(() => new Blob(globalThis.flood.parts).text());
  const begun = "BEGIN-42\r\n";
  const part = seen.slice(seen.lastIndexOf(begun) + begun.length, seen.lastIndexOf("END-42"));
  const whole = expected();
  assert.ok(whole.length >= 10 << 20, `${whole.length} bytes`);
  assert.ok(cut.every((length) => length < whole.length - 1_000_000), `all within the flood: ${cut}`);
  assert.equal(part.length, whole.length);
  assert.equal(sha256(part), sha256(whole));
  console.log(`one flood of ${(whole.length / 2 ** 20).toFixed(2)} MiB, every byte once; the leader was killed after ${cut.join(", ")} bytes; reattached after ${waits.join(", ")} ms`);
  await page.context().close();
});
