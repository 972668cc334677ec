import { z } from "zod";
import { choice } from "../setting.ts";

/** Logs. */
export const logSettings = z.strictObject({
  level: choice(
    "GATEWAY_LOG_LEVEL",
    ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    "info",
    "The least level that is logged.",
  ),
  format: choice("GATEWAY_LOG_FORMAT", ["json", "pretty"], "json", "`json` for machines, `pretty` for people."),
});
