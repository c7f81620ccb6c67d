/**
 * A card for tests of the kernel, with a certificate chain of its own. It answers by table and
 * checks nothing, so that a test can make it say anything. It is not the virtual card.
 */
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import { type CipherProvider, rsaRaw } from '../../crypto/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu, StatusWord } from '../../iso7816/index.ts';
import type { CaPublicKey } from './ca-keys.ts';
import { NO_RANDOM_SELECTION, type TerminalAid, type TerminalProfile } from './profile.ts';
import type { ContactTransaction } from './types.ts';

/** An RSA key pair of the chain. */
export type TestKey = {
  readonly modulus: Uint8Array;
  readonly exponent: Uint8Array;
  readonly privateExponent: Uint8Array;
};
/** Keys of the three levels. */
export type TestKeys = { readonly ca: TestKey; readonly issuer: TestKey; readonly icc: TestKey };

/** A pair of its JSON web key. */
export function testKeyOf(jwk: {
  readonly n?: string | undefined;
  readonly e?: string | undefined;
  readonly d?: string | undefined;
}): TestKey {
  const { n = '', e = '', d = '' } = jwk;
  return { modulus: base64Url(n), exponent: base64Url(e), privateExponent: base64Url(d) };
}

function base64Url(text: string): Uint8Array {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const bits = [...text].map((letter) => alphabet.indexOf(letter).toString(2).padStart(6, '0'));
  const octets = bits.join('').match(/[01]{8}/g) ?? [];
  return Uint8Array.from(octets, (octet) => Number.parseInt(octet, 2));
}

export const TEST_AID = 'A000000333010101';
export const TEST_PAN = '6299990000000009';
export const TEST_CA_INDEX = 0xf0;

/** Data objects of the plain card; tests replace or drop (null) single ones. */
const ELEMENTS: Readonly<Record<string, string>> = {
  '57': '6299990000000009D31122010000000000000F',
  '5F20': '5445535420434152442F',
  '9F08': '0030',
  '9F42': '0156',
  '5A': TEST_PAN,
  '5F34': '01',
  '5F24': '311231',
  '5F25': '250101',
  '5F28': '0156',
  '9F07': 'FF00',
  '8E': '000000000000000042031F00',
  '9F0D': 'D8609CA800',
  '9F0E': '0010000000',
  '9F0F': 'D8689CF800',
  '9F4A': '82',
  '8C': '9F02069F03069F1A0295055F2A029A039C019F3704',
  '8D': '8A0295059F37049B02',
  '9F49': '9F3704',
  '8F': 'F0',
};

/** Records of the plain card: file, record, tags; those of file 2 record 1 are signed. */
const LAYOUT: readonly (readonly [sfi: number, record: number, tags: readonly string[]])[] = [
  [1, 1, ['57', '5F20', '9F08', '9F42', '9F74', '9F63', '9F78']],
  [2, 1, ['5A', '5F34', '5F24', '5F25', '5F28', '9F07', '8E', '9F0D', '9F0E', '9F0F', '9F4A']],
  [2, 2, ['8C', '8D', '9F49', '9F14', '9F23', '97']],
  [3, 1, ['90']],
  [3, 2, ['8F', '92', '9F32', '93']],
  [3, 3, ['9F46']],
  [3, 4, ['9F47', '9F48', '9F2D', '9F2E', '9F2F']],
];
const AFL = '080101001001020118010400';

/** What a test changes. */
export type TestCardOptions = {
  readonly aip?: string;
  readonly pdol?: string;
  /** Replaced before the issuer signs; null drops the object. */
  readonly elements?: Readonly<Record<string, string | null>>;
  /** Replaced after the issuer signed: a forged card. */
  readonly forged?: Readonly<Record<string, string | null>>;
  readonly issuerExpiryMmyy?: string;
  readonly issuerIdentifier?: string;
  readonly iccExpiryMmyy?: string;
  readonly iccPan?: string;
  /** Values of GET DATA. */
  readonly getData?: Readonly<Record<string, string>>;
  /** Type bytes (CID) of first and second GENERATE AC. */
  readonly firstCid?: number;
  readonly secondCid?: number;
  /** Answers before the table; undefined leaves it to the table. */
  readonly override?: (command: CommandApdu, index: number) => ResponseApdu | undefined;
  /** ICC dynamic data in place of the number with its length. */
  readonly dynamicData?: string;
  /** Changes the dynamic signature. */
  readonly signature?: (signature: Uint8Array) => Uint8Array;
};

/** An answer of hex data and a status word. */
export function answer(data: string, statusWord = 0x9000): ResponseApdu {
  return { data: fromHex(data), statusWord: StatusWord(statusWord) };
}

