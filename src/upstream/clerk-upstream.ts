import { Pool } from "undici";
import type { Clock, CreateToken, KeyEndpoint, Lane, ListTokens, TokenPage, Upstream } from "../token/ports.ts";
import type { Jwk } from "../token/signing-keys.ts";
import type { CreatedToken, Json, Token, TokenId, TokenSecret } from "../token/token.ts";
import type { TraceAttempt } from "./attempt-trace.ts";
import { parseBaseUrl } from "./base-url.ts";
import { Caller, type UpstreamCall } from "./caller.ts";
import { Counters, type UpstreamStats } from "./counters.ts";
import { Credentials } from "./credentials.ts";
import type { HttpRequest } from "./http-exchange.ts";
import { parseKeySet } from "./key-set.ts";
import { Limiter } from "./limiter.ts";
import type { Operation } from "./operation.ts";
import { formatOfSecret, parseCreatedToken, parseRevokedToken, parseToken, parseTokenPage } from "./wire.ts";

export interface ClerkUpstreamOptions {
  /** `https://api.clerk.com`, with `/v1` or another path prefix or without. */
  readonly baseUrl: string;
  /** `ak_…`. Creates; verifies when there is one. */
  readonly machineSecretKey?: string | undefined;
  /** `sk_…`. Lists and revokes when there is one. */
  readonly secretKey?: string | undefined;
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
}

const KEEP_ALIVE_MS = 10_000;

/** Clerk's REST API. Every method rejects with a GatewayError and nothing else. */
export class ClerkUpstream implements Upstream, KeyEndpoint {
  readonly verifyScope: string;
  readonly #prefix: string;
  readonly #apiVersion: string;
  readonly #credentials: Credentials;
  readonly #pool: Pool;
  readonly #limiter: Limiter;
  readonly #counters: Counters;
  readonly #caller: Caller;

  /** Opens no connection yet. @throws TypeError when the base URL or a key cannot be used */
  constructor(options: ClerkUpstreamOptions) {
    const base = parseBaseUrl(options.baseUrl);
    this.#prefix = base.prefix;
    this.#apiVersion = options.apiVersion;
    this.#credentials = new Credentials(base, options.machineSecretKey, options.secretKey);
    this.verifyScope = this.#credentials.verifyScope;
    this.#pool = new Pool(base.origin, {
      // A request beyond the connections would wait in undici's queue, which knows no lanes.
      connections: options.maxConcurrency,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connect: { timeout: options.attemptTimeoutMs },
      // Scopes bound every wait; undici's own timers are coarser and would fire with other errors.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#limiter = new Limiter(options);
    this.#counters = new Counters(options.clock);
    const random = options.random ?? Math.random;
    this.#caller = new Caller({ ...options, random }, this.#pool, this.#limiter, this.#counters);
  }

  /** False after three calls in a row that the upstream did not answer usably. True from the start. */
  get reachable(): boolean {
    return this.#counters.reachable;
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
    const key = this.#credentials.keyFor(operation);
    const headers = {
      accept: "application/json",
      authorization: `Bearer ${key}`,
      "clerk-api-version": this.#apiVersion,
      "user-agent": "m2m-gateway",
      ...(http.body !== undefined && { "content-type": "application/json" }),
    };
    const signed: HttpRequest = { ...http, path: this.#prefix + http.path, headers };
    return this.#caller.call({ operation, lane, key, http: signed, ...answer }, signal);
  }
}

type Unsigned = Omit<HttpRequest, "headers">;
