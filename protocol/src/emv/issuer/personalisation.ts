/** A whole card of one application from its holder's data and keys: the bureau's entry. */
import type { RandomSource } from '../../bytes/index.ts';
import {
  AID_PBOC_DEBIT,
  type ApplicationModel,
  CARD_DEFAULTS,
  type CardDataAuthentication,
  type CardModel,
  type CardProduct,
  type CardRiskPolicy,
  type CardTrouble,
  EmvDataError,
  type IccImage,
  readApplicationModel,
} from '../data/index.ts';
import type { SmChain, UdkSet } from './card-keys.ts';
import type { CertifiedKey, RsaPrivateKey } from './certificates.ts';
import { type CardPreparation, type PreparationCiphers, prepareCard } from './data-preparation.ts';
import { EmvIssuerError } from './errors.ts';
import { personalisedImage } from './store-data-scripts.ts';

/** What the bureau is given for one card. */
export type IccImageRequest = {
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly effectiveYymm: string;
  readonly expiryYymm: string;
  readonly cardholderName: string;
  /** Application label, at most 16 characters; that of the product when absent. */
  readonly label?: string;
  readonly keys: UdkSet;
  readonly derivationKeyIndex?: number;
  readonly caIndex: string;
  readonly issuerKey: RsaPrivateKey;
  readonly issuerCertificate: CertifiedKey;
  readonly iccKey: RsaPrivateKey;
  /** A separate key for offline PIN encipherment; the card's key serves when absent. */
  readonly pinKey?: RsaPrivateKey;
  readonly certificateSerialNumber: Uint8Array;
  readonly dataAuthenticationCode?: Uint8Array;
  readonly policy?: Partial<CardRiskPolicy>;
  /** PBOC debit when absent. */
  readonly product?: CardProduct;
  /** Application identifier, 5 to 16 bytes in hex; that of the product when absent. */
  readonly aid?: string;
  /** Offline PIN, 4 to 12 digits; absent: the card checks none itself. */
  readonly pin?: string;
  /** SDA and DDA when absent. */
  readonly dataAuthentication?: readonly CardDataAuthentication[];
  /** As a card model writes it: `{}` for e-cash with its defaults. */
  readonly electronicCash?: Readonly<Record<string, unknown>> | null;
  /** SM4 card keys and the SM2 chain of a card that does SM beside or instead of RSA. */
  readonly sm?: { readonly keys: UdkSet; readonly chain: SmChain; readonly isOnly?: boolean };
  /** SM2 signatures take random numbers. */
  readonly random?: RandomSource;
  /**
   * The contactless side: what is special about it, or null for a contact-only card. Absent: a
   * dual-interface card.
   */
  readonly contactless?: {
    readonly pdol?: string;
    readonly aip?: string;
    readonly ctq?: string;
  } | null;
  /** Lab behaviour: a contactless card that asks for insertion. */
  readonly contactlessRefusal?: '6984' | null;
  readonly troubles?: readonly CardTrouble[];
  /** Other lists and codes than those of the product, for trials. */
  readonly profile?: Partial<
    Pick<ApplicationModel, 'cvmList' | 'cdol1' | 'cdol2' | 'pdol' | 'ddol'> & {
      readonly aip: string;
      readonly iac: ApplicationModel['actionCodes'];
    }
  >;
};

/**
 * The image of a new card, certificates and signatures included: model, groupings, STORE DATA.
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION` for card data out of format, `ERR_EMV_KEY` for
 * keys that break the rules of EMV 4.3 B2 §D1.
 */
export function buildIccImage(ciphers: PreparationCiphers, request: IccImageRequest): IccImage {
  return personalisedImage(prepareCard(ciphers, preparationOf(request)));
}

/**
 * What `buildIccImage` prepares, for whoever sends the commands to a card.
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION`.
 */
