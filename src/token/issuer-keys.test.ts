import { describe, expect, it } from "vitest";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { makeIssuerKey } from "../../test/support/jwts.ts";
import { GatewayError } from "./errors.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import type { KeyEndpoint } from "./ports.ts";
import type { Jwk } from "./signing-keys.ts";

const FIRST = makeIssuerKey("ins_first");
const SECOND = makeIssuerKey("ins_second");
const REFRESH_MS = 300_000;
const COOLDOWN_MS = 10_000;
const MAX_AGE_MS = 3_600_000;

/** An endpoint that answers each fetch when, and as, the test says. */
class ScriptedEndpoint implements KeyEndpoint {
  readonly open: { resolve: (keys: readonly Jwk[]) => void; reject: (error: unknown) => void }[] = [];
  fetches = 0;

  fetchKeys(): Promise<readonly Jwk[]> {
    this.fetches += 1;
    return new Promise((resolve, reject) => {
      this.open.push({ resolve, reject });
    });
  }

  async answer(...keys: Jwk[]): Promise<void> {
    this.open.shift()?.resolve(keys);
    await settle();
  }

  async fail(): Promise<void> {
    this.open.shift()?.reject(new GatewayError("UPSTREAM_UNAVAILABLE", "away"));
    await settle();
  }
}

function create() {
  const clock = new FakeClock();
  const endpoint = new ScriptedEndpoint();
  const errors: unknown[] = [];
  const keys = new IssuerKeys({
    endpoint,
    clock,
    refreshMs: REFRESH_MS,
    cooldownMs: COOLDOWN_MS,
    maxAgeMs: MAX_AGE_MS,
    onError: (error) => errors.push(error),
  });
  const find = (keyId: string | undefined) => keys.find(keyId, clock.monotonicMs());
  const reach = (keyId: string, signal = new AbortController().signal) =>
    keys.reach(keyId, signal).catch((error: unknown) => (error instanceof GatewayError ? error.reason : error));
  return { clock, endpoint, errors, keys, find, reach };
}

async function started(...jwks: Jwk[]) {
  const parts = create();
  parts.keys.start();
  await parts.endpoint.answer(...jwks);
  return parts;
}

