/** What the card remembers until reset, and the shape of a command's result. */

import type { RandomSource } from '../../bytes/index.ts';
import { fromHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import { deriveSessionKey } from '../../crypto/index.ts';
import { type CommandApdu, type StatusWord, SW_9000_OK } from '../../iso7816/index.ts';
import type { CryptogramType, IccImage, IccState } from '../data/index.ts';

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

/** How the card is powered; the contactless side does qPBOC only. */
export type IccInterface = 'contact' | 'contactless';

/** Volatile memory; gone with reset or a new SELECT. */
export type Session = {
  readonly selected: 'none' | 'directory' | 'application';
  readonly phase: Phase;
  /** Values that the terminal gave with PDOL and CDOLs, newest first to win. */
  readonly values: ReadonlyMap<string, Uint8Array>;
  readonly firstCryptogram: { readonly type: CryptogramType; readonly ac: Uint8Array } | null;
  /** CVR of the first GENERATE AC, which the second one continues. */
  readonly cvr: Uint8Array;
  readonly issuerAuthentication: 'notPerformed' | 'ok' | 'failed';
  /** The response code inside accepted issuer authentication data. */
  readonly authenticatedArc: Uint8Array | null;
  readonly isDdaPerformed: boolean;
  readonly hasScriptFailed: boolean;
  /** Contents of the contactless side's last record, made with the cryptogram. */
  readonly dynamicRecord: Uint8Array;
};

/** Memory after power-on or reset. */
export const SESSION_AFTER_RESET: Session = {
  selected: 'none',
  phase: 'selected',
  values: new Map(),
  firstCryptogram: null,
  cvr: Uint8Array.of(0x03, 0x00, 0x00, 0x00),
  issuerAuthentication: 'notPerformed',
  authenticatedArc: null,
  isDdaPerformed: false,
  hasScriptFailed: false,
  dynamicRecord: new Uint8Array(0),
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

/** The card with another volatile memory. */
export function withSession(card: Snapshot, change: Partial<Session>): Snapshot {
  return { ...card, session: { ...card.session, ...change } };
}

/** The card with other lasting state. */
export function withState(card: Snapshot, change: Partial<IccState>): Snapshot {
  return { ...card, image: { ...card.image, state: { ...card.image.state, ...change } } };
}

/** Counter of this transaction as two bytes. */
export function atcBytes(image: IccImage): Uint8Array {
  return Uint8Array.of(image.state.atc >> 8, image.state.atc & 0xff);
}

/** Session key of this transaction. @see PBOC3 P5 §10 */
export function sessionKey(image: IccImage, kind: 'udkAc' | 'udkMac' | 'udkEnc'): Uint8Array {
  return deriveSessionKey(fromHex(image.keys[kind]), atcBytes(image));
}
