import { createHmac, generateKeyPairSync } from "node:crypto";
import { expect, it } from "vitest";
import { JwtIssuer } from "./jwt.ts";

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const issuer = new JwtIssuer("ins_test", () => "https://clerk.example.test", pem);

const JWT = {
  id: "mt_0123456789abcdef0123456789abcdef",
  subject: `mch_${"a".repeat(27)}`,
  issuedAt: 1_760_000_000,
  expiresAt: 1_760_003_600,
  claims: { role: "nightly" },
  audience: [`mch_${"b".repeat(27)}`],
};

const part = (jwt: string, i: number) => JSON.parse(Buffer.from(jwt.split(".")[i] ?? "", "base64url").toString());
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

it("signs with the header and the claims of an M2M token", async () => {
  const jwt = await issuer.sign(JWT);
  expect(part(jwt, 0)).toEqual({ alg: "RS256", typ: "JWT", kid: "ins_test", cat: "cl_B7d4PD333AAA" });
  expect(part(jwt, 1)).toEqual({
    iss: "https://clerk.example.test",
    sub: JWT.subject,
    aud: JWT.audience,
    exp: 1_760_003_600,
    nbf: 1_759_999_990,
    iat: 1_760_000_000,
    jti: JWT.id,
    role: "nightly",
  });
});

it("reads what it signed, with the grants of scopes and aud together", async () => {
  const other = `mch_${"c".repeat(27)}`;
  const facts = await issuer.read(await issuer.sign({ ...JWT, claims: { scopes: [other, 5, "x"] } }));
  expect(facts).toMatchObject({ id: JWT.id, subject: JWT.subject, scopes: [other, JWT.audience[0]] });
  expect((await issuer.read(await issuer.sign({ ...JWT, claims: {}, audience: undefined })))?.claims).toBeNull();
});

it("the same PEM is the same key, and without one each issuer has its own", async () => {
  const again = new JwtIssuer("ins_test", () => "x", pem);
  expect(await again.keySet()).toEqual(await issuer.keySet());
  const generated = new JwtIssuer("ins_test", () => "x", undefined);
  expect(await generated.read(await generated.sign(JWT))).toBeDefined();
  expect(await generated.read(await issuer.sign(JWT))).toBeUndefined();
});

it("does not read a JWT with another algorithm, category, key id or payload", async () => {
  const [head = "", body = "", signature = ""] = (await issuer.sign(JWT)).split(".");
  const header = part(`${head}.`, 0);
  const none = `${encoded({ ...header, alg: "none" })}.${body}.x`;
  const hmacInput = `${encoded({ ...header, alg: "HS256" })}.${body}`;
  const publicPem = JSON.stringify(await issuer.keySet());
  const hmac = `${hmacInput}.${createHmac("sha256", publicPem).update(hmacInput).digest("base64url")}`;
  const forged = [
    none,
    hmac,
    `${encoded({ ...header, cat: "cl_B7d4PD111AAA" })}.${body}.${signature}`,
    `${encoded({ ...header, kid: "ins_other" })}.${body}.${signature}`,
    `${head}.${encoded({ ...part(`.${body}`, 1), sub: "mch_x" })}.${signature}`,
    `${head}.${body}.${signature}.x`,
    `${head}.${body}.`,
    "a.b.c",
    "",
  ];
  for (const jwt of forged) expect(await issuer.read(jwt)).toBeUndefined();
});

it("signs with a new key once rotated, and takes JWTs of the old one until that is withdrawn", async () => {
  const rotating = new JwtIssuer("ins_test", () => "https://clerk.example.test", undefined);
  const old = await rotating.sign(JWT);
  expect(rotating.rotate("ins_second", false)).toBe("ins_second");
  expect(part(await rotating.sign(JWT), 0)).toMatchObject({ kid: "ins_second" });
  expect(await rotating.read(old)).toBeDefined();
  expect(await rotating.keySet()).toMatchObject({ keys: [{ kid: "ins_second" }, { kid: "ins_test" }] });
  rotating.rotate("ins_third", true);
  expect(await rotating.read(old)).toBeUndefined();
  expect(await rotating.keySet()).toMatchObject({ keys: [{ kid: "ins_third" }] });
  rotating.reset();
  expect(await rotating.read(old)).toBeDefined();
});
