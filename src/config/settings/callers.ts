import { z } from "zod";
import { onOff, optionalText, whole } from "../setting.ts";

/** Who may call. */
export const callersSettings = z.strictObject({
  file: optionalText(
    "GATEWAY_CALLERS_FILE",
    "the path of a file",
    "YAML or JSON file of those who may call, by bearer key or client certificate, and of what each may do; read again when it changes. `docs/security.md` describes it. Without it callers are not told apart: whoever reaches the RPC port may do everything.",
  ),
  demandLocal: onOff(
    "GATEWAY_CALLERS_DEMAND_LOCAL",
    "Demands an identity on loopback and on Unix sockets too, where without it everybody may do everything. Of no effect without `GATEWAY_CALLERS_FILE`.",
  ),
  auditLog: onOff(
    "GATEWAY_AUDIT_LOG",
    "Logs each creation and each revocation of a token, refused ones too: who, which token, and how it ended. These lines have `audit: true`, and `GATEWAY_LOG_LEVEL` does not silence them.",
    true,
  ),
  passthrough: onOff(
    "GATEWAY_PASSTHROUGH",
    "Lets callers send a Clerk key of their own, in the metadata `x-clerk-secret-key`, for the gateway to use in place of its own. Without it such calls are refused.",
  ),
  passthroughMaxKeys: whole(
    "GATEWAY_PASSTHROUGH_MAX_KEYS",
    { min: 1, max: 10_000, initial: 100, unit: "keys" },
    "How many callers' own keys are remembered at once, the least recently used forgotten first, with the verdicts that were theirs.",
  ),
});
