import { BlockList, isIP, isIPv6 } from "node:net";

/** Where a port listens. */
export interface Endpoint {
  /** A host name or an IP address, without brackets; `::` is every address of this machine, IPv4 included. */
  readonly host: string;
  /** 0 to 65535; 0 takes any free port. */
  readonly port: number;
}

/** A Unix domain socket: whoever may open the file may connect. */
export interface SocketPath {
  /** Absolute. */
  readonly path: string;
}

export type ListenAddress = Endpoint | SocketPath;

/** The least of what systems allow is 104 bytes, an end mark among them. */
const MAX_SOCKET_PATH_BYTES = 103;
const SOCKET_FORM = /^unix:(\/[^\0\n]*[^\0\n/])$/;
const FORM = /^(?:\[([^\]]+)\]|([^[\]:\s/]*)):(\d{1,5})$/;
const HOST_NAME = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;
const MAX_PORT = 65_535;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Reads `host:port`, `[address]:port` or `:port`; `undefined` when the text is none of them. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, address, name, digits] = match;
  const port = Number(digits);
  if (port > MAX_PORT) return undefined;
  if (address !== undefined) return isIPv6(address) ? { host: address, port } : undefined;
  if (name === undefined || name === "") return { host: "::", port };
  return isHost(name) ? { host: name, port } : undefined;
}

/** Reads what `parseEndpoint` does, and `unix:/absolute/path`. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const path = SOCKET_FORM.exec(text)?.[1];
  if (path === undefined) return parseEndpoint(text);
  return Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES ? { path } : undefined;
}

export function formatListenAddress(address: ListenAddress): string {
  return "path" in address ? `unix:${address.path}` : formatEndpoint(address);
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only this machine can reach what listens at `host`. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  const family = isIP(host);
  return family !== 0 && LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** Whether only this machine can reach what listens there. */
export function isLocal(address: ListenAddress): boolean {
  return "path" in address || isLoopback(address.host);
}

/** Whether two addresses cannot both be listened at. */
export function addressesCollide(a: ListenAddress, b: ListenAddress): boolean {
  if ("path" in a || "path" in b) return false;
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isEvery(a.host) || isEvery(b.host);
}

// A text of digits and dots is an address or a mistake, never a name.
function isHost(text: string): boolean {
  return /^[\d.]+$/.test(text) ? isIP(text) === 4 : HOST_NAME.test(text);
}

function isEvery(host: string): boolean {
  return host === "::" || host === "0.0.0.0";
}
