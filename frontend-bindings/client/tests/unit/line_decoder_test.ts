import assert from "node:assert/strict";
import test from "node:test";
import { LineDecoder, type Chunk, type LineDecoderOptions } from "../../src/line_decoder.js";

function decode(chunks: readonly Chunk[], options: Partial<LineDecoderOptions> = {}): string[] {
  const lines: string[] = [];
  const decoder = new LineDecoder((line) => lines.push(line), { lineLengthMax: 1_000, ...options });
  for (const chunk of chunks) decoder.push(chunk);
  return lines;
}

const lineEndOptional = true;

test("several lines in one chunk", () => {
  assert.deepEqual(decode(["one\ntwo\nthree\n"]), ["one", "two", "three"]);
});

test("a line in several chunks, text and bytes mixed", () => {
  assert.deepEqual(decode(["on", new TextEncoder().encode("e an"), [100, 32], "two\n"]), ["one and two"]);
});

test("LF, CR and CRLF end lines, also when a chunk ends between CR and LF", () => {
  assert.deepEqual(decode(["a\nb\rc\r\nd\r", "\ne\n"]), ["a", "b", "c", "d", "e"]);
});

test("blank lines and a byte order mark are skipped", () => {
  assert.deepEqual(decode(["\uFEFF{}\n\n  \n\r\n[]\n"]), ["{}", "[]"]);
  assert.deepEqual(decode([Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d, 0x0a)]), ["{}"]);
});

test("characters of several bytes survive every cut", () => {
  const text = '{"text":"aé€😀"}';
  const bytes = new TextEncoder().encode(`${text}\n`);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    assert.deepEqual(decode([bytes.subarray(0, cut), bytes.subarray(cut)]), [text]);
  }
  assert.deepEqual(decode([...bytes].map((byte) => [byte])), [text]);
});

test("a line without its line end is no line until the stream is over", () => {
  const lines: string[] = [];
  const decoder = new LineDecoder((line) => lines.push(line), { lineLengthMax: 10 });
  decoder.push("{}");
  assert.deepEqual(lines, []);
  decoder.end();
  assert.deepEqual(lines, ["{}"]);
});

test("where line ends may be missing, a complete message is a line", () => {
  assert.deepEqual(decode(['{"a":1}', '[{"b":2}]', '{"c":3}\n'], { lineEndOptional }), ['{"a":1}', '[{"b":2}]', '{"c":3}']);
});

test("where line ends may be missing, a part of a message is not mistaken for one", () => {
  assert.deepEqual(decode(['{"a":{}', ',"b":"}', '"}'], { lineEndOptional }), ['{"a":{},"b":"}"}']);
});

test("a line that is too long is skipped and reported once", () => {
  let reports = 0;
  const options = { lineLengthMax: 5, onLineTooLong: () => (reports += 1) };
  assert.deepEqual(decode(["123", "456", "789\nshort\n"], options), ["short"]);
  assert.equal(reports, 1);
});
