import type { Config } from "../config/settings.ts";
import type { RpcServerOptions } from "../rpc/rpc-server.ts";

/** Where RPCs are served, with who may use the file of a Unix socket. */
export function listenOptions({ listen, socketMode, socketOwner }: Config["rpc"]): RpcServerOptions["listen"] {
  if (!("path" in listen)) return listen;
  const [uid, gid] = (socketOwner ?? "").split(":").map((id) => (id === "" ? -1 : Number(id)));
  return { ...listen, mode: Number.parseInt(socketMode, 8), uid: uid ?? -1, gid: gid ?? -1 };
}
