/**
 * Data objects of a card by what belongs together, before anybody decides in which record they
 * stand. @see EMV 4.3 B3 §7.1, §10.2; PBOC3 P5
 */
import {
  asciiToBytes,
  compressedToBcd,
  concatBytes,
  fromHex,
  numericToBcd,
} from '../../bytes/index.ts';
import { encodeTlv } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';

/** One data object. */
export type DataObject = { readonly tag: string; readonly value: Uint8Array };

/** Objects that move from record to record together. */
export type ContentName =
  | 'track2'
  | 'holder'
  | 'identity'
  | 'restrictions'
  | 'contactlessIdentity'
  | 'lists'
  | 'version'
  | 'issuerKey'
  | 'issuerCertificate'
  | 'iccCertificate'
  | 'pinCertificate'
  | 'signedStaticData'
  | 'authorisationCode'
  | 'dynamic';

/** Contents of one side of an application. */
export type CardContents = Readonly<Partial<Record<ContentName, readonly DataObject[]>>>;

/** Languages of the cardholder, tag 5F2D. */
const LANGUAGES = 'zhen';
/** 9F11: ISO 8859-1. */
const CODE_TABLE_INDEX: Uint8Array = Uint8Array.of(0x01);
/** Log of payments in file 11, log of loads in file 12, ten records each. @see PBOC3 P5 (9F4D) */
const LOG_ENTRY = '0B0A';
const LOAD_LOG_ENTRY = '0C0A';

/** Bytes of data objects, one after the other. */
export function encodeObjects(objects: readonly DataObject[]): Uint8Array {
  return concatBytes(...objects.map(({ tag, value }) => encodeTlv(tag, value)));
}

function hexObject(tag: string, hex: string): DataObject {
  return { tag, value: fromHex(hex) };
}

/** Track 2 equivalent data (57): PAN, D, expiry, service code, discretionary data, F filler. */
export function track2Of(
  model: Pick<data.CardModel, 'pan' | 'expiryYymm' | 'serviceCode'>,
): Uint8Array {
  const track = `${model.pan}D${model.expiryYymm}${model.serviceCode}00000`;
  return fromHex(track.length % 2 === 0 ? track : `${track}F`);
}

/** What the card says of itself; certificates and signatures come later, over these. */
export function plainContents(
  model: data.CardModel,
  application: data.ApplicationModel,
): CardContents {
  const identity = [
    { tag: data.TAG_5A_APPLICATION_PAN, value: compressedToBcd(model.pan) },
    hexObject(data.TAG_5F34_PAN_SEQUENCE_NUMBER, model.panSequenceNumber),
    hexObject(data.TAG_5F24_APPLICATION_EXPIRATION_DATE, data.expirationDate(model)),
    hexObject(data.TAG_5F25_APPLICATION_EFFECTIVE_DATE, `${model.effectiveYymm}01`),
  ];
  const { actionCodes } = application;
  const usage = [
    hexObject(data.TAG_5F28_ISSUER_COUNTRY_CODE, model.issuerCountryCode),
    hexObject(data.TAG_9F07_APPLICATION_USAGE_CONTROL, application.applicationUsageControl),
  ];
  const signedAip = hexObject(data.TAG_9F4A_STATIC_DATA_AUTHENTICATION_TAG_LIST, '82');
  const version = hexObject(
    data.TAG_9F08_APPLICATION_VERSION_NUMBER_ICC,
    application.applicationVersion,
  );
  const cash = application.electronicCash;
  return {
    track2: [{ tag: data.TAG_57_TRACK_2_EQUIVALENT_DATA, value: track2Of(model) }],
    holder: [{ tag: data.TAG_5F20_CARDHOLDER_NAME, value: asciiToBytes(model.cardholderName) }],
    identity,
    restrictions: [
      ...usage,
      hexObject(data.TAG_8E_CVM_LIST, application.cvmList),
      hexObject(data.TAG_9F0D_ISSUER_ACTION_CODE_DEFAULT, actionCodes.default),
      hexObject(data.TAG_9F0E_ISSUER_ACTION_CODE_DENIAL, actionCodes.denial),
      hexObject(data.TAG_9F0F_ISSUER_ACTION_CODE_ONLINE, actionCodes.online),
      signedAip,
    ],
    // 57 and 5F34 come with the answer to GET PROCESSING OPTIONS, and none may come twice.
    contactlessIdentity: [
      ...identity.filter(({ tag }) => tag !== data.TAG_5F34_PAN_SEQUENCE_NUMBER),
      ...usage,
      signedAip,
    ],
    lists: [
      hexObject(data.TAG_8C_CDOL1, application.cdol1),
      hexObject(data.TAG_8D_CDOL2, application.cdol2),
      hexObject(data.TAG_9F49_DDOL, application.ddol),
      hexObject(data.TAG_5F30_SERVICE_CODE, model.serviceCode.padStart(4, '0')),
      version,
      hexObject(data.TAG_9F42_APPLICATION_CURRENCY_CODE, model.currencyCode),
    ],
    version: [version],
    ...(cash === null
      ? {}
      : {
          authorisationCode: [
            {
              tag: data.TAG_9F74_PBOC_EC_ISSUER_AUTHORISATION_CODE,
              value: asciiToBytes(cash.authorisationCode),
            },
          ],
        }),
  };
}

