// GPUs on a real cluster: one of its workers has two cards, of a stand-in for the driver's library.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import path from "node:path";
import { after, before, test } from "node:test";

import { Cluster, root, until } from "../harness.mjs";

const cluster = new Cluster(19);
const driver = "/var/lib/docklet-test-19-driver";
const cards = ["GPU-aaaa", "GPU-bbbb"];
// Devices that do nothing when they are opened, where a machine has them.
const harmless = ["/dev/fuse", "/dev/net/tun", "/dev/loop-control", "/dev/kvm", "/dev/btrfs-control", "/dev/autofs"];

// From now on the driver says this of each card: memory errors, MIG, code of its errors, XID.
function say(...ends) {
  const lines = ends.map((end, minor) => `${cards[minor]}|NVIDIA A100-SXM4-40GB|${minor}|40960|2048|50|61|150000|${end}\n`);
  writeFileSync(`${driver}/cards.next`, lines.join(""));
  renameSync(`${driver}/cards.next`, `${driver}/cards`);
}

function install() {
  rmSync(driver, { recursive: true, force: true });
  mkdirSync(`${driver}/dev`, { recursive: true });
  mkdirSync(`${driver}/files`);
  const source = path.join(root, "agent/tests/gpu/nvml_stub.c");
  execFileSync("cc", ["-shared", "-fPIC", "-O1", "-o", `${driver}/libnvidia-ml.so.1`, source]);
  say("0|0|0|0", "0|0|0|0");
  const numbers = harmless.filter(existsSync).map((device) => execFileSync("stat", ["-c", "%t %T", device], { encoding: "utf8" }).trim());
  ["nvidia0", "nvidia1", "nvidiactl"].forEach((name, place) => {
    const [major, minor] = numbers[place].split(" ").map((hex) => String(parseInt(hex, 16)));
    execFileSync("mknod", ["-m", "666", `${driver}/dev/${name}`, "c", major, minor]);
  });
  writeFileSync(`${driver}/files/libcuda.so.1`, "cuda");
}

const gpus = () => cluster.json("worker", "gpus").find(({ worker }) => worker === "w1").gpus;
const offered = () => cluster.json("worker", "list").find(({ name }) => name === "w1").facts.capacity.gpus.map(({ uuid }) => uuid);
const holders = () => gpus().map(({ holder }) => holder);

before(async () => {
  cluster.up();
  install();
  const keys = { nvml_library: `${driver}/libnvidia-ml.so.1`, gpu_dev_dir: `${driver}/dev`, gpu_driver_dir: `${driver}/files` };
  const file = `${cluster.dir}/w1/agent.toml`;
  const others = readFileSync(file, "utf8").split("\n").filter((line) => !Object.keys(keys).some((key) => line.startsWith(`${key} =`)));
  writeFileSync(file, [...Object.entries(keys).map(([key, value]) => `${key} = "${value}"`), ...others].join("\n"));
  cluster.kill("w1");
  cluster.run("dev", "up");
  await until("two cards", () => gpus().length === 2);
});
after(() => {
  cluster.down();
  rmSync(driver, { recursive: true, force: true });
});

test("a card is one vnode's, the third waits for one and says so, and what is deleted is given back", async () => {
  assert.deepEqual(offered(), cards);
  cluster.run("vc", "create", "one", "--gpus", "1", "--wait");
  cluster.run("vc", "create", "two", "--gpus", "1", "--gpu-model", "A100", "--wait");
  await until("holders", () => holders().every(Boolean));
  assert.deepEqual(holders().sort(), ["admin/one/host-0", "admin/two/host-0"]);
  const nodes = (vnode) => cluster.run("exec", vnode, "--", "sh", "-c", "ls /dev | grep nvidia[0-9]").trim();
  assert.deepEqual([nodes("one/host-0"), nodes("two/host-0")].sort(), ["nvidia0", "nvidia1"]);
  cluster.run("exec", "one/host-0", "--", "sh", "-c", `exec 3< /dev/${nodes("one/host-0")} 4< /dev/nvidiactl`);
  cluster.run("vc", "create", "none", "--wait");
  assert.equal(cluster.try(["exec", "none/host-0", "--", "sh", "-c", "ls /dev | grep nvidia"]).code, 1);
  const lost = cluster.try(["exec", "none/host-0", "--", "mknod", "/tmp/card", "c", "10", "229"]);
  assert.notEqual(lost.code, 0);

  // In the trash it keeps its card, and comes back with it, for as long as nobody waits for one.
  const card = holders().indexOf("admin/one/host-0");
  cluster.run("exec", "one/host-0", "--", "sh", "-c", "echo mine > /root/kept");
  cluster.run("vc", "delete", "one", "--wait");
  assert.deepEqual(cluster.json("trash", "list").map(({ name }) => name), ["one"]);
  cluster.run("trash", "restore", "one");
  await until("it to run", () => cluster.json("vc", "show", "one").phase === "running");
  assert.equal(cluster.run("exec", "one/host-0", "--", "cat", "/root/kept"), "mine\n");
  await until("the same card", () => holders().indexOf("admin/one/host-0") === card);
  cluster.run("vc", "create", "three", "--gpus", "1");
  await until("an obstacle", () => /GPU/.test(cluster.run("vc", "show", "three")));
  assert.deepEqual(cluster.json("trash", "list"), []);
  cluster.run("vc", "delete", "one", "--wait");
  await until("a card for it", () => holders().includes("admin/three/host-0"));
  assert.ok(!holders().includes("admin/one/host-0"));
  assert.deepEqual(cluster.json("trash", "list"), [], "it went for good, for the card");
});

