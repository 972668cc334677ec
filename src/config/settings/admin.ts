import { z } from "zod";
import { listen, onOff } from "../setting.ts";

/** The admin port. */
export const adminSettings = z.strictObject({
  listen: listen("GATEWAY_ADMIN_LISTEN", "127.0.0.1:50052", "Where `/livez`, `/readyz` and `/metrics` are served."),
  tls: onOff(
    "GATEWAY_ADMIN_TLS",
    "Serves the admin port over TLS, with the certificate of the RPC port. It asks for no client certificates.",
  ),
  quit: onOff(
    "GATEWAY_ADMIN_QUIT",
    "Lets `POST /quit` end the gateway also where the admin port can be reached from other machines. On loopback it always does. Where callers are told apart it takes the role `admin`.",
  ),
});
