// A real SMTP server beside a test: its certificates, what it is told to do, and what it was sent.

import { execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import readline from "node:readline";
import { until, root } from "./harness.mjs";

// Debian's python3, for which Debian's aiosmtpd is.
const PYTHON = "/usr/bin/python3";

// A certificate of its own authority, for 127.0.0.1, for another address or for a name.
export function certificate(dir, name, address = "127.0.0.1") {
  const [ca, caKey, pem, key, request, extensions] = ["ca.pem", "ca.key", "pem", "key", "csr", "ext"].map((ending) => `${dir}/${name}.${ending}`);
  const openssl = (...args) => execFileSync("openssl", args, { stdio: "pipe" });
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${name} authority`, "-keyout", caKey, "-out", ca);
  openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", `/CN=${name}`, "-keyout", key, "-out", request);
  writeFileSync(extensions, `subjectAltName=${isIP(address) ? "IP" : "DNS"}:${address}\nbasicConstraints=CA:FALSE\n`);
  openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", pem);
  return { ca, pem, key };
}

export class MailServer {
  constructor(port, { pem, key }, { mode = "starttls", user = "docklet", secret = "xyzzy-of-the-mail-server" } = {}) {
    Object.assign(this, { port, user, secret, told: [] });
    const script = path.join(root, "chaos-tests", "cli", "mail_server.py");
    this.child = spawn(PYTHON, [script, String(port), mode, pem, key, user, secret], { stdio: ["pipe", "pipe", "pipe"] });
    this.errors = "";
    this.child.stderr.on("data", (data) => (this.errors += data));
    readline.createInterface({ input: this.child.stdout }).on("line", (line) => this.told.push(JSON.parse(line)));
  }

  ready() {
    return this.has("ready");
  }

  // Waits until it told of such an event; answers the last one.
  has(event, timeoutMs = 30_000) {
    return until(`mail server to be ${event}; ${this.errors}`, () => this.told.findLast((one) => one.event === event), timeoutMs);
  }

  // Told to do something, from the next conversation on.
  async order(order) {
    const before = this.told.filter(({ event }) => event === "ordered").length;
    this.child.stdin.write(`${JSON.stringify(order)}\n`);
    await until("order to be heard", () => this.told.filter(({ event }) => event === "ordered").length > before);
  }

  // Mails that it took with these words in them.
  accepted(words) {
    return this.told.filter(({ event, text }) => event === "accepted" && text.includes(words));
  }

  delivered(words, timeoutMs = 30_000) {
    return until(`mail with "${words}"; ${this.errors}`, () => this.accepted(words).length > 0, timeoutMs);
  }

  stop() {
    this.child.kill("SIGKILL");
  }
}

export const header = (mail, name) => new RegExp(`^${name}: *(.*)$`, "im").exec(mail.text)?.[1].trim();
