import { describe, expect, it } from "vitest";
import { Digester } from "./digest.ts";
import { MAX_SECRET_LENGTH } from "./token-form.ts";

const PREFIX = Buffer.alloc(32, 1);

describe("Digester", () => {
  it("gives one digest per scope and string, and another in another process", () => {
    const digester = new Digester("scope", PREFIX);
    expect(digester.of("mt_a")).toBe(digester.of("mt_a"));
    const others = [
      digester.of("mt_b"),
      new Digester("scopf", PREFIX).of("mt_a"),
      new Digester("scop", PREFIX).of("emt_a"),
      new Digester("scope").of("mt_a"),
    ];
    expect(new Set([digester.of("mt_a"), ...others]).size).toBe(5);
  });

  it("does not contain the secret", () => {
    expect(new Digester("scope").of("mt_secret")).not.toContain("secret");
  });

  it.each(["", "a", "mt_a", "eyJ9.e30.AA", "größer ✓ 𝄞", "x".repeat(MAX_SECRET_LENGTH)])(
    "gives the bytes of a string the digest of the string, wherever they lie (%.10s)",
    (text) => {
      const digester = new Digester("scope");
      const around = Buffer.concat([Buffer.from("before"), Buffer.from(text), Buffer.from("after")]);
      for (let time = 0; time < 2; time += 1) {
        expect(digester.ofBytes(around, 6, around.length - 5)).toBe(digester.of(text));
      }
      expect(digester.ofBytes(Buffer.from("mt_b"), 0, 4)).toBe(digester.of("mt_b"));
    },
  );

  it("gives bytes that are no UTF-8 a digest of no string", () => {
    const digester = new Digester("scope");
    const bytes = Buffer.from([0x6d, 0x74, 0x5f, 0xff]);
    expect(digester.ofBytes(bytes, 0, 4)).not.toBe(digester.of(bytes.toString("utf8")));
    expect(digester.ofBytes(bytes, 0, 4)).not.toBe(digester.of(bytes.toString("latin1")));
  });

  it("gives others once its scope has changed, and others again when it comes back, alike for strings and bytes", () => {
    const digester = new Digester("scope");
    const bytes = Buffer.from("mt_a");
    const digests = [digester.ofBytes(bytes, 0, 4)];
    for (const scope of ["other", "scope"]) {
      digester.useScope(scope);
      expect(digester.ofBytes(bytes, 0, 4)).toBe(digester.of("mt_a"));
      digests.push(digester.of("mt_a"));
    }
    expect(new Set(digests).size).toBe(3);
  });
});