describe("IssuerKeys", () => {
  it("knows the keys of the last set and no others, after a thousand callers have shared one fetch", async () => {
    const { endpoint, find, reach } = create();
    const waiting = Promise.all(Array.from({ length: 1_000 }, () => reach("ins_first")));
    await settle();
    expect(endpoint.fetches).toBe(1);
    await endpoint.answer(FIRST.jwk);
    expect(new Set(await waiting)).toEqual(new Set([true]));
    expect(find("ins_first")).toMatchObject({ asymmetricKeyType: "rsa" });
    expect(find(undefined)).toBe("none");
  });

  it("replaces the set as a whole, and keeps the object of a key that has not changed", async () => {
    const { clock, endpoint, find } = await started(FIRST.jwk, SECOND.jwk);
    const first = find("ins_first");
    clock.advance(REFRESH_MS);
    await endpoint.answer(FIRST.jwk);
    expect(find("ins_first")).toBe(first);
    expect(find("ins_second")).toBeUndefined();
    clock.advance(REFRESH_MS);
    await endpoint.answer({ ...SECOND.jwk, keyId: "ins_first" });
    expect(find("ins_first")).not.toBe(first);
  });

  it("fetches for an unknown key, at most once per cooldown, and says that it is too early in between", async () => {
    const { clock, endpoint, find, reach } = await started(FIRST.jwk);
    clock.advance(1);
    expect(await reach("ins_second")).toBe("SIGNING_KEY_UNKNOWN");
    expect(endpoint.fetches).toBe(1);
    clock.advance(COOLDOWN_MS);
    const waiting = Promise.all([reach("ins_second"), reach("made_up")]);
    await settle();
    await endpoint.answer(FIRST.jwk, SECOND.jwk);
    expect(await waiting).toEqual([true, true]);
    expect(find("ins_second")).toMatchObject({ asymmetricKeyType: "rsa" });
    expect(find("made_up")).toBe("none");
    clock.advance(1);
    for (let n = 0; n < 1_000; n += 1) expect(await reach(`made_up_${n}`)).toBe("SIGNING_KEY_UNKNOWN");
    expect(endpoint.fetches).toBe(2);
  });

  it("does not take a set for proof that was asked for before the key was named", async () => {
    const { clock, endpoint, find, reach } = await started(FIRST.jwk);
    clock.advance(REFRESH_MS);
    expect(endpoint.fetches).toBe(2);
    clock.advance(100);
    const waiting = reach("ins_second");
    await endpoint.answer(FIRST.jwk);
    expect(await waiting).toBe("SIGNING_KEY_UNKNOWN");
    expect(find("ins_second")).toBeUndefined();
  });

  it("asks again about a key that did not exist once a cooldown has passed", async () => {
    const { clock, endpoint, find, reach } = await started(FIRST.jwk);
    clock.advance(COOLDOWN_MS);
    const waiting = reach("ins_second");
    await settle();
    await endpoint.answer(FIRST.jwk);
    await waiting;
    expect(find("ins_second")).toBe("none");
    clock.advance(COOLDOWN_MS);
    expect(find("ins_second")).toBeUndefined();
  });

  it("keeps the last good set while the endpoint is away, for as long as it may, and no longer", async () => {
    const { clock, endpoint, errors, find, reach } = await started(FIRST.jwk);
    for (let passedMs = 0; passedMs < MAX_AGE_MS; passedMs += COOLDOWN_MS) {
      clock.advance(COOLDOWN_MS);
      await endpoint.fail();
    }
    expect(find("ins_first")).toMatchObject({ asymmetricKeyType: "rsa" });
    expect(endpoint.fetches).toBeLessThan(2 + MAX_AGE_MS / COOLDOWN_MS);
    expect(errors.length).toBeGreaterThan(300);
    clock.advance(1);
    expect(find("ins_first")).toBeUndefined();
    expect(await reach("ins_first")).toBe(false);
  });

  it("tries again ever more rarely while it has no set at all, and callers cause no fetches in between", async () => {
    const { clock, endpoint, keys, reach } = create();
    keys.start();
    await endpoint.fail();
    const fetchesAfter = async (ms: number) => {
      clock.advance(ms);
      await settle();
      for (let n = 0; n < 10; n += 1) void reach("ins_first");
      await endpoint.fail();
      return endpoint.fetches;
    };
    expect(await reach("ins_first")).toBe(false);
    expect([await fetchesAfter(999), await fetchesAfter(1)]).toEqual([1, 2]);
    expect([await fetchesAfter(1_999), await fetchesAfter(1)]).toEqual([2, 3]);
  });

  it.each<[string, Jwk[]]>([
    ["is empty", []],
    [
      "holds a weak key alone",
      [{ keyId: "weak", modulus: Buffer.alloc(128, 255).toString("base64url"), exponent: "AQAB" }],
    ],
    ["holds a key with which everybody can sign", [{ ...FIRST.jwk, exponent: "AQ" }]],
    ["holds a key that is none", [{ ...FIRST.jwk, modulus: "" }]],
  ])("keeps the set that it has when the new one %s", async (_what, jwks) => {
    const { clock, endpoint, errors, find } = await started(FIRST.jwk);
    clock.advance(REFRESH_MS);
    await endpoint.answer(...jwks);
    expect(find("ins_first")).toMatchObject({ asymmetricKeyType: "rsa" });
    expect(errors).toHaveLength(1);
  });

  it("lets a caller leave without ending the fetch for the others", async () => {
    const { endpoint, reach } = create();
    const controller = new AbortController();
    const leaving = reach("ins_first", controller.signal);
    const staying = reach("ins_first");
    controller.abort();
    expect(await leaving).toBe("CANCELED");
    await endpoint.answer(FIRST.jwk);
    expect(await staying).toBe(true);
  });

  it("fetches no more once closed", async () => {
    const { clock, endpoint, keys, errors } = await started(FIRST.jwk);
    clock.advance(REFRESH_MS);
    keys.close();
    await endpoint.fail();
    clock.advance(10 * REFRESH_MS);
    await settle();
    expect(endpoint.fetches).toBe(2);
    expect(errors).toEqual([]);
  });
});
