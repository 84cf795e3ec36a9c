// The portal's style sheet: room between things and colours are named once, so that pages are alike and both schemes are whole.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "../harness.mjs";

const sheet = readFileSync(path.join(root, "portal/assets/style.css"), "utf8").replace(/\/\*.*?\*\//gs, "");
// Rules beside those that name things.
const rules = sheet.replace(/:root\s*\{[^}]*\}/g, "");
const declarations = [...rules.matchAll(/([\w-]+)\s*:\s*([^;{}]+)[;}]/g)].map(([, property, value]) => [property, value.trim()]);
const ROOM = /^(padding|margin|gap|row-gap|column-gap)(-|$)/;
// Beside tokens: nothing, as much as there is, and what grows with the letters beside it or with the window.
const FREE = /^(0|auto|[\d.]+(em|vh|%))$/;

test("room between things is one of the steps", () => {
  const rooms = declarations.filter(([property]) => ROOM.test(property));
  assert.ok(rooms.length > 200, `${rooms.length} were found`);
  const rest = (value) => value.replaceAll(/calc\(-1 \* (var\(--[\w-]+\))\)/g, "$1").split(/\s+/).filter((part) => !FREE.test(part) && !/^var\(--(space-\d+|label)\)$/.test(part));
  const literal = rooms.filter(([, value]) => rest(value).length > 0).map((pair) => pair.join(": "));
  assert.deepEqual(literal, []);
});

test("every colour has a name", () => {
  const literal = declarations.filter(([, value]) => /#[0-9a-f]{3,8}\b|\b(rgb|hsl|oklch)a?\(/i.test(value)).map((pair) => pair.join(": "));
  assert.deepEqual(literal, []);
});

test("every token that is used is there", () => {
  const named = new Set([...sheet.matchAll(/(--[\w-]+)\s*:/g)].map(([, name]) => name));
  const missing = [...sheet.matchAll(/var\((--[\w-]+)/g)].map(([, name]) => name).filter((name) => !named.has(name));
  assert.deepEqual(missing, []);
});
