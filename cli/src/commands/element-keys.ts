/** Keys of a secure element for a command: a file's, or what the laboratory's factory gave it. */
import { readFileSync } from 'node:fs';
import { fromHex, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  aesKeyCheckValue,
  DIVERSIFICATIONS,
  type Diversification,
  desKeyCheckValue,
  type InitializeUpdateAnswer,
  type StaticKeyUsage,
} from '@tapnpay/protocol/globalplatform/data';
import {
  diversifiedCandidates,
  diversifyKeys,
  type KeyCandidate,
  STATIC_KEY_USAGES,
  type StaticKeys,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { LAB_BIRTH } from '@tapnpay/protocol/wire';
import { type OptionValues, textOption } from '../command.ts';

/** Largest key file. */
const KEY_FILE_BYTES_MAX = 4_096;
const KEY_LENGTHS: readonly number[] = [16, 24, 32];

/** Keys and how a card's come of them. */
export type CommandKeys = {
  readonly keys: StaticKeys;
  readonly algorithm: 'aes' | 'des';
  /** Null: every way is tried on what the card shows. */
  readonly diversification: Diversification | null;
  /** 0: the card's choice. */
  readonly keyVersionNumber: number;
  /** Where they are from, for people. */
  readonly origin: string;
};

/** A key file that is none. */
export class KeyFileError extends TapError<'ERR_ELEMENT_KEYS' | 'ERR_ELEMENT_KEY_CHECK'> {}

/** Those of an option with a file's name; else the laboratory's. @throws KeyFileError. */
export function keysOption(values: OptionValues, name: 'keys' | 'new-keys'): CommandKeys {
  const path = textOption(values, name);
  return path === undefined ? labKeys() : readKeyFile(path);
}

/** What the laboratory's factory derives from. */
export function labKeys(): CommandKeys {
  const { encryption, mac, dataEncryption } = LAB_BIRTH.masters;
  const keys = staticKeys({
    ...{ encryption: fromHex(encryption), mac: fromHex(mac) },
    dataEncryption: fromHex(dataEncryption),
  });
  const facts = { algorithm: 'aes', diversification: null, keyVersionNumber: 0 } as const;
  return { keys, ...facts, origin: 'lab' };
}

/**
 * Reads `{encryption, mac, dataEncryption, algorithm?, diversification?, keyVersionNumber?,
 * checkValues?}`; nothing of the keys is in an error.
 * @throws KeyFileError `ERR_ELEMENT_KEYS`, `ERR_ELEMENT_KEY_CHECK` for a wrong check value.
 */
export function readKeyFile(path: string): CommandKeys {
  const file = parsedFile(path);
  const key = (usage: StaticKeyUsage): Uint8Array => {
    const text = String(file[usage] ?? '')
      .replaceAll(/\s/g, '')
      .toUpperCase();
    const isKey = /^(?:[0-9A-F]{2})+$/.test(text) && KEY_LENGTHS.includes(text.length / 2);
    if (!isKey) throw wrong(path, `${usage} is no key of 16, 24 or 32 bytes in hex`);
    return fromHex(text);
  };
  const clear = {
    encryption: key('encryption'),
    mac: key('mac'),
    dataEncryption: key('dataEncryption'),
  };
  const { algorithm = 'aes', diversification = null, keyVersionNumber = 0 } = file;
  if (algorithm !== 'aes' && algorithm !== 'des') throw wrong(path, 'algorithm is aes or des');
  const way = DIVERSIFICATIONS.find((known) => known === diversification) ?? null;
  if (diversification !== null && way === null) {
    throw wrong(path, `diversification is one of ${DIVERSIFICATIONS.join(', ')}`);
  }
  const version = Number(keyVersionNumber);
  if (!Number.isInteger(version) || version < 0 || version > 0xff) {
    throw wrong(path, 'keyVersionNumber is 0 to 255');
  }
  assertCheckValues(path, file['checkValues'], (usage) => checkValue(algorithm, clear[usage]));
  const facts = { algorithm, diversification: way, keyVersionNumber: version } as const;
  return { keys: staticKeys(clear), ...facts, origin: path };
}

/** The key sets of one card, for what it shows of itself. */
export function candidatesOf(
  given: CommandKeys,
): (answer: InitializeUpdateAnswer) => readonly KeyCandidate[] {
  const { keys, diversification, origin } = given;
  return (answer) => {
    if (diversification === null) return diversifiedCandidates(nodeCiphers, keys, answer);
    const { keyDiversificationData } = answer;
    const own = diversifyKeys(nodeCiphers, keys, { way: diversification, keyDiversificationData });
    return [{ name: `${origin} ${diversification}`, keys: own }];
  };
}

/** The three keys of one card, derived as the file says; by itself when it says nothing. */
export function keysOfCard(given: CommandKeys, answer: InitializeUpdateAnswer): StaticKeys {
  const way = given.diversification ?? 'none';
  const { keyDiversificationData } = answer;
  return diversifyKeys(nodeCiphers, given.keys, { way, keyDiversificationData });
}

function checkValue(algorithm: 'aes' | 'des', key: Uint8Array): string {
  return toHex(algorithm === 'aes' ? aesKeyCheckValue(nodeCiphers, key) : desKeyCheckValue(key));
}

function assertCheckValues(
  path: string,
  stated: unknown,
  checkOf: (usage: StaticKeyUsage) => string,
): void {
  if (stated === undefined) return;
  for (const usage of STATIC_KEY_USAGES) {
    const said = String((Object(stated) as Record<string, unknown>)[usage] ?? '').toUpperCase();
    if (said === checkOf(usage)) continue;
    const message = `${path}: the check value of ${usage} is ${checkOf(usage)}, not ${said}`;
    throw new KeyFileError('ERR_ELEMENT_KEY_CHECK', message, { usage });
  }
}

function parsedFile(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw wrong(path, 'cannot be read', cause);
  }
  if (text.length > KEY_FILE_BYTES_MAX) throw wrong(path, 'is too long for a key file');
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    // What could not be parsed is not repeated: it may hold keys.
    throw wrong(path, 'is no JSON');
  }
}

function wrong(path: string, why: string, cause?: unknown): KeyFileError {
  return new KeyFileError('ERR_ELEMENT_KEYS', `${path}: ${why}`, {}, cause);
}
