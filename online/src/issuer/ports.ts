/** What the issuer's core asks of the outside; drivers and the simulator answer. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import type { HopRecord, Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { IssuerStore } from './store.ts';

/** Working keys of the line that a request came on, under the issuer's HSM. */
export type LineKeys = { readonly pin: KeyBlock; readonly mac: KeyBlock };

/** Keys of the issuer that live longer than a line. */
export type IssuerKeys = {
  readonly imkAc: KeyBlock;
  /** The same for cards that work under SM4. */
  readonly imkAcSm4: KeyBlock;
  /** Of scripts and of the balance that a card vouches for. */
  readonly imkMac: KeyBlock;
  readonly imkMacSm4: KeyBlock;
  /** Of PINs on their way to a card. */
  readonly imkEnc: KeyBlock;
  readonly imkEncSm4: KeyBlock;
  readonly pvk: KeyBlock;
};

/** Limits of an installation, for cards that have none of their own; minor units. */
export type IssuerLimits = {
  readonly singleAmountMinor: bigint;
  /** All payments of a card on one day of China. */
  readonly dayAmountMinor: bigint;
  readonly dayCount: number;
  /** A tap of more wants a PIN (小额免密免签). */
  readonly noPinMinor: bigint;
  /** All taps without PIN of a card on one day. */
  readonly noPinDayMinor: bigint;
  /** Most that an electronic cash may hold (9F77). */
  readonly electronicCashMinor: bigint;
};

/** What an installation has that names none. */
export const ISSUER_LIMITS: IssuerLimits = {
  singleAmountMinor: 5_000_000n,
  dayAmountMinor: 50_000_000n,
  dayCount: 10_000,
  noPinMinor: 30_000n,
  noPinDayMinor: 500_000n,
  electronicCashMinor: 100_000n,
};

/** A record for the log: no secrets, no card data. */
export type IssuerLog = (record: {
  readonly event: string;
  readonly [fact: string]: string | number | boolean | null | HopRecord['facts'];
}) => void;

/** Everything the core stands on. */
export type IssuerPorts = {
  readonly store: IssuerStore;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly keys: IssuerKeys;
  readonly limits: IssuerLimits;
  /** HMAC under a key of this installation, hex: finds cards without keeping their numbers. */
  readonly keyedDigest: (text: string) => string;
  /** Takes cards that were issued meanwhile; true when there were new ones. */
  readonly refreshCards: () => Promise<boolean>;
  /** Lab fault: true when the answer of an authorisation is to be lost on its way. */
  readonly isReplyDropped: () => boolean;
  readonly log: IssuerLog;
};
