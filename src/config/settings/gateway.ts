import { z } from "zod";
import { generateReplicaName } from "../replica-name.ts";
import { onOff, processName } from "../setting.ts";

/** The gateway as a whole. */
export const gatewaySettings = z.strictObject({
  insecure: onOff(
    "GATEWAY_INSECURE",
    "Allows listening on addresses that other machines can reach, and plain http to an upstream on another machine. The RPC port needs it only without TLS. Neither port authenticates callers: allow it only where the network keeps strangers out.",
  ),
  replica: processName(
    "GATEWAY_REPLICA",
    generateReplicaName,
    "Name of this process: the origin of the revocations that it records. Must be unique among processes that run at the same time.",
  ),
});
