/** GENERATE AC, first and second: the card's decision, signed. @see EMV 4.3 B3 §6.5.5 */
import { concatBytes } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeTlv,
  SW_6A86_WRONG_P1_P2,
  SW_6700_WRONG_LENGTH,
  SW_6985_CONDITIONS_NOT_SATISFIED,
} from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  type CardAction,
  decideAfterOnline,
  decideFirst,
  decideUnableOnline,
  isUnableOnline,
} from './card-action-analysis.ts';
import { CID_OF, firstCvr, secondCvr, setCvr } from './card-verification-results.ts';
import { approvedOffline, completedOnline, declinedOffline, paidFromPurse } from './completion.ts';
import { canSign, cryptogramOf, issuerApplicationData } from './cryptograms.ts';
import { dolBytes, dolValues } from './dol-values.ts';
import {
  canSignDynamically,
  freshDynamicNumber,
  signDynamicData,
  transactionDataHash,
} from './dynamic-signature.ts';
import { authenticateIssuer, supportsIssuerAuthentication } from './issuer-authentication.ts';
import { withLogEntry } from './logs.ts';
import { purseOfTransaction, transactionAmount } from './purse.ts';
import { dolOf } from './runtime-profile.ts';
import {
  active,
  answer,
  answerStatus,
  atcBytes,
  type IccPorts,
  type Outcome,
  type Snapshot,
  withSession,
  withState,
} from './session.ts';

/** What the terminal asked for. */
type Request = { readonly type: data.CryptogramType; readonly isCda: boolean };

/** A cryptogram to answer with; `card` is the card after it. */
type Made = {
  readonly card: Snapshot;
  readonly action: CardAction;
  readonly ac: Uint8Array;
  readonly cvr: Uint8Array;
};

/** The first call decides, the second completes; a third has nothing left to do: 6985. */
export function generateAc(card: Snapshot, command: CommandApdu, ports: IccPorts): Outcome {
  const request = requestOf(card, command);
  if (!request) return answerStatus(card, SW_6A86_WRONG_P1_P2);
  const { phase } = card.session;
  const isFirst = phase === 'initiated';
  const isTime = isFirst || (phase === 'online' && request.type !== 'ARQC');
  const { application, options } = active(card);
  const tag = isFirst ? data.TAG_8C_CDOL1 : data.TAG_8D_CDOL2;
  const entries = dolOf(application, options, tag);
  if (!isTime || !entries || !canSign(card)) {
    return answerStatus(card, SW_6985_CONDITIONS_NOT_SATISFIED);
  }
  const bytes = command.data ?? new Uint8Array(0);
  if (bytes.length !== dolBytes(entries)) return answerStatus(card, SW_6700_WRONG_LENGTH);
  const given = dolValues(entries, bytes);
  const values = new Map([...card.session.values, ...given]);
  const dolsSoFar = [...card.session.dolBytes, bytes];
  const heard = withSettledPurse(withSession(card, { values, dolBytes: dolsSoFar }));
  const made = isFirst
    ? generateFirst(heard, request, ports)
    : generateSecond(heard, { request, given }, ports);
  return answer(made.card, cryptogramAnswer(made, request, ports));
}

/** A terminal that names another currency now than at GPO gets no purchase from the purse. */
function withSettledPurse(card: Snapshot): Snapshot {
  const { purse } = card.session;
  const isSame = purse === null || purse === purseOfTransaction(card);
  return isSame ? card : withSession(card, { purse: null });
}

/** P1 and P2 as a request; undefined for bits that mean nothing to this card. */
function requestOf(card: Snapshot, command: CommandApdu): Request | undefined {
  const type = data.cryptogramTypeOf(command.p1);
  const isCda = (command.p1 & data.GENERATE_AC_CDA_REQUESTED) !== 0;
  const known = data.CRYPTOGRAM_TYPE_MASK | data.GENERATE_AC_CDA_REQUESTED;
  if (command.p2 !== 0 || (command.p1 & ~known) !== 0 || type === 'RFU') return undefined;
  const { options } = active(card);
  const isCdaSupported =
    options !== null &&
    data.aipHas(options.aip, data.AIP_1_CDA_SUPPORTED) &&
    canSignDynamically(card);
  return isCda && !isCdaSupported ? undefined : { type, isCda };
}

/** @see PBOC3 P5 (first GENERATE AC) */
function generateFirst(card: Snapshot, request: Request, ports: IccPorts): Made {
  const action = decideFirst(card, request.type);
  const isSigned = request.isCda && action.type !== 'AAC';
  const signing = isSigned ? withSession(card, { isDdaPerformed: true }) : card;
  const cvr = firstCvr(signing, action);
  const ac = cryptogramOf(signing, cvr, ports);
  const remembered = withSession(signing, {
    phase: action.type === 'ARQC' ? 'online' : 'completed',
    cvr,
    firstCryptogram: { type: action.type, ac },
  });
  return { card: afterFirst(remembered, action), action, ac, cvr };
}

function afterFirst(card: Snapshot, action: CardAction): Snapshot {
  switch (action.type) {
    case 'ARQC':
      return withState(card, { lastOnlineNotCompleted: true });
    case 'TC': {
      const { purse } = card.session;
      if (purse === null) return approvedOffline(card);
      return paidFromPurse(card, { purse, amountMinor: transactionAmount(card) ?? 0n });
    }
    case 'AAC': {
      const declined = declinedOffline(card);
      return action.blocksApplication
        ? withState(declined, { applicationBlocked: true })
        : declined;
    }
  }
}

