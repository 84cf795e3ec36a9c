// The proxy beside Debian's nginx and beside configurable-http-proxy, which JupyterHub has: the same nginx in a vnode behind all
// three, TLS before all three. Ours goes to it through the worker's data port, the peers by a public port of that worker. Pairs are
// interleaved; the ratio is taken pair by pair. Prints a table and writes target/bench/portal-proxy.json.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

process.env.DOCKLET_PROFILE ??= "measure";
const { Cluster, root, until } = await import("../harness.mjs");
const { packedImage } = await import("../inside.mjs");
const { Browser } = await import("../proxied.mjs");
const { compared, report } = await import("./report.mjs");

const PAIRS = Number(process.env.PAIRS ?? 5);
const SECONDS = Number(process.env.SECONDS ?? 5);
const cluster = new Cluster(59);
const NGINX_PORT = 9_591;
const CHP_PORT = 9_592;
const dir = mkdtempSync("/var/tmp/docklet-bench-proxy-");

const nginx = (servers, more = "") => `worker_processes auto; daemon off; pid ${dir}/pid; error_log stderr error;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000; ${more} ${servers} }
`;
const chp = path.join(root, "target", "peers", "node_modules", ".bin", "configurable-http-proxy");
if (!existsSync(chp)) throw new Error("configurable-http-proxy is not there: run scripts/setup-bench proxies");
const INSIDE = nginx("server { listen 8000; location = /small { return 200 'hello, world'; } location /big { root /srv; } }").replaceAll(`${dir}/pid`, "/run/pid");

// What wrk counted: requests a second, and MiB a second. An answer that is none ends the benchmark.
function wrk(url, connections, headers) {
  const options = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const { stdout, stderr } = spawnSync("wrk", ["-t2", `-c${connections}`, `-d${SECONDS}s`, ...options, url], { encoding: "utf8" });
  if (/Non-2xx/.test(stdout) || !/Requests\/sec/.test(stdout)) throw new Error(`${url}: ${stdout}${stderr}`);
  const unit = { KB: 1 / 1024, MB: 1, GB: 1024 };
  const [, bytes, of] = /Transfer\/sec:\s+([\d.]+)([KMG]B)/.exec(stdout);
  return { requests: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]), mib: Number(bytes) * unit[of] };
}

const started = [];
const start = (command, args, options = {}) => started.push(spawn(command, args, { stdio: "ignore", ...options }));

cluster.up();
try {
  await until("third version", () => cluster.json("status").cluster_version >= 3);
  packedImage(cluster, "serving", ["/usr/sbin/nginx"], (into) => {
    writeFileSync(into("etc/nginx.conf"), INSIDE);
    for (const made of ["var/log/nginx", "var/lib/nginx", "srv/big"]) mkdirSync(into(made), { recursive: true });
    writeFileSync(into("srv/big/file"), Buffer.alloc(64 << 20));
    writeFileSync(into("etc/group"), "root:x:0:\nnogroup:x:65534:\n");
  });
  cluster.run("vc", "create", "lab", "--image", "serving", "--memory-mib", "512", "--cpu-milli", "2000", "--wait");
  cluster.run("exec", "lab/host-0", "--", "sh", "-c", "/usr/sbin/nginx -c /etc/nginx.conf -g 'user root;' </dev/null >/dev/null 2>&1 &");
  const [{ id }] = cluster.json("service", "add", "lab/host-0", "web", "--port", "8000");
  const [{ address }] = cluster.json("port", "add", "lab/host-0", "8000");

  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", `${dir}/key.pem`, "-out", `${dir}/cert.pem`, "-subj", "/CN=localhost", "-days", "2"], { stdio: "ignore" });
  writeFileSync(`${dir}/nginx.conf`, nginx(
    `upstream vnode { server ${address}; keepalive 64; }
     server { listen 127.0.0.1:${NGINX_PORT} ssl; ssl_certificate ${dir}/cert.pem; ssl_certificate_key ${dir}/key.pem;
       location / { proxy_pass http://vnode; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }`));
  start("/usr/sbin/nginx", ["-c", `${dir}/nginx.conf`, "-g", "user root;"]);
  start(chp, ["--ip", "127.0.0.1", "--port", String(CHP_PORT), "--api-port", String(CHP_PORT + 1), "--ssl-key", `${dir}/key.pem`, "--ssl-cert", `${dir}/cert.pem`,
    "--default-target", `http://${address}`], { env: { ...process.env, CONFIGPROXY_AUTH_TOKEN: "bench" } });

  const browser = new Browser(cluster);
  await browser.logIn("admin", cluster.password());
  await browser.enter(id);
  const authority = browser.authority(id);
  const ways = {
    ours: { at: `https://127.0.0.1:${browser.port}`, headers: { Host: authority, Cookie: browser.cookies(authority), Accept: "*/*" } },
    nginx: { at: `https://127.0.0.1:${NGINX_PORT}`, headers: {} },
    chp: { at: `https://127.0.0.1:${CHP_PORT}`, headers: {} },
  };
  const curl = (way) => spawnSync("curl", ["-sk", ...Object.entries(way.headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]), `${way.at}/small`], { encoding: "utf8" }).stdout;
  for (const way of Object.values(ways)) await until(`an answer at ${way.at}`, () => curl(way) === "hello, world");

  const small = { ours: [], nginx: [], chp: [] };
  const big = { ours: [], nginx: [], chp: [] };
  for (let pair = -1; pair < PAIRS; pair += 1) {
    for (const [name, way] of Object.entries(ways)) {
      const counted = [wrk(`${way.at}/small`, 64, way.headers).requests, wrk(`${way.at}/big/file`, 4, way.headers).mib];
      if (pair < 0) continue;
      small[name].push(counted[0]);
      big[name].push(counted[1]);
    }
  }
  const version = spawnSync("/usr/sbin/nginx", ["-v"], { encoding: "utf8" }).stderr.trim();
  report("portal-proxy", [
    compared("small requests over 64 connections, beside nginx", "requests/s", small.ours, small.nginx, { least: 0.7 }),
    compared("bodies of 64 MiB over 4 connections, beside nginx", "MiB/s", big.ours, big.nginx, { least: 0.7 }),
    compared("small requests over 64 connections, beside configurable-http-proxy", "requests/s", small.ours, small.chp, { least: 4 }),
    compared("bodies of 64 MiB over 4 connections, beside configurable-http-proxy", "MiB/s", big.ours, big.chp),
  ], { nginx: version, pairs: PAIRS, seconds: SECONDS });
} finally {
  started.forEach((process) => process.kill());
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
}
