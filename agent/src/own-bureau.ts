/**
 * A bureau of one's own: a card from a card model, whose issuer and CA are made for this card and
 * forgotten. It can be read, explained and run against any kernel that is given its CA keys; no
 * issuer knows it, so that it cannot pay. Cards that pay come from the lab's issuer.
 */
import { type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import { type CipherProvider, sm2KeyPair } from '@tapnpay/protocol/crypto';
import { type CardModel, type IccImage, parseCardModel } from '@tapnpay/protocol/emv/data';
import {
  type CardKeys,
  issueIssuerCertificate,
  issueSmIssuerCertificate,
  makeCaKeyEntry,
  personalisedImage,
  prepareCard,
  type UdkSet,
} from '@tapnpay/protocol/emv/issuer';
import { generateRsaKey } from '@tapnpay/protocol/node';

/** Sizes in bits; each key fits into the certificate of the one above. @see EMV 4.3 B2 §D1 */
const CA_KEY_BITS = 1408;
const ISSUER_KEY_BITS = 1152;
const CARD_KEY_BITS = 1024;
/** Own CAs under UnionPay's RID, beside the lab's F0: never live. */
const RID_UNIONPAY = 'A000000333';
const CA_INDEX_RSA = 'F1';
const CA_INDEX_SM2 = 'F2';
const CA_EXPIRY_YYMMDD = '491231';
const CERTIFICATE_EXPIRY_MMYY = '1249';
const ISSUER_IDENTIFIER_DIGITS = 6;
const SERIAL_BYTES = 3;
const CARD_KEY_BYTES = 16;

/** A CA key of the card in the form of a CA key file; hex in upper case. */
export type OwnCaKey = Readonly<Record<string, string>> & {
  readonly algorithm: 'RSA' | 'SM2';
  readonly rid: string;
  readonly index: string;
};

/** A card and what a terminal needs to check it. */
export type OwnCard = {
  readonly model: CardModel;
  readonly image: IccImage;
  readonly caKeys: readonly OwnCaKey[];
};

/**
 * Makes a card of the JSON text of a card model. It takes some 0.3 s, for its RSA keys.
 * @throws EmvDataError `ERR_CARD_MODEL`; EmvIssuerError `ERR_EMV_PERSONALISATION` for records that
 * do not fit.
 */
export function personaliseCard(
  ports: { readonly ciphers: CipherProvider; readonly random: RandomSource },
  modelText: string,
): OwnCard {
  const { ciphers, random } = ports;
  const model = parseCardModel(modelText);
  const algorithms = model.applications.flatMap((application) => application.algorithms);
  const hasPinKey = model.applications.some((application) => application.hasPinKey);
  const rsa = algorithms.includes('RSA') ? rsaKeys(ports, model, hasPinKey) : undefined;
  const sm = algorithms.includes('SM2') ? smKeys(ports, model) : undefined;
  const prepared = prepareCard(ciphers, {
    model,
    keys: { ...rsa?.keys, ...sm?.keys },
    certificateSerialNumber: random.bytes(SERIAL_BYTES),
    random,
  });
  const caKeys = [rsa?.caKey, sm?.caKey].filter((key) => key !== undefined);
  return { model, image: personalisedImage(prepared), caKeys };
}

type Chain = { readonly keys: CardKeys; readonly caKey: OwnCaKey };
type Ports = { readonly ciphers: CipherProvider; readonly random: RandomSource };

function rsaKeys({ ciphers, random }: Ports, model: CardModel, hasPinKey: boolean): Chain {
  const ca = generateRsaKey(CA_KEY_BITS);
  const issuerKey = generateRsaKey(ISSUER_KEY_BITS);
  const issuerCertificate = issueIssuerCertificate(ciphers, {
    caKey: ca,
    issuerKey,
    ...issuerFacts(random, model),
  });
  const facts = { rid: RID_UNIONPAY, index: CA_INDEX_RSA, expiryYymmdd: CA_EXPIRY_YYMMDD };
  return {
    keys: {
      tdes: cardKeys(random),
      rsa: {
        caIndex: CA_INDEX_RSA,
        issuerKey,
        issuerCertificate,
        iccKey: generateRsaKey(CARD_KEY_BITS),
        ...(hasPinKey ? { pinKey: generateRsaKey(CARD_KEY_BITS) } : {}),
      },
    },
    caKey: { algorithm: 'RSA', ...makeCaKeyEntry(ciphers, { ...ca, ...facts }) },
  };
}

function smKeys({ ciphers, random }: Ports, model: CardModel): Chain {
  const ca = sm2KeyPair(random);
  const issuer = sm2KeyPair(random);
  const card = sm2KeyPair(random);
  const issuerCertificate = issueSmIssuerCertificate(ciphers, {
    caPrivateKey: ca.privateKey,
    publicKey: issuer.publicKey,
    ...issuerFacts(random, model),
    random,
  });
  return {
    keys: {
      sm4: cardKeys(random),
      sm2: {
        caIndex: CA_INDEX_SM2,
        issuerPrivateKey: issuer.privateKey,
        issuerCertificate,
        iccPrivateKey: card.privateKey,
      },
    },
    caKey: {
      algorithm: 'SM2',
      rid: RID_UNIONPAY,
      index: CA_INDEX_SM2,
      publicKey: toHex(ca.publicKey),
      expiryYymmdd: CA_EXPIRY_YYMMDD,
    },
  };
}

function issuerFacts(
  random: RandomSource,
  model: CardModel,
): {
  readonly issuerIdentifier: string;
  readonly expiryMmyy: string;
  readonly serialNumber: Uint8Array;
} {
  return {
    issuerIdentifier: model.pan.slice(0, ISSUER_IDENTIFIER_DIGITS),
    expiryMmyy: CERTIFICATE_EXPIRY_MMYY,
    serialNumber: random.bytes(SERIAL_BYTES),
  };
}

function cardKeys(random: RandomSource): UdkSet {
  const key = (): Uint8Array => random.bytes(CARD_KEY_BYTES);
  return { udkAc: key(), udkMac: key(), udkEnc: key() };
}
