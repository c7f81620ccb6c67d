/**
 * The card model: what a person writes to have a card made. Everything but the PAN and the validity
 * has a default; what is written is checked, and a fault tells its path, what is wrong and what to
 * write instead.
 */
import { fromHex, luhnCheckDigit, TapError } from '../../bytes/index.ts';
import { decodeDol } from '../../iso7816/index.ts';
import {
  countOf,
  type FieldReader,
  fieldsOf,
  flagOf,
  hexOf,
  listOf,
  mapOf,
  modelError,
  orNull,
  type Read,
  textOf,
  wordOf,
} from './card-model-reader.ts';
import {
  CARD_DEFAULTS,
  CARD_PRODUCT_DEFAULTS,
  CARD_PRODUCTS,
  type CardProduct,
  CVM_LIST_OFFLINE_PIN,
  CVM_LIST_ONLINE_PIN,
  defaultPdol,
} from './card-products.ts';
import { CARD_TROUBLES, type CardTrouble } from './card-troubles.ts';
import { decodeCvmList } from './cvm.ts';
import { DGI_VALUE_BYTES_MAX } from './dgi.ts';

/** What the card's risk management is told by its issuer. @see PBOC3 P5 */
export type CardRiskPolicy = {
  /** Tag 9F52. */
  readonly applicationDefaultAction: string;
  /** Tag 9F56: `80` when issuer authentication is mandatory. */
  readonly issuerAuthenticationIndicator: string;
  /** Tags 9F58 and 9F59: consecutive offline transactions; 0 switches a check off. */
  readonly lowerConsecutiveOfflineLimit: number;
  readonly upperConsecutiveOfflineLimit: number;
  /** Tags 9F54 and 9F5C in minor units of the card's currency; `0` switches a check off. */
  readonly cumulativeAmountLimitMinor: string;
  readonly cumulativeAmountUpperLimitMinor: string;
};

/** One purse: amounts in minor units of its currency. @see PBOC3 P13 */
export type CardPurse = {
  /** ISO 4217, four digits with its zero. */
  readonly currencyCode: string;
  /** 9F79 or DF79. */
  readonly balanceMinor: string;
  /** 9F77 or DF77. */
  readonly balanceLimitMinor: string;
  /** 9F78 or DF78. */
  readonly singleTransactionLimitMinor: string;
  /** 9F6D or DF76. */
  readonly resetThresholdMinor: string;
};

/** Electronic cash of an application. */
export type CardElectronicCash = CardPurse & {
  /** 9F74, six characters. */
  readonly authorisationCode: string;
  readonly second: CardPurse | null;
};

/** Kinds of offline data authentication by contact; contactless is fDDA. */
export type CardDataAuthentication = 'SDA' | 'DDA' | 'CDA';
export type CardAlgorithm = 'RSA' | 'SM2';

/** One application with all its defaults filled in. */
export type ApplicationModel = {
  readonly product: CardProduct;
  readonly aid: string;
  readonly label: string;
  readonly preferredName: string;
  /** 1 is the highest, 15 the lowest, 0 none. */
  readonly priority: number;
  /** The cardholder must confirm a selection. */
  readonly needsConfirmation: boolean;
  readonly interfaces: readonly ('contact' | 'contactless')[];
  readonly algorithms: readonly CardAlgorithm[];
  readonly dataAuthentication: readonly CardDataAuthentication[];
  /** Separate key for offline PIN encipherment; the ICC key serves when false. */
  readonly hasPinKey: boolean;
  readonly pin: {
    /** Null: the card checks no PIN itself. */
    readonly value: string | null;
    readonly tryLimit: number;
  };
  readonly cvmList: string;
  readonly actionCodes: {
    readonly default: string;
    readonly denial: string;
    readonly online: string;
  };
  readonly cdol1: string;
  readonly cdol2: string;
  readonly ddol: string;
  readonly pdol: string;
  readonly contactlessPdol: string;
  readonly logFormat: string;
  readonly loadLogFormat: string;
  readonly applicationUsageControl: string;
  readonly applicationVersion: string;
  /** 9F6C as the issuer sets it. */
  readonly cardTransactionQualifiers: string;
  readonly riskPolicy: CardRiskPolicy;
  readonly electronicCash: CardElectronicCash | null;
  /** Groupings that replace what data preparation makes, by id; null takes one out. For trials. */
  readonly overrides: Readonly<Record<string, string | null>>;
};

