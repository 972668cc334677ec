/** What a caller may be allowed. `admin` includes all others. */
export const ROLES = ["verify", "mint", "revoke", "watch", "admin"] as const;

export type Role = (typeof ROLES)[number];

export const ALL_ROLES: ReadonlySet<Role> = new Set(ROLES);

/** The roles that come with those given. */
export function rolesFrom(given: readonly Role[]): ReadonlySet<Role> {
  return given.includes("admin") ? ALL_ROLES : new Set(given);
}
