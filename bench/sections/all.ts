import { cacheSize } from "./cache-size.ts";
import { cases } from "./cases.ts";
import { fanout } from "./fanout.ts";
import { idle } from "./idle.ts";
import { memory } from "./memory.ts";
import { replicas } from "./replicas.ts";
import type { Section } from "./section.ts";
import { sizing } from "./sizing.ts";
import { startup } from "./startup.ts";
import { workers } from "./workers.ts";

/** In the order in which they run. */
export const SECTIONS: readonly Section[] = [
  cases,
  fanout,
  memory,
  cacheSize,
  replicas,
  workers,
  startup,
  sizing,
  idle,
];
