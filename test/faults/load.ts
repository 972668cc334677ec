import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import { Propagation, Source, TokenFormat, Verdict, Wait } from "../../src/gen/m2mgateway/v1/token_service_pb.ts";
import type { EmulatorProcess, MintedToken } from "./emulator-process.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import type { Answer, Ledger, TrackedToken } from "./ledger.ts";

export interface LoadOptions {
  readonly emulator: EmulatorProcess;
  readonly gateways: readonly GatewayProcess[];
  readonly ledger: Ledger;
  /** How long a verdict lives: a revoked token is verified for longer, so that one that was kept would show. */
  readonly verdictTtlMs: number;
  readonly onAnswer: (answer: Answer, gatewayWasUp: boolean) => void;
  readonly onAcknowledged: () => void;
}

const LIVE_TOKENS = 40;
const VERIFIERS_PER_REPLICA = 4;
const VERIFIER_PAUSE_MS = 5;
const REVOKERS = 6;
const REVOKER_PAUSE_MS = 200;
/** Longer than a second, so that no group is minted within the second of the last one's watermark. */
const MACHINE_PAUSE_MS = 1_100;
const RETRY_PAUSE_MS = 100;
const CALL_TIMEOUT_MS = 8_000;
/** Beyond the verdict's life. */
const WATCHED_SLACK_MS = 3_000;
/** How long a replica that goes on to answer VALID is asked about nothing else. */
const CHASE_MS = 3_000;
const CHASE_PAUSE_MS = 2;
/** Half of the verifications of dead tokens are of the most recent ones, where staleness would be. */
const RECENT = 12;

