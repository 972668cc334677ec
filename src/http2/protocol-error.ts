/** Error codes (RFC 9113, 7). */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/** The peer broke the protocol or a limit in a way that ends the connection (RFC 9113, 5.4.1). */
export class ConnectionError extends Error {
  readonly code: ErrorCode;

  /** @param debugText sent in GOAWAY: about the protocol only, never what the peer sent */
  constructor(code: ErrorCode, debugText: string) {
    super(debugText);
    this.name = "ConnectionError";
    this.code = code;
  }
}
