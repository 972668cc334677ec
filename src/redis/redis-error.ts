/**
 * That Redis could not be asked, or did not do what it was asked. Made from the client's errors, which it does not keep:
 * those carry the arguments of the failed command, a password among them when the command was the login.
 */
export class RedisError extends Error {
  override readonly name = "RedisError";
}

const MAX_LENGTH = 300;

/** `what` says which operation failed. */
export function redisError(what: string, error: unknown): RedisError {
  const text = error instanceof Error ? error.message || error.name : "unknown failure";
  return new RedisError(`${what}: ${text.replace(/\s+/g, " ").slice(0, MAX_LENGTH)}`);
}
