import { describe, expect, it } from "vitest";
import {
  BODY,
  CREATE,
  createRig,
  INSTANCE_KEY,
  LIST,
  MACHINE_KEY,
  type Rig,
  SECRET,
} from "../../test/support/upstream/fixtures.ts";
import { json, problem, type Reply } from "../../test/support/upstream/scripted-server.ts";
import type { KeyEvent } from "./clerk-upstream.ts";

const NEW_KEY = "ak_anotherKEYanotherKEYanotherKEY00000";
const signal = new AbortController().signal;
const REJECTED = problem(401, "machine_secret_key_invalid");
const KEYS = { machineSecretKey: MACHINE_KEY, secretKey: INSTANCE_KEY };

const CALLS = {
  create: ({ upstream }: Rig) => upstream.createToken(CREATE, signal),
  verify: ({ upstream }: Rig) => upstream.verifyToken(SECRET, "known", signal),
} as const;
const ANSWERS = { create: json(201, { ...BODY, token: SECRET }), verify: json(200, BODY) } as const;

/** Runs `meanwhile` while the request is under way, then answers. */
function whileUnderWay(meanwhile: () => void, answer: Reply): Reply {
  return (response, request) => {
    meanwhile();
    answer(response, request);
  };
}

function keysSeen({ server }: Rig): (string | undefined)[] {
  return server.seen.map(({ headers }) => headers.authorization?.replace("Bearer ", ""));
}

async function reasonOf(call: Promise<unknown>): Promise<unknown> {
  return await call.then(
    () => undefined,
    (error: { reason?: string }) => error.reason,
  );
}

describe("other keys", () => {
  it.each(["create", "verify"] as const)("are used by the next request: %s", async (operation) => {
    await using rig = await createRig();
    rig.server.fallback = ANSWERS[operation];
    await CALLS[operation](rig);
    rig.upstream.useKeys({ ...KEYS, machineSecretKey: NEW_KEY });
    await CALLS[operation](rig);
    expect(keysSeen(rig)).toEqual([MACHINE_KEY, NEW_KEY]);
  });

  it("are used by the repeat of a request that failed", async () => {
    await using rig = await createRig();
    const rotate = () => rig.upstream.useKeys({ ...KEYS, machineSecretKey: NEW_KEY });
    rig.server.script(whileUnderWay(rotate, json(503, {})), ANSWERS.verify);
    await CALLS.verify(rig);
    expect(keysSeen(rig)).toEqual([MACHINE_KEY, NEW_KEY]);
  });

  // A creation too: one that was refused for its key has minted nothing.
  it.each(["create", "verify"] as const)(
    "are used when the ones before are rejected while a request is under way, and nobody hears of it: %s",
    async (operation) => {
      const events: KeyEvent[] = [];
      await using rig = await createRig({ maxAttempts: 1, onKey: (event) => events.push(event) });
      const rotate = () => rig.upstream.useKeys({ ...KEYS, machineSecretKey: NEW_KEY });
      rig.server.script(whileUnderWay(rotate, REJECTED), ANSWERS[operation]);
      await CALLS[operation](rig);
      expect(keysSeen(rig)).toEqual([MACHINE_KEY, NEW_KEY]);
      expect([events, rig.upstream.rejectedKeys]).toEqual([[], []]);
    },
  );

  it("make other scopes and credentials, unless the key that verifies is the same", async () => {
    await using rig = await createRig();
    const { upstream } = rig;
    const before = { scope: upstream.verifyScope, credential: upstream.credential };
    upstream.useKeys({ ...KEYS, secretKey: "sk_test_other" });
    expect(upstream).toMatchObject({ verifyScope: before.scope });
    expect(upstream.credential).toBe(before.credential);
    upstream.useKeys({ ...KEYS, machineSecretKey: NEW_KEY });
    expect(upstream.verifyScope).not.toBe(before.scope);
    upstream.useKeys(KEYS);
    expect(upstream.verifyScope).toBe(before.scope);
    // Back is another credential too: what was asked in between must not pass for its own.
    expect(upstream.credential).not.toBe(before.credential);
  });

  it("that cannot be used change nothing", async () => {
    await using rig = await createRig();
    rig.server.fallback = ANSWERS.verify;
    expect(() => rig.upstream.useKeys({ machineSecretKey: "ak_with blank" })).toThrow(TypeError);
    await CALLS.verify(rig);
    expect(keysSeen(rig)).toEqual([MACHINE_KEY]);
  });
});

describe("a rejected key", () => {
  it("is told of once, by its kind, and verifications are known not to succeed", async () => {
    const events: KeyEvent[] = [];
    await using rig = await createRig({ onKey: (event) => events.push(event) });
    rig.server.script(REJECTED, REJECTED);
    expect(await reasonOf(CALLS.verify(rig))).toBe("UPSTREAM_CREDENTIAL_REJECTED");
    expect(await reasonOf(CALLS.create(rig))).toBe("UPSTREAM_CREDENTIAL_REJECTED");
    expect(events).toEqual([{ key: "machine", rejected: true }]);
    expect(rig.upstream).toMatchObject({ canVerify: false, reachable: true, rejectedKeys: ["machine"] });
  });

  it("of the instance alone leaves verifications to the machine's", async () => {
    await using rig = await createRig();
    rig.server.script(problem(401, "clerk_key_invalid"), problem(404, "resource_not_found"));
    await reasonOf(rig.upstream.listTokens(LIST, signal));
    expect(rig.upstream).toMatchObject({ canVerify: true, rejectedKeys: ["instance"] });
    await reasonOf(rig.upstream.verifyToken(SECRET, "known", signal));
    expect(rig.upstream.rejectedKeys).toEqual(["instance"]);
  });

  it.each([
    ["an answer", ANSWERS.verify],
    ["the refusal of a token", problem(404, "resource_not_found")],
  ])("is forgiven with %s", async (_what, answer) => {
    const events: KeyEvent[] = [];
    await using rig = await createRig({ onKey: (event) => events.push(event) });
    rig.server.script(REJECTED, answer);
    await reasonOf(CALLS.verify(rig));
    await CALLS.verify(rig);
    expect(events.map(({ rejected }) => rejected)).toEqual([true, false]);
    expect(rig.upstream).toMatchObject({ canVerify: true, rejectedKeys: [] });
  });

  it("is forgotten when another one takes its place, and only then", async () => {
    await using rig = await createRig();
    rig.server.script(REJECTED);
    await reasonOf(CALLS.verify(rig));
    rig.upstream.useKeys({ ...KEYS, secretKey: "sk_test_other" });
    expect(rig.upstream.rejectedKeys).toEqual(["machine"]);
    rig.upstream.useKeys({ ...KEYS, machineSecretKey: NEW_KEY });
    expect(rig.upstream.rejectedKeys).toEqual([]);
  });
});
