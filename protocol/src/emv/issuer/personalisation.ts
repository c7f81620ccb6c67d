/** Data preparation: a whole card image of a PBOC debit card from its holder's data and keys. */
import { toHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import {
  CRYPTOGRAM_VERSION_17,
  ICC_IMAGE_VERSION,
  type IccContactless,
  type IccImage,
  type IccPolicy,
  type IccSignedFields,
  iccContactlessStaticData,
  iccStaticData,
} from '../data/index.ts';
import {
  type CertifiedKey,
  issueIccCertificate,
  type RsaPrivateKey,
  signStaticData,
} from './certificates.ts';
import { EmvIssuerError } from './errors.ts';

/** AID of PBOC debit. @see PBOC3 P5 */
export const AID_PBOC_DEBIT = 'A000000333010101';

/**
 * What a PBOC debit card of ours says when nothing else is asked for. Each list is a hex string:
 * CDOL1 asks for 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37 9F21 9F4E, CDOL2 for 8A before the first eight;
 * the CVM list is online PIN if supported, else signature if supported, else none.
 */
export const PBOC_DEBIT_PROFILE = {
  aip: '7C00',
  applicationUsageControl: 'FFC0',
  applicationVersion: '0030',
  serviceCode: '220',
  issuerCountryCode: '0156',
  currencyCode: '0156',
  cvmList: '000000000000000042035E031F03',
  iac: { default: 'D84000A800', denial: '0010000000', online: 'D84004F800' },
  cdol1: '9F02069F03069F1A0295055F2A029A039C019F37049F21039F4E14',
  cdol2: '8A029F02069F03069F1A0295055F2A029A039C019F3704',
  pdol: '9F1A025F2A02',
  ddol: '9F3704',
  logFormat: '9A039F21039F02069F03069F1A025F2A029F4E149C019F3602',
  pinTryLimit: 3,
  policy: {
    applicationDefaultAction: 'E308',
    issuerAuthenticationIndicator: '80',
    lowerConsecutiveOfflineLimit: 3,
    upperConsecutiveOfflineLimit: 5,
    cumulativeAmountLimitMinor: '100000',
    cumulativeAmountUpperLimitMinor: '200000',
  },
} as const;

/**
 * What a qPBOC card of ours says when nothing else is asked for. The PDOL asks for 9F66 9F02 9F03
 * 9F1A 95 5F2A 9A 9C 9F37; the CTQ sends a failed fDDA and an expired card online, where the issuer
 * decides.
 */
export const QPBOC_PROFILE: Omit<IccContactless, 'iccCertificate' | 'iccRemainder'> = {
  pdol: '9F66049F02069F03069F1A0295055F2A029A039C019F3704',
  aip: '7C00',
  ctq: '2800',
  cryptogramVersion: CRYPTOGRAM_VERSION_17,
};

/** What the bureau is given for one card. */
export type IccImageRequest = {
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly effectiveYymm: string;
  readonly expiryYymm: string;
  readonly cardholderName: string;
  /** Application label, at most 16 characters. */
  readonly label?: string;
  readonly keys: {
    readonly udkAc: Uint8Array;
    readonly udkMac: Uint8Array;
    readonly udkEnc: Uint8Array;
  };
  readonly derivationKeyIndex?: number;
  readonly caIndex: string;
  readonly issuerKey: RsaPrivateKey;
  readonly issuerCertificate: CertifiedKey;
  readonly iccKey: RsaPrivateKey;
  readonly certificateSerialNumber: Uint8Array;
  readonly dataAuthenticationCode?: Uint8Array;
  readonly policy?: Partial<IccPolicy>;
  /** Application identifier, 5 to 16 bytes in hex; PBOC debit when absent. */
  readonly aid?: string;
  /**
   * The contactless side: what is special about it, or null for a contact-only card. Absent: a
   * dual-interface card with `QPBOC_PROFILE`.
   */
  readonly contactless?: Partial<typeof QPBOC_PROFILE> | null;
  /** Lab behaviour: a contactless card that asks for insertion. */
  readonly contactlessRefusal?: '6984' | null;
  /** Other lists and codes than those of `PBOC_DEBIT_PROFILE`, for trials. */
  readonly profile?: Partial<
    Pick<IccImage, 'aip' | 'cvmList' | 'iac' | 'cdol1' | 'cdol2' | 'pdol' | 'ddol'>
  >;
};

/**
 * The image of a new card, certificates and signatures included.
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION` for card data out of format, `ERR_EMV_KEY` for
 * keys that break the rules of EMV 4.3 B2 §D1.
 */
export function buildIccImage(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: IccImageRequest,
): IccImage {
  assertHolderData(request);
  const fields = plainFields(request);
  const staticData = iccStaticData(fields);
  const { issuerKey, iccKey, issuerCertificate } = request;
  const icc = cardCertificate(ciphers, request, staticData);
  const signedStaticData = signStaticData(ciphers, {
    issuerKey,
    dataAuthenticationCode: request.dataAuthenticationCode ?? Uint8Array.of(0xda, 0xc0),
    staticData,
  });
  return {
    ...fields,
    rsa: {
      modulus: toHex(iccKey.modulus),
      privateExponent: toHex(iccKey.privateExponent),
      publicExponent: toHex(iccKey.publicExponent),
    },
    issuerCertificate: toHex(issuerCertificate.certificate),
    issuerRemainder: toHex(issuerCertificate.remainder),
    issuerExponent: toHex(issuerCertificate.exponent),
    iccCertificate: toHex(icc.certificate),
    iccRemainder: toHex(icc.remainder),
    iccExponent: toHex(icc.exponent),
    contactless: contactlessSide(ciphers, request, fields),
    signedStaticData: toHex(signedStaticData),
  };
}

/** The card's key certified over the static data of one side. */
function cardCertificate(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: IccImageRequest,
  staticData: Uint8Array,
): CertifiedKey {
  return issueIccCertificate(ciphers, {
    issuerKey: request.issuerKey,
    iccKey: request.iccKey,
    pan: request.pan,
    expiryMmyy: `${request.expiryYymm.slice(2)}${request.expiryYymm.slice(0, 2)}`,
    serialNumber: request.certificateSerialNumber,
    staticData,
  });
}

/** The contactless side: same keys and counter, a certificate over its own signed record. */
function contactlessSide(
  ciphers: Pick<CipherProvider, 'sha1'>,
  request: IccImageRequest,
  fields: IccSignedFields,
): IccContactless | null {
  if (request.contactless === null) return null;
  const profile = { ...QPBOC_PROFILE, ...request.contactless };
  const staticData = iccContactlessStaticData(fields, profile);
  const { certificate, remainder } = cardCertificate(ciphers, request, staticData);
  return { ...profile, iccCertificate: toHex(certificate), iccRemainder: toHex(remainder) };
}

type CertificateFields =
  | 'contactless'
  | 'rsa'
  | 'issuerCertificate'
  | 'issuerRemainder'
  | 'issuerExponent'
  | 'iccCertificate'
  | 'iccRemainder'
  | 'iccExponent'
  | 'signedStaticData';

/** All that needs no signature. */
function plainFields(request: IccImageRequest): Omit<IccImage, CertificateFields> {
  const { pinTryLimit, policy, ...profile } = PBOC_DEBIT_PROFILE;
  return {
    ...profile,
    ...request.profile,
    version: ICC_IMAGE_VERSION,
    pan: request.pan,
    panSequenceNumber: request.panSequenceNumber,
    expiryYymm: request.expiryYymm,
    effectiveYymm: request.effectiveYymm,
    cardholderName: request.cardholderName,
    label: request.label ?? 'PBOC DEBIT',
    aid: request.aid ?? AID_PBOC_DEBIT,
    keys: {
      udkAc: toHex(request.keys.udkAc),
      udkMac: toHex(request.keys.udkMac),
      udkEnc: toHex(request.keys.udkEnc),
    },
    derivationKeyIndex: request.derivationKeyIndex ?? 1,
    cryptogramVersion: 1,
    caIndex: request.caIndex,
    policy: { ...policy, ...request.policy },
    contactlessRefusal: request.contactlessRefusal ?? null,
    state: {
      atc: 0,
      lastOnlineAtc: 0,
      pinTryCounter: pinTryLimit,
      pinTryLimit,
      cumulativeOfflineAmountMinor: '0',
      applicationBlocked: false,
      cardBlocked: false,
      lastOnlineNotCompleted: false,
      lastIssuerAuthenticationFailed: false,
      issuerAuthenticationNotPerformed: false,
      lastSdaFailed: false,
      lastDdaFailed: false,
      lastScriptFailed: false,
      scriptCounter: 0,
      log: [],
    },
  };
}

function assertHolderData(request: IccImageRequest): void {
  const label = request.label ?? 'PBOC DEBIT';
  const rules: readonly [what: string, isSound: boolean][] = [
    ['PAN', /^[0-9]{12,19}$/.test(request.pan)],
    ['PAN sequence number', /^[0-9]{2}$/.test(request.panSequenceNumber)],
    ['expiry', isYymm(request.expiryYymm)],
    ['effective month', isYymm(request.effectiveYymm)],
    ['cardholder name', /^[\x20-\x7e]{2,26}$/.test(request.cardholderName)],
    ['label', /^[\x20-\x7e]{1,16}$/.test(label)],
    ['AID', /^([0-9A-F]{2}){5,16}$/.test(request.aid ?? AID_PBOC_DEBIT)],
    ['CA key index', /^[0-9A-F]{2}$/.test(request.caIndex)],
    ['card keys', Object.values(request.keys).every((key) => key.length === 16)],
  ];
  const broken = rules.find(([, isSound]) => !isSound);
  if (broken) {
    throw new EmvIssuerError('ERR_EMV_PERSONALISATION', `${broken[0]} is out of format`, {
      field: broken[0],
    });
  }
}

function isYymm(text: string): boolean {
  return /^[0-9]{2}(0[1-9]|1[0-2])$/.test(text);
}
