/** The kernel's state in one transaction, and the questions every phase may ask. */
import { asciiToBytes, numericToBcd, TapError, uintToBytes } from '../../bytes/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import * as data from '../data/index.ts';
import type { CombinedState } from './combined-data-authentication.ts';
import { DataObjects, isCardObject } from './data-objects.ts';
import type { ElectronicCashState } from './electronic-cash.ts';
import { KernelError } from './errors.ts';
import { assertTerminalProfile, type TerminalAid } from './profile.ts';
import { transmitApdu } from './transport.ts';
import type {
  Cryptogram,
  DataAuthentication,
  Kernel,
  OfflineApproval,
  Phase,
  PhaseFacts,
  TerminalTransaction,
} from './types.ts';

/** Most commands of one transaction, GET RESPONSE included; real ones need 20 to 40. */
export const COMMANDS_MAX = 400;

/** Tag 9F39: the chip read by contact, or in the reader's field. @see ISO 8583:1987 field 22 */
export const POS_ENTRY_MODE_CONTACT = 0x05;
export const POS_ENTRY_MODE_CONTACTLESS = 0x07;

/** Mutable state of one transaction; each phase reads and writes its part. */
export type KernelContext = {
  readonly input: TerminalTransaction;
  /** The terminal's objects, with which every selected application begins. */
  readonly terminalObjects: DataObjects;
  data: DataObjects;
  /** Applications of the terminal that take part in this transaction. */
  terminalAids: readonly TerminalAid[];
  /** Rules of the selected application. */
  terminalAid: TerminalAid | null;
  label: string | null;
  /** Tags that GPO and records gave; none may come twice. */
  readonly readTags: Set<string>;
  /** Records under offline data authentication in the order read. */
  readonly staticRecords: Uint8Array[];
  /** A signed record had no template 70: authentication has failed. */
  staticDataFault: boolean;
  dataAuthentication: DataAuthentication;
  /** Null unless CDA is the method and the card's key is right. */
  combined: CombinedState | null;
  /** Data of GET PROCESSING OPTIONS as sent, without tag 83. */
  pdolValue: Uint8Array;
  issuerAuthentication: 'notPerformed' | 'passed' | 'failed';
  /** Null until both sides offer e-cash; it begins afresh with every application selected. */
  electronicCash: ElectronicCashState | null;
  /** Kept by the driver for upload; else the code of the fault that kept it from being kept. */
  offlineApproval: OfflineApproval | null;
  offlineApprovalFault: string | null;
  first: Cryptogram | null;
  second: Cryptogram | null;
  pinEntered: boolean;
  readonly scriptResults: Uint8Array[];
  commandsLeft: number;
  isCardReleased: boolean;
};

/**
 * State before the first command.
 * @throws KernelError `ERR_KERNEL_PROFILE`, `ERR_KERNEL_INPUT`.
 */
export function createContext(
  input: TerminalTransaction,
  entryMode: number = POS_ENTRY_MODE_CONTACT,
): KernelContext {
  assertTerminalProfile(input.terminal);
  const terminalObjects = terminalData(input, entryMode);
  return {
    input,
    terminalObjects,
    data: terminalObjects.copy(),
    terminalAids: input.terminal.aids,
    terminalAid: null,
    label: null,
    readTags: new Set(),
    staticRecords: [],
    staticDataFault: false,
    dataAuthentication: 'none',
    combined: null,
    pdolValue: new Uint8Array(0),
    issuerAuthentication: 'notPerformed',
    electronicCash: null,
    offlineApproval: null,
    offlineApprovalFault: null,
    first: null,
    second: null,
    pinEntered: false,
    scriptResults: [],
    commandsLeft: COMMANDS_MAX,
    isCardReleased: false,
  };
}

