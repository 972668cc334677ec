import { expect, it } from "vitest";
import { visibleText } from "./visible-text.ts";

it("is the text of bytes that are visible ASCII, every one of them, and nothing else", () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const bytes = Buffer.from([0x20, 0x61, byte, 0x62, 0x0a]);
    const isVisible = byte >= 0x21 && byte <= 0x7e;
    expect(visibleText(bytes, 1, 4)).toBe(isVisible ? `a${String.fromCharCode(byte)}b` : undefined);
  }
});
