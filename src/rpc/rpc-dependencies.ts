import type { FreshnessSnapshot, StatusSnapshot, WatcherCounts } from "../status.ts";
import type { Clock, Upstream } from "../token/ports.ts";
import type { RevocationFeed } from "../token/revocation-feed.ts";
import type { Revocations } from "../token/revocations.ts";
import type { Revoker } from "../token/revoker.ts";
import type { SubjectRevoker } from "../token/subject-revoker.ts";
import type { Verifier } from "../token/verifier.ts";

/** What the RPCs are served from. */
export interface RpcDependencies {
  readonly verifier: Verifier;
  readonly revoker: Revoker;
  readonly subjectRevoker: SubjectRevoker;
  readonly upstream: Upstream;
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly watch: { readonly heartbeatMs: number; readonly maxLag: number };
  readonly watchers: WatcherCounts;
  /** The largest message either side may send, in bytes. */
  readonly maxMessageBytes: number;
  readonly status: () => StatusSnapshot;
  readonly freshness: () => FreshnessSnapshot;
  /** Whether the gateway is in any state but its normal one. */
  readonly isDegraded: () => boolean;
}
