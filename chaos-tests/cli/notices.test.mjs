// Notices, mails and bug reports on a real cluster with a real SMTP server: who is told what, what is done about a server that
// says no, and that each mail arrives once though the master that sends it is killed in the middle.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Cluster, until } from "../harness.mjs";
import { MailServer, certificate, header } from "../mail.mjs";

const cluster = new Cluster(49);
const PORT = 12_525;
const SECRET = "xyzzy-of-the-mail-server";
let dir, server, good, wrong;
let teacher, ada, bob;

before(async () => {
  dir = mkdtempSync("/var/tmp/docklet-notices-test-");
  [good, wrong] = ["good", "wrong"].map((name) => certificate(dir, name));
  writeFileSync(`${dir}/secret`, `${SECRET}\n`);
  writeFileSync(`${dir}/no-secret`, "something else\n");
  server = new MailServer(PORT, good, { secret: SECRET });
  cluster.up();
  await Promise.all([server.ready(), until("third version", () => cluster.json("status").cluster_version >= 3)]);
  [teacher, ada, bob] = ["teacher", "ada", "bob"].map((name) => cluster.person(name, dir));
  cluster.run("group", "create", "course");
  cluster.run("group", "manager", "add", "course", "teacher");
  cluster.run("group", "add", "course", "ada");
  cluster.run("user", "profile", "--mail", "admin@example.org");
  ada.run("user", "profile", "--mail", "ada@example.org");
});
after(() => {
  server?.stop();
  cluster.down();
  rmSync(dir, { recursive: true, force: true });
});

const titles = (who) => who.json("notice", "list").notices.map(({ title }) => title);
const unread = (who) => who.json("notice", "list").unread;
const queue = () => cluster.json("mail", "queue");
const queued = (subject) => queue().find((mail) => mail.subject === subject);
const setServer = (...more) => cluster.run("mail", "set", "--host", "127.0.0.1", ...(more.includes("--port") ? [] : ["--port", String(PORT)]), "--user", "docklet", "--from", "docklet@example.org", "--portal", "https://cloud.example.org", ...more);
const tell = (title, ...more) => cluster.run("notice", "announce", title, "--user", "ada", "--mail", ...more);

test("operators tell everybody, managers their group, and each reads their own", () => {
  teacher.refused(["notice", "announce", "Hello"], /needs the role operator/);
  bob.refused(["notice", "announce", "Hello", "--group", "course"], /no group "course"/);
  teacher.run("notice", "announce", "The first sheet is out", "--group", "course", "--body", "Until Friday.", "--link", "/templates");
  cluster.run("notice", "announce", "Workers restart on Sunday", "--warning");
  assert.deepEqual(titles(ada), ["Workers restart on Sunday", "The first sheet is out"]);
  assert.deepEqual(titles(bob), ["Workers restart on Sunday"]);
  const [, sheet] = ada.json("notice", "list").notices;
  const look = bob.refused(["notice", "show", sheet.id], /no notice/);
  assert.equal(look.replaceAll(sheet.id, "99999"), bob.refused(["notice", "show", "99999"], /no notice/));
  assert.equal(unread(ada), 2);
  ada.run("notice", "read", sheet.id);
  assert.equal(unread(ada), 1);
  ada.run("notice", "read", "--all");
  assert.equal(unread(ada), 0);
  ada.refused(["notice", "withdraw", sheet.id], /needs a manager of its group/);
  assert.match(teacher.run("notice", "list", "--announced"), /The first sheet is out/);
  teacher.run("notice", "withdraw", sheet.id);
  assert.deepEqual(titles(ada), ["Workers restart on Sunday"]);
  // It can be had back by who may take it back, and who had read it has.
  assert.deepEqual(ada.json("trash", "list"), []);
  const [gone] = teacher.json("trash", "list");
  assert.deepEqual([gone.kind, gone.name, gone.about], ["notice", `notice-${sheet.id}`, "The first sheet is out"]);
  ada.refused(["trash", "restore", gone.name], /nothing "notice-\d+" in the trash/);
  teacher.refused(["trash", "restore", gone.name, "--as", "other"], /a notice has none/);
  teacher.run("trash", "restore", gone.name);
  assert.deepEqual([titles(ada), unread(ada)], [["Workers restart on Sunday", "The first sheet is out"], 0]);
  teacher.run("notice", "withdraw", sheet.id, "--now");
  assert.deepEqual([titles(ada), teacher.json("trash", "list")], [["Workers restart on Sunday"], []]);
  // What is to oneself one drops, and nobody else finds it.
  cluster.run("notice", "announce", "Please look at the sheets", "--user", "teacher");
  const own = teacher.json("notice", "list").notices.find(({ title }) => title === "Please look at the sheets");
  teacher.run("notice", "withdraw", own.id);
  assert.deepEqual(cluster.json("trash", "list"), []);
  teacher.run("trash", "restore", "--kind", "notice", `notice-${own.id}`.replace(".", "-"));
  assert.ok(titles(teacher).includes(own.title));
});

