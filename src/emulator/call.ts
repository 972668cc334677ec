import type { Principal } from "./auth.ts";
import type { EmulatorClock } from "./clock.ts";
import type { Answer } from "./http.ts";
import type { Json } from "./json.ts";
import type { JwtIssuer } from "./jwt.ts";
import type { State } from "./state.ts";
import type { Switchboard } from "./switches.ts";

/** What the operations work on. */
export interface World {
  readonly state: State;
  readonly clock: EmulatorClock;
  readonly switches: Switchboard;
  readonly jwts: JwtIssuer;
}

/** A request that was authenticated and routed. */
export interface Call {
  readonly principal: Principal;
  /** Path parameters in the order of the path. */
  readonly params: readonly string[];
  readonly query: URLSearchParams;
  /** `undefined` when the request had none. */
  readonly body: Json | undefined;
}

/** @throws ApiError */
export type Operation = (call: Call, world: World) => Answer | Promise<Answer>;
