export interface CallsSnapshot {
  /** Ascending. */
  readonly durationBoundsS: readonly number[];
  readonly methods: readonly MethodCallCounts[];
}

/** The calls of one method that have ended. */
export interface MethodCallCounts {
  readonly service: string;
  readonly method: string;
  /** By name of the status code. */
  readonly codes: ReadonlyMap<string, number>;
  /** By bound, as in `durationBoundsS`; last, those that took longer than every bound. */
  readonly durations: ArrayLike<number>;
}

/** All errors of one method, code and reason. */
export interface RecentError {
  readonly service: string;
  readonly method: string;
  readonly code: string;
  readonly reason: string;
  readonly count: number;
  /** Milliseconds since the epoch. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export interface SpansSnapshot {
  readonly exported: number;
  readonly failed: number;
  readonly dropped: number;
}

/** How much one caller has asked for; `unnamed` for all of whom no file tells. */
export interface CallerSnapshot {
  readonly name: string;
  /** Calls that were let in. */
  readonly admitted: number;
  readonly inFlight: number;
}

/** What comes from files that may be replaced while the gateway runs. */
export interface FilesSnapshot {
  readonly reloads: readonly ReloadSnapshot[];
  readonly certificates: readonly CertificateSnapshot[];
}

/** Files that belong together. */
export type ReloadedFiles = "callers" | "tls" | "upstream_tls" | "upstream_key";

export interface ReloadSnapshot {
  readonly files: ReloadedFiles;
  /** How often what they said anew was taken over, and how often it could not be used. */
  readonly applied: number;
  readonly refused: number;
  /** Whether they say something now that cannot be used. */
  readonly isRefused: boolean;
}

export interface CertificateSnapshot {
  readonly certificate: "server" | "client_ca" | "upstream_client" | "upstream_ca";
  /** When the first in its file expires, in milliseconds since the epoch. */
  readonly notAfterMs: number;
}
