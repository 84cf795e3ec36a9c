// Live pages: the server pushes the parts that look different now; this puts them into place. Everything works
// without it, by reloading.

import "./import.js";

const BACKOFF_MS_MAX = 2000;
const banner = document.getElementById("connection");
let bannerTimer = 0;

function say(text, lasting) {
  if (!banner) return;
  clearTimeout(bannerTimer);
  banner.textContent = text;
  banner.hidden = false;
  if (!lasting) bannerTimer = setTimeout(() => (banner.hidden = true), 8000);
}

// Replaces one element, and keeps the focus where it was.
function place({ id, html }) {
  const old = document.getElementById(id);
  const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  if (!old || !fresh) return;
  const focused = old.contains(document.activeElement) && twin(document.activeElement);
  tellTimes(fresh);
  tellUsage(fresh);
  keepInput(old, fresh);
  old.replaceWith(fresh);
  if (focused) fresh.querySelector(focused)?.focus();
}

// What somebody has begun to fill in stays as they have it.
function keepInput(old, fresh) {
  for (const field of old.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!isEdited(field)) continue;
    const form = field.form ? `form[action="${CSS.escape(field.form.getAttribute("action") ?? "")}"] ` : "";
    const same = fresh.querySelector(field.id ? `#${CSS.escape(field.id)}` : `${form}[name="${CSS.escape(field.name)}"]`);
    if (!same || same.type !== field.type) continue;
    if (field.type === "checkbox" || field.type === "radio") same.checked = field.checked;
    else if (same.options && ![...same.options].some((option) => option.value === field.value)) continue;
    else same.value = field.value;
  }
}

function isEdited(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (!field.options) return field.value !== field.defaultValue;
  const usual = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
  return field.value !== usual?.value;
}

// How the same element can be found in the fresh part.
function twin(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  const [name, value] = element.hasAttribute("href") ? ["href", element.getAttribute("href")] : ["type", element.getAttribute("type")];
  return value === null ? null : `${element.localName}[${name}="${CSS.escape(value)}"]`;
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
    const text = unit === "month" ? exact.format(at) : near ? "just now" : relative.format(Math.round(amount), unit);
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

  function open() {
    const source = new EventSource(url);
    source.addEventListener("open", () => (backoff = 200));
    source.addEventListener("fragment", (event) => {
      pulse.entry(event.lastEventId);
      place(JSON.parse(event.data));
    });
    source.addEventListener("usage", (event) => {
      used = JSON.parse(event.data);
      tellUsage(document);
    });
    source.addEventListener("hello", (event) => hello(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      source.close();
      if (!lostAt) lostAt = performance.now();
      say("The connection to the master was lost; trying another. Your vnodes go on.", true);
      setTimeout(open, backoff);
      backoff = Math.min(backoff * 2, BACKOFF_MS_MAX);
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  }
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
tellTimes(document);
setInterval(() => tellTimes(document), 20_000);
const main = document.querySelector("main[data-live]");
if (main) follow(main.dataset.live);
