/**
 * The card image: what personalisation makes, the virtual card runs and the agent stores. A card is
 * what STORE DATA wrote into it (data groupings, see dgi.ts) and a small state beside it.
 */
import { fromHex, toHex } from '../../bytes/index.ts';
import { decodeTlv, findTlv, type Tlv } from '../../iso7816/index.ts';
import { DGI_CONTACT_FCI, DGI_CONTACTLESS_FCI, DGI_INTERNAL_DATA, isRecordDgi } from './dgi.ts';
import { EmvDataError } from './errors.ts';
import { assertIccImage } from './icc-image-shape.ts';
import * as tags from './tags.ts';

/** Records of a log file that are kept. @see PBOC3 P5 (9F4D) */
export const ICC_LOG_RECORDS_MAX = 10;
/** Layout version of `IccImage`. */
export const ICC_IMAGE_VERSION = 3;

/** Counters and memories of one application that outlive a session. */
export type IccApplicationState = {
  readonly atc: number;
  readonly lastOnlineAtc: number;
  readonly pinTryCounter: number;
  /** Minor units approved offline since the last online transaction. */
  readonly cumulativeOfflineAmountMinor: string;
  /** Offline transactions in another currency than the card's since the last online one. */
  readonly internationalOfflineCount: number;
  readonly applicationBlocked: boolean;
  readonly lastOnlineNotCompleted: boolean;
  readonly lastIssuerAuthenticationFailed: boolean;
  readonly issuerAuthenticationNotPerformed: boolean;
  readonly lastSdaFailed: boolean;
  readonly lastDdaFailed: boolean;
  readonly lastScriptFailed: boolean;
  /** Secured script commands processed after the second GENERATE AC, 0 to 15. */
  readonly scriptCounter: number;
  /** Electronic cash, minor units: 9F79 and, in the second currency, DF79; null without e-cash. */
  readonly electronicCash: {
    readonly balanceMinor: string;
    readonly secondBalanceMinor: string;
  } | null;
  /** Newest first, each in the log format (9F4F), hex. */
  readonly log: readonly string[];
  /** Newest first, each in the load log format (DF4F), hex. */
  readonly loadLog: readonly string[];
};

/**
 * One application. Values that commands change stand in `state` (counter, balances, tries) or are
 * written back into `dgis` (PUT DATA into 0D01, UPDATE RECORD, PIN change into 8010).
 */
export type IccApplication = {
  /** 5 to 16 bytes, hex. */
  readonly aid: string;
  /** False until the last STORE DATA of this application. */
  readonly isPersonalised: boolean;
  /** Personalised values by DGI, hex, as STORE DATA gave them; secret ones deciphered. */
  readonly dgis: Readonly<Record<string, string>>;
  readonly state: IccApplicationState;
};

/** Behaviour that no personalisation can say; all of it is for the lab. */
export type IccLabBehaviour = {
  /** Answer to the contactless GET PROCESSING OPTIONS; `6984` asks for insertion. */
  readonly contactlessRefusal: '6984' | null;
  /** Status word (hex) answered to a SELECT of a name (hex), without data. */
  readonly selectStatusWords: Readonly<Record<string, string>>;
  /** The first GENERATE AC answers AAC whatever is asked for. */
  readonly declinesOffline: boolean;
};

/** A card without special behaviour. */
export const ICC_LAB_NONE: IccLabBehaviour = {
  contactlessRefusal: null,
  selectStatusWords: {},
  declinesOffline: false,
};

/** All of a virtual card as plain JSON; byte values are upper-case hex. Holds clear keys. */
export type IccImage = {
  readonly version: typeof ICC_IMAGE_VERSION;
  /** Contact ATR; its first protocol decides whether answers come as 61xx and 6Cxx. */
  readonly atr: string;
  /** The contactless ATR that PC/SC makes of the card's ATS. */
  readonly ats: string;
  /** `personalisation`: takes STORE DATA, no payment commands; `operational`: the reverse. */
  readonly life: 'personalisation' | 'operational';
  /** Key (16 bytes, 3DES) that secret groupings come enciphered under; empty once operational. */
  readonly transportKey: string;
  /**
   * 1PAY.SYS.DDF01: the whole answer to SELECT (template 6F) and the records by their grouping
   * (`0101`). Null: the card has none. `fci` is empty until it is personalised.
   */
  readonly pse: { readonly fci: string; readonly records: Readonly<Record<string, string>> } | null;
  /** 2PAY.SYS.DDF01: the whole answer to SELECT. Null: the card has none. */
  readonly ppse: { readonly fci: string } | null;
  readonly applications: readonly IccApplication[];
  readonly cardBlocked: boolean;
  readonly lab: IccLabBehaviour;
};

