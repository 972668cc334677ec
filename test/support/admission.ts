import { Admission, type OverloadLimits } from "../../src/rpc/admission.ts";
import { LoopDelay } from "../../src/rpc/loop-delay.ts";
import { systemClock } from "../../src/system-clock.ts";

const GENEROUS: OverloadLimits = {
  maxConnections: 10_000,
  maxStreamsPerConnection: 1000,
  maxStreams: 100_000,
  maxInFlight: 100_000,
  maxWatchers: 100_000,
  maxPendingBytes: 1024 * 1024 * 1024,
  shedDelayMs: 200,
};

/** An admission with bounds that no test meets by accident. Nobody measures the event loop: it is never late. */
export function admissionWith(limits: Partial<OverloadLimits> = {}, delay = new LoopDelay(systemClock)): Admission {
  return new Admission({ ...GENEROUS, ...limits }, delay);
}
