/**
 * What stands between the command interface and the thing that holds the keys. The interface checks
 * caller, form, key usage and mechanism once, for every driver; a driver computes.
 *
 * The embedded driver (`embedded.ts`) holds TR-31 blocks under a local master key and is the only
 * one here. Others fit behind the same five members:
 * - PKCS#11: a handle is the label of a token object, `kindOf` reads its attributes, `execute` is
 *   synchronous C calls in a worker. SoftHSM has no 3DES unwrap and no single DES, so that such a
 *   driver leaves `tdesUnwrap` and `retailMac` out of its capabilities instead of failing late.
 * - Host commands over TCP (payShield style): a handle is the vendor's key block, `kindOf` reads
 *   its header, `execute` writes one host command for each call and answers in their order.
 */
import type {
  HsmCaller,
  HsmCommand,
  HsmRequest,
  KeyAlgorithm,
  KeyUsage,
} from '@tapnpay/protocol/wire';
import type { HsmReply } from '../runtime/hsm-wire.ts';
import { HsmError } from './errors.ts';
import type { KeyKind, KeyNeed } from './keys.ts';

/** What a driver may be able to compute. */
export type HsmMechanism =
  | 'tdes'
  | 'aes'
  | 'sm4'
  /** Keys that arrive under a zone key of their algorithm. */
  | 'tdesUnwrap'
  | 'aesUnwrap'
  | 'sm4Unwrap'
  /** MACs of lines: ISO 9797-1 algorithms 1 and 3, and that of field 64 of the POS dialect. */
  | 'cbcMac'
  | 'retailMac'
  | 'unionPayPosMac'
  | 'pinBlocks'
  | 'pvv'
  | 'aesDukpt'
  | 'emvCryptograms'
  | 'rsaOaep'
  | 'cardPersonalisation'
  /** Sessions with secure elements, their key sets and data. */
  | 'globalPlatform'
  | 'loadFileSignatures';

/** All of them. */
export const HSM_MECHANISMS: readonly HsmMechanism[] = [
  ...(['tdes', 'aes', 'sm4', 'tdesUnwrap', 'aesUnwrap', 'sm4Unwrap'] as const),
  ...(['cbcMac', 'retailMac', 'unionPayPosMac', 'pinBlocks', 'pvv', 'aesDukpt'] as const),
  ...(['emvCryptograms', 'rsaOaep', 'cardPersonalisation'] as const),
  ...(['globalPlatform', 'loadFileSignatures'] as const),
];

/** The block cipher that a key of an algorithm needs. */
export const CIPHER_OF: Readonly<Record<KeyAlgorithm, HsmMechanism>> = {
  T: 'tdes',
  A: 'aes',
  '4': 'sm4',
};

/** A request that was found good, with what its keys must be. */
export type DriverCall = {
  readonly caller: HsmCaller;
  readonly command: HsmCommand;
  readonly request: HsmRequest;
  readonly needs: Readonly<Record<string, KeyNeed>>;
};

/** Keys by their handles: what requests call a key block. */
export interface HsmKeyStore {
  /** What a key is, proven, not claimed. @throws HsmError `ERR_HSM_KEY_BLOCK`. */
  kindOf(handle: string): KeyKind;
  /** Wipes what is cached of these keys, or of all; returns how many there were. */
  forget(handles?: readonly string[]): number;
}

export interface HsmDriver {
  readonly name: string;
  readonly capabilities: ReadonlySet<HsmMechanism>;
  readonly keys: HsmKeyStore;
  /** One answer for each call, in order; a bad call is an error among the answers. */
  execute(calls: readonly DriverCall[]): Promise<readonly HsmReply[]>;
  close(): void;
}

/** What a key's usage needs beside its cipher. */
export const MECHANISM_OF_USAGE: Readonly<Partial<Record<KeyUsage, HsmMechanism>>> = {
  M1: 'cbcMac',
  M3: 'retailMac',
  '10': 'unionPayPosMac',
};

/** @throws HsmError `ERR_HSM_MECHANISM` with the name of what the driver cannot compute. */
export function assertMechanism(
  driver: Pick<HsmDriver, 'name' | 'capabilities'>,
  mechanism: HsmMechanism,
): void {
  if (driver.capabilities.has(mechanism)) return;
  const text = `the driver ${driver.name} of this HSM has no mechanism ${mechanism}`;
  throw new HsmError('ERR_HSM_MECHANISM', text, { mechanism, driver: driver.name });
}
