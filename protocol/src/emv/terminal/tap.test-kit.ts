/**
 * A contactless card for tests of the kernel, by script: it expects each command byte for byte and
 * in order, and fails the test on any other. It is not the virtual card.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { nodeCiphers } from '../../../node/index.ts';
import { concatBytes, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  encodeCommand,
  encodeTlv,
  type ResponseApdu,
} from '../../iso7816/index.ts';
import {
  answer,
  certify,
  padded,
  signed,
  TEST_AID,
  TEST_PAN,
  type TestKeys,
  testKeyOf,
  testTransaction,
} from './card.test-kit.ts';
import { contactlessTransaction } from './contactless-transaction.ts';
import type { ContactlessOutcome, KernelErrorCode } from './index.ts';
import { APPROVAL, runKernel, type TestDriver, type TestRun } from './kernel.test-kit.ts';
import type { OnlineAnswer } from './types.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const TAP_KEYS: TestKeys = { ca: KEY, issuer: KEY, icc: KEY };

/** 9F66 9F02 9F03 9F1A 95 5F2A 9A 9C 9F37. */
export const TAP_PDOL = '9F66049F02069F03069F1A0295055F2A029A039C019F3704';
const PPSE = '325041592E5359532E4444463031';
const SIGNED = ['5A', '5F24', '5F25', '5F28', '9F07', '9F4A'];

/** Data objects of the plain card by tag. */
const ELEMENTS: Readonly<Record<string, string | null>> = {
  '5A': TEST_PAN,
  '5F24': '311231',
  '5F25': '250101',
  '5F28': '0156',
  '9F07': 'FF00',
  '9F4A': '82',
  '8F': 'F0',
  '9F08': '0030',
  '82': '7C00',
  '94': '20010501',
  '9F36': '0006',
  '57': `${TEST_PAN}D31122010000000000000F`,
  '9F10': '07011703A0000201',
  '9F26': '1111111111111111',
  '5F34': '01',
  '9F6C': '2800',
  '9F69': '01C0C1C2C3280000',
};

/** What a test changes; null drops an object. */
export type TapOptions = {
  readonly elements?: Readonly<Record<string, string | null>>;
  /** Replaced after signing. */
  readonly forged?: Readonly<Record<string, string | null>>;
  readonly pdol?: string | null;
  /** Applications of the PPSE: AID and priority. */
  readonly directory?: readonly (readonly [aid: string, priority: number])[];
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** Answers to GET DATA by tag, whenever it is asked; 6A88 for any other once it is given. */
  readonly getData?: Readonly<Record<string, string>>;
  /** Where 9F4B stands. */
  readonly signatureIn?: 'gpo' | 'record' | 'nowhere';
  /** Answers in place of the script, by index of the command. */
  readonly override?: (index: number, command: CommandApdu) => ResponseApdu | undefined;
};

const tlvs = (elements: Readonly<Record<string, string | null>>, tags: readonly string[]) =>
  concatBytes(
    ...tags.map((tag) => {
      const value = elements[tag];
      return value === null || value === undefined
        ? new Uint8Array(0)
        : encodeTlv(tag, fromHex(value));
    }),
  );
const label = encodeTlv('50', fromHex('50424F43204445424954'));

function fci(name: string, proprietary: Uint8Array): ResponseApdu {
  const inner = concatBytes(encodeTlv('84', fromHex(name)), encodeTlv('A5', proprietary));
  return answer(toHex(encodeTlv('6F', inner)));
}

function directory(options: TapOptions): ResponseApdu {
  const entries = (options.directory ?? [[TEST_AID, 1]]).map(([aid, priority]) =>
    encodeTlv(
      '61',
      concatBytes(encodeTlv('4F', fromHex(aid)), label, encodeTlv('87', Uint8Array.of(priority))),
    ),
  );
  return fci(PPSE, encodeTlv('BF0C', concatBytes(...entries)));
}

/** Elements with certificates over them. */
function certified(options: TapOptions): Readonly<Record<string, string | null>> {
  const elements = { ...ELEMENTS, ...options.elements };
  const staticData = concatBytes(tlvs(elements, SIGNED), fromHex(elements['82'] ?? ''));
  const issuer = certify(nodeCiphers, KEY, {
    head: '02629999001235000001',
    key: KEY,
    staticData: new Uint8Array(0),
  });
  const icc = certify(nodeCiphers, KEY, {
    head: `04${TEST_PAN.padEnd(20, 'F')}1231000002`,
    key: KEY,
    staticData,
  });
  return {
    '90': issuer.certificate,
    '92': issuer.remainder,
    '9F32': toHex(KEY.exponent),
    '9F46': icc.certificate,
    '9F47': toHex(KEY.exponent),
    '9F48': icc.remainder,
    ...elements,
  };
}

/** SDAD over 9F37, 9F02, 5F2A of the command and the card's 9F69. */
function dynamicSignature(gpo: CommandApdu, related: string, options: TapOptions): string {
  const values = (gpo.data ?? new Uint8Array(0)).subarray(2);
  const beyond = concatBytes(
    values.subarray(29, 33),
    values.subarray(4, 10),
    values.subarray(23, 25),
    fromHex(related),
  );
  const head = fromHex('050109081122334455667788');
  const body = padded(head, KEY.modulus.length - 22);
  const made = signed(nodeCiphers, KEY, { body, beyond });
  return toHex(options.signature ? options.signature(made) : made);
}

