// Moves of vnodes between the two workers of a dev cluster: for how long a peer in the same segment gets no answer, what the
// record of the move says, and how long it takes to empty a worker. Prints a table and writes target/bench/moves.json. PARTS
// picks among refresh, live, jupyter (whose image takes minutes to build), drain; MOVES sets how often a vnode goes to and fro, VNODES how many a worker is emptied of.

import { spawn } from "node:child_process";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster, until } = await import("../harness.mjs");
const { ofVnode } = await import("./inside.mjs");
const { alone, report, timed } = await import("./report.mjs");

const PARTS = (process.env.PARTS ?? "refresh,live,jupyter,drain").split(",");
const MOVES = Number(process.env.MOVES ?? 6);
const VNODES = Number(process.env.VNODES ?? 50);
const INSTANCE = 15;
const SIZE = ["--cpu-milli", "1000", "--memory-mib", "512", "--pids-max", "256"];
const SMALL = ["--cpu-milli", "10", "--memory-mib", "32", "--pids-max", "64"];
const cluster = new Cluster(INSTANCE);
const vnodes = (vcluster) => cluster.json("vc", "show", vcluster).vnodes;
const sh = (name, script) => cluster.run("exec", name, "--", "sh", "-c", script);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks host-0 from host-1 while `act` goes on; answers what was seen. Host-1 stays where it is.
async function watched(vcluster, how, act) {
  const [asked, asker] = vnodes(vcluster);
  const words = [...ofVnode(INSTANCE, asker.worker, asker.id), process.execPath, new URL("gap.mjs", import.meta.url).pathname, ...how(asked)];
  const child = spawn(words[0], words.slice(1), { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (data) => (said += data));
  const ended = new Promise((resolve) => child.on("close", resolve));
  await pause(1_000);
  await act(asked);
  await pause(1_000);
  child.kill("SIGTERM");
  await ended;
  return JSON.parse(said);
}

async function toAndFro(vcluster, how, way, begin = () => {}) {
  const all = [];
  for (let turn = 0; turn < MOVES; turn += 1) {
    begin();
    const seen = await watched(vcluster, how, (asked) => {
      const to = asked.worker === "w1" ? "w2" : "w1";
      const ran = cluster.try(["vc", "move", `${vcluster}/host-0`, "--to", to, way, "--wait"]);
      if (ran.code !== 0) throw new Error(ran.stderr + ran.stdout + cluster.logs());
    });
    const { down_ms, times, copied, way: went } = vnodes(vcluster)[0].moving;
    console.error(`${way} ${turn}: ${JSON.stringify({ ...seen, down_ms, went, times, sent_bytes: copied.sent_bytes })}`);
    all.push({ ...seen, down_ms });
  }
  return all;
}

// A gibibyte that is there, and ten mebibytes that are written anew each second.
async function refresh() {
  cluster.run("vc", "create", "r", "--vnodes", "2", ...SIZE, "--wait");
  sh("r/host-0", "dd if=/dev/urandom of=/root/big bs=1M count=1024 2>/dev/null; sync");
  const write = "while :; do dd if=/dev/urandom of=/root/hot bs=1M count=10 conv=notrunc,fsync 2>/dev/null; sleep 1; done";
  // What wrote ended with the move before.
  const begin = () => sh("r/host-0", `(${write}) </dev/null >/dev/null 2>&1 &`);
  const all = await toAndFro("r", ({ address }) => ["knock", address], "--refresh", begin);
  cluster.run("vc", "delete", "--now", "r", "--wait");
  return [
    alone("refresh move of a vnode with 1 GiB, 10 MiB of it written each second: as its peer sees it", "ms", all.map(({ gap_ms }) => gap_ms)),
    alone("the same, as the record of the move says", "ms", all.map(({ down_ms }) => down_ms), { most: 500 }),
  ];
}

const SERVER = `
import socket
held = bytearray(b"x" * (50 << 20))
listener = socket.create_server(("0.0.0.0", 7000))
while True:
    peer, _ = listener.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    number = 0
    for _ in peer.makefile("r"):
        number += 1
        held[number % len(held)] = number % 256
        peer.sendall(b"%d\\n" % number)
`;

async function live() {
  const built = cluster.try(["image", "build", "python3"], { timeout: 900_000 });
  if (built.code !== 0) throw new Error(built.stderr);
  cluster.run("vc", "create", "l", "--image", "python3", "--vnodes", "2", ...SIZE, "--wait");
  sh("l/host-0", `cat > /root/server.py <<'END'\n${SERVER}\nEND\nsetsid python3 /root/server.py </dev/null >/dev/null 2>&1 &`);
  await pause(1_500);
  const all = await toAndFro("l", ({ address }) => ["talk", address, "7000"], "--live");
  cluster.run("vc", "delete", "--now", "l", "--wait");
  const kept = all.every(({ broken, missed }) => broken === 0 && missed === 0);
  if (!kept) throw new Error(`a connection broke, or a number was missed: ${JSON.stringify(all)}`);
  return [
    alone("live move of a python program of 50 MiB with an open connection, none broken and no number missed: as its peer sees it", "ms", all.map(({ gap_ms }) => gap_ms), { most: 600 }),
    alone("the same, as the record of the move says", "ms", all.map(({ down_ms }) => down_ms)),
  ];
}

const KERNEL = `
import sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels()
client.wait_for_ready(timeout=30)
client.execute_interactive(sys.argv[2], timeout=30)
`;

// As a page does it, which sends back what its cookie says.
const BEGIN = `
import http.cookiejar, json, urllib.request
jar = http.cookiejar.CookieJar()
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
opener.open("http://127.0.0.1:8888/lab").read()
said = {cookie.name: cookie.value for cookie in jar}
asked = urllib.request.Request("http://127.0.0.1:8888/api/kernels", b"{}", {"X-XSRFToken": said["_xsrf"]})
print(json.load(opener.open(asked))["id"])
`;

// The image's server listens where its peers do not come.
const RELAY = `
import asyncio
async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", 8888)
    await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))
async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 8889)
    await server.serve_forever()
asyncio.run(main())
`;

// What is in a kernel's memory is there afterwards, and who asks the server by HTTP keeps the connection.
async function jupyter() {
  const built = cluster.try(["image", "build", "jupyter"], { timeout: 1_200_000 });
  if (built.code !== 0) throw new Error(built.stderr);
  cluster.run("vc", "create", "j", "--image", "jupyter", "--vnodes", "2", ...SIZE, "--wait");
  sh("j/host-0", `cat > /root/kernel.py <<'END'\n${KERNEL}\nEND`);
  sh("j/host-0", `cat > /root/relay.py <<'END'\n${RELAY}\nEND\npython3 /root/relay.py </dev/null >/dev/null 2>&1 &`);
  sh("j/host-0", `cat > /root/begin.py <<'END'\n${BEGIN}\nEND`);
  const kernel = await until("a kernel", () => {
    const { code, stdout } = cluster.try(["exec", "j/host-0", "--", "python3", "/root/begin.py"]);
    return code === 0 && stdout.trim();
  }, 60_000);
  const file = `/root/.local/share/jupyter/runtime/kernel-${kernel}.json`;
  const execute = (code) => sh("j/host-0", `/opt/jupyter/bin/python /root/kernel.py ${file} '${code}'`);
  await until("the kernel's answer", () => cluster.try(["exec", "j/host-0", "--", "test", "-e", file]).code === 0, 30_000);
  execute("held = bytearray(40 << 20); held[7] = 41");
  const all = await toAndFro("j", ({ address }) => ["ask", address, "8889", `/api/kernels/${kernel}`], "--live");
  const said = execute("print(len(held), held[7] + 1)");
  if (said.trim() !== `${40 << 20} 42`) throw new Error(`the kernel has forgotten: ${said}`);
  cluster.run("vc", "delete", "--now", "j", "--wait");
  const kept = all.every(({ broken, missed }) => broken === 0 && missed === 0);
  if (!kept) throw new Error(`a connection broke, or an answer was none: ${JSON.stringify(all)}`);
  return [
    alone("live move of JupyterLab with a kernel that holds 40 MiB, its variables kept and no connection broken: as its peer sees it", "ms", all.map(({ gap_ms }) => gap_ms), { most: 1_000 }),
    alone("the same, as the record of the move says", "ms", all.map(({ down_ms }) => down_ms)),
  ];
}

async function drain() {
  cluster.run("worker", "cordon", "w2");
  cluster.run("vc", "create", "d", "--vnodes", String(VNODES), ...SMALL, "--wait");
  cluster.run("worker", "uncordon", "w2");
  const ms = await timed(() => cluster.try(["worker", "drain", "w1", "--wait"], { timeout: 600_000 }));
  const down = vnodes("d").map(({ moving }) => moving?.down_ms ?? 0);
  const ways = vnodes("d").map(({ moving }) => moving?.way);
  console.error(`drain: ${JSON.stringify({ ms, down: down.toSorted((a, b) => a - b), ways: [...new Set(ways)] })}`);
  if (!vnodes("d").every(({ worker, phase }) => worker === "w2" && phase === "running")) throw new Error("not all are there and run");
  cluster.run("worker", "restore", "w1");
  cluster.run("worker", "restore", "w1", "--wait");
  cluster.run("vc", "delete", "--now", "d", "--wait");
  return [
    alone(`a worker with ${VNODES} vnodes is emptied`, "ms", [ms], { most: 60_000 }),
    alone("the longest that one of them was down", "ms", [Math.max(...down)], { most: 1_500 }),
    alone("one of them in the middle", "ms", down),
  ];
}

cluster.up();
try {
  await until("the third version", () => cluster.json("status").cluster_version >= 3);
  const parts = { refresh, live, jupyter, drain };
  const figures = [];
  for (const part of PARTS) figures.push(...(await parts[part]()));
  report("moves", figures);
} catch (error) {
  // What happens while it is cleared away must not hide it.
  console.error(error);
  process.exitCode = 1;
} finally {
  cluster.down();
}
