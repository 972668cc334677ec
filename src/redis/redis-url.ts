/** Where Redis is and who logs in. */
export interface RedisTarget {
  readonly mode: "single" | "sentinel" | "cluster";
  /** The server, the sentinels or some nodes of the cluster. */
  readonly nodes: readonly RedisNode[] | { readonly unixSocket: string };
  /** The name under which the sentinels know the primary. */
  readonly sentinelMaster?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  /** Present when connections are to be encrypted; empty trusts the system's authorities. */
  readonly tls?: RedisTls | undefined;
}

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** All PEM. */
export interface RedisTls {
  readonly ca?: string | Buffer | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** The name to expect in the server's certificate, when it is not the host that was dialled. */
  readonly servername?: string | undefined;
}

const FORM = /^([a-z-]+):\/\/(?:([^@/]*)@)?([^/?@]*)(\/[^?]*)?(?:\?(.*))?$/;
const SCHEMES: ReadonlyMap<string, { mode: RedisTarget["mode"]; tls: boolean; defaultPort: number }> = new Map([
  ["redis", { mode: "single", tls: false, defaultPort: 6379 }],
  ["rediss", { mode: "single", tls: true, defaultPort: 6379 }],
  ["redis-sentinel", { mode: "sentinel", tls: false, defaultPort: 26_379 }],
  ["rediss-sentinel", { mode: "sentinel", tls: true, defaultPort: 26_379 }],
  ["redis-cluster", { mode: "cluster", tls: false, defaultPort: 6379 }],
  ["rediss-cluster", { mode: "cluster", tls: true, defaultPort: 6379 }],
]);

/**
 * Understands
 * - `redis://[user:password@]host[:port][/database]`
 * - `unix://[user:password@]/path/of/socket[?db=database]`
 * - `redis-sentinel://[user:password@]host[:port],…/master[/database]`
 * - `redis-cluster://[user:password@]host[:port],…`
 *
 * and the same beginning with `rediss` for TLS. User, password and master may be percent-encoded; `:password@` logs in
 * as the default user.
 *
 * @throws Error saying what is wrong, without quoting anything of it: it may hold a password
 */
export function parseRedisUrl(text: string): RedisTarget {
  const match = FORM.exec(text);
  if (match === null) throw new Error("is not of the form scheme://[user:password@]host[:port][/…]");
  const [, scheme = "", login, hosts = "", path = "", query] = match;
  const credentials = login === undefined ? {} : parseLogin(login);
  if (scheme === "unix") return { mode: "single", ...parseSocket(hosts, path, query), ...credentials };
  const known = SCHEMES.get(scheme);
  if (known === undefined) throw new Error(`must begin with unix or one of ${[...SCHEMES.keys()].join(", ")}`);
  if (query !== undefined) throw new Error("has options after '?': set them by their own names");
  return {
    mode: known.mode,
    nodes: parseNodes(hosts, known.mode, known.defaultPort),
    ...parsePath(path, known.mode),
    ...credentials,
    ...(known.tls ? { tls: {} } : {}),
  };
}

function parseLogin(login: string): Pick<RedisTarget, "username" | "password"> {
  const colon = login.indexOf(":");
  if (colon === -1) throw new Error("has a user without a password: write user:password@ or :password@");
  const username = decode(login.slice(0, colon), "user");
  const password = decode(login.slice(colon + 1), "password");
  return { ...(username === "" ? {} : { username }), ...(password === "" ? {} : { password }) };
}

function parseSocket(hosts: string, path: string, query: string | undefined): Pick<RedisTarget, "nodes" | "database"> {
  if (hosts !== "" || path.length < 2) throw new Error("names no socket: write unix:///path/of/socket");
  const nodes = { unixSocket: decode(path, "path") };
  if (query === undefined) return { nodes };
  if (!query.startsWith("db=")) throw new Error("has an option other than ?db=");
  return { nodes, database: parseDatabase(query.slice("db=".length)) };
}

function parsePath(path: string, mode: RedisTarget["mode"]): Pick<RedisTarget, "sentinelMaster" | "database"> {
  const parts = path.split("/").slice(1);
  if (parts.at(-1) === "") parts.pop();
  const sentinelMaster = mode === "sentinel" ? decode(parts.shift() ?? "", "name of the primary") : undefined;
  if (sentinelMaster === "") throw new Error("names no primary: write redis-sentinel://host,…/primary");
  const [database, ...rest] = parts;
  if (rest.length > 0) throw new Error("has too many parts in its path");
  const parsed = database === undefined ? undefined : parseDatabase(database);
  if (mode === "cluster" && parsed !== undefined && parsed !== 0) throw new Error("a cluster has database 0 only");
  return {
    ...(sentinelMaster === undefined ? {} : { sentinelMaster }),
    ...(parsed === undefined ? {} : { database: parsed }),
  };
}

function parseNodes(hosts: string, mode: RedisTarget["mode"], defaultPort: number): readonly RedisNode[] {
  const nodes = hosts.split(",").map((host) => parseNode(host, defaultPort));
  if (mode === "single" && nodes.length > 1) {
    throw new Error("names several hosts: write redis-sentinel:// or redis-cluster://");
  }
  return nodes;
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  if (host === undefined) throw new Error("has no host, or one that is not host[:port] (an IPv6 address in brackets)");
  if (port < 1 || port > 65_535) throw new Error("has a port that is not between 1 and 65535");
  return { host, port };
}

function parseDatabase(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new Error("has a database that is not a number");
  return Number(text);
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // The runtime's own message quotes nothing, but says nothing either.
    throw new Error(`has a ${what} with a broken percent-encoding`);
  }
}
