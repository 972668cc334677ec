import type { IncomingMessage, ServerResponse } from "node:http";
import { isOwnName, isOwnOrigin } from "../callers/own-name.ts";

/** The RPCs that the console calls. */
export interface ConsoleRpcs {
  /** Whether the path names one. */
  has(path: string): boolean;
  /** Answers a request for one, over the Connect protocol. */
  serve(request: IncomingMessage, response: ServerResponse): void;
}

/** What decides who may call, of one request. */
export interface ConsoleCall {
  readonly method: string;
  /** Of the connection, not of a header. */
  readonly remoteAddress: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** As browsers send it: `same-origin`, `cross-site`, … */
  readonly fetchSite: string | undefined;
}

/**
 * Why a call is not served, or `undefined` when it may be. Four guards, each for another attack:
 * - only loopback: in a cluster the port is open to whoever scrapes it, mostly without TLS;
 * - only names of this machine: a page whose name was rebound to loopback has its own name in Host;
 * - only the console's origin: a page elsewhere has its own in Origin, and `null` is anybody's;
 * - only POST: nothing that a link, an image or a prefetch could trigger.
 */
export function refusalOf({ method, remoteAddress, host, origin, fetchSite }: ConsoleCall): string | undefined {
  if (!isLoopback(remoteAddress)) return "the console's calls are answered on loopback only: forward the port to it";
  if (host === undefined || !isOwnName(host)) return "the Host is not localhost or an IP address";
  if (origin !== undefined && (!isOwnOrigin(origin) || origin.replace(/^https?:\/\//, "") !== host)) {
    return "the page that calls is of another origin";
  }
  if (fetchSite !== undefined && fetchSite !== "same-origin" && fetchSite !== "none") {
    return "the page that calls is of another site";
  }
  return method === "POST" ? undefined : "calls are POST requests";
}

function isLoopback(address = ""): boolean {
  return address === "::1" || /^(?:::ffff:)?127\./.test(address);
}
