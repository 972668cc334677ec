import { buildConnector, Pool } from "undici";
import type { Clock, CreateToken, KeyEndpoint, Lane, ListTokens, TokenPage, Upstream } from "../token/ports.ts";
import type { Jwk } from "../token/signing-keys.ts";
import type { CreatedToken, Json, Token, TokenId, TokenSecret } from "../token/token.ts";
import type { TraceAttempt } from "./attempt-trace.ts";
import { type BaseUrl, parseBaseUrl } from "./base-url.ts";
import { Caller, type SignedRequest, type UpstreamCall } from "./caller.ts";
import { Counters, type UpstreamStats } from "./counters.ts";
import { Credentials, type KeyKind, type SigningKey, type UpstreamKeys } from "./credentials.ts";
import type { HttpRequest } from "./http-exchange.ts";
import { parseKeySet } from "./key-set.ts";
import { Limiter } from "./limiter.ts";
import type { Operation } from "./operation.ts";
import { formatOfSecret, parseCreatedToken, parseRevokedToken, parseToken, parseTokenPage } from "./wire.ts";

/** How to connect over TLS. All PEM. */
export interface UpstreamTlsOptions {
  /** The authorities to trust in place of the usual ones. */
  readonly ca?: string | undefined;
  /** The gateway's own certificate and key. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name to expect in the upstream's certificate, when it is not the host of its URL. */
  readonly servername?: string | undefined;
}

export interface ClerkUpstreamOptions extends UpstreamKeys {
  /** `https://api.clerk.com`, with `/v1` or another path prefix or without. */
  readonly baseUrl: string;
  /** Of a whole call, waiting and repeats included. */
  readonly timeoutMs: number;
  /** Of one request. A creation, which is never repeated, has the whole call's time. */
  readonly attemptTimeoutMs: number;
  /** Requests per call, the first included; creations always one. */
  readonly maxAttempts: number;
  /** Requests under way at once, each on a connection of its own. */
  readonly maxConcurrency: number;
  /** Requests waiting at once. */
  readonly maxQueue: number;
  /** Over any t seconds at most this times (t + 1) requests start. */
  readonly maxRequestsPerSecond: number;
  /** Sent as the Clerk-API-Version header. */
  readonly apiVersion: string;
  readonly clock: Clock;
  /** Told of every request before it is sent. */
  readonly traceAttempt?: TraceAttempt | undefined;
  /** Uniform in [0, 1). For jitter only. */
  readonly random?: (() => number) | undefined;
  readonly tls?: UpstreamTlsOptions | undefined;
  /** A key in use was rejected, or is accepted again. Called at each change. Must not throw. */
  readonly onKey?: ((event: KeyEvent) => void) | undefined;
}

export interface KeyEvent {
  readonly key: KeyKind;
  readonly rejected: boolean;
}

interface SharedParts {
  readonly pool: Pool;
  readonly limiter: Limiter;
  readonly counters: Counters;
}

const KEEP_ALIVE_MS = 10_000;

/** Clerk's REST API. Every method rejects with a GatewayError and nothing else. */
export class ClerkUpstream implements Upstream, KeyEndpoint {
  readonly #options: ClerkUpstreamOptions;
  readonly #base: BaseUrl;
  readonly #rejected = new Set<KeyKind>();
  #credentials: Credentials;
  #credential: object = {};
  #connector: buildConnector.connector;
  readonly #pool: Pool;
  readonly #limiter: Limiter;
  readonly #counters: Counters;
  readonly #caller: Caller;

