/** What stored groupings make of a card image: its file control, its records, its first state. */
import { asciiToBytes, bcdToNumeric, concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import { DGI_CONTACT_FCI, DGI_PIN_TRIES, type Dgi, isRecordDgi } from './dgi.ts';
import { EmvDataError } from './errors.ts';
import {
  type IccApplication,
  type IccApplicationState,
  type IccImage,
  iccDgi,
  internalDataObject,
} from './icc-image.ts';
import * as tags from './tags.ts';

/** Name of the contact directory. @see EMV 4.3 B1 §12.2.2 */
export const PSE_NAME = '1PAY.SYS.DDF01';
/** Name of the contactless directory, whose FCI is the directory. @see EMV C-7 §3.2 */
export const PPSE_NAME = '2PAY.SYS.DDF01';

/** What STORE DATA is written to: what was selected before. */
export type StoreDataTarget =
  | { readonly kind: 'pse' }
  | { readonly kind: 'ppse' }
  | { readonly kind: 'application'; readonly aid: string };

/**
 * The whole answer to SELECT of a stored file control template: 84 and the A5 template in a 6F.
 * A stored value that is no A5 template is given out as it is (odd cards of the lab).
 */
export function fciOfStored(name: Uint8Array, stored: Uint8Array): Uint8Array {
  if (stored[0] !== 0xa5) return stored.slice();
  const head = encodeTlv(tags.TAG_84_DEDICATED_FILE_NAME, name);
  return encodeTlv(tags.TAG_6F_FCI_TEMPLATE, concatBytes(head, stored));
}

/**
 * The image with one grouping stored; a secret one must be deciphered already.
 * @throws EmvDataError `ERR_STORE_DATA` when the target is not on the card or takes no such
 * grouping (a directory takes 9102 and, by contact, records of file 1).
 */
export function withDgi(image: IccImage, target: StoreDataTarget, dgi: Dgi): IccImage {
  const { id, value } = dgi;
  if (target.kind === 'application') {
    const dgis = { [id]: toHex(value) };
    return changeApplication(image, target.aid, (found) => ({
      ...found,
      dgis: { ...found.dgis, ...dgis },
    }));
  }
  const { pse, ppse } = image;
  const isFci = id === DGI_CONTACT_FCI;
  if (target.kind === 'ppse' && ppse !== null && isFci) {
    return { ...image, ppse: { fci: toHex(fciOfStored(asciiToBytes(PPSE_NAME), value)) } };
  }
  if (target.kind === 'pse' && pse !== null && isFci) {
    const fci = toHex(fciOfStored(asciiToBytes(PSE_NAME), value));
    return { ...image, pse: { ...pse, fci } };
  }
  if (target.kind === 'pse' && pse !== null && isRecordDgi(id) && id.startsWith('01')) {
    return { ...image, pse: { ...pse, records: { ...pse.records, [id]: toHex(value) } } };
  }
  throw new EmvDataError('ERR_STORE_DATA', `the directory takes no grouping ${id}`, { id });
}

/**
 * The image after the last STORE DATA of a target. An application gets its first state; once all
 * applications and directories are personalised the card is operational and forgets its transport
 * key.
 * @throws EmvDataError `ERR_STORE_DATA` when the application is not on the card.
 */
export function withLastStoreData(image: IccImage, target: StoreDataTarget): IccImage {
  const stored =
    target.kind === 'application'
      ? changeApplication(image, target.aid, (found) => ({
          ...found,
          isPersonalised: true,
          state: firstIccState(found),
        }))
      : image;
  const isComplete =
    stored.applications.every(({ isPersonalised }) => isPersonalised) &&
    stored.pse?.fci !== '' &&
    stored.ppse?.fci !== '';
  return isComplete ? { ...stored, life: 'operational', transportKey: '' } : stored;
}

function changeApplication(
  image: IccImage,
  aid: string,
  change: (application: IccApplication) => IccApplication,
): IccImage {
  if (!image.applications.some((application) => application.aid === aid)) {
    throw new EmvDataError('ERR_STORE_DATA', `there is no application ${aid}`, { aid });
  }
  const applications = image.applications.map((application) =>
    application.aid === aid ? change(application) : application,
  );
  return { ...image, applications };
}

/** State before anything happened; what STORE DATA says of counters is not in it. */
export const ICC_STATE_BLANK: IccApplicationState = {
  atc: 0,
  lastOnlineAtc: 0,
  pinTryCounter: 0,
  cumulativeOfflineAmountMinor: '0',
  internationalOfflineCount: 0,
  applicationBlocked: false,
  lastOnlineNotCompleted: false,
  lastIssuerAuthenticationFailed: false,
  issuerAuthenticationNotPerformed: false,
  lastSdaFailed: false,
  lastDdaFailed: false,
  lastScriptFailed: false,
  scriptCounter: 0,
  electronicCash: null,
  log: [],
  loadLog: [],
};

/**
 * First state of a personalised application: counter (9F36) and last online counter (9F13) of 0D01
 * or 0, tries left of 9010, balances of 9F79 and DF79.
 */
export function firstIccState(application: Pick<IccApplication, 'dgis'>): IccApplicationState {
  const countOf = (tag: string): number =>
    Number.parseInt(toHex(internalDataObject(application, tag) ?? Uint8Array.of(0)), 16);
  const balance = internalDataObject(application, tags.TAG_9F79_PBOC_EC_BALANCE);
  const second = internalDataObject(application, tags.TAG_DF79_PBOC_SECOND_EC_BALANCE);
  return {
    ...ICC_STATE_BLANK,
    atc: countOf(tags.TAG_9F36_APPLICATION_TRANSACTION_COUNTER),
    lastOnlineAtc: countOf(tags.TAG_9F13_LAST_ONLINE_ATC_REGISTER),
    pinTryCounter: iccDgi(application, DGI_PIN_TRIES)?.[0] ?? 0,
    electronicCash:
      balance === undefined
        ? null
        : { balanceMinor: minorOf(balance), secondBalanceMinor: minorOf(second) },
  };
}

function minorOf(bcd: Uint8Array | undefined): string {
  if (bcd === undefined) return '0';
  return BigInt(bcdToNumeric(bcd)).toString();
}

/** A card before its personalisation: names of its applications and directories, nothing else. */
export function blankIccImage(options: {
  readonly aids: readonly string[];
  readonly transportKey: Uint8Array;
  readonly atr: string;
  readonly ats: string;
  readonly hasPse: boolean;
  readonly hasPpse: boolean;
  readonly lab: IccImage['lab'];
}): IccImage {
  const { aids, transportKey, atr, ats, hasPse, hasPpse, lab } = options;
  return {
    version: 3,
    atr,
    ats,
    life: 'personalisation',
    transportKey: toHex(transportKey),
    pse: hasPse ? { fci: '', records: {} } : null,
    ppse: hasPpse ? { fci: '' } : null,
    applications: aids.map((aid) => ({
      aid: toHex(fromHex(aid)),
      isPersonalised: false,
      dgis: {},
      state: ICC_STATE_BLANK,
    })),
    cardBlocked: false,
    lab,
  };
}
