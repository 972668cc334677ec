import { z } from "zod";
import { listen } from "../setting.ts";

/** The emulator. */
export const emulatorSettings = z.strictObject({
  listen: listen("EMULATOR_LISTEN", "127.0.0.1:50053", "Where the emulator of Clerk's API is served, if it is run."),
});
