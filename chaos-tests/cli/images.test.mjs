// Images of people: imported, shared, versioned, copied to other workers, deleted; and the ssh recipe, whose sshd answers.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";

const cluster = new Cluster(41);
const BUILD_MS_MAX = 10 * 60_000;
let dir;

before(() => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-images-test-");
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const image = (name, as = cluster) => as.json("image", "list").find((image) => image.name === name);
const refused = (args, pattern, as = cluster) => as.refused(args, pattern);
const person = (name) => cluster.person(name, dir);

// A busybox system as a directory, with a word in it that tells versions apart.
function system(word) {
  const root = `${dir}/root-${word}`;
  for (const part of ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"]) mkdirSync(`${root}/${part}`, { recursive: true });
  execFileSync("cp", ["/bin/busybox", `${root}/bin/busybox`]);
  for (const applet of ["sh", "cat", "sleep", "mkdir", "env", "pwd"]) execFileSync("ln", ["-sf", "busybox", `${root}/bin/${applet}`]);
  execFileSync("ln", ["-sf", "../bin/busybox", `${root}/sbin/init`]);
  writeFileSync(`${root}/etc/inittab`, "::sysinit:/bin/mkdir -p /run\n");
  writeFileSync(`${root}/word`, word);
  return root;
}

const tar = (root, file, ...options) => execFileSync("tar", ["-C", root, ...options, "-cf", file, "."]);
const told = (as, vcluster) => as.run("exec", `${vcluster}/host-0`, "--", "cat", "/word");

test("a tar of a system becomes an image that only its owner sees, until it is shared; vnodes keep what they are made of", () => {
  const [ada, bob] = [person("ada"), person("bob")];
  tar(system("one"), `${dir}/mine.tar.xz`, "--xz");
  ada.run("image", "import", `${dir}/mine.tar.xz`, "--description", "the first", "--version", "v1");
  assert.equal(image("mine", ada).visibility, "private");
  ada.run("vc", "create", "first", "--image", "mine", "--wait");
  assert.equal(told(ada, "first"), "one");

  // What bob may not see is for him as if it were not there.
  assert.equal(image("ada/mine", bob), undefined);
  const forbidden = refused(["vc", "create", "x", "--image", "ada/mine"], /no image "ada\/mine"/, bob);
  const absent = refused(["vc", "create", "x", "--image", "ada/none"], /no image "ada\/none"/, bob);
  assert.equal(forbidden.replace("mine", "none"), absent);
  refused(["image", "show", "ada/mine"], /no image/, bob);
  refused(["image", "delete", "ada/mine"], /no image/, bob);

  ada.run("image", "share", "mine", "bob");
  assert.deepEqual(image("mine", ada).shared_with, ["bob"]);
  bob.run("vc", "create", "second", "--image", "ada/mine", "--wait");
  refused(["image", "describe", "ada/mine", "x"], /its owner/, bob);
  refused(["image", "publish", "mine"], /role admin/, ada);

  // A second version, and back to the first.
  tar(system("two"), `${dir}/mine.tar.gz`, "--gzip");
  ada.run("image", "import", `${dir}/mine.tar.gz`, "--version", "v2");
  assert.deepEqual(image("mine", ada).versions.map(({ label, current }) => [label, current]), [["v1", false], ["v2", true]]);
  ada.run("vc", "create", "third", "--image", "mine", "--wait");
  assert.equal(told(ada, "third"), "two");
  assert.equal(told(ada, "first"), "one");
  ada.run("image", "rollback", "mine");
  assert.equal(image("mine", ada).versions.find(({ current }) => current).label, "v1");
  ada.run("image", "rollback", "mine", "--to", "v2");

  refused(["image", "delete", "mine"], /in use by first\/host-0, third\/host-0, 1 of other people: delete those vclusters first/, ada);
  ada.run("image", "unshare", "mine", "bob");
  refused(["vc", "create", "more", "--image", "ada/mine"], /no image/, bob);
  assert.equal(told(bob, "second"), "one", "what runs, runs on");
  ada.run("image", "rename", "mine", "tools");
  assert.equal(image("tools", ada).description, "the first");
  for (const [as, name] of [[ada, "first"], [ada, "third"], [bob, "second"]]) as.run("vc", "delete", "--now", name, "--wait");
  ada.run("image", "delete", "tools", "--now");
  assert.equal(image("tools", ada), undefined);
});

test("an image is kept by two workers where there are two, and by none when nothing means it any more", async () => {
  tar(system("kept"), `${dir}/kept.tar`);
  cluster.run("image", "import", `${dir}/kept.tar`);
  assert.equal(image("kept").visibility, "public", "what an admin adds");
  await until("a second copy", () => image("kept").holders.length === 2);
  const { digest } = image("kept");
  const stores = [1, 2].map((n) => `${cluster.dir}/w${n}/state/images`);
  for (const store of stores) {
    assert.ok(readdirSync(store).includes(digest));
    // Older than what may be news to the masters.
    utimesSync(path.join(store, digest, "blob.tar.zst"), 0, 0);
  }
  cluster.run("image", "pull", "kept", "--all");
  cluster.run("image", "delete", "kept", "--now");
  await until("both stores without it", () => stores.every((store) => !readdirSync(store).includes(digest)));
});

test("a worker that lacks an image is given it ahead of any vnode that needs it", async () => {
  const status = () => cluster.json("worker", "list").find(({ name }) => name === "w2").status;
  cluster.kill("w2");
  await until("a worker that is down", () => status() === "down");
  tar(system("ahead"), `${dir}/ahead.tar`);
  cluster.run("image", "import", `${dir}/ahead.tar`);
  assert.deepEqual(image("ahead").holders, ["w1"]);
  cluster.run("image", "pull", "ahead", "--worker", "w2");
  cluster.run("dev", "up");
  await until("a copy on both", () => image("ahead").holders.length === 2);
  const { digest } = image("ahead");
  const [here, there] = ["w1", "w2"].map((worker) => readFileSync(`${cluster.dir}/${worker}/state/images/${digest}/blob.tar.zst`));
  assert.ok(here.equals(there));
  cluster.run("image", "delete", "ahead", "--now");
});

test("an OCI layout is joined, run by its configuration, and refused when a blob is not what its digest says", () => {
  const layout = `${dir}/layout`;
  mkdirSync(`${layout}/blobs/sha256`, { recursive: true });
  const blob = (bytes) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(`${layout}/blobs/sha256/${digest}`, bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  tar(system("layered"), `${dir}/layer.tar`, "--gzip");
  const layer = blob(execFileSync("cat", [`${dir}/layer.tar`], { maxBuffer: 1 << 30 }));
  const script = "echo $GREETING, from $(pwd) > /said; exec sleep 1000";
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const config = blob(Buffer.from(JSON.stringify({
    architecture, os: "linux", rootfs: { type: "layers", diff_ids: [] },
    config: { Entrypoint: ["/bin/sh", "-c"], Cmd: [script], Env: ["PATH=/bin", "GREETING=hello world"], WorkingDir: "/etc" },
  })));
  const manifest = blob(Buffer.from(JSON.stringify({
    schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...layer }],
  })));
  writeFileSync(`${layout}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(`${layout}/index.json`, JSON.stringify({
    schemaVersion: 2, manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest }],
  }));
  cluster.run("image", "import", layout, "--name", "layered");
  cluster.run("vc", "create", "oci", "--image", "layered", "--wait");
  assert.equal(cluster.run("exec", "oci/host-0", "--", "/bin/cat", "/said"), "hello world, from /etc\n");
  // What is run in it later has the same around it.
  assert.equal(cluster.run("exec", "oci/host-0", "--", "sh", "-c", "echo $GREETING, $PATH, from $(pwd)"), "hello world, /bin, from /etc\n");
  cluster.run("vc", "delete", "--now", "oci", "--wait");

  const [, hex] = layer.digest.split(":");
  writeFileSync(`${layout}/blobs/sha256/${hex}`, Buffer.alloc(layer.size));
  refused(["image", "import", layout, "--name", "damaged"], /other bytes than its digest says/);
  refused(["image", "import", "/bin/busybox", "--name", "nothing"], /damaged, or no such archive/);
  assert.equal(image("damaged"), undefined);
});

test("a vnode is saved as an image while it runs, and others are made of that", () => {
  cluster.run("vc", "create", "origin", "--wait");
  cluster.run("exec", "origin/host-0", "--", "sh", "-c", "echo grown > /word; rm /bin/vi");
  cluster.run("image", "save", "origin/host-0", "grown", "--version", "first");
  assert.deepEqual(image("grown").versions.map(({ label }) => label), ["first"]);
  cluster.run("vc", "create", "copies", "--image", "grown", "--vnodes", "2", "--wait");
  for (const vnode of ["host-0", "host-1"]) {
    assert.equal(cluster.run("exec", `copies/${vnode}`, "--", "sh", "-c", "cat /word; ls /bin/vi 2>/dev/null || echo gone"), "grown\ngone\n");
  }
  assert.equal(cluster.run("exec", "origin/host-0", "--", "cat", "/word"), "grown\n", "it runs on");
  refused(["image", "save", "origin/host-9", "x"], /no vnode "host-9"/);
  for (const name of ["origin", "copies"]) cluster.run("vc", "delete", "--now", name, "--wait");
});

test("the ssh recipe is built, not built again when nothing changed, and its sshd answers", async () => {
  const begun = performance.now();
  const built = cluster.try(["image", "build", "ssh"], { timeout: BUILD_MS_MAX });
  assert.equal(built.code, 0, built.stderr);
  console.log(`ssh built and uploaded in ${Math.round((performance.now() - begun) / 1000)} s`);
  const again = cluster.try(["image", "build", "ssh"]);
  assert.match(again.stderr, /Nothing changed/);

  cluster.run("vc", "create", "ssh", "--image", "ssh", "--vnodes", "2", "--spread", "workers", "--wait");
  const workers = cluster.json("vc", "show", "ssh").vnodes.map(({ worker }) => worker);
  assert.deepEqual(workers.sort(), ["w1", "w2"]);
  const greet = ["bash", "-c", "exec 3<>/dev/tcp/host-1/22; read -r line <&3 && echo $line"];
  const banner = await until("a banner", () => {
    const { code, stdout } = cluster.try(["exec", "ssh/host-0", "--", ...greet]);
    return code === 0 && stdout;
  });
  assert.match(banner, /^SSH-2\.0-OpenSSH/);

  // One pair of keys and one file of hosts, whichever worker they are on; so nobody is asked anything.
  const inside = (vnode, ...argv) => cluster.run("exec", `ssh/${vnode}`, "--", ...argv);
  for (const file of ["/etc/docklet/ssh/id_ed25519.pub", "/etc/hosts"]) {
    assert.equal(inside("host-0", "cat", file), inside("host-1", "cat", file), file);
  }
  for (const [from, to] of [["host-0", "host-1"], ["host-1", "host-0"]]) {
    assert.equal(inside(from, "ssh", "-o", "BatchMode=yes", to, "hostname"), `${to}\n`);
  }
  cluster.run("vc", "delete", "--now", "ssh", "--wait");
});
