import { apiError } from "./errors.ts";

/** The versions of the API that have M2M tokens. */
const VERSIONS = ["2021-02-05", "2024-10-01", "2025-04-10", "2025-11-10", "2026-05-12"];

/**
 * Checks the version asked for, in the header or in the query. None is fine.
 *
 * @throws ApiError api_version_invalid for an unknown one, or for two
 */
export function checkApiVersion(header: string | undefined, query: URLSearchParams): void {
  const asked = [...(header === undefined ? [] : [header]), ...query.getAll("__clerk_api_version")];
  if (asked.length > 1) {
    throw invalid("give it once, in the Clerk-API-Version header or in the __clerk_api_version parameter");
  }
  if (asked.some((version) => !VERSIONS.includes(version))) throw invalid(`must be one of ${VERSIONS.join(", ")}`);
}

function invalid(reason: string) {
  return apiError("api_version_invalid", { longMessage: `Invalid Clerk API version: ${reason}` });
}
