import type { Attack } from "../attack.ts";
import { FLOODS } from "./floods.ts";
import { SLOW } from "./slow.ts";

export const ATTACKS: readonly Attack[] = [...SLOW, ...FLOODS];
