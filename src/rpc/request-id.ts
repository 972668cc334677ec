import { randomUUID } from "node:crypto";
import type { Exchange } from "./exchange.ts";

const REQUEST_ID = /^[\w.:-]{1,64}$/;

/** What the caller names its request by, in `x-request-id`, or a new name where it gives none that is fit for a log. */
export function requestIdOf(exchange: Exchange): string {
  const given = exchange.header("x-request-id");
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
}