  /**
   * Opens no connection yet.
   *
   * @param shared what another upstream has and this one uses, with a key that is a caller's and not the gateway's
   * @throws TypeError when the base URL or a key cannot be used
   */
  constructor(options: ClerkUpstreamOptions, shared?: SharedParts) {
    this.#options = options;
    this.#base = parseBaseUrl(options.baseUrl);
    this.#credentials = new Credentials(this.#base, options);
    this.#connector = this.#connectorFor(options.tls ?? {});
    this.#pool = shared?.pool ?? this.#createPool();
    this.#limiter = shared?.limiter ?? new Limiter(options);
    this.#counters = shared?.counters ?? new Counters(options.clock);
    const callerOptions = { ...options, random: options.random ?? Math.random, isOwnKey: shared !== undefined };
    this.#caller = new Caller(callerOptions, this.#pool, this.#limiter, this.#counters, {
      accepted: (key) => this.#keyAccepted(key),
      rejected: (key) => shared !== undefined || this.#keyRejected(key),
    });
  }

  /**
   * The same upstream, asked with a key of a caller's: by the same connections, in the same turns, and counted together. What
   * the upstream thinks of that key is the caller's to know, and says nothing of the gateway's. Need not be closed.
   *
   * @throws TypeError when the key cannot be used
   */
  withOwnKey(key: string): ClerkUpstream {
    const machineSecretKey = key.startsWith("ak_") ? key : undefined;
    const secretKey = machineSecretKey === undefined ? key : undefined;
    const shared = { pool: this.#pool, limiter: this.#limiter, counters: this.#counters };
    return new ClerkUpstream({ ...this.#options, machineSecretKey, secretKey }, shared);
  }

  get verifyScope(): string {
    return this.#credentials.verifyScope;
  }

  /** Stands for the key that verifications use: another object after each change of it, also back to a former key. */
  get credential(): object {
    return this.#credential;
  }

  /** Every request from now on goes out with these keys. @throws TypeError when one cannot be used; then none is */
  useKeys(keys: UpstreamKeys): void {
    const before = this.#credentials;
    this.#credentials = new Credentials(this.#base, keys);
    if (this.verifyScope !== before.verifyScope) this.#credential = {};
    for (const kind of [...this.#rejected]) {
      const text = kind === "machine" ? keys.machineSecretKey : keys.secretKey;
      if (text === undefined || !before.has({ kind, text })) this.#tellKey(kind, false);
    }
  }

  /** New connections are made this way; those there are stay. */
  useTls(tls: UpstreamTlsOptions): void {
    this.#connector = this.#connectorFor(tls);
  }

  /** False after three calls in a row that the upstream did not answer usably. True from the start. */
  get reachable(): boolean {
    return this.#counters.reachable;
  }

  /** Whether verifications may succeed: the upstream is reachable and takes the key that they go out with. */
  get canVerify(): boolean {
    const { verifyingKind } = this.#credentials;
    return this.reachable && (verifyingKind === undefined || !this.#rejected.has(verifyingKind));
  }

  /** The keys in use that the upstream rejected when last asked. */
  get rejectedKeys(): readonly KeyKind[] {
    return [...this.#rejected].sort();
  }

  /** As of now. */
  get stats(): UpstreamStats {
    return this.#counters.snapshot(this.#limiter.inFlight, this.#limiter.queued);
  }

  async verifyToken(secret: TokenSecret, lane: Lane, signal: AbortSignal): Promise<Token | undefined> {
    return this.#call<Token | undefined>("verify", lane, this.#post("/m2m_tokens/verify", { token: secret }), signal, {
      parse: (body) => parseToken(body, formatOfSecret(secret)),
      refusal: { value: undefined },
    });
  }

  async createToken(request: CreateToken, signal: AbortSignal): Promise<CreatedToken> {
    const body = {
      token_format: request.format,
      ...(request.ttlSeconds !== undefined && { seconds_until_expiration: request.ttlSeconds }),
      ...(request.claims !== undefined && { claims: request.claims }),
      ...(request.minRemainingTtlSeconds !== undefined && {
        min_remaining_ttl_seconds: request.minRemainingTtlSeconds,
      }),
    };
    return this.#call("create", "known", this.#post("/m2m_tokens", body), signal, { parse: parseCreatedToken });
  }

  async listTokens(request: ListTokens, signal: AbortSignal): Promise<TokenPage> {
    const query = new URLSearchParams({
      subject: request.subject,
      revoked: String(request.includeRevoked),
      expired: String(request.includeExpired),
      limit: String(request.limit),
      offset: String(request.offset),
    });
    const http: Unsigned = { method: "GET", path: `/m2m_tokens?${query}`, body: undefined };
    return this.#call("list", "known", http, signal, { parse: (body) => parseTokenPage(body, request) });
  }

  async revokeToken(id: TokenId, reason: string | undefined, signal: AbortSignal): Promise<Token> {
    const body = reason === undefined ? {} : { revocation_reason: reason };
    const http = this.#post(`/m2m_tokens/${encodeURIComponent(id)}/revoke`, body);
    return this.#call("revoke", "known", http, signal, { parse: (answer) => parseRevokedToken(answer, id) });
  }

  /** The instance's own key set, which its secret key opens. */
  async fetchKeys(signal: AbortSignal): Promise<readonly Jwk[]> {
    const http: Unsigned = { method: "GET", path: "/jwks", body: undefined };
    return this.#call("keys", "known", http, signal, { parse: parseKeySet });
  }

  /** Ends what is under way with DRAINING and closes the connections. */
  async close(): Promise<void> {
    this.#caller.close();
    this.#limiter.close();
    await this.#pool.destroy();
  }

  #post(path: string, body: { readonly [key: string]: Json }): Unsigned {
    return { method: "POST", path, body: JSON.stringify(body) };
  }

  #call<T>(
    operation: Operation,
    lane: Lane,
    http: Unsigned,
    signal: AbortSignal,
    answer: Pick<UpstreamCall<T>, "parse" | "refusal">,
  ): Promise<T> {
    // A call that lacks its key waits for nothing.
    this.#credentials.keyFor(operation);
    return this.#caller.call({ operation, lane, sign: () => this.#sign(operation, http), ...answer }, signal);
  }

  #sign(operation: Operation, http: Unsigned): SignedRequest {
    const key = this.#credentials.keyFor(operation);
    const headers = {
      accept: "application/json",
      authorization: `Bearer ${key.text}`,
      "clerk-api-version": this.#options.apiVersion,
      "user-agent": "m2m-gateway",
      ...(http.body !== undefined && { "content-type": "application/json" }),
    };
    return { key, http: { ...http, path: this.#base.prefix + http.path, headers } };
  }

  #createPool(): Pool {
    return new Pool(this.#base.origin, {
      // A request beyond the connections would wait in undici's queue, which knows no lanes.
      connections: this.#options.maxConcurrency,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: (target, callback) => this.#connector(target, callback),
      // Scopes bound every wait; undici's own timers are coarser and would fire with other errors.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  #connectorFor({ ca, cert, key, servername }: UpstreamTlsOptions): buildConnector.connector {
    return buildConnector({
      timeout: this.#options.attemptTimeoutMs,
      allowH2: false,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert, key }),
      ...(servername !== undefined && { servername }),
    });
  }

  #keyAccepted(key: SigningKey): void {
    if (this.#rejected.size > 0 && this.#rejected.has(key.kind) && this.#credentials.has(key)) {
      this.#tellKey(key.kind, false);
    }
  }

  #keyRejected(key: SigningKey): boolean {
    if (!this.#credentials.has(key)) return false;
    if (!this.#rejected.has(key.kind)) this.#tellKey(key.kind, true);
    return true;
  }

  #tellKey(key: KeyKind, rejected: boolean): void {
    if (rejected) this.#rejected.add(key);
    else this.#rejected.delete(key);
    this.#options.onKey?.({ key, rejected });
  }
}

type Unsigned = Omit<HttpRequest, "headers">;
