/** The endpoints of the upstream that the gateway uses. */
export type Operation = "create" | "keys" | "list" | "revoke" | "verify";