/** The terminal's data objects at the start of an application. @see EMV 4.3 B4 §6 */
function terminalData(input: TerminalTransaction, entryMode: number): DataObjects {
  const { terminal, merchant } = input;
  const objects = new DataObjects();
  const put = (tag: string, what: string, value: () => Uint8Array | undefined): void => {
    const bytes = inputValue(what, value);
    if (bytes) objects.set(tag, bytes);
  };
  assertDateAndTime(input);
  const amount = input.amountMinor;
  const other = input.otherAmountMinor;
  put(data.TAG_9F02_AMOUNT_AUTHORISED, 'amountMinor', () => amountBcd(amount));
  put(data.TAG_9F03_AMOUNT_OTHER, 'otherAmountMinor', () => amountBcd(other));
  put(data.TAG_81_AMOUNT_AUTHORISED_BINARY, 'amountMinor', () => amountBinary(amount));
  put(data.TAG_9F04_AMOUNT_OTHER_BINARY, 'otherAmountMinor', () => amountBinary(other));
  put(data.TAG_9C_TRANSACTION_TYPE, 'transactionType', () => uintToBytes(input.transactionType, 1));
  put(data.TAG_9A_TRANSACTION_DATE, 'dateYymmdd', () => numericToBcd(input.dateYymmdd, 3));
  put(data.TAG_9F21_TRANSACTION_TIME, 'timeHhmmss', () => numericToBcd(input.timeHhmmss, 3));
  put(data.TAG_9F41_TRANSACTION_SEQUENCE_COUNTER, 'sequenceCounter', () =>
    numericToBcd(input.sequenceCounter.toString(), 4),
  );
  put(data.TAG_9F1A_TERMINAL_COUNTRY_CODE, 'countryCode', () =>
    numericToBcd(terminal.countryCode, 2),
  );
  put(data.TAG_5F2A_TRANSACTION_CURRENCY_CODE, 'currency', () =>
    numericToBcd(terminal.currency, 2),
  );
  put(data.TAG_5F36_TRANSACTION_CURRENCY_EXPONENT, 'currencyExponent', () =>
    uintToBytes(terminal.currencyExponent, 1),
  );
  put(data.TAG_9F35_TERMINAL_TYPE, 'terminalType', () => uintToBytes(terminal.terminalType, 1));
  put(data.TAG_9F33_TERMINAL_CAPABILITIES, 'capabilities', () => terminal.capabilities);
  put(
    data.TAG_9F40_ADDITIONAL_TERMINAL_CAPABILITIES,
    'additionalCapabilities',
    () => terminal.additionalCapabilities,
  );
  put(data.TAG_9F1E_INTERFACE_DEVICE_SERIAL_NUMBER, 'interfaceDeviceSerialNumber', () =>
    asciiToBytes(terminal.interfaceDeviceSerialNumber),
  );
  put(data.TAG_DF69_PBOC_SM_SUPPORT_INDICATOR, 'supportsSmAlgorithms', () =>
    Uint8Array.of(terminal.supportsSmAlgorithms ? 0x01 : 0x00),
  );
  put(data.TAG_9F39_POS_ENTRY_MODE, 'posEntryMode', () => Uint8Array.of(entryMode));
  put(data.TAG_9F16_MERCHANT_IDENTIFIER, 'merchantId', () => text(merchant.merchantId, 15));
  put(data.TAG_9F1C_TERMINAL_IDENTIFICATION, 'terminalId', () => text(merchant.terminalId, 8));
  put(data.TAG_9F4E_MERCHANT_NAME_AND_LOCATION, 'nameAndLocation', () =>
    merchant.nameAndLocation === undefined ? undefined : name(merchant.nameAndLocation),
  );
  put(data.TAG_9F15_MERCHANT_CATEGORY_CODE, 'categoryCode', () =>
    merchant.categoryCode === undefined ? undefined : numericToBcd(merchant.categoryCode, 2),
  );
  put(data.TAG_9F01_ACQUIRER_IDENTIFIER, 'acquirerId', () =>
    merchant.acquirerId === undefined ? undefined : numericToBcd(merchant.acquirerId, 6),
  );
  objects.set(data.TAG_95_TERMINAL_VERIFICATION_RESULTS, data.tvrEmpty());
  objects.set(data.TAG_9B_TRANSACTION_STATUS_INFORMATION, data.tsiEmpty());
  objects.set(
    data.TAG_9F34_CVM_RESULTS,
    Uint8Array.of(data.CVM_RESULTS_NO_CVM_PERFORMED, 0x00, data.CVM_RESULT_UNKNOWN),
  );
  return objects;
}

