export interface BaseUrl {
  readonly origin: string;
  /** Path that every endpoint's path is appended to. Ends in `/v1`, never in a slash. */
  readonly prefix: string;
}

/**
 * Reads the address of the API: an http or https URL, with a path or without, with or without `/v1` at its end.
 *
 * @throws TypeError when it is anything else; the message does not repeat the URL, which may hold a password
 */
export function parseBaseUrl(text: string): BaseUrl {
  if (!URL.canParse(text)) {
    throw new TypeError("the upstream's base URL is not a URL");
  }
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new TypeError("the upstream's base URL must begin with https:// or http://");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new TypeError("the upstream's base URL must hold no user, password, query or fragment");
  }
  const path = url.pathname.replace(/\/+$/, "");
  return { origin: url.origin, prefix: path.endsWith("/v1") ? path : `${path}/v1` };
}
