/** The contactless side (qPBOC): GET PROCESSING OPTIONS is the whole transaction. */
import { concatBytes, fromHex } from '../../bytes/index.ts';
import { applicationCryptogram } from '../../crypto/index.ts';
import {
  buildDolValue,
  type CommandApdu,
  decodeDol,
  encodeTlv,
  SW_6984_REFERENCED_DATA_INVALIDATED,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import { decideFirst } from './card-action-analysis.ts';
import { ATC_MAX, pdolValues } from './files.ts';
import { firstCvr } from './generate-ac.ts';
import { signDynamicData } from './internal-authenticate.ts';
import {
  answer,
  answerStatus,
  atcBytes,
  type IccPorts,
  type Outcome,
  type Snapshot,
  sessionKey,
  withSession,
  withState,
} from './session.ts';

/** Longest key whose signature the GPO answer carries; a longer one is in the last record. */
const SIGNATURE_IN_ANSWER_BYTES_MAX = 128;
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
 * @see EMV C-7 §3.3; PBOC3 P5
 */
export function getContactlessOptions(
  card: Snapshot,
  command: CommandApdu,
  ports: IccPorts,
): Outcome {
  const { image, session } = card;
  const { contactless } = image;
  if (contactless === null || session.selected !== 'application' || session.phase !== 'selected') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const given = pdolValues(contactless.pdol, command);
  if ('statusWord' in given) return answerStatus(card, given.statusWord);
  if (image.contactlessRefusal === '6984') {
    return answerStatus(card, SW_6984_REFERENCED_DATA_INVALIDATED);
  }
  const ttq = given.values.get(data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS);
  const isQpboc = ttq !== undefined && data.hasBit(ttq, data.TTQ_1_QPBOC_SUPPORTED);
  if (!isQpboc || image.state.atc >= ATC_MAX) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const counted = withState(card, { atc: image.state.atc + 1 });
  const ctq = transactionQualifiers(fromHex(contactless.ctq), ttq);
  const started = withSession(counted, { values: given.values, isDdaPerformed: true });
  return answerCryptogram(started, { contactless, ctq }, ports);
}

/**
 * The issuer's qualifiers and, when the reader wants the cardholder verified and no device has done
 * it, the method: online PIN before signature.
 */
function transactionQualifiers(ctq: Uint8Array, ttq: Uint8Array): Uint8Array {
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

/** Format 2 with the cryptogram; the session is over but for READ RECORD. */
function answerCryptogram(
  card: Snapshot,
  side: { readonly contactless: data.IccContactless; readonly ctq: Uint8Array },
  ports: IccPorts,
): Outcome {
  const { image, session } = card;
  const { contactless, ctq } = side;
  const cvr = firstCvr(card, decideFirst(card, 'ARQC'));
  const related = concatBytes(
    Uint8Array.of(data.FDDA_VERSION_01),
    ports.random.bytes(CARD_UNPREDICTABLE_NUMBER_BYTES),
    ctq,
    Uint8Array.of(0x00),
  );
  const reader = SIGNED_TAGS.map((tag) => session.values.get(tag) ?? new Uint8Array(0));
  const signed = signDynamicData(image, concatBytes(...reader, related), ports);
  const signature = encodeTlv(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA, signed);
  const isInAnswer = signed.length <= SIGNATURE_IN_ANSWER_BYTES_MAX;
  const tag = data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA;
  const relatedData = encodeTlv(tag, related);
  const objects = concatBytes(
    encodeTlv(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, fromHex(contactless.aip)),
    encodeTlv(data.TAG_94_APPLICATION_FILE_LOCATOR, data.ICC_CONTACTLESS_AFL),
    encodeTlv(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, atcBytes(image)),
    encodeTlv(data.TAG_57_TRACK_2_EQUIVALENT_DATA, data.iccTrack2(image)),
    encodeTlv(data.TAG_9F10_ISSUER_APPLICATION_DATA, issuerApplicationData(image, cvr)),
    encodeTlv(data.TAG_9F26_APPLICATION_CRYPTOGRAM, cryptogramOf(card, cvr)),
    encodeTlv(data.TAG_5F34_PAN_SEQUENCE_NUMBER, fromHex(image.panSequenceNumber)),
    encodeTlv(data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS, ctq),
    isInAnswer ? signature : new Uint8Array(0),
  );
  const dynamicRecord = isInAnswer ? relatedData : concatBytes(signature, relatedData);
  const next = withSession(card, { phase: 'completed', cvr, dynamicRecord });
  return answer(next, encodeTlv(data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2, objects));
}

/** CVN 17: the session key over amount, reader's number, counter and byte 2 of the CVR. */
function cryptogramOf(card: Snapshot, cvr: Uint8Array): Uint8Array {
  const { image, session } = card;
  const atc = atcBytes(image);
  const input = buildDolValue(
    data.AC_INPUT_CVN_17,
    (tag) =>
      tag === data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER ? atc : session.values.get(tag),
    data.dolFormatOf,
  );
  return applicationCryptogram(sessionKey(image, 'udkAc'), concatBytes(input, cvr.subarray(1, 2)));
}

function issuerApplicationData(image: data.IccImage, cvr: Uint8Array): Uint8Array {
  return data.encodeIad({
    derivationKeyIndex: image.derivationKeyIndex,
    cryptogramVersion: data.CRYPTOGRAM_VERSION_17,
    cvr,
    algorithm: data.IAD_ALGORITHM_3DES,
    discretionary: new Uint8Array(0),
  });
}

/** Longest last record that the card's key makes, for the check of an image. */
export function longestDynamicRecord(image: data.IccImage): Uint8Array {
  const lengthBytes = fromHex(image.rsa.modulus).length;
  const related = new Uint8Array(data.CARD_AUTHENTICATION_RELATED_DATA_BYTES);
  const relatedData = encodeTlv(data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA, related);
  if (lengthBytes <= SIGNATURE_IN_ANSWER_BYTES_MAX) return relatedData;
  const signed = new Uint8Array(lengthBytes);
  return concatBytes(encodeTlv(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA, signed), relatedData);
}

/** Whether a PDOL asks for the reader's qualifiers, as it must. @see EMV C-7 §3.2 */
export function asksForQualifiers(pdol: string): boolean {
  const tag = data.TAG_9F66_PBOC_TERMINAL_TRANSACTION_QUALIFIERS;
  const entry = decodeDol(fromHex(pdol)).find((found) => found.tag === tag);
  return entry?.lengthBytes === data.TTQ_BYTES;
}
