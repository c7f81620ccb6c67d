/** Kind `pinBlock`: PIN blocks made and taken apart, clear or enciphered. @see ISO 9564-1 §9.3 */
import { toHex, xorBytes } from '../bytes/index.ts';
import {
  decipherPinBlockFormat4,
  desEncrypt,
  encipherPinBlockFormat4,
  tdesEncrypt,
} from '../crypto/index.ts';
import { both, finding, givenBytes, givenText, isGiven, nodeOf, step } from './build.ts';
import { ExplainError, formatError } from './errors.ts';
import { decipherUnder, requireKeyBytes } from './keys-given.ts';
import { computing } from './keys-verify.ts';
import {
  makeBlock,
  type PinReading,
  panFieldOf,
  readBlock,
  type ShortFormat,
  usesPan,
} from './pin-formats.ts';
import type {
  CheckStep,
  ExplainCheck,
  ExplainContext,
  Explained,
  ExplainInput,
  ExplainModule,
  Facts,
  Finding,
} from './types.ts';

export const PIN_BLOCK_KIND: ExplainModule = { kind: 'pinBlock', detect, explain };

const KEY_NAMES = ['pik', 'tpk', 'zpk', 'pinKey', 'key'] as const;
const BLOCK_NAMES = ['pinBlock', 'block', 'f52', 'field52'] as const;
/** Formats tried when none was named, the usual first. */
const SHORT_FORMATS: readonly ShortFormat[] = [0, 3, 1, 2];

function detect(input: ExplainInput): number {
  if (isGiven(input, 'pvk', 'cvk', 'bdk', 'imkAc', 'ksn')) return 0;
  const hasPan = isGiven(input, 'pan');
  if (isGiven(input, 'pin')) return hasPan || isGiven(input, 'format') ? 0.9 : 0.5;
  if (isGiven(input, ...BLOCK_NAMES)) return 0.92;
  const size = input.lines.length === 1 ? (input.bytes?.length ?? 0) : 0;
  if (size !== 8 && size !== 16) return 0;
  const hasKey = isGiven(input, ...KEY_NAMES);
  if (hasPan) return hasKey ? 0.85 : 0.6;
  const first = (input.bytes?.[0] ?? 0) >> 4;
  return size === 8 &&
    first <= 3 &&
    readAll(input.bytes ?? new Uint8Array(), undefined).pin !== null
    ? 0.3
    : 0.05;
}

function explain(context: ExplainContext): Explained {
  const { input } = context;
  const block =
    givenBytes(input, ...BLOCK_NAMES) ?? (isGiven(input, 'pin') ? undefined : input.bytes);
  const pan = panOf(input);
  const key = givenBytes(input, ...KEY_NAMES);
  const format = formatOf(input);
  const pin = givenText(input, 'pin');
  if (block === undefined || block === null) {
    if (pin === undefined) {
      throw new ExplainError('ERR_EXPLAIN_MISSING', 'a PIN or a PIN block is needed', {
        name: 'pin',
      });
    }
    return format === 4
      ? encodeFormat4(context, { pin, pan, key })
      : encode(input, { format: format ?? 0, pin, pan, key });
  }
  return format === 4 || block.length === 16
    ? decodeFormat4(context, { block, pan, key, pin })
    : decode({ block, pan, key, format, pin });
}

function panOf(input: ExplainInput): string | undefined {
  const pan = givenText(input, 'pan', 'primaryAccountNumber')?.replace(/[\s-]/g, '');
  if (pan === undefined || /^[0-9]{12,19}$/.test(pan)) return pan;
  throw new ExplainError('ERR_EXPLAIN_VALUE', 'pan needs 12 to 19 digits', { name: 'pan' });
}

function formatOf(input: ExplainInput): 0 | 1 | 2 | 3 | 4 | undefined {
  const text = givenText(input, 'format', 'pinBlockFormat')?.replace(/^iso-?/i, '');
  if (text === undefined) return undefined;
  const format = Number(text);
  if (format === 0 || format === 1 || format === 2 || format === 3 || format === 4) return format;
  throw new ExplainError('ERR_EXPLAIN_VALUE', 'format is 0 to 4', { name: 'format' });
}

