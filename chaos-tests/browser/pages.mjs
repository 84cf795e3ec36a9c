// What the tests in a browser share: a real Chromium, pages that note what they complain of, logging in, and looking for
// what a reader with a screen reader, without a mouse or with weak eyes would stumble over.

import axe from "axe-core";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { root } from "../harness.mjs";

// The defence that is gone in the scripts of these pages, where one is (chaos-tests/defences).
const gone = process.env.DOCKLET_DEFENCE_GONE;

const shots = path.join(root, "target", "screenshots");

// A browser on the pages of one cluster.
export class Pages {
  constructor(cluster) {
    this.cluster = cluster;
  }

  async open() {
    mkdirSync(shots, { recursive: true });
    this.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
  }

  close() {
    return this.browser?.close();
  }

  async newPage(options = {}) {
    const context = await this.browser.newContext({ baseURL: this.cluster.portal, ignoreHTTPSErrors: true, ...options });
    if (gone) await context.addInitScript((name) => (globalThis.dockletDefenceGone = name), gone);
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.complaints = [];
    page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(String(error)));
    return page;
  }

  async logIn(page, user = "admin", password = this.cluster.password(user)) {
    await page.goto("/");
    await page.waitForURL(/\/login$/);
    await page.fill("#user", user);
    await page.fill("#password", password);
    await page.click("button[type=submit]");
    await page.getByText(`Welcome, ${user}`).waitFor();
  }

  // Looks at routes in light and dark, wide and narrow: no barriers, nothing too wide, no complaints. All are looked at, whatever
  // is wrong with one. Pages that are not for somebody say so, and are looked at, too.
  async areFine(routes, user = "admin") {
    const whose = user === "admin" ? "" : `${user}-`;
    const faults = [];
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, width] of [["wide", 1280], ["narrow", 390]]) {
        const page = await this.newPage({ colorScheme, viewport: { width, height: 800 } });
        await page.goto("/login");
        await shoot(page, `login-${colorScheme}-${name}`);
        assert.deepEqual(await barriers(page), [], `login, ${colorScheme}, ${name}`);
        await this.logIn(page, user);
        for (const route of routes) {
          await page.goto(`/${route}`);
          if (await page.locator("#usage-plot").count()) await page.locator("#usage-plot canvas").waitFor();
          if (await page.locator("#terminal").count()) await page.locator("#terminal .pane").first().waitFor();
          await shoot(page, `${whose}${route.replaceAll(/[^a-z0-9]+/g, "-") || "home"}-${colorScheme}-${name}`, { fullPage: true });
          for (const barrier of await barriers(page)) faults.push(`${route}, ${colorScheme}, ${name}: ${barrier}`);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (overflow > 0) faults.push(`${route} is ${overflow} px too wide when ${name}`);
        }
        const missing = (complaint) => !/40[34]/.test(complaint);
        assert.deepEqual(page.complaints.filter(missing), []);
        await page.context().close();
      }
    }
    assert.deepEqual(faults, []);
  }
}

// The same of a page that is open: what a form made of it, or what no address leads to.
export async function isFine(page, name) {
  const { width, height } = page.viewportSize();
  const faults = [];
  for (const colorScheme of ["light", "dark"]) {
    for (const [width, wide] of [[1280, "wide"], [390, "narrow"]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await shoot(page, `${name}-${colorScheme}-${wide}`, { fullPage: true });
      for (const barrier of await barriers(page)) faults.push(`${name}, ${colorScheme}, ${wide}: ${barrier}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (overflow > 0) faults.push(`${name} is ${overflow} px too wide when ${wide}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width, height });
  assert.deepEqual(faults, []);
}

export const shoot = (page, name, options = {}) => page.screenshot({ path: path.join(shots, `${name}.png`), ...options });

// What axe finds.
export async function barriers(page) {
  // The page's own policy allows no foreign script; a test may.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}
