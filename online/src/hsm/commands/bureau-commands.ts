/**
 * Card personalisation. The answer holds the keys of one card, as a chip does; it goes to the
 * bureau alone. @see EMV 4.3 B2 §5 and §6
 */
import { deriveIccMasterKey, pinVerificationValue } from '@tapnpay/protocol/crypto';
import {
  AID_PBOC_DEBIT,
  type CardModel,
  EmvDataError,
  readCardModel,
} from '@tapnpay/protocol/emv/data';
import {
  issueIssuerCertificate,
  makeCaKeyEntry,
  personalisedImage,
  prepareCard,
} from '@tapnpay/protocol/emv/issuer';
import {
  type CardInterfaces,
  hexShape,
  KeyUsage,
  oneOfShape,
  textShape,
} from '@tapnpay/protocol/wire';
import { HsmError } from '../errors.ts';
import {
  type Command,
  cardShape,
  command,
  keyBlockShape,
  optionalShape,
  pvkiShape,
  type RequestOf,
} from './rule.ts';

/** The sandbox CA under UnionPay's RID: indexes F0 and up are ours and never live. */
const CA_KEY_INDEX = 'F0';
const RID_LENGTH = 10;
const CA_KEY_EXPIRY_YYMMDD = '491231';
const ISSUER_CERTIFICATE_EXPIRY_MMYY = '1249';
const ISSUER_CERTIFICATE_SERIAL: Uint8Array = Uint8Array.of(0, 0, 1);
const CERTIFICATE_SERIAL_BYTES = 3;
/** Leftmost PAN digits in the issuer's certificate. */
const ISSUER_IDENTIFIER_DIGITS = 6;
/** How long before its expiry a card is effective when the bureau does not say. */
const EFFECTIVE_YEARS = 10;
/** Length of an application identifier. @see ISO 7816-4 */
const AID_BYTES_MIN = 5;
const AID_BYTES_MAX = 16;
const CARDHOLDER_NAME = 'LAB/CARDHOLDER';

/** Longest JSON text of a card model's part. */
const MODEL_CHARACTERS_MAX = 16_384;

/** What each kind of card says in a reader's field, as a card model writes it. */
const SIDES: Readonly<
  Record<CardInterfaces, { readonly interfaces: readonly string[]; readonly troubles: string[] }>
> = {
  dual: { interfaces: ['contact', 'contactless'], troubles: [] },
  contactOnly: { interfaces: ['contact'], troubles: [] },
  asksForInsertion: { interfaces: ['contact', 'contactless'], troubles: ['contactless-refusal'] },
};

const yymm = textShape(4, /^[0-9]{2}(?:0[1-9]|1[0-2])$/);

type Personalisation = RequestOf<'personaliseCard'>;

/** A new card: its image for the chip, its PVV for the issuer, the CA's key for terminals. */
export const personaliseCardCommand: Command<'personaliseCard'> = command<
  'personaliseCard',
  'imkAc' | 'imkMac' | 'imkEnc' | 'pvk'
