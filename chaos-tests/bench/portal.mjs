// The portal: a keystroke's echo beside a bare pseudo-terminal, how long until a change is seen, a page with a thousand vnodes,
// each page beside 500 of them, what a browser loads first, and what open pages and terminals cost. Prints a table and
// writes target/bench/portal.json. PARTS picks among load, echo, live, page, pages, streams, terminals; KEYS, CHANGES, LOOKS, STREAMS and
// TERMINALS set how often.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";

import WebSocket from "ws";

process.env.DOCKLET_PROFILE ??= "measure";
// All of it comes from one person at one address.
for (const key of ["STREAMS_PER_PERSON", "CONNECTIONS_PER_ADDRESS", "CONNECTIONS_MAX"]) process.env[`DOCKLET_${key}`] ??= "100000";
const { Cluster, until } = await import("../harness.mjs");
const { alone, median, percentile, report } = await import("./report.mjs");
const { pages: eachPage } = await import("./pages.mjs");
const { Pages } = await import("../browser/pages.mjs");

const PARTS = (process.env.PARTS ?? "load,echo,live,page,pages,streams,terminals").split(",");
const KEYS = Number(process.env.KEYS ?? 300);
const CHANGES = Number(process.env.CHANGES ?? 60);
const LOOKS = Number(process.env.LOOKS ?? 100);
const STREAMS = Number(process.env.STREAMS ?? 2000);
const TERMINALS = Number(process.env.TERMINALS ?? 100);
const VNODES = 1000;
const VNODES_BESIDE_PAGES = 500;

const cluster = new Cluster(65);
const [master] = cluster.masters;
const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
let ca;
let token;
let cookie;

// One answer: its status, headers and bytes as they came.
function ask(path, { method = "GET", headers = {}, body } = {}) {
  return new Promise((resolve, reject) => {
    const asked = request(`${master}${path}`, { method, ca, agent, headers: { cookie, ...headers } }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, bytes: Buffer.concat(parts) }));
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function logIn() {
  ca = readFileSync(`${cluster.dir}/ca.pem`);
  const body = new URLSearchParams({ user: "admin", password: cluster.password() }).toString();
  const answer = await ask("/login", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded", origin: master, cookie: "" }, body });
  cookie = answer.headers["set-cookie"].map((set) => set.split(";")[0]).join("; ");
  token = readFileSync(cluster.env.DOCKLET_CONTEXT, "utf8").match(/token = "([^"]+)"/)[1];
}

// An open page: calls `told` with the name and the data of each event.
function follow(path, told) {
  return new Promise((resolve, reject) => {
    const asked = request(`${master}${path}`, { ca, agent, headers: { cookie, accept: "text/event-stream" } }, (answer) => {
      let rest = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        rest += part;
        for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
          told?.(rest.slice(0, end));
          rest = rest.slice(end + 2);
        }
      });
      answer.on("error", () => {});
      resolve(() => asked.destroy());
    });
    asked.on("error", reject);
    asked.end();
  });
}

async function load() {
  const gzip = { headers: { "accept-encoding": "gzip" } };
  const page = await ask("/", gzip);
  const text = (await ask("/")).bytes.toString();
  const files = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path);
  const sizes = await Promise.all([...new Set(files)].map(async (path) => (await ask(path, gzip)).bytes.length));
  const all = sizes.reduce((sum, size) => sum + size, page.bytes.length);
  return [alone(`first load of the portal: page, style sheet, ${sizes.length - 1} more files, compressed`, "KB", [all / 1000], { most: 150 })];
}

// A terminal of its own whose shell waits for a command; `text` is the end of what it has printed.
async function shell(vnode) {
  const [vcluster, host] = vnode.split("/");
  const session = randomBytes(16).toString("hex");
  const address = `${master.replace("https", "wss")}/api/v1/vclusters/${vcluster}/vnodes/${host}/terminal?session=${session}&cols=80&rows=24`;
  const terminal = { socket: new WebSocket(address, { ca, headers: { authorization: `Bearer ${token}` } }), text: "", bytes: 0, got: () => {} };
  terminal.socket.on("message", (data, binary) => {
    if (!binary) return;
    terminal.bytes += data.length - 8;
    terminal.text = (terminal.text + data.subarray(8).toString()).slice(-4_096);
    terminal.got();
  });
  await until("a prompt", () => terminal.text.includes("# "));
  return terminal;
}

async function echo() {
  cluster.run("vc", "create", "keys", "--wait");
  const terminal = await shell("keys/host-0");
  // The shell draws each key anew; `cat` leaves that to the kernel, as it does at the bare terminal.
  terminal.socket.send(Buffer.from("cat\n"));
  await until("cat", () => /cat\r\n/.test(terminal.text));
  const ours = [];
  for (let key = 0; key < KEYS; key += 1) {
    const before = terminal.bytes;
    const seen = new Promise((resolve) => (terminal.got = () => terminal.bytes > before && resolve()));
    const begun = performance.now();
    terminal.socket.send(Buffer.from("x"));
    await seen;
    ours.push(performance.now() - begun);
  }
  terminal.socket.close();
  const bare = execFileSync("python3", [new URL("pty.py", import.meta.url).pathname, String(KEYS)], { encoding: "utf8" });
  const theirs = bare.trim().split("\n").map((seconds) => seconds * 1000);
  const more = median(ours) - median(theirs);
  return [
    alone("echo of a key through the portal, more than a bare pty takes, p50", "ms", [more], { most: 1.5 }),
    alone("echo of a key through the portal, p99", "ms", [percentile(ours, 0.99)]),
    alone("echo of a key at a bare pty, p50", "ms", [median(theirs)]),
  ];
}

