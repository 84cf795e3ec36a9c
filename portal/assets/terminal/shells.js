// Shells of this person that go on in a vnode: those that nobody looks at, and those in other pages. The first terminal of a new
// tab takes the one that was left last; the others can be opened from a list.

const ANSWER_MS_MAX = 3000;
const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", Infinity]];

export function ago(ms) {
  let amount = ms / 1000;
  for (const [unit, size] of STEPS) {
    if (amount < size) return relative.format(-Math.round(amount), unit);
    amount /= size;
  }
}

// Those of a vnode, the one that was left last first; none if that cannot be told now.
async function running(vcluster, vnode) {
  const options = { headers: { accept: "application/json" }, signal: AbortSignal.timeout(ANSWER_MS_MAX) };
  const answer = await fetch(`/api/v1/vclusters/${vcluster}/vnodes/${vnode}/terminals`, options).catch(() => null);
  return (answer?.ok && (await answer.json().catch(() => null))) || [];
}

export const isLeft = (shell) => typeof shell.alone_ms === "number";

// The one to which somebody comes back who opens a new page.
export const lastLeft = async (vcluster, vnode) => (await running(vcluster, vnode)).find(isLeft);

// What opens them from the bar.
export class Shells {
  constructor({ vcluster, desk, vnodeOf }) {
    Object.assign(this, { vcluster, desk, vnodeOf });
    this.element = document.createElement("details");
    this.element.className = "options shells";
    this.summary = document.createElement("summary");
    this.box = document.createElement("div");
    this.element.append(this.summary, this.box);
    this.show([]);
    this.element.addEventListener("toggle", () => this.element.open && this.look());
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.element.open = false;
      desk.active.focus();
    });
  }

  // Asks which there are now.
  async look() {
    const vnode = this.vnodeOf();
    const all = await running(this.vcluster, vnode);
    const shown = new Set(this.desk.panes.map((pane) => pane.session));
    this.show(all.filter(({ session }) => !shown.has(session)), vnode);
  }

  show(shells, vnode) {
    const count = shells.length;
    this.summary.textContent = count ? `${count} ${count === 1 ? "shell goes" : "shells go"} on` : "Shells";
    this.element.toggleAttribute("data-some", count > 0);
    if (!count) {
      const none = document.createElement("p");
      none.textContent = "No other shell of yours goes on here. One that you leave stays for a week.";
      this.box.replaceChildren(none);
      return;
    }
    this.box.replaceChildren(...shells.map((shell) => this.opener(shell, vnode)));
  }

  opener(shell, vnode) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    const since = isLeft(shell) ? `left ${ago(shell.alone_ms)}` : "open in another page";
    button.textContent = `Open the one begun ${ago(shell.age_ms)}, ${since}`;
    button.addEventListener("click", () => {
      this.element.open = false;
      this.desk.addTab(vnode, shell.session);
      this.look();
    });
    return button;
  }
}
