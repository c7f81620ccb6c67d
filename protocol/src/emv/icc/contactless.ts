/** The contactless side (qPBOC): GET PROCESSING OPTIONS is the whole transaction. */
import { concatBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { type CardAction, decideFirst } from './card-action-analysis.ts';
import { firstCvr } from './card-verification-results.ts';
import { declinedOffline, paidFromPurse } from './completion.ts';
import { canSign, cryptogramOf, issuerApplicationData } from './cryptograms.ts';
import { canSignDynamically, freshDynamicNumber, signDynamicData } from './dynamic-signature.ts';
import { hearOptions, isCounterSpent, withCountedTransaction } from './processing-options.ts';
import {
  balanceBytes,
  balanceOf,
  purseCovers,
  purseOfTransaction,
  transactionAmount,
} from './purse.ts';
import { objectFor, recordKey } from './runtime-profile.ts';
import {
  active,
  answer,
  answerStatus,
  atcBytes,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
} from './session.ts';

const CARD_UNPREDICTABLE_NUMBER_BYTES = 4;

/** What fDDA of version 01 signs before 9F69. @see EMV C-7 Annex B (fDDA) */
const SIGNED_TAGS: readonly string[] = [
  data.TAG_9F37_UNPREDICTABLE_NUMBER,
  data.TAG_9F02_AMOUNT_AUTHORISED,
  data.TAG_5F2A_TRANSACTION_CURRENCY_CODE,
];

/**
 * Counts the transaction, decides, makes cryptogram and signature. The counter is part of the image
 * that is stored before the answer is given out, so that a torn tap has used it up.
 * @see EMV C-7 §3.3; PBOC3 P12
 */
export function getContactlessOptions(
  card: Snapshot,
  command: CommandApdu,
  ports: IccPorts,
): Outcome {
  const heard = hearOptions(card, command);
  if (typeof heard === 'number') return answerStatus(card, heard);
  if (card.image.lab.contactlessRefusal === '6984') {
    return answerStatus(card, SW_6984_REFERENCED_DATA_INVALIDATED);
  }
  const ttq = heard.session.values.get(data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS);
  const isQpboc = ttq?.length === data.TTQ_BYTES && data.hasBit(ttq, data.TTQ_1_QPBOC_SUPPORTED);
  if (!isQpboc || isCounterSpent(card) || !canSign(heard)) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const counted = withCountedTransaction(withSession(heard, { phase: 'completed' }));
  return answerTap(decideTap(counted, ttq), ttq, ports);
}

/**
 * A tap is paid from the purse when the reader does not want the issuer's word, does not say no to
 * e-cash (9F7A, where the PDOL asks for it) and the purse holds enough. @see PBOC3 P12, PBOC3 P13
 */
function withPurse(card: Snapshot, ttq: Uint8Array): Snapshot {
  const indicator = data.TAG_9F7A_PBOC_EC_TERMINAL_SUPPORT_INDICATOR;
  const wanted = card.session.values.get(indicator);
  const isRefused = wanted !== undefined && wanted[0] !== 0x01;
  if (isRefused || data.hasBit(ttq, data.TTQ_2_ONLINE_CRYPTOGRAM_REQUIRED)) return card;
  const purse = purseOfTransaction(card);
  if (purse === null || !purseCovers(card, purse)) return card;
  const paying = withSession(card, { purse });
  return canSign(paying) && canSignDynamically(paying) ? paying : card;
}

/** A tap that is decided. */
type Decided = { readonly card: Snapshot; readonly action: CardAction };

/** TC from the purse, else online; a reader that cannot go online gets the card's no. */
function decideTap(card: Snapshot, ttq: Uint8Array): Decided {
  const paying = withPurse(card, ttq);
  if (paying.session.purse !== null) {
    const action = decideFirst(paying, 'TC');
    if (action.type === 'TC') return { card: paying, action };
  }
  const isOfflineOnly = data.hasBit(ttq, data.TTQ_1_OFFLINE_ONLY);
  return { card, action: decideFirst(card, isOfflineOnly ? 'AAC' : 'ARQC') };
}

/**
 * The issuer's qualifiers and, when the reader wants the cardholder verified and no device has done
 * it, the method: online PIN before signature.
 */
function transactionQualifiers(card: Snapshot, ttq: Uint8Array): Uint8Array {
  const { objects } = active(card).profile;
  const own = objects.get(data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS);
  const ctq = own?.length === data.CTQ_BYTES ? own : new Uint8Array(data.CTQ_BYTES);
  const isWanted = data.hasBit(ttq, data.TTQ_2_CVM_REQUIRED);
  if (!isWanted || data.hasBit(ctq, data.CTQ_2_CDCVM_PERFORMED)) return ctq;
  if (data.hasBit(ttq, data.TTQ_1_ONLINE_PIN_SUPPORTED)) {
    return data.setBit(ctq, data.CTQ_1_ONLINE_PIN_REQUIRED);
  }
  if (data.hasBit(ttq, data.TTQ_1_SIGNATURE_SUPPORTED)) {
    return data.setBit(ctq, data.CTQ_1_SIGNATURE_REQUIRED);
  }
  return ctq;
}

/**
 * Format 2 with the cryptogram; the session is over but for READ RECORD. An answer that is not paid
 * offline names no files and has no signature unless the reader authenticates such cards too: the
 * tap is then three commands long. @see EMV C-7 §3.3; EMV Book A table 5-4
 */
function answerTap({ card, action }: Decided, ttq: Uint8Array, ports: IccPorts): Outcome {
  const isRead =
    action.type === 'TC' || data.hasBit(ttq, data.TTQ_1_DATA_AUTHENTICATION_FOR_ONLINE);
  const ctq = transactionQualifiers(card, ttq);
  const isSigned = isRead && canSignDynamically(card);
  const dynamicValues = isSigned ? signedValues(card, ctq, ports) : new Map();
  const signing = withSession(card, { isDdaPerformed: isSigned, dynamicValues });
  const cvr = firstCvr(signing, action);
  const ac = cryptogramOf(signing, cvr, ports);
  const decided = withSession(afterTap(signing, action), { cvr });
  const objects = [
    ...answeredObjects(decided, { ac, cvr, ctq, isRead }, ports),
    signatureInAnswer(signing),
    availableAmount(decided),
  ];
  return answer(
    decided,
    encodeTlv(data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2, concatBytes(...objects)),
  );
}

/** 9F69 of this tap and the signature over it. @see EMV C-7 Annex B (fDDA) */
function signedValues(
  card: Snapshot,
  ctq: Uint8Array,
  ports: IccPorts,
): ReadonlyMap<string, Uint8Array> {
  const related = concatBytes(
    Uint8Array.of(data.FDDA_VERSION_01),
    ports.random.bytes(CARD_UNPREDICTABLE_NUMBER_BYTES),
    ctq,
    Uint8Array.of(0x00),
  );
  const { values } = card.session;
  const reader = SIGNED_TAGS.map((tag) => values.get(tag) ?? new Uint8Array(0));
  const terminalData = concatBytes(...reader, related);
  const signature = signDynamicData(
    card,
    { dynamicData: freshDynamicNumber(ports), terminalData },
    ports,
  );
  return new Map([
    [data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA, related],
    [data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA, signature],
  ]);
}

/** What the decision leaves behind; money moves with the last record, if there is one. */
function afterTap(card: Snapshot, action: CardAction): Snapshot {
  const { purse } = card.session;
  if (action.type === 'AAC') return declinedOffline(card);
  if (action.type !== 'TC' || purse === null) return card;
  const amountMinor = transactionAmount(card) ?? 0n;
  const last = active(card).options?.entries.at(-1);
  if (!last) return paidFromPurse(card, { purse, amountMinor });
  const record = recordKey(last.sfi, last.lastRecord);
  return withSession(card, { pendingPurchase: { amountMinor, record } });
}

function answeredObjects(
  card: Snapshot,
  made: {
    readonly ac: Uint8Array;
    readonly cvr: Uint8Array;
    readonly ctq: Uint8Array;
    readonly isRead: boolean;
  },
  ports: IccPorts,
): readonly Uint8Array[] {
  const { application, options } = active(card);
  const own = (tag: string) => {
    const value = objectFor(application, options, tag);
    return value ? encodeTlv(tag, value) : new Uint8Array(0);
  };
  const { aip = new Uint8Array(0), afl = new Uint8Array(0) } = options ?? {};
  const locator = encodeTlv(data.TAG_94_APPLICATION_FILE_LOCATOR, afl);
  const iad = issuerApplicationData(card, made.cvr, ports);
  return [
    encodeTlv(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, aip),
    made.isRead && afl.length > 0 ? locator : new Uint8Array(0),
    encodeTlv(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, atcBytes(card)),
    own(data.TAG_57_TRACK_2_EQUIVALENT_DATA),
    encodeTlv(data.TAG_9F10_ISSUER_APPLICATION_DATA, iad),
    encodeTlv(data.TAG_9F26_APPLICATION_CRYPTOGRAM, made.ac),
    own(data.TAG_5F34_PAN_SEQUENCE_NUMBER),
    encodeTlv(data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS, made.ctq),
  ];
}

/** The signature, unless a record has a place for it: keys above 1024 bits have. */
function signatureInAnswer(card: Snapshot): Uint8Array {
  const tag = data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA;
  const signature = card.session.dynamicValues.get(tag);
  const isInRecord = active(card).options?.objects.has(tag) ?? false;
  return signature && !isInRecord ? encodeTlv(tag, signature) : new Uint8Array(0);
}

/** 9F5D: what the purse holds after this tap, when it pays. */
function availableAmount(card: Snapshot): Uint8Array {
  const { pendingPurchase, purse } = card.session;
  if (purse === null) return new Uint8Array(0);
  const left = balanceOf(card, purse) - (pendingPurchase?.amountMinor ?? 0n);
  return encodeTlv(data.TAG_9F5D_PBOC_AVAILABLE_OFFLINE_SPENDING_AMOUNT, balanceBytes(left));
}