// From the moment that a change is acknowledged until an open page has it.
async function live() {
  let told = () => {};
  const close = await follow("/live/workers", (event) => told(event, performance.now()));
  const waits = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const seen = new Promise((resolve) => (told = (event, at) => event.includes("event: fragment") && resolve(at)));
    const act = change % 2 === 0 ? "cordon" : "uncordon";
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}`, cookie: "" };
    const answer = await ask(`/api/v1/workers/w1/${act}`, { method: "POST", headers, body: act === "cordon" ? '{"reason":"measured"}' : undefined });
    const acknowledged = performance.now();
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.bytes}`);
    waits.push(Math.max(0, (await seen) - acknowledged));
  }
  close();
  return [
    alone("from the acknowledgement of a change until an open page has it, p95", "ms", [percentile(waits, 0.95)], { most: 150 }),
    alone("the same, p50", "ms", [median(waits)]),
  ];
}

async function page() {
  return besideMany(VNODES, async () => {
    const small = await timesOf("/replay");
    const large = await timesOf("/vclusters/many");
    return [
      alone(`page with ${VNODES} vnodes, more than a page without any takes`, "ms", [median(large.times) - median(small.times)], { most: 20 }),
      alone("the same, compressed", "KB", [large.bytes / 1000], { most: 60 }),
    ];
  });
}

// Does something beside a vcluster of so many vnodes, which no worker takes: what they are in the state and on pages is the same.
async function besideMany(vnodes, act) {
  const workers = cluster.json("worker", "list").map(({ name }) => name);
  for (const worker of workers) cluster.run("worker", "cordon", worker);
  cluster.run("vc", "create", "many", "--vnodes", String(vnodes), "--memory-mib", "16", "--cpu-milli", "10");
  const measured = await act();
  // Before the workers take vnodes again.
  cluster.run("vc", "delete", "--now", "many", "--wait");
  for (const worker of workers) cluster.run("worker", "uncordon", worker);
  return measured;
}

// Each page, and how soon it shows that there is a notice, as every page does, or that none is new any more.
async function pages() {
  cluster.run("vc", "create", "lab", "--wait");
  cluster.run("group", "create", "course");
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}`, cookie: "" };
  const change = async (path, body) => {
    const { status, bytes } = await ask(`/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    const acknowledged = performance.now();
    if (status >= 300) throw new Error(`${path}: ${status} ${bytes}`);
    return acknowledged;
  };
  const tell = async (number) => {
    if (number % 2 === 0) return change("/notices", { user: "admin", title: "measured", body: "" });
    const { notices } = JSON.parse((await ask("/api/v1/notices", { headers })).bytes);
    return change("/notices/read", { upto: notices[0].id });
  };
  const browser = new Pages(cluster);
  try {
    await browser.open();
    const page = await browser.newPage();
    await browser.logIn(page);
    const measure = () => eachPage({ ask, follow, tell, page }, { looks: LOOKS, changes: CHANGES / 2 });
    return await besideMany(VNODES_BESIDE_PAGES, measure);
  } finally {
    await browser.close();
    cluster.run("vc", "delete", "--now", "lab", "--wait");
  }
}

// Milliseconds of each look at a page, and its length compressed.
async function timesOf(path, looks = 30) {
  const times = [];
  let bytes = 0;
  for (let look = 0; look < looks; look += 1) {
    const begun = performance.now();
    const answer = await ask(path, { headers: { "accept-encoding": "gzip" } });
    times.push(performance.now() - begun);
    bytes = answer.bytes.length;
  }
  return { times, bytes };
}

const memoryKib = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)[1]);

// Between the first half and all of them: what a master has grown by before, for other reasons, is not theirs.
async function streams() {
  const pid = cluster.processes().m1;
  const open = [];
  const openUntil = async (all) => {
    while (open.length < all) open.push(...(await Promise.all(Array.from({ length: 50 }, () => follow("/live/vclusters")))));
  };
  await openUntil(STREAMS / 2);
  const half = memoryKib(pid);
  await openUntil(STREAMS);
  const grown = memoryKib(pid) - half;
  for (const close of open) close();
  return [alone(`memory of a master for each of ${STREAMS} open pages`, "KiB", [grown / (STREAMS / 2)], { most: 64 })];
}

// Each has printed more than is kept of it. As above, what a process has grown by before is not theirs.
async function terminals() {
  cluster.run("vc", "create", "shells", "--vnodes", "4", "--wait");
  const pids = Object.values(cluster.processes());
  const memory = () => pids.reduce((sum, pid) => sum + memoryKib(pid), 0);
  const open = [];
  const openUntil = async (all) => {
    while (open.length < all) {
      const terminal = await shell(`shells/host-${open.length % 4}`);
      terminal.socket.send(Buffer.from("yes | head -c 1500000; echo do''ne\n"));
      await until("what it prints", () => terminal.text.includes("done"), 60_000);
      open.push(terminal);
    }
  };
  await openUntil(TERMINALS / 2);
  const half = memory();
  await openUntil(TERMINALS);
  const grown = memory() - half;
  for (const { socket } of open) socket.close();
  return [alone(`memory of masters and agents for each of ${TERMINALS} terminals`, "MB", [(grown * 1024) / 1e6 / (TERMINALS / 2)], { most: 2.5 })];
}

const parts = { load, echo, live, page, pages, streams, terminals };
cluster.up();
try {
  await logIn();
  const measures = [];
  for (const part of PARTS) measures.push(...(await parts[part]()));
  report("portal", measures);
} finally {
  agent.destroy();
  cluster.down();
}
