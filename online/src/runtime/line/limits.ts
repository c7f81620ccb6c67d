/** Times and limits of lines. */

/** Times of a line; all in milliseconds. */
export type LineTimes = {
  /** Sign-on to both keys; each key of an exchange. */
  readonly signOnTimeoutMs: number;
  readonly echoTimeoutMs: number;
  /** Silence of the peer before an echo. */
  readonly idleMs: number;
  readonly backOffMinMs: number;
  readonly backOffMaxMs: number;
  /** What a graceful close gives to work under way. */
  readonly closeTimeoutMs: number;
  /** First to last byte of one frame. */
  readonly frameTimeoutMs: number;
  /** How long the keys before a change still hold: longer than any request may be under way. */
  readonly oldKeysMs: number;
  /** Pause between two exchanges of keys asked for after a wrong MAC; it doubles up to the last. */
  readonly reSignOnMinMs: number;
  readonly reSignOnMaxMs: number;
};

export const LINE_TIMES: LineTimes = {
  signOnTimeoutMs: 10_000,
  echoTimeoutMs: 5_000,
  idleMs: 30_000,
  backOffMinMs: 100,
  backOffMaxMs: 15_000,
  closeTimeoutMs: 1_500,
  frameTimeoutMs: 10_000,
  oldKeysMs: 60_000,
  reSignOnMinMs: 5_000,
  reSignOnMaxMs: 300_000,
};

/** How much one connection carries at once. */
export type LineLimits = {
  /** Requests sent that wait for their answers. */
  readonly inFlightMax: number;
  /** Requests that wait for a place in flight. */
  readonly queueMax: number;
  /** Requests of the peer that are being answered. */
  readonly answeringMax: number;
};

export const LINE_LIMITS: LineLimits = {
  inFlightMax: 1_024,
  queueMax: 1_024,
  answeringMax: 1_024,
};
