/** GENERATE AC, first and second: the card's decision, signed. @see EMV 4.3 B3 §6.5.5 */
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { applicationCryptogram } from '../../crypto/index.ts';
import {
  buildDolValue,
  type CommandApdu,
  decodeDol,
  encodeTlv,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  countedAmount,
  decideAfterOnline,
  decideFirst,
  decideUnableOnline,
  isUnableOnline,
} from './card-action-analysis.ts';
import { completedOnline, setCvr } from './completion.ts';
import { dolBytes, dolValues } from './dol-values.ts';
import { authenticateIssuer } from './issuer-authentication.ts';
import {
  answer,
  answerStatus,
  atcBytes,
  type Outcome,
  type Snapshot,
  sessionKey,
  withSession,
  withState,
} from './session.ts';

const CID_OF: Readonly<Record<'AAC' | 'TC' | 'ARQC', number>> = {
  AAC: data.CRYPTOGRAM_AAC,
  TC: data.CRYPTOGRAM_TC,
  ARQC: data.CRYPTOGRAM_ARQC,
};

/** The first call decides, the second completes; a third has nothing left to do: 6985. */
export function generateAc(card: Snapshot, command: CommandApdu): Outcome {
  const requested = data.cryptogramTypeOf(command.p1);
  const hasOtherBits = (command.p1 & ~data.CRYPTOGRAM_TYPE_MASK) !== 0;
  if (command.p2 !== 0 || hasOtherBits || requested === 'RFU') {
    return answerStatus(card, SW_6A86_WRONG_P1_P2);
  }
  const { image, session } = card;
  const isFirst = session.phase === 'initiated';
  if (!isFirst && session.phase !== 'online') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  if (!isFirst && requested === 'ARQC') {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const entries = decodeDol(fromHex(isFirst ? image.cdol1 : image.cdol2));
  const bytes = command.data ?? new Uint8Array(0);
  if (bytes.length !== dolBytes(entries)) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const given = dolValues(entries, bytes);
  const values = new Map([...session.values, ...given]);
  const heard = withSession(card, { values });
  return isFirst ? generateFirst(heard, requested) : generateSecond(heard, requested, given);
}

/** @see PBOC3 P5 (first GENERATE AC) */
function generateFirst(card: Snapshot, requested: data.CryptogramType): Outcome {
  const action = decideFirst(card, requested);
  const cvr = firstCvr(card, action);
  const ac = cryptogramOf(card, cvr);
  const remembered = withSession(card, {
    phase: action.type === 'ARQC' ? 'online' : 'completed',
    cvr,
    firstCryptogram: { type: action.type, ac },
  });
  return answer(afterFirst(remembered, action.type), cryptogramAnswer(card, action.type, ac, cvr));
}

function afterFirst(card: Snapshot, type: 'AAC' | 'TC' | 'ARQC'): Snapshot {
  if (type === 'ARQC') return withState(card, { lastOnlineNotCompleted: true });
  if (type === 'TC') return approvedOffline(card);
  const tvr = card.session.values.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS);
  if (tvr?.length !== data.TVR_BYTES) return card;
  const { state } = card.image;
  const hasSdaFailed = data.tvrHas(tvr, data.TVR_1_SDA_FAILED);
  const hasDdaFailed = data.tvrHas(tvr, data.TVR_1_DDA_FAILED);
  return withState(card, {
    lastSdaFailed: state.lastSdaFailed || hasSdaFailed,
    lastDdaFailed: state.lastDdaFailed || hasDdaFailed,
  });
}

/** CVR of the first call: "10 not requested" for the second, and the memories of the card. */
export function firstCvr(
  card: Snapshot,
  action: { readonly type: 'AAC' | 'TC' | 'ARQC'; readonly isVelocityExceeded: boolean },
): Uint8Array {
  const { state } = card.image;
  const cvr = Uint8Array.of(
    0x03,
    0x80 | (CID_OF[action.type] >> 2),
    0x00,
    state.scriptCounter << 4,
  );
  return setCvr(cvr, [
    [data.CVR_3_LAST_ONLINE_NOT_COMPLETED, state.lastOnlineNotCompleted],
    [data.CVR_3_PIN_TRY_LIMIT_EXCEEDED, state.pinTryCounter === 0],
    [data.CVR_3_VELOCITY_EXCEEDED, action.isVelocityExceeded],
    [data.CVR_3_NEW_CARD, state.lastOnlineAtc === 0],
    [data.CVR_3_LAST_ISSUER_AUTHENTICATION_FAILED, state.lastIssuerAuthenticationFailed],
    [data.CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED, state.issuerAuthenticationNotPerformed],
    [data.CVR_3_LAST_SDA_FAILED, state.lastSdaFailed],
    [data.CVR_4_LAST_SCRIPT_FAILED, state.lastScriptFailed],
    [data.CVR_4_LAST_DDA_FAILED, state.lastDdaFailed],
    [data.CVR_4_DDA_PERFORMED, card.session.isDdaPerformed],
  ]);
}