/** Internal data objects (0D01): what GET DATA reads, PUT DATA writes and the card decides by. */
export function internalData(
  model: data.CardModel,
  application: data.ApplicationModel,
): readonly DataObject[] {
  const policy = application.riskPolicy;
  const hasContact = application.interfaces.includes('contact');
  return [
    hexObject(data.TAG_9F52_PBOC_APPLICATION_DEFAULT_ACTION, policy.applicationDefaultAction),
    amountObject(data.TAG_9F54_PBOC_CUMULATIVE_AMOUNT_LIMIT, policy.cumulativeAmountLimitMinor),
    hexObject(
      data.TAG_9F56_PBOC_ISSUER_AUTHENTICATION_INDICATOR,
      policy.issuerAuthenticationIndicator,
    ),
    countObject(
      data.TAG_9F58_PBOC_LOWER_CONSECUTIVE_OFFLINE_LIMIT,
      policy.lowerConsecutiveOfflineLimit,
    ),
    countObject(
      data.TAG_9F59_PBOC_UPPER_CONSECUTIVE_OFFLINE_LIMIT,
      policy.upperConsecutiveOfflineLimit,
    ),
    amountObject(
      data.TAG_9F5C_PBOC_CUMULATIVE_AMOUNT_UPPER_LIMIT,
      policy.cumulativeAmountUpperLimitMinor,
    ),
    hexObject(
      data.TAG_9F51_PBOC_APPLICATION_CURRENCY_CODE,
      application.electronicCash?.currencyCode ?? model.currencyCode,
    ),
    hexObject(data.TAG_9F4F_LOG_FORMAT, application.logFormat),
    ...(application.interfaces.includes('contactless')
      ? [
          hexObject(
            data.TAG_9F6C_PBOC_CARD_TRANSACTION_QUALIFIERS,
            application.cardTransactionQualifiers,
          ),
        ]
      : []),
    // By contact they stand in records; the contactless answer needs them in any case.
    ...(hasContact
      ? []
      : [
          { tag: data.TAG_57_TRACK_2_EQUIVALENT_DATA, value: track2Of(model) },
          hexObject(data.TAG_5F34_PAN_SEQUENCE_NUMBER, model.panSequenceNumber),
        ]),
    ...purseObjects(application),
  ];
}

