import { hash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ResetReason } from "../../src/gen/m2mgateway/v1/revocation_service_pb.ts";
import { Verdict } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import { failureOf, failuresOf, type Hostile, startHostile } from "../support/hostile-fixture.ts";

let hostile: Hostile;
let subject: string;
beforeAll(async () => {
  hostile = await startHostile({ env: { CLERK_TIMEOUT_MS: "1500", CLERK_ATTEMPT_TIMEOUT_MS: "1000" } });
  subject = hostile.emulator.machine("billing").id;
  for (let index = 0; index < 5; index++) {
    const { id } = await hostile.mint();
    await hostile.clients.tokens.revokeToken({ target: { case: "tokenId", value: id } });
    await hostile.mint();
  }
});
afterEach(() => hostile.assertAlive());
afterAll(() => hostile[Symbol.asyncDispose]());

async function applied(): Promise<string> {
  return (await hostile.clients.gateway.getStatus({})).freshness?.cursor ?? "";
}

/** As whoever read the source would make one. */
function forged(position: string, question: readonly string[]): string {
  return `${position}~${hash("sha256", JSON.stringify([position, ...question]), "base64url").slice(0, 22)}`;
}

describe("a page token", () => {
  const madeUp = ["x", "~", "0~", "5~AAAAAAAAAAAAAAAAAAAAAA", "\u0000", "~".repeat(256), "5", "%00", "../..", "\u202e"];

  it.each(madeUp)("that is made up (%j) is PAGE_TOKEN_INVALID naming the field", async (pageToken) => {
    const { tokens, revocations } = hostile.clients;
    const calls = [() => tokens.listTokens({ subject, pageToken }), () => revocations.listRevocations({ pageToken })];
    for (const call of calls) {
      expect(await failureOf(call())).toMatchObject({
        code: "InvalidArgument",
        reason: "PAGE_TOKEN_INVALID",
        fields: ["page_token"],
      });
    }
  });

  it("that is huge is INVALID_ARGUMENT naming the field", async () => {
    const pageToken = "5".repeat(100_000);
    const failure = await failureOf(hostile.clients.tokens.listTokens({ subject, pageToken }));
    expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["page_token"] });
    expect(failure.message.length).toBeLessThan(400);
  });

  it("cut short, or of another question, is PAGE_TOKEN_INVALID", async () => {
    const { tokens, revocations } = hostile.clients;
    const ofTokens = (await tokens.listTokens({ subject, pageSize: 2 })).nextPageToken;
    const ofRevocations = (await revocations.listRevocations({ pageSize: 2 })).nextPageToken;
    expect([ofTokens, ofRevocations]).not.toContain("");
    for (const call of [
      () => tokens.listTokens({ subject, pageToken: ofTokens.slice(0, -1) }),
      () => tokens.listTokens({ subject, pageToken: `${ofTokens}A` }),
      () => tokens.listTokens({ subject, includeRevoked: true, pageToken: ofTokens }),
      () => tokens.listTokens({ subject: hostile.emulator.machine("reports").id, pageToken: ofTokens }),
      () => tokens.listTokens({ subject, pageToken: ofRevocations }),
      () => revocations.listRevocations({ pageToken: ofTokens }),
      () => revocations.listRevocations({ subjects: [subject], pageToken: ofRevocations }),
    ]) {
      expect(await failureOf(call())).toMatchObject({ code: "InvalidArgument", reason: "PAGE_TOKEN_INVALID" });
    }
    expect((await tokens.listTokens({ subject, pageToken: ofTokens })).tokens.length).toBeGreaterThan(0);
  });

  it.each(["-5", "1e9", "nan", "0x10", "1.5", "", "9".repeat(100)])(
    "with a position of %j and the right check gets no further than INVALID_ARGUMENT or an empty page",
    async (position) => {
      const questions = [["tokens", subject, "false", "false"], ["revocations"]] as const;
      const [ofTokens, ofRevocations] = questions.map((question) => forged(position, question));
      const { tokens, revocations } = hostile.clients;
      for (const call of [
        () => tokens.listTokens({ subject, pageToken: ofTokens ?? "" }),
        () => revocations.listRevocations({ pageToken: ofRevocations ?? "" }),
      ]) {
        const outcome = await call().catch((error: unknown) => failureOf(Promise.reject(error)));
        if ("code" in outcome) expect(outcome.code).toBe("InvalidArgument");
      }
    },
  );

  it("beyond the end is an empty last page", async () => {
    const epoch = (await applied()).split(".")[0];
    const pageToken = forged(`${epoch}.999999999-0`, ["revocations"]);
    const page = await hostile.clients.revocations.listRevocations({ pageToken });
    expect(page).toMatchObject({ revocations: [], nextPageToken: "" });
  });
});

