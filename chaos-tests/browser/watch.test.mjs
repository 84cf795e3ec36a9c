// When a page takes its master for one that stands still, by a clock of this test.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Watch } from "../../portal/assets/watch.js";

let now, told, watch, look;

beforeEach(() => {
  [now, told, look] = [1000, 0, null];
  mock.method(performance, "now", () => now);
  mock.method(globalThis, "setInterval", (act) => (look = act));
  mock.method(globalThis, "clearInterval", () => (look = null));
  watch = new Watch(() => (told += 1));
});
afterEach(() => mock.restoreAll());

// Seconds pass, each at its time.
function pass(seconds, each = () => {}) {
  for (let second = 0; second < seconds; second += 1) {
    now += 1000;
    each(second);
    look?.();
  }
}

test("who hears something every two seconds stays, who hears nothing for six goes, once", () => {
  watch.begin();
  pass(60, (second) => second % 2 === 0 && watch.heard());
  assert.equal(told, 0);
  pass(4);
  assert.equal(told, 0);
  pass(1);
  assert.equal(told, 1);
  pass(60);
  assert.equal(told, 1);
  watch.begin();
  pass(7);
  assert.equal(told, 2, "also where nothing was heard since it began");
});

test("a page that stood still itself, or slept, hears first what came meanwhile", () => {
  watch.begin();
  pass(1);
  now += 3_600_000;
  look();
  assert.equal(told, 0);
  pass(5);
  assert.equal(told, 0);
  pass(1);
  assert.equal(told, 1);
});

test("what was ended tells nothing", () => {
  watch.begin();
  watch.end();
  pass(60);
  assert.equal(told, 0);
});
