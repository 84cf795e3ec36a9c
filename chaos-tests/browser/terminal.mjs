// What the tests in a browser share about the terminal that is in front on a page.

import { until } from "../harness.mjs";

const via = (page) => page.evaluate(() => document.getElementById("terminal-status")?.dataset.via);

// Waits until it is ready for input; answers the name of the master that serves it.
export const ready = (page) => until("a connection", () => via(page));

export const text = (page) => page.evaluate(() => globalThis.dockletTerminal?.text() ?? "");

export const shows = (page, pattern) => until(`terminal text ${pattern}`, async () => pattern.test(await text(page)));

export async function type(page, line) {
  await page.evaluate(() => globalThis.dockletTerminal.desk.active.focus());
  await page.keyboard.type(`${line}\n`);
}

// Makes the master that serves it the leader; answers its name. A browser stays with the connection of HTTP/2 that it has.
export function throughLeader(cluster, page) {
  return until("a connection through the leader", async () => {
    const serving = await ready(page);
    if (serving === cluster.leader()) return serving;
    cluster.try(["master", "transfer", serving]);
    return null;
  });
}

// Waits until another master serves it.
export const elsewhere = (page, master) => until("another master", async () => ![master, undefined].includes(await via(page)));
