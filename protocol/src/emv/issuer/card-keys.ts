/** Keys of a card: what a bureau brings, the certificates over it, the groupings it goes into. */
import { concatBytes, fromHex, type RandomSource } from '../../bytes/index.ts';
import {
  type CipherProvider,
  kcvTdes,
  SM2_PRIVATE_KEY_BYTES,
  sm2PublicKey,
} from '../../crypto/index.ts';
import * as data from '../data/index.ts';
import type { CardContents, DataObject } from './card-contents.ts';
import {
  type CertifiedKey,
  issueIccCertificate,
  type RsaPrivateKey,
  signStaticData,
} from './certificates.ts';
import { issueSmIccCertificate, signSmStaticData } from './certificates-sm.ts';
import { EmvIssuerError } from './errors.ts';

/** The three keys of a card under one cipher, 16 bytes each. */
export type UdkSet = {
  readonly udkAc: Uint8Array;
  readonly udkMac: Uint8Array;
  readonly udkEnc: Uint8Array;
};

/** RSA: the issuer with its certificate, the card's key and, if it has one, its PIN key. */
export type RsaChain = {
  readonly caIndex: string;
  readonly issuerKey: RsaPrivateKey;
  readonly issuerCertificate: CertifiedKey;
  readonly iccKey: RsaPrivateKey;
  readonly pinKey?: RsaPrivateKey;
};

/** SM2: the issuer's private key and certificate (tag 90), the card's private key. */
export type SmChain = {
  readonly caIndex: string;
  readonly issuerPrivateKey: Uint8Array;
  readonly issuerCertificate: Uint8Array;
  readonly iccPrivateKey: Uint8Array;
};

/** All keys of a card; its applications share them, as lab cards of one PAN do. */
export type CardKeys = {
  readonly tdes?: UdkSet;
  readonly sm4?: UdkSet;
  readonly rsa?: RsaChain;
  readonly sm2?: SmChain;
};

/** What certificates and signatures take beside keys. */
export type CertificateFacts = {
  readonly pan: string;
  readonly expiryYymm: string;
  /** Three bytes. */
  readonly certificateSerialNumber: Uint8Array;
  /** Two bytes. */
  readonly dataAuthenticationCode: Uint8Array;
  /** SM2 signatures take random numbers. */
  readonly random: RandomSource | undefined;
};

/** Longest key whose signature the GPO answer carries; a longer one stands in the last record. */
export const SIGNATURE_IN_ANSWER_BYTES_MAX = 128;
const CARD_KEY_BYTES = 16;
const DES_BLOCK_BYTES = 8;
const KCV_BYTES = 3;

/** What of a chain a side shows. */
export type ChainUse = {
  readonly staticData: Uint8Array;
  readonly hasStaticSignature: boolean;
  readonly hasIccKey: boolean;
};

