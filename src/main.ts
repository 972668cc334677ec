#!/usr/bin/env -S node --v8-pool-size=1
import { setFlagsFromString } from "node:v8";

/*
 * Keeps V8's young generation as small as it begins, at a megabyte. Left alone it grows to sixteen while the program is
 * loaded, and a collection copies what is alive in it: with many calls that wait for the upstream, tens of kibibytes each,
 * everybody else waited ten to twenty milliseconds for that (docs/abuse.md). Hits cost the same with either (docs/performance.md). Before
 * anything else is loaded, or it has grown already.
 */
setFlagsFromString("--semi-space-growth-factor=1");

/*
 * Keeps the methods of strings fast. Once a class extends `String`, as one of ioredis does, V8 holds what is on `String.prototype` in a
 * dictionary, and compiled code looks up every `charCodeAt` anew, at five times the cost. Not where an object that inherits from it has been
 * read before, often enough for V8 to take notice.
 */
const heir: object = Object.create(String.prototype);
for (let reads = 0; reads < 100; reads += 1) readFrom(heir);

await import("./program.ts");

function readFrom(object: { readonly absent?: unknown }): unknown {
  return object.absent;
}
