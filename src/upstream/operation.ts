/** The endpoints of the upstream that the gateway uses. */
export type Operation = "create" | "list" | "revoke" | "verify";
