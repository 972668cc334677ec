import { z } from "zod";
import {
  choice,
  listenOrSocket,
  MS,
  matching,
  optionalChoice,
  optionalMatching,
  optionalText,
  whole,
} from "../setting.ts";

/** The RPC port. */
export const rpcSettings = z.strictObject({
  listen: listenOrSocket("GATEWAY_LISTEN", "127.0.0.1:50051", "Where gRPC, gRPC-Web and Connect are served."),
  transport: choice(
    "GATEWAY_TRANSPORT",
    ["engine", "node"],
    "engine",
    "Which HTTP/2 implementation serves RPCs: the gateway's own, or Node's.",
  ),
  workers: whole(
    "GATEWAY_WORKERS",
    { min: 1, max: 64, initial: 1, unit: "processes" },
    "How many processes serve RPCs on the one port, each with its own cache. `docs/operations.md` says when to want more than one. `dev` runs one whatever is given.",
  ),
  tlsCertFile: optionalText(
    "GATEWAY_TLS_CERT_FILE",
    "the path of a file",
    "PEM file of the certificate, and of its chain, that callers of RPCs are shown. Given with the key, RPCs are served over TLS; the admin port is not.",
  ),
  tlsKeyFile: optionalText(
    "GATEWAY_TLS_KEY_FILE",
    "the path of a file",
    "PEM file of the private key of that certificate.",
  ),
  tlsClientCaFile: optionalText(
    "GATEWAY_TLS_CLIENT_CA_FILE",
    "the path of a file",
    "PEM file of the authorities that callers' certificates come from. Given, callers of RPCs are asked for a certificate (mTLS).",
  ),
  tlsClientAuth: optionalChoice(
    "GATEWAY_TLS_CLIENT_AUTH",
    ["require", "optional"],
    "`require` where `GATEWAY_TLS_CLIENT_CA_FILE` is given",
    "Whether a caller must show a certificate. One that is shown must come from one of the authorities in either case.",
  ),
  socketMode: matching(
    "GATEWAY_SOCKET_MODE",
    { pattern: /^0?[0-7]{3}$/, accepts: "three octal digits, with or without a 0 in front", initial: "0600" },
    "Permissions of the Unix socket's file. Who may write to it may call.",
  ),
  socketOwner: optionalMatching(
    "GATEWAY_SOCKET_OWNER",
    {
      pattern: /^(?:\d{1,9}(?::\d{1,9})?|:\d{1,9})$/,
      accepts: "uid, uid:gid or :gid, in numbers",
      initial: "the process's own",
    },
    "Whom the Unix socket's file is given to. The process must be allowed to: for a group, be a member of it.",
  ),
  maxMessageBytes: whole(
    "GATEWAY_MAX_MESSAGE_BYTES",
    { min: 1024, max: 67_108_864, initial: 4_194_304, unit: "bytes" },
    "The largest request message accepted. The default is what gRPC servers usually take.",
  ),
  drainGraceMs: whole(
    "GATEWAY_DRAIN_GRACE_MS",
    { min: 0, max: 300_000, initial: 10_000, unit: MS },
    "How long calls under way may take to end once the gateway has been told to stop.",
  ),
  drainDelayMs: whole(
    "GATEWAY_DRAIN_DELAY_MS",
    { min: 0, max: 300_000, initial: 0, unit: MS },
    "How long the gateway goes on taking calls after it has said that it will stop (NOT_SERVING, `/readyz` 503), for load balancers to notice. `GATEWAY_DRAIN_GRACE_MS` begins after it.",
  ),
});
