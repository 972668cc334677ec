import { JwtCheck } from "../gen/m2mgateway/v1/token_service_pb.ts";

/** What each check of a JWT found, and what to do about it. docs/jwt.md says more. */
const TEXTS: Readonly<Record<number, string>> = {
  [JwtCheck.FORM]: "it is not a JWT in its one canonical spelling",
  [JwtCheck.HEADER]: "its header holds a parameter that no M2M token has",
  [JwtCheck.ALGORITHM]: "it is not signed with RS256",
  [JwtCheck.TYPE]: "its header says that it is another type of token",
  [JwtCheck.CATEGORY]: "it is another kind of Clerk token, a session perhaps",
  [JwtCheck.CLAIMS]: "iss, exp or iat is missing, or a time is none",
  [JwtCheck.SUBJECT]: "its subject is not a machine",
  [JwtCheck.TOKEN_ID]: "its jti is not the id of a token",
  [JwtCheck.LIFETIME]: "it lives longer than GATEWAY_JWT_MAX_LIFETIME_MS allows, or not at all",
  [JwtCheck.ISSUER]: "another instance issued it; compare its iss with CLERK_JWT_ISSUER",
  [JwtCheck.KEY]: "the issuer has no key of that id: withdrawn, or of another instance",
  [JwtCheck.SIGNATURE]: "the issuer's key did not sign it",
  [JwtCheck.EXPIRATION]: "it has expired",
  [JwtCheck.NOT_BEFORE]: "it is not good yet; are the clocks right?",
  [JwtCheck.ISSUED_AT]: "it says that it was issued in the future; are the clocks right?",
  [JwtCheck.GRANT]: "neither aud nor scopes names the machine that verifies (CLERK_MACHINE_ID)",
};

export function explainCheck(check: JwtCheck): string {
  return TEXTS[check] ?? "this program does not know the check; the gateway is newer";
}
