import { Agent, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from "node:http";
import { connect } from "node:net";
import { type AdminServer, type AdminTls, type Readiness, startAdminServer } from "../../src/admin/admin-server.ts";
import type { ConsoleRpcs } from "../../src/admin/console-rpcs.ts";

export interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const agent = new Agent({ keepAlive: true });
const servers: AdminServer[] = [];

/** Closes what `startAdmin` started. */
export async function closeAdmins(): Promise<void> {
  await Promise.all(servers.splice(0).map((server) => server.close()));
}

export const NO_RPCS: ConsoleRpcs = { has: () => false, serve: () => undefined };

/** An admin port that tells what `parts` say, and what it warned of. */
export async function startAdmin(
  parts: {
    readonly consoleRpcs?: ConsoleRpcs;
    readonly metrics?: () => Promise<string>;
    readonly ready?: () => Readiness;
    readonly onQuit?: () => void;
    readonly quitRefusal?: (request: IncomingMessage) => string | undefined;
    readonly demandsOwnName?: boolean;
    readonly tls?: () => AdminTls | undefined;
  } = {},
) {
  const warnings: unknown[] = [];
  const server = await startAdminServer({
    host: "127.0.0.1",
    port: 0,
    metrics: async () => "up 1\n",
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    ready: () => ({ ready: true, detail: {} }),
    consoleRpcs: NO_RPCS,
    demandsOwnName: true,
    log: { warn: (fields: unknown) => warnings.push(fields) },
    ...parts,
  });
  servers.push(server);
  return { server, warnings };
}

/** One request, as it stands. */
export function ask({ url }: AdminServer, path: string, options: RequestOptions = {}, body?: string): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, agent, ...options }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      response.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** What the server sends in answer to the bytes, until it ends the connection. */
export function raw({ url }: AdminServer, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(bytes));
    socket.setEncoding("utf8");
    socket.on("data", (part: string) => {
      text += part;
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text));
  });
}
