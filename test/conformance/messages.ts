import type { Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";

// The fields that are used of the suite's messages (connectrpc.conformance.v1). Nothing is generated from its protos:
// their descriptors are built when the suite is run.

export interface Header {
  readonly name: string;
  readonly value: string[];
}

export interface ErrorToRaise {
  readonly code: number;
  readonly message?: string;
  readonly details: Any[];
}

export interface UnaryDefinition {
  readonly responseHeaders: Header[];
  readonly responseTrailers: Header[];
  readonly response:
    | { readonly case: "responseData"; readonly value: Uint8Array }
    | { readonly case: "error"; readonly value: ErrorToRaise }
    | { readonly case: undefined };
  readonly responseDelayMs: number;
}

export interface StreamDefinition {
  readonly responseHeaders: Header[];
  readonly responseTrailers: Header[];
  readonly responseData: Uint8Array[];
  readonly error?: ErrorToRaise;
  readonly responseDelayMs: number;
}

/** Of Unary, IdempotentUnary and ClientStream. */
export interface UnaryRequest extends Message {
  readonly responseDefinition?: UnaryDefinition;
}

/** Of ServerStream and BidiStream; only the latter has `fullDuplex`. */
export interface StreamRequest extends Message {
  readonly responseDefinition?: StreamDefinition;
  readonly fullDuplex?: boolean;
}

/** To the program under test, on its standard input. */
export interface ServerCompatRequest extends Message {
  readonly useTls: boolean;
  /** 0: no limit. */
  readonly messageReceiveLimit: number;
  readonly serverCreds?: { readonly cert: Uint8Array; readonly key: Uint8Array };
}
