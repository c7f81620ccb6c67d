/** What the switch's core asks of the outside; drivers and the simulator answer. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import { Hop, type HopRecord, type Hsm, type KeyBlock } from '@tapnpay/protocol/wire';
import type { Log, Tracer } from '../runtime/index.ts';
import type { Vault } from '../runtime/vault.ts';
import type { BreakerLimits, Breakers } from './breaker.ts';
import type { Route } from './routing.ts';
import type { SwitchStore } from './store.ts';

/** Working keys of one line as key blocks under the switch's HSM. */
export type LineKeys = { readonly pin: KeyBlock; readonly mac: KeyBlock };

/** The lines of the members, by institution. */
export interface MemberLines {
  /** Null while the member's line is not established. */
  keys(institutionId: string): LineKeys | null;
  /** The keys before the last exchange on the same line, for messages under way meanwhile. */
  previousKeys(institutionId: string): LineKeys | null;
  /** All that hold, the current ones first, where more than one change may be under way. */
  acceptedKeys?(institutionId: string): readonly LineKeys[];
  /**
   * Sends and waits. `down`: surely nothing was sent. A rejection counts as no answer: the message
   * may have left.
   */
  send(
    institutionId: string,
    message: Iso8583Message,
    timeoutMs: number,
  ): Promise<Iso8583Message | 'timeout' | 'down'>;
}

/** Facts of an installation; plain data. */
export type SwitchProfile = {
  /** Own institution number. */
  readonly institutionId: string;
  /** Institutions whose lines may send requests and advices. */
  readonly acquirerIds: readonly string[];
  /** Card number ranges and their issuers; may be another table at the next message. */
  readonly routes: readonly Route[];
  /** Shorter than the acquirers' own patience, so that they hear of it. */
  readonly issuerTimeoutMs: number;
  /** When an issuer that does not answer is left alone. */
  readonly breaker: BreakerLimits;
  /** Pauses between repeats of an advice; the last one repeats. */
  readonly advicePausesMs: readonly number[];
  /** Advices under way to one member at once; one while its breaker is open. */
  readonly advicesInFlightMax: number;
  /** Settlement days after its own in which an advice is still sent; then it is stuck. */
  readonly adviceDaysMax: number;
  /** Refusals after which an advice is stuck. */
  readonly adviceRefusalsMax: number;
  /** Minutes after midnight in Shanghai at which the settlement date turns. */
  readonly cutOffMinute: number;
  /** Pause after the cut-off before a day is closed by itself. */
  readonly closeAfterMs: number;
};

/** Everything the core stands on. */
export type SwitchPorts = {
  readonly store: SwitchStore;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly lines: MemberLines;
  readonly vault: Vault;
  readonly profile: SwitchProfile;
  readonly log: Log;
  /** Sees each hop at the moment it is reached. */
  readonly onHop: (record: HopRecord) => void;
  /** Work for `tick` has come up: an advice. */
  readonly wake: () => void;
  /** Of a laboratory only. */
  readonly tracer?: Tracer;
};

/** The ports and what the core adds to them. */
export type SwitchScene = SwitchPorts & { readonly breakers: Breakers };

/** Institution numbers of the one system that `tapnpay up` starts. */
export const INSTITUTION_SWITCH = '00010000000';
export const INSTITUTION_GATEWAY = '49990000001';
export const INSTITUTION_ISSUER = '62990000001';

/** Times, limits and routes of an installation that asks for nothing else. */
export const SWITCH_DEFAULTS: SwitchProfile = {
  institutionId: INSTITUTION_SWITCH,
  acquirerIds: [INSTITUTION_GATEWAY],
  routes: [{ prefix: '629999', institutionId: INSTITUTION_ISSUER }],
  issuerTimeoutMs: 12_000,
  breaker: { timeoutsMax: 8, pauseMs: 10_000 },
  advicePausesMs: [1_000, 2_000, 5_000, 10_000, 30_000, 60_000],
  advicesInFlightMax: 16,
  adviceDaysMax: 1,
  adviceRefusalsMax: 10,
  cutOffMinute: 23 * 60,
  closeAfterMs: 60_000,
};

/** Hop 9 of a transaction, told to `onHop` and, with the numbers to find it by, to the log. */
export function reachRoute(
  ports: Pick<SwitchPorts, 'clock' | 'onHop' | 'log'>,
  trace: { readonly stan: string | null; readonly retrievalReference: string | null },
  facts: HopRecord['facts'],
): void {
  const atMs = ports.clock.nowMs();
  const record: HopRecord = { n: Hop.route, name: 'route', party: 'switch', atMs, facts };
  ports.log({ event: 'hop', ...record, ...trace });
  ports.onHop(record);
}
