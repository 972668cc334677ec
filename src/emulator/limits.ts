/** Levels that claims may nest. Clerk publishes no bound; this one keeps recursion over them safe. */
export const MAX_CLAIMS_LEVELS = 256;

/** Bytes that a request body may have. */
export const MAX_BODY_BYTES = 1_048_576;

/** Machines that one machine may be granted access to. */
export const MAX_SCOPES = 150;

/** Lifetime of a machine's tokens when neither the machine nor the request says otherwise. */
export const DEFAULT_TOKEN_TTL_SECONDS = 3600;
