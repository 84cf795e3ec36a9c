// Run in the network namespace of a vnode: asks another again and again, and prints as JSON for how long it gave no answer at the
// longest. `knock HOST` opens connections to a port at which nobody listens: the other's kernel refuses them as long as it has
// the address. `talk HOST PORT` keeps one connection and counts with what is at its other end: it also tells how often the
// connection broke and whether a number was missed. `ask HOST PORT PATH` asks by HTTP, over one connection as long as it holds.
// Ends on SIGTERM.

import http from "node:http";
import net from "node:net";

const [how, host, port, path] = process.argv.slice(2);
const KNOCK_EVERY_MS = 10;
const TALK_EVERY_MS = 5;

let answered = performance.now();
let begun = false;
const seen = { answers: 0, gap_ms: 0, broken: 0, missed: 0 };

function answer() {
  const now = performance.now();
  if (begun) seen.gap_ms = Math.max(seen.gap_ms, now - answered);
  begun = true;
  answered = now;
  seen.answers += 1;
}

function knock() {
  const socket = net.connect({ host, port: 9, timeout: 300 });
  socket.on("error", (error) => error.code === "ECONNREFUSED" && answer());
  socket.on("connect", answer);
  socket.on("timeout", () => socket.destroy());
}

// The other counts for itself; each line that it sends is the number that it has come to, then what was asked.
function talk() {
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  let [asked, heard, text] = [0, 0, ""];
  const timer = setInterval(() => socket.write(`${(asked += 1)}\n`), TALK_EVERY_MS);
  socket.on("data", (data) => {
    text += data;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const number = Number(text.slice(0, end));
      text = text.slice(end + 1);
      if (number !== heard + 1) seen.missed += 1;
      heard = number;
      answer();
    }
  });
  const broke = () => {
    seen.broken += 1;
    clearInterval(timer);
  };
  socket.on("error", broke);
  socket.on("end", broke);
}

function ask() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const again = () => setTimeout(one, TALK_EVERY_MS);
  const broke = () => {
    seen.broken += 1;
    again();
  };
  function one() {
    const request = http.get({ agent, host, port, path }, (response) => {
      if (response.statusCode !== 200) seen.missed += 1;
      response.on("error", broke).resume();
      response.on("end", () => {
        answer();
        again();
      });
    });
    request.on("error", broke);
  }
  one();
}

process.on("SIGTERM", () => {
  seen.gap_ms = Math.max(seen.gap_ms, performance.now() - answered);
  console.log(JSON.stringify(seen));
  process.exit(0);
});
if (how === "talk") talk();
else if (how === "ask") ask();
else setInterval(knock, KNOCK_EVERY_MS);
