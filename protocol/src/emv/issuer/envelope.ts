/** Whether what the card signed agrees with the message that carries it. */
import { type Secret, toHex } from '../../bytes/index.ts';
import * as data from '../data/index.ts';

/** Every disagreement that the check can name, and its text for people. */
export const ENVELOPE_FINDINGS = {
  dataMissing: 'field 55 lacks a value that the checks need',
  amountDiffers: '9F02 differs from field 4',
  otherAmountUnexpected: '9F03 is not zero in a purchase without cashback',
  currencyDiffers: '5F2A differs from field 49',
  panDiffers: '5A differs from field 2',
  track2Differs: '57 differs from field 35',
  track2PanDiffers: 'the account number in track 2 differs from field 2',
  panSequenceDiffers: '5F34 differs from field 23',
  entryModeNotChip: 'field 22 says that no chip was read',
  pinEntryModeDiffers: 'field 22 and the TVR disagree on whether a PIN was entered online',
  pinDataMissing: 'field 22 says that a PIN was entered but field 52 is absent',
  pinDataUnexpected: 'field 52 is present but field 22 says that no PIN was entered',
  cvmResultsDiffer: '9F34 and the TVR disagree on the online PIN',
  offlinePinClaimFalse: '9F34 claims an offline PIN that the CVR does not confirm',
  offlinePinUnclaimed: 'the CVR has an offline PIN verified that 9F34 does not name',
  iadMalformed: '9F10 is not in the layout of PBOC',
  cryptogramTypeDiffers: '9F27 is not what this message needs',
  cryptogramVersionDiffers: 'a contactless cryptogram came in a message of the contact interface',
  cvrTypeDiffers: 'the CVR and 9F27 disagree on the cryptogram',
  tokenShape: 'the cryptogram has the shape of a dynamic token, not of a purchase',
} as const;
/** Name of one finding. */
export type EnvelopeFinding = keyof typeof ENVELOPE_FINDINGS;

/** The fields of the ISO 8583 message that the card's data is compared with. */
export type EnvelopeFields = {
  /** Field 2. */
  readonly pan: Secret<string>;
  /** Field 4, twelve digits. */
  readonly amount: string;
  /** Field 22, three digits. */
  readonly posEntryMode: string;
  /** Field 23, three digits; absent when the message has none. */
  readonly panSequenceNumber?: string;
  /** Field 35 with `=` or `D` as separator. */
  readonly track2?: Secret<string>;
  /** Field 49, three digits. */
  readonly currency: string;
  /** Whether field 52 is present. */
  readonly hasPinData: boolean;
};

/** Values of field 55 by tag. */
export type CardValues = ReadonlyMap<string, Uint8Array>;

/** Needed of both interfaces. */
const NEEDED = [
  data.TAG_9F02_AMOUNT_AUTHORISED,
  data.TAG_5F2A_TRANSACTION_CURRENCY_CODE,
  data.TAG_9F10_ISSUER_APPLICATION_DATA,
  data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA,
];
/**
 * Needed of the contact interface. UnionPay's messages of qPBOC list 95 and 9F34 too, but a reader
 * performs neither of their checks in full and some leave them out; what is sent must agree.
 */
const NEEDED_CONTACT = [data.TAG_95_TERMINAL_VERIFICATION_RESULTS, data.TAG_9F34_CVM_RESULTS];
/** Field 22 of chip data through a reader's field: 07 by chip rules. @see Q/CUP 006 (F22) */
const CONTACTLESS_ENTRY_MODE = '07';

/**
 * All disagreements between field 55 and its message, in a fixed order; none for a sound one.
 * Beside the cryptogram itself this is what binds a card's consent to the money that moves.
 */
