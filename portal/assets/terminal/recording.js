// What a shell prints, kept as an asciicast: https://docs.asciinema.org/manual/asciicast/v2/

const LETTERS_MAX = 50_000_000;

export class Recording {
  constructor({ cols, rows, title, screen }) {
    this.began = performance.now();
    this.decoder = new TextDecoder();
    this.letters = 0;
    const header = { version: 2, width: cols, height: rows, timestamp: Math.floor(Date.now() / 1000), title, env: { TERM: "xterm-256color" } };
    this.lines = [JSON.stringify(header)];
    this.note("o", screen);
  }

  note(kind, text) {
    const seconds = (performance.now() - this.began) / 1000;
    this.lines.push(JSON.stringify([Number(seconds.toFixed(6)), kind, text]));
    this.letters += text.length;
    if (this.letters > LETTERS_MAX) this.stop();
  }

  print(bytes) {
    this.note("o", this.decoder.decode(bytes, { stream: true }));
  }

  resize(cols, rows) {
    this.note("r", `${cols}x${rows}`);
  }

  stop() {
    const { onStop } = this;
    this.onStop = null;
    onStop?.();
  }

  save(name) {
    const file = new Blob([`${this.lines.join("\n")}\n`], { type: "application/x-asciicast" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    const at = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    link.download = `${name.replaceAll(/[^a-z0-9-]+/gi, "-")}-${at}.cast`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }
}

// The header and the events of a recording.
//
// Throws what it says to the reader if the text is none.
export function parse(text) {
  const [first, ...rest] = text.split("\n").filter((line) => line.trim());
  const read = (line, number) => {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`Line ${number} is no JSON: this is no asciicast.`);
    }
  };
  const header = read(first ?? "", 1);
  const sized = [header?.width, header?.height].every((size) => Number.isInteger(size) && size > 0 && size <= 1000);
  if (header?.version !== 2 || !sized) throw new Error("This is no asciicast of version 2.");
  let last = 0;
  const events = rest.map((line, index) => {
    const event = read(line, index + 2);
    const [at, kind, data] = Array.isArray(event) ? event : [];
    if (!Number.isFinite(at) || at < last || typeof kind !== "string" || typeof data !== "string") throw new Error(`Line ${index + 2} is no event of an asciicast.`);
    last = at;
    return { at, kind, data };
  });
  return { header, events, seconds: last };
}
