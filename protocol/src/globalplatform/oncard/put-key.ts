/** PUT KEY: adds or replaces keys, each with its check value. @see GPCS 2.3.1 §11.8, GP-D §7.2 */
import { concatBytes, equalBytes } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, SW_6A86_WRONG_P1_P2 } from '../../iso7816/index.ts';
import {
  aesKeyCheckValue,
  DOMAIN_0F_PERSONALIZED,
  decodePutKeyData,
  desKeyCheckValue,
  hasPrivilege,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  KEY_TYPE_A0_RSA_EXPONENT,
  KEY_TYPE_A1_RSA_MODULUS,
  KEY_TYPE_B0_ECC_PUBLIC,
  KEY_TYPE_F0_ECC_PARAMETERS,
  KEY_VERSION_70_TOKEN,
  KEY_VERSION_73_DAP,
  KEY_VERSION_FF_FACTORY,
  type KeyData,
  PUT_KEY_80_MORE_COMMANDS,
  PUT_KEY_80_MULTIPLE_KEYS,
  SW_6A84_NOT_ENOUGH_MEMORY,
  SW_9484_ALGORITHM_NOT_SUPPORTED,
  SW_9485_INVALID_KEY_CHECK_VALUE,
} from '../data/index.ts';
import { clearKeysOf } from './authenticate.ts';
import { KEY_SETS_MAX, PUT_KEY_BYTES_MAX } from './profile.ts';
import { type CardKey, type CardKeySet, type SecurityDomain, withEntry } from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  found,
  ok,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

const SECURE_CHANNEL_KEYS = 3;
const NEW_VERSION_MOST = 0x7f;
/** RSA moduli that verify, in bytes. */
const RSA_MODULUS_BYTES: readonly number[] = [128, 192, 256, 384, 512];
const ECC_POINT_BYTES = 65;

/** PUT KEY; the answer is the version and the check values. */
export function putKey(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const domain = selectedDomain(work);
  const { p1, p2, data, isLast } = collected(work, command);
  if (!isLast) return ok();
  const { newKeyVersionNumber, keys: fields } = decoded(() => decodePutKeyData(data));
  const isMultiple = (p2 & PUT_KEY_80_MULTIPLE_KEYS) !== 0;
  const firstIdentifier = p2 & 0x7f;
  if (firstIdentifier === 0 || isMultiple !== fields.length > 1) {
    throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'P2 is not that of the keys');
  }
  const keys = fields.map((field, index) =>
    clearKey(work, { ...{ field, identifier: firstIdentifier + index } }),
  );
  const change = { replaced: p1, version: newKeyVersionNumber, keys };
  work.state = withEntry(work.state, withKeys(domain, change));
  const checkValues = fields.map(({ keyCheckValue }) => keyCheckValue);
  return ok(concatBytes(Uint8Array.of(newKeyVersionNumber), ...checkValues));
}

/** The key data of this command and of those before it that said that more come. */
function collected(
  work: Work,
  command: CommandApdu,
): {
  readonly p1: number;
  readonly p2: number;
  readonly data: Uint8Array;
  readonly isLast: boolean;
} {
  const { channel } = work;
  // FF is the factory version, and the bit of more commands in it means nothing.
  const isFactory = command.p1 === KEY_VERSION_FF_FACTORY;
  const isLast = isFactory || (command.p1 & PUT_KEY_80_MORE_COMMANDS) === 0;
  const p1 = isFactory ? command.p1 : command.p1 & ~PUT_KEY_80_MORE_COMMANDS;
  const { p2 } = command;
  const before = channel.keys;
  channel.keys = null;
  requireData(!before || (before.p1 === p1 && before.p2 === p2), 'another PUT KEY began');
  const data = concatBytes(before?.data ?? new Uint8Array(), dataOf(command));
  requireData(data.length <= PUT_KEY_BYTES_MAX, 'too much key data');
  if (!isLast) channel.keys = { p1, p2, data };
  return { p1, p2, data, isLast };
}

/** A key in clear, its check value proved. @throws CardRefusal 9484, 9485, 6A80. */
function clearKey(
  work: Work,
  { field, identifier }: { readonly field: KeyData; readonly identifier: number },
): CardKey {
  const [first] = field.components;
  const isSecret = first?.type === KEY_TYPE_88_AES || first?.type === KEY_TYPE_80_DES;
  if (!first || !isSecret) return publicKey(field, identifier);
  requireData(field.components.length === 1, 'a secret key has one component');
  const bytes = decipheredKey(work, first.bytes, first.clearBytes ?? first.bytes.length);
  return secretKey(work, { identifier, type: first.type, bytes }, field.keyCheckValue);
}

/** A secret key whose check value is right. @throws CardRefusal 9484, 9485, 6A80. */
export function secretKey(
  work: Work,
  key: { readonly identifier: number; readonly type: number; readonly bytes: Uint8Array },
  keyCheckValue: Uint8Array,
): CardKey {
  const { identifier, type, bytes } = key;
  const isAes = type === KEY_TYPE_88_AES;
  if (!isAes && work.profile.scp02ParameterI === null) {
    throw new CardRefusal(SW_9484_ALGORITHM_NOT_SUPPORTED, 'SCP02 is off: no DES keys');
  }
  requireData((isAes ? [16, 24, 32] : [16]).includes(bytes.length), 'length of the key');
  const value = isAes ? aesKeyCheckValue(work.ports.ciphers, bytes) : desKeyCheckValue(bytes);
  if (!equalBytes(value, keyCheckValue)) {
    throw new CardRefusal(SW_9485_INVALID_KEY_CHECK_VALUE, 'the check value is wrong');
  }
  return { identifier, components: [{ type, bytes }] };
}