function assertDateAndTime(input: TerminalTransaction): void {
  const month = Number(input.dateYymmdd.slice(2, 4));
  const day = Number(input.dateYymmdd.slice(4, 6));
  if (!/^[0-9]{6}$/.test(input.dateYymmdd) || month < 1 || month > 12 || day < 1 || day > 31) {
    throw inputError('dateYymmdd');
  }
  if (!/^([01][0-9]|2[0-3])([0-5][0-9]){2}$/.test(input.timeHhmmss)) throw inputError('timeHhmmss');
}

function amountBcd(amountMinor: bigint): Uint8Array {
  return numericToBcd(amountMinor.toString(), 6);
}

/** Four bytes; a larger amount has no binary form and is left out. */
function amountBinary(amountMinor: bigint): Uint8Array | undefined {
  return amountMinor > 0xffffffffn ? undefined : uintToBytes(Number(amountMinor), 4);
}

function text(value: string | undefined, lengthBytes: number): Uint8Array | undefined {
  if (value === undefined) return undefined;
  if (value.length > lengthBytes) throw inputError('merchant');
  return asciiToBytes(value.padEnd(lengthBytes, ' '));
}

/** Merchant names outside ASCII become question marks; the order keeps the true name. */
function name(value: string): Uint8Array {
  return asciiToBytes(value.replace(/[^\x20-\x7e]/g, '?').slice(0, 20));
}

function inputValue(what: string, value: () => Uint8Array | undefined): Uint8Array | undefined {
  try {
    return value();
  } catch (fault) {
    if (fault instanceof KernelError || !(fault instanceof TapError)) throw fault;
    throw inputError(what, fault);
  }
}

function inputError(member: string, cause?: unknown): KernelError {
  return new KernelError(
    'ERR_KERNEL_INPUT',
    `transaction: ${member} is out of range`,
    {
      member,
    },
    cause,
  );
}

/** Sends a command through the T=0 procedures and counts it. */
export function* transmit(context: KernelContext, command: CommandApdu): Kernel<ResponseApdu> {
  return yield* transmitApdu(command, () => countCommand(context));
}

/** Counts one command on the wire. @throws KernelError `ERR_CARD_LIMIT`. */
export function countCommand(context: KernelContext): void {
  context.commandsLeft -= 1;
  if (context.commandsLeft < 0) {
    throw new KernelError('ERR_CARD_LIMIT', `more than ${COMMANDS_MAX} commands`);
  }
}

/** Unpredictable bytes of the driver. @throws KernelError `ERR_KERNEL_ANSWER`. */
export function* askRandom(lengthBytes: number): Kernel<Uint8Array> {
  const answer = yield { kind: 'random', lengthBytes };
  if (!(answer instanceof Uint8Array) || answer.length !== lengthBytes) {
    throw new KernelError('ERR_KERNEL_ANSWER', `driver did not give ${lengthBytes} random bytes`);
  }
  return answer.slice();
}

/** Tells the driver that a phase is over. */
export function* reportPhase(
  context: KernelContext,
  phase: Phase,
  facts: PhaseFacts = {},
): Kernel<void> {
  const tvr = tvrOf(context).slice();
  yield { kind: 'phase', phase, tvr, tsi: tsiOf(context).slice(), facts };
}

/** Tag 95. */
export function tvrOf(context: KernelContext): Uint8Array {
  return context.data.get(data.TAG_95_TERMINAL_VERIFICATION_RESULTS) ?? data.tvrEmpty();
}

