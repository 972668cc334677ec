import { Budget } from "../../src/token/budget.ts";
import { GatewayError } from "../../src/token/errors.ts";
import { JwtVerifier } from "../../src/token/jwt-verifier.ts";
import { Publisher } from "../../src/token/publisher.ts";
import { Recorder } from "../../src/token/recorder.ts";
import { Revalidator } from "../../src/token/revalidator.ts";
import { RevocationFeed } from "../../src/token/revocation-feed.ts";
import { Revocations } from "../../src/token/revocations.ts";
import { Revoker } from "../../src/token/revoker.ts";
import { SubjectRevoker } from "../../src/token/subject-revoker.ts";
import { VerdictCache } from "../../src/token/verdict-cache.ts";
import { Verifier } from "../../src/token/verifier.ts";
import { watchRevocations } from "../../src/token/watch.ts";

/** The classes under test: those of src/token, or of a copy with a mistake in it. */
export const DOMAIN = {
  Budget,
  GatewayError,
  JwtVerifier,
  Publisher,
  Recorder,
  Revalidator,
  RevocationFeed,
  Revocations,
  Revoker,
  SubjectRevoker,
  VerdictCache,
  Verifier,
  watchRevocations,
};

export type DomainModules = typeof DOMAIN;