function decipheredKey(work: Work, enciphered: Uint8Array, clearBytes: number): Uint8Array {
  const { messages } = requireSession(work);
  const isWhole = enciphered.length > 0 && enciphered.length % messages.blockBytes === 0;
  const surplus = enciphered.length - clearBytes;
  requireData(isWhole && surplus >= 0 && surplus < messages.blockBytes, 'length of the key data');
  return messages.decipher(enciphered).slice(0, clearBytes);
}

/** RSA: modulus and exponent; P-256: the point. They come in clear and have no check value. */
function publicKey(field: KeyData, identifier: number): CardKey {
  const bytesOf = (type: number): Uint8Array | undefined =>
    field.components.find((component) => component.type === type)?.bytes;
  const modulus = bytesOf(KEY_TYPE_A1_RSA_MODULUS);
  const exponent = bytesOf(KEY_TYPE_A0_RSA_EXPONENT);
  const point = bytesOf(KEY_TYPE_B0_ECC_PUBLIC);
  const parameters = bytesOf(KEY_TYPE_F0_ECC_PARAMETERS);
  const isRsa = modulus && exponent && exponent.length > 0 && exponent.length <= 4;
  const isEcc = point?.length === ECC_POINT_BYTES && point[0] === 0x04 && parameters?.[0] === 0;
  const isRsaFit = isRsa && RSA_MODULUS_BYTES.includes(modulus.length);
  if (field.components.length !== 2 || !(isRsaFit || isEcc)) {
    throw new CardRefusal(SW_9484_ALGORITHM_NOT_SUPPORTED, 'neither RSA nor P-256');
  }
  requireData(field.keyCheckValue.length === 0, 'a public key has no check value');
  const components = field.components.map(({ type, bytes }) => ({ type, bytes }));
  return { identifier, components };
}

/** Keys of one version that come, and the version that goes for them; 0 for none. */
export type KeyChange = {
  readonly replaced: number;
  readonly version: number;
  readonly keys: readonly CardKey[];
};

/**
 * The domain with the keys.
 * @throws CardRefusal 6985, 6A80, 6A84, 6A88.
 */
export function withKeys(domain: SecurityDomain, change: KeyChange): SecurityDomain {
  const { replaced, version, keys } = change;
  requireData(version >= 1 && version <= NEW_VERSION_MOST, `key version ${version}`);
  const set = { version, keys, sequenceCounter: 0 };
  const isSecureChannel = version < KEY_VERSION_70_TOKEN;
  const isComplete = clearKeysOf(set) !== null && keys.length === SECURE_CHANNEL_KEYS;
  const isFactory = domain.keySets.some((other) => other.version === KEY_VERSION_FF_FACTORY);
  if (isFactory) {
    // The factory set goes first, and whole. @see GPCS 2.3.1 §11.8.2.3
    const isWhole = isSecureChannel && isComplete && isOneLength(keys);
    requireCondition(isWhole && [0, KEY_VERSION_FF_FACTORY].includes(replaced), 'factory keys');
    return personalised(domain, [
      ...domain.keySets.filter((other) => other.version !== KEY_VERSION_FF_FACTORY),
      set,
    ]);
  }
  if (version === KEY_VERSION_73_DAP) {
    requireCondition(hasPrivilege(domain.privileges, 'dapVerification'), 'it verifies no DAP');
  }
  if (replaced !== 0) return withReplaced(domain, change);
  requireData(!domain.keySets.some((other) => other.version === version), 'the version is there');
  requireData(!isSecureChannel || (isComplete && isOneLength(keys)), 'three keys of one length');
  if (domain.keySets.length >= KEY_SETS_MAX) {
    throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, 'too many key sets');
  }
  return isSecureChannel
    ? personalised(domain, [...domain.keySets, set])
    : { ...domain, keySets: [...domain.keySets, set] };
}

/** Type and length of a key in place stay; a new version takes the whole set (report 12). */
function withReplaced(
  domain: SecurityDomain,
  { replaced, version, keys }: KeyChange,
): SecurityDomain {
  const before = found(
    domain.keySets.find((other) => other.version === replaced),
    `key version ${replaced}`,
  );
  for (const key of keys) {
    const old = found(
      before.keys.find(({ identifier }) => identifier === key.identifier),
      `key ${key.identifier}`,
    );
    requireData(shapeOf(old) === shapeOf(key), 'a key of the same type and length');
  }
  const isInPlace = replaced === version;
  requireData(isInPlace || keys.length === before.keys.length, 'a new version takes all keys');
  const isFree = isInPlace || !domain.keySets.some((other) => other.version === version);
  requireData(isFree, 'the version is there');
  const merged = before.keys.map(
    (old) => keys.find(({ identifier }) => identifier === old.identifier) ?? old,
  );
  const set: CardKeySet = { version, keys: merged, sequenceCounter: 0 };
  const keySets = domain.keySets.map((other) => (other === before ? set : other));
  return { ...domain, keySets };
}

function shapeOf(key: CardKey): string {
  return key.components.map(({ type, bytes }) => `${type}:${bytes.length}`).join(' ');
}

function isOneLength(keys: readonly CardKey[]): boolean {
  return new Set(keys.map(shapeOf)).size === 1;
}

function personalised(domain: SecurityDomain, keySets: readonly CardKeySet[]): SecurityDomain {
  return { ...domain, keySets, lifeCycle: domain.lifeCycle | DOMAIN_0F_PERSONALIZED };
}
