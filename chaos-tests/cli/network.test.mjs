// Gateways, names, public ports and limits by command line, on real containers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(25);

before(() => cluster.up());
after(() => cluster.down());

// What the vnode's web server says through a public port, asked from outside the workers.
async function page(address) {
  const answer = await fetch(`http://${address}/`, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
  return answer && (await answer.text()).trim();
}

const serve = () => {
  cluster.run("exec", "lab/host-1", "--", "sh", "-c", "mkdir -p /tmp/www && echo hello > /tmp/www/index.html && busybox httpd -p 80 -h /tmp/www");
};

test("vnodes find each other by name and the way out, and nothing of the cluster", () => {
  cluster.run("vc", "create", "lab", "--vnodes", "2", "--wait");
  const host = cluster.json("vc", "show", "lab").vnodes[1].address;
  const found = cluster.run("exec", "lab/host-0", "--", "nslookup", "-type=a", "host-1.lab");
  assert.ok(found.includes(host), found);
  const missing = cluster.try(["exec", "lab/host-0", "--", "nslookup", "-type=a", "host-7.lab"]);
  assert.match(missing.stdout + missing.stderr, /NXDOMAIN/);
  const route = cluster.run("exec", "lab/host-0", "--", "ip", "route");
  assert.match(route, /default via 10\.64\.0\.1 dev eth0/);
  // The machine itself plays the outside at an address that no gateway knows.
  execFileSync("ip", ["address", "add", "198.51.100.25/32", "dev", "lo"]);
  try {
    const ping = (address) => cluster.try(["exec", "lab/host-0", "--", "ping", "-c", "1", "-W", "1", address]).code;
    assert.equal(ping("198.51.100.25"), 0, "the outside");
    for (const closed of ["10.211.25.1", "10.211.25.11", "10.211.25.12", "100.64.0.2"]) {
      assert.notEqual(ping(closed), 0, closed);
    }
  } finally {
    execFileSync("ip", ["address", "del", "198.51.100.25/32", "dev", "lo"]);
  }
});

test("a port leads to its vnode, through stops and kills, until it is closed", async () => {
  serve();
  const [port] = cluster.json("port", "add", "lab/host-1", "80");
  assert.deepEqual([port.public, port.worker, port.address], [20_000, "w2", "10.211.25.12:20000"]);
  await until("page", async () => (await page(port.address)) === "hello");
  assert.equal(cluster.json("port", "add", "lab/host-1", "80").length, 1, "asked twice, open once");
  const taken = cluster.try(["port", "add", "lab/host-0", "80", "--public", "20000"]);
  assert.match(taken.stderr, /leads somewhere already/);

  cluster.run("vc", "stop", "lab", "--wait");
  cluster.run("vc", "start", "lab", "--wait");
  serve();
  await until("page after a restart of the vnode", async () => (await page(port.address)) === "hello");
  cluster.kill("w2");
  assert.equal(await page(port.address), "hello", "without its agent");
  cluster.run("dev", "up");
  await until("page after a restart of the agent", async () => (await page(port.address)) === "hello");

  cluster.run("port", "remove", "20000");
  await until("closed port", async () => (await page(port.address)) === undefined);
  assert.deepEqual(cluster.json("port", "list"), []);
});

test("a vcluster has a bandwidth of its own, up to the site's ceiling, and changes it while it runs", async () => {
  const rates = (worker) => [...cluster.inWorker(worker, "tc", "qdisc", "show").matchAll(/tbf.*rate (\S+)bit/g)].map(([, rate]) => rate).sort();
  const shown = () => cluster.json("vc", "show", "lab").vnodes.map((vnode) => [vnode.bandwidth.sent, vnode.bandwidth.received]);
  cluster.run("bandwidth", "ceiling", "--sent", "80", "--received", "100");
  assert.deepEqual(cluster.json("bandwidth", "ceiling"), { sent: 80_000, received: 100_000 });
  const refused = (...args) => {
    const { code, stderr } = cluster.try(args);
    assert.notEqual(code, 0, args.join(" "));
    return stderr;
  };
  assert.match(refused("vc", "resize", "lab", "--bandwidth-mbit", "90"), /90000 kbit\/s is more than a vnode may send on this site, 80000 kbit\/s/);
  assert.match(refused("vc", "create", "odd", "--bandwidth-mbit", "90"), /docklet bandwidth ceiling/);
  assert.match(refused("vc", "resize", "lab", "--bandwidth-mbit", "fast"), /no bandwidth/);

  cluster.run("vc", "resize", "lab", "--bandwidth-mbit", "40", "--wait");
  assert.deepEqual(shown(), [[40_000, 40_000], [40_000, 40_000]]);
  for (const worker of ["w1", "w2"]) assert.deepEqual(rates(worker), ["40M", "40M"], "--wait said that it holds");
  assert.match(cluster.run("vc", "show", "lab"), /40 Mbit\/s/);
  // What is above a lower ceiling is cut to it, and the wish stays.
  cluster.run("bandwidth", "ceiling", "--sent", "20");
  await until("lower rates", () => rates("w1").join() === "20M,40M");
  assert.equal(cluster.json("vc", "show", "lab").bandwidth, 40_000);
  cluster.run("bandwidth", "ceiling", "--none");
  cluster.run("vc", "resize", "lab", "--bandwidth-mbit", "site", "--wait");
  await until("no limits", () => rates("w1").length === 0);

  cluster.run("vc", "create", "own", "--bandwidth-mbit", "30", "--wait");
  assert.deepEqual(cluster.json("vc", "show", "own").vnodes[0].bandwidth, { sent: 30_000, received: 30_000 });
  cluster.run("vc", "delete", "--now", "own", "--wait");
});

test("an admin limits what vnodes send, and nothing is left when they go", async () => {
  cluster.run("bandwidth", "limit", "--sent", "10", "--received", "20");
  assert.deepEqual(cluster.json("bandwidth", "show"), { sent: 10_000, received: 20_000 });
  const inside = (...command) => cluster.inWorker("w1", ...command);
  await until("limits on the vnode's device", () => /rate 20Mbit/.test(inside("tc", "qdisc", "show")) && /rate 10Mbit/.test(inside("tc", "qdisc", "show")));
  cluster.run("port", "add", "lab/host-0", "80", "--protocol", "udp");
  cluster.run("vc", "delete", "--now", "lab", "--wait");
  assert.deepEqual(cluster.json("port", "list"), []);
  await until("clean workers", () => cluster.traces().every(({ links, nft, gateways }) => links.length + gateways.length + nft.length === 0), 10_000).catch(() => {
    assert.deepEqual(cluster.traces(), []);
  });
});
