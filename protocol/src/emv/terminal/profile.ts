/** The terminal profile: what the acceptor is, which applications it takes and under what rules. */
import { byteAt, fromHex, type Secret, TapError } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/provider.ts';
import { decodeDol } from '../../iso7816/index.ts';
import {
  hasBit,
  TTQ_1_MSD_SUPPORTED,
  TTQ_1_QPBOC_SUPPORTED,
  TTQ_4_FDDA_VERSION_01_SUPPORTED,
  TTQ_BYTES,
} from '../data/index.ts';
import { type CaPublicKey, type CaPublicKeyTable, loadCaPublicKeys } from './ca-keys.ts';
import { KernelError } from './errors.ts';

/** Random selection for online processing. @see EMV 4.3 B3 §10.6.2 */
export type RandomSelection = {
  /** 0 to 99; 0 switches it off. */
  readonly targetPercentage: number;
  readonly maximumTargetPercentage: number;
  readonly thresholdMinor: bigint;
};

/** Limits of the contactless reader in minor units. @see EMV C-7 §3.1 */
export type ContactlessLimits = {
  readonly floorLimitMinor: bigint;
  /** A larger amount takes no tap. */
  readonly transactionLimitMinor: bigint;
  /** A larger amount wants the cardholder verified. */
  readonly cvmLimitMinor: bigint;
  /** Amount 0.00: refused here, or asked online; absent is online. @see EMV C-7 §3.1 */
  readonly zeroAmount?: 'online' | 'refused';
};

/** Rules for one application. */
export type TerminalAid = {
  /** 5 to 16 bytes. */
  readonly aid: Uint8Array;
  /** Takes every card AID that begins with `aid`. @see EMV 4.3 B1 §12.3.1 */
  readonly partialSelection: boolean;
  /** 9F09, 2 bytes. */
  readonly applicationVersion: Uint8Array;
  readonly tacDefault: Uint8Array;
  readonly tacDenial: Uint8Array;
  readonly tacOnline: Uint8Array;
  /** 9F1B in minor units. */
  readonly floorLimitMinor: bigint;
  readonly randomSelection: RandomSelection;
  readonly defaultDdol: Uint8Array | null;
  readonly defaultTdol: Uint8Array | null;
  /** Null: contact only. */
  readonly contactless: ContactlessLimits | null;
  /** Null or absent: no e-cash with this application. */
  readonly electronicCash?: ElectronicCashLimits | null;
};

/** E-cash acceptance. @see PBOC3 P13 */
export type ElectronicCashLimits = {
  /** 9F7B: a larger or equal amount is no e-cash transaction. */
  readonly transactionLimitMinor: bigint;
};

/** One revoked issuer certificate. @see EMV 4.3 B2 §5.1.2 */
export type CertificateRevocation = {
  /** 5 bytes. */
  readonly rid: Uint8Array;
  readonly caIndex: number;
  /** 3 bytes. */
  readonly serialNumber: Uint8Array;
};

/** What the terminal remembers of its own offline approvals. @see EMV 4.3 B3 §10.6.1 */
export interface TransactionAmountLog {
  /** Sum of the amounts logged for this card, minor units; 0n without an entry. */
  amountMinorOf(pan: Secret<string>, panSequenceNumber: Secret<string>): bigint;
}

/** The acceptor. */
export type TerminalProfile = {
  /** ISO 3166 numeric, 3 digits. */
  readonly countryCode: string;
  /** ISO 4217 numeric, 3 digits. */
  readonly currency: string;
  readonly currencyExponent: number;
  /** 9F35 as a byte, `0x22` for attended, online with offline. @see EMV 4.3 B4 §A1 */
  readonly terminalType: number;
  /** 9F33, 3 bytes. */
  readonly capabilities: Uint8Array;
  /** 9F40, 5 bytes. */
  readonly additionalCapabilities: Uint8Array;
  /** 9F66, 4 bytes, before the two transient bits of byte 2 are set. @see EMV C-7 table 3-1 */
  readonly terminalTransactionQualifiers: Uint8Array;
  /** 9F1E, 8 characters. */
  readonly interfaceDeviceSerialNumber: string;
  readonly aids: readonly TerminalAid[];
  readonly caPublicKeys: CaPublicKeyTable;
  /** Cards that this terminal must refuse; none without it. @see EMV 4.3 B4 §6.3.5 */
  readonly isOnExceptionFile?: (pan: Secret<string>, panSequenceNumber: Secret<string>) => boolean;
  /** Certificate revocation list; empty when absent. @see EMV 4.3 B2 §5.1.2 */
  readonly revokedCertificates?: readonly CertificateRevocation[];
  /** Split sales count together; without it each sale stands alone. */
  readonly amountLog?: TransactionAmountLog;
  /** DF69 as 1: the terminal takes SM2, SM3 and SM4 cards; absent is no. @see PBOC3 P7 */
  readonly supportsSmAlgorithms?: boolean;
};

