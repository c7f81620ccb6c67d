/**
 * Kind `dukpt`: keys of one transaction from a base key.
 * @see X9.24-1:2009 Annex A, X9.24-3:2017 §6
 */
import { asciiToBytes, bytesToUint, fromHex, toHex } from '../bytes/index.ts';
import {
  aesDukptInitialKey,
  aesDukptTransactionKey,
  aesDukptWorkingKey,
  type CipherProvider,
  encipherPinBlockFormat4,
  pinBlockFormat0,
  retailMac,
  tdesDukptCounter,
  tdesDukptInitialKey,
  tdesDukptTransactionKey,
  tdesDukptVariant,
  tdesEncrypt,
} from '../crypto/index.ts';
import { both, givenBytes, givenText, isGiven, nodeOf, step } from './build.ts';
import { ExplainError } from './errors.ts';
import { requireKeyBytes } from './keys-given.ts';
import { computing } from './keys-verify.ts';
import type {
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
} from './types.ts';

export const DUKPT_KIND: ExplainModule = {
  kind: 'dukpt',
  detect: (input) =>
    isGiven(input, 'ksn', 'keySerialNumber') && isGiven(input, 'bdk', 'ik', 'ipek', 'initialKey')
      ? 0.97
      : 0,
  explain,
};

/** What every form of DUKPT gives. */
type Keys = {
  readonly type: 'TDES' | 'AES';
  readonly counter: number;
  readonly initialKey: Uint8Array;
  readonly transactionKey: Uint8Array;
  readonly pinKey: Uint8Array;
  readonly macKey: Uint8Array;
  readonly dataKey: Uint8Array;
  readonly pinBlock: Uint8Array | null;
  readonly clearPinBlock: Uint8Array | null;
  readonly mac: Uint8Array | null;
};

function explain({ ciphers, input }: ExplainContext): Explained {
  const ksn = givenBytes(input, 'ksn', 'keySerialNumber');
  if (ksn === undefined) throw missing('ksn');
  const keys = computing('dukpt', () =>
    ksn.length === 12 ? aesKeys(ciphers, input, ksn) : tdesKeys(input, ksn),
  );
  const hex = (value: Uint8Array | null): string | null => (value === null ? null : toHex(value));
  const rows: readonly (readonly [ReturnType<typeof both>, Uint8Array | null])[] = [
    [both('initial key', '初始密钥（IPEK）'), keys.initialKey],
    [both('transaction key', '交易密钥'), keys.transactionKey],
    [both('PIN key', 'PIN 密钥'), keys.pinKey],
    [both('MAC key, request', '请求 MAC 密钥'), keys.macKey],
    [both('data key, request', '请求数据密钥'), keys.dataKey],
    [both('clear PIN block', '明文 PIN 块'), keys.clearPinBlock],
    [both('enciphered PIN block', 'PIN 块密文'), keys.pinBlock],
    [both('MAC of the data', '数据的 MAC'), keys.mac],
  ];
  const shown = rows.flatMap(([name, value]) => (value === null ? [] : [{ name, value }]));
  return {
    summaryEn: `${keys.type} DUKPT, counter ${keys.counter}: key ${toHex(keys.transactionKey)}`,
    summaryZh: `${keys.type} DUKPT，计数器 ${keys.counter}：交易密钥 ${toHex(keys.transactionKey)}`,
    facts: {
      type: keys.type,
      ksn: toHex(ksn),
      pin: givenText(input, 'pin') ?? null,
      pan: givenText(input, 'pan') ?? null,
      data: givenText(input, 'dataHex', 'data', 'macData') ?? null,
      counter: keys.counter,
      initialKey: toHex(keys.initialKey),
      transactionKey: toHex(keys.transactionKey),
      pinKey: toHex(keys.pinKey),
      macKey: toHex(keys.macKey),
      dataKey: toHex(keys.dataKey),
      clearPinBlock: hex(keys.clearPinBlock),
      pinBlock: hex(keys.pinBlock),
      mac: hex(keys.mac),
      mac4: hex(keys.mac?.subarray(0, 4) ?? null),
    },
    tree: shown.map(({ name, value }) => nodeOf(name, null, { value: toHex(value) })),
    checks: [checkOf(input, keys)],
    findings: [],
  };
}

