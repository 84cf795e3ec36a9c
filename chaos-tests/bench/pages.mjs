// Each page of the portal beside a vcluster of many vnodes: how long its answer takes, how long until it shows a change, and until a
// browser has drawn something of it. The pages are those of the router, so that none is left out unsaid.

import { pagesOfRouter } from "../browser/routes.mjs";
import { alone, median, percentile } from "./report.mjs";

// What stands for the names in a page's path.
const THERE = [
  [/^\/people\/\{name\}/, "/people/admin"], [/^\/workers\/\{name\}/, "/workers/w1"], [/^\/groups\/\{name\}/, "/groups/course"], [/^\/images\/\{owner\}\/\{name\}/, "/images/admin/busybox"],
  [/^\/vclusters\/\{name\}\/vnodes\/\{vnode\}\/files\/edit/, "/vclusters/lab/vnodes/host-0/files/edit?path=/etc/passwd"], [/^\/vclusters\/\{name\}\/vnodes\/\{vnode\}\/files/, "/vclusters/lab/vnodes/host-0/files?path=/root"],
  [/^\/vclusters\/\{name\}/, "/vclusters/many"], [/\{vnode\}/, "host-0"], [/^\/terminal\/\{vcluster\}/, "/terminal/lab"], [/^\/masters\/\{id\}\/\{action\}/, "/masters/1/drain"],
];
const filled = (route) => THERE.reduce((path, [pattern, text]) => path.replace(pattern, text), route);

// The pages that answer; those that do not, as they are of something that is not there, are told.
async function answering(ask) {
  const there = [];
  const absent = [];
  for (const path of pagesOfRouter().map(filled)) {
    const { status, bytes } = await ask(path);
    const [, live] = /data-live="([^"]+)"/.exec(bytes.toString()) ?? [];
    if (status === 200) there.push({ path, live: live?.replaceAll("&amp;", "&") });
    else absent.push(`${path} (${status})`);
  }
  console.log(`pages that are measured: ${there.length}; others: ${absent.join(", ")}`);
  return there;
}

// Of all pages' figures the largest, with the page of which it is, and the one in the middle.
function slowest(measure, figures, most) {
  const [worst] = figures.toSorted((one, other) => other.ms - one.ms);
  return [
    alone(`${measure}, the slowest of ${figures.length} pages (${worst.path})`, "ms", [worst.ms], { most }),
    alone("the same, the page in the middle", "ms", figures.map(({ ms }) => ms)),
  ];
}

// Milliseconds until the browser's page has drawn something of an address.
async function firstPaint(page, path) {
  await page.goto(path);
  return page.evaluate(() => new Promise((resolve) => {
    const told = (list) => list.getEntriesByName("first-contentful-paint").forEach(({ startTime }) => resolve(startTime));
    new PerformanceObserver(told).observe({ type: "paint", buffered: true });
  }));
}

// `tell` changes what every page shows, its bell, and answers when that was acknowledged; `follow` opens a page's stream; `page` is a
// browser's, logged in.
export async function pages({ ask, follow, tell, page }, { looks, changes }) {
  const there = await answering(ask);
  const answers = [];
  for (const { path } of there) {
    const times = [];
    for (let look = -5; look < looks; look += 1) {
      const begun = performance.now();
      await ask(path, { headers: { "accept-encoding": "gzip" } });
      if (look >= 0) times.push(performance.now() - begun);
    }
    answers.push({ path, ms: percentile(times, 0.99) });
  }
  const shown = [];
  for (const { path, live } of there.filter(({ live }) => live)) {
    let told = () => {};
    const bell = () => new Promise((resolve) => (told = (event, at) => event.includes('"id":"bell"') && resolve(at)));
    // As it was when the page came.
    const first = bell();
    const close = await follow(live, (event) => told(event, performance.now()));
    await first;
    const waits = [];
    for (let change = 0; change < changes; change += 1) {
      const seen = bell();
      const acknowledged = await tell(change);
      waits.push(Math.max(0, (await seen) - acknowledged));
    }
    close();
    shown.push({ path, ms: percentile(waits, 0.95) });
  }
  const painted = [];
  for (const { path } of there) {
    const times = [];
    for (let look = 0; look < 5; look += 1) times.push(await firstPaint(page, path));
    painted.push({ path, ms: median(times) });
  }
  const of = (figures, path) => figures.find((one) => one.path === path)?.ms.toFixed(1);
  console.table(there.map(({ path }) => ({ path, "answer p99, ms": of(answers, path), "change shown p95, ms": of(shown, path), "first paint, ms": of(painted, path) })));
  return [...slowest("first contentful paint in Chromium, median of 5", painted, 700), ...slowest(`answer of a page, p99 of ${looks}`, answers, 50), ...slowest(`from the acknowledgement of a change until an open page has it, p95 of ${changes}`, shown, 150)];
}
