/** What the card remembers until reset, and the shape of a command's result. */

import type { RandomSource } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import { type CommandApdu, type StatusWord, SW_9000_OK } from '../../iso7816/index.ts';
import {
  type CryptogramType,
  type IccApplication,
  type IccApplicationState,
  type IccImage,
  STORE_DATA_START,
  type StoreDataProgress,
} from '../data/index.ts';
import {
  type Options,
  optionsOf,
  type RuntimeProfile,
  runtimeProfile,
  type Side,
} from './runtime-profile.ts';

/** Where a transaction stands; each command is allowed in some of these. @see PBOC3 P5 */
export type Phase =
  /** Application selected, GET PROCESSING OPTIONS awaited. */
  | 'selected'
  /** Processing options given, first GENERATE AC awaited. */
  | 'initiated'
  /** ARQC given, issuer's answer and second GENERATE AC awaited. */
  | 'online'
  /** Final cryptogram given. */
  | 'completed';

/** Which purse: that of the card's currency or that of its second one. @see PBOC3 P13 */
export type PurseName = 'first' | 'second';

/** How the card is powered; the contactless side does qPBOC only. */
export type IccInterface = 'contact' | 'contactless';

/** What the last SELECT chose. */
export type Selected =
  | { readonly kind: 'none' }
  | { readonly kind: 'pse' }
  | { readonly kind: 'ppse' }
  | { readonly kind: 'application'; readonly index: number };

/** A tap that was approved from the purse and is paid when its last record is read. */
export type PendingPurchase = {
  readonly amountMinor: bigint;
  /** The record that completes the tap, as a grouping: `0405`. */
  readonly record: string;
};

/** Volatile memory; gone with reset or a new SELECT. */
export type Session = {
  readonly selected: Selected;
  readonly phase: Phase;
  /** Whether the SM algorithms were chosen (DF69). */
  readonly isSm: boolean;
  /** Values that the terminal gave with PDOL and CDOLs, newest first to win. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  /** The same as bytes, in the order in which they came: what CDA covers. */
  readonly dolBytes: readonly Uint8Array[];
  readonly firstCryptogram: { readonly type: CryptogramType; readonly ac: Uint8Array } | null;
  /** CVR of the first GENERATE AC, which the second one continues. */
  readonly cvr: Uint8Array;
  /** The purse that this transaction is to be paid from. */
  readonly purse: PurseName | null;
  readonly pendingPurchase: PendingPurchase | null;
  readonly offlinePin: 'notPerformed' | 'verified' | 'failed';
  /** Whether VERIFY blocked the application in this transaction. */
  readonly isBlockedByPin: boolean;
  /** Bytes of an unused GET CHALLENGE; gone with the next command. */
  readonly challenge: Uint8Array | null;
  readonly issuerAuthentication: 'notPerformed' | 'ok' | 'failed';
  /** The response code inside accepted issuer authentication data. */
  readonly authenticatedArc: Uint8Array | null;
  readonly isDdaPerformed: boolean;
  readonly hasScriptFailed: boolean;
  /** Values of a tap that take the place of placeholders in records: 9F69 and 9F4B. */
  readonly dynamicValues: ReadonlyMap<string, Uint8Array>;
  readonly storeData: StoreDataProgress;
  /** What GET RESPONSE fetches, with its status word; T=0 only. */
  readonly response: { readonly data: Uint8Array; readonly statusWord: StatusWord } | null;
};

/** Memory after power-on or reset. */
export const SESSION_AFTER_RESET: Session = {
  selected: { kind: 'none' },
  phase: 'selected',
  isSm: false,
  values: new Map(),
  dolBytes: [],
  firstCryptogram: null,
  cvr: Uint8Array.of(0x03, 0x00, 0x00, 0x00),
  purse: null,
  pendingPurchase: null,
  offlinePin: 'notPerformed',
  isBlockedByPin: false,
  challenge: null,
  issuerAuthentication: 'notPerformed',
  authenticatedArc: null,
  isDdaPerformed: false,
  hasScriptFailed: false,
  dynamicValues: new Map(),
  storeData: STORE_DATA_START,
  response: null,
};

/** All of the card at one moment: what lasts and what does not. */
export type Snapshot = {
  readonly image: IccImage;
  readonly session: Session;
  readonly interface: IccInterface;
};

/** The card's engines. */
export type IccPorts = { readonly ciphers: CipherProvider; readonly random: RandomSource };

/** Result of a command: the answer and the card after it; the card changes wholly or not at all. */
export type Outcome = {
  readonly card: Snapshot;
  readonly data: Uint8Array;
  readonly statusWord: StatusWord;
};

/** One command of the card. */
export type CommandHandler = (card: Snapshot, command: CommandApdu, ports: IccPorts) => Outcome;

/** An answer with data and 9000. */
export function answer(card: Snapshot, data: Uint8Array): Outcome {
  return { card, data, statusWord: SW_9000_OK };
}

/** An answer without data. */
export function answerStatus(card: Snapshot, statusWord: StatusWord): Outcome {
  return { card, data: new Uint8Array(0), statusWord };
}

/** The selected application, taken apart. */
export type Active = {
  readonly application: IccApplication;
  readonly state: IccApplicationState;
  readonly profile: RuntimeProfile;
  /** What the powered interface shows; null when the application has none there. */
  readonly side: Side | null;
  /** AIP and AFL of this transaction's algorithms; null when they were never personalised. */
  readonly options: Options | null;
};

/** The selected application, or undefined. */
export function activeOrNone(card: Snapshot): Active | undefined {
  const { selected, isSm, purse } = card.session;
  if (selected.kind !== 'application') return undefined;
  const application = card.image.applications[selected.index];
  if (!application) return undefined;
  const profile = runtimeProfile(application);
  const side = profile[card.interface];
  const { state } = application;
  const choice = { interface: card.interface, isSm, isElectronicCash: purse !== null };
  return { application, state, profile, side, options: optionsOf(application, choice) };
}

/** The selected application; the dispatcher lets no command through that needs one without it. */
export function active(card: Snapshot): Active {
  const found = activeOrNone(card);
  if (!found) throw new Error('no application is selected');
  return found;
}

/** The card with another volatile memory. */
export function withSession(card: Snapshot, change: Partial<Session>): Snapshot {
  return { ...card, session: { ...card.session, ...change } };
}

/** The card with another selected application. */
export function withApplication(card: Snapshot, change: Partial<IccApplication>): Snapshot {
  const { selected } = card.session;
  if (selected.kind !== 'application') return card;
  const applications = card.image.applications.map((application, index) =>
    index === selected.index ? { ...application, ...change } : application,
  );
  return { ...card, image: { ...card.image, applications } };
}

/** The card with other lasting state of the selected application. */
export function withState(card: Snapshot, change: Partial<IccApplicationState>): Snapshot {
  return withApplication(card, { state: { ...active(card).state, ...change } });
}

/** The card with one personalised value of the selected application changed. */
export function withGrouping(card: Snapshot, id: string, hex: string): Snapshot {
  const { dgis } = active(card).application;
  return withApplication(card, { dgis: { ...dgis, [id]: hex } });
}

/** Counter of this transaction as two bytes. */
export function atcBytes(card: Snapshot): Uint8Array {
  const { atc } = active(card).state;
  return Uint8Array.of(atc >> 8, atc & 0xff);
}
