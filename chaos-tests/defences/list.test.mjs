// The list of defences is of the sources that are there: each text stands where it is said to, once, and each test is there.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { edit, places, switched } from "./entry.mjs";
import { defences } from "./list.mjs";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const read = (file) => readFileSync(path.join(root, file), "utf8");
const sources = (dir) => readdirSync(path.join(root, dir), { recursive: true }).filter((file) => file.endsWith(".rs")).map((file) => read(path.join(dir, file)));

test("each defence is in its source once, and has a test", () => {
  const rooms = new Map();
  for (const { name, edits, test: missed } of defences) {
    assert.ok(edits.length > 0, `${name}: nothing of it is taken away`);
    assert.ok(edits.every(({ instead }) => instead.includes("IS_GONE")), `${name}: there is no switch`);
    if (missed.file) {
      assert.ok(read(missed.file).includes(`test("${missed.name}"`), `${name}: ${missed.file} has no test "${missed.name}"`);
      continue;
    }
    const dirs = missed.target === "lib" ? ["src"] : ["tests"];
    const key = path.join(missed.room, dirs[0]);
    if (!rooms.has(key)) rooms.set(key, sources(key).join("\n"));
    if (missed.env.STORY) assert.ok(existsSync(path.join(root, "control/stories", `${missed.env.STORY}.txt`)), `${name}: there is no story ${missed.env.STORY}`);
    const fn = missed.name.split("::").at(-1);
    assert.match(rooms.get(key), new RegExp(`fn ${fn}\\(`), `${name}: ${key} has no test ${fn}`);
  }
  assert.ok(switched(defences, read).size > 10);
});

test("names are of one defence each, and each class from 29 to 50, 55 and 62 has some", () => {
  const names = defences.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const threats = new Set(defences.map(({ threat }) => threat));
  const classes = [...Array.from({ length: 22 }, (_, nth) => 29 + nth), 55, 62];
  for (const threat of classes) assert.ok(threats.has(threat), `class ${threat} has no defence`);
});

test("a switch is in the language of its source", () => {
  const entry = (file) => ({ name: "x", edits: [edit(file, "one", "IS_GONE || one")] });
  const written = (file) => switched([entry(file)], () => "one two").get(file);
  assert.match(written("a.rs"), /^std::env::var_os\("DOCKLET_DEFENCE_GONE"\).* \|\| one two$/);
  assert.equal(written("a.js"), '(globalThis.dockletDefenceGone === "x") || one two');
});

test("a text that is gone, or there twice, is noticed", () => {
  const entry = (text) => ({ name: "x", edits: [edit("a.rs", text, "IS_GONE")] });
  const source = () => "one two two";
  assert.deepEqual(places(entry("one"), source), [{ file: "a.rs", at: 0, end: 3 }]);
  assert.throws(() => places(entry("three"), source), /does not have/);
  assert.throws(() => places(entry("two"), source), /more than once/);
  assert.throws(() => switched([entry("one two"), { ...entry("two two"), name: "y" }], source), /in each other's way/);
});