type Encoding = {
  readonly format: ShortFormat;
  readonly pin: string;
  readonly pan: string | undefined;
  readonly key: Uint8Array | undefined;
};

function encode(input: ExplainInput, { format, pin, pan, key }: Encoding): Explained {
  requirePin(pin);
  if (usesPan(format) && pan === undefined) throw missingPan();
  const filler = (givenText(input, 'filler', 'random') ?? '').toUpperCase();
  const isRandom = format === 1 || format === 3;
  const wanted = isRandom && filler === '';
  const digits = wanted ? 'F'.repeat(16) : filler.padEnd(16, 'F');
  if (!/^[0-9A-F]+$/.test(digits) || (format === 3 && /[0-9]/.test(digits))) {
    throw new ExplainError('ERR_EXPLAIN_VALUE', 'filler has wrong digits', { name: 'filler' });
  }
  const { pinField, block } = makeBlock(format, pin, { pan: pan ?? '', filler: digits });
  const enciphered =
    key === undefined ? null : encipherUnder(requireKeyBytes(key, 'pik', [8, 16, 24]), block);
  const steps = [
    step(both('PIN field', 'PIN 域'), pinField),
    ...(usesPan(format) && pan !== undefined
      ? [step(both('PAN field', '主账号域'), panFieldOf(pan))]
      : []),
    step(both('clear block', '明文 PIN 块'), toHex(block)),
    ...(enciphered === null ? [] : [step(both('enciphered', '密文'), toHex(enciphered))]),
  ];
  const back = readBlock(format, block, pan);
  const shown = toHex(enciphered ?? block);
  return {
    summaryEn: `PIN block of format ${format}: ${shown}`,
    summaryZh: `格式 ${format} 的 PIN 块：${shown}`,
    facts: {
      direction: 'encode',
      format,
      ...blockFacts({ reading: back, pan, clear: block, enciphered, key }),
    },
    tree: treeOf(back, block, enciphered),
    checks: [backCheck(back, pin, steps)],
    findings: wanted ? [fillerNote()] : [],
  };
}

function requirePin(pin: string): void {
  if (/^[0-9]{4,12}$/.test(pin)) return;
  throw new ExplainError('ERR_EXPLAIN_VALUE', 'pin needs 4 to 12 digits', { name: 'pin' });
}

function missingPan(): ExplainError {
  return new ExplainError('ERR_EXPLAIN_MISSING', 'pan is needed for this format', { name: 'pan' });
}

function fillerNote(): Finding {
  const about = both(
    'this format wants random filler: F stands for it here',
    '此格式要求随机填充：此处以 F 代替',
  );
  return finding('note', 'PIN_FILLER_NOT_RANDOM', null, about);
}

function encipherUnder(key: Uint8Array, block: Uint8Array): Uint8Array {
  return key.length === 8 ? desEncrypt(key, block) : tdesEncrypt(key, block);
}

function blockFacts(parts: {
  readonly reading: PinReading;
  readonly pan: string | undefined;
  readonly clear: Uint8Array;
  readonly enciphered: Uint8Array | null;
  readonly key: Uint8Array | undefined;
}): Facts {
  const { reading, pan, clear, enciphered, key } = parts;
  return {
    pan: pan ?? null,
    pin: reading.pin,
    pinField: reading.pinField,
    panField: reading.panField,
    clearBlock: toHex(clear),
    encipheredBlock: enciphered === null ? null : toHex(enciphered),
    block: toHex(enciphered ?? clear),
    keyLengthBytes: key?.length ?? null,
  };
}

function backCheck(
  reading: PinReading,
  pin: string | undefined,
  steps: readonly CheckStep[],
): ExplainCheck {
  const { fault } = reading;
  if (fault !== null) {
    return {
      name: 'pinBlock',
      result: 'failed',
      steps: [...steps, step(fault.why, reading.pinField)],
    };
  }
  const actual = reading.pin ?? '';
  const isRight = pin === undefined || pin === actual;
  return {
    name: 'pinBlock',
    result: isRight ? 'passed' : 'failed',
    steps,
    ...(pin === undefined ? {} : { expected: pin }),
    actual,
  };
}