/** Signatures made already: tests ask for the same ones again and again. */
const SIGNATURES = new Map<string, Uint8Array>();

/** Body with its hash and frame, signed. @see EMV 4.3 B2 §A2.1 */
export function signed(
  ciphers: CipherProvider,
  key: TestKey,
  parts: { readonly body: Uint8Array; readonly beyond: Uint8Array },
): Uint8Array {
  const hash = ciphers.sha1(concatBytes(parts.body, parts.beyond));
  const block = concatBytes(Uint8Array.of(0x6a), parts.body, hash, Uint8Array.of(0xbc));
  const name = `${toHex(key.modulus)}.${toHex(block)}`;
  const made = SIGNATURES.get(name) ?? rsaRaw(key.modulus, key.privateExponent, block);
  SIGNATURES.set(name, made);
  return made;
}

export function padded(bytes: Uint8Array, length: number): Uint8Array {
  return concatBytes(bytes, new Uint8Array(Math.max(0, length - bytes.length)).fill(0xbb));
}

/** A certificate and the part of the key it has no room for. */
export function certify(
  ciphers: CipherProvider,
  signer: TestKey,
  step: { readonly head: string; readonly key: TestKey; readonly staticData: Uint8Array },
): { readonly certificate: string; readonly remainder: string | null } {
  const { key } = step;
  const lengths = Uint8Array.of(1, 1, key.modulus.length, key.exponent.length);
  const head = concatBytes(fromHex(step.head), lengths);
  const room = signer.modulus.length - 22 - head.length;
  const body = concatBytes(head, padded(key.modulus.slice(0, room), room));
  const remainder = key.modulus.slice(room);
  const beyond = concatBytes(remainder, key.exponent, step.staticData);
  const certificate = toHex(signed(ciphers, signer, { body, beyond }));
  return { certificate, remainder: remainder.length === 0 ? null : toHex(remainder) };
}

function record(elements: Readonly<Record<string, string | null>>, tags: readonly string[]) {
  const objects = tags.map((tag) => {
    const value = elements[tag];
    return value ? encodeTlv(tag, fromHex(value)) : new Uint8Array(0);
  });
  return concatBytes(...objects);
}

/** All data objects of a card, certificates included. */
function personalise(ciphers: CipherProvider, keys: TestKeys, options: TestCardOptions) {
  const elements = { ...ELEMENTS, ...options.elements };
  const aip = fromHex(options.aip ?? '7C00');
  const withAip = elements['9F4A'] === '82' ? aip : new Uint8Array(0);
  const staticData = concatBytes(record(elements, LAYOUT[1]?.[2] ?? []), withAip);
  const issuer = certify(ciphers, keys.ca, {
    head: `02${options.issuerIdentifier ?? '62999900'}${options.issuerExpiryMmyy ?? '1235'}000001`,
    key: keys.issuer,
    staticData: new Uint8Array(0),
  });
  const icc = certify(ciphers, keys.issuer, {
    head: `04${(options.iccPan ?? TEST_PAN).padEnd(20, 'F')}${options.iccExpiryMmyy ?? '1231'}000002`,
    key: keys.icc,
    staticData,
  });
  const room = keys.issuer.modulus.length - 22;
  const ssad = signed(ciphers, keys.issuer, {
    body: padded(fromHex('0301DAC1'), room),
    beyond: staticData,
  });
  return {
    ...elements,
    '90': issuer.certificate,
    '92': issuer.remainder,
    '9F32': toHex(keys.issuer.exponent),
    '93': toHex(ssad),
    '9F46': icc.certificate,
    '9F47': toHex(keys.icc.exponent),
    '9F48': icc.remainder,
    ...options.forged,
  };
}

