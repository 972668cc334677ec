import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startEmulator } from "./emulator.ts";
import { InvalidInput } from "./invalid-input.ts";
import { assertSeed, DEFAULT_SEED, readSeed, resolveSeed, type Seed } from "./seed.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seed-"));
});

afterAll(() => rm(folder, { recursive: true }));

const A = `mch_${"A".repeat(27)}`;

function problemsOf(seed: unknown): readonly string[] {
  try {
    assertSeed(seed);
  } catch (error) {
    if (error instanceof InvalidInput) return error.problems;
  }
  return [];
}

describe("assertSeed", () => {
  it("names every problem with its place, and quotes no key", () => {
    const problems = problemsOf({
      instance: { id: "ins_1", secret_key: "pk_hidden", issuer: "nowhere", signing_key: "hidden", x: 1 },
      machines: [
        { name: "a", id: "mch_1", secret_key: "sk_hidden", default_token_ttl: 0, scoped_machines: ["b", "zz"] },
        { name: "a", color: "red" },
        { scoped_machines: [5] },
      ],
      tokens: [
        { machine: "nobody", id: "x", secret: "hidden", scopes: ["zz"], seconds_until_expiration: 0, revoked: 1 },
      ],
    });
    expect(problems.map((problem) => problem.split(":")[0])).toEqual([
      "instance.id",
      "instance.secret_key",
      "instance.issuer",
      "instance.signing_key",
      "instance.x",
      "machines[0].id",
      "machines[0].secret_key",
      "machines[0].default_token_ttl",
      "machines[1].color",
      "machines[2].name",
      "machines[2].scoped_machines",
      "tokens[0].id",
      "tokens[0].secret",
      "tokens[0].seconds_until_expiration",
      "tokens[0].revoked",
      "machines[1].name",
      "machines[0].scoped_machines[0]",
      "machines[0].scoped_machines[1]",
      "tokens[0].machine",
      "tokens[0].scopes[0]",
    ]);
    expect(problems.join()).not.toContain("hidden");
  });

  it.each([null, [], "text", { machines: {} }, { machines: [1] }, { tokens: "x" }, { machine: [] }])(
    "refuses %j",
    (seed) => {
      expect(problemsOf(seed)).toHaveLength(1);
    },
  );

  it("refuses an RSA key that is too short", () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const signing_key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    expect(problemsOf({ instance: { signing_key } })).toHaveLength(1);
  });

  it("takes an empty seed and the default one", () => {
    expect([problemsOf({}), problemsOf(DEFAULT_SEED)]).toEqual([[], []]);
  });
});

describe("resolveSeed", () => {
  it("follows names and ids, and fills in what is not given", () => {
    const seed: Seed = {
      machines: [
        { name: "a", id: A, scoped_machines: ["b", A, "a"] },
        { name: "b", default_token_ttl: 60 },
      ],
      tokens: [{ machine: "a" }, { machine: "b", scopes: ["a"], seconds_until_expiration: null }, { machine: "b" }],
    };
    const { machines, tokens } = resolveSeed(seed, 1_760_000_000_000);
    const b = machines[1]?.id;
    expect(machines[0]?.scopes).toEqual([b, A]);
    expect(tokens).toMatchObject([
      { subject: A, scopes: [b, A], ttlSeconds: 3600, claims: null, revoked: false },
      { subject: b, scopes: [A], ttlSeconds: undefined },
      { subject: b, scopes: [], ttlSeconds: 60 },
    ]);
  });
});

describe("readSeed", () => {
  it("reads a file that an emulator can start from, tokens included", async () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const secret = "mt_from_the_seed";
    const seed = {
      instance: {
        id: `ins_${"I".repeat(27)}`,
        secret_key: "sk_test_seed",
        issuer: "https://clerk.example.test",
        signing_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      },
      machines: [{ name: "a", id: A, secret_key: "ak_seed/with+signs=", scoped_machines: ["a"] }],
      tokens: [
        { machine: "a", secret },
        { machine: "a", secret: "mt_revoked", revoked: true, revocation_reason: "old" },
      ],
    };
    const path = join(folder, "seed.json");
    await writeFile(path, JSON.stringify(seed));
    const emulator = await startEmulator({ seed: await readSeed(path) });
    expect([emulator.instanceId, emulator.instanceKey]).toEqual([seed.instance.id, "sk_test_seed"]);
    expect(emulator.machine("a")).toEqual({ id: A, name: "a", secretKey: "ak_seed/with+signs=" });
    const verify = (token: string) =>
      fetch(`${emulator.url}/m2m_tokens/verify`, {
        method: "POST",
        headers: { authorization: "Bearer ak_seed/with+signs=", "content-type": "application/json" },
        body: JSON.stringify({ token }),
      });
    expect([(await verify(secret)).status, (await verify("mt_revoked")).status]).toEqual([200, 404]);
    expect(() => emulator.machine("nobody")).toThrow("no machine named nobody");
    await emulator.close();
  });

  it("says what is wrong with a file that is missing, not JSON, or no seed", async () => {
    await expect(readSeed(join(folder, "none.json"))).rejects.toThrow(/cannot be read \(ENOENT\)/);
    const path = join(folder, "bad.json");
    await writeFile(path, "{");
    await expect(readSeed(path)).rejects.toThrow(/is not JSON/);
    await writeFile(path, '{"machines":[{}]}');
    await expect(readSeed(path)).rejects.toMatchObject({ problems: ["machines[0].name: is missing"] });
  });
});
