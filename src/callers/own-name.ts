import { isIP } from "node:net";

/**
 * Whether a host, with its port or without, is named by an address, or is this machine by name: browsers resolve `localhost`
 * and what ends in it to loopback themselves, and no other name can be trusted to mean this server (DNS rebinding).
 */
export function isOwnName(host: string): boolean {
  const [, bracketed, name = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  return isIP(name) === 4 || /^(?:[a-z0-9-]+\.)*localhost$/i.test(name);
}

/** Whether a page that a browser names as the origin of a request is this machine's own. `null` is anybody's. */
export function isOwnOrigin(origin: string): boolean {
  const [, host] = /^https?:\/\/([^/]+)$/.exec(origin) ?? [];
  return host !== undefined && isOwnName(host);
}
