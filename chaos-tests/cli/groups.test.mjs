// Groups of people with whom images are shared, how much of images people may have, and saves that are cancelled.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, program, until } from "../harness.mjs";

const cluster = new Cluster(47);
let dir;

before(async () => {
  cluster.up();
  dir = mkdtempSync("/var/tmp/docklet-groups-test-");
  await until("third version", () => cluster.json("status").cluster_version >= 3);
});
after(() => {
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const image = (name, as = cluster) => as.json("image", "list").find((image) => image.name === name);
const refused = (args, pattern, as = cluster) => as.refused(args, pattern);
const person = (name) => cluster.person(name, dir);

// A busybox system as a tar; no two words make one image.
function system(word) {
  const root = `${dir}/root-${word}`;
  for (const part of ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"]) mkdirSync(`${root}/${part}`, { recursive: true });
  execFileSync("cp", ["/bin/busybox", `${root}/bin/busybox`]);
  for (const applet of ["sh", "cat", "sleep", "mkdir"]) execFileSync("ln", ["-sf", "busybox", `${root}/bin/${applet}`]);
  execFileSync("ln", ["-sf", "../bin/busybox", `${root}/sbin/init`]);
  writeFileSync(`${root}/etc/inittab`, "::sysinit:/bin/mkdir -p /run\n");
  writeFileSync(`${root}/word`, word);
  const file = `${dir}/${word}.tar`;
  execFileSync("tar", ["-C", root, "-cf", file, "."]);
  return file;
}

// What both workers' stores hold, what is on its way there included.
const stores = () => [1, 2].flatMap((n) => readdirSync(`${cluster.dir}/w${n}/state/images`)).sort();
const digests = () => new Set(cluster.json("image", "list").flatMap(({ versions }) => versions.map(({ digest }) => digest)));

let ada, bob;

test("what is shared with a group its members see and use, as long as they are in it", () => {
  [ada, bob] = [person("ada"), person("bob")];
  refused(["group", "create", "course"], /role admin/, ada);
  cluster.run("group", "create", "course", "--description", "Systems, spring");
  cluster.run("group", "add", "course", "ada", "bob");
  assert.deepEqual(bob.json("group", "list").map(({ name, members }) => [name, members]), [["course", ["ada", "bob"]]]);
  cluster.run("group", "create", "staff");
  assert.deepEqual(cluster.json("group", "list").map(({ name }) => name), ["course", "staff"]);

  ada.run("image", "import", system("shared"), "--name", "shared");
  // A group that one is not in looks as if it were not there.
  const forbidden = refused(["image", "share", "shared", "--group", "staff"], /no group "staff"/, ada);
  assert.equal(forbidden.replace("staff", "nothing"), refused(["image", "share", "shared", "--group", "nothing"], /no group/, ada));
  assert.equal(refused(["group", "show", "staff"], /no group/, ada).replace("staff", "nothing"), refused(["group", "show", "nothing"], /no group/, ada));
  refused(["vc", "create", "x", "--image", "ada/shared"], /no image "ada\/shared"/, bob);

  ada.run("image", "share", "shared", "--group", "course");
  assert.deepEqual(image("shared", ada).shared_with_groups, ["course"]);
  assert.deepEqual(image("ada/shared", bob).shared_with_groups, [], "whom else it is shared with is not told");
  assert.deepEqual(bob.json("group", "show", "course").images, ["ada/shared"]);
  assert.match(bob.run("group", "show", "course"), /Systems, spring/);
  bob.run("vc", "create", "mine", "--image", "ada/shared", "--wait");
  refused(["image", "share", "ada/shared", "--group", "course"], /its owner/, bob);
  ada.run("image", "rename", "shared", "kit");
  assert.ok(image("ada/kit", bob), "shared as before");

  cluster.run("group", "remove", "course", "bob");
  assert.equal(image("ada/kit", bob), undefined);
  refused(["vc", "create", "again", "--image", "ada/kit"], /no image/, bob);
  assert.equal(bob.run("exec", "mine/host-0", "--", "cat", "/word"), "shared", "what runs, runs on");
  assert.deepEqual(bob.json("group", "list"), []);

  cluster.run("group", "add", "course", "bob");
  assert.ok(image("ada/kit", bob));
  cluster.run("group", "delete", "course");
  assert.equal(image("ada/kit", bob), undefined);
  assert.deepEqual(image("kit", ada).shared_with_groups, []);
  bob.run("vc", "delete", "--now", "mine", "--wait");
  ada.run("image", "delete", "kit");
});

test("nobody gets more images than they may, and nothing is left of what is refused", async () => {
  refused(["image", "quota", "--set", "none"], /role admin/, ada);
  cluster.run("image", "quota", "--set", "1MiB");
  const [quota] = ada.json("image", "quota").people;
  assert.deepEqual(quota, { user: "ada", used_bytes: 0, bytes: 1 << 20, whence: "usual" });

  // Its size is known when it is packed, and of what is packed already before it is sent.
  const before = stores();
  const text = refused(["image", "import", system("one"), "--name", "mine"], /your images take 0 bytes of the 1\.0 MiB that you may have/, ada);
  assert.match(text, /docklet image delete NAME/);
  refused(["image", "build", "busybox", "--name", "built"], /there is no room for/, ada);
  assert.deepEqual(stores(), before);
  assert.equal(image("mine", ada), undefined);

  cluster.run("image", "quota", "--user", "ada", "--set", "3MiB");
  ada.run("image", "import", `${dir}/one.tar`, "--name", "mine", "--version", "v1");
  ada.run("image", "import", system("two"), "--name", "mine", "--version", "v2");
  const third = system("three");
  refused(["image", "import", third, "--name", "mine", "--version", "v3"], /the largest are: mine \(2\.\d MiB\)/, ada);
  refused(["image", "delete", "mine", "--version", "v2"], /what "mine" means now/, ada);
  ada.run("image", "delete", "mine", "--version", "v1");
  ada.run("image", "import", third, "--name", "mine", "--version", "v3");
  assert.deepEqual(image("mine", ada).versions.map(({ label }) => label), ["v2", "v3"]);
  refused(["image", "import", `${dir}/one.tar`, "--name", "other"], /no room/, ada);

  // Two at once, of which either fits and not both: one stays, of the other nothing.
  cluster.run("image", "quota", "--user", "bob", "--set", "2MiB");
  // Among them a version that was deleted: for some minutes it might be news to the masters.
  const had = new Set(stores());
  const brought = ["four", "five"].map((word) => new Promise((resolve) => {
    const child = spawn(program, ["image", "import", system(word), "--name", word], { env: bob.env, stdio: "ignore" });
    child.on("close", resolve);
  }));
  const codes = await Promise.all(brought);
  assert.deepEqual(codes.map((code) => code === 0).sort(), [false, true]);
  await until("only the other one", () => stores().every((name) => had.has(name) || digests().has(name)));

  cluster.run("image", "quota", "--user", "ada", "--reset");
  assert.equal(ada.json("image", "quota").people[0].bytes, 1 << 20);
  cluster.run("image", "quota", "--set", "32GiB");
  ada.run("image", "delete", "mine");
});

test("a save that is cancelled ends at once, and leaves nothing", async () => {
  cluster.run("vc", "create", "large", "--wait");
  cluster.run("exec", "large/host-0", "--", "dd", "if=/dev/urandom", "of=/large", "bs=1M", "count=400");
  cluster.run("image", "save", "large/host-0", "large", "--no-wait");
  await until("a save under way", () => stores().some((name) => name.startsWith("save-")));
  cluster.run("image", "save", "large/host-0", "--cancel");
  await until("nothing of it", () => !stores().some((name) => name.startsWith("save-")), 3_000);
  assert.equal(cluster.run("exec", "large/host-0", "--", "echo", "on"), "on\n");
  assert.equal(image("large"), undefined);
  // The next one is made.
  cluster.run("exec", "large/host-0", "--", "rm", "/large");
  cluster.run("image", "save", "large/host-0", "small");
  assert.ok(image("small"));
  cluster.run("vc", "delete", "--now", "large", "--wait");
});
