/** Parameters of INSTALL: C9 for the application, EF for the system. @see GPCS 2.3.1 §11.5.2.3.7 */
import { bytesToUint, concatBytes, TapError, uintToBytes } from '../../bytes/index.ts';
import { decodeTlv, encodeTlv, type Tlv } from '../../iso7816/index.ts';
import { formatFault } from './errors.ts';
import {
  TAG_82_EXTRADITION_TO,
  TAG_87_EXTRADITION_FROM,
  TAG_C6_CODE_BYTES,
  TAG_C7_VOLATILE_BYTES,
  TAG_C8_PERSISTENT_BYTES,
  TAG_C9_APPLICATION_PARAMETERS,
  TAG_EF_SYSTEM_PARAMETERS,
} from './tags.ts';

/** What INSTALL says beside names and privileges; null where it says nothing. */
export type InstallParameters = {
  /** The value of C9, which the application gets. */
  readonly application: Uint8Array | null;
  readonly codeBytes: number | null;
  readonly volatileBytes: number | null;
  readonly persistentBytes: number | null;
};

/** Bit of 82 and 87: allowed. */
const ALLOWED = 0x20;

/** C9 and, where a number is given, EF with C6, C7, C8 of 2 or 4 bytes. */
export function encodeInstallParameters(parameters: Partial<InstallParameters>): Uint8Array {
  const { application, codeBytes, volatileBytes, persistentBytes } = parameters;
  const limits: readonly (readonly [string, number | null | undefined])[] = [
    [TAG_C6_CODE_BYTES, codeBytes],
    [TAG_C7_VOLATILE_BYTES, volatileBytes],
    [TAG_C8_PERSISTENT_BYTES, persistentBytes],
  ];
  const system = limits.flatMap(([tag, bytes]) =>
    bytes === null || bytes === undefined ? [] : [encodeTlv(tag, limitBytes(bytes))],
  );
  return concatBytes(
    application ? encodeTlv(TAG_C9_APPLICATION_PARAMETERS, application) : new Uint8Array(),
    system.length > 0
      ? encodeTlv(TAG_EF_SYSTEM_PARAMETERS, concatBytes(...system))
      : new Uint8Array(),
  );
}

/**
 * Reads the parameters field; an empty one says nothing.
 * @throws GlobalPlatformError `ERR_GP_FORMAT`.
 */
export function decodeInstallParameters(bytes: Uint8Array): InstallParameters {
  const objects = readTlv(bytes);
  const system = objects.find(({ tag }) => tag === TAG_EF_SYSTEM_PARAMETERS)?.children ?? [];
  const limit = (tag: string): number | null => {
    const found = system.find((object) => object.tag === tag);
    if (!found) return null;
    if (![2, 4].includes(found.value.length)) {
      throw formatFault(`${tag} has ${found.value.length} bytes`, found.offsetBytes);
    }
    return bytesToUint(found.value);
  };
  return {
    application: objects.find(({ tag }) => tag === TAG_C9_APPLICATION_PARAMETERS)?.value ?? null,
    codeBytes: limit(TAG_C6_CODE_BYTES),
    volatileBytes: limit(TAG_C7_VOLATILE_BYTES),
    persistentBytes: limit(TAG_C8_PERSISTENT_BYTES),
  };
}

/** Whether a security domain takes content of others, and lets its own go. */
export type ExtraditionRules = { readonly isToAllowed: boolean; readonly isFromAllowed: boolean };

/** The C9 value of a security domain: 82 and 87 where allowed. */
export function encodeExtraditionRules(rules: ExtraditionRules): Uint8Array {
  const part = (tag: string, isAllowed: boolean): Uint8Array =>
    isAllowed ? encodeTlv(tag, Uint8Array.of(ALLOWED, ALLOWED)) : new Uint8Array();
  return concatBytes(
    part(TAG_82_EXTRADITION_TO, rules.isToAllowed),
    part(TAG_87_EXTRADITION_FROM, rules.isFromAllowed),
  );
}

/** Reads them; what is not said is not allowed. @throws GlobalPlatformError `ERR_GP_FORMAT`. */
export function decodeExtraditionRules(application: Uint8Array | null): ExtraditionRules {
  const objects = readTlv(application ?? new Uint8Array());
  const isAllowed = (wanted: string): boolean => {
    const value = objects.find(({ tag }) => tag === wanted)?.value;
    return value !== undefined && value.length > 0 && value.every((byte) => (byte & ALLOWED) !== 0);
  };
  return {
    isToAllowed: isAllowed(TAG_82_EXTRADITION_TO),
    isFromAllowed: isAllowed(TAG_87_EXTRADITION_FROM),
  };
}

function limitBytes(value: number): Uint8Array {
  return uintToBytes(value, value < 0x8000 ? 2 : 4);
}

/** TLV, its faults as those of this folder. */
function readTlv(bytes: Uint8Array): readonly Tlv[] {
  try {
    return decodeTlv(bytes);
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    const offset = thrown.data['offsetBytes'];
    throw formatFault(thrown.message, typeof offset === 'number' ? offset : 0);
  }
}
