import { byId } from "./dom.ts";

const KEPT_AS = "m2m-gateway-key";

/** The key by which the gateway knows the operator. It outlives a reload of this tab and nothing else. */
export class Credential {
  readonly #dialog = byId("key-dialog", HTMLDialogElement);
  readonly #input = byId("key", HTMLInputElement);
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    byId("key-button", HTMLButtonElement).addEventListener("click", () => this.ask());
    byId("key-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("key-forget", HTMLButtonElement).addEventListener("click", () => this.#set(""));
    byId("key-form", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#set(this.#input.value.trim());
    });
    this.#dialog.addEventListener("close", () => {
      this.#input.value = "";
    });
  }

  get key(): string | undefined {
    return sessionStorage.getItem(KEPT_AS) ?? undefined;
  }

  ask(): void {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.focus();
  }

  #set(key: string): void {
    if (key === "") sessionStorage.removeItem(KEPT_AS);
    else sessionStorage.setItem(KEPT_AS, key);
    this.#dialog.close();
    this.#onChange();
  }
}
