import { expect, it } from "vitest";
import { createLogger, withFields } from "../logger.ts";

it("adds fields to each line as they are then, and to those of the log itself nothing", () => {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => lines.push(JSON.parse(line)) };
  const log = createLogger({ level: "info", format: "json", stream, fields: { worker: 2 } });
  let ids: Record<string, string> = {};
  const traced = withFields(log, () => ids);
  traced.info("outside");
  ids = { trace_id: "t1" };
  traced.info("inside");
  traced.warn({ err: new Error("broken"), trace_id: "own" }, "failed");
  log.info("elsewhere");
  expect(lines).toMatchObject([
    { worker: 2, msg: "outside" },
    { worker: 2, msg: "inside", trace_id: "t1" },
    { worker: 2, msg: "failed", trace_id: "own", err: { message: "broken" } },
    { worker: 2, msg: "elsewhere" },
  ]);
  expect(lines.map((line) => "trace_id" in line)).toEqual([false, true, true, false]);
});
