import { createHash } from "node:crypto";
import { GatewayError } from "../token/errors.ts";
import type { BaseUrl } from "./base-url.ts";
import type { Operation } from "./operation.ts";

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

export type KeyKind = "machine" | "instance";

/** A key as an operation goes out with it. */
export interface SigningKey {
  readonly kind: KeyKind;
  readonly text: string;
}

/** The keys as they are at one time. The upstream mints for machine keys only. */
export interface UpstreamKeys {
  /** `ak_…`. Creates; verifies when there is one. */
  readonly machineSecretKey?: string | undefined;
  /** `sk_…`. Lists and revokes when there is one. */
  readonly secretKey?: string | undefined;
}

/** Which key each operation goes out with. Never changes: other keys are other credentials. */
export class Credentials {
  /** Digest of the base URL and the key that verifications use. Reveals neither. */
  readonly verifyScope: string;
  readonly #machineKey: SigningKey | undefined;
  readonly #instanceKey: SigningKey | undefined;

  /** @throws TypeError when a key cannot be sent in a header; the message does not repeat it */
  constructor(base: BaseUrl, { machineSecretKey, secretKey }: UpstreamKeys) {
    this.#machineKey = signingKey("machine", machineSecretKey);
    this.#instanceKey = signingKey("instance", secretKey);
    this.verifyScope = digest([base.origin + base.prefix, machineSecretKey ?? secretKey ?? ""]);
  }

  /**
   * A machine key makes the upstream refuse tokens that are not granted to that machine, so verifications prefer it. An
   * instance key sees the tokens of every machine, so list and revoke prefer that one.
   *
   * @throws GatewayError CREDENTIAL_MISSING
   */
  keyFor(operation: Operation): SigningKey {
    if (operation === "keys") return this.#instanceKey ?? missing(operation);
    const [preferred, other] =
      operation === "list" || operation === "revoke"
        ? [this.#instanceKey, this.#machineKey]
        : [this.#machineKey, operation === "create" ? undefined : this.#instanceKey];
    return preferred ?? other ?? missing(operation);
  }

  /** Whether this is a key of these credentials. */
  has(key: SigningKey): boolean {
    return (key.kind === "machine" ? this.#machineKey : this.#instanceKey)?.text === key.text;
  }

  /** Whose verdicts these are; `undefined` without a key to verify with. */
  get verifyingKind(): KeyKind | undefined {
    return (this.#machineKey ?? this.#instanceKey)?.kind;
  }
}

function signingKey(kind: KeyKind, text: string | undefined): SigningKey | undefined {
  if (text === undefined) return undefined;
  if (!VISIBLE_ASCII.test(text)) {
    throw new TypeError("an upstream key must be visible ASCII characters without spaces, and not empty");
  }
  return { kind, text };
}

/** @throws GatewayError CREDENTIAL_MISSING */
function missing(operation: Operation): never {
  throw new GatewayError("CREDENTIAL_MISSING", MISSING[operation]);
}

const EITHER = "set CLERK_MACHINE_SECRET_KEY or CLERK_SECRET_KEY";
const MISSING: Readonly<Record<Operation, string>> = {
  create: "creating tokens needs a machine secret key: set CLERK_MACHINE_SECRET_KEY",
  verify: `verifying tokens needs a key: ${EITHER}`,
  keys: "fetching the instance's key set needs its secret key: set CLERK_SECRET_KEY",
  list: `listing tokens needs a key: ${EITHER}`,
  revoke: `revoking tokens needs a key: ${EITHER}`,
};

/** Length prefixes keep two different lists of fields from hashing alike. */
function digest(fields: readonly string[]): string {
  const hash = createHash("sha256");
  for (const field of fields) {
    const bytes = Buffer.from(field, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    hash.update(length).update(bytes);
  }
  return hash.digest("hex");
}
