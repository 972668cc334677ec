import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";

const KEY = `mgk_${"k".repeat(43)}`;
const OTHER = `mgk_${"o".repeat(43)}`;

let directory: string;
let file: string;
let gateway: FakeGateway;
const seen: (string | null)[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "m2mgw-cli-"));
  file = join(directory, "key");
  writeFileSync(file, `${KEY}\n`);
  gateway = await FakeGateway.start({
    gateway: {
      getStatus(_request, { requestHeader }: HandlerContext) {
        seen.push(requestHeader.get("authorization"));
        return {};
      },
    },
  });
});
afterAll(async () => {
  await gateway.close();
  rmSync(directory, { recursive: true });
});

async function sent(args: readonly string[], env: Record<string, string> = {}): Promise<string | null | undefined> {
  seen.length = 0;
  const { code, err } = await cli(["status", "--gateway", gateway.url, ...args], { env });
  expect([code, err]).toEqual([0, ""]);
  return seen[0];
}

describe("a caller's key", () => {
  it("is sent from a file, from the environment, or not at all", async () => {
    expect(await sent([])).toBeNull();
    expect(await sent(["--caller-key-file", file])).toBe(`Bearer ${KEY}`);
    expect(await sent([], { GATEWAY_CALLER_KEY_FILE: file })).toBe(`Bearer ${KEY}`);
    expect(await sent([], { GATEWAY_CALLER_KEY: OTHER, GATEWAY_CALLER_KEY_FILE: file })).toBe(`Bearer ${OTHER}`);
    expect(await sent(["--caller-key-file", file], { GATEWAY_CALLER_KEY: OTHER })).toBe(`Bearer ${KEY}`);
  });

  it.each([
    [["--caller-key-file", "/nowhere"], {}, "--caller-key-file: the file cannot be read (ENOENT)"],
    [[], { GATEWAY_CALLER_KEY: `${KEY}\n${OTHER}` }, "GATEWAY_CALLER_KEY: does not hold a caller's key"],
    [["--tls-cert", "/nowhere"], {}, "--tls-cert and --tls-key are given together"],
    [["--tls-ca", "/nowhere"], {}, "--tls-ca: the file cannot be read (ENOENT)"],
    [["--caller-key-file", KEY], {}, "a caller's key must not be on the command line"],
  ])("is refused, and not repeated: %j %j", async (args, env, message) => {
    const { code, err } = await cli(["status", "--gateway", gateway.url, ...args], { env });
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).not.toContain(KEY.slice(4));
  });
});