/** A whole card. */
export type CardModel = {
  readonly cardholderName: string;
  readonly pan: string;
  readonly panSequenceNumber: string;
  readonly effectiveYymm: string;
  readonly expiryYymm: string;
  readonly serviceCode: string;
  readonly issuerCountryCode: string;
  readonly currencyCode: string;
  readonly applications: readonly ApplicationModel[];
  readonly troubles: readonly CardTrouble[];
};

/** Most applications of a card. */
export const CARD_APPLICATIONS_MAX = 8;
/** Longest text of a model. */
export const CARD_MODEL_CHARACTERS_MAX = 100_000;
const OVERRIDES_MAX = 64;

const printable = (max: number, fix: string): Read<string> =>
  textOf(new RegExp(`^[\\x20-\\x7e]{1,${max}}$`), fix);
const yymm = textOf(/^[0-9]{2}(0[1-9]|1[0-2])$/, 'write year and month as YYMM');
const numericCode = textOf(/^0[0-9]{3}$/, 'write the ISO number with its zero, as 0156');
const minor: Read<string> = textOf(
  /^(0|[1-9][0-9]{0,11})$/,
  'write minor units as digits in quotes, as "10000" for 100.00',
);

/** A data object list. */
const dol: Read<string> = (value, path) => {
  const hex = hexOf(0, 252)(value, path);
  return decodable(hex, path, (bytes) => decodeDol(bytes), 'write tags and lengths, as 9F3704');
};

const cvmList: Read<string> = (value, path) => {
  const hex = hexOf(10, 252)(value, path);
  const fix = 'write amounts X and Y (8 bytes), then method and condition of each rule';
  return decodable(hex, path, (bytes) => decodeCvmList(bytes), fix);
};

function decodable(
  hex: string,
  path: string,
  decode: (bytes: Uint8Array) => unknown,
  fix: string,
): string {
  try {
    decode(fromHex(hex));
    return hex;
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    throw modelError(path, `cannot be read (${thrown.message})`, fix);
  }
}

const pan: Read<string> = (value, path) => {
  const digits = textOf(/^[0-9]{12,19}$/, 'write 12 to 19 digits in quotes')(value, path);
  const check = luhnCheckDigit(digits.slice(0, -1));
  if (digits.endsWith(check)) return digits;
  throw modelError(path, 'has a wrong check digit', `end it with ${check}`);
};

/**
 * A card model of its JSON text, defaults filled in.
 * @throws EmvDataError `ERR_CARD_MODEL` with `path`, `what` and `fix`; no value is quoted.
 */
