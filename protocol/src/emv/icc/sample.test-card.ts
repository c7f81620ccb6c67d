/** A sandbox card for tests: its whole certificate chain made from keys that the test generates. */
import { fromHex, type RandomSource } from '../../bytes/index.ts';
import {
  type CipherProvider,
  deriveIccMasterKey,
  deriveSm4IccMasterKey,
  sm2PublicKey,
} from '../../crypto/index.ts';
import type { CaPublicKey, IccImage } from '../data/index.ts';
import {
  buildIccImage,
  type IccImageRequest,
  issueIssuerCertificate,
  issueSmIssuerCertificate,
  makeCaKeyEntry,
  type RsaPrivateKey,
} from '../issuer/index.ts';

/** Keys of the three levels. */
export type SampleKeys = {
  readonly ca: RsaPrivateKey;
  readonly issuer: RsaPrivateKey;
  readonly icc: RsaPrivateKey;
};

/** Account of the sample card. */
export const SAMPLE_PAN = '6299990000000009';
export const SAMPLE_PSN = '01';
/** Issuer master keys of the tests. */
export const SAMPLE_IMK_AC: Uint8Array = fromHex('F0C34A8124CEE0A91A0B034AA97D6EAC');
export const SAMPLE_IMK_MAC: Uint8Array = fromHex('12B1AC4AF070CC35612BFE2D30AB600D');
export const SAMPLE_IMK_ENC: Uint8Array = fromHex('404142434445464748494A4B4C4D4E4F');

/** The card's image and the CA key that a kernel needs to check it. */
export function sampleCard(
  ciphers: CipherProvider,
  keys: SampleKeys,
  change: Partial<IccImageRequest> = {},
): {
  readonly image: IccImage;
  readonly caKey: CaPublicKey;
  /** What the bureau was given. */
  readonly request: IccImageRequest;
} {
  const caKey = makeCaKeyEntry(ciphers, {
    ...keys.ca,
    rid: 'A000000333',
    index: 'F0',
    expiryYymmdd: '351231',
  });
  const issuerCertificate = issueIssuerCertificate(ciphers, {
    caKey: keys.ca,
    issuerKey: keys.issuer,
    issuerIdentifier: SAMPLE_PAN.slice(0, 8),
    expiryMmyy: '1235',
    serialNumber: Uint8Array.of(0, 0, 1),
  });
  const request: IccImageRequest = {
    pan: SAMPLE_PAN,
    panSequenceNumber: SAMPLE_PSN,
    effectiveYymm: '2501',
    expiryYymm: '3112',
    cardholderName: 'ZHANG/SAN',
    keys: {
      udkAc: deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN),
      udkMac: deriveIccMasterKey(SAMPLE_IMK_MAC, SAMPLE_PAN, SAMPLE_PSN),
      udkEnc: deriveIccMasterKey(SAMPLE_IMK_ENC, SAMPLE_PAN, SAMPLE_PSN),
    },
    caIndex: 'F0',
    issuerKey: keys.issuer,
    issuerCertificate,
    iccKey: keys.icc,
    certificateSerialNumber: Uint8Array.of(0, 0, 2),
    ...change,
  };
  return { image: buildIccImage(ciphers, request), caKey, request };
}

/** SM2 keys of the three levels; fixed, for their signatures are made with the test's own numbers. */
const SM_CA_PRIVATE_KEY = fromHex('11'.repeat(32));
const SM_ISSUER_PRIVATE_KEY = fromHex('22'.repeat(32));
const SM_CARD_PRIVATE_KEY = fromHex('33'.repeat(32));
/** Point of the card's SM2 key. */
export const SM_CARD_PUBLIC_KEY: Uint8Array = sm2PublicKey(SM_CARD_PRIVATE_KEY);
/** Point of the CA's SM2 key, index 18 of RID A000000333. */
export const SM_CA_PUBLIC_KEY: Uint8Array = sm2PublicKey(SM_CA_PRIVATE_KEY);
const SM_RANDOM: RandomSource = { bytes: (length) => new Uint8Array(length).fill(0x5a) };

/** What the bureau is asked for a card that does SM, alone or beside RSA. */
export function smRequest(
  ciphers: CipherProvider,
  card: { readonly isOnly: boolean } & Partial<IccImageRequest>,
): Partial<IccImageRequest> {
  const { isOnly, ...change } = card;
  const holder = { pan: SAMPLE_PAN, panSequenceNumber: SAMPLE_PSN };
  const keyOf = (issuerMasterKey: Uint8Array): Uint8Array =>
    deriveSm4IccMasterKey(ciphers, issuerMasterKey, holder);
  const issuerCertificate = issueSmIssuerCertificate(ciphers, {
    caPrivateKey: SM_CA_PRIVATE_KEY,
    publicKey: sm2PublicKey(SM_ISSUER_PRIVATE_KEY),
    issuerIdentifier: SAMPLE_PAN.slice(0, 8),
    expiryMmyy: '1235',
    serialNumber: Uint8Array.of(0, 0, 1),
    random: SM_RANDOM,
  });
  return {
    random: SM_RANDOM,
    sm: {
      isOnly,
      keys: {
        udkAc: keyOf(SAMPLE_IMK_AC),
        udkMac: keyOf(SAMPLE_IMK_MAC),
        udkEnc: keyOf(SAMPLE_IMK_ENC),
      },
      chain: {
        caIndex: '18',
        issuerPrivateKey: SM_ISSUER_PRIVATE_KEY,
        issuerCertificate,
        iccPrivateKey: SM_CARD_PRIVATE_KEY,
      },
    },
    ...change,
  };
}
