/** The privileges of applications and security domains: three bytes. @see GPCS 2.3.1 §6.6 */
import { bytesToUint, uintToBytes } from '../../bytes/index.ts';
import { assertBytes } from './errors.ts';

/** Bits of the three bytes as one number. @see GPCS 2.3.1 tables 11-7, 11-8, 11-9 */
export const PRIVILEGE = {
  securityDomain: 0x80_00_00,
  dapVerification: 0xc0_00_00,
  delegatedManagement: 0xa0_00_00,
  cardLock: 0x10_00_00,
  cardTerminate: 0x08_00_00,
  cardReset: 0x04_00_00,
  cvmManagement: 0x02_00_00,
  mandatedDapVerification: 0xc1_00_00,
  trustedPath: 0x00_80_00,
  authorizedManagement: 0x00_40_00,
  tokenVerification: 0x00_20_00,
  globalDelete: 0x00_10_00,
  globalLock: 0x00_08_00,
  globalRegistry: 0x00_04_00,
  finalApplication: 0x00_02_00,
  globalService: 0x00_01_00,
  receiptGeneration: 0x00_00_80,
  cipheredLoadFileDataBlock: 0x00_00_40,
  contactlessActivation: 0x00_00_20,
  contactlessSelfActivation: 0x00_00_10,
} as const;
/** A privilege by name. */
export type PrivilegeName = keyof typeof PRIVILEGE;

/** Whether all bits of a privilege are set; some privileges need others beside them. */
export function hasPrivilege(privileges: number, name: PrivilegeName): boolean {
  return (privileges & PRIVILEGE[name]) === PRIVILEGE[name];
}

/** The number of some privileges. */
export function privilegesOf(...names: readonly PrivilegeName[]): number {
  return names.reduce((bits, name) => bits | PRIVILEGE[name], 0);
}

/** The names of privileges, in the order of their bits. */
export function privilegeNames(privileges: number): readonly PrivilegeName[] {
  const names = Object.keys(PRIVILEGE) as PrivilegeName[];
  return names.filter((name) => hasPrivilege(privileges, name));
}

/** Three bytes. */
export function encodePrivileges(privileges: number): Uint8Array {
  return uintToBytes(privileges, 3);
}

/**
 * One byte (the older form) or three.
 * @throws GlobalPlatformError `ERR_GP_LENGTH`.
 */
export function decodePrivileges(bytes: Uint8Array): number {
  assertBytes('privileges', bytes, [1, 3]);
  return bytes.length === 1 ? bytesToUint(bytes) * 0x1_00_00 : bytesToUint(bytes);
}
