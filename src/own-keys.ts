import { hash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { Budget } from "./token/budget.ts";
import { Digester } from "./token/digest.ts";
import { GatewayError } from "./token/errors.ts";
import type { VerdictStore } from "./token/ports.ts";
import { Revoker, type RevokerOptions } from "./token/revoker.ts";
import { Verifier, type VerifierOptions } from "./token/verifier.ts";
import type { ClerkUpstream } from "./upstream/clerk-upstream.ts";

/** What decides for callers who bring a key of the upstream's. */
export interface OwnKeyServices {
  readonly verifier: Verifier;
  readonly revoker: Revoker;
  readonly upstream: ClerkUpstream;
}

export interface OwnKeysOptions {
  readonly upstream: ClerkUpstream;
  readonly verifier: Omit<
    VerifierOptions,
    "upstream" | "store" | "digester" | "credential" | "revalidator" | "sweeper" | "mayTell"
  >;
  readonly revoker: Omit<RevokerOptions, "upstream" | "verifier">;
  /** Verdicts that replicas share under a credential; `undefined` where there are none. */
  readonly storeOf: (scope: string, key: string) => VerdictStore | undefined;
  /** Keys remembered at once. */
  readonly maxKeys: number;
}

const MAX_KEY_CHARS = 512;
/**
 * How many revocations that callers' own keys find out about are told to all. Whoever has an instance of the upstream's can
 * make and revoke as many tokens as it pays for: they must not fill the log, which everybody keeps in memory.
 */
const TOLD = { perSecond: 5, perDay: 20_000 };
const KEY = /^(?:ak_|sk_(?:live|test)_)[A-Za-z0-9+/=_.~-]+$/;

/**
 * Finds what decides for a key of a caller's own. Each key has flights and digests of its own, so that no verdict obtained
 * with one answers for another; the room for verdicts, the connections and the revocation facts are everybody's. Who loses
 * its place to others begins anew: digests cannot be made again, and what was cached under them ages out unread.
 *
 * @throws GatewayError CALLER_CREDENTIAL_REJECTED for what cannot be a key
 */
export function createOwnKeys(options: OwnKeysOptions): (key: string) => OwnKeyServices {
  const known = new LRUCache<string, OwnKeyServices>({ max: options.maxKeys });
  const told = new Budget({ clock: options.verifier.clock, ...TOLD });
  const mayTell = () => told.take();
  return (key) => {
    if (key.length > MAX_KEY_CHARS || !KEY.test(key)) {
      throw new GatewayError(
        "CALLER_CREDENTIAL_REJECTED",
        "what the caller sends as its own key is none of the upstream's",
      );
    }
    const fingerprint = hash("sha256", key, "hex");
    let services = known.get(fingerprint);
    if (services === undefined) {
      services = createServices(options, key, mayTell);
      known.set(fingerprint, services);
    }
    return services;
  };
}

/** Nothing is asked with a caller's key on nobody's behalf: verdicts are not renewed, and machines not swept. */
function createServices(
  { upstream: shared, verifier: parts, revoker, storeOf }: OwnKeysOptions,
  key: string,
  mayTell: () => boolean,
) {
  const upstream = shared.withOwnKey(key);
  const scope = upstream.verifyScope;
  const store = storeOf(scope, key);
  const verifier = new Verifier({ ...parts, upstream, store, digester: new Digester(scope), mayTell });
  return { upstream, verifier, revoker: new Revoker({ ...revoker, upstream, verifier }) };
}
