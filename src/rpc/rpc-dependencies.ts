import type { FleetView } from "../fleet-view.ts";
import type { FreshnessSnapshot, StatusSnapshot, WatcherCounts } from "../status.ts";
import type { Clock, Upstream } from "../token/ports.ts";
import type { RevocationFeed } from "../token/revocation-feed.ts";
import type { Revocations } from "../token/revocations.ts";
import type { Revoker } from "../token/revoker.ts";
import type { SubjectRevoker } from "../token/subject-revoker.ts";
import type { TokenPool } from "../token/token-pool.ts";
import type { InvalidationTarget } from "../token/verdict-cache.ts";
import type { Verifier } from "../token/verifier.ts";
import type { Admission } from "./admission.ts";
import type { WorkerStatuses } from "./merge-status.ts";

/** What the RPCs are served from. */
export interface RpcDependencies {
  readonly verifier: Verifier;
  readonly revoker: Revoker;
  readonly subjectRevoker: SubjectRevoker;
  readonly pool: TokenPool;
  readonly upstream: Upstream;
  readonly feed: RevocationFeed;
  readonly revocations: Revocations;
  readonly clock: Clock;
  readonly watch: { readonly heartbeatMs: number; readonly maxLag: number };
  readonly watchers: WatcherCounts;
  readonly admission: Admission;
  /** The largest message either side may send, in bytes. */
  readonly maxMessageBytes: number;
  readonly status: () => StatusSnapshot;
  /** Who follows the log; `undefined` in a worker, which is told the log by another process. */
  readonly fleet: FleetView | undefined;
  /** What the workers tell, where others serve the RPC port and this process the admin port. Never rejects. */
  readonly workers: (() => Promise<WorkerStatuses>) | undefined;
  readonly freshness: () => FreshnessSnapshot;
  /** Whether the gateway is in any state but its normal one. */
  readonly isDegraded: () => boolean;
  /** Has the processes that serve the same port forget verdicts too; `undefined` where there are none. */
  readonly spreadInvalidation?: ((target: InvalidationTarget, signal: AbortSignal) => Promise<void>) | undefined;
}