type Decoding = {
  readonly block: Uint8Array;
  readonly pan: string | undefined;
  readonly key: Uint8Array | undefined;
  readonly format?: ShortFormat | 4 | undefined;
  readonly pin: string | undefined;
};

function decode({ block, pan, key, format, pin }: Decoding): Explained {
  if (block.length !== 8) {
    throw formatError(
      'pinBlock',
      Math.min(8, block.length),
      'a block has 8 bytes, format 4 has 16',
    );
  }
  const clear =
    key === undefined ? block : decipherUnder(requireKeyBytes(key, 'pik', [8, 16, 24]), block);
  const reading =
    format === undefined || format === 4 ? readAll(clear, pan) : readBlock(format, clear, pan);
  const steps = [
    ...(key === undefined ? [] : [step(both('deciphered', '解密'), toHex(clear))]),
    ...(reading.panField === null ? [] : [step(both('PAN field', '主账号域'), reading.panField)]),
    step(both('PIN field', 'PIN 域'), reading.pinField),
  ];
  const enciphered = key === undefined ? null : block;
  const said =
    reading.pin === null
      ? both('does not decode', '无法解出 PIN')
      : both(
          `format ${reading.format}, PIN ${reading.pin}`,
          `格式 ${reading.format}，PIN ${reading.pin}`,
        );
  return {
    summaryEn: `PIN block: ${said.en}`,
    summaryZh: `PIN 块：${said.zh}`,
    facts: {
      direction: 'decode',
      format: reading.pin === null ? null : reading.format,
      ...blockFacts({ reading, pan, clear, enciphered, key }),
    },
    tree: treeOf(reading, clear, enciphered),
    checks: [backCheck(reading, pin, steps)],
    findings: decodeFindings(reading, pan, key),
  };
}

/** The first format that decodes, else the usual one with what is wrong. */
function readAll(clear: Uint8Array, pan: string | undefined): PinReading {
  const usable = SHORT_FORMATS.filter((format) => pan !== undefined || !usesPan(format));
  const readings = usable.map((format) => readBlock(format, clear, pan));
  return readings.find(({ pin }) => pin !== null) ?? readings[0] ?? readBlock(2, clear, pan);
}

function decodeFindings(
  { fault, format }: PinReading,
  pan: string | undefined,
  key: Uint8Array | undefined,
): readonly Finding[] {
  if (fault === null) return [];
  const why = [
    ...(key === undefined ? ['it may be enciphered'] : ['the key may be wrong']),
    ...(pan === undefined ? ['format 0 needs the PAN'] : ['the PAN may be another']),
  ].join(', ');
  const about = both(
    `no PIN block of format ${format}: ${fault.why.en}; ${why}`,
    `不是格式 ${format} 的 PIN 块：${fault.why.zh}；可能密钥、主账号不符或仍为密文`,
  );
  return [finding('error', 'PIN_BLOCK_MALFORMED', fault.offsetBytes, about)];
}

function treeOf(
  reading: PinReading,
  clear: Uint8Array,
  enciphered: Uint8Array | null,
): Explained['tree'] {
  const pin = reading.pin ?? '?';
  return [
    ...(enciphered === null
      ? []
      : [
          nodeOf(both('PIN block, enciphered', 'PIN 块密文'), {
            offsetBytes: 0,
            bytes: enciphered,
          }),
        ]),
    nodeOf(
      both('PIN block, clear', 'PIN 块明文'),
      enciphered === null ? { offsetBytes: 0, bytes: clear } : null,
      {
        value: toHex(clear),
        children: [
          nodeOf(both('PIN field', 'PIN 域'), null, { value: reading.pinField }),
          nodeOf(both('PIN', 'PIN'), null, { value: pin }),
        ],
      },
    ),
  ];
}

