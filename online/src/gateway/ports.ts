/** What the gateway's core asks of the outside; drivers and the simulator answer. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { Iso8583Message } from '@tapnpay/protocol/iso8583';
import type { HopRecord, Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Tracer } from '../runtime/index.ts';
import type { AuditLog } from './audit/log.ts';
import type { ParameterBook } from './elements/parameter-book.ts';
import type { RiskGate } from './risk/gate.ts';
import type { GatewayStore } from './store.ts';

/** The line to the switch. */
export interface SwitchLine {
  /** Working keys as key blocks under the gateway's HSM; null while the line is not established. */
  keys(): LineKeys | null;
  /** Sends and waits; a rejection after bytes may have left counts as no answer. */
  send(message: Iso8583Message, timeoutMs: number): Promise<Iso8583Message | 'timeout'>;
}
export type LineKeys = { readonly pin: KeyBlock; readonly mac: KeyBlock };

/** Keeps card data unreadable at rest; `open` throws when the text was altered. */
export type Vault = { seal(text: string): string; open(sealed: string): string };

/** Signatures, ECDSA P-256 with SHA-256 in IEEE P1363 form, hex. */
export interface Signatures {
  signOrder(input: string): string;
  verifyElement(publicKeySpki: string, input: string, signature: string): boolean;
}

/** Hands one signed notification to the merchant; resolves with the HTTP status. */
export interface Courier {
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<number>;
  /** Whether an address may be told at all. @throws GatewayError `ERR_NOTIFY_URL`. */
  check?(url: string): Promise<void>;
}

/** A record for the log: no secrets, no card data. */
export type GatewayLog = (record: {
  readonly event: string;
  readonly [fact: string]: string | number | boolean | null;
}) => void;

/** Who the one merchant of this installation is. */
export type MerchantProfile = {
  /** Field 42, 15 characters. */
  readonly merchantId: string;
  readonly name: string;
  /** Field 41, 8 characters. */
  readonly terminalId: string;
  /** Field 18. */
  readonly categoryCode: string;
  /** Field 43, at most 40 ASCII characters. */
  readonly location: string;
};

/** Fixed facts of an installation; plain data. */
export type GatewayProfile = {
  readonly merchant: MerchantProfile;
  /** Fields 32 and 33. */
  readonly acquirerId: string;
  /** DUKPT base derivation key. */
  readonly baseKey: KeyBlock;
  readonly switchTimeoutMs: number;
  /** How long an approved contact payment waits for its completion. */
  readonly completionTimeoutMs: number;
  readonly orderLifetimeMs: number;
  /** After which a held amount that was not captured is released. */
  readonly holdLifetimeMs: number;
  /** How long a signed order may be paid on its channel. */
  readonly signedOrderLifetimeMs: number;
  /** Pauses between repeats of a reversal or an advice; the last one repeats. */
  readonly reversalPausesMs: readonly number[];
  /** Pauses between deliveries of a notification; after the last one it is given up. */
  readonly notificationPausesMs: readonly number[];
  /** Key of the notifications' signature. */
  readonly webhookSecret: Uint8Array;
  readonly lab: boolean;
};

/** Everything the core stands on. */
export type GatewayPorts = {
  readonly store: GatewayStore;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly line: SwitchLine;
  readonly vault: Vault;
  readonly signatures: Signatures;
  readonly courier: Courier;
  readonly profile: GatewayProfile;
  /** Merchants beside the profile's own; absent: there are none. */
  readonly merchants?: { find(merchantId: string): Promise<MerchantProfile | null> };
  /** The installation's risk rules; absent: every payment is allowed. */
  readonly risk?: RiskGate;
  /** The installation's parameter sets; absent: there are none, and every version is taken. */
  readonly parameters?: ParameterBook;
  /** Where a locked element is written down; absent: in the log alone. */
  readonly audit?: Pick<AuditLog, 'append'>;
  readonly log: GatewayLog;
  /** Sees each hop at the moment it is reached. */
  readonly onHop: (record: HopRecord) => void;
  /** Ends the process at once, as a power cut would; only for lab faults. */
  readonly crash?: () => void;
  /** Work for `tick` has come up: a reversal or a notification. */
  readonly wake: () => void;
  /** Of a laboratory only. */
  readonly tracer?: Tracer;
};

/** Times and limits of an installation that asks for nothing else. */
export const GATEWAY_DEFAULTS: Pick<
  GatewayProfile,
  | 'acquirerId'
  | 'switchTimeoutMs'
  | 'completionTimeoutMs'
  | 'orderLifetimeMs'
  | 'holdLifetimeMs'
  | 'signedOrderLifetimeMs'
  | 'reversalPausesMs'
  | 'notificationPausesMs'
> = {
  acquirerId: '49990000001',
  switchTimeoutMs: 20_000,
  completionTimeoutMs: 30_000,
  orderLifetimeMs: 15 * 60_000,
  // A pre-authorisation lasts 30 days; the margin is for the cancellation's own repeats.
  holdLifetimeMs: 29 * 86_400_000,
  signedOrderLifetimeMs: 5 * 60_000,
  reversalPausesMs: [1_000, 2_000, 5_000, 10_000, 30_000, 60_000],
  notificationPausesMs: [
    5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000,
    // In all 72 hours.
    43_200_000, 43_200_000, 43_200_000, 43_200_000, 4_645_000,
  ],
};

/** A hop as the gateway records it. */
export function hopRecord(
  ports: Pick<GatewayPorts, 'clock'>,
  hop: Pick<HopRecord, 'n' | 'name' | 'facts'>,
): HopRecord {
  return { ...hop, party: 'gateway', atMs: ports.clock.nowMs() };
}

/** One passed hop, told to `onHop` and handed back for the payment's record. */
export function reachHop(
  ports: Pick<GatewayPorts, 'clock' | 'onHop'>,
  hop: Pick<HopRecord, 'n' | 'name' | 'facts'>,
): HopRecord {
  const record = hopRecord(ports, hop);
  ports.onHop(record);
  return record;
}
