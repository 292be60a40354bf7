// Small pieces of terminal output: colours where there is a terminal, plain text where there is none.

const levels = "▁▂▃▄▅▆▇█";

/** Whether output goes to a person's terminal, which can be repainted. */
export const interactive = process.stdout.isTTY === true && process.env.TERM !== "dumb";
const coloured = interactive && process.env.NO_COLOR === undefined;

const paint = (code) => (text) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : String(text));
export const bold = paint("1");
export const dim = paint("2");
export const green = paint("32");
export const yellow = paint("33");
export const red = paint("31");
export const cyan = paint("36");

/** The last `width` values as a line of bars, scaled to their largest. */
export function sparkline(values, width) {
  const shown = values.slice(-width);
  const largest = Math.max(...shown, Number.MIN_VALUE);
  const bar = (value) => levels[Math.min(levels.length - 1, Math.floor((value / largest) * levels.length))];
  return shown.map(bar).join("").padEnd(width);
}

/** A bar of `width` characters, filled to `share` (0 to 1). */
export function gauge(share, width) {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * width);
  return "█".repeat(filled) + dim("░".repeat(width - filled));
}

/** Paints the same block of lines over and over, in place. */
export class Screen {
  #height = 0;

  paint(lines) {
    const up = this.#height > 0 ? `\u001b[${this.#height}A` : "";
    process.stdout.write(`\u001b[?25l${up}${lines.map((line) => `\u001b[2K${line}\n`).join("")}`);
    this.#height = lines.length;
  }

  /** Leaves the block as it is and gives the cursor back. */
  end() {
    if (this.#height > 0) process.stdout.write("\u001b[?25h");
  }
}

/** A text of at most `width` characters, cut where it is longer. */
export const clip = (text, width) => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

/** A number with thousands separated. */
export const count = (value) => Math.round(value).toLocaleString("en-US");

/** A number of bytes in the unit that suits it. */
export function bytes(value) {
  if (value < 1024) return `${Math.round(value)} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(Math.floor(Math.log2(value) / 10), units.length);
  return `${(value / 2 ** (10 * step)).toFixed(1)} ${units[step - 1]}`;
}

/** A duration given in microseconds, in the unit that suits it. */
export function duration(us) {
  if (us < 1) return `${Math.round(us * 1_000)} ns`;
  if (us < 1_000) return `${us < 10 ? us.toFixed(1) : Math.round(us)} us`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 10_000 ? 2 : 1)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** A share of 0 to 1 in percent. */
export const percent = (share) => `${(share * 100).toFixed(1)} %`;
