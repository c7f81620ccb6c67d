/**
 * Data preparation: a card model and keys become data groupings, which STORE DATA commands carry
 * to a card. @see EMV CPS 1.1 §2.2; EMV 4.3 B3 §7
 */
import { concatBytes, fromHex, type RandomSource, toHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import {
  applicationTemplate,
  type CardContents,
  directoryEntry,
  directoryTemplate,
  encodeObjects,
  internalData,
  plainContents,
} from './card-contents.ts';
import {
  type CardKeys,
  type CertificateFacts,
  keyDgis,
  rsaContents,
  smContents,
} from './card-keys.ts';
import {
  optionsValue,
  RECORD_BYTES_MAX,
  recordDgis,
  SIDE_LAYOUTS,
  type SideLayout,
  type SideName,
  staticDataOf,
  withoutEmptyRecords,
} from './card-layout.ts';
import { EmvIssuerError } from './errors.ts';
import type { PreparedCard } from './prepared-card.ts';
import { changesOf, type TroubleChanges } from './trouble-changes.ts';

/** Ciphers that data preparation needs. */
export type PreparationCiphers = Pick<CipherProvider, 'sha1'> &
  Partial<Pick<CipherProvider, 'sm3' | 'sm4EcbEncrypt'>>;

/** What is prepared. */
export type CardPreparation = {
  readonly model: data.CardModel;
  readonly keys: CardKeys;
  /** Three bytes. */
  readonly certificateSerialNumber: Uint8Array;
  /** Two bytes; DAC0 when left out. */
  readonly dataAuthenticationCode?: Uint8Array;
  readonly derivationKeyIndex?: number;
  /** Application interchange profiles in place of those that the model asks for, for trials. */
  readonly aips?: { readonly contact?: string; readonly contactless?: string };
  /** SM2 signatures take random numbers. */
  readonly random?: RandomSource;
};

const DATA_AUTHENTICATION_CODE: Uint8Array = Uint8Array.of(0xda, 0xc0);
const DERIVATION_KEY_INDEX = 1;
/** Cardholder verification, terminal risk management, issuer authentication. */
const AIP_BASE = 0x1c;

/**
 * Everything that goes into a card.
 * @throws EmvIssuerError `ERR_EMV_PERSONALISATION` for a card whose keys or records do not fit,
 * `ERR_EMV_KEY` for keys that break the rules of EMV 4.3 B2 §D1; EmvDataError `ERR_CARD_MODEL` for
 * a trouble that the model has no place for.
 */
export function prepareCard(ciphers: PreparationCiphers, request: CardPreparation): PreparedCard {
  const changes = changesOf(request.model.troubles);
  const model = changes.reduce((now, { model: change }) => change?.(now) ?? now, request.model);
  const applications = model.applications.map((application) => ({
    aid: application.aid,
    dgis: applicationDgis(ciphers, { ...request, model }, application, changes),
  }));
  const prepared: PreparedCard = {
    atr: data.ICC_ATR_T1,
    ats: data.ICC_ATS,
    lab: data.ICC_LAB_NONE,
    pse: contactDirectory(model),
    ppse: contactlessDirectory(model),
    applications,
    aged: (image) => changes.reduce((now, { image: change }) => change?.(now) ?? now, image),
  };
  return changes.reduce((now, { card: change }) => change?.(now) ?? now, prepared);
}

function applicationDgis(
  ciphers: PreparationCiphers,
  request: CardPreparation,
  application: data.ApplicationModel,
  changes: readonly TroubleChanges[],
): ReadonlyMap<string, Uint8Array> {
  const { model } = request;
  const keys = usedKeys(request.keys, application);
  const sides = sidesOf(application, keys).flatMap((side) =>
    sideDgis(ciphers, { ...request, keys }, { application, side, changes }),
  );
  const { value: pin, tryLimit } = application.pin;
  const dgis: readonly data.Dgi[] = [
    ...sides,
    ...templates(application),
    { id: data.DGI_INTERNAL_DATA, value: encodeObjects(internalData(model, application)) },
    { id: data.DGI_CRYPTOGRAM_PARAMETERS, value: parameters(request, application, keys) },
    ...keyDgis(smCiphers(ciphers), keys),
    ...(pin === null ? [] : [{ id: data.DGI_PIN_REFERENCE, value: pinReference(pin) }]),
    { id: data.DGI_PIN_TRIES, value: Uint8Array.of(tryLimit, tryLimit) },
  ];
  const map = new Map(dgis.map(({ id, value }) => [id, value]));
  const changed = changes.reduce<ReadonlyMap<string, Uint8Array>>(
    (now, { dgis: change }) => change?.(now) ?? now,
    map,
  );
  return overridden(changed, application.overrides);
}

/** Ciphers with all that SM needs. @throws EmvIssuerError `ERR_EMV_KEY` when they are missing. */
function smCiphers(
  ciphers: PreparationCiphers,
): Pick<CipherProvider, 'sha1' | 'sm3' | 'sm4EcbEncrypt'> {
  const missing = (): never => {
    throw new EmvIssuerError('ERR_EMV_KEY', 'a card with SM keys needs SM3 and SM4');
  };
  const { sha1, sm3, sm4EcbEncrypt } = ciphers;
  return { sha1, sm3: sm3 ?? missing, sm4EcbEncrypt: sm4EcbEncrypt ?? missing };
}

/** The keys of the algorithms that an application has. */
function usedKeys(keys: CardKeys, application: data.ApplicationModel): CardKeys {
  const { tdes, sm4, rsa, sm2 } = keys;
  const has = (algorithm: data.CardAlgorithm): boolean =>
    application.algorithms.includes(algorithm);
  const signs = application.dataAuthentication.length > 0;
  if ((has('RSA') && tdes === undefined) || (has('SM2') && sm4 === undefined)) {
    throw missingKeys(application, 'card keys');
  }
  if ((has('RSA') && signs && rsa === undefined) || (has('SM2') && signs && sm2 === undefined)) {
    throw missingKeys(application, 'keys of data authentication');
  }
  if (application.hasPinKey && rsa?.pinKey === undefined) {
    throw missingKeys(application, 'a PIN key');
  }
  return {
    ...(has('RSA') && tdes !== undefined ? { tdes } : {}),
    ...(has('SM2') && sm4 !== undefined ? { sm4 } : {}),
    ...(has('RSA') && signs && rsa !== undefined
      ? { rsa: application.hasPinKey ? rsa : withoutPinKey(rsa) }
      : {}),
    ...(has('SM2') && signs && sm2 !== undefined ? { sm2 } : {}),
  };
}

function withoutPinKey(chain: NonNullable<CardKeys['rsa']>): NonNullable<CardKeys['rsa']> {
  const { caIndex, issuerKey, issuerCertificate, iccKey } = chain;
  return { caIndex, issuerKey, issuerCertificate, iccKey };
}

function missingKeys(application: data.ApplicationModel, what: string): EmvIssuerError {
  const message = `application ${application.aid} needs ${what} that are not there`;
  return new EmvIssuerError('ERR_EMV_PERSONALISATION', message, { field: 'keys' });
}

/** The sides of an application; one without RSA has its SM side in the places of both. */
type Side = { readonly name: SideName; readonly ids: readonly (readonly [string, string])[] };

function sidesOf(application: data.ApplicationModel, keys: CardKeys): readonly Side[] {
  const hasRsa = keys.tdes !== undefined;
  const hasSm = keys.sm4 !== undefined;
  const plain = {
    contact: [data.DGI_CONTACT_OPTIONS, data.DGI_CONTACT_OPTIONS_EC],
    contactless: [data.DGI_CONTACTLESS_OPTIONS, data.DGI_CONTACTLESS_OPTIONS_EC],
  } as const;
  const sm = {
    contact: [data.DGI_CONTACT_OPTIONS_SM, data.DGI_CONTACT_OPTIONS_EC_SM],
    contactless: [data.DGI_CONTACTLESS_OPTIONS_SM, data.DGI_CONTACTLESS_OPTIONS_EC_SM],
  } as const;
  return application.interfaces.flatMap((side): readonly Side[] => [
    ...(hasRsa ? [{ name: `${side}Rsa` as const, ids: [plain[side]] }] : []),
    ...(hasSm
      ? [{ name: `${side}Sm` as const, ids: hasRsa ? [sm[side]] : [plain[side], sm[side]] }]
      : []),
  ]);
}

/** Records of one side and its answers to GET PROCESSING OPTIONS. */
function sideDgis(
  ciphers: PreparationCiphers,
  request: CardPreparation,
  facts: {
    readonly application: data.ApplicationModel;
    readonly side: Side;
    readonly changes: readonly TroubleChanges[];
  },
): readonly data.Dgi[] {
  const { application, side, changes } = facts;
  const plain = changes.reduce(
    (now, { contents: change }) => change?.(now) ?? now,
    plainContents(request.model, application),
  );
  const isContact = side.name.startsWith('contactR') || side.name === 'contactSm';
  const hasChain = (side.name.endsWith('Rsa') ? request.keys.rsa : request.keys.sm2) !== undefined;
  const aip =
    (isContact ? request.aips?.contact : request.aips?.contactless) ??
    profileOf(application, { isContact, hasChain });
  const wanted = changes.reduce<SideLayout>(
    (now, { layout: change }) => change?.(now, side.name) ?? now,
    SIDE_LAYOUTS[side.name],
  );
  // Certificates are no part of what is signed, so that the signed records can be drawn in first.
  const staticData = staticDataOf(wanted, plain, aip);
  const contents: CardContents = {
    ...plain,
    ...certificates(ciphers, request, { application, side: side.name, staticData }),
  };
  const layout = withoutEmptyRecords(wanted, contents);
  const hasPurse = application.electronicCash !== null;
  const answers = side.ids.flatMap(([account, purse]) => [
    { id: account, value: optionsValue(layout, aip, 'account') },
    ...(hasPurse ? [{ id: purse, value: optionsValue(layout, aip, 'purse') }] : []),
  ]);
  return [...recordDgis(layout, contents), ...answers];
}

function certificates(
  ciphers: PreparationCiphers,
  request: CardPreparation,
  side: {
    readonly application: data.ApplicationModel;
    readonly side: SideName;
    readonly staticData: Uint8Array;
  },
): CardContents {
  const { model } = request;
  const kinds = side.application.dataAuthentication;
  const isContact = side.side === 'contactRsa' || side.side === 'contactSm';
  const use = {
    staticData: side.staticData,
    hasStaticSignature: isContact && kinds.includes('SDA'),
    hasIccKey: !isContact || kinds.includes('DDA') || kinds.includes('CDA'),
  };
  const facts: CertificateFacts = {
    pan: model.pan,
    expiryYymm: model.expiryYymm,
    certificateSerialNumber: request.certificateSerialNumber,
    dataAuthenticationCode: request.dataAuthenticationCode ?? DATA_AUTHENTICATION_CODE,
    random: request.random,
  };
  const { rsa, sm2 } = request.keys;
  if (side.side.endsWith('Rsa')) {
    return rsa === undefined ? {} : rsaContents(ciphers, rsa, facts, use);
  }
  return sm2 === undefined ? {} : smContents(smCiphers(ciphers), sm2, facts, use);
}

/** AIP, tag 82. In a reader's field fDDA stands under the DDA bit. @see EMV 4.3 B3 §C1 */
function profileOf(
  application: data.ApplicationModel,
  side: { readonly isContact: boolean; readonly hasChain: boolean },
): string {
  const kinds = side.hasChain ? application.dataAuthentication : [];
  const bits = [
    kinds.includes('SDA') ? 0x40 : 0,
    kinds.includes('DDA') || (!side.isContact && kinds.length > 0) ? 0x20 : 0,
    side.isContact && kinds.includes('CDA') ? 0x01 : 0,
  ];
  return toHex(
    Uint8Array.of(
      bits.reduce((all, bit) => all | bit, AIP_BASE),
      0x00,
    ),
  );
}

function templates(application: data.ApplicationModel): readonly data.Dgi[] {
  const { interfaces, pdol, contactlessPdol } = application;
  return [
    ...(interfaces.includes('contact')
      ? [{ id: data.DGI_CONTACT_FCI, value: applicationTemplate(application, pdol) }]
      : []),
    ...(interfaces.includes('contactless')
      ? [{ id: data.DGI_CONTACTLESS_FCI, value: applicationTemplate(application, contactlessPdol) }]
      : []),
  ];
}

function parameters(
  request: CardPreparation,
  application: data.ApplicationModel,
  keys: CardKeys,
): Uint8Array {
  return data.encodeCryptogramParameters({
    derivationKeyIndex: request.derivationKeyIndex ?? DERIVATION_KEY_INDEX,
    contactVersion: data.CRYPTOGRAM_VERSION_01,
    contactlessVersion: data.CRYPTOGRAM_VERSION_17,
    algorithm: keys.tdes === undefined ? data.IAD_ALGORITHM_SM4 : data.IAD_ALGORITHM_3DES,
    discretionaryDataId: application.electronicCash === null ? 0 : data.IDD_ID_EC_BALANCE,
  });
}

/** The clear block that VERIFY is compared with, format 2: 2, length, digits, filler F. */
function pinReference(pin: string): Uint8Array {
  return fromHex(`2${pin.length.toString(16)}${pin}`.padEnd(16, 'F').toUpperCase());
}

function overridden(
  dgis: ReadonlyMap<string, Uint8Array>,
  overrides: data.ApplicationModel['overrides'],
): ReadonlyMap<string, Uint8Array> {
  const changed = new Map(dgis);
  for (const [id, hex] of Object.entries(overrides)) {
    if (hex === null) changed.delete(id);
    else changed.set(id, fromHex(hex));
  }
  return changed;
}

/** Directory by contact, or null when no application is there. @see EMV 4.3 B1 §12.2 */
function contactDirectory(model: data.CardModel): ReadonlyMap<string, Uint8Array> | null {
  const entries = model.applications
    .filter(({ interfaces }) => interfaces.includes('contact'))
    .map(directoryEntry);
  if (entries.length === 0) return null;
  const records: Uint8Array[] = [];
  for (const entry of entries) {
    const open = records.at(-1);
    const isRoom = open !== undefined && open.length + entry.length <= RECORD_BYTES_MAX - 3;
    if (isRoom) records[records.length - 1] = concatBytes(open, entry);
    else records.push(entry);
  }
  return new Map([
    [data.DGI_CONTACT_FCI, directoryTemplate()],
    ...records.map((value, index): [string, Uint8Array] => [
      data.recordDgi(1, index + 1),
      encodeTlv(data.TAG_70_READ_RECORD_TEMPLATE, value),
    ]),
  ]);
}

/** Directory in a reader's field: its file control template alone. @see EMV C-7 §3.2 */
function contactlessDirectory(model: data.CardModel): ReadonlyMap<string, Uint8Array> | null {
  const entries = model.applications
    .filter(({ interfaces }) => interfaces.includes('contactless'))
    .map(directoryEntry);
  if (entries.length === 0) return null;
  const list = encodeTlv(data.TAG_BF0C_FCI_ISSUER_DISCRETIONARY_DATA, concatBytes(...entries));
  return new Map([[data.DGI_CONTACT_FCI, encodeTlv(data.TAG_A5_FCI_PROPRIETARY_TEMPLATE, list)]]);
}
