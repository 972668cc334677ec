import { type Context, createContextKey } from "@opentelemetry/api";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SamplingResult,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { Config } from "../config/settings.ts";

type SamplerName = Config["tracing"]["sampler"];

const CHOSEN = createContextKey("m2m-gateway: chosen");

/** A context in which the next span is sampled whatever the sampler says. */
export function chosenIn(context: Context): Context {
  return context.setValue(CHOSEN, true);
}

/** The sampler of that name, which lets spans pass that were chosen elsewhere. */
export class ChoosingSampler implements Sampler {
  readonly #sampler: Sampler;

  constructor(name: SamplerName, ratio: number) {
    const root = rootSampler(name, ratio);
    this.#sampler = name.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root;
  }

  shouldSample(...asked: Parameters<Sampler["shouldSample"]>): SamplingResult {
    const [context] = asked;
    if (context.getValue(CHOSEN) === true) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#sampler.shouldSample(...asked);
  }

  toString(): string {
    return this.#sampler.toString();
  }
}

/** The share of calls that are sampled when their callers do not say. */
export function rootRatioOf(name: SamplerName, ratio: number): number {
  if (name.endsWith("always_on")) return 1;
  return name.endsWith("always_off") ? 0 : ratio;
}

function rootSampler(name: SamplerName, ratio: number): Sampler {
  if (name.endsWith("always_on")) return new AlwaysOnSampler();
  return name.endsWith("always_off") ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
}