/** Most applications a profile may name. */
export const TERMINAL_AIDS_MAX = 32;
/** Most rows of a revocation list; a terminal must hold 30 a RID. @see EMV 4.3 B2 §5.1.2 */
export const REVOKED_CERTIFICATES_MAX = 1024;

/**
 * First digit: financial institution, merchant, cardholder; second: online only, both, offline
 * only, attended then unattended. A cardholder's own terminal is never attended.
 * @see EMV 4.3 B4 §A1 table 24
 */
const TERMINAL_TYPES: readonly number[] = [
  0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x34, 0x35, 0x36,
];
/** 9F02 and the e-cash amounts have 12 digits. */
const AMOUNT_MINOR_MAX = 999_999_999_999n;

/** Plain form of the acceptance parameters a gateway manages; byte values are hex. */
export type TerminalParameters = {
  readonly terminalTransactionQualifiers: string;
  readonly countryCode: string;
  readonly terminalType: string;
  readonly terminalCapabilities: string;
  readonly additionalTerminalCapabilities: string;
  readonly aids: readonly {
    readonly aid: string;
    readonly applicationVersion: string;
    readonly tacDefault: string;
    readonly tacDenial: string;
    readonly tacOnline: string;
    readonly floorLimitMinor: string;
    readonly defaultDdol: string;
    readonly contactless: {
      readonly floorLimitMinor: string;
      readonly transactionLimitMinor: string;
      readonly cvmLimitMinor: string;
    } | null;
    readonly defaultTdol?: string;
    /** None when absent. */
    readonly randomSelection?: {
      readonly targetPercentage: number;
      readonly maximumTargetPercentage: number;
      readonly thresholdMinor: string;
    };
    readonly electronicCash?: { readonly transactionLimitMinor: string } | null;
  }[];
  readonly caPublicKeys: readonly {
    readonly rid: string;
    readonly index: string;
    readonly modulus: string;
    readonly exponent: string;
    readonly sha1: string;
    readonly expiryYymmdd: string;
  }[];
  readonly revokedCertificates?: readonly {
    readonly rid: string;
    readonly index: string;
    readonly serialNumber: string;
  }[];
  readonly supportsSmAlgorithms?: boolean;
};

/** What a profile needs beyond the managed parameters. */
export type ProfileOptions = Pick<
  TerminalProfile,
  | 'currency'
  | 'currencyExponent'
  | 'interfaceDeviceSerialNumber'
  | 'isOnExceptionFile'
  | 'amountLog'
> & { readonly ciphers: CipherProvider };

/** No random selection: every transaction at or above the floor limit goes online anyway. */
export const NO_RANDOM_SELECTION: RandomSelection = {
  targetPercentage: 0,
  maximumTargetPercentage: 0,
  thresholdMinor: 0n,
};

/**
 * The profile of managed parameters, checked.
 * @throws KernelError `ERR_KERNEL_PROFILE`, `ERR_KERNEL_CA_KEY`.
 */
export function terminalProfileOf(
  parameters: TerminalParameters,
  options: ProfileOptions,
): TerminalProfile {
  const profile: TerminalProfile = {
    countryCode: parameters.countryCode.slice(-3),
    currency: options.currency,
    currencyExponent: options.currencyExponent,
    terminalType: byteAt(hex('terminalType', parameters.terminalType, 1), 0),
    capabilities: hex('terminalCapabilities', parameters.terminalCapabilities, 3),
    additionalCapabilities: hex('additional', parameters.additionalTerminalCapabilities, 5),
    terminalTransactionQualifiers: hex(
      'terminalTransactionQualifiers',
      parameters.terminalTransactionQualifiers,
      4,
    ),
    interfaceDeviceSerialNumber: options.interfaceDeviceSerialNumber,
    aids: parameters.aids.map(terminalAidOf),
    caPublicKeys: loadCaPublicKeys(options.ciphers, caPublicKeysOf(parameters)),
    revokedCertificates: (parameters.revokedCertificates ?? []).map((row) => ({
      rid: hex('revokedCertificates', row.rid, 5),
      caIndex: byteAt(hex('revokedCertificates', row.index, 1), 0),
      serialNumber: hex('revokedCertificates', row.serialNumber, 3),
    })),
    supportsSmAlgorithms: parameters.supportsSmAlgorithms ?? false,
    ...(options.isOnExceptionFile ? { isOnExceptionFile: options.isOnExceptionFile } : {}),
    ...(options.amountLog ? { amountLog: options.amountLog } : {}),
  };
  assertTerminalProfile(profile);
  return profile;
}