type Format4 = {
  readonly pin: string;
  readonly pan: string | undefined;
  readonly key: Uint8Array | undefined;
};

function encodeFormat4({ ciphers, input }: ExplainContext, { pin, pan, key }: Format4): Explained {
  requirePin(pin);
  if (pan === undefined) throw missingPan();
  if (key === undefined) {
    throw new ExplainError('ERR_EXPLAIN_MISSING', 'format 4 needs an AES key', { name: 'key' });
  }
  const random8 = givenBytes(input, 'filler', 'random') ?? new Uint8Array(8).fill(0xff);
  const block = computing('pinBlock', () =>
    encipherPinBlockFormat4(ciphers, key, { pin, pan, random8 }),
  );
  const hex = toHex(block);
  return {
    summaryEn: `PIN block of format 4: ${hex}`,
    summaryZh: `格式 4 的 PIN 块：${hex}`,
    facts: format4Facts({ direction: 'encode', pin, pan, block, key }),
    tree: [nodeOf(both('PIN block, enciphered', 'PIN 块密文'), null, { value: hex })],
    checks: [
      { name: 'pinBlock', result: 'passed', steps: [step(both('enciphered', '密文'), hex)] },
    ],
    findings: isGiven(input, 'filler', 'random') ? [] : [fillerNote()],
  };
}

function format4Facts(parts: {
  readonly direction: string;
  readonly pin: string | null;
  readonly pan: string | undefined;
  readonly block: Uint8Array;
  readonly key: Uint8Array | undefined;
}): Facts {
  return {
    direction: parts.direction,
    format: 4,
    pan: parts.pan ?? null,
    pin: parts.pin,
    pinField: null,
    panField: null,
    clearBlock: null,
    encipheredBlock: toHex(parts.block),
    block: toHex(parts.block),
    keyLengthBytes: parts.key?.length ?? null,
  };
}

function decodeFormat4({ ciphers }: ExplainContext, parts: Decoding): Explained {
  const { block, pan, key, pin: wanted } = parts;
  if (block.length !== 16) {
    throw formatError('pinBlock', Math.min(16, block.length), 'a block of format 4 has 16 bytes');
  }
  if (key === undefined || pan === undefined) {
    const name = key === undefined ? 'key' : 'pan';
    throw new ExplainError('ERR_EXPLAIN_MISSING', `format 4 needs the ${name}`, { name });
  }
  requireKeyBytes(key, 'key', [16, 24, 32]);
  const pin = pinOrNull(() => decipherPinBlockFormat4(ciphers, key, block, pan));
  const steps = [
    step(
      both('deciphered once', '第一次解密'),
      toHex(xorBytes(ciphers.aesEcbDecrypt(key, block), new Uint8Array(16))),
    ),
  ];
  const result = pin !== null && (wanted === undefined || wanted === pin) ? 'passed' : 'failed';
  const about = both(
    'no PIN block of format 4 under this key and PAN',
    '用此密钥和主账号解不出格式 4 的 PIN 块',
  );
  return {
    summaryEn: pin === null ? 'PIN block does not decode' : `PIN block of format 4, PIN ${pin}`,
    summaryZh: pin === null ? 'PIN 块无法解出' : `格式 4 的 PIN 块，PIN ${pin}`,
    facts: format4Facts({ direction: 'decode', pin, pan, block, key }),
    tree: [nodeOf(both('PIN block, enciphered', 'PIN 块密文'), { offsetBytes: 0, bytes: block })],
    checks: [{ name: 'pinBlock', result, steps, ...(pin === null ? {} : { actual: pin }) }],
    findings: pin === null ? [finding('error', 'PIN_BLOCK_MALFORMED', 0, about)] : [],
  };
}

/** The PIN; null when the block is of another key or PAN. */
function pinOrNull(decipher: () => string): string | null {
  try {
    return computing('pinBlock', decipher);
  } catch (thrown) {
    if (thrown instanceof ExplainError && thrown.data['cause'] === 'ERR_CRYPTO_PIN_BLOCK')
      return null;
    throw thrown;
  }
}