function missing(name: string): ExplainError {
  return new ExplainError('ERR_EXPLAIN_MISSING', `${name} is needed and was not given`, { name });
}

function baseKey(input: ExplainInput): { readonly bdk?: Uint8Array; readonly ik?: Uint8Array } {
  const bdk = givenBytes(input, 'bdk');
  const ik = givenBytes(input, 'ik', 'ipek', 'initialKey');
  if (bdk !== undefined) return { bdk: requireKeyBytes(bdk, 'bdk', [16]) };
  if (ik !== undefined) return { ik: requireKeyBytes(ik, 'ik', [16]) };
  throw missing('bdk');
}

/** Data to authenticate: hex when they are named so, else the characters as they stand. */
function dataOf(input: ExplainInput): Uint8Array | null {
  const hex = givenText(input, 'dataHex');
  if (hex !== undefined && /^(?:[0-9A-Fa-f]{2})+$/.test(hex)) return fromHex(hex);
  const text = givenText(input, 'data', 'macData');
  return text === undefined || /[^\x20-\x7e]/.test(text) ? null : asciiToBytes(text);
}

function tdesKeys(input: ExplainInput, ksn: Uint8Array): Keys {
  const { bdk, ik } = baseKey(input);
  const counter = tdesDukptCounter(ksn);
  const initialKey = bdk ? tdesDukptInitialKey(bdk, ksn) : (ik ?? new Uint8Array());
  const transactionKey = tdesDukptTransactionKey(initialKey, ksn);
  const pinKey = tdesDukptVariant(transactionKey, 'pinEncryption');
  const macKey = tdesDukptVariant(transactionKey, 'macRequest');
  const pin = givenText(input, 'pin');
  const pan = givenText(input, 'pan');
  const clearPinBlock = pin && pan ? pinBlockFormat0(pin, pan) : null;
  const data = dataOf(input);
  return {
    type: 'TDES',
    counter,
    initialKey,
    transactionKey,
    pinKey,
    macKey,
    dataKey: tdesDukptVariant(transactionKey, 'dataRequest'),
    clearPinBlock,
    pinBlock: clearPinBlock === null ? null : tdesEncrypt(pinKey, clearPinBlock),
    mac: data === null ? null : retailMac(macKey, data, { padding: 1 }),
  };
}

function aesKeys(ciphers: CipherProvider, input: ExplainInput, ksn: Uint8Array): Keys {
  const { bdk, ik } = baseKey(input);
  const id = ksn.slice(0, 8);
  const counter = bytesToUint(ksn.subarray(8));
  const initialKey = bdk ? aesDukptInitialKey(ciphers, bdk, id) : (ik ?? new Uint8Array());
  const working = (usage: 'pinEncryption' | 'macGeneration' | 'dataEncryption'): Uint8Array =>
    aesDukptWorkingKey(ciphers, initialKey, id, counter, usage);
  const pin = givenText(input, 'pin');
  const pan = givenText(input, 'pan');
  const random8 = givenBytes(input, 'filler', 'random');
  const pinKey = working('pinEncryption');
  return {
    type: 'AES',
    counter,
    initialKey,
    transactionKey: aesDukptTransactionKey(ciphers, initialKey, id, counter),
    pinKey,
    macKey: working('macGeneration'),
    dataKey: working('dataEncryption'),
    clearPinBlock: null,
    pinBlock:
      pin && pan && random8
        ? encipherPinBlockFormat4(ciphers, pinKey, { pin, pan, random8 })
        : null,
    mac: null,
  };
}

/** Against a given PIN block or MAC. */
function checkOf(input: ExplainInput, keys: Keys): ExplainCheck {
  const wanted: readonly (readonly [string, Uint8Array | null])[] = [
    ['pinBlock', keys.pinBlock],
    ['mac', keys.mac],
  ];
  for (const [name, computed] of wanted) {
    const expected = givenText(input, name)?.toUpperCase();
    if (expected === undefined || computed === null) continue;
    const actual = toHex(computed).slice(0, expected.length);
    const result = actual === expected ? 'passed' : 'failed';
    return { name: `dukpt.${name}`, result, steps: [], expected, actual };
  }
  const why = step(both('no PIN block or MAC to compare with was given', '未给出用于比较的值'), '');
  return { name: 'dukpt', result: 'notPossible', steps: [why] };
}