/** @see PBOC3 P5 (second GENERATE AC); EMV 4.3 B3 §10.11 */
function generateSecond(
  card: Snapshot,
  requested: data.CryptogramType,
  given: ReadonlyMap<string, Uint8Array>,
): Outcome {
  const arc = given.get(data.TAG_8A_AUTHORISATION_RESPONSE_CODE) ?? new Uint8Array(0);
  if (isUnableOnline(arc)) return generateUnableOnline(card, requested);
  const checked = authenticateFromCdol(card, given);
  const type = decideAfterOnline(checked, requested);
  const { issuerAuthentication } = checked.session;
  const isSupported = data.aipHas(
    fromHex(card.image.aip),
    data.AIP_1_ISSUER_AUTHENTICATION_SUPPORTED,
  );
  const isMissing = isSupported && issuerAuthentication === 'notPerformed';
  const cvr = setCvr(secondCvr(checked, type), [
    [data.CVR_2_ISSUER_AUTHENTICATION_FAILED, issuerAuthentication === 'failed'],
    [data.CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED, isMissing],
  ]);
  const ac = cryptogramOf(checked, cvr);
  const completed = completedOnline(checked, { isMissing });
  const logged = type === 'TC' ? withLogEntry(completed) : completed;
  const final = withSession(logged, { phase: 'completed', cvr });
  return answer(final, cryptogramAnswer(card, type, ac, cvr));
}

function generateUnableOnline(card: Snapshot, requested: data.CryptogramType): Outcome {
  const { type, isVelocityExceeded } = decideUnableOnline(card, requested);
  const cvr = setCvr(secondCvr(card, type === 'TC' ? 'TC' : 'AAC'), [
    [data.CVR_2_UNABLE_TO_GO_ONLINE, true],
    [data.CVR_3_VELOCITY_EXCEEDED, isVelocityExceeded],
  ]);
  const ac = cryptogramOf(card, cvr);
  const completed = withSession(card, { phase: 'completed', cvr });
  const final = type === 'TC' ? approvedOffline(completed) : completed;
  return answer(final, cryptogramAnswer(card, type, ac, cvr));
}

/** Issuer authentication inside the second call, when CDOL2 asks for tag 91. */
function authenticateFromCdol(card: Snapshot, given: ReadonlyMap<string, Uint8Array>): Snapshot {
  const authenticationData = given.get(data.TAG_91_ISSUER_AUTHENTICATION_DATA);
  const isThere = authenticationData?.some((value) => value !== 0) ?? false;
  if (!authenticationData || !isThere || card.session.issuerAuthentication !== 'notPerformed') {
    return card;
  }
  return authenticateIssuer(card, authenticationData.slice(0, 10));
}

/** The first CVR continued: bits 8-7 of byte 2 now tell the second cryptogram. */
function secondCvr(card: Snapshot, type: 'AAC' | 'TC'): Uint8Array {
  const cvr = card.session.cvr.slice();
  cvr[1] = ((cvr[1] ?? 0) & ~data.CRYPTOGRAM_TYPE_MASK) | CID_OF[type];
  return cvr;
}

/** CVN 01: retail MAC of the session key over 33 bytes of data and the CVR. @see PBOC3 P5 §10 */
function cryptogramOf(card: Snapshot, cvr: Uint8Array): Uint8Array {
  const { image, session } = card;
  const own = new Map([
    [data.TAG_82_APPLICATION_INTERCHANGE_PROFILE, fromHex(image.aip)],
    [data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, atcBytes(image)],
  ]);
  const input = buildDolValue(
    data.AC_INPUT_CVN_01,
    (tag) => own.get(tag) ?? session.values.get(tag),
    data.dolFormatOf,
  );
  return applicationCryptogram(sessionKey(image, 'udkAc'), concatBytes(input, cvr));
}

/** Answer in format 1: CID, ATC, cryptogram, issuer application data. */
function cryptogramAnswer(
  card: Snapshot,
  type: 'AAC' | 'TC' | 'ARQC',
  ac: Uint8Array,
  cvr: Uint8Array,
): Uint8Array {
  const iad = data.encodeIad({
    derivationKeyIndex: card.image.derivationKeyIndex,
    cryptogramVersion: card.image.cryptogramVersion,
    cvr,
    algorithm: data.IAD_ALGORITHM_3DES,
    discretionary: new Uint8Array(0),
  });
  return encodeTlv(
    data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1,
    concatBytes(Uint8Array.of(CID_OF[type]), atcBytes(card.image), ac, iad),
  );
}

/** An offline approval counts towards the card's limits. */
function approvedOffline(card: Snapshot): Snapshot {
  const { image, session } = card;
  const total = BigInt(image.state.cumulativeOfflineAmountMinor) + countedAmount(image, session);
  const counted = withState(card, { cumulativeOfflineAmountMinor: total.toString() });
  return withLogEntry(counted);
}

/** Approved transactions go into the log, newest first. @see PBOC3 P5 (9F4D, 9F4F) */
function withLogEntry(card: Snapshot): Snapshot {
  const { image, session } = card;
  const entry = buildDolValue(
    decodeDol(fromHex(image.logFormat)),
    (tag) =>
      tag === data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER
        ? atcBytes(image)
        : session.values.get(tag),
    data.dolFormatOf,
  );
  const log = [toHex(entry), ...image.state.log].slice(0, data.ICC_LOG_RECORDS_MAX);
  return withState(card, { log });
}
