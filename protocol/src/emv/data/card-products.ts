/**
 * What each product of PBOC says when a card model says nothing else: names, lists, limits.
 * CDOL1 asks for 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37 9F21 9F4E, CDOL2 for 8A before the first eight.
 * @see PBOC3 P5; PBOC3 P12; PBOC3 P13
 */

/** Products of the lab. */
export const CARD_PRODUCTS = ['debit', 'credit', 'quasiCredit', 'electronicCash'] as const;
export type CardProduct = (typeof CARD_PRODUCTS)[number];

/** AIDs of PBOC. @see PBOC3 P5 */
export const AID_PBOC_DEBIT = 'A000000333010101';
export const AID_PBOC_CREDIT = 'A000000333010102';
export const AID_PBOC_QUASI_CREDIT = 'A000000333010103';
export const AID_PBOC_ELECTRONIC_CASH = 'A000000333010106';

/** Online PIN if supported, else signature if supported, else none. */
export const CVM_LIST_ONLINE_PIN = '000000000000000042035E031F03';
/** Offline PIN enciphered, then plaintext, then as `CVM_LIST_ONLINE_PIN`. */
export const CVM_LIST_OFFLINE_PIN = '00000000000000004403410342035E031F03';
/** Signature if supported, then online PIN, else none. */
export const CVM_LIST_SIGNATURE = '00000000000000005E0342031F03';
/** None is asked for. */
export const CVM_LIST_NONE = '00000000000000001F00';

/** What differs between products. */
export type CardProductDefaults = {
  readonly aid: string;
  readonly label: string;
  readonly cvmList: string;
  readonly hasElectronicCash: boolean;
};

export const CARD_PRODUCT_DEFAULTS: Readonly<Record<CardProduct, CardProductDefaults>> = {
  debit: {
    aid: AID_PBOC_DEBIT,
    label: 'PBOC DEBIT',
    cvmList: CVM_LIST_ONLINE_PIN,
    hasElectronicCash: false,
  },
  credit: {
    aid: AID_PBOC_CREDIT,
    label: 'PBOC CREDIT',
    cvmList: CVM_LIST_SIGNATURE,
    hasElectronicCash: false,
  },
  quasiCredit: {
    aid: AID_PBOC_QUASI_CREDIT,
    label: 'PBOC QUASI',
    cvmList: CVM_LIST_ONLINE_PIN,
    hasElectronicCash: false,
  },
  electronicCash: {
    aid: AID_PBOC_ELECTRONIC_CASH,
    label: 'PBOC ECASH',
    cvmList: CVM_LIST_NONE,
    hasElectronicCash: true,
  },
};

/** What all products say alike. */
export const CARD_DEFAULTS = {
  serviceCode: '220',
  issuerCountryCode: '0156',
  currencyCode: '0156',
  applicationUsageControl: 'FFC0',
  applicationVersion: '0030',
  actionCodes: { default: 'D84000A800', denial: '0010000000', online: 'D84004F800' },
  cdol1: '9F02069F03069F1A0295055F2A029A039C019F37049F21039F4E14',
  cdol2: '8A029F02069F03069F1A0295055F2A029A039C019F3704',
  ddol: '9F3704',
  logFormat: '9A039F21039F02069F03069F1A025F2A029F4E149C019F3602',
  /** After P1 P2 of the PUT DATA and the balances before and after it, 6 bytes each. */
  loadLogFormat: '9A039F21039F1A029F4E149F3602',
  pinTryLimit: 3,
  /** A failed fDDA and an expired card go online, where the issuer decides. */
  cardTransactionQualifiers: '2800',
  riskPolicy: {
    applicationDefaultAction: 'E308',
    issuerAuthenticationIndicator: '80',
    lowerConsecutiveOfflineLimit: 3,
    upperConsecutiveOfflineLimit: 5,
    cumulativeAmountLimitMinor: '100000',
    cumulativeAmountUpperLimitMinor: '200000',
  },
  electronicCash: {
    balanceMinor: '10000',
    balanceLimitMinor: '100000',
    singleTransactionLimitMinor: '100000',
    resetThresholdMinor: '1000',
  },
  /** 9F74, six characters. */
  authorisationCode: 'ECASH1',
} as const;

const PDOL_TERMINAL = '9F1A025F2A02';
const PDOL_ELECTRONIC_CASH = '9F7A019F02065F2A02';
const PDOL_CONTACTLESS = '9F66049F02069F03069F1A0295055F2A029A039C019F3704';
const PDOL_EC_INDICATOR = '9F7A01';
const PDOL_SM_INDICATOR = 'DF6901';

/**
 * The PDOL that a card asks with: country and currency; with e-cash 9F7A, amount and currency; in a
 * reader's field 9F66 and what the cryptogram covers; DF69 where SM is offered.
 */
export function defaultPdol(card: {
  readonly interface: 'contact' | 'contactless';
  readonly hasElectronicCash: boolean;
  readonly hasSm: boolean;
}): string {
  const { hasElectronicCash } = card;
  const sm = card.hasSm ? PDOL_SM_INDICATOR : '';
  if (card.interface === 'contact') {
    return `${hasElectronicCash ? PDOL_ELECTRONIC_CASH : PDOL_TERMINAL}${sm}`;
  }
  return `${PDOL_CONTACTLESS}${hasElectronicCash ? PDOL_EC_INDICATOR : ''}${sm}`;
}