export function checkCryptogramEnvelope(
  values: CardValues,
  fields: EnvelopeFields,
): readonly EnvelopeFinding[] {
  const findings: EnvelopeFinding[] = [];
  const isContactless = fields.posEntryMode.startsWith(CONTACTLESS_ENTRY_MODE);
  const needed = isContactless ? NEEDED : [...NEEDED, ...NEEDED_CONTACT];
  if (needed.some((tag) => !values.has(tag))) findings.push('dataMissing');
  findings.push(
    ...checkMoney(values, fields),
    ...checkAccount(values, fields),
    ...checkPinEntry(values, fields),
    ...(isContactless ? [] : checkContactVersion(values)),
    ...checkCardVerificationResults(values, 'ARQC'),
    ...checkShape(values),
  );
  return findings;
}

function checkMoney(values: CardValues, fields: EnvelopeFields): readonly EnvelopeFinding[] {
  const findings: EnvelopeFinding[] = [];
  if (differs(values.get(data.TAG_9F02_AMOUNT_AUTHORISED), fields.amount)) {
    findings.push('amountDiffers');
  }
  const isPurchase = hexOf(values, data.TAG_9C_TRANSACTION_TYPE) === '00';
  if (isPurchase && differs(values.get(data.TAG_9F03_AMOUNT_OTHER), '000000000000')) {
    findings.push('otherAmountUnexpected');
  }
  const currency = fields.currency.padStart(4, '0');
  if (differs(values.get(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE), currency)) {
    findings.push('currencyDiffers');
  }
  return findings;
}

function checkAccount(values: CardValues, fields: EnvelopeFields): readonly EnvelopeFinding[] {
  const findings: EnvelopeFinding[] = [];
  const pan = fields.pan.expose();
  const cardPan = hexOf(values, data.TAG_5A_APPLICATION_PAN)?.replace(/F+$/, '');
  if (cardPan !== undefined && cardPan !== pan) findings.push('panDiffers');
  const messageTrack2 = fields.track2?.expose().replace('=', 'D').replace(/F+$/, '');
  const cardTrack2 = hexOf(values, data.TAG_57_TRACK_2_EQUIVALENT_DATA)?.replace(/F+$/, '');
  if (cardTrack2 !== undefined && messageTrack2 !== undefined && cardTrack2 !== messageTrack2) {
    findings.push('track2Differs');
  }
  const tracks = [messageTrack2, cardTrack2].filter((track) => track !== undefined);
  if (tracks.some((track) => track.split('D')[0] !== pan)) findings.push('track2PanDiffers');
  const sequence = fields.panSequenceNumber?.slice(-2);
  if (sequence !== undefined && differs(values.get(data.TAG_5F34_PAN_SEQUENCE_NUMBER), sequence)) {
    findings.push('panSequenceDiffers');
  }
  return findings;
}

/** Field 22 position 3: 1 a PIN can be in field 52, 2 none. @see Q/CUP 006 (F22) */
function checkPinEntry(values: CardValues, fields: EnvelopeFields): readonly EnvelopeFinding[] {
  const findings: EnvelopeFinding[] = [];
  if (!/^(05|07|95|98)/.test(fields.posEntryMode)) findings.push('entryModeNotChip');
  const hasPinInMode = fields.posEntryMode.charAt(2) === '1';
  if (hasPinInMode && !fields.hasPinData) findings.push('pinDataMissing');
  if (!hasPinInMode && fields.hasPinData) findings.push('pinDataUnexpected');
  const tvr = values.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS);
  const results = cvmResultsOf(values);
  if (tvr?.length !== data.TVR_BYTES || !results) return findings;
  const isOnlinePinInTvr = data.tvrHas(tvr, data.TVR_3_ONLINE_PIN_ENTERED);
  if (isOnlinePinInTvr !== hasPinInMode) findings.push('pinEntryModeDiffers');
  const isOnlinePinInResults =
    results.method === data.CVM_ENCIPHERED_PIN_ONLINE && results.result !== data.CVM_RESULT_FAILED;
  if (isOnlinePinInTvr !== isOnlinePinInResults) findings.push('cvmResultsDiffer');
  return findings;
}