/** Certificates of an RSA side. @see EMV 4.3 B2 §5, §6, §7 */
export function rsaContents(
  ciphers: Pick<CipherProvider, 'sha1'>,
  chain: RsaChain,
  facts: CertificateFacts,
  use: ChainUse,
): CardContents {
  const { issuerKey, issuerCertificate, iccKey, pinKey } = chain;
  const request = {
    issuerKey,
    pan: facts.pan,
    expiryMmyy: mmyyOf(facts.expiryYymm),
    serialNumber: facts.certificateSerialNumber,
  };
  const { staticData } = use;
  const icc = issueIccCertificate(ciphers, { ...request, iccKey, staticData });
  const signed = signStaticData(ciphers, {
    issuerKey,
    dataAuthenticationCode: facts.dataAuthenticationCode,
    staticData,
  });
  return {
    issuerKey: [
      { tag: data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC, value: fromHex(chain.caIndex) },
      { tag: data.TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT, value: issuerCertificate.exponent },
      ...unlessEmpty(data.TAG_92_ISSUER_PUBLIC_KEY_REMAINDER, issuerCertificate.remainder),
    ],
    issuerCertificate: [
      { tag: data.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, value: issuerCertificate.certificate },
    ],
    iccCertificate: use.hasIccKey
      ? [
          { tag: data.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, value: icc.certificate },
          { tag: data.TAG_9F47_ICC_PUBLIC_KEY_EXPONENT, value: icc.exponent },
          ...unlessEmpty(data.TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, icc.remainder),
        ]
      : [],
    // The certificate of a PIN key covers no static data. @see EMV 4.3 B2 §7.1 table 19
    pinCertificate:
      pinKey === undefined
        ? []
        : pinObjects(
            issueIccCertificate(ciphers, {
              ...request,
              iccKey: pinKey,
              staticData: new Uint8Array(0),
            }),
          ),
    signedStaticData: use.hasStaticSignature
      ? [{ tag: data.TAG_93_SIGNED_STATIC_APPLICATION_DATA, value: signed }]
      : [],
    dynamic: dynamicObjects(iccKey.modulus.length),
  };
}

function pinObjects(certified: CertifiedKey): readonly DataObject[] {
  return [
    { tag: data.TAG_9F2D_ICC_PIN_ENCIPHERMENT_CERTIFICATE, value: certified.certificate },
    { tag: data.TAG_9F2E_ICC_PIN_ENCIPHERMENT_EXPONENT, value: certified.exponent },
    ...unlessEmpty(data.TAG_9F2F_ICC_PIN_ENCIPHERMENT_REMAINDER, certified.remainder),
  ];
}

/** Places in the last contactless record that the card fills in with each tap. */
function dynamicObjects(signatureBytes: number): readonly DataObject[] {
  const isInAnswer = signatureBytes <= SIGNATURE_IN_ANSWER_BYTES_MAX;
  return [
    ...(isInAnswer
      ? []
      : [
          {
            tag: data.TAG_9F4B_SIGNED_DYNAMIC_APPLICATION_DATA,
            value: new Uint8Array(signatureBytes),
          },
        ]),
    {
      tag: data.TAG_9F69_PBOC_CARD_AUTHENTICATION_RELATED_DATA,
      value: new Uint8Array(data.CARD_AUTHENTICATION_RELATED_DATA_BYTES),
    },
  ];
}

/**
 * Certificates of an SM2 side; there are no exponents and no remainders. @see PBOC3 P17
 * @throws EmvIssuerError `ERR_EMV_KEY` without a random source.
 */
export function smContents(
  ciphers: Pick<CipherProvider, 'sm3'>,
  chain: SmChain,
  facts: CertificateFacts,
  use: ChainUse,
): CardContents {
  const { random } = facts;
  if (random === undefined) throw new EmvIssuerError('ERR_EMV_KEY', 'SM2 needs random numbers');
  const { issuerPrivateKey } = chain;
  const { staticData } = use;
  const certificate = issueSmIccCertificate(ciphers, {
    issuerPrivateKey,
    publicKey: sm2PublicKey(chain.iccPrivateKey),
    pan: facts.pan,
    expiryMmyy: mmyyOf(facts.expiryYymm),
    serialNumber: facts.certificateSerialNumber,
    staticData,
    random,
  });
  const signed = signSmStaticData(ciphers, {
    issuerPrivateKey,
    dataAuthenticationCode: facts.dataAuthenticationCode,
    staticData,
    random,
  });
  return {
    issuerKey: [{ tag: data.TAG_8F_CA_PUBLIC_KEY_INDEX_ICC, value: fromHex(chain.caIndex) }],
    issuerCertificate: [
      { tag: data.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, value: chain.issuerCertificate },
    ],
    iccCertificate: use.hasIccKey
      ? [{ tag: data.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, value: certificate }]
      : [],
    signedStaticData: use.hasStaticSignature
      ? [{ tag: data.TAG_93_SIGNED_STATIC_APPLICATION_DATA, value: signed }]
      : [],
    dynamic: dynamicObjects(0),
  };
}

