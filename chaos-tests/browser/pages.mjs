// What the tests in a browser share: a real Chromium, pages that note what they complain of, logging in, and looking for
// what a reader with a screen reader, without a mouse or with weak eyes would stumble over.

import axe from "axe-core";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { root } from "../harness.mjs";

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
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.complaints = [];
    page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
    page.on("pageerror", (error) => page.complaints.push(String(error)));
    return page;
  }

  async logIn(page, user = "admin", password = this.cluster.password()) {
    await page.goto("/");
    await page.waitForURL(/\/login$/);
    await page.fill("#user", user);
    await page.fill("#password", password);
    await page.click("button[type=submit]");
    await page.getByText(`Welcome, ${user}`).waitFor();
  }

  // Looks at routes in light and dark, wide and narrow: no barriers, nothing too wide, no complaints.
  async areFine(routes) {
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, width] of [["wide", 1280], ["narrow", 390]]) {
        const page = await this.newPage({ colorScheme, viewport: { width, height: 800 } });
        await page.goto("/login");
        await shoot(page, `login-${colorScheme}-${name}`);
        assert.deepEqual(await barriers(page), [], `login, ${colorScheme}, ${name}`);
        await this.logIn(page);
        for (const route of routes) {
          await page.goto(`/${route}`);
          if (await page.locator("#usage-plot").count()) await page.locator("#usage-plot canvas").waitFor();
          await shoot(page, `${route.replaceAll(/[^a-z0-9]+/g, "-") || "home"}-${colorScheme}-${name}`, { fullPage: true });
          assert.deepEqual(await barriers(page), [], `${route}, ${colorScheme}, ${name}`);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${route} is ${overflow} px too wide when ${name}`);
        }
        const missing = (complaint) => !complaint.includes("404");
        assert.deepEqual(page.complaints.filter(missing), []);
        await page.context().close();
      }
    }
  }
}

export const shoot = (page, name, options = {}) => page.screenshot({ path: path.join(shots, `${name}.png`), ...options });

// What axe finds.
export async function barriers(page) {
  // The page's own policy allows no foreign script; a test may.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}
