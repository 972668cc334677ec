import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BadRequestSchema } from "../gen/google/rpc/error_details_pb.ts";
import { GatewayService } from "../gen/m2mgateway/v1/gateway_service_pb.ts";
import { RevocationService } from "../gen/m2mgateway/v1/revocation_service_pb.ts";
import {
  type BatchVerifyTokensRequestSchema,
  TokenService,
  type VerifyTokenRequestSchema,
} from "../gen/m2mgateway/v1/token_service_pb.ts";
import { connectErrorFrom } from "./connect-error.ts";
import { createErrorInterceptor } from "./error-interceptor.ts";
import { SERVICES } from "./routes.ts";
import { compileRules, createValidateInterceptor } from "./validate-interceptor.ts";

const transport = createRouterTransport(
  (router) => {
    router.service(TokenService, { verifyToken: () => ({}), batchVerifyTokens: () => ({}), revokeToken: () => ({}) });
    router.service(RevocationService, {
      async *watchRevocations() {
        yield {};
      },
    });
  },
  { router: { interceptors: [createErrorInterceptor(connectErrorFrom), createValidateInterceptor()] } },
);
const tokens = createClient(TokenService, transport);
const revocations = createClient(RevocationService, transport);

async function fieldsRefused(call: Promise<unknown>): Promise<string[]> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error === undefined) return [];
  if (!(error instanceof ConnectError)) throw error;
  return error.findDetails(BadRequestSchema).flatMap((details) => details.fieldViolations.map(({ field }) => field));
}

const SUBJECT = `mch_${"a".repeat(27)}`;

describe("validation", () => {
  it("lets pass what keeps the rules", async () => {
    expect(await fieldsRefused(tokens.verifyToken({ token: "x", policy: { allowedSubjects: [SUBJECT] } }))).toEqual([]);
  });

  it.each<[MessageInitShape<typeof VerifyTokenRequestSchema>, string[]]>([
    [{}, ["token"]],
    [{ token: "x", maxAge: { seconds: -1n } }, ["max_age"]],
    [{ token: "x", minCursor: "c".repeat(129) }, ["min_cursor"]],
    [{ token: "x", policy: { allowedSubjects: [SUBJECT, "nope"] } }, ["policy.allowed_subjects[1]"]],
    [{ minCursor: "c".repeat(129) }, ["token", "min_cursor"]],
  ])("names each field that breaks one (%#)", async (request, fields) => {
    expect(await fieldsRefused(tokens.verifyToken(request))).toEqual(fields);
  });

  it.each<[MessageInitShape<typeof BatchVerifyTokensRequestSchema>, string[]]>([
    [{ tokens: [] }, ["tokens"]],
    [{ tokens: Array.from({ length: 1001 }, () => "x") }, ["tokens"]],
    [{ tokens: ["", "x"] }, []],
  ])("holds a batch to its size only (%#)", async (request, fields) => {
    expect(await fieldsRefused(tokens.batchVerifyTokens(request))).toEqual(fields);
  });

  it("names a oneof of which nothing is set", async () => {
    expect(await fieldsRefused(tokens.revokeToken({}))).toEqual(["target"]);
  });

  it("holds the request of a stream to its rules", async () => {
    const read = async (subjects: string[]) => {
      for await (const _ of revocations.watchRevocations({ subjects })) return;
    };
    expect(await fieldsRefused(read([SUBJECT]))).toEqual([]);
    expect(await fieldsRefused(read(["nope"]))).toEqual(["subjects[0]"]);
  });

  it("has no rule in any request that does not compile", () => {
    const validator = createValidator();
    const services: DescService[] = [TokenService, RevocationService, GatewayService];
    for (const { input } of services.flatMap((service) => service.methods)) {
      expect(validator.validate(input, create(input)).kind, input.typeName).not.toBe("error");
    }
  });
});

describe("compileRules", () => {
  it("finds no rule of the gateway's services that cannot be compiled", () => {
    expect(() => compileRules(SERVICES)).not.toThrow();
  });
});
