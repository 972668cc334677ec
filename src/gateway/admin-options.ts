import type { AdminTls, QuitRefusal } from "../admin/admin-server.ts";
import { isLocal } from "../config/endpoint.ts";
import type { Config } from "../config/settings.ts";

/** What the gateway behind an admin port has to do with it. */
interface Behind {
  readonly tls: () => AdminTls | undefined;
  readonly onQuit: (() => void) | undefined;
  readonly quitRefusal: QuitRefusal;
}

/** How the admin port is served, whatever is behind it. */
export function adminOptions({ listen, tls: isTls, quit }: Config["admin"], { tls, onQuit, quitRefusal }: Behind) {
  const isOnlyLocal = isLocal(listen);
  return {
    ...listen,
    tls: isTls ? tls : undefined,
    demandsOwnName: isOnlyLocal,
    onQuit: quit || isOnlyLocal ? onQuit : undefined,
    quitRefusal,
  };
}
