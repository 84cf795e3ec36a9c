// The bar above the terminals: search, copy, panes, recording, and what the reader likes.

import { choose } from "./dialog.js";
import { copy } from "./guard.js";
import { Shells } from "./shells.js";

export class Tools {
  constructor({ place, desk, preferences, vcluster, vnodes, shareAt }) {
    Object.assign(this, { place, desk, preferences, shareAt });
    this.find = this.searchField();
    this.missed = document.createElement("span");
    this.missed.className = "muted";
    this.missed.setAttribute("role", "status");
    place.append(this.find, this.missed);
    this.button("Copy", () => copy(this.pane.terminal.getSelection()), "Copies what is marked (Ctrl+Shift+C)");
    this.button("Paste", async () => this.pane.paste(await navigator.clipboard.readText()), "Pastes from the clipboard");
    const watches = shareAt === undefined;
    if (!watches) {
      this.vnode = this.vnodeField(vnodes);
      this.button("New tab", () => desk.addTab(this.vnode.value), "Another terminal in a tab");
      this.button("Split right", () => desk.split("row", this.vnode.value), "Another terminal beside this one (Ctrl+Shift+E)");
      this.button("Split down", () => desk.split("column", this.vnode.value), "Another terminal below this one (Ctrl+Shift+D)");
      this.closing = this.button("Close", () => desk.closeActive(), "Leaves this terminal (Ctrl+Shift+X)");
      this.share = document.createElement("a");
      this.share.className = "button small secondary";
      this.share.textContent = "Share";
      this.share.title = "Lets others look on, or type, by a link that ends";
      this.share.target = "_blank";
      place.append(this.share);
      this.shells = new Shells({ vcluster, desk, vnodeOf: () => this.vnode.value });
      place.append(this.shells.element);
      this.vnode.addEventListener("change", () => this.shells.look());
      this.recording = this.button("Record", () => this.toggleRecording(), "Keeps what is printed, for a replay");
    }
    this.renewing = this.button("New shell", () => desk.renew(), "Begins a new shell in place of the one that ended");
    place.append(this.options());
    desk.addEventListener("change", () => this.tell());
  }

  get pane() {
    return this.desk.active;
  }

  // What the buttons say depends on the pane in front.
  tell() {
    const { pane, desk } = this;
    this.renewing.hidden = pane.status.state !== "ended" || this.shareAt === undefined;
    if (!this.share) return;
    this.closing.disabled = desk.panes.length === 1;
    this.vnode.value = pane.vnode;
    this.share.href = this.shareAt(pane);
    if (this.knownAt !== pane.vnode) {
      this.knownAt = pane.vnode;
      this.shells.look();
    }
    this.recording.textContent = pane.recording ? "Stop recording" : "Record";
    this.recording.setAttribute("aria-pressed", String(Boolean(pane.recording)));
  }

  async toggleRecording() {
    const { pane } = this;
    if (pane.recording) {
      const { recording } = pane;
      recording.stop();
      recording.save(pane.name);
      return;
    }
    const answer = await choose({
      title: `Record ${pane.name}?`,
      text: "All that this shell prints from now on, passwords that it shows too, is kept in this browser until you stop, and then saved as a file. Everybody who looks at this shell sees that it is recorded. What is typed is not kept, but for what the shell shows of it.",
      buttons: ["Record", "Cancel"],
    });
    if (answer === "Record") pane.record();
  }

  searchField() {
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Search";
    field.title = "Searches in what was printed (Ctrl+Shift+F, which also leaves the terminal)";
    field.setAttribute("aria-label", "Search in the terminal");
    field.addEventListener("keydown", (event) => {
      const { search } = this.pane;
      const seek = () => (event.shiftKey ? search.findPrevious(field.value) : search.findNext(field.value));
      const missing = event.key === "Enter" && field.value && !seek();
      this.missed.textContent = missing ? "not found" : "";
      if (event.key === "Escape") this.pane.focus();
    });
    return field;
  }

  vnodeField(vnodes) {
    const field = document.createElement("select");
    field.setAttribute("aria-label", "Vnode of new terminals");
    field.append(...vnodes.map((vnode) => new Option(vnode, vnode)));
    field.hidden = vnodes.length < 2;
    this.place.append(field);
    return field;
  }

  button(label, act, title) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "quiet";
    made.textContent = label;
    made.title = title;
    made.addEventListener("click", async () => {
      await act();
      this.pane.focus();
    });
    this.place.append(made);
    return made;
  }

  options() {
    const details = document.createElement("details");
    details.className = "options";
    const summary = document.createElement("summary");
    summary.textContent = "Options";
    const box = document.createElement("div");
    details.append(summary, box);
    box.append(
      this.choice("copyOnSelect", "Copy what I mark at once"),
      this.choice("guard", "Ask before several lines are pasted"),
      this.choice("screenReader", "Screen reader mode"),
    );
    const sizes = document.createElement("p");
    sizes.className = "labelled";
    sizes.append("Letters ", this.sizer("A−", "Smaller letters", -1), this.sizer("A+", "Larger letters", 1));
    const replay = document.createElement("a");
    replay.href = "/replay";
    replay.textContent = "Replay a recording";
    box.append(sizes, replay);
    details.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      details.open = false;
      this.pane.focus();
    });
    return details;
  }

  choice(name, words) {
    const label = document.createElement("label");
    label.className = "labelled";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = this.preferences.get(name);
    box.addEventListener("change", () => this.preferences.set(name, box.checked));
    label.append(box, words);
    return label;
  }

  sizer(label, name, by) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "quiet";
    made.textContent = label;
    made.setAttribute("aria-label", name);
    made.addEventListener("click", () => this.preferences.set("fontSize", Math.min(32, Math.max(8, this.preferences.get("fontSize") + by))));
    return made;
  }
}
