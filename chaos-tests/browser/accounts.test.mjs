// Accounts by the pages, in a real Chromium: asking for one, deciding, a second factor in two steps, tokens and logins.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { Pages, barriers, isFine, shoot } from "./pages.mjs";

const cluster = new Cluster(24);
const pages = new Pages(cluster);
const EVE = "eve's long password";

before(async () => {
  cluster.up();
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  cluster.run("user", "registration", "open");
  await pages.open();
});
after(async () => {
  await pages.close();
  cluster.down();
});

async function logIn(page, user, password) {
  await page.goto("/login");
  await page.fill("#user", user);
  await page.fill("#password", password);
  await page.getByRole("button", { name: "Log in" }).click();
}

function code(secret, later = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const tag = createHmac("sha1", key).update(counter).digest();
  const number = tag.readUInt32BE(tag.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

// Whoever was told something keeps what they typed, without JavaScript too.
test("a stranger asks, an admin declines and then approves by the form of the request", async () => {
  const stranger = await pages.newPage({ javaScriptEnabled: false });
  const ask = async (reason) => {
    await stranger.goto("/login");
    await stranger.getByRole("link", { name: "Ask for one" }).click();
    await stranger.fill("#name", "eve");
    await stranger.fill("#password", EVE);
    await stranger.fill("#real-name", "Eve Adams");
    await stranger.fill("#mail", "eve@example.org");
    await stranger.fill("#reason", reason);
    await stranger.getByRole("button", { name: "Ask for an account" }).click();
    await stranger.getByText("Your request is noted").waitFor();
  };
  await ask("networks");
  await logIn(stranger, "eve", EVE);
  await stranger.getByText("Your request for an account waits").waitFor();
  const admin = await pages.newPage();
  await pages.logIn(admin);
  const decide = async () => {
    const [{ id }] = cluster.json("user", "requests");
    await admin.goto(`/requests/${id}`);
    assert.equal(cluster.json("user", "requests")[0].declined, null, "looking changes nothing");
  };
  await decide();
  await admin.fill("#reason", "which course is that?");
  await admin.getByRole("button", { name: "Decline" }).click();
  await admin.getByText("Nobody waits for an account.").waitFor();
  await logIn(stranger, "eve", EVE);
  await stranger.getByText("was declined: which course is that?").waitFor();
  await ask("networks 101");
  await admin.getByRole("link", { name: "eve", exact: true }).waitFor();
  await decide();
  await shoot(admin, "request", { fullPage: true });
  await admin.getByRole("button", { name: "Approve" }).click();
  await admin.locator("tr[data-user=eve]").waitFor();
});

test("a second factor is set up with a picture, and the login asks for its code", async () => {
  const page = await pages.newPage();
  await pages.logIn(page, "eve", EVE);
  await page.getByRole("link", { name: "eve", exact: true }).click();
  await page.getByRole("button", { name: "Set one up" }).click();
  await page.locator("svg.qr").waitFor();
  const secret = await page.locator("ol.steps code").first().textContent();
  await shoot(page, "second-factor", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
  await page.fill("#code", "000000");
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("This code is wrong").waitFor();
  const used = code(secret);
  await page.fill("#code", used);
  await page.getByRole("button", { name: "Confirm" }).click();
  assert.equal(await page.locator("#recovery li").count(), 10);
  await shoot(page, "recovery-codes", { fullPage: true });
  const again = await pages.newPage();
  await logIn(again, "eve", EVE);
  await again.waitForURL(/\/login\/code$/);
  await isFine(again, "login-code");
  await again.fill("#code", used);
  await again.getByRole("button", { name: "Go on" }).click();
  await again.getByText("wrong, over, or was used already").waitFor();
  await again.fill("#code", code(secret, 1));
  await again.getByRole("button", { name: "Go on" }).click();
  await again.getByText("Welcome, eve").waitFor();
  await again.context().close();
  cluster.run("user", "factor", "remove", "--user", "eve");
});

test("a token is made and revoked, and another login ended", async () => {
  const [page, other] = [await pages.newPage(), await pages.newPage()];
  await pages.logIn(page, "eve", EVE);
  await pages.logIn(other, "eve", EVE);
  await page.goto("/account");
  await page.getByText("Make a token").click();
  await page.fill("#token-name", "ci");
  await page.getByRole("button", { name: "Make", exact: true }).click();
  assert.match(await page.locator("#token").textContent(), /^docklet_[0-9a-f]{64}$/);
  await page.locator("tr", { hasText: "ci" }).getByRole("button", { name: "Revoke" }).click();
  await page.getByText("gets a token of its own").waitFor();
  await page.getByRole("button", { name: "End all others" }).click();
  await page.getByText("(this one)").waitFor();
  await other.goto("/account");
  await other.waitForURL(/\/login\?next=%2Faccount$/);
});

test("its pages are fine in light and dark, wide and narrow", async () => {
  await pages.areFine(["people", "people/eve", "account"]);
  const page = await pages.newPage({ viewport: { width: 390, height: 800 } });
  await page.goto("/register");
  await shoot(page, "register", { fullPage: true });
  assert.deepEqual(await barriers(page), []);
});