export function parseCardModel(text: string): CardModel {
  if (text.length > CARD_MODEL_CHARACTERS_MAX) {
    throw modelError('the whole', 'is too long', `write at most ${CARD_MODEL_CHARACTERS_MAX}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw modelError('the whole', 'is not JSON', 'look for a missing comma or quote');
  }
  return readCardModel(value);
}

/**
 * A card model of a JSON value.
 * @throws EmvDataError `ERR_CARD_MODEL`.
 */
export function readCardModel(value: unknown): CardModel {
  const fields = fieldsOf(value, '');
  const holder = fieldsOf(
    fields.optional('holder', (found) => found, {}),
    'holder',
  );
  const name = textOf(/^[\x20-\x7e]{2,26}$/, 'write 2 to 26 Latin letters, as ZHANG/SAN');
  const cardholderName = holder.optional('name', name, 'LAB/CARDHOLDER');
  holder.end();
  const validity = fieldsOf(
    fields.required('validity', (found) => found),
    'validity',
  );
  const effectiveYymm = validity.required('from', yymm);
  const expiryYymm = validity.required('to', yymm);
  validity.end();
  if (effectiveYymm > expiryYymm) {
    throw modelError('validity.from', 'is after validity.to', 'swap them or correct one');
  }
  const currencyCode = fields.optional('currencyCode', numericCode, CARD_DEFAULTS.currencyCode);
  const application: Read<ApplicationModel> = (found, path) =>
    readApplicationModel(found, path, currencyCode);
  const model: CardModel = {
    cardholderName,
    pan: fields.required('pan', pan),
    panSequenceNumber: fields.optional(
      'panSequenceNumber',
      textOf(/^[0-9]{2}$/, 'write two digits in quotes'),
      '01',
    ),
    effectiveYymm,
    expiryYymm,
    serviceCode: fields.optional(
      'serviceCode',
      textOf(/^[0-9]{3}$/, 'write three digits in quotes'),
      CARD_DEFAULTS.serviceCode,
    ),
    issuerCountryCode: fields.optional(
      'issuerCountryCode',
      numericCode,
      CARD_DEFAULTS.issuerCountryCode,
    ),
    currencyCode,
    applications: fields.required('applications', listOf(application, 1, CARD_APPLICATIONS_MAX)),
    troubles: fields.optional(
      'troubles',
      listOf(wordOf(CARD_TROUBLES), 0, CARD_TROUBLES.length),
      [],
    ),
  };
  fields.end();
  assertDistinct(model.applications);
  return model;
}

function assertDistinct(applications: readonly ApplicationModel[]): void {
  for (const [index, { aid }] of applications.entries()) {
    const isTaken = applications.slice(0, index).some((other) => other.aid === aid);
    if (!isTaken) continue;
    const path = `applications[${index}].aid`;
    throw modelError(path, 'is that of another application', 'give each application its own AID');
  }
}

/**
 * One application of a card model, defaults filled in. `currencyCode` is the card's.
 * @throws EmvDataError `ERR_CARD_MODEL`.
 */
export function readApplicationModel(
  value: unknown,
  path: string,
  currencyCode: string,
): ApplicationModel {
  const fields = fieldsOf(value, path);
  const product = fields.required('product', wordOf(CARD_PRODUCTS));
  const given = CARD_PRODUCT_DEFAULTS[product];
  const electronicCash = readElectronicCash(fields, { currencyCode, ...given });
  const algorithms = fields.optional('algorithms', listOf(wordOf(['RSA', 'SM2']), 1, 2), ['RSA']);
  const label = fields.optional('label', printable(16, '1 to 16 Latin letters'), given.label);
  const pin = readPin(fields);
  const offers = { hasElectronicCash: electronicCash !== null, hasSm: algorithms.includes('SM2') };
  const model: ApplicationModel = {
    product,
    aid: fields.optional('aid', hexOf(5, 16), given.aid),
    label,
    preferredName: fields.optional('preferredName', printable(16, '1 to 16 Latin letters'), label),
    priority: fields.optional('priority', countOf(0, 15), 1),
    needsConfirmation: fields.optional('needsConfirmation', flagOf, false),
    interfaces: fields.optional('interfaces', listOf(wordOf(['contact', 'contactless']), 1, 2), [
      'contact',
      'contactless',
    ]),
    algorithms,
    dataAuthentication: fields.optional(
      'dataAuthentication',
      listOf(wordOf(['SDA', 'DDA', 'CDA']), 0, 3),
      ['SDA', 'DDA'],
    ),
    hasPinKey: fields.optional('hasPinKey', flagOf, false),
    pin: { value: pin.value, tryLimit: pin.tryLimit },
    electronicCash,
    ...readLists(fields, { ...given, ...offers, isOfflinePin: pin.isOffline }),
    ...readPolicy(fields),
    overrides: fields.optional(
      'overrides',
      mapOf(/^[0-9A-F]{4}$/, orNull(hexOf(0, DGI_VALUE_BYTES_MAX)), {
        max: OVERRIDES_MAX,
        fix: 'name a grouping by 4 hex digits, as 0201',
      }),
      {},
    ),
  };
  fields.end();
  return model;
}

function readPin(fields: FieldReader): {
  readonly value: string | null;
  readonly tryLimit: number;
  readonly isOffline: boolean;
} {
  const pin = fieldsOf(
    fields.optional('pin', (found) => found, {}),
    fields.at('pin'),
  );
  const digits = textOf(/^[0-9]{4,12}$/, 'write 4 to 12 digits in quotes');
  const value = pin.optional('value', orNull(digits), null);
  const tryLimit = pin.optional('tryLimit', countOf(1, 15), CARD_DEFAULTS.pinTryLimit);
  const isOffline = pin.optional('offline', flagOf, false);
  pin.end();
  if (isOffline && value === null) {
    throw modelError(pin.at('offline'), 'needs a PIN', 'add pin.value');
  }
  return { value, tryLimit, isOffline };
}

type Lists = Pick<
  ApplicationModel,
  | 'cvmList'
  | 'cdol1'
  | 'cdol2'
  | 'ddol'
  | 'pdol'
  | 'contactlessPdol'
  | 'logFormat'
  | 'loadLogFormat'
>;

function readLists(
  fields: FieldReader,
  product: {
    readonly cvmList: string;
    readonly isOfflinePin: boolean;
    readonly hasElectronicCash: boolean;
    readonly hasSm: boolean;
  },
): Lists {
  const isOffline = product.isOfflinePin && product.cvmList === CVM_LIST_ONLINE_PIN;
  const methods = isOffline ? CVM_LIST_OFFLINE_PIN : product.cvmList;
  const pdolOf = (side: 'contact' | 'contactless'): string =>
    defaultPdol({ ...product, interface: side });
  return {
    cvmList: fields.optional('cvmList', cvmList, methods),
    cdol1: fields.optional('cdol1', dol, CARD_DEFAULTS.cdol1),
    cdol2: fields.optional('cdol2', dol, CARD_DEFAULTS.cdol2),
    ddol: fields.optional('ddol', dol, CARD_DEFAULTS.ddol),
    pdol: fields.optional('pdol', dol, pdolOf('contact')),
    contactlessPdol: fields.optional('contactlessPdol', dol, pdolOf('contactless')),
    logFormat: fields.optional('logFormat', dol, CARD_DEFAULTS.logFormat),
    loadLogFormat: fields.optional('loadLogFormat', dol, CARD_DEFAULTS.loadLogFormat),
  };
}

type Policy = Pick<
  ApplicationModel,
  | 'actionCodes'
  | 'applicationUsageControl'
  | 'applicationVersion'
  | 'cardTransactionQualifiers'
  | 'riskPolicy'
>;

function readPolicy(fields: FieldReader): Policy {
  const codes = CARD_DEFAULTS.actionCodes;
  const at = fields.at('actionCodes');
  const actionCodes = fieldsOf(
    fields.optional('actionCodes', (found) => found, {}),
    at,
  );
  const risk = fieldsOf(
    fields.optional('riskPolicy', (found) => found, {}),
    fields.at('riskPolicy'),
  );
  const given = CARD_DEFAULTS.riskPolicy;
  const policy: Policy = {
    actionCodes: {
      default: actionCodes.optional('default', hexOf(5, 5), codes.default),
      denial: actionCodes.optional('denial', hexOf(5, 5), codes.denial),
      online: actionCodes.optional('online', hexOf(5, 5), codes.online),
    },
    applicationUsageControl: fields.optional(
      'applicationUsageControl',
      hexOf(2, 2),
      CARD_DEFAULTS.applicationUsageControl,
    ),
    applicationVersion: fields.optional(
      'applicationVersion',
      hexOf(2, 2),
      CARD_DEFAULTS.applicationVersion,
    ),
    cardTransactionQualifiers: fields.optional(
      'cardTransactionQualifiers',
      hexOf(2, 2),
      CARD_DEFAULTS.cardTransactionQualifiers,
    ),
    riskPolicy: {
      applicationDefaultAction: risk.optional(
        'applicationDefaultAction',
        hexOf(2, 6),
        given.applicationDefaultAction,
      ),
      issuerAuthenticationIndicator: risk.optional(
        'issuerAuthenticationIndicator',
        hexOf(1, 1),
        given.issuerAuthenticationIndicator,
      ),
      ...readVelocity(risk),
    },
  };
  actionCodes.end();
  risk.end();
  return policy;
}

function readVelocity(
  risk: FieldReader,
): Omit<CardRiskPolicy, 'applicationDefaultAction' | 'issuerAuthenticationIndicator'> {
  const given = CARD_DEFAULTS.riskPolicy;
  const count = (name: 'lowerConsecutiveOfflineLimit' | 'upperConsecutiveOfflineLimit'): number =>
    risk.optional(name, countOf(0, 255), given[name]);
  const amount = (name: 'cumulativeAmountLimitMinor' | 'cumulativeAmountUpperLimitMinor'): string =>
    risk.optional(name, minor, given[name]);
  return {
    lowerConsecutiveOfflineLimit: count('lowerConsecutiveOfflineLimit'),
    upperConsecutiveOfflineLimit: count('upperConsecutiveOfflineLimit'),
    cumulativeAmountLimitMinor: amount('cumulativeAmountLimitMinor'),
    cumulativeAmountUpperLimitMinor: amount('cumulativeAmountUpperLimitMinor'),
  };
}

/** E-cash is there by product, by `electronicCash: {…}`, and not by `electronicCash: null`. */
function readElectronicCash(
  fields: FieldReader,
  given: { readonly hasElectronicCash: boolean; readonly currencyCode: string },
): CardElectronicCash | null {
  const fallback = given.hasElectronicCash ? {} : null;
  const value = fields.optional('electronicCash', (found) => found, fallback);
  if (value === null) return null;
  const path = fields.at('electronicCash');
  const cash = fieldsOf(value, path);
  const purse = readPurse(cash, given.currencyCode);
  const code = textOf(/^[A-Z0-9]{6}$/, 'write six letters or digits');
  const authorisationCode = cash.optional(
    'authorisationCode',
    code,
    CARD_DEFAULTS.authorisationCode,
  );
  const second = cash.optional(
    'second',
    orNull((found, at) => {
      const inner = fieldsOf(found, at);
      const other = readPurse(inner, undefined);
      inner.end();
      return other;
    }),
    null,
  );
  cash.end();
  if (second?.currencyCode === purse.currencyCode) {
    const at = `${path}.second.currencyCode`;
    throw modelError(at, 'is that of the first purse', 'write another currency');
  }
  return { ...purse, authorisationCode, second };
}

function readPurse(fields: FieldReader, currencyCode: string | undefined): CardPurse {
  const given = CARD_DEFAULTS.electronicCash;
  const purse = {
    currencyCode:
      currencyCode === undefined
        ? fields.required('currencyCode', numericCode)
        : fields.optional('currencyCode', numericCode, currencyCode),
    balanceMinor: fields.optional('balanceMinor', minor, given.balanceMinor),
    balanceLimitMinor: fields.optional('balanceLimitMinor', minor, given.balanceLimitMinor),
    singleTransactionLimitMinor: fields.optional(
      'singleTransactionLimitMinor',
      minor,
      given.singleTransactionLimitMinor,
    ),
    resetThresholdMinor: fields.optional('resetThresholdMinor', minor, given.resetThresholdMinor),
  };
  if (BigInt(purse.balanceMinor) <= BigInt(purse.balanceLimitMinor)) return purse;
  throw modelError(fields.at('balanceMinor'), 'is over balanceLimitMinor', 'lower it');
}
