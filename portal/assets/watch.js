// Notices that nothing comes any more over a connection that seems to be there: its master stands still. Masters say something
// every two seconds at least.

const SILENCE_MS_MAX = 6000;
const LOOK_EVERY_MS = 1000;

export class Watch {
  // Calls `silent` once after each begin, when nothing was heard for too long.
  constructor(silent) {
    this.silent = silent;
  }

  begin() {
    this.end();
    this.at = this.looked = performance.now();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  heard() {
    this.at = performance.now();
  }

  look() {
    const now = performance.now();
    // This page itself stood still, or sleeps: what came meanwhile has not been heard yet.
    if (now - this.looked > 2 * LOOK_EVERY_MS) this.at = now;
    this.looked = now;
    if (now - this.at < SILENCE_MS_MAX) return;
    this.end();
    this.silent();
  }

  end() {
    clearInterval(this.timer);
  }
}
