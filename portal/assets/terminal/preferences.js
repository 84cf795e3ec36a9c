// What the reader likes about terminals, kept in this browser.

const KEY = "docklet-terminal-preferences";
const USUAL = { fontSize: 14, copyOnSelect: false, screenReader: false, guard: true };

export class Preferences extends EventTarget {
  constructor() {
    super();
    this.values = { ...USUAL };
    try {
      for (const [name, value] of Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"))) {
        if (typeof value === typeof USUAL[name]) this.values[name] = value;
      }
    } catch {
      // What is kept there is no choice of ours.
    }
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.values[name] = value;
    localStorage.setItem(KEY, JSON.stringify(this.values));
    this.dispatchEvent(new Event("change"));
  }
}
