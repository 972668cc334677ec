import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../../test/support/cli/cli-call.ts";
import { FakeGateway } from "../../test/support/cli/fake-gateway.ts";
import { SUBJECT } from "../../test/support/cli/samples.ts";
import {
  type RevokeKeyRequest,
  type RevokeSubjectRequest,
  SubjectProgressSchema,
  SubjectSummarySchema,
  SubjectWatermarkSchema,
} from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import { Propagation, Wait } from "../gen/m2mgateway/v1/token_service_pb.ts";

const WATERMARK = new Date("2026-05-12T08:00:06Z");

let gateway: FakeGateway;
let subjects: RevokeSubjectRequest[];
let keys: RevokeKeyRequest[];
let env: Record<string, string>;
let incompleteReason: string;

beforeEach(async () => {
  subjects = [];
  keys = [];
  incompleteReason = "";
  gateway = await FakeGateway.start({
    revocations: {
      async *revokeSubject(request) {
        subjects.push(request);
        const issuedBefore = timestampFromDate(WATERMARK);
        const propagation = Propagation.FLEET;
        const watermark = create(SubjectWatermarkSchema, { issuedBefore, cursor: "e.5-0", propagation });
        yield { event: { case: "watermark", value: watermark } };
        yield { event: { case: "progress", value: create(SubjectProgressSchema, { revoked: 2n, remaining: 1n }) } };
        const complete = incompleteReason === "";
        const summary = create(SubjectSummarySchema, { revoked: 3n, complete, incompleteReason });
        yield { event: { case: "summary", value: summary } };
      },
      revokeKey(request) {
        keys.push(request);
        return { cursor: "e.6-0", propagation: Propagation.REPLICA };
      },
    },
  });
  env = { GATEWAY_URL: gateway.url };
});
afterEach(() => gateway.close());

describe("subject revoke", () => {
  it("says from when on tokens are refused and how far the work upstream is", async () => {
    const args = ["subject", "revoke", SUBJECT, "--issued-before", "2026-05-12T10:00:00+02:00", "--wait", "fleet"];
    const { code, out } = await cli([...args, "--reason", "incident"], { env });
    expect(code).toBe(0);
    for (const part of ["REVOKED", "2026-05-12T08:00:06Z", "every replica", "e.5-0", "Clerk: 2", "3, complete"]) {
      expect(out).toContain(part);
    }
    const [request] = subjects;
    expect(request).toMatchObject({ subject: SUBJECT, reason: "incident", wait: Wait.FLEET });
    expect(request?.issuedBefore && timestampDate(request.issuedBefore)).toEqual(new Date("2026-05-12T08:00:00Z"));
  });

  it("ends with 3 when Clerk's part is not complete, and says why", async () => {
    incompleteReason = "UPSTREAM_FORBIDDEN";
    const { code, out } = await cli(["subject", "revoke", SUBJECT], { env });
    expect(code).toBe(3);
    expect(out).toContain("UPSTREAM_FORBIDDEN");
    expect(subjects[0]?.issuedBefore).toBeUndefined();
  });

  it("prints one JSON object a line", async () => {
    const { out } = await cli(["subject", "revoke", SUBJECT, "--output", "json"], { env });
    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => Object.keys(JSON.parse(line)));
    expect(lines).toEqual([["watermark"], ["progress"], ["summary"]]);
  });

  it.each([
    ["no machine", []],
    ["a machine that is none", ["mch_1"]],
    ["a time without a zone", [SUBJECT, "--issued-before", "2026-05-12T08:00:00"]],
    ["a time that never was", [SUBJECT, "--issued-before", "2026-13-44T08:00:00Z"]],
  ])("refuses %s with exit code 2", async (_, args) => {
    expect(await cli(["subject", "revoke", ...args], { env })).toMatchObject({ code: 2, out: "" });
    expect(subjects).toEqual([]);
  });
});

describe("key revoke", () => {
  it("names the key", async () => {
    const { code, out } = await cli(["key", "revoke", "ins_2GIoQhbUpy0hX7B2cVkuTMinXoD", "--wait", "fleet"], { env });
    expect(code).toBe(0);
    expect(out).toContain("ins_2GIoQhbUpy0hX7B2cVkuTMinXoD");
    expect(keys).toMatchObject([{ keyId: "ins_2GIoQhbUpy0hX7B2cVkuTMinXoD", wait: Wait.FLEET }]);
    expect(await cli(["key", "revoke", "../x"], { env })).toMatchObject({ code: 2 });
  });
});