describe("min_cursor", () => {
  const malformed = ["x", "a.b-c", "a.1", "a.1-0 ", "a.-1-0", "A.1-0", `a.${"1".repeat(16)}-0`, "a.1-0\n", "a.1e3-0"];

  it.each(malformed)("(%j) is CURSOR_MALFORMED, in a batch and on a stream too", async (cursor) => {
    const { tokens, revocations } = hostile.clients;
    const watching = async () => {
      for await (const _ of revocations.watchRevocations({ cursor }));
    };
    const failures = await failuresOf(
      tokens.verifyToken({ token: "mt_x", minCursor: cursor }),
      tokens.batchVerifyTokens({ tokens: ["mt_x"], minCursor: cursor }),
      watching(),
    );
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: "InvalidArgument", reason: "CURSOR_MALFORMED" });
    }
  });

  it("that is huge is INVALID_ARGUMENT naming the field", async () => {
    const failure = await failureOf(hostile.clients.tokens.verifyToken({ token: "mt_x", minCursor: "1".repeat(1e5) }));
    expect(failure).toMatchObject({ code: "InvalidArgument", fields: ["min_cursor"] });
  });

  it("of another epoch is FAILED_PRECONDITION CURSOR_OF_ANOTHER_LOG, for garbage tokens too", async () => {
    const { secret } = await hostile.mint();
    for (const token of [secret, "mt_x", "garbage"]) {
      const failure = await failureOf(hostile.clients.tokens.verifyToken({ token, minCursor: "0123456789ab.1-0" }));
      expect(failure).toMatchObject({ code: "FailedPrecondition", reason: "CURSOR_OF_ANOTHER_LOG" });
    }
  });

  it("that is never reached is UNAVAILABLE CURSOR_NOT_REACHED within the upstream's timeout", async () => {
    const minCursor = `${(await applied()).split(".")[0]}.999999-0`;
    const { secret } = await hostile.mint();
    for (let round = 0; round < 3; round++) {
      const failure = await failureOf(hostile.clients.tokens.verifyToken({ token: secret, minCursor }));
      expect(failure).toMatchObject({ code: "Unavailable", reason: "CURSOR_NOT_REACHED" });
    }
  });

  it("that is not reached by an earlier deadline is DEADLINE_EXCEEDED", async () => {
    const minCursor = `${(await applied()).split(".")[0]}.999999-0`;
    for (let round = 0; round < 3; round++) {
      const call = hostile.clients.tokens.verifyToken({ token: "mt_x", minCursor }, { timeoutMs: 50 });
      expect(await failureOf(call)).toMatchObject({ code: "DeadlineExceeded" });
    }
  });

  it("that is reached does not stand in the way", async () => {
    const { secret } = await hostile.mint();
    const answer = await hostile.clients.tokens.verifyToken({ token: secret, minCursor: await applied() });
    expect(answer.verdict).toBe(Verdict.VALID);
  });
});

describe("a watch", () => {
  it("with a cursor of another epoch is reset and gets a snapshot", async () => {
    const stop = new AbortController();
    const kinds: unknown[] = [];
    const stream = hostile.clients.revocations.watchRevocations(
      { cursor: "0123456789ab.1-0" },
      { signal: stop.signal },
    );
    for await (const { event } of stream) {
      kinds.push(event.case === "reset" ? ResetReason[event.value.reason] : event.case);
      if (event.case === "snapshotComplete") break;
    }
    stop.abort();
    expect(kinds).toEqual(["EPOCH_CHANGED", ...Array<string>(5).fill("revocation"), "snapshotComplete"]);
  });
});
