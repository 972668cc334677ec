import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessOf } from "../../src/rpc/method-access.ts";
import { SERVICES } from "../../src/rpc/routes.ts";
import {
  type CallersFixture,
  type Clients,
  drained,
  endOf,
  PROTOCOLS,
  type ProtocolName,
  startCallersGateway,
} from "./callers-fixture.ts";

const ROLES = ["verify", "mint", "revoke", "watch", "admin"] as const;

/** Who may call what. Written out, so that a change of the table in the source is seen here. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  createToken: ["mint", "admin"],
  acquireToken: ["mint", "admin"],
  listTokens: ["revoke", "admin"],
  revokeToken: ["revoke", "admin"],
  verifyToken: ["verify", "admin"],
  batchVerifyTokens: ["verify", "admin"],
  verifyTokenStream: ["verify", "admin"],
  watchRevocations: ["watch", "admin"],
  listRevocations: ["watch", "admin"],
  revokeSubject: ["revoke", "admin"],
  revokeKey: ["revoke", "admin"],
  getStatus: ["watch", "admin"],
  invalidateCache: ["admin"],
};

const SUBJECT = `mch_${"a".repeat(27)}`;
const TOKEN_ID = `mt_${"0".repeat(32)}`;

const CALLS: Readonly<Record<string, (clients: Clients) => Promise<unknown>>> = {
  createToken: ({ tokens }) => tokens.createToken({}),
  acquireToken: ({ tokens }) => tokens.acquireToken({}),
  listTokens: ({ tokens }) => tokens.listTokens({ subject: SUBJECT }),
  revokeToken: ({ tokens }) => tokens.revokeToken({ target: { case: "tokenId", value: TOKEN_ID } }),
  verifyToken: ({ tokens }) => tokens.verifyToken({ token: "no token" }),
  batchVerifyTokens: ({ tokens }) => tokens.batchVerifyTokens({ tokens: ["no token"] }),
  verifyTokenStream: ({ tokens }) => drained(tokens.verifyTokenStream(one({ id: 1n, request: { token: "x" } }))),
  watchRevocations: ({ revocations }) => drained(revocations.watchRevocations({})),
  listRevocations: ({ revocations }) => revocations.listRevocations({}),
  revokeSubject: ({ revocations }) => drained(revocations.revokeSubject({ subject: SUBJECT })),
  revokeKey: ({ revocations }) => revocations.revokeKey({ keyId: "ins_none" }),
  getStatus: ({ gateway }) => gateway.getStatus({}),
  invalidateCache: ({ gateway }) => gateway.invalidateCache({ target: { case: "all", value: true } }),
};

async function* one<T>(message: T) {
  yield message;
}

/** Bidirectional streams need HTTP/2. */
function callsOver(protocol: ProtocolName): string[] {
  return Object.keys(CALLS).filter((name) => !(protocol.endsWith("1.1") && name === "verifyTokenStream"));
}

let fixture: CallersFixture;
beforeAll(async () => {
  fixture = await startCallersGateway(ROLES.map((role) => ({ name: role, roles: [role] })));
});
afterAll(async () => {
  await fixture[Symbol.asyncDispose]();
});

/** How each call ends for somebody, refusals of the gateway's own apart from what else may become of it. */
async function endsFor(clients: Clients, protocol: ProtocolName): Promise<Record<string, string>> {
  const ends = callsOver(protocol).map(async (name) => {
    const end = await endOf(CALLS[name]?.(clients) ?? Promise.resolve());
    return [name, end.includes("CALLER_") ? end : "allowed"] as const;
  });
  return Object.fromEntries(await Promise.all(ends));
}

describe.each(Object.keys(PROTOCOLS) as ProtocolName[])("over %s", (protocol) => {
  it.each(ROLES)("the role %s allows what it should and nothing else", async (role) => {
    using clients = fixture.as(role, {}, protocol);
    const expected = callsOver(protocol).map((name) => [
      name,
      ALLOWED[name]?.includes(role) ? "allowed" : "PermissionDenied CALLER_FORBIDDEN",
    ]);
    expect(await endsFor(clients, protocol)).toEqual(Object.fromEntries(expected));
  });

  it.each([
    ["nobody", undefined],
    ["somebody with an unknown key", "stranger"],
  ])("%s may call nothing", async (_who, name) => {
    using clients = fixture.as(name, {}, protocol);
    const expected = callsOver(protocol).map((call) => [call, "Unauthenticated CALLER_UNAUTHENTICATED"]);
    expect(await endsFor(clients, protocol)).toEqual(Object.fromEntries(expected));
  });

  it("probes work for everybody", async () => {
    using clients = fixture.as("stranger", {}, protocol);
    expect(await endOf(clients.health.check({}))).toBe("OK");
    expect(await endOf(drained(clients.health.watch({})))).toBe("OK");
  });
});

describe("the table of what RPCs demand", () => {
  it("is the one that is proved here", () => {
    const roles = SERVICES.flatMap((service) =>
      service.methods.map((method) => [method.localName, accessOf({ service, method }).role] as const),
    );
    expect(roles.map(([name]) => name).sort()).toEqual(Object.keys(ALLOWED).sort());
    expect(Object.keys(CALLS).sort()).toEqual(Object.keys(ALLOWED).sort());
    for (const [name, role] of roles) expect(ALLOWED[name]).toContain(role);
  });

  it("has a line in the audit log for every RPC that changes something upstream", () => {
    const audited = SERVICES.flatMap((service) =>
      service.methods.filter((method) => accessOf({ service, method }).isAudited).map(({ localName }) => localName),
    );
    expect(audited).toEqual(expect.arrayContaining(["createToken", "revokeToken"]));
    for (const role of ["mint", "revoke"]) {
      const changing = SERVICES.flatMap((service) =>
        service.methods.filter((method) => accessOf({ service, method }).role === role),
      ).filter(({ localName }) => !localName.startsWith("list"));
      expect(audited).toEqual(expect.arrayContaining(changing.map(({ localName }) => localName)));
    }
  });
});
