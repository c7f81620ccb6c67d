/** Whether a card image can run: done once, so that no command meets a broken one. */
import { TapError } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import { isCryptogramVersion } from './cryptograms.ts';
import { AMOUNT_MINOR_MAX } from './purse.ts';

/** Longest record, template included, that a short answer carries. */
const RECORD_BYTES_MAX = 254;
const CARD_KEYS_BYTES = 48;
const PIN_BLOCK_BYTES = 8;
const SM2_PRIVATE_KEY_BYTES = 32;
const PIN_TRIES_MAX = 15;

/** What must hold, by the name of the part. */
type Rules = readonly (readonly [what: string, isSound: boolean])[];

/**
 * A private copy of an image that is sound enough for every command.
 * @throws EmvDataError `ERR_EMV_IMAGE`, `ERR_EMV_IMAGE_VERSION`.
 */
export function runnableImage(image: data.IccImage): data.IccImage {
  const copy = data.parseIccImage(JSON.stringify(image));
  assertApplicationsRun(copy);
  return copy;
}

/**
 * Every personalised application can run. Odd records, lists and certificates pass: they are the
 * terminal's to find. What the card itself computes with must be right.
 * @throws EmvDataError `ERR_EMV_IMAGE` with the `path` of what is wrong.
 */
function assertApplicationsRun(image: data.IccImage): void {
  image.applications.forEach((application, index) => {
    if (!application.isPersonalised) return;
    const broken = rulesOf(application).find(([, isSound]) => !isSound);
    if (!broken) return;
    const path = `image.applications[${index}].${broken[0]}`;
    throw new data.EmvDataError('ERR_EMV_IMAGE', `${path} cannot run`, { path });
  });
}

function rulesOf(application: data.IccApplication): Rules {
  const lengthOf = (id: string) => data.iccDgi(application, id)?.length;
  const isAbsentOr = (id: string, bytes: number) => [undefined, bytes].includes(lengthOf(id));
  const keys = [data.DGI_UDK_3DES, data.DGI_UDK_SM4];
  const { state } = application;
  const tries = data.iccDgi(application, data.DGI_PIN_TRIES);
  const records = Object.keys(application.dgis).filter(data.isRecordDgi);
  return [
    ['dgis.0D02', hasCryptogramParameters(application)],
    ['dgis.8000', keys.some((id) => lengthOf(id) !== undefined)],
    ...keys.map((id) => [`dgis.${id}`, isAbsentOr(id, CARD_KEYS_BYTES)] as const),
    ['dgis.8010', isAbsentOr(data.DGI_PIN_REFERENCE, PIN_BLOCK_BYTES)],
    ['dgis.8401', isAbsentOr(data.DGI_ICC_SM2_PRIVATE_KEY, SM2_PRIVATE_KEY_BYTES)],
    ['dgis.9010', tries === undefined || isTries(tries)],
    ...records.map((id) => [`dgis.${id}`, (lengthOf(id) ?? 0) <= RECORD_BYTES_MAX] as const),
    ['state.lastOnlineAtc', state.lastOnlineAtc <= state.atc],
    ['state.pinTryCounter', state.pinTryCounter <= (tries?.[1] ?? PIN_TRIES_MAX)],
    ['state.electronicCash', isPurse(state.electronicCash)],
  ];
}

function hasCryptogramParameters(application: data.IccApplication): boolean {
  const value = data.iccDgi(application, data.DGI_CRYPTOGRAM_PARAMETERS);
  if (!value) return false;
  try {
    const { contactVersion, contactlessVersion } = data.decodeCryptogramParameters(value);
    return isCryptogramVersion(contactVersion) && isCryptogramVersion(contactlessVersion);
  } catch (thrown) {
    if (thrown instanceof TapError) return false;
    throw thrown;
  }
}

function isTries(tries: Uint8Array): boolean {
  const [counter = 0, limit = 0] = tries;
  return tries.length === 2 && counter <= limit && limit <= PIN_TRIES_MAX;
}

function isPurse(cash: data.IccApplicationState['electronicCash']): boolean {
  if (cash === null) return true;
  const balances = [cash.balanceMinor, cash.secondBalanceMinor];
  return balances.every((minor) => BigInt(minor) <= AMOUNT_MINOR_MAX);
}