>('personaliseCard', {
  callers: ['bureau'],
  fields: {
    imkAc: keyBlockShape,
    imkMac: keyBlockShape,
    imkEnc: keyBlockShape,
    pvk: keyBlockShape,
    pvki: pvkiShape,
    card: cardShape,
    expiryYymm: yymm,
    effectiveYymm: optionalShape(yymm),
    pin: textShape(12, /^[0-9]{4,12}$/),
    label: textShape(16, /^[ -~]+$/),
    cardholderName: optionalShape(textShape(26, /^[ -~]{2,}$/)),
    aid: optionalShape(hexShape({ min: AID_BYTES_MIN, max: AID_BYTES_MAX })),
    interfaces: optionalShape(oneOfShape('dual', 'contactOnly', 'asksForInsertion')),
    model: optionalShape(textShape(MODEL_CHARACTERS_MAX)),
  },
  mechanisms: () => ['cardPersonalisation', 'pvv'],
  keys: ({ imkAc, imkMac, imkEnc, pvk }) => ({
    imkAc: { block: imkAc, usages: [KeyUsage.issuerMasterAc], algorithm: 'T' },
    imkMac: { block: imkMac, usages: [KeyUsage.issuerMasterMac], algorithm: 'T' },
    imkEnc: { block: imkEnc, usages: [KeyUsage.issuerMasterEnc], algorithm: 'T' },
    pvk: { block: pvk, usages: [KeyUsage.pinVerification] },
  }),
  run: ({ context: { ciphers, random, rsa }, request, keys }) => {
    const { pvki, pin } = request;
    const { pan, panSequenceNumber } = request.card;
    const { ca, issuer } = rsa.authority();
    const model = cardModel(request);
    const prepared = prepareCard(ciphers, {
      model,
      keys: {
        tdes: {
          udkAc: deriveIccMasterKey(keys.imkAc, pan, panSequenceNumber),
          udkMac: deriveIccMasterKey(keys.imkMac, pan, panSequenceNumber),
          udkEnc: deriveIccMasterKey(keys.imkEnc, pan, panSequenceNumber),
        },
        rsa: {
          caIndex: CA_KEY_INDEX,
          issuerKey: issuer,
          issuerCertificate: issueIssuerCertificate(ciphers, {
            caKey: ca,
            issuerKey: issuer,
            issuerIdentifier: pan.slice(0, ISSUER_IDENTIFIER_DIGITS),
            expiryMmyy: ISSUER_CERTIFICATE_EXPIRY_MMYY,
            serialNumber: ISSUER_CERTIFICATE_SERIAL,
          }),
          iccKey: rsa.cardKey(),
          ...(model.applications.some(({ hasPinKey }) => hasPinKey)
            ? { pinKey: rsa.cardKey() }
            : {}),
        },
      },
      certificateSerialNumber: random.bytes(CERTIFICATE_SERIAL_BYTES),
    });
    const caPublicKey = makeCaKeyEntry(ciphers, {
      ...ca,
      rid: AID_PBOC_DEBIT.slice(0, RID_LENGTH),
      index: CA_KEY_INDEX,
      expiryYymmdd: CA_KEY_EXPIRY_YYMMDD,
    });
    const pvv = pinVerificationValue(keys.pvk, { pan, pvki, pin });
    return { image: JSON.stringify(personalisedImage(prepared)), pvv, caPublicKey };
  },
});

/** The card model of a request. @throws HsmError `ERR_HSM_PARAMETER` with the model's own words. */
function cardModel(request: Personalisation): CardModel {
  const { card, expiryYymm, label, pin } = request;
  const { interfaces, troubles } = SIDES[request.interfaces ?? 'dual'];
  const aid = request.aid ?? AID_PBOC_DEBIT;
  const plain = {
    applications: [{ product: 'debit', aid, label, interfaces, pin: { value: pin } }],
    troubles,
  };
  try {
    return readCardModel({
      ...(request.model === undefined ? plain : JSON.parse(request.model)),
      ...card,
      holder: { name: request.cardholderName ?? CARDHOLDER_NAME },
      validity: { from: request.effectiveYymm ?? effectiveBefore(expiryYymm), to: expiryYymm },
    });
  } catch (thrown) {
    // A syntax error's own words could quote the text, which may hold a PIN.
    if (thrown instanceof SyntaxError) {
      throw new HsmError('ERR_HSM_PARAMETER', 'the card model is not JSON');
    }
    if (!(thrown instanceof EmvDataError)) throw thrown;
    throw new HsmError('ERR_HSM_PARAMETER', thrown.message);
  }
}

function effectiveBefore(expiryYymm: string): string {
  const year = Math.max(0, Number(expiryYymm.slice(0, 2)) - EFFECTIVE_YEARS);
  return `${String(year).padStart(2, '0')}${expiryYymm.slice(2)}`;
}
