/** A sandbox card for tests: its whole certificate chain made from keys that the test generates. */
import { fromHex } from '../../bytes/index.ts';
import { type CipherProvider, deriveIccMasterKey } from '../../crypto/index.ts';
import type { CaPublicKey, IccImage } from '../data/index.ts';
import {
  buildIccImage,
  type IccImageRequest,
  issueIssuerCertificate,
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
const SAMPLE_IMK_ENC = fromHex('404142434445464748494A4B4C4D4E4F');

/** The card's image and the CA key that a kernel needs to check it. */
export function sampleCard(
  ciphers: CipherProvider,
  keys: SampleKeys,
  change: Partial<IccImageRequest> = {},
): { readonly image: IccImage; readonly caKey: CaPublicKey } {
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
  const image = buildIccImage(ciphers, {
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
  });
  return { image, caKey };
}
