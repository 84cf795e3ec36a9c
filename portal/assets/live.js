// Live pages: the server pushes the parts that look different now; this puts them into place. Everything works
// without it, by reloading.

import "./import.js";
import { morph } from "./morph.js";
import { Watch } from "./watch.js";

const BACKOFF_MS_MAX = 2000;
const REFUSED_MS = 20_000;
const banner = document.getElementById("connection");
let bannerTimer = 0;

function say(text, lasting) {
  if (!banner) return;
  clearTimeout(bannerTimer);
  banner.textContent = text;
  banner.hidden = false;
  if (!lasting) bannerTimer = setTimeout(() => (banner.hidden = true), 8000);
}

// Brings one element to what it is now.
function place({ id, html }) {
  const old = document.getElementById(id);
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (!old || !fresh) return;
  tellTimes(fresh);
  tellUsage(fresh);
  morph(old, document.adoptNode(fresh));
}

// Rows of a list of what happens come one by one and stand on top; each once, however often the stream begins anew.
const ROWS_MAX = 500;

function addRow({ id, html }) {
  const list = document.getElementById(id);
  const fresh = new DOMParser().parseFromString(`<table><tbody>${html}</tbody></table>`, "text/html").querySelector("tr");
  if (!list || !fresh || document.getElementById(fresh.id)) return;
  tellTimes(fresh);
  list.prepend(fresh);
  list.closest("table").hidden = false;
  document.getElementById(`${id}-none`)?.remove();
  while (list.rows.length > ROWS_MAX) list.lastElementChild.remove();
}

// What vnodes use now, by their number: written beside each, also beside those that were drawn anew.
let used = {};

function tellUsage(root) {
  for (const place of root.querySelectorAll("[data-usage]")) {
    const text = used[place.dataset.usage] || "—";
    if (place.textContent !== text) place.textContent = text;
  }
}

// Times in the reader's own words and zone; the exact one is a touch away.
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30]];

function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = exact.format(at);
    let amount = (at - Date.now()) / 1000;
    let unit = "month";
    for (const [name, size] of STEPS) {
      if (Math.abs(amount) < size) {
        unit = name;
        break;
      }
      amount /= size;
    }
    const near = unit === "second" && amount <= 0 && amount > -45;
    const text = "clock" in time.dataset ? clock.format(at) : unit === "month" ? date.format(at) : near ? "just now" : relative.format(Math.round(amount), unit);
    if (time.textContent !== text) time.textContent = text;
  }
}

// The line at the top that tells what this page knows.
const pulse = {
  tell(id, text) {
    const place = document.getElementById(id);
    if (place && text && place.textContent !== text) place.textContent = text;
  },
  leader(text) {
    this.tell("leader", text);
  },
  entry(index) {
    this.tell("entry", index);
  },
};

// A stream does not say why it was refused. This page is one of too many, perhaps: then it waits until others are closed.
async function tooMany(url) {
  const given = new AbortController();
  const answer = await fetch(url, { signal: given.signal }).catch(() => null);
  const refused = answer?.status === 429;
  given.abort();
  return refused && "Too many pages are open: this one does not follow what happens until you close others.";
}

function follow(url) {
  let backoff = 200;
  let lostAt = 0;
  let leader = null;

  function hello({ master, leader: now, term }) {
    if (lostAt) {
      const seconds = ((performance.now() - lostAt) / 1000).toFixed(1);
      const leads = now ? `${now} leads` : "an election is under way";
      say(`Connected again after ${seconds} s, through ${master}; ${leads} (term ${term}). Nothing was lost.`);
      lostAt = 0;
    } else if (leader && now && now !== leader) {
      say(`Master ${now} leads now, instead of ${leader} (term ${term}). Nothing was lost.`);
    } else if (leader && !now) {
      say("The leader is gone; the masters elect another. Vnodes go on.");
    }
    leader = now ?? leader;
    pulse.leader(now ? `${now} leads · ` : "election under way · ");
  }

  // A stream that begins anew goes on after the last row that came.
  let seen = null;
  const again = () => (seen ? `${url}${url.includes("?") ? "&" : "?"}seen=${seen}` : url);

  let source = null;
  const watch = new Watch(() => lost());

  async function lost() {
    watch.end();
    const refused = source.readyState === EventSource.CLOSED && (await tooMany(again()));
    source.close();
    if (!lostAt) lostAt = performance.now();
    say(refused || "The connection to the master was lost; trying another. Your vnodes go on.", true);
    setTimeout(open, refused ? REFUSED_MS : backoff);
    backoff = Math.min(backoff * 2, BACKOFF_MS_MAX);
  }

  function open() {
    source = new EventSource(again());
    watch.begin();
    for (const kind of ["open", "pulse", "fragment", "row", "usage", "hello"]) source.addEventListener(kind, () => watch.heard());
    source.addEventListener("open", () => (backoff = 200));
    source.addEventListener("fragment", (event) => {
      pulse.entry(event.lastEventId);
      place(JSON.parse(event.data));
    });
    source.addEventListener("row", (event) => {
      seen = event.lastEventId;
      pulse.entry(seen);
      addRow(JSON.parse(event.data));
    });
    source.addEventListener("usage", (event) => {
      used = JSON.parse(event.data);
      tellUsage(document);
    });
    source.addEventListener("hello", (event) => hello(JSON.parse(event.data)));
    source.addEventListener("error", lost);
  }
  addEventListener("pagehide", () => {
    watch.end();
    source.close();
  });
  open();
}

// Asks before a form that cannot be undone is sent.
function ask(form) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  text.textContent = form.dataset.confirm;
  const actions = document.createElement("div");
  actions.className = "actions";
  const yes = document.createElement("button");
  yes.className = "button danger";
  yes.textContent = form.querySelector("button").textContent;
  const no = document.createElement("button");
  no.className = "button secondary";
  no.textContent = "Cancel";
  text.id = "confirm-text";
  dialog.setAttribute("aria-labelledby", text.id);
  actions.append(no, yes);
  dialog.append(text, actions);
  document.body.append(dialog);
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", () => {
    form.dataset.confirmed = "yes";
    // The part of the page that it was in may have been drawn anew meanwhile.
    if (!form.isConnected) {
      form.hidden = true;
      document.body.append(form);
    }
    form.requestSubmit();
  });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  no.focus();
}

// Also for forms that come with parts of the page that are drawn anew.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  ask(form);
});

// What is shown once can be copied at once.
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
tellTimes(document);
setInterval(() => tellTimes(document), 20_000);
const main = document.querySelector("main[data-live]");
if (main) follow(main.dataset.live);