/**
 * The groupings of the keys that an application uses.
 * @throws EmvIssuerError `ERR_EMV_KEY` for a key of another length.
 */
export function keyDgis(
  ciphers: Pick<CipherProvider, 'sm4EcbEncrypt'>,
  keys: CardKeys,
): readonly data.Dgi[] {
  const { tdes, sm4, rsa, sm2 } = keys;
  const zeros = new Uint8Array(CARD_KEY_BYTES);
  const sm4Kcv = (key: Uint8Array): Uint8Array =>
    ciphers.sm4EcbEncrypt(key, zeros).slice(0, KCV_BYTES);
  return [
    ...(tdes === undefined
      ? []
      : [
          { id: data.DGI_UDK_3DES, value: joined(tdes, (key) => key) },
          { id: data.DGI_UDK_3DES_KCV, value: joined(tdes, (key) => fromHex(kcvTdes(key))) },
        ]),
    ...(sm4 === undefined
      ? []
      : [
          { id: data.DGI_UDK_SM4, value: joined(sm4, (key) => key) },
          { id: data.DGI_UDK_SM4_KCV, value: joined(sm4, sm4Kcv) },
        ]),
    ...(rsa === undefined ? [] : rsaDgis(rsa)),
    ...(sm2 === undefined ? [] : [{ id: data.DGI_ICC_SM2_PRIVATE_KEY, value: smKey(sm2) }]),
  ];
}

function rsaDgis({ iccKey, pinKey }: RsaChain): readonly data.Dgi[] {
  return [
    { id: data.DGI_ICC_PRIVATE_EXPONENT, value: privateExponent(iccKey) },
    { id: data.DGI_ICC_MODULUS, value: iccKey.modulus.slice() },
    { id: data.DGI_ICC_PUBLIC_EXPONENT, value: iccKey.publicExponent.slice() },
    ...(pinKey === undefined
      ? []
      : [
          { id: data.DGI_PIN_PRIVATE_EXPONENT, value: privateExponent(pinKey) },
          { id: data.DGI_PIN_MODULUS, value: pinKey.modulus.slice() },
          { id: data.DGI_PIN_PUBLIC_EXPONENT, value: pinKey.publicExponent.slice() },
        ]),
  ];
}

/** As long as the modulus, and whole cipher blocks, for it travels enciphered without padding. */
function privateExponent(key: RsaPrivateKey): Uint8Array {
  const blocks = Math.ceil(key.modulus.length / DES_BLOCK_BYTES);
  const value = new Uint8Array(blocks * DES_BLOCK_BYTES);
  if (key.privateExponent.length > value.length) throw keyError('private exponent is too long');
  value.set(key.privateExponent, value.length - key.privateExponent.length);
  return value;
}

function smKey({ iccPrivateKey }: SmChain): Uint8Array {
  if (iccPrivateKey.length !== SM2_PRIVATE_KEY_BYTES) throw keyError('SM2 key has 32 bytes');
  return iccPrivateKey.slice();
}

function joined(keys: UdkSet, each: (key: Uint8Array) => Uint8Array): Uint8Array {
  const all = [keys.udkAc, keys.udkMac, keys.udkEnc];
  if (all.some((key) => key.length !== CARD_KEY_BYTES)) throw keyError('card keys have 16 bytes');
  return concatBytes(...all.map(each));
}

function unlessEmpty(tag: string, value: Uint8Array): readonly DataObject[] {
  return value.length === 0 ? [] : [{ tag, value }];
}

function mmyyOf(yymm: string): string {
  return `${yymm.slice(2)}${yymm.slice(0, 2)}`;
}

function keyError(why: string): EmvIssuerError {
  return new EmvIssuerError('ERR_EMV_KEY', why);
}
