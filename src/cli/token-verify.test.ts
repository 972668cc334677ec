import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli, startCli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { JWT, SECRET, SUBJECT, TOKEN_ID, token } from "../../test/support/cli/samples.ts";
import { JwtCheck, Source, Verdict, type VerifyTokenRequest } from "../gen/m2mgateway/v1/token_service_pb.ts";

describe("token verify", () => {
  let gateway: FakeGateway;
  let requests: VerifyTokenRequest[];
  let verdict: Verdict;
  let failedCheck: JwtCheck;
  let env: Record<string, string>;

  beforeEach(async () => {
    requests = [];
    verdict = Verdict.VALID;
    failedCheck = JwtCheck.UNSPECIFIED;
    gateway = await FakeGateway.start({
      tokens: {
        verifyToken(request) {
          requests.push(request);
          const observedTime = timestampFromMs(Date.UTC(2026, 10, 23, 12, 0, 1));
          return {
            verdict,
            token: token(),
            source: Source.MEMORY,
            cursor: "e.4-0",
            observedTime,
            degraded: true,
            failedCheck,
          };
        },
      },
    });
    env = { GATEWAY_URL: gateway.url };
  });

  afterEach(() => gateway.close());

  it("prints the verdict and where it came from, never the secret", async () => {
    const { code, out, err } = await cli(["token", "verify"], { env, stdin: `${SECRET}\n` });
    expect(code).toBe(0);
    expect(out).toMatch(/^VALID\n/);
    for (const part of [TOKEN_ID, SUBJECT, "MEMORY", "2026-11-23T12:00:01Z", "e.4-0", "not in its normal state"]) {
      expect(out).toContain(part);
    }
    expect(out + err).not.toContain(SECRET);
    expect(requests[0]?.token).toBe(SECRET);
  });

  it("explains the check that a JWT failed", async () => {
    verdict = Verdict.NOT_GRANTED;
    failedCheck = JwtCheck.GRANT;
    const { out } = await cli(["token", "verify"], { env, stdin: JWT });
    expect(out).toContain("GRANT: neither aud nor scopes names the machine");
    failedCheck = 99 as JwtCheck;
    expect((await cli(["token", "verify"], { env, stdin: JWT })).out).toContain("the gateway is newer");
  });

  it("prints one JSON object", async () => {
    const { code, out } = await cli(["token", "verify", "--output", "json"], { env, stdin: SECRET });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      verdict: "VERDICT_VALID",
      source: "SOURCE_MEMORY",
      token: { id: TOKEN_ID },
    });
    expect(out.trimEnd()).not.toContain("\n");
  });

  it.each([Verdict.REVOKED, Verdict.EXPIRED, Verdict.NOT_GRANTED, Verdict.INVALID, Verdict.UNSPECIFIED])(
    "answers verdict %i with exit code 1",
    async (answer) => {
      verdict = answer;
      expect(await cli(["token", "verify"], { env, stdin: SECRET })).toMatchObject({
        code: 1,
        out: expect.stringMatching(new RegExp(`^${Verdict[answer]}\n`)),
      });
    },
  );

  it("prints nothing with --quiet, whatever the verdict", async () => {
    expect(await cli(["token", "verify", "--quiet"], { env, stdin: SECRET })).toEqual({ code: 0, out: "", err: "" });
    verdict = Verdict.REVOKED;
    expect(await cli(["token", "verify", "--quiet"], { env, stdin: SECRET })).toEqual({ code: 1, out: "", err: "" });
  });

  it("takes the token from M2M_TOKEN, or from standard input where `-` asks for it", async () => {
    const both = { env: { ...env, M2M_TOKEN: SECRET }, stdin: `Bearer ${JWT}\n` };
    const fromEnv = await cli(["token", "verify"], both);
    const fromInput = await cli(["token", "verify", "-"], both);
    const quiet = await cli(["token", "verify", "--quiet"], both);
    expect(requests.map((request) => request.token)).toEqual([SECRET, JWT, SECRET]);
    expect(fromEnv.err).toContain("using the token in M2M_TOKEN");
    expect(fromInput.err + quiet.err).toBe("");
  });

  it("asks at a terminal what to paste, and does not show it", async () => {
    const call = startCli(["token", "verify"], { env, tty: true });
    call.type(`${SECRET}\r`);
    expect(await call.exit).toBe(0);
    expect(call.err()).toContain("Paste the token");
    expect(call.out() + call.err()).not.toContain(SECRET);
    expect(requests[0]?.token).toBe(SECRET);
  });

  it("ends when interrupted while it waits for a token", async () => {
    const pasting = startCli(["token", "verify"], { env, tty: true });
    pasting.interrupt();
    expect(await pasting.exit).toBe(2);
    const ctrlC = startCli(["token", "verify"], { env, tty: true });
    ctrlC.type("mt_half\u0003");
    expect(await ctrlC.exit).toBe(2);
    expect(requests).toEqual([]);
  });

  it("sends age, cursor and policy as given, and no policy where none was given", async () => {
    const options = ["--max-age", "0", "--min-cursor", "e.9-0", "--allow-subject", SUBJECT];
    const claims = ["--require-claim", 'role="admin"', "--require-claim", 'limits={"a":1}'];
    await cli(["token", "verify", ...options, ...claims], { env, stdin: SECRET });
    await cli(["token", "verify"], { env, stdin: SECRET });
    expect(requests[0]).toMatchObject({
      maxAge: { seconds: 0n },
      minCursor: "e.9-0",
      policy: { allowedSubjects: [SUBJECT], requiredClaims: { role: "admin", limits: { a: 1 } } },
    });
    expect([requests[1]?.maxAge, requests[1]?.minCursor, requests[1]?.policy]).toEqual([undefined, "", undefined]);
  });

  it.each([
    ["no token", [], ""],
    ["two tokens", [], "mt_one\nmt_two\n"],
    ["bytes that are not text", [], Buffer.from([0xff, 0xfe, 0x00])],
    ["a claim without a value", ["--require-claim", "role"], SECRET],
    ["a claim that is not JSON", ["--require-claim", "role=admin"], SECRET],
    ["a claim named __proto__", ["--require-claim", "__proto__=1"], SECRET],
    ["a subject that is no machine", ["--allow-subject", "me"], SECRET],
  ])("refuses %s with exit code 2 and without asking", async (_, args, stdin) => {
    const { code, out, err } = await cli(["token", "verify", ...args], { env, stdin });
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^error: /);
    expect(requests).toEqual([]);
  });
});