/**
 * A cryptogram of version 17 covers neither TVR nor date nor country: in a message that claims the
 * contact interface it is one that was tapped for and re-labelled.
 */
function checkContactVersion(values: CardValues): readonly EnvelopeFinding[] {
  const version = values.get(data.TAG_9F10_ISSUER_APPLICATION_DATA)?.[2];
  return version === data.CRYPTOGRAM_VERSION_17 ? ['cryptogramVersionDiffers'] : [];
}

/**
 * What the card itself reports against what the terminal claims: the type of cryptogram, and the
 * offline PIN, whose false claim is the attack of a card that answers 9000 to any PIN.
 * @see PBOC3 P5 (CVR)
 */
export function checkCardVerificationResults(
  values: CardValues,
  wanted: 'ARQC' | 'TC' | 'AAC',
): readonly EnvelopeFinding[] {
  const findings: EnvelopeFinding[] = [];
  const cid = values.get(data.TAG_9F27_CRYPTOGRAM_INFORMATION_DATA)?.[0];
  const type = cid === undefined ? undefined : data.cryptogramTypeOf(cid);
  if (type !== undefined && type !== wanted) findings.push('cryptogramTypeDiffers');
  const cvr = cvrOf(values);
  if (cvr === 'malformed') return [...findings, 'iadMalformed'];
  if (cvr === undefined) return findings;
  if (type !== undefined && cvrType(cvr) !== type) findings.push('cvrTypeDiffers');
  const isVerified =
    data.hasBit(cvr, data.CVR_2_OFFLINE_PIN_PERFORMED) &&
    !data.hasBit(cvr, data.CVR_2_OFFLINE_PIN_FAILED);
  const results = cvmResultsOf(values);
  if (!results) return findings;
  const isClaimed =
    data.isOfflinePinMethod(results.method) && results.result === data.CVM_RESULT_SUCCESSFUL;
  if (isClaimed && !isVerified) findings.push('offlinePinClaimFalse');
  if (isVerified && !data.isOfflinePinMethod(results.method)) findings.push('offlinePinUnclaimed');
  return findings;
}

/** The last cryptogram that the CVR reports: the second one if it was asked for. */
function cvrType(cvr: Uint8Array): data.CryptogramType {
  const flags = cvr[1] ?? 0;
  const second = data.cryptogramTypeOf(flags);
  return second === 'ARQC' ? data.cryptogramTypeOf(flags << 2) : second;
}

/** A dynamic token's cryptogram must never pay. @see Q/CUP 047.3 */
function checkShape(values: CardValues): readonly EnvelopeFinding[] {
  const isToken =
    hexOf(values, data.TAG_9F1A_TERMINAL_COUNTRY_CODE) === '0000' ||
    hexOf(values, data.TAG_9A_TRANSACTION_DATE) === '000000';
  return isToken ? ['tokenShape'] : [];
}

function cvrOf(values: CardValues): Uint8Array | 'malformed' | undefined {
  const iad = values.get(data.TAG_9F10_ISSUER_APPLICATION_DATA);
  if (!iad) return undefined;
  try {
    return data.decodeIad(iad).cvr;
  } catch (thrown) {
    if (thrown instanceof data.EmvDataError) return 'malformed';
    throw thrown;
  }
}

function cvmResultsOf(values: CardValues): data.CvmResults | undefined {
  const bytes = values.get(data.TAG_9F34_CVM_RESULTS);
  return bytes?.length === 3 ? data.decodeCvmResults(bytes) : undefined;
}

function hexOf(values: CardValues, tag: string): string | undefined {
  const value = values.get(tag);
  return value && toHex(value);
}

/** Whether a value that is there reads otherwise; absent ones are `dataMissing`, not this. */
function differs(value: Uint8Array | undefined, wanted: string): boolean {
  return value !== undefined && toHex(value) !== wanted;
}
