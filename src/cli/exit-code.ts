/** Exit codes, stable for scripts. */
export const EXIT = {
  /** The token is valid, or the command did what it was asked. */
  ok: 0,
  /** The token is not valid, or the service is not serving. */
  notValid: 1,
  /** The command line or its input is wrong. */
  usage: 2,
  /** The gateway did not decide: the token may be good or bad. */
  undecided: 3,
} as const;
