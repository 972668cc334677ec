import { CallError, type Connection } from "./connect.ts";
import { byId, make, type Tone } from "./dom.ts";
import { momentText, wordsOf } from "./format.ts";
import type { Fields } from "./json.ts";

const VERIFY = "m2mgateway.v1.TokenService/VerifyToken";
const REVOKE = "m2mgateway.v1.TokenService/RevokeToken";
/** Longer than a revocation that waits for the fleet takes. */
const TIMEOUT_MS = 30_000;

/** What an operator with the role admin does by hand. */
export class ByHand {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    byId("verify-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#verify();
    });
    byId("revoke-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      confirmRevoke();
    });
    byId("revoke-cancel", HTMLButtonElement).addEventListener("click", () => revokeDialog().close());
    byId("revoke-confirm", HTMLButtonElement).addEventListener("click", () => {
      revokeDialog().close();
      void this.#revoke();
    });
  }

  allow(isAllowed: boolean): void {
    byId("by-hand", HTMLElement).hidden = !isAllowed;
  }

  async #verify(): Promise<void> {
    const input = byId("verify-token", HTMLInputElement);
    const isNow = byId("verify-now", HTMLInputElement).checked;
    const request = { token: input.value.trim(), ...(isNow ? { maxAge: "0s" } : {}) };
    // The secret has no business on the page any longer than it takes to send it.
    input.value = "";
    await this.#call("verify-result", VERIFY, request, showVerdict);
  }

  async #revoke(): Promise<void> {
    const tokenId = byId("revoke-id", HTMLInputElement).value.trim();
    const reason = byId("revoke-reason", HTMLInputElement).value.trim();
    const wait = byId("revoke-fleet", HTMLInputElement).checked ? "WAIT_FLEET" : "WAIT_REPLICA";
    await this.#call("revoke-result", REVOKE, { tokenId, reason, wait }, showRevoked);
  }

  async #call(
    resultId: string,
    rpc: string,
    request: object,
    show: (answer: Fields, result: HTMLElement) => void,
  ): Promise<void> {
    const result = byId(resultId, HTMLElement);
    tell(result, "Asking");
    try {
      show(await this.#connection.call(rpc, request, AbortSignal.timeout(TIMEOUT_MS)), result);
    } catch (error) {
      const why = error instanceof CallError ? `${error.reason || error.code}: ${error.message}` : "no answer";
      tell(result, `✕ ${why}`, "bad");
    }
  }
}

function confirmRevoke(): void {
  byId("revoke-subject", HTMLElement).textContent = byId("revoke-id", HTMLInputElement).value.trim();
  revokeDialog().showModal();
  byId("revoke-cancel", HTMLButtonElement).focus();
}

function revokeDialog(): HTMLDialogElement {
  return byId("revoke-dialog", HTMLDialogElement);
}

function showVerdict(answer: Fields, result: HTMLElement): void {
  const verdict = answer.choice("verdict", "VERDICT_");
  const token = answer.object("token");
  const expiresAtMs = token.timeMs("expireTime");
  const parts = [
    `from ${wordsOf(answer.choice("source", "SOURCE_"))}`,
    ...(token.text("id") === "" ? [] : [token.text("id"), `minted by ${token.text("subject")}`]),
    ...(expiresAtMs === undefined ? [] : [`expires ${momentText(expiresAtMs)}`]),
    ...(answer.flag("degraded") ? ["the gateway is not in its normal state"] : []),
  ];
  const isValid = verdict === "VALID";
  tell(result, `${isValid ? "✓" : "✕"} ${wordsOf(verdict)}`, isValid ? "good" : "bad", parts.join(" · "));
}

function showRevoked(answer: Fields, result: HTMLElement): void {
  const isFleet = answer.choice("propagation", "PROPAGATION_") === "FLEET";
  const silent = answer.texts("unconfirmedReplicas");
  const parts = [
    isFleet ? "no replica accepts it" : "this replica refuses it; the others follow within the bound",
    ...(silent.length === 0 ? [] : [`silent and suspended: ${silent.join(", ")}`]),
  ];
  tell(result, `✓ revoked ${answer.object("token").text("id")}`, "good", parts.join(" · "));
}

function tell(result: HTMLElement, text: string, tone?: Tone, detail = ""): void {
  result.replaceChildren(make("strong", text, { tone }), ...(detail === "" ? [] : [make("div", detail)]));
}
