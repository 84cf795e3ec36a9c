// Images with programs of this machine: packed in a second, where a recipe takes minutes.

import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "./harness.mjs";

// Imports an image with busybox and these programs, with what they are linked to; `more` adds files through a function that
// gives the path of a file in it. What `runs` says of its first program and of its variables is in it, too.
export function packedImage(cluster, name, programs, more, runs = null) {
  const dir = mkdtempSync("/var/tmp/docklet-packed-");
  const into = (file) => path.join(dir, "root", file);
  try {
    for (const made of ["bin", "etc", "proc", "sys", "dev", "tmp", "run", "root", "srv", "lib64"]) mkdirSync(into(made), { recursive: true });
    cpSync("/bin/busybox", into("bin/busybox"), { dereference: true });
    for (const applet of ["sh", "sleep", "cat", "dd", "kill", "true", "wget"]) symlinkSync("busybox", into(`bin/${applet}`));
    const needed = new Set(programs);
    for (const file of programs) {
      const { stdout } = spawnSync("ldd", [file], { encoding: "utf8" });
      for (const [, found] of stdout.matchAll(/(\/\S+) \(0x/g)) needed.add(found);
    }
    for (const file of needed) {
      mkdirSync(path.dirname(into(file)), { recursive: true });
      cpSync(file, into(file), { dereference: true });
    }
    writeFileSync(into("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
    more(into);
    const file = path.join(dir, "image.tar");
    execFileSync("tar", ["-C", path.join(dir, "root"), "--owner=0", "--group=0", "-cf", file, "."]);
    if (runs) cluster.run("image", "import", layout(dir, file, runs), "--name", name, "--public");
    else cluster.run("image", "import", file, "--name", name, "--public", "--init", "/bin/sleep", "infinity");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

// An archive of the Open Container Initiative with one layer.
function layout(dir, layer, { entrypoint, environment }) {
  const into = path.join(dir, "layout");
  mkdirSync(path.join(into, "blobs/sha256"), { recursive: true });
  const blob = (bytes, mediaType) => {
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(path.join(into, "blobs/sha256", sha256), bytes);
    return { mediaType, digest: `sha256:${sha256}`, size: bytes.length };
  };
  const text = (value, mediaType) => blob(Buffer.from(JSON.stringify(value)), mediaType);
  const files = blob(readFileSync(layer), "application/vnd.oci.image.layer.v1.tar");
  const config = text(
    { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux", config: { Entrypoint: entrypoint, Env: environment }, rootfs: { type: "layers", diff_ids: [files.digest] } },
    "application/vnd.oci.image.config.v1+json",
  );
  const manifest = text({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [files] }, "application/vnd.oci.image.manifest.v1+json");
  writeFileSync(path.join(into, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(path.join(into, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  const file = path.join(dir, "layout.tar");
  execFileSync("tar", ["-C", into, "-cf", file, "oci-layout", "index.json", "blobs"]);
  return file;
}

// One with python3 and a small service. Its vnodes do nothing until that is run in them, unless `runs` says so.
export function servingImage(cluster, name, runs = null) {
  const python = execFileSync("readlink", ["-f", "/usr/bin/python3"], { encoding: "utf8" }).trim();
  const version = path.basename(python);
  const modules = execFileSync("find", [`/usr/lib/${version}/lib-dynload`, "-name", "*.so"], { encoding: "utf8" }).trim().split("\n");
  packedImage(cluster, name, [python, ...modules], (into) => {
    const kept = (file) => !/\/(test|idlelib|lib2to3|ensurepip|tkinter|dist-packages|__pycache__|config-.*)(\/|$)/.test(file);
    cpSync(`/usr/lib/${version}`, into(`usr/lib/${version}`), { recursive: true, filter: kept });
    symlinkSync(version, into("usr/bin/python3"));
    cpSync(path.join(root, "chaos-tests", "service.py"), into("srv/service.py"));
  }, runs);
}

// Starts the service in a vnode, and leaves it running.
export function serve(cluster, vnode, port) {
  cluster.run("exec", vnode, "--", "sh", "-c", `python3 /srv/service.py ${port} </dev/null >/dev/null 2>&1 &`);
}