function caPublicKeysOf(parameters: TerminalParameters): readonly CaPublicKey[] {
  return parameters.caPublicKeys.map((key) => ({
    rid: hex('caPublicKeys.rid', key.rid),
    index: byteAt(hex('caPublicKeys.index', key.index, 1), 0),
    modulus: hex('caPublicKeys.modulus', key.modulus),
    exponent: hex('caPublicKeys.exponent', key.exponent),
    sha1: hex('caPublicKeys.sha1', key.sha1, 20),
    expiryYymmdd: key.expiryYymmdd === '' ? null : key.expiryYymmdd,
  }));
}

function terminalAidOf(entry: TerminalParameters['aids'][number]): TerminalAid {
  const { randomSelection, electronicCash } = entry;
  return {
    aid: hex('aid', entry.aid),
    partialSelection: true,
    applicationVersion: hex('applicationVersion', entry.applicationVersion, 2),
    tacDefault: hex('tacDefault', entry.tacDefault, 5),
    tacDenial: hex('tacDenial', entry.tacDenial, 5),
    tacOnline: hex('tacOnline', entry.tacOnline, 5),
    floorLimitMinor: minorUnits('floorLimitMinor', entry.floorLimitMinor),
    randomSelection: randomSelection
      ? {
          ...randomSelection,
          thresholdMinor: minorUnits('randomSelection', randomSelection.thresholdMinor),
        }
      : NO_RANDOM_SELECTION,
    defaultDdol: dolOf('defaultDdol', entry.defaultDdol),
    defaultTdol: dolOf('defaultTdol', entry.defaultTdol ?? ''),
    contactless: contactlessLimitsOf(entry.contactless),
    electronicCash: electronicCash
      ? {
          transactionLimitMinor: minorUnits('electronicCash', electronicCash.transactionLimitMinor),
        }
      : null,
  };
}

function dolOf(member: string, text: string): Uint8Array | null {
  return text === '' ? null : hex(member, text);
}

function contactlessLimitsOf(
  limits: TerminalParameters['aids'][number]['contactless'],
): ContactlessLimits | null {
  if (limits === null) return null;
  return {
    floorLimitMinor: minorUnits('contactless.floorLimitMinor', limits.floorLimitMinor),
    transactionLimitMinor: minorUnits('contactless', limits.transactionLimitMinor),
    cvmLimitMinor: minorUnits('contactless.cvmLimitMinor', limits.cvmLimitMinor),
  };
}

/**
 * Refuses a profile the kernel cannot honour; called for every transaction.
 * @throws KernelError `ERR_KERNEL_PROFILE` naming the member.
 */
export function assertTerminalProfile(profile: TerminalProfile): void {
  if (!/^[0-9]{3}$/.test(profile.countryCode)) throw profileError('countryCode');
  if (!/^[0-9]{3}$/.test(profile.currency)) throw profileError('currency');
  const exponent = profile.currencyExponent;
  if (!Number.isInteger(exponent) || exponent < 0 || exponent > 9) {
    throw profileError('currencyExponent');
  }
  if (!TERMINAL_TYPES.includes(profile.terminalType)) throw profileError('terminalType');
  if (profile.capabilities.length !== 3) throw profileError('capabilities');
  if (profile.additionalCapabilities.length !== 5) throw profileError('additionalCapabilities');
  if (profile.terminalTransactionQualifiers.length !== TTQ_BYTES) {
    throw profileError('terminalTransactionQualifiers');
  }
  if (!/^[\x20-\x7e]{8}$/.test(profile.interfaceDeviceSerialNumber)) {
    throw profileError('interfaceDeviceSerialNumber');
  }
  if (profile.aids.length === 0 || profile.aids.length > TERMINAL_AIDS_MAX) {
    throw profileError('aids');
  }
  for (const aid of profile.aids) assertTerminalAid(aid);
  assertRevocations(profile.revokedCertificates ?? []);
  assertPorts(profile);
  if (profile.aids.some((aid) => aid.contactless !== null)) assertContactless(profile);
}

function assertRevocations(rows: readonly CertificateRevocation[]): void {
  const member = 'revokedCertificates';
  if (!Array.isArray(rows) || rows.length > REVOKED_CERTIFICATES_MAX) throw profileError(member);
  for (const { rid, caIndex, serialNumber } of rows) {
    if (rid.length !== 5 || serialNumber.length !== 3) throw profileError(member);
    if (!Number.isInteger(caIndex) || caIndex < 0 || caIndex > 0xff) throw profileError(member);
  }
}