/** The card as the function a transmit request is answered with. */
export function testCard(
  ciphers: CipherProvider,
  keys: TestKeys,
  options: TestCardOptions = {},
): (command: CommandApdu, index: number) => ResponseApdu {
  const elements = personalise(ciphers, keys, options);
  const records = new Map(
    LAYOUT.map(([sfi, number, tags]) => [
      `${sfi}.${number}`,
      toHex(encodeTlv('70', record(elements, tags))),
    ]),
  );
  let cryptograms = 0;
  const table = (command: CommandApdu): ResponseApdu => {
    switch (command.ins) {
      case 0xa4:
        return toHex(command.data ?? new Uint8Array(0)) === TEST_AID
          ? answer(fci(options.pdol))
          : answer('', 0x6a82);
      case 0xa8:
        return answer(toHex(encodeTlv('80', fromHex((options.aip ?? '7C00') + AFL))));
      case 0xb2: {
        const value = records.get(`${command.p2 >> 3}.${command.p1}`);
        return value ? answer(value) : answer('', 0x6a83);
      }
      case 0xca: {
        const tag = toHex(Uint8Array.of(command.p1, command.p2));
        const value = options.getData?.[tag];
        return value ? answer(toHex(encodeTlv(tag, fromHex(value)))) : answer('', 0x6a88);
      }
      case 0x88:
        return answer(
          toHex(encodeTlv('80', dynamicSignature(ciphers, keys.icc, command, options))),
        );
      case 0x82:
        return answer('');
      case 0xae: {
        cryptograms += 1;
        if (cryptograms > 2) return answer('', 0x6985);
        const cid = cryptograms === 1 ? (options.firstCid ?? 0x80) : (options.secondCid ?? 0x40);
        const ac = cryptograms === 1 ? '1111111111111111' : '2222222222222222';
        return answer(`8013${toHex(Uint8Array.of(cid))}0006${ac}07000103A0A80201`);
      }
      default:
        return answer('', 0x6d00);
    }
  };
  return (command, index) => options.override?.(command, index) ?? table(command);
}

function fci(pdol: string | undefined): string {
  const label = encodeTlv(
    '50',
    Uint8Array.from('PBOC DEBIT', (letter) => letter.charCodeAt(0)),
  );
  const list = pdol ? encodeTlv('9F38', fromHex(pdol)) : new Uint8Array(0);
  const inner = encodeTlv('A5', concatBytes(label, fromHex('870101'), list));
  return toHex(encodeTlv('6F', concatBytes(encodeTlv('84', fromHex(TEST_AID)), inner)));
}

function dynamicSignature(
  ciphers: CipherProvider,
  key: TestKey,
  command: CommandApdu,
  options: TestCardOptions,
): Uint8Array {
  const inner = fromHex(options.dynamicData ?? '081122334455667788');
  const head = concatBytes(Uint8Array.of(0x05, 0x01, inner.length), inner);
  const body = padded(head, key.modulus.length - 22);
  const beyond = command.data ?? new Uint8Array(0);
  const signature = signed(ciphers, key, { body, beyond });
  return options.signature ? options.signature(signature) : signature;
}

/** The CA key that a terminal needs for these cards. */
export function testCaKey(ciphers: CipherProvider, ca: TestKey): CaPublicKey {
  const rid = fromHex(TEST_AID).slice(0, 5);
  const index = TEST_CA_INDEX;
  const sha1 = ciphers.sha1(concatBytes(rid, Uint8Array.of(index), ca.modulus, ca.exponent));
  const { modulus, exponent } = ca;
  return { rid, index, modulus, exponent, sha1, expiryYymmdd: '351231' };
}

/** Rules for the test card's application. */
export const TEST_TERMINAL_AID: TerminalAid = {
  aid: fromHex(TEST_AID),
  partialSelection: true,
  applicationVersion: fromHex('0030'),
  tacDefault: fromHex('D84000A800'),
  tacDenial: fromHex('0010000000'),
  tacOnline: fromHex('D84004F800'),
  floorLimitMinor: 0n,
  randomSelection: NO_RANDOM_SELECTION,
  defaultDdol: fromHex('9F3704'),
  defaultTdol: null,
  contactless: null,
};

/** A transaction of 12.34 yuan at a terminal with online PIN, signature, no CVM, SDA and DDA. */
export function testTransaction(
  ciphers: CipherProvider,
  keys: TestKeys,
  change: {
    readonly input?: Partial<ContactTransaction>;
    readonly terminal?: Partial<TerminalProfile>;
    readonly aid?: Partial<TerminalAid>;
  } = {},
): ContactTransaction {
  const ca = testCaKey(ciphers, keys.ca);
  return {
    ciphers,
    terminal: {
      countryCode: '156',
      currency: '156',
      currencyExponent: 2,
      terminalType: 0x22,
      capabilities: fromHex('E068C0'),
      additionalCapabilities: fromHex('6000F0A001'),
      terminalTransactionQualifiers: fromHex('36000080'),
      interfaceDeviceSerialNumber: 'TAPNPAY1',
      aids: [{ ...TEST_TERMINAL_AID, ...change.aid }],
      caPublicKeys: {
        find: (rid, index) => (toHex(rid) === toHex(ca.rid) && index === ca.index ? ca : undefined),
      },
      ...change.terminal,
    },
    amountMinor: 1234n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '261201',
    timeHhmmss: '101112',
    sequenceCounter: 42,
    merchant: { merchantId: '123456789012345', terminalId: '12345678', nameAndLocation: 'SHOP' },
    ...change.input,
  };
}
