// Keys that the keyboards of phones lack. Ctrl is held until the next character.

export class Keys {
  constructor(place, pane) {
    this.place = place;
    this.pane = pane;
    const arrow = (letter) => () => this.send(`${pane().terminal.modes.applicationCursorKeysMode ? "\x1bO" : "\x1b["}${letter}`);
    this.add("Esc", "Escape", () => this.send("\x1b"));
    this.add("Tab", "Tab", () => this.send("\t"));
    this.ctrl = this.add("Ctrl", "Control, for the next character", () => this.hold(this.ctrl.getAttribute("aria-pressed") !== "true"));
    this.hold(false);
    this.add("↑", "Up", arrow("A"));
    this.add("↓", "Down", arrow("B"));
    this.add("←", "Left", arrow("D"));
    this.add("→", "Right", arrow("C"));
  }

  send(text) {
    this.pane().type(text);
  }

  hold(held) {
    this.ctrl.setAttribute("aria-pressed", String(held));
  }

  // What is typed, with Ctrl if that is held.
  held(text) {
    if (this.ctrl.getAttribute("aria-pressed") !== "true") return text;
    this.hold(false);
    return /^[a-z@[\\\]^_ ]$/i.test(text) ? String.fromCharCode(text.toUpperCase().charCodeAt(0) & 31) : text;
  }

  add(label, name, press) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "quiet";
    made.textContent = label;
    made.setAttribute("aria-label", name);
    // The keyboard stays open: the terminal keeps the focus.
    made.addEventListener("pointerdown", (event) => event.preventDefault());
    made.addEventListener("click", () => {
      press();
      this.pane().focus();
    });
    this.place.append(made);
    return made;
  }
}
