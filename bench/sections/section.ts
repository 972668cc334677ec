import type { Material } from "../kit/material.ts";
import type { RunRecord } from "../kit/record.ts";
import type { World } from "../kit/world.ts";
import type { BenchOptions } from "../options.ts";

export interface SectionContext {
  readonly world: World;
  readonly material: Material;
  readonly options: BenchOptions;
  readonly record: RunRecord;
}

/** A part of the benchmark that can be asked for by name. */
export interface Section {
  readonly name: string;
  readonly about: string;
  run(context: SectionContext): Promise<void>;
}