const wire = (command: CommandApdu): string => toHex(encodeCommand(command));

/** The card as the function a transmit request is answered with. */
export function tapCard(options: TapOptions = {}): TestDriver['transmit'] {
  const before = certified(options);
  let elements: Readonly<Record<string, string | null>> = before;
  const gpoTags = ['82', '94', '9F36', '57', '9F10', '9F26', '9F27', '5F34', '9F6C', '9F5D'];
  const where = options.signatureIn ?? 'gpo';
  const script: readonly ((command: CommandApdu) => ResponseApdu)[] = [
    (command) => {
      assert.equal(wire(command), `00A404000E${PPSE}00`);
      return directory(options);
    },
    (command) => {
      assert.equal(wire(command), `00A4040008${TEST_AID}00`);
      const { pdol = TAP_PDOL } = options;
      const list = pdol === null ? new Uint8Array(0) : encodeTlv('9F38', fromHex(pdol));
      return fci(TEST_AID, concatBytes(label, fromHex('870101'), list));
    },
    (command) => {
      const asked = (command.data?.length ?? 0) - 2;
      assert.match(wire(command), new RegExp(`^80A80000(..)83(..)[0-9A-F]{${2 * asked}}00$`));
      assert.ok(asked >= 33, 'the values of the plain PDOL come first');
      const signature = dynamicSignature(command, before['9F69'] ?? '', options);
      elements = { ...before, '9F4B': signature, ...options.forged };
      const tags = where === 'gpo' ? [...gpoTags, '9F4B'] : gpoTags;
      return answer(toHex(encodeTlv('77', tlvs(elements, tags))));
    },
    ...[SIGNED, ['9F08', '8F', '92', '9F32'], ['90'], ['9F46', '9F47', '9F48']].map(
      (tags, at) => (command: CommandApdu) => {
        assert.equal(wire(command), `00B20${at + 1}2400`);
        return answer(toHex(encodeTlv('70', tlvs(elements, tags))));
      },
    ),
    (command) => {
      assert.equal(wire(command), '00B2052400');
      const tags = where === 'record' ? ['9F69', '9F4B'] : ['9F69'];
      return answer(toHex(encodeTlv('70', tlvs(elements, [...tags, '9F74', '9F63']))));
    },
  ];
  return (command, index) => {
    const given = options.override?.(index, command);
    if (given) return given;
    if (command.ins === 0xca && options.getData) {
      const tag = toHex(Uint8Array.of(command.p1, command.p2));
      const value = options.getData[tag];
      return value === undefined
        ? answer('', 0x6a88)
        : answer(toHex(encodeTlv(tag, fromHex(value))));
    }
    const step = script[index];
    assert.ok(step, `no command ${index} is expected: ${wire(command)}`);
    return step(command);
  };
}

/** One tap: what is special about card, terminal, issuer and driver. */
export type Tap = {
  readonly card?: TapOptions;
  readonly change?: Parameters<typeof testTransaction>[2];
  readonly online?: OnlineAnswer;
  readonly driver?: Partial<TestDriver>;
};

/** A run, its commands, word and flags as text. */
export type TapRun = TestRun<ContactlessOutcome> & {
  readonly wires: readonly string[];
  readonly word: readonly [outcome: string, reason: string];
  readonly tvr: string;
  readonly tsi: string;
  readonly cvm: string;
};

/** Limits of the plain reader: 5,000.00 a tap, a CVM above 300.00. */
export const TAP_LIMITS = {
  floorLimitMinor: 0n,
  transactionLimitMinor: 500_000n,
  cvmLimitMinor: 30_000n,
};

/** The same with a floor limit of 200.00, up to which a card may approve by itself. */
export const OFFLINE_LIMITS: typeof TAP_LIMITS = { ...TAP_LIMITS, floorLimitMinor: 20_000n };

/** A card that approves by itself: TC in the CVR, the purse's authorisation code in a record. */
export const TC_CARD: TapOptions & { readonly elements: Readonly<Record<string, string | null>> } =
  { elements: { '9F10': '0701170390000201', '9F74': '313233343536' } };

/** Runs a tap to its end. */
export function tap({ card = {}, change = {}, online = APPROVAL, driver = {} }: Tap = {}): TapRun {
  const transaction = testTransaction(nodeCiphers, TAP_KEYS, {
    ...change,
    aid: { contactless: TAP_LIMITS, ...change.aid },
  });
  const result = runKernel(contactlessTransaction(transaction), {
    transmit: tapCard(card),
    random: (length) => new Uint8Array(length).fill(0x5a),
    authorise: () => online,
    ...driver,
  });
  return {
    ...result,
    wires: result.commands.map(wire),
    word: [result.outcome.outcome, result.outcome.reason],
    tvr: toHex(result.outcome.tvr),
    tsi: toHex(result.outcome.tsi),
    cvm: toHex(result.outcome.cvmResults),
  };
}

/** The tap ends in this fault, and nobody was asked for a PIN or an authorisation. */
export function refusesTap(code: KernelErrorCode, what: Tap): void {
  const never = (): never => assert.fail('asked although the card is at fault');
  const driver = { enterPin: never, authorise: never, ...what.driver };
  assert.throws(() => tap({ ...what, driver }), { code });
}

/** 400.00: above the CVM limit. */
export const LARGE: NonNullable<Tap['change']> = { input: { amountMinor: 40_000n } };