function purseObjects(application: data.ApplicationModel): readonly DataObject[] {
  const cash = application.electronicCash;
  if (cash === null) return [];
  const { second } = cash;
  return [
    amountObject(data.TAG_9F77_PBOC_EC_BALANCE_LIMIT, cash.balanceLimitMinor),
    amountObject(data.TAG_9F78_PBOC_EC_SINGLE_TRANSACTION_LIMIT, cash.singleTransactionLimitMinor),
    amountObject(data.TAG_9F79_PBOC_EC_BALANCE, cash.balanceMinor),
    amountObject(data.TAG_9F6D_PBOC_EC_RESET_THRESHOLD, cash.resetThresholdMinor),
    hexObject(data.TAG_DF4F_PBOC_LOAD_LOG_FORMAT, application.loadLogFormat),
    ...(second === null
      ? []
      : [
          hexObject(data.TAG_DF71_PBOC_SECOND_EC_CURRENCY_CODE, second.currencyCode),
          amountObject(data.TAG_DF76_PBOC_SECOND_EC_RESET_THRESHOLD, second.resetThresholdMinor),
          amountObject(data.TAG_DF77_PBOC_SECOND_EC_BALANCE_LIMIT, second.balanceLimitMinor),
          amountObject(
            data.TAG_DF78_PBOC_SECOND_EC_SINGLE_TRANSACTION_LIMIT,
            second.singleTransactionLimitMinor,
          ),
          amountObject(data.TAG_DF79_PBOC_SECOND_EC_BALANCE, second.balanceMinor),
        ]),
  ];
}

function amountObject(tag: string, minor: string): DataObject {
  return { tag, value: numericToBcd(minor, 6) };
}

function countObject(tag: string, count: number): DataObject {
  return { tag, value: Uint8Array.of(count) };
}

/** The FCI proprietary template (A5) of an application. @see EMV 4.3 B1 §11.3.4 table 45 */
export function applicationTemplate(application: data.ApplicationModel, pdol: string): Uint8Array {
  const logs = [
    hexObject(data.TAG_9F4D_LOG_ENTRY, LOG_ENTRY),
    ...(application.electronicCash === null
      ? []
      : [hexObject(data.TAG_DF4D_PBOC_LOAD_LOG_ENTRY, LOAD_LOG_ENTRY)]),
  ];
  return encodeTlv(
    data.TAG_A5_FCI_PROPRIETARY_TEMPLATE,
    encodeObjects([
      { tag: data.TAG_50_APPLICATION_LABEL, value: asciiToBytes(application.label) },
      priorityObject(application),
      ...(pdol === '' ? [] : [hexObject(data.TAG_9F38_PDOL, pdol)]),
      { tag: data.TAG_5F2D_LANGUAGE_PREFERENCE, value: asciiToBytes(LANGUAGES) },
      { tag: data.TAG_9F11_ISSUER_CODE_TABLE_INDEX, value: CODE_TABLE_INDEX },
      {
        tag: data.TAG_9F12_APPLICATION_PREFERRED_NAME,
        value: asciiToBytes(application.preferredName),
      },
      { tag: data.TAG_BF0C_FCI_ISSUER_DISCRETIONARY_DATA, value: encodeObjects(logs) },
    ]),
  );
}

/** A directory's entry of one application (61). @see EMV 4.3 B1 §12.2.3 */
export function directoryEntry(application: data.ApplicationModel): Uint8Array {
  return encodeTlv(
    data.TAG_61_APPLICATION_TEMPLATE,
    encodeObjects([
      hexObject(data.TAG_4F_APPLICATION_DEDICATED_FILE_NAME, application.aid),
      { tag: data.TAG_50_APPLICATION_LABEL, value: asciiToBytes(application.label) },
      priorityObject(application),
    ]),
  );
}

/** Tag 87: bit 8 asks for confirmation, bits 4-1 are the priority. @see EMV 4.3 B1 table 48 */
function priorityObject(application: data.ApplicationModel): DataObject {
  const confirmation = application.needsConfirmation ? 0x80 : 0x00;
  const value = Uint8Array.of(confirmation | application.priority);
  return { tag: data.TAG_87_APPLICATION_PRIORITY_INDICATOR, value };
}

/** The proprietary template of 1PAY.SYS.DDF01, whose directory is file 1. */
export function directoryTemplate(): Uint8Array {
  return encodeTlv(
    data.TAG_A5_FCI_PROPRIETARY_TEMPLATE,
    encodeObjects([
      { tag: data.TAG_88_SHORT_FILE_IDENTIFIER, value: Uint8Array.of(0x01) },
      { tag: data.TAG_5F2D_LANGUAGE_PREFERENCE, value: asciiToBytes(LANGUAGES) },
    ]),
  );
}
