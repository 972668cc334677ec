import { describe, expect, it } from "vitest";
import { parseOptions } from "../../bench/options.ts";

describe("the options of the benchmark", () => {
  it("take --json with a file and without", () => {
    expect(parseOptions(["--json", "out.json", "--quick"]).json).toBe("out.json");
    expect(parseOptions(["--json", "--quick"])).toMatchObject({ json: "-", quick: true });
    expect(parseOptions([]).json).toBeUndefined();
  });

  it("take lists of names", () => {
    expect(parseOptions(["--only", "8x16,tls", "--peers=grpc_go"])).toMatchObject({
      only: ["8x16", "tls"],
      peers: ["grpc_go"],
    });
  });

  it("refuse fewer rounds than a median needs", () => {
    expect(() => parseOptions(["--rounds", "2"])).toThrow("3 or more");
  });
});
