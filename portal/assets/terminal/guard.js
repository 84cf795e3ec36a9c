// What goes between a terminal and the reader's clipboard and browser, and only after the reader has said so.

import { choose, visible } from "./dialog.js";

const CLIPBOARD_BYTES_MAX = 100_000;
const ESC = /\x1b/g;

// Whether a text may be pasted, and what of it: several lines may be commands that run at once, and an escape could end the
// marks around what is pasted.
export async function pasteable(text, place, preferences) {
  const clean = text.replace(ESC, "");
  const lines = clean.replace(/\r?\n$/, "").split(/\r\n|\r|\n/).length;
  if (lines < 2 && clean === text) return clean;
  if (!preferences.get("guard") && clean === text) return clean;
  const escapes = text.length - clean.length;
  const answer = await choose({
    title: `Paste ${lines === 1 ? "this" : `${lines} lines`} into ${place}?`,
    text: escapes ? `${escapes} escape characters are left out. A shell may run each line at once.` : "A shell may run each line at once.",
    preview: clean,
    buttons: ["Paste", "Cancel"],
  });
  return answer === "Paste" ? clean : null;
}

// OSC 52: a program may offer text for the clipboard, and never reads it.
export function clipboard(terminal, place) {
  let standing = null;
  terminal.parser.registerOscHandler(52, (data) => {
    const [, encoded = ""] = data.split(";");
    if (encoded === "?" || encoded.length > CLIPBOARD_BYTES_MAX * 1.4 || standing === "never") return true;
    const text = decode(encoded);
    if (text !== null) offer(text);
    return true;
  });

  async function offer(text) {
    if (standing === "asking") return;
    const before = standing;
    standing = "asking";
    const answer =
      before === "always"
        ? "Always here"
        : await choose({
            title: `A program in ${place} wants to fill your clipboard`,
            text: `It offers ${text.length} characters. Whatever you paste next would be this.`,
            preview: text,
            buttons: ["Allow once", "Always here", "Never here", "Refuse"],
          });
    standing = { "Always here": "always", "Never here": "never" }[answer] ?? null;
    if (answer === "Allow once" || answer === "Always here") await copy(text);
  }
}

function decode(encoded) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(encoded), (sign) => sign.charCodeAt(0)));
  } catch {
    return null;
  }
}

export const copy = (text) => navigator.clipboard?.writeText(text).catch(() => {});

// A link may show one address and lead to another: who follows it sees where it leads.
export async function follow(event, address, shown) {
  let url;
  try {
    url = new URL(address);
  } catch {
    return;
  }
  if (!["http:", "https:"].includes(url.protocol)) return;
  if (shown !== address) {
    const answer = await choose({ title: "Follow this link?", text: `It leads to ${url.host}.`, preview: visible(url.href), buttons: ["Open", "Cancel"] });
    if (answer !== "Open") return;
  }
  open(url.href, "_blank", "noopener,noreferrer");
}