/** Clients that verify and revoke without pause until they are told to stop. */
export class Load {
  readonly #options: LoadOptions;
  readonly #live: TrackedToken[] = [];
  /** Oldest first; those whose revocation is under way included. */
  readonly #dead: TrackedToken[] = [];
  #stopping = false;
  #workers: Promise<void>[] = [];
  #revocations = 0;
  #minted = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    for (let count = 0; count < LIVE_TOKENS; count += 1) await this.#mint();
    for (const gateway of this.#options.gateways) {
      for (let count = 0; count < VERIFIERS_PER_REPLICA; count += 1) this.#workers.push(this.#verifyOn(gateway));
    }
    for (let count = 0; count < REVOKERS; count += 1) this.#workers.push(this.#revoke());
    this.#workers.push(this.#revokeMachine());
  }

  /** Ends the clients and judges what has not been judged yet. Rejects with what a client failed with. Can be repeated. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#workers);
    for (const token of this.#dead.splice(0)) this.#options.ledger.judge(token);
  }

  /** Rejects when a client fails of itself, which no gateway can make it do. */
  get failed(): Promise<never> {
    return Promise.all(this.#workers).then(() => new Promise<never>(() => {}));
  }

  async #verifyOn(gateway: GatewayProcess): Promise<void> {
    while (!this.#stopping) {
      const token = this.#pick();
      if (token !== undefined) await this.#verify(gateway, token);
      await pause(VERIFIER_PAUSE_MS);
      if (!gateway.up) await pause(RETRY_PAUSE_MS);
    }
  }

  #pick(): TrackedToken | undefined {
    const dead = this.#dead.length;
    if (dead === 0 || Math.random() < 0.5) return this.#live[Math.floor(Math.random() * this.#live.length)];
    const recent = Math.random() < 0.5 ? Math.min(RECENT, dead) : dead;
    return this.#dead[dead - 1 - Math.floor(Math.random() * recent)];
  }

  async #verify(gateway: GatewayProcess, token: TrackedToken): Promise<string> {
    const { name: replica, incarnation, up } = gateway;
    const beganAtMs = performance.now();
    const record = (verdict: string, source: string) => {
      const answer = { replica, incarnation, beganAtMs, endedAtMs: performance.now(), verdict, source };
      token.answers.push(answer);
      // A gateway that was killed or started meanwhile owed no answer.
      this.#options.onAnswer(answer, up && gateway.up && gateway.incarnation === incarnation);
      return verdict;
    };
    try {
      const { verdict, source } = await gateway.tokens.verifyToken(
        { token: token.secret },
        { timeoutMs: CALL_TIMEOUT_MS },
      );
      return record(Verdict[verdict], Source[source]);
    } catch (error) {
      // A JWT that nobody else can vouch for: what is promised then is that it is not VALID.
      return isUnsynced(error) ? record("UNSYNCED", "LOCAL") : record("error", codeOf(error));
    }
  }

  async #revoke(): Promise<void> {
    while (!this.#stopping) {
      const token = this.#live.shift();
      if (token !== undefined) {
        this.#dead.push(token);
        const minted = this.#mint();
        await this.#revokeUntilAcknowledged(token);
        await Promise.all(this.#options.gateways.map((gateway) => this.#chase(gateway, token)));
        await minted;
      }
      this.#judgeOld();
      await pause(REVOKER_PAUSE_MS);
    }
  }

  async #revokeUntilAcknowledged(token: TrackedToken): Promise<void> {
    const { gateways, ledger, onAcknowledged } = this.#options;
    const wait = (this.#revocations++ & 1) === 0 ? Wait.FLEET : Wait.REPLICA;
    while (!this.#stopping) {
      const gateway = gateways[Math.floor(Math.random() * gateways.length)];
      if (gateway === undefined) return;
      const { name: replica, incarnation } = gateway;
      try {
        const { propagation } = await gateway.tokens.revokeToken(
          {
            target: { case: "tokenId", value: token.id },
            format: token.isJwt ? TokenFormat.JWT : TokenFormat.UNSPECIFIED,
            wait,
          },
          { timeoutMs: CALL_TIMEOUT_MS },
        );
        const fleet = propagation === Propagation.FLEET;
        token.acknowledged = { replica, incarnation, atMs: performance.now(), fleet };
        ledger.acknowledgedIds.add(token.id);
        onAcknowledged();
        return;
      } catch (error) {
        token.failedRevocations.push({ replica, atMs: performance.now(), code: codeOf(error) });
        await pause(RETRY_PAUSE_MS);
      }
    }
  }

  /** Mints a few JWTs of another machine and revokes that machine, again and again. */
  async #revokeMachine(): Promise<void> {
    const { emulator, gateways } = this.#options;
    while (!this.#stopping) {
      const tokens = await Promise.all([emulator.mintOther(), emulator.mintOther()]);
      const mintedAtMs = performance.now();
      const group = tokens.map((minted) => track(minted, mintedAtMs));
      await Promise.all(gateways.flatMap((gateway) => group.map((token) => this.#verify(gateway, token))));
      // JWTs say in which second they were minted: the watermark is the end of it, and the next ones come later.
      const issuedBefore = timestampFromMs(Math.floor(Date.now() / 1_000) * 1_000 + 1_000);
      await this.#revokeMachineUntilAcknowledged(issuedBefore, group);
      this.#dead.push(...group);
      await Promise.all(gateways.flatMap((gateway) => group.map((token) => this.#chase(gateway, token))));
      await pause(MACHINE_PAUSE_MS);
    }
  }

  async #revokeMachineUntilAcknowledged(issuedBefore: Timestamp, group: readonly TrackedToken[]): Promise<void> {
    const { gateways, emulator, onAcknowledged } = this.#options;
    while (!this.#stopping) {
      const gateway = gateways[Math.floor(Math.random() * gateways.length)];
      if (gateway === undefined) return;
      const { name: replica, incarnation } = gateway;
      try {
        const request = { subject: emulator.other, issuedBefore, wait: Wait.FLEET };
        for await (const { event } of gateway.revocations.revokeSubject(request, { timeoutMs: CALL_TIMEOUT_MS })) {
          if (event.case !== "watermark") continue;
          const fleet = event.value.propagation === Propagation.FLEET;
          for (const token of group) token.acknowledged ??= { replica, incarnation, atMs: performance.now(), fleet };
        }
        onAcknowledged();
        return;
      } catch (error) {
        if (group.every(({ acknowledged }) => acknowledged !== undefined)) return;
        for (const token of group) {
          token.failedRevocations.push({ replica, atMs: performance.now(), code: codeOf(error) });
        }
        await pause(RETRY_PAUSE_MS);
      }
    }
  }

  /** Asks one replica about a token just revoked until it refuses it: the last VALID is its staleness. */
  async #chase(gateway: GatewayProcess, token: TrackedToken): Promise<void> {
    const untilMs = performance.now() + CHASE_MS;
    while (gateway.up && !this.#stopping && performance.now() < untilMs) {
      const verdict = await this.#verify(gateway, token);
      if (verdict !== "VALID" && verdict !== "error" && verdict !== "UNSYNCED") return;
      await pause(CHASE_PAUSE_MS);
    }
  }

  async #mint(): Promise<void> {
    const { emulator, gateways } = this.#options;
    this.#minted += 1;
    const token = track(await emulator.mint(this.#minted % 2 === 0), performance.now());
    // Every replica shall hold a verdict that can become stale.
    await Promise.all(gateways.map((gateway) => this.#verify(gateway, token)));
    this.#live.push(token);
  }

  #judgeOld(): void {
    const { ledger, verdictTtlMs } = this.#options;
    const before = performance.now() - verdictTtlMs - WATCHED_SLACK_MS;
    for (let token = this.#dead[0]; token !== undefined; token = this.#dead[0]) {
      if (token.acknowledged === undefined || token.acknowledged.atMs > before) return;
      this.#dead.shift();
      ledger.judge(token);
    }
  }
}

function track(minted: MintedToken, mintedAtMs: number): TrackedToken {
  return { ...minted, mintedAtMs, answers: [], failedRevocations: [], acknowledged: undefined };
}

function isUnsynced(error: unknown): boolean {
  return error instanceof ConnectError && error.findDetails(ErrorInfoSchema)[0]?.reason === "UNSYNCED";
}

function codeOf(error: unknown): string {
  if (!(error instanceof ConnectError)) throw error;
  return Code[error.code] ?? "";
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