/** What the profile asks of its owner during a transaction must be there to be asked. */
function assertPorts(profile: TerminalProfile): void {
  const { amountLog, isOnExceptionFile, supportsSmAlgorithms } = profile;
  if (amountLog !== undefined && typeof amountLog.amountMinorOf !== 'function') {
    throw profileError('amountLog');
  }
  if (isOnExceptionFile !== undefined && typeof isOnExceptionFile !== 'function') {
    throw profileError('isOnExceptionFile');
  }
  if (supportsSmAlgorithms !== undefined && typeof supportsSmAlgorithms !== 'boolean') {
    throw profileError('supportsSmAlgorithms');
  }
}

/** What a terminal with a reader must say of itself; magnetic stripe data are not built. */
function assertContactless(profile: TerminalProfile): void {
  const ttq = profile.terminalTransactionQualifiers;
  const member = 'terminalTransactionQualifiers';
  const needed = [TTQ_1_QPBOC_SUPPORTED, TTQ_4_FDDA_VERSION_01_SUPPORTED];
  const lacking = needed.find((bit) => !hasBit(ttq, bit));
  if (lacking) throw profileError(`${member} (${lacking.nameEn} is needed)`);
  if (hasBit(ttq, TTQ_1_MSD_SUPPORTED)) throw profileError(`${member} (MSD is not built)`);
}

function assertTerminalAid(entry: TerminalAid): void {
  if (entry.aid.length < 5 || entry.aid.length > 16) throw profileError('aid');
  if (entry.applicationVersion.length !== 2) throw profileError('applicationVersion');
  const codes = [entry.tacDefault, entry.tacDenial, entry.tacOnline];
  if (codes.some((code) => code.length !== 5)) throw profileError('terminal action code');
  if (entry.floorLimitMinor < 0n || entry.floorLimitMinor > 0xffffffffn) {
    throw profileError('floorLimitMinor');
  }
  assertRandomSelection(entry);
  if (entry.contactless !== null) assertReaderLimits(entry.contactless);
  const cashLimit = entry.electronicCash?.transactionLimitMinor ?? 0n;
  if (cashLimit < 0n || cashLimit > AMOUNT_MINOR_MAX) throw profileError('electronicCash');
  assertDol('defaultDdol', entry.defaultDdol);
  assertDol('defaultTdol', entry.defaultTdol);
}

function assertReaderLimits(entry: ContactlessLimits): void {
  const { floorLimitMinor, transactionLimitMinor, cvmLimitMinor, zeroAmount = 'online' } = entry;
  const limits = [floorLimitMinor, transactionLimitMinor, cvmLimitMinor];
  const isWrong =
    limits.some((limit) => limit < 0n) ||
    floorLimitMinor > 0xffffffffn ||
    (zeroAmount !== 'online' && zeroAmount !== 'refused');
  if (isWrong) throw profileError('contactless');
}

/** The threshold lies below the floor limit wherever there is something to select. */
function assertRandomSelection(entry: TerminalAid): void {
  const { targetPercentage, maximumTargetPercentage, thresholdMinor } = entry.randomSelection;
  const percentages = [targetPercentage, maximumTargetPercentage];
  if (percentages.some((value) => !Number.isInteger(value) || value < 0 || value > 99)) {
    throw profileError('randomSelection');
  }
  if (maximumTargetPercentage < targetPercentage || thresholdMinor < 0n) {
    throw profileError('randomSelection');
  }
  const isUsed = maximumTargetPercentage > 0 && entry.floorLimitMinor > 0n;
  if (isUsed && thresholdMinor >= entry.floorLimitMinor) throw profileError('randomSelection');
}

function assertDol(member: string, dol: Uint8Array | null): void {
  try {
    if (dol) decodeDol(dol);
  } catch (fault) {
    throw profileError(member, fault);
  }
}

function minorUnits(member: string, digits: string): bigint {
  if (!/^[0-9]{1,12}$/.test(digits)) throw profileError(member);
  return BigInt(digits);
}

function hex(member: string, text: string, lengthBytes?: number): Uint8Array {
  try {
    const bytes = fromHex(text);
    if (lengthBytes !== undefined && bytes.length !== lengthBytes) throw profileError(member);
    return bytes;
  } catch (fault) {
    if (fault instanceof KernelError || !(fault instanceof TapError)) throw fault;
    throw profileError(member, fault);
  }
}

function profileError(member: string, cause?: unknown): KernelError {
  return new KernelError('ERR_KERNEL_PROFILE', `terminal profile: ${member}`, { member }, cause);
}
