import type { Carrier } from "../kit/address.ts";
import type { Material } from "../kit/material.ts";
import type { Usage } from "../kit/process-usage.ts";
import type { World } from "../kit/world.ts";
import type { LoadResult, Target } from "../load/h2load.ts";

/** A server that is measured. */
export interface Peer {
  /** Its key in the JSON. */
  readonly name: string;
  /** What it is, for the tables. */
  readonly title: string;
  readonly carriers: readonly Carrier[];
  /** Builds what it needs, once. @throws CannotRun with the reason */
  prepare(world: World): Promise<void>;
  /**
   * Starts it and checks its answer.
   * @throws CannotRun when it cannot run here
   * @throws Error when its answer is not right
   */
  start(world: World, material: Material, carrier: Carrier): Promise<RunningPeer>;
}

export interface RunningPeer {
  readonly target: Target;
  usage(): Usage;
  /** Called with a run's result: compares it with what the server itself counted since the last call. @throws Error */
  confirm(result: LoadResult): Promise<void>;
  stop(): Promise<void>;
}