/** @see PBOC3 P5 (second GENERATE AC); EMV 4.3 B3 §10.11 */
function generateSecond(
  card: Snapshot,
  asked: { readonly request: Request; readonly given: ReadonlyMap<string, Uint8Array> },
  ports: IccPorts,
): Made {
  const { request, given } = asked;
  const arc = given.get(data.TAG_8A_AUTHORISATION_RESPONSE_CODE) ?? new Uint8Array(0);
  if (isUnableOnline(arc)) return generateUnableOnline(card, request.type, ports);
  const checked = authenticateFromCdol(card, given, ports);
  const action = decideAfterOnline(checked, request.type);
  const { issuerAuthentication } = checked.session;
  const isMissing = supportsIssuerAuthentication(card) && issuerAuthentication === 'notPerformed';
  const cvr = setCvr(secondCvr(checked, finalType(action)), [
    [data.CVR_2_ISSUER_AUTHENTICATION_FAILED, issuerAuthentication === 'failed'],
    [data.CVR_3_ISSUER_AUTHENTICATION_NOT_PERFORMED, isMissing],
  ]);
  const ac = cryptogramOf(checked, cvr, ports);
  const completed = completedOnline(checked, { isMissing });
  const logged = action.type === 'TC' ? withLogEntry(completed) : completed;
  return { card: withSession(logged, { phase: 'completed', cvr }), action, ac, cvr };
}

/** What wanted to go online and could not is no purchase from the purse. @see PBOC3 P13 */
function generateUnableOnline(
  card: Snapshot,
  requested: data.CryptogramType,
  ports: IccPorts,
): Made {
  const action = decideUnableOnline(card, requested);
  const cvr = setCvr(secondCvr(card, finalType(action)), [
    [data.CVR_2_UNABLE_TO_GO_ONLINE, true],
    [data.CVR_3_VELOCITY_EXCEEDED, action.isVelocityExceeded],
  ]);
  const ac = cryptogramOf(card, cvr, ports);
  const completed = withSession(card, { phase: 'completed', cvr });
  const after = action.type === 'TC' ? approvedOffline(completed) : declinedOffline(completed);
  return { card: after, action, ac, cvr };
}

function finalType(action: CardAction): 'AAC' | 'TC' {
  return action.type === 'TC' ? 'TC' : 'AAC';
}

/** Issuer authentication inside the second call, when CDOL2 asks for tag 91. */
function authenticateFromCdol(
  card: Snapshot,
  given: ReadonlyMap<string, Uint8Array>,
  ports: IccPorts,
): Snapshot {
  const authenticationData = given.get(data.TAG_91_ISSUER_AUTHENTICATION_DATA);
  const isThere = authenticationData?.some((value) => value !== 0) ?? false;
  if (!authenticationData || !isThere || card.session.issuerAuthentication !== 'notPerformed') {
    return card;
  }
  return authenticateIssuer(card, authenticationData.slice(0, 10), ports);
}

/** The answer in format 1 or 2, or with the signature in place of the cryptogram. */
function cryptogramAnswer(made: Made, request: Request, ports: IccPorts): Uint8Array {
  const { action, ac, card, cvr } = made;
  const cid = Uint8Array.of(CID_OF[action.type] | action.adviceBits);
  const iad = issuerApplicationData(card, cvr, ports);
  const isFormat2 = active(card).options?.isFormat2 ?? false;
  const isSigned = request.isCda && action.type !== 'AAC';
  if (!isFormat2 && !isSigned) {
    return encodeTlv(
      data.TAG_80_RESPONSE_TEMPLATE_FORMAT_1,
      concatBytes(cid, atcBytes(card), ac, iad),
    );
  }
  const head = concatBytes(
    encodeTlv(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA, cid),
    encodeTlv(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, atcBytes(card)),
  );
  const tail = encodeTlv(data.TAG_9F10_ISSUER_APPLICATION_DATA, iad);
  const proof = isSigned
    ? signedCryptogram(card, { cid, ac, returned: concatBytes(head, tail) }, ports)
    : encodeTlv(data.TAG_9F26_APPLICATION_CRYPTOGRAM, ac);
  return encodeTlv(data.TAG_77_RESPONSE_TEMPLATE_FORMAT_2, concatBytes(head, proof, tail));
}

/** The cryptogram inside signed dynamic application data (CDA). @see EMV 4.3 B2 §6.6.1 */
function signedCryptogram(
  card: Snapshot,
  parts: { readonly cid: Uint8Array; readonly ac: Uint8Array; readonly returned: Uint8Array },
  ports: IccPorts,
): Uint8Array {
  const { dolBytes: dols, values } = card.session;
  const hash = transactionDataHash(card, concatBytes(...dols, parts.returned), ports);
  const dynamicData = concatBytes(freshDynamicNumber(ports), parts.cid, parts.ac, hash);
  const terminalData = values.get(data.TAG_9F37_UNPREDICTABLE_NUMBER) ?? new Uint8Array(0);
  const signature = signDynamicData(card, { dynamicData, terminalData }, ports);
  return encodeTlv(data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA, signature);
}
