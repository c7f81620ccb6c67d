/** What each trouble changes: the model, contents, layout, groupings, the card or its state. */
import { asciiToBytes, concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, encodeTlv, findTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { CardContents, ContentName, DataObject } from './card-contents.ts';
import type { SideLayout, SideName } from './card-layout.ts';
import type { PreparedCard } from './prepared-card.ts';

/** Groupings of an application by id. */
type Dgis = ReadonlyMap<string, Uint8Array>;

/** The stages of data preparation at which a trouble can act; most act at one. */
export type TroubleChanges = {
  readonly model?: (model: data.CardModel) => data.CardModel;
  /** Before signing: what is changed here is signed as it is. */
  readonly contents?: (contents: CardContents) => CardContents;
  readonly layout?: (layout: SideLayout, side: SideName) => SideLayout;
  /** After signing: what is changed here is not what was signed. */
  readonly dgis?: (dgis: Dgis) => Dgis;
  readonly card?: (card: PreparedCard) => PreparedCard;
  /** After personalisation: what happened to the card since. */
  readonly image?: (image: data.IccImage) => data.IccImage;
};

/** Changes of a list of troubles, in the order of the list. */
export function changesOf(troubles: readonly data.CardTrouble[]): readonly TroubleChanges[] {
  return troubles.map((name) => TROUBLE_CHANGES[name]);
}

/** Two transactions before the counter ends, so that one is left. @see EMV 4.3 B3 Annex A (9F36) */
const ATC_NEAR_END = 'FFFE';
const ATC_LAST_ONLINE = 'FFFD';
const REFUSED_SELECT = '6984';

const TROUBLE_CHANGES: Readonly<Record<data.CardTrouble, TroubleChanges>> = {
  expired: { model: (model) => ({ ...model, effectiveYymm: '1001', expiryYymm: '2001' }) },
  'not-yet-effective': {
    model: (model) => ({ ...model, effectiveYymm: '4901', expiryYymm: '4912' }),
  },
  'application-blocked': {
    image: (image) => ({
      ...image,
      applications: image.applications.map((application) => ({
        ...application,
        state: { ...application.state, applicationBlocked: true },
      })),
    }),
  },
  'card-blocked': { image: (image) => ({ ...image, cardBlocked: true }) },
  'pin-blocked': {
    dgis: (dgis) => changed(dgis, data.DGI_PIN_TRIES, (tries) => tries.with(0, 0)),
  },
  'no-pse': { card: (card) => ({ ...card, pse: null }) },
  'no-ppse': { card: (card) => ({ ...card, ppse: null }) },
  'refused-pse': {
    card: (card) => {
      const name = toHex(asciiToBytes(data.PSE_NAME));
      const selectStatusWords = { ...card.lab.selectStatusWords, [name]: REFUSED_SELECT };
      return { ...card, lab: { ...card.lab, selectStatusWords } };
    },
  },
  'fci-without-name': { dgis: (dgis) => templates(dgis, withoutName) },
  'fci-unknown-tags': { dgis: (dgis) => templates(dgis, withUnknownTags) },
  'fci-long-lengths': { dgis: (dgis) => templates(dgis, withLongLength) },
  'fci-padding': { dgis: (dgis) => templates(dgis, withPadding) },
  'afl-several-signed': onContact((layout) => ({
    ...layout,
    entries: [entry(1, 1, 1, 0), entry(2, 1, 3, 2), ...layout.entries.slice(2)],
    records: [
      ...outside(layout, 2),
      { sfi: 2, record: 1, contents: ['identity'] },
      { sfi: 2, record: 2, contents: ['restrictions'] },
      { sfi: 2, record: 3, contents: ['lists'] },
    ],
  })),
  'afl-high-sfi': onContact((layout) => ({
    ...layout,
    entries: [entry(1, 1, 1, 0), entry(2, 1, 1, 0), entry(14, 1, 1, 1), ...layout.entries.slice(2)],
    records: [
      ...outside(layout, 2),
      { sfi: 2, record: 1, contents: ['lists'] },
      { sfi: 14, record: 1, contents: ['identity', 'restrictions'] },
    ],
  })),
  'afl-single-record': {
    model: withoutDataAuthentication,
    contents: (contents) => without(contents, data.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST),
    ...onContact((layout) => ({
      ...layout,
      entries: [entry(1, 1, 1, 0)],
      records: [
        {
          sfi: 1,
          record: 1,
          contents: ['track2', 'holder', 'identity', 'restrictions', 'lists'],
        },
      ],
    })),
  },
  'afl-zero-signed': onContact((layout) => ({
    ...layout,
    entries: layout.entries.map((old) => ({ ...old, signedRecords: 0 })),
  })),
  'afl-non-contiguous': onContact((layout) => ({
    ...layout,
    entries: [entry(2, 1, 1, 1), entry(2, 3, 3, 0), entry(2, 5, 5, 0), ...layout.entries.slice(2)],
    records: [
      ...outside(layout, 2).filter(({ sfi }) => sfi !== 1),
      { sfi: 2, record: 1, contents: ['identity', 'restrictions'] },
      { sfi: 2, record: 3, contents: ['lists'] },
      { sfi: 2, record: 5, contents: ['track2', 'holder'] },
    ],
  })),
  'afl-empty': { layout: (layout) => ({ ...layout, aflInstead: '' }) },
  'afl-malformed': { layout: (layout) => ({ ...layout, aflInstead: '0001010010010201' }) },
  'bad-issuer-certificate': {
    dgis: (dgis) => spoiled(dgis, data.TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE),
  },
  'bad-icc-certificate': {
    dgis: (dgis) => spoiled(dgis, data.TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE),
  },
  'wrong-sdad': {
    dgis: (dgis) =>
      [data.DGI_ICC_PRIVATE_EXPONENT, data.DGI_ICC_SM2_PRIVATE_KEY].reduce<Dgis>(
        (now, id) => changed(now, id, withOtherEnd),
        dgis,
      ),
  },
  'wrong-ssad': { dgis: (dgis) => spoiled(dgis, data.TAG_93_SIGNED_STATIC_APPLICATION_DATA) },
  'no-data-authentication': {
    model: withoutDataAuthentication,
    contents: (contents) => without(contents, data.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST),
  },
  'low-balance': { model: withLowBalance },
  'atc-at-end': {
    dgis: (dgis) =>
      changed(dgis, data.DGI_INTERNAL_DATA, (value) =>
        concatBytes(
          value,
          encodeTlv(data.TAG_9F36_APPLICATION_TRANSACTION_COUNTER, fromHex(ATC_NEAR_END)),
          encodeTlv(data.TAG_9F13_LAST_ONLINE_ATC_REGISTER, fromHex(ATC_LAST_ONLINE)),
        ),
      ),
  },
  'declines-offline': {
    card: (card) => ({ ...card, lab: { ...card.lab, declinesOffline: true } }),
  },
  'needs-script': { model: withOldLimits },
  'missing-cdol1': { contents: (contents) => without(contents, data.TAG_8C_CDOL1) },
  'missing-pan': { contents: (contents) => without(contents, data.TAG_5A_APPLICATION_PAN) },
  'duplicate-tag': { contents: withDoubledExpiry },
  'track2-mismatch': { contents: withOtherTrack2 },
  'contactless-refusal': {
    card: (card) => ({ ...card, lab: { ...card.lab, contactlessRefusal: '6984' } }),
  },
  't0-protocol': { card: (card) => ({ ...card, atr: data.ICC_ATR_T0 }) },
};

function entry(
  sfi: number,
  firstRecord: number,
  lastRecord: number,
  signedRecords: number,
): data.AflEntry {
  return { sfi, firstRecord, lastRecord, signedRecords };
}

/** A change of the contact sides; AFLs of taps keep their shape: the kernel reads them whole. */
function onContact(change: (layout: SideLayout) => SideLayout): Pick<TroubleChanges, 'layout'> {
  return {
    layout: (layout, side) =>
      side === 'contactRsa' || side === 'contactSm' ? change(layout) : layout,
  };
}

function outside(layout: SideLayout, sfi: number): SideLayout['records'] {
  return layout.records.filter((record) => record.sfi !== sfi);
}

function changed(dgis: Dgis, id: string, change: (value: Uint8Array) => Uint8Array): Dgis {
  const value = dgis.get(id);
  return value === undefined ? dgis : new Map([...dgis, [id, change(value)]]);
}

/** The last bit of a value turned: still below any modulus that the value was below. */
function withOtherEnd(value: Uint8Array): Uint8Array {
  return value.with(value.length - 1, (value.at(-1) ?? 0) ^ 0x01);
}

/** The last bit of every record's `tag` turned. */
function spoiled(dgis: Dgis, tag: string): Dgis {
  const entries = [...dgis].map(([id, value]): [string, Uint8Array] => {
    if (!data.isRecordDgi(id)) return [id, value];
    const found = findTlv(decodeTlv(value), tag);
    if (found === undefined) return [id, value];
    const end = toHex(encodeTlv(tag, found.value));
    const spoilt = toHex(encodeTlv(tag, withOtherEnd(found.value)));
    return [id, fromHex(toHex(value).replace(end, spoilt))];
  });
  return new Map(entries);
}

function templates(dgis: Dgis, change: (template: Uint8Array) => Uint8Array): Dgis {
  return [data.DGI_CONTACT_FCI, data.DGI_CONTACTLESS_FCI].reduce<Dgis>(
    (now, id) => changed(now, id, change),
    dgis,
  );
}

/** The card gives out a stored 6F as it is. */
function withoutName(template: Uint8Array): Uint8Array {
  return encodeTlv(data.TAG_6F_FCI_TEMPLATE, template);
}

function withUnknownTags(template: Uint8Array): Uint8Array {
  const unknown = concatBytes(
    encodeTlv('DF7D', Uint8Array.of(0x01, 0x02)),
    encodeTlv('C3', new Uint8Array(0)),
  );
  return encodeTlv(data.TAG_A5_FCI_PROPRIETARY_TEMPLATE, concatBytes(unknown, inner(template)));
}

/** The A5 template's length in two bytes after 82. @see ISO 7816-4 §5.2.2.2 */
function withLongLength(template: Uint8Array): Uint8Array {
  const value = inner(template);
  return concatBytes(Uint8Array.of(0xa5, 0x82, value.length >> 8, value.length & 0xff), value);
}

/** 00 before the first object, FF after the last. @see EMV 4.3 B3 Annex B1 */
function withPadding(template: Uint8Array): Uint8Array {
  const value = concatBytes(Uint8Array.of(0x00, 0x00), inner(template), Uint8Array.of(0xff, 0xff));
  return encodeTlv(data.TAG_A5_FCI_PROPRIETARY_TEMPLATE, value);
}

function inner(template: Uint8Array): Uint8Array {
  return decodeTlv(template)[0]?.value ?? new Uint8Array(0);
}

/** All contents without the objects of a tag. */
function without(contents: CardContents, tag: string): CardContents {
  return mapped(contents, (objects) => objects.filter((object) => object.tag !== tag));
}

function mapped(
  contents: CardContents,
  change: (objects: readonly DataObject[], name: string) => readonly DataObject[],
): CardContents {
  return Object.fromEntries(
    Object.entries(contents).map(([name, objects]) => [name, change(objects, name)]),
  );
}

function withDoubledExpiry(contents: CardContents): CardContents {
  const tag = data.TAG_5F24_APPLICATION_EXPIRATION_DATE;
  const expiry = (contents.identity ?? []).filter((object) => object.tag === tag);
  const doubled: readonly ContentName[] = ['lists', 'version'];
  return mapped(contents, (objects, name) =>
    doubled.some((one) => one === name) ? [...objects, ...expiry] : objects,
  );
}

/** Track 2 of a PAN whose last digit is another. */
function withOtherTrack2(contents: CardContents): CardContents {
  return mapped(contents, (objects, name) => {
    if (name !== 'track2') return objects;
    return objects.map(({ tag, value }) => ({ tag, value: otherPan(value) }));
  });
}

function otherPan(track2: Uint8Array): Uint8Array {
  const text = toHex(track2);
  const end = text.indexOf('D') - 1;
  const digit = (Number(text[end]) + 1) % 10;
  return fromHex(`${text.slice(0, end)}${digit}${text.slice(end + 1)}`);
}

function withApplications(
  model: data.CardModel,
  change: (application: data.ApplicationModel) => data.ApplicationModel,
): data.CardModel {
  return { ...model, applications: model.applications.map(change) };
}

function withoutDataAuthentication(model: data.CardModel): data.CardModel {
  return withApplications(model, (application) => ({ ...application, dataAuthentication: [] }));
}

/** @throws EmvDataError `ERR_CARD_MODEL` for a card without e-cash. */
function withLowBalance(model: data.CardModel): data.CardModel {
  if (model.applications.every(({ electronicCash }) => electronicCash === null)) {
    const what = 'low-balance has no purse to empty';
    throw data.modelError('troubles', what, 'give an application electronicCash');
  }
  return withApplications(model, (application) => {
    const cash = application.electronicCash;
    if (cash === null) return application;
    const second = cash.second && { ...cash.second, balanceMinor: '1' };
    return { ...application, electronicCash: { ...cash, balanceMinor: '1', second } };
  });
}

/** Limits so low that every payment goes online and none is approved when nobody answers there. */
function withOldLimits(model: data.CardModel): data.CardModel {
  return withApplications(model, (application) => ({
    ...application,
    riskPolicy: {
      ...application.riskPolicy,
      lowerConsecutiveOfflineLimit: 1,
      upperConsecutiveOfflineLimit: 1,
      cumulativeAmountLimitMinor: '1',
      cumulativeAmountUpperLimitMinor: '1',
    },
    electronicCash:
      application.electronicCash === null
        ? null
        : { ...application.electronicCash, singleTransactionLimitMinor: '1' },
  }));
}