export function preparationOf(request: IccImageRequest): CardPreparation {
  assertHolderData(request);
  const { sm, random, profile = {}, contactless } = request;
  return {
    model: modelOf(request),
    keys: {
      ...(sm?.isOnly === true ? {} : { tdes: request.keys, rsa: rsaChain(request) }),
      ...(sm === undefined ? {} : { sm4: sm.keys, sm2: sm.chain }),
    },
    certificateSerialNumber: request.certificateSerialNumber,
    ...(request.dataAuthenticationCode === undefined
      ? {}
      : { dataAuthenticationCode: request.dataAuthenticationCode }),
    derivationKeyIndex: request.derivationKeyIndex ?? 1,
    ...(random === undefined ? {} : { random }),
    aips: {
      ...(profile.aip === undefined ? {} : { contact: profile.aip }),
      ...(contactless?.aip === undefined ? {} : { contactless: contactless.aip }),
    },
  };
}

function rsaChain(request: IccImageRequest): NonNullable<CardPreparation['keys']['rsa']> {
  const { caIndex, issuerKey, issuerCertificate, iccKey, pinKey } = request;
  const chain = { caIndex, issuerKey, issuerCertificate, iccKey };
  return pinKey === undefined ? chain : { ...chain, pinKey };
}

function modelOf(request: IccImageRequest): CardModel {
  const { pan, panSequenceNumber, effectiveYymm, expiryYymm, cardholderName } = request;
  const { serviceCode, issuerCountryCode, currencyCode } = CARD_DEFAULTS;
  const refusal: readonly CardTrouble[] =
    request.contactlessRefusal === '6984' ? ['contactless-refusal'] : [];
  return {
    cardholderName,
    pan,
    panSequenceNumber,
    effectiveYymm,
    expiryYymm,
    serviceCode,
    issuerCountryCode,
    currencyCode,
    applications: [applicationOf(request, currencyCode)],
    troubles: [...refusal, ...(request.troubles ?? [])],
  };
}

/** The application's part of a card model, as a person would write it. */
function applicationOf(request: IccImageRequest, currencyCode: string): ApplicationModel {
  const { contactless, profile = {}, sm } = request;
  const { iac, aip: _aip, ...lists } = profile;
  const written = {
    product: request.product ?? 'debit',
    aid: request.aid,
    label: request.label,
    interfaces: contactless === null ? ['contact'] : ['contact', 'contactless'],
    algorithms: algorithmsOf(sm),
    dataAuthentication: request.dataAuthentication,
    hasPinKey: request.pinKey !== undefined,
    pin: request.pin === undefined ? undefined : { value: request.pin },
    electronicCash: request.electronicCash,
    riskPolicy: request.policy,
    actionCodes: iac,
    ...lists,
    contactlessPdol: contactless?.pdol,
    cardTransactionQualifiers: contactless?.ctq,
  };
  try {
    return readApplicationModel(written, 'application', currencyCode);
  } catch (thrown) {
    if (!(thrown instanceof EmvDataError)) throw thrown;
    const data = { field: String(thrown.data['path']) };
    throw new EmvIssuerError('ERR_EMV_PERSONALISATION', thrown.message, data, thrown);
  }
}

function algorithmsOf(sm: IccImageRequest['sm']): readonly string[] {
  if (sm === undefined) return ['RSA'];
  return sm.isOnly === true ? ['SM2'] : ['RSA', 'SM2'];
}

function assertHolderData(request: IccImageRequest): void {
  const rules: readonly [what: string, isSound: boolean][] = [
    ['PAN', /^[0-9]{12,19}$/.test(request.pan)],
    ['PAN sequence number', /^[0-9]{2}$/.test(request.panSequenceNumber)],
    ['expiry', isYymm(request.expiryYymm)],
    ['effective month', isYymm(request.effectiveYymm)],
    ['cardholder name', /^[\x20-\x7e]{2,26}$/.test(request.cardholderName)],
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
