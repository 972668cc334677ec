import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { CallLog } from "../../src/call-log.ts";
import { createLogger } from "../../src/logger.ts";
import { observeCalls } from "../../src/observe-calls.ts";
import { CallQueue } from "../../src/rpc/call-queue.ts";
import { createLanes } from "../../src/rpc/lanes.ts";
import { createVerifyLane } from "../../src/rpc/verify-lane.ts";
import { dependenciesOf } from "../rpc/verify-stream-fixture.ts";
import { openAccess } from "../support/access.ts";
import { createDomain } from "../support/domain.ts";

const SRC = resolve(import.meta.dirname, "../../src");

describe("where nothing is traced", () => {
  it("OpenTelemetry's packages are not loaded: nobody imports what uses them, but the one place that traces when asked", () => {
    const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.startsWith("tracing/"))
      .map((path) => ({ path, text: readFileSync(resolve(SRC, path), "utf8") }));
    const imports = sources.flatMap(({ path, text }) =>
      [
        ...text.matchAll(
          /^(import (?:type )?)[^;]*?from "[^"]*\/(tracing\/[^"]+|@opentelemetry[^"]*)"|(import)\("([^"]+)"\)/gm,
        ),
      ].map(([, kind, from, dynamic, target]) => [path, kind?.trim() ?? `${dynamic}()`, from ?? target]),
    );
    const values = imports.filter(([, kind]) => kind !== "import type");
    expect(values.sort()).toEqual([
      ["gateway/open-traces.ts", "import()", "../tracing/open-tracing.ts"],
      // All of the program, which is loaded later than its entry.
      ["main.ts", "import()", "./program.ts"],
    ]);
  });

  it("and no share of calls is logged, VerifyToken is served by the very lane that knows nothing of either", async () => {
    const domain = await createDomain();
    const log = createLogger({ level: "info", format: "json", stream: { write: () => undefined } });
    const observers = (access: "off" | "errors" | number) =>
      observeCalls({
        metrics: { recordRpc: () => undefined },
        recentErrors: { note: () => undefined },
        log: new CallLog(log, domain.clock, access),
        logsAll: false,
        tracing: undefined,
      });
    const dependencies = dependenciesOf(domain, 4_096);
    const control = openAccess(domain.clock);
    const plain = createVerifyLane({ ...dependencies, access: control, onAnswered: () => undefined });
    for (const access of ["off", "errors", 0] as const) {
      const [lane] = createLanes(dependencies, control, observers(access), new CallQueue()).unary;
      expect(lane?.constructor).toBe(plain.constructor);
    }
    const [watched] = createLanes(dependencies, control, observers(0.01), new CallQueue()).unary;
    expect(watched?.constructor).not.toBe(plain.constructor);
  });
});