test("what admins do to an account is told", () => {
  cluster.run("user", "role", "bob", "operator");
  cluster.run("quota", "set", "--user", "bob", "--vnodes", "3");
  assert.deepEqual(titles(bob).slice(0, 2), ["Your quota was changed", "Your role is operator now"]);
  cluster.run("user", "role", "bob", "user");
});

test("what somebody found wrong goes to the admins, and the answer to them", () => {
  ada.run("bug", "report", "The terminal forgets its colours");
  const [bug] = ada.json("bug", "list");
  bob.refused(["bug", "show", String(bug.id)], /no bug report/);
  assert.ok(titles(cluster).includes("ada found something wrong"));
  ada.refused(["bug", "close", String(bug.id)], /needs the role admin/);
  cluster.run("bug", "answer", String(bug.id), "Fixed in the next image", "--close");
  assert.equal(titles(ada)[0], `Your bug report ${bug.id} was closed`);
  assert.match(ada.run("bug", "list"), /closed.*Fixed in the next image/);
});

test("without a server there are no mails, and without TLS there is none elsewhere", () => {
  tell("Not by mail");
  assert.deepEqual(queue(), []);
  cluster.refused(["mail", "test"], /no mail server is set/);
  cluster.refused(["mail", "set", "--host", "mail.example.org", "--tls", "none", "--from", "docklet@example.org"], /could be read on the way/);
});

test("a server with a wrong certificate gets nothing, one with the right one gets each mail once", async () => {
  setServer("--secret-file", `${dir}/secret`, "--ca", wrong.ca);
  tell("By mail", "--body", "Nobody reads <b>this</b> as HTML: äöü", "--link", "/vclusters/lab");
  await until("a refused certificate", () => /certificate/i.test(queued("By mail")?.cause ?? ""));
  assert.deepEqual(server.accepted(""), []);
  setServer("--secret-file", `${dir}/secret`, "--ca", good.ca);
  await server.delivered("By mail");
  await until("an empty queue", () => queue().length === 0);
  const mails = server.accepted("By mail");
  assert.equal(mails.length, 1);
  const [mail] = mails;
  assert.deepEqual([mail.to, mail.by, mail.tls, mail.login], [["ada@example.org"], "docklet@example.org", true, true]);
  assert.match(header(mail, "Message-ID"), /^<[0-9a-f-]+\.\d+\.0@example\.org>$/);
  assert.equal(header(mail, "Auto-Submitted"), "auto-generated");
  assert.match(header(mail, "Subject"), /^\[.*\] By mail$/);
  assert.match(mail.text, /cloud\.example\.org\/vclusters\/lab/);
});

test("a wrong secret is told and sends nothing, and nobody is shown the right one", async () => {
  setServer("--secret-file", `${dir}/no-secret`, "--ca", good.ca);
  const { code, stderr } = cluster.try(["mail", "test"]);
  assert.equal(code, 4, stderr);
  assert.match(stderr, /was not delivered: .*535/);
  setServer("--secret-file", `${dir}/secret`, "--ca", good.ca);
  await server.delivered("asked for this mail");
  cluster.run("mail", "test");
  const shown = ["mail show", "mail queue", "state", "state --format json"].map((args) => cluster.run(...args.split(" ")));
  const { stdout } = cluster.try(["events", "--from", "1", "--format", "json"], { timeout: 3_000 });
  assert.match(stdout, /"ServerSet"/);
  const logs = readdirSync(`${cluster.dir}/log`).map((file) => readFileSync(`${cluster.dir}/log/${file}`, "utf8"));
  for (const text of [...shown, stdout, ...logs]) assert.ok(!text.includes(SECRET), "the secret is shown");
});

test("what is refused for now is tried again, what is refused for ever is given up until an admin wants it", async () => {
  await server.order({ rcpt: "451 come again later" });
  tell("Come again");
  await until("a first failure", () => /451.*come again/.test(queued("Come again")?.cause ?? ""));
  await server.delivered("Come again");
  await until("an empty queue", () => queue().length === 0);
  assert.equal(server.accepted("Come again").length, 1);
  await server.order({ data: "554 no such thing here" });
  tell("Never");
  const mail = await until("a mail that was given up", () => queue().find(({ stage }) => stage === "given up"));
  assert.match(mail.cause, /554/);
  ada.refused(["mail", "resend", mail.id], /needs the role admin/);
  cluster.run("mail", "resend", mail.id);
  await server.delivered("Never");
  await until("an empty queue", () => queue().length === 0);
  assert.equal(server.accepted("Never").length, 1);
});

