import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { paintFor } from "./paint.ts";
import { plainJson, plainLines, plainText } from "./plain-text.ts";
import { fields, spanText, table, timeFromNow, timeText } from "./text-layout.ts";

const plain = paintFor(false);

describe("text on a terminal", () => {
  it("loses what could move the cursor, start an escape sequence or reverse a line", () => {
    expect(plainText("a\u0000\u0007\u001b[31m\u007f\u0085\u009b\u200f\u202e\u2066\u2028b")).toBe("a[31mb");
    expect(plainText("one\r\ntwo\tthree")).toBe("one two three");
    expect(plainLines("one\u001b\ntwo")).toBe("one\ntwo");
    expect(plainText("Grüße, 世界 👋")).toBe("Grüße, 世界 👋");
  });

  it("keeps its value as JSON while its unsafe characters are escaped", () => {
    const value = { reason: "\u009b31m \u202e \u2028 \u007f \u001b ok" };
    const text = plainJson(JSON.stringify(value));
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(text)).toEqual(value);
  });

  it("is aligned by what is seen, colours left out", () => {
    const rows = [
      [{ text: "a", format: "red" as const }, { text: "x" }],
      [{ text: "longer\u0007" }, { text: "" }],
    ];
    expect(table(["H", "VALUE"], rows, plain)).toBe("H       VALUE\na       x\nlonger");
    const colored = table(["H", "VALUE"], rows, paintFor(true));
    expect(colored.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g"), "")).toBe(
      table(["H", "VALUE"], rows, plain),
    );
  });

  it("leaves out fields without a value", () => {
    const entries = [
      ["id", "x"],
      ["reason", ""],
      ["claims", undefined],
    ] as const;
    expect(fields(entries, plain)).toBe("  id  x");
  });

  it.each([
    [0, "0ms"],
    [999, "999ms"],
    [1500, "1.5s"],
    [59_999, "1m"],
    [3_599_000, "59m 59s"],
    [3 * 86_400_000 + 3_600_000 + 59_000, "3d 1h"],
  ])("says %i ms as %s", (ms, text) => {
    expect(spanText(ms)).toBe(text);
  });

  it("survives a time that no clock can show", () => {
    const beyond = create(TimestampSchema, { seconds: 10n ** 17n });
    expect(timeText(beyond)).toBe("out of range");
    expect(timeFromNow(beyond, 0)).toContain("out of range");
  });
});
