/** Whether a card image can run: done once, so that no command meets a broken one. */
import { fromHex, TapError } from '../../bytes/index.ts';
import { decodeDol } from '../../iso7816/index.ts';
import {
  AIP_BYTES,
  CRYPTOGRAM_VERSION_01,
  CRYPTOGRAM_VERSION_17,
  CTQ_BYTES,
  EmvDataError,
  type IccContactless,
  type IccImage,
  type IccRecord,
  iccContactlessRecords,
  iccRecords,
  parseIccImage,
} from '../data/index.ts';
import { asksForQualifiers, longestDynamicRecord } from './contactless.ts';

/** Longest record, template included, that a short answer carries. */
const RECORD_BYTES_MAX = 254;

/**
 * A private copy of an image that is sound enough for every command.
 * @throws EmvDataError `ERR_EMV_IMAGE` with the fault as its cause.
 */
export function runnableImage(image: IccImage): IccImage {
  const copy = parseIccImage(JSON.stringify(image));
  try {
    assertSound(copy);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    throw new EmvDataError('ERR_EMV_IMAGE', 'the card image cannot run', {}, thrown);
  }
  return copy;
}

function assertSound(image: IccImage): void {
  const { keys, policy, rsa, state } = image;
  const rules: readonly [what: string, isSound: boolean][] = [
    ['aip', bytesOf(image.aip) === 2],
    ['aid', bytesOf(image.aid) >= 5 && bytesOf(image.aid) <= 16],
    ['keys', [keys.udkAc, keys.udkMac, keys.udkEnc].every((key) => bytesOf(key) === 16)],
    ['rsa', bytesOf(rsa.modulus) >= 64 && bytesOf(rsa.privateExponent) > 0],
    ['iac', Object.values(image.iac).every((code) => bytesOf(code) === 5)],
    ['cryptogramVersion', image.cryptogramVersion === CRYPTOGRAM_VERSION_01],
    ['policy', bytesOf(policy.applicationDefaultAction) >= 2],
    ['policy', bytesOf(policy.issuerAuthenticationIndicator) === 1],
    ['policy', isCount(policy.lowerConsecutiveOfflineLimit, 255)],
    ['policy', isCount(policy.upperConsecutiveOfflineLimit, 255)],
    ['policy', isMinor(policy.cumulativeAmountLimitMinor)],
    ['policy', isMinor(policy.cumulativeAmountUpperLimitMinor)],
    ['state', isCount(state.atc, 0xffff) && isCount(state.lastOnlineAtc, state.atc)],
    ['state', isCount(state.pinTryLimit, 15) && isCount(state.pinTryCounter, state.pinTryLimit)],
    ['state', isMinor(state.cumulativeOfflineAmountMinor) && isCount(state.scriptCounter, 15)],
    ['state', Array.isArray(state.log) && state.log.every((entry) => bytesOf(entry) <= 252)],
  ];
  const broken = rules.find(([, isSound]) => !isSound);
  if (broken) {
    throw new EmvDataError('ERR_EMV_IMAGE', `${broken[0]} is out of range`, { field: broken[0] });
  }
  for (const list of [image.pdol, image.cdol1, image.cdol2, image.ddol, image.logFormat]) {
    decodeDol(fromHex(list));
  }
  assertRecords(iccRecords(image));
  if (image.contactless !== null) assertContactless(image, image.contactless);
}

function assertContactless(image: IccImage, contactless: IccContactless): void {
  const { aip, ctq, cryptogramVersion, pdol } = contactless;
  const isSound =
    bytesOf(aip) === AIP_BYTES &&
    bytesOf(ctq) === CTQ_BYTES &&
    cryptogramVersion === CRYPTOGRAM_VERSION_17 &&
    asksForQualifiers(pdol);
  if (!isSound) {
    throw new EmvDataError('ERR_EMV_IMAGE', 'contactless is out of range', {
      field: 'contactless',
    });
  }
  assertRecords(iccContactlessRecords(image, contactless, longestDynamicRecord(image)));
}

function assertRecords(records: readonly IccRecord[]): void {
  if (records.some(({ value }) => value.length > RECORD_BYTES_MAX)) {
    throw new EmvDataError('ERR_EMV_IMAGE', 'a record is too long', { field: 'records' });
  }
}

/** Length of a hex value. @throws BytesError `ERR_BYTES_HEX`. */
function bytesOf(hex: unknown): number {
  return typeof hex === 'string' ? fromHex(hex).length : -1;
}

function isCount(value: unknown, max: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function isMinor(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9]{1,15}$/.test(value);
}
