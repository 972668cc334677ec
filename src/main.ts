#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

/*
 * Keeps V8's young generation as small as it begins, at a megabyte. Left alone it grows to sixteen while the program is
 * loaded, and a collection copies what is alive in it: with many calls that wait for the upstream, tens of kibibytes each,
 * everybody else waited ten to twenty milliseconds for that (docs/abuse.md). Hits cost the same with either (docs/performance.md). Before
 * anything else is loaded, or it has grown already.
 */
setFlagsFromString("--semi-space-growth-factor=1");

await import("./program.ts");
