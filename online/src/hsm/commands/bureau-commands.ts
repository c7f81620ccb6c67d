/**
 * Card personalisation. The answer holds the keys of one card, as a chip does; it goes to the
 * bureau alone. @see EMV 4.3 B2 §5 and §6
 */
import { deriveIccMasterKey } from '@tapnpay/protocol/crypto';
import {
  AID_PBOC_DEBIT,
  buildIccImage,
  type IccImageRequest,
  issueIssuerCertificate,
  makeCaKeyEntry,
} from '@tapnpay/protocol/emv/issuer';
import {
  type CardInterfaces,
  hexShape,
  KeyUsage,
  oneOfShape,
  textShape,
} from '@tapnpay/protocol/wire';
import { pinVerificationValue } from './pin-commands.ts';
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

/** What each kind of card says in a reader's field. */
const CONTACTLESS_SIDE: Readonly<
  Record<CardInterfaces, Pick<IccImageRequest, 'contactless' | 'contactlessRefusal'>>
> = {
  dual: {},
  contactOnly: { contactless: null },
  asksForInsertion: { contactlessRefusal: '6984' },
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
  },
  keys: ({ imkAc, imkMac, imkEnc, pvk }) => ({
    imkAc: [imkAc, KeyUsage.issuerMasterAc],
    imkMac: [imkMac, KeyUsage.issuerMasterMac],
    imkEnc: [imkEnc, KeyUsage.issuerMasterEnc],
    pvk: [pvk, KeyUsage.pinVerification],
  }),
  run: ({ context: { ciphers, random, rsa }, request, keys }) => {
    const { pvki, pin } = request;
    const { pan, panSequenceNumber } = request.card;
    const { ca, issuer } = rsa.authority();
    const image = buildIccImage(ciphers, {
      ...holderData(request),
      ...CONTACTLESS_SIDE[request.interfaces ?? 'dual'],
      keys: {
        udkAc: deriveIccMasterKey(keys.imkAc, pan, panSequenceNumber),
        udkMac: deriveIccMasterKey(keys.imkMac, pan, panSequenceNumber),
        udkEnc: deriveIccMasterKey(keys.imkEnc, pan, panSequenceNumber),
      },
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
      certificateSerialNumber: random.bytes(CERTIFICATE_SERIAL_BYTES),
    });
    const caPublicKey = makeCaKeyEntry(ciphers, {
      ...ca,
      rid: AID_PBOC_DEBIT.slice(0, RID_LENGTH),
      index: CA_KEY_INDEX,
      expiryYymmdd: CA_KEY_EXPIRY_YYMMDD,
    });
    const pvv = pinVerificationValue(keys.pvk, { pan, pvki, pin });
    return { image: JSON.stringify(image), pvv, caPublicKey };
  },
});

function holderData(request: Personalisation): {
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly expiryYymm: string;
  readonly effectiveYymm: string;
  readonly cardholderName: string;
  readonly label: string;
  readonly aid: string;
} {
  const { card, expiryYymm, label } = request;
  return {
    ...card,
    expiryYymm,
    effectiveYymm: request.effectiveYymm ?? effectiveBefore(expiryYymm),
    cardholderName: request.cardholderName ?? CARDHOLDER_NAME,
    label,
    aid: request.aid ?? AID_PBOC_DEBIT,
  };
}

function effectiveBefore(expiryYymm: string): string {
  const year = Math.max(0, Number(expiryYymm.slice(0, 2)) - EFFECTIVE_YEARS);
  return `${String(year).padStart(2, '0')}${expiryYymm.slice(2)}`;
}
