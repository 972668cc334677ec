import { z } from "zod";
import { accessLog, choice } from "../setting.ts";

/** Logs. */
export const logSettings = z.strictObject({
  level: choice(
    "GATEWAY_LOG_LEVEL",
    ["trace", "debug", "info", "warn", "error", "fatal", "silent"],
    "info",
    "The least level that is logged.",
  ),
  format: choice("GATEWAY_LOG_FORMAT", ["json", "pretty"], "json", "`json` for machines, `pretty` for people."),
  access: accessLog(
    "GATEWAY_ACCESS_LOG",
    "Which calls get a line of their own, at level info: none; those that failed; or those that failed and of the others this share, one in every so many.",
  ),
});
