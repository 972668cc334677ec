import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Api, type RequestEvent } from "./api.ts";
import type { World } from "./call.ts";
import { EmulatorClock } from "./clock.ts";
import { answerControl, CONTROL_PREFIX, type Controls } from "./control.ts";
import { describeState } from "./describe.ts";
import { Faults } from "./faults.ts";
import { send, toWire } from "./http.ts";
import { newInstanceId } from "./ids.ts";
import { JwtIssuer } from "./jwt.ts";
import { RateLimit } from "./rate-limit.ts";
import { RequestCounters } from "./requests.ts";
import { assertSeed, DEFAULT_SEED, resolveSeed, type Seed } from "./seed.ts";
import { State, type TokenRecord } from "./state.ts";
import { Switchboard, type Switches } from "./switches.ts";

export interface EmulatorOptions {
  /** Address to listen on; 127.0.0.1 when not given. */
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** What the instance holds; when not given, the machines `billing` and `reports`. */
  readonly seed?: Seed;
  /** Disputed behaviour to change from the defaults. */
  readonly switches?: Partial<Switches>;
  /** Milliseconds since the epoch; Date.now when not given. */
  readonly now?: () => number;
  /** Told of every API request when it has been answered or cut. */
  readonly log?: (event: RequestEvent) => void;
}

interface EmulatedMachine {
  readonly id: string;
  readonly name: string;
  /** The current key. */
  readonly secretKey: string;
}

/** The same handles as the control API has, for tests in the same process. */
interface EmulatorControl {
  readonly faults: Faults;
  readonly switches: Switchboard;
  readonly requests: RequestCounters;
  readonly clock: EmulatorClock;
  /** Signs JWTs with a new key from now on. Returns its id. */
  rotateSigningKey(withdrawsPrevious?: boolean): string;
  /** The opaque tokens in order of creation, with their secrets. */
  tokens(): readonly Readonly<TokenRecord>[];
}

/** A running emulator. */
export interface Emulator {
  /** Base URL, without a slash at the end. */
  readonly url: string;
  /** The instance's secret key, `sk_…`. */
  readonly instanceKey: string;
  readonly instanceId: string;
  readonly control: EmulatorControl;
  /** In order of creation. */
  machines(): EmulatedMachine[];
  /**
   * The first machine of that name.
   *
   * @throws Error when there is none
   */
  machine(name: string): EmulatedMachine;
  /** Back to the seed, with the same ids and keys: tokens, machines, faults, switches, counters and clock. */
  reset(): void;
  /** Cuts every connection, those of requests that hang included, and frees the port. */
  close(): Promise<void>;
}

/**
 * Starts a local stand-in for Clerk's M2M API.
 *
 * @throws InvalidInput when the seed or a switch is wrong, naming every problem
 * @throws Error of node:net when the address cannot be listened on
 */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { host = "127.0.0.1", port = 0, seed = DEFAULT_SEED, now = Date.now, log = () => {} } = options;
  assertSeed(seed);
  const switches = new Switchboard(options.switches);
  const clock = new EmulatorClock(now);
  const resolved = resolveSeed(seed, clock.nowMs());
  const state = new State(resolved, clock);
  const server = createServer({ keepAliveTimeout: IDLE_MS });
  const jwts = new JwtIssuer(state.instanceId, () => resolved.issuer ?? urlOf(server), resolved.signingKey);
  const { controls, handle } = assemble({ state, clock, switches, jwts }, log);
  server.on("request", (request, response) => void handle(request, response));
  server.listen(port, host);
  await once(server, "listening");
  return emulatorOf(server, state, controls);
}

/** Longer than clients keep idle connections, so that it is they who close them and no request meets a closing one. */
const IDLE_MS = 75_000;

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

function assemble(world: World, log: (event: RequestEvent) => void): { controls: Controls; handle: Handler } {
  const { state, clock, switches, jwts } = world;
  const faults = new Faults();
  const requests = new RequestCounters();
  const rateLimit = new RateLimit();
  const api = new Api({ world, faults, requests, rateLimit, log });
  const controls: Controls = {
    faults,
    switches,
    requests,
    clock,
    describe: (secrets) => describeState(world, faults, requests, secrets),
    rotateSigningKey: (withdrawsPrevious) => jwts.rotate(newInstanceId(clock.nowMs()), withdrawsPrevious),
    reset() {
      jwts.reset();
      clock.reset();
      switches.reset();
      faults.clear();
      requests.reset();
      rateLimit.reset();
      state.reset();
    },
  };
  return { controls, handle: (request, response) => dispatch(request, response, api, controls) };
}

async function dispatch(request: IncomingMessage, response: ServerResponse, api: Api, controls: Controls) {
  const [path = "", search = ""] = (request.url ?? "").split(/\?(.*)/s);
  const query = new URLSearchParams(search);
  if (path === CONTROL_PREFIX || path.startsWith(`${CONTROL_PREFIX}/`)) {
    send(response, toWire(await answerControl(request, path, query, controls)));
  } else {
    await api.handle(request, response, path, query);
  }
}

function emulatorOf(server: Server, state: State, controls: Controls): Emulator {
  const machines = () => state.machines().map(({ id, name, secretKey }) => ({ id, name, secretKey }));
  const { faults, switches, requests, clock } = controls;
  const url = urlOf(server);
  let closed: Promise<void> | undefined;
  return {
    url,
    instanceKey: state.instanceKey,
    instanceId: state.instanceId,
    control: {
      faults,
      switches,
      requests,
      clock,
      rotateSigningKey: (withdrawsPrevious = false) => controls.rotateSigningKey(withdrawsPrevious),
      tokens: () => state.tokens(),
    },
    machines,
    machine(name) {
      const machine = machines().find((each) => each.name === name);
      if (machine === undefined) throw new Error(`the emulator has no machine named ${name}`);
      return machine;
    },
    reset: () => controls.reset(),
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closed;
    },
  };
}

/** Where clients on this machine reach the server, also when it listens on every address. */
function urlOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  if (family !== "IPv6") return `http://${address === "0.0.0.0" ? "127.0.0.1" : address}:${port}`;
  return `http://[${address === "::" ? "::1" : address}]:${port}`;
}
