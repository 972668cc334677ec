import type { AdminTls } from "../admin/admin-server.ts";
import { isLocal } from "../config/endpoint.ts";
import type { Config } from "../config/settings.ts";

/** How the admin port is served, whatever is behind it. */
export function adminOptions(
  { listen, tls: isTls, quit }: Config["admin"],
  tls: AdminTls | undefined,
  onQuit: (() => void) | undefined,
) {
  return { ...listen, tls: isTls ? tls : undefined, onQuit: quit || isLocal(listen) ? onQuit : undefined };
}
