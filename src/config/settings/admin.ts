import { z } from "zod";
import { listen } from "../setting.ts";

/** The admin port. */
export const adminSettings = z.strictObject({
  listen: listen("GATEWAY_ADMIN_LISTEN", "127.0.0.1:50052", "Where `/livez`, `/readyz` and `/metrics` are served."),
});
