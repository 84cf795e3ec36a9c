// Questions that a terminal asks before something happens that could harm.

// The label of the button that was chosen; undefined if none was.
export function choose({ title, text, preview, buttons }) {
  const dialog = document.createElement("dialog");
  const head = document.createElement("h2");
  head.textContent = title;
  head.id = "terminal-question";
  dialog.setAttribute("aria-labelledby", head.id);
  const body = document.createElement("p");
  body.textContent = text;
  dialog.append(head, body);
  if (preview !== undefined) {
    const shown = document.createElement("pre");
    shown.className = "preview";
    shown.tabIndex = 0;
    shown.setAttribute("aria-label", "What it is");
    shown.textContent = visible(preview);
    dialog.append(shown);
  }
  const actions = document.createElement("div");
  actions.className = "actions";
  let chosen;
  const made = buttons.map((label, number) => {
    const button = document.createElement("button");
    button.className = number === 0 ? "button" : "button secondary";
    button.textContent = label;
    button.addEventListener("click", () => {
      chosen = label;
      dialog.close();
    });
    return button;
  });
  actions.append(...made);
  dialog.append(actions);
  document.body.append(dialog);
  const before = document.activeElement;
  return new Promise((answer) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus?.();
      answer(chosen);
    });
    dialog.showModal();
    made.at(-1).focus();
  });
}

const PREVIEW_LETTERS = 2000;
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

// Text with a mark for each sign that would not be seen.
export function visible(text) {
  const shown = text.length > PREVIEW_LETTERS ? `${text.slice(0, PREVIEW_LETTERS)}\n…` : text;
  return shown.replace(HIDDEN, (sign) => (sign < " " ? String.fromCharCode(0x2400 + sign.charCodeAt(0)) : "\u{fffd}"));
}

// A text of a program on one line, without signs that could pretend to be something else.
export const oneLine = (text, letters) => text.replace(/\s+/g, " ").replace(HIDDEN, "").trim().slice(0, letters);
