// Signing in by a real OpenID provider, in a real Chromium: newcomers, connecting an account, a code of a second factor, other
// masters on the way, and keys that change.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { certificate } from "../mail.mjs";
import { Pages, barriers, isFine, shoot } from "./pages.mjs";
import { RealProvider, SECRET } from "./provider.mjs";

const cluster = new Cluster(54);
const pages = new Pages(cluster);
const CALLBACK = "/login/oidc/callback";
let dir, provider, secretFile, authority;

const people = {
  "s-eve": { email: "eve@example.org", email_verified: true, name: "Eve Adams", preferred_username: "eve" },
  "s-ada": { email: "ada@example.org", email_verified: true, name: "Ada", preferred_username: "admin" },
  "s-mallory": { email: "admin@evil-example.org", email_verified: true, name: "Mallory", preferred_username: "mallory" },
  "s-judy": { email: "judy@example.org", email_verified: false, name: "Judy", preferred_username: "judy" },
  "s-carl": { email: "carl@example.org", email_verified: true, name: "Carl", preferred_username: "Carl.Friedrich" },
};

const set = (...more) =>
  cluster.run("oidc", "set", "--label", "Example", "--issuer", provider.issuer, "--client-id", "docklet", "--secret-file", secretFile, "--ca", authority, "--domain", "example.org", ...more);

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-oidc-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  const made = certificate(dir, "provider", "localhost");
  authority = made.ca;
  secretFile = `${dir}/secret`;
  writeFileSync(secretFile, `${SECRET}\n`);
  provider = new RealProvider(made, people, [cluster.portal, ...cluster.masters].map((base) => base + CALLBACK));
  await provider.start();
  set("--newcomers", "request");
  await pages.open();
});
after(async () => {
  await pages.close();
  provider?.stop();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const begin = async (page, at = "/login") => {
  await page.goto(at);
  await page.getByRole("button", { name: "Sign in with Example" }).click();
  await page.waitForURL(/interaction/);
};
const say = async (page, subject) => {
  await page.fill("input[name=subject]", subject);
  await page.getByRole("button", { name: "This is me" }).click();
};
const signIn = async (page, subject, at) => {
  await begin(page, at);
  await say(page, subject);
};
const refusal = async (page, code) => {
  const told = page.locator(`[data-code=${code}]`);
  await told.waitFor();
  await page.getByRole("link", { name: "Back to the login" }).waitFor();
  return told.textContent();
};

test("the login page has a button, light and dark, wide and narrow", async () => {
  await pages.areFine(["account", "settings"]);
});

test("who has no account has asked for one by signing in, without JavaScript too", async () => {
  const page = await pages.newPage({ javaScriptEnabled: false });
  await signIn(page, "s-eve");
  await page.getByText("Your request for one is noted").waitFor();
  await shoot(page, "oidc-noted");
  const [request] = cluster.json("user", "requests");
  assert.deepEqual([request.name, request.way, request.profile.mail], ["eve", "oidc", "eve@example.org"]);
  const again = await pages.newPage();
  await signIn(again, "s-eve");
  await refusal(again, "application_waits");
  assert.equal(cluster.json("user", "requests").length, 1);
  cluster.run("user", "approve", String(request.id));
  const entered = await pages.newPage({ javaScriptEnabled: false });
  await signIn(entered, "s-eve");
  await entered.getByText("Welcome, eve").waitFor();
  await entered.goto("/account");
  await entered.getByText("Browser, by OpenID").waitFor();
  await entered.getByText("the only way in").waitFor();
  await shoot(entered, "oidc-account", { fullPage: true });
  assert.equal(cluster.json("user", "show", "eve").way, "oidc");
});

test("an address that is of another domain, or not verified, gets nowhere; leaving is no fault", async () => {
  const page = await pages.newPage();
  await signIn(page, "s-mallory");
  assert.match(await refusal(page, "mail_domain_refused"), /evil-example\.org/);
  await shoot(page, "oidc-refused");
  assert.deepEqual(await barriers(page), []);
  const other = await pages.newPage();
  await signIn(other, "s-judy");
  await refusal(other, "mail_unverified");
  const third = await pages.newPage();
  await begin(third);
  await third.getByRole("button", { name: "Leave" }).click();
  await refusal(third, "oidc_denied");
  assert.deepEqual(cluster.json("user", "list").map(({ name }) => name), ["admin", "eve"]);
});

test("a page that wants a login is where one goes on after it, and nowhere else", async () => {
  const page = await pages.newPage();
  await signIn(page, "s-eve", "/images");
  await page.waitForURL((url) => url.pathname === "/images");
  const stranger = await pages.newPage();
  await signIn(stranger, "s-eve", "/login?next=//evil.example/x");
  await stranger.getByText("Welcome, eve").waitFor();
  assert.equal(new URL(stranger.url()).origin, cluster.portal);
});

// The name that the provider gives is the admin's here: the person chooses another one, and never comes into that account.
test("a name that is taken is asked for anew", async () => {
  set("--newcomers", "active");
  const page = await pages.newPage();
  await signIn(page, "s-ada");
  await page.getByText("Choose what you are called here.").waitFor();
  await isFine(page, "oidc-name");
  await page.fill("#name", "eve");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("is taken, kept for the cluster").waitFor();
  await page.fill("#name", "ada");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("Welcome, ada").waitFor();
  const other = await pages.newPage();
  await signIn(other, "s-carl");
  await other.getByText("Welcome, carl-friedrich").waitFor();
});

test("an account with a password is connected by its owner, and let go of", async () => {
  const bob = cluster.person("bob", dir);
  people["s-bob"] = { email: "bob@example.org", email_verified: true, preferred_username: "bob" };
  const stranger = await pages.newPage();
  await signIn(stranger, "s-bob");
  await stranger.getByText("Choose what you are called here.").waitFor();
  const page = await pages.newPage();
  await pages.logIn(page, "bob");
  await page.goto("/account");
  await page.getByRole("button", { name: "Connect to Example" }).click();
  await page.waitForURL(/interaction/);
  await say(page, "s-bob");
  await page.waitForURL((url) => url.pathname === "/account");
  await page.getByText("bob@example.org").first().waitFor();
  assert.equal(bob.json("user", "show").identities[0].subject, "s-bob");
  const entered = await pages.newPage();
  await signIn(entered, "s-bob");
  await entered.getByText("Welcome, bob").waitFor();
  // Nobody else is the same person of the provider.
  const thief = await pages.newPage();
  await pages.logIn(thief);
  await thief.goto("/account");
  await thief.getByRole("button", { name: "Connect to Example" }).click();
  await thief.waitForURL(/interaction/);
  await say(thief, "s-bob");
  await refusal(thief, "identity_taken");
  await page.getByRole("button", { name: "Disconnect from Example" }).click();
  await page.getByText("connected to nobody of a provider").waitFor();
  const out = await pages.newPage();
  await signIn(out, "s-bob");
  await out.getByText("Choose what you are called here.").waitFor();
});

function code(secret, later = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const bytes = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
  const tag = createHmac("sha1", bytes).update(counter).digest();
  const number = tag.readUInt32BE(tag.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

test("a second factor is asked for, too, and one goes on to where one wanted", async () => {
  const page = await pages.newPage();
  await signIn(page, "s-eve", "/account");
  await page.getByRole("button", { name: "Set one up" }).click();
  const secret = await page.locator("ol.steps code").first().textContent();
  await page.fill("#code", code(secret, -1));
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("recovery codes").first().waitFor();
  const again = await pages.newPage();
  await signIn(again, "s-eve", "/images");
  await again.waitForURL((url) => url.pathname === "/login/code");
  await again.fill("#code", code(secret));
  await again.getByRole("button", { name: "Go on" }).click();
  await again.waitForURL((url) => url.pathname === "/images");
});

test("another master goes on with a login that one has begun, and one that follows when the leader dies", async () => {
  const [one, other] = cluster.masters;
  const page = await pages.newPage({ baseURL: one });
  provider.elsewhere = [one, other];
  await signIn(page, "s-carl");
  await page.getByText("Welcome, carl-friedrich").waitFor();
  assert.equal(new URL(page.url()).origin, other);
  provider.elsewhere = null;
  const waiting = await pages.newPage();
  await begin(waiting);
  const leader = cluster.leader();
  cluster.kill(leader);
  await until("another leader", () => {
    const { code: failed, stdout } = cluster.try(["status", "--format", "json"]);
    const now = failed === 0 && JSON.parse(stdout).leader;
    return now && now !== leader;
  });
  await say(waiting, "s-carl");
  await waiting.getByText("Welcome, carl-friedrich").waitFor();
  cluster.run("dev", "up");
});

test("the provider signs with another key, and is believed", async () => {
  provider.rotate();
  const page = await pages.newPage();
  await signIn(page, "s-carl");
  await page.getByText("Welcome, carl-friedrich").waitFor();
});

test("what the provider is shown is in no page, answer or log line", () => {
  const told = [cluster.run("oidc", "show", "--format", "json"), cluster.run("setting", "list", "--format", "json"), cluster.run("state", "--json"), cluster.run("setting", "history", "oidc", "--format", "json"), cluster.logs()];
  told.forEach((text) => assert.ok(!text.includes(SECRET)));
});
