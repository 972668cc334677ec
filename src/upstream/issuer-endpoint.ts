import { buildConnector, Pool } from "undici";
import { canceled, GatewayError } from "../token/errors.ts";
import type { Clock, KeyEndpoint } from "../token/ports.ts";
import type { Jwk } from "../token/signing-keys.ts";
import { exchange, type HttpRequest } from "./http-exchange.ts";
import { parseKeySet } from "./key-set.ts";
import { openScope } from "./scope.ts";
import { parseJson, WireError } from "./wire.ts";

export interface IssuerEndpointOptions {
  /** The issuer's URL as configured. Never one that a token names. */
  readonly issuer: string;
  /** Of one fetch. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** The key set that an issuer publishes for everybody, under its well-known path. Redirects are failures. */
export class IssuerEndpoint implements KeyEndpoint {
  readonly #options: IssuerEndpointOptions;
  #connector: buildConnector.connector;
  readonly #pool: Pool;
  readonly #request: HttpRequest;

  /** Opens no connection yet. @throws TypeError when the issuer is no URL */
  constructor(options: IssuerEndpointOptions) {
    this.#options = options;
    const url = new URL(options.issuer);
    this.#connector = this.#connectorFor(undefined);
    this.#pool = new Pool(url.origin, {
      connections: 1,
      pipelining: 1,
      connect: (target, callback) => this.#connector(target, callback),
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const path = `${url.pathname.replace(/\/+$/, "")}/.well-known/jwks.json`;
    this.#request = {
      method: "GET",
      path,
      headers: { accept: "application/json", "user-agent": "m2m-gateway" },
      body: undefined,
    };
  }

  /** New connections trust these authorities, in PEM, in place of the usual ones; the usual ones when `undefined`. */
  trust(ca: string | undefined): void {
    this.#connector = this.#connectorFor(ca);
  }

  async fetchKeys(signal: AbortSignal): Promise<readonly Jwk[]> {
    const { clock, timeoutMs } = this.#options;
    const scope = openScope(clock, timeoutMs, signal, canceled);
    try {
      const { status, body } = await exchange(this.#pool, this.#request, scope.signal);
      if (status !== 200) throw bad(`status ${status}`, { upstreamStatus: status });
      if (!("text" in body)) throw bad(body.fault);
      return parseKeySet(parseJson(body.text));
    } catch (error) {
      throw error instanceof WireError ? bad(error.message) : error;
    } finally {
      scope.close();
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #connectorFor(ca: string | undefined): buildConnector.connector {
    return buildConnector({ timeout: this.#options.timeoutMs, allowH2: false, ...(ca !== undefined && { ca }) });
  }
}

function bad(what: string, facts: { upstreamStatus?: number } = {}): GatewayError {
  return new GatewayError("UPSTREAM_BAD_RESPONSE", `the issuer's key set cannot be read: ${what}`, facts);
}