// What Prometheus is told, with the token that `docklet login` stored.
function metrics() {
  const token = /token = "([^"]+)"/.exec(readFileSync(`${cluster.dir}/context.toml`, "utf8"))[1];
  const ca = readFileSync(`${cluster.dir}/ca.pem`);
  return new Promise((resolve, reject) => {
    const asked = https.get(`${cluster.masters[0]}/metrics`, { ca, headers: { authorization: `Bearer ${token}` } }, (response) => {
      let body = "";
      response.on("data", (part) => (body += part));
      response.on("end", () => resolve(body));
    });
    asked.on("error", reject);
  });
}

test("use is told by command line and Prometheus", async () => {
  await until("use", () => cluster.json("vnode", "stats", "two/host-0").columns.gpu?.some((value) => value === 0.5));
  assert.match(cluster.run("vnode", "stats", "two/host-0"), /GPU\s+GPU MEMORY/);
  assert.match(cluster.run("vc", "top", "two"), /50 %\s+2\.0G/);
  const body = await until("meters of cards", async () => {
    const text = await metrics();
    return text.includes("docklet_gpu_used_ratio") && text.includes("docklet_vnode_gpu_ratio") && text;
  });
  const own = '\\{gpu="GPU-[ab]{4}",model="NVIDIA A100-SXM4-40GB",user="admin",vcluster="two",vnode="host-0",worker="w1"\\}';
  const told = { used_ratio: "0\\.5", memory_bytes: 2048 * 2 ** 20, size_bytes: 40960 * 2 ** 20, temperature_celsius: 61, power_watts: 150, offered: 1 };
  for (const [name, value] of Object.entries(told)) assert.match(body, new RegExp(`^docklet_gpu_${name}${own} ${value}$`, "m"), name);
  assert.match(body, /^# TYPE docklet_gpu_used_ratio gauge$/m);
  assert.match(body, /^docklet_vnode_gpu_ratio\{user="admin",vcluster="two",vnode="host-0",worker="w1"\} 0\.5$/m);
  assert.match(body, /^docklet_worker_gpus\{worker="w1"\} 2$/m);
  assert.match(body, /^docklet_worker_gpus_given\{worker="w1"\} 2$/m);
  const table = cluster.run("worker", "gpus");
  assert.match(table, /w1\s+GPU-[ab]{4}\s+NVIDIA A100-SXM4-40GB\s+40G\s+2\.0G\s+50 %\s+61\s+150\s+admin\/(two|three)\/host-0/);
});

test("a card that errs is offered no more, says why, and its vnode goes on", async () => {
  const bad = holders().indexOf("admin/two/host-0");
  say(...cards.map((_, place) => (place === bad ? "0|0|0|79" : "0|0|0|0")));
  await until("one card less", () => offered().length === 1);
  assert.deepEqual(offered(), [cards[1 - bad]]);
  const { problem, holder } = gpus()[bad];
  assert.match(problem, /error 79 \(XID\)/);
  assert.equal(holder, "admin/two/host-0");
  cluster.run("exec", "two/host-0", "--", "true");
  cluster.run("vc", "delete", "--now", "three", "--wait");
  cluster.run("vc", "create", "pair", "--gpus", "2");
  await until("an obstacle", () => /GPU/.test(cluster.run("vc", "show", "pair")));
});