/** Contact ATR of our cards, T=1. @see EMV 4.3 B1 §8.3 table 16 */
export const ICC_ATR_T1 = '3BE700008131FE455441504E504159AF';
/** Contact ATR of our cards, T=0. @see EMV 4.3 B1 §8.3 table 15 */
export const ICC_ATR_T0 = '3B6700005441504E504159';
/** Contactless ATR of our cards as PC/SC shows it. */
export const ICC_ATS = '3B8780015441504E50415945';

/** First protocol that a contact ATR offers. @see ISO 7816-4; EMV 4.3 B1 §8.3.3.4 (TD1) */
export function atrProtocol(atr: string): 'T=0' | 'T=1' {
  const bytes = fromHex(atr);
  const t0 = bytes[1] ?? 0;
  if ((t0 & 0x80) === 0) return 'T=0';
  const before = [0x10, 0x20, 0x40].filter((bit) => (t0 & bit) !== 0).length;
  return ((bytes[2 + before] ?? 0) & 0x0f) === 1 ? 'T=1' : 'T=0';
}

/**
 * A card image of its JSON text, checked for version and shape.
 * @throws EmvDataError `ERR_EMV_IMAGE` with the `path` of what is wrong, `ERR_EMV_IMAGE_VERSION`
 * for an image of another version; the message never quotes the text.
 */
export function parseIccImage(text: string): IccImage {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new EmvDataError('ERR_EMV_IMAGE', 'the card image is not JSON');
  }
  assertIccImage(parsed);
  return parsed;
}

/** What people and lists are shown of a card. */
export type IccSummary = {
  readonly pan: string;
  readonly label: string;
  readonly expiryYymm: string;
  readonly applicationTransactionCounter: number;
  readonly interfaces: readonly ('contact' | 'contactless')[];
};

/** Summary of the first application; empty texts for what the card does not say. */
export function iccSummary(image: IccImage): IccSummary {
  const application = image.applications[0];
  if (application === undefined) {
    const nothing = { pan: '', label: '', expiryYymm: '' };
    return { ...nothing, applicationTransactionCounter: 0, interfaces: [] };
  }
  const hexOf = (tag: string): string => toHex(iccObject(application, tag) ?? new Uint8Array(0));
  const label = iccObject(application, tags.TAG_50_APPLICATION_LABEL) ?? new Uint8Array(0);
  return {
    pan: hexOf(tags.TAG_5A_APPLICATION_PAN).replace(/F+$/, ''),
    label: String.fromCharCode(...label),
    expiryYymm: hexOf(tags.TAG_5F24_APPLICATION_EXPIRATION_DATE).slice(0, 4),
    applicationTransactionCounter: application.state.atc,
    interfaces: iccInterfaces(application),
  };
}

/** Interfaces that an application is personalised for: those that have a file control template. */
export function iccInterfaces(
  application: Pick<IccApplication, 'dgis'>,
): readonly ('contact' | 'contactless')[] {
  const { dgis } = application;
  return [
    ...(dgis[DGI_CONTACT_FCI] === undefined ? [] : (['contact'] as const)),
    ...(dgis[DGI_CONTACTLESS_FCI] === undefined ? [] : (['contactless'] as const)),
  ];
}

/** Value of a grouping, or undefined. */
export function iccDgi(
  application: Pick<IccApplication, 'dgis'>,
  dgi: string,
): Uint8Array | undefined {
  const hex = application.dgis[dgi];
  return hex === undefined ? undefined : fromHex(hex);
}

/** Value of an internal data object (grouping 0D01), or undefined. */
export function internalDataObject(
  application: Pick<IccApplication, 'dgis'>,
  tag: string,
): Uint8Array | undefined {
  return findTlv(readableTlv(iccDgi(application, DGI_INTERNAL_DATA)), tag)?.value;
}

/** Where `iccObject` looks, in this order: internal objects, FCIs, then every record by number. */
function objectGroupings(dgis: Readonly<Record<string, string>>): readonly string[] {
  const first = [DGI_INTERNAL_DATA, DGI_CONTACT_FCI, DGI_CONTACTLESS_FCI];
  return [...first, ...Object.keys(dgis).filter(isRecordDgi).sort()];
}

/**
 * Value of a data object wherever the personalisation put it: 0D01, then the FCIs, then records in
 * the order of their numbers. A grouping that is no TLV (trouble cards have such) is passed over.
 */
export function iccObject(
  application: Pick<IccApplication, 'dgis'>,
  tag: string,
): Uint8Array | undefined {
  for (const dgi of objectGroupings(application.dgis)) {
    const found = findTlv(readableTlv(iccDgi(application, dgi)), tag);
    if (found) return found.value;
  }
  return undefined;
}

/** Data objects of a value; none when it is no TLV. */
function readableTlv(value: Uint8Array | undefined): readonly Tlv[] {
  if (value === undefined) return [];
  try {
    return decodeTlv(value);
  } catch {
    return [];
  }
}