test("who wants none gets none, who wants all gets those that nobody asked to mail, who is locked gets the last one", async () => {
  ada.run("notice", "mail-me", "none");
  tell("Not wished");
  ada.run("notice", "mail-me", "all");
  cluster.run("notice", "announce", "Wished all the same", "--user", "ada");
  await server.delivered("Wished all the same");
  assert.deepEqual(server.accepted("Not wished"), []);
  cluster.run("user", "lock", "ada", "--reason", "a stolen laptop");
  await server.delivered("a stolen laptop");
  tell("While locked");
  cluster.run("user", "unlock", "ada");
  await server.delivered("Your account was unlocked");
  assert.deepEqual(server.accepted("While locked"), []);
});

test("a request for an account is mailed to admins, and the answer to whoever has none", async () => {
  cluster.run("user", "registration", "open");
  writeFileSync(`${dir}/eve`, "eve's long password\n");
  cluster.run("register", "--server", cluster.masters[0], "--ca", `${cluster.dir}/ca.pem`, "--user", "eve", "--password-file", `${dir}/eve`, "--real-name", "Eve", "--mail", "eve@example.org", "--reason", "networks");
  await server.delivered("eve asks for an account");
  const [{ id }] = cluster.json("user", "requests");
  assert.match(server.accepted("eve asks for an account")[0].text, new RegExp(`cloud\\.example\\.org/requests/${id}\\b`), "it leads to the form");
  cluster.run("user", "decline", String(id), "--reason", "ask your group first");
  await server.delivered("ask your group first");
  assert.deepEqual(server.accepted("ask your group first")[0].to, ["eve@example.org"]);
});

test("a leader that is killed before the text leaves the mail to the next one, which sends it once", async () => {
  ada = loggedIn("ada");
  await server.order({ hold: "rcpt" });
  tell("Before the text");
  await server.has("held");
  const old = await until("a leader", () => cluster.leader());
  cluster.kill(old);
  await until("another leader", () => ![undefined, old].includes(leader()));
  await server.order({ release: true });
  await server.delivered("Before the text", 60_000);
  await until("an empty queue", () => queue().length === 0, 60_000);
  assert.equal(server.accepted("Before the text").length, 1);
  cluster.run("dev", "up");
  await until("three masters", () => cluster.json("master", "list").group.masters.every(({ in_reach }) => in_reach), 60_000);
});

test("a leader that is killed after the text leaves the mail unsure, and nobody sends it again", async () => {
  await server.order({ hold: "data" });
  tell("After the text");
  await until("held", () => server.told.at(-1).event === "held" && server.told.at(-1).step === "data");
  const old = await until("a leader", () => cluster.leader());
  cluster.kill(old);
  await until("another leader", () => ![undefined, old].includes(leader()));
  await server.order({ release: true });
  await server.delivered("After the text");
  assert.equal(queued("After the text").stage, "begun");
  // It knows when it is back that it cannot know.
  cluster.run("dev", "up");
  const mail = await until("an unsure mail", () => queue().find(({ stage }) => stage === "unsure"), 60_000);
  assert.match(mail.cause, /stopped before it knew/);
  // Whatever is sent next goes past it.
  tell("The next one");
  await server.delivered("The next one", 60_000);
  assert.equal(server.accepted("After the text").length, 1);
});

test("TLS from the first byte on", async () => {
  const within = new MailServer(PORT + 1, good, { mode: "tls", secret: SECRET });
  try {
    await within.ready();
    setServer("--port", String(PORT + 1), "--tls", "tls", "--secret-file", `${dir}/secret`, "--ca", good.ca);
    cluster.run("mail", "test");
    await within.delivered("asked for this mail");
    assert.deepEqual(within.accepted("asked for this mail").map(({ login }) => login), [true]);
  } finally {
    within.stop();
  }
  cluster.run("mail", "off");
  assert.match(cluster.run("mail", "show"), /no mails are sent/);
});

const leader = () => {
  const { code, stdout } = cluster.try(["master", "list", "--format", "json"]);
  if (code !== 0) return undefined;
  const { masters, raft } = JSON.parse(stdout);
  return masters.find((master) => master.id === raft.leader)?.name;
};

// A lock has ended all logins.
function loggedIn(name) {
  const other = new Cluster(cluster.instance);
  other.env = { ...other.env, DOCKLET_CONTEXT: `${dir}/${name}.toml` };
  const servers = cluster.masters.flatMap((address) => ["--server", address]);
  other.run("login", ...servers, "--ca", `${cluster.dir}/ca.pem`, "--user", name, "--password-file", `${dir}/${name}-password`);
  return other;
}
