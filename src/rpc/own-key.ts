/** Metadata in which callers give a key of their own for the upstream. */
export const OWN_KEY_HEADER = "x-clerk-secret-key";
