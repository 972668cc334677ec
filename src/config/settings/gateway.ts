import { z } from "zod";
import { generateReplicaName } from "../replica-name.ts";
import { MS, onOff, processName, whole } from "../setting.ts";

/** The gateway as a whole. */
export const gatewaySettings = z.strictObject({
  insecure: onOff(
    "GATEWAY_INSECURE",
    "Allows listening on addresses that other machines can reach, and plain http to an upstream on another machine. The RPC port needs it only without TLS. The admin port authenticates nobody, and the RPC port only with `GATEWAY_CALLERS_FILE`, whose keys then go over the network in cleartext: allow it only where the network keeps strangers out.",
  ),
  reloadIntervalMs: whole(
    "GATEWAY_RELOAD_INTERVAL_MS",
    { min: 100, max: 600_000, initial: 5000, unit: MS },
    "How often the files of certificates, of the upstream's keys and of callers are looked at. What they say anew is used from then on, without a restart.",
  ),
  replica: processName(
    "GATEWAY_REPLICA",
    generateReplicaName,
    "Name of this process: the origin of the revocations that it records. Must be unique among processes that run at the same time.",
  ),
});
