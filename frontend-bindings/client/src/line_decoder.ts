/** What a pipe delivers: text, or bytes in one of the forms that hosts use for them. */
export type Chunk = string | Uint8Array | readonly number[];

/** How a {@link LineDecoder} reads its input. */
export interface LineDecoderOptions {
  /** The longest line, in UTF-16 units. A longer one is skipped as it streams by. */
  lineLengthMax: number;
  /**
   * Whether a chunk may end a line although its line end was taken away, as hosts do that
   * deliver lines instead of bytes. A JSON object or array that is complete ends its line then:
   * no proper prefix of one is itself valid JSON, so that a mere part is never mistaken for it.
   */
  lineEndOptional?: boolean;
  /** Called once for each line that was skipped because it is too long. */
  onLineTooLong?: () => void;
}

/**
 * Cuts a stream of chunks into lines. A line ends at LF, CR or both; blank lines and a byte order
 * mark are skipped. Chunks may cut a line, and a character, anywhere.
 */
export class LineDecoder {
  readonly #onLine: (line: string) => void;
  readonly #options: LineDecoderOptions;
  readonly #utf8 = new TextDecoder();
  #parts: string[] = [];
  #length = 0;
  #skipping = false;

  constructor(onLine: (line: string) => void, options: LineDecoderOptions) {
    this.#onLine = onLine;
    this.#options = options;
  }

  /** Takes the next chunk and hands on the lines that it completes. */
  push(chunk: Chunk): void {
    const text = typeof chunk === "string" ? chunk : this.#decode(chunk);
    let start = 0;
    for (const match of text.matchAll(/[\r\n]/g)) {
      this.#append(text.slice(start, match.index));
      this.#endLine();
      start = match.index + 1;
    }
    this.#append(text.slice(start));
    if (this.#options.lineEndOptional === true && this.#isComplete()) this.#endLine();
  }

  /** Says that the stream is over; a line without a line end is handed on. */
  end(): void {
    this.#append(this.#utf8.decode());
    this.#endLine();
  }

  #decode(chunk: Uint8Array | readonly number[]): string {
    return this.#utf8.decode(chunk instanceof Uint8Array ? chunk : Uint8Array.from(chunk), { stream: true });
  }

  #append(text: string): void {
    if (text === "" || this.#skipping) return;
    this.#length += text.length;
    if (this.#length <= this.#options.lineLengthMax) {
      this.#parts.push(text);
      return;
    }
    this.#skipping = true;
    this.#parts = [];
    this.#options.onLineTooLong?.();
  }

  #endLine(): void {
    const line = this.#parts.join("").replace(/^\uFEFF/, "");
    this.#parts = [];
    this.#length = 0;
    this.#skipping = false;
    if (line.trim() !== "") this.#onLine(line);
  }

  #isComplete(): boolean {
    const end = this.#parts.at(-1)?.trimEnd().at(-1);
    if (end !== "}" && end !== "]") return false;
    try {
      JSON.parse(this.#parts.join(""));
      return true;
    } catch {
      return false;
    }
  }
}
