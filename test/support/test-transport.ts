import type { TransportName } from "../../src/rpc/rpc-server.ts";

/** The transport under test: tests of what callers see run on each, as a project of the test runner. */
export const TEST_TRANSPORT: TransportName = process.env.GATEWAY_TRANSPORT === "node" ? "node" : "engine";

/** The variable that makes a gateway use it. */
export const TRANSPORT_ENV = { GATEWAY_TRANSPORT: TEST_TRANSPORT } as const;