/** Tag 9B. */
export function tsiOf(context: KernelContext): Uint8Array {
  return context.data.get(data.TAG_9B_TRANSACTION_STATUS_INFORMATION) ?? data.tsiEmpty();
}

/** Sets a bit of the TVR. */
export function markTvr(context: KernelContext, bit: data.StatusBit): void {
  const tvr = data.tvrSet(tvrOf(context), bit);
  context.data.set(data.TAG_95_TERMINAL_VERIFICATION_RESULTS, tvr);
}

/** Sets a bit of the TSI. */
export function markTsi(context: KernelContext, bit: data.StatusBit): void {
  const tsi = data.tsiSet(tsiOf(context), bit);
  context.data.set(data.TAG_9B_TRANSACTION_STATUS_INFORMATION, tsi);
}

/** Whether the card's AIP has the bit. */
export function aipSays(context: KernelContext, bit: data.StatusBit): boolean {
  const aip = context.data.get(data.TAG_82_APPLICATION_INTERCHANGE_PROFILE);
  return aip !== undefined && data.aipHas(aip, bit);
}

/** Whether the terminal has the capability. */
export function terminalCan(context: KernelContext, bit: data.StatusBit): boolean {
  return data.hasBit(context.input.terminal.capabilities, bit);
}

/**
 * A card object of exactly `lengthBytes`, or undefined when the card has none.
 * @throws KernelError `ERR_CARD_DATA` on another length. @see EMV 4.3 B3 §7.5
 */
export function cardValue(
  context: KernelContext,
  tag: string,
  lengthBytes: number,
): Uint8Array | undefined {
  const value = context.data.get(tag);
  if (value === undefined || value.length === lengthBytes) return value;
  throw new KernelError('ERR_CARD_DATA', `${tag} has ${value.length} bytes, not ${lengthBytes}`, {
    tag,
    lengthBytes: value.length,
  });
}

/**
 * Stores the card's objects; terminal objects and unknown tags are ignored, and an object that the
 * FCI gave already keeps that value.
 * @throws KernelError `ERR_CARD_REDUNDANT_DATA` when GPO and records give one twice.
 * @see EMV 4.3 B3 §10.2
 */
export function storeCardObjects(
  context: KernelContext,
  objects: Iterable<readonly [string, Uint8Array]>,
): void {
  for (const [tag, value] of objects) {
    if (!isCardObject(tag)) continue;
    if (context.readTags.has(tag)) {
      throw new KernelError('ERR_CARD_REDUNDANT_DATA', `the card gives ${tag} twice`, { tag });
    }
    context.readTags.add(tag);
    if (!context.data.has(tag)) context.data.set(tag, value);
  }
}

/** The rules of the selected application; selection sets them before any phase asks. */
export function selectedAid(context: KernelContext): TerminalAid {
  if (context.terminalAid === null) throw new KernelError('ERR_KERNEL_INPUT', 'nothing selected');
  return context.terminalAid;
}

/** The card's first cryptogram. @throws KernelError `ERR_KERNEL_INPUT` before it was given. */
export function firstCryptogram(context: KernelContext): Cryptogram {
  if (context.first === null) throw new KernelError('ERR_KERNEL_INPUT', 'no cryptogram yet');
  return context.first;
}

/** Second digit of the terminal type: 1, 4 online only; 3, 6 offline only. @see EMV 4.3 B4 §A1 */
export function onlineCapability(terminalType: number): 'onlineOnly' | 'both' | 'offlineOnly' {
  const digit = terminalType & 0x0f;
  if (digit === 1 || digit === 4) return 'onlineOnly';
  return digit === 3 || digit === 6 ? 'offlineOnly' : 'both';
}

/** Whether no attendant is there: second digit 4 to 6. @see EMV 4.3 B4 §A1 */
export function isUnattended(terminalType: number): boolean {
  return (terminalType & 0x0f) >= 4;
}
