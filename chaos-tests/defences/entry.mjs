// How a defence is written down, and how it is taken away: by a switch in the source that is off unless its name is asked for, so
// that one program has all of them, and each test of one runs with it there and with it gone.

// The variable that names the defence that is gone.
export const GONE = "DOCKLET_DEFENCE_GONE";

const word = "IS_GONE";
// The switch as the source has it.
const asked = (name, file) => (isScript(file) ? `(globalThis.dockletDefenceGone === "${name}")` : `std::env::var_os("${GONE}").is_some_and(|gone| gone == "${name}")`);

// Scripts of pages; tests in a browser tell each page what is gone (chaos-tests/browser/pages.mjs).
export const isScript = (file) => file.endsWith(".js");

// One place: the text of the defence, which stands there once, and what takes its place; `IS_GONE` in that is the switch.
export const edit = (file, text, instead) => ({ file, text, instead });

// A statement that is left out.
export const skipped = (file, text, before = "", after = "") => edit(file, before + text + after, `${before}if !${word} { ${text} }${after}`);

// A condition that never holds, or always; what stands before and after it says which one is meant.
export const never = (file, text, before = "", after = "") => edit(file, before + text + after, `${before}(!${word} && (${text}))${after}`);
export const always = (file, text, before = "", after = "") => edit(file, before + text + after, `${before}(${word} || (${text}))${after}`);

// Tests by which one is missed; some in a file of its own need others before them.
export const rust = (room, target, name, env = {}) => ({ room, target, name, env });
export const story = (name) => rust("control", "stories", "every_story_ends_as_told", { STORY: name });
export const node = (file, name, ...after) => ({ file, name, after });

// Where a defence of an entry begins in its source, one for each place; throws if it stands there never, or twice.
export function places(entry, read) {
  return entry.edits.map(({ file, text }) => {
    const source = read(file);
    const at = source.indexOf(text);
    if (at < 0) throw new Error(`${entry.name}: ${file} does not have: ${text}`);
    if (source.indexOf(text, at + 1) >= 0) throw new Error(`${entry.name}: ${file} has it more than once: ${text}`);
    return { file, at, end: at + text.length };
  });
}

// The sources with a switch at each defence. Where one stands in another's text both are named: each place is one's.
export function switched(entries, read) {
  const edits = new Map();
  for (const entry of entries) {
    places(entry, read).forEach(({ file, at, end }, nth) => {
      const instead = entry.edits[nth].instead.replaceAll(word, asked(entry.name, file));
      if (!edits.has(file)) edits.set(file, []);
      edits.get(file).push({ at, end, instead, name: entry.name });
    });
  }
  const sources = new Map();
  for (const [file, found] of edits) {
    let source = read(file);
    found.sort((one, other) => other.at - one.at);
    found.forEach((later, nth) => {
      const earlier = found[nth + 1];
      if (earlier && earlier.end > later.at) throw new Error(`${earlier.name} and ${later.name} are in each other's way in ${file}`);
      source = source.slice(0, later.at) + later.instead + source.slice(later.end);
    });
    sources.set(file, source);
  }
  return sources;
}
