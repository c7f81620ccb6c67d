/** For the switch's tests: a clock to turn, members to script, and an HSM with real ciphers. */
import { createHash } from 'node:crypto';
import { type Clock, fromHex, type RandomSource, TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  CryptoError,
  pinBlockFormat0,
  pinOfBlockFormat0,
  tdesDecrypt,
  tdesEncrypt,
  x99Mac,
} from '@tapnpay/protocol/crypto';
import {
  buildReply,
  encodeOriginalDataElements,
  type FieldValue,
  type Iso8583Message,
  macBlock,
  makeMessage,
  requireText,
  type TransactionKind,
  textField,
  transactionSpec,
  transmissionDateTime,
  withFields,
} from '@tapnpay/protocol/iso8583';
import type { HopRecord, Hsm, HsmAnswers, HsmRequest } from '@tapnpay/protocol/wire';
import { createVault } from '../runtime/vault.ts';
import { SwitchCore } from './core.ts';
import type { Advice, Transaction } from './model.ts';
import type { LineKeys, MemberLines, SwitchPorts, SwitchProfile } from './ports.ts';
import { INSTITUTION_GATEWAY, INSTITUTION_ISSUER, SWITCH_DEFAULTS } from './ports.ts';
import type { SwitchStore } from './store.ts';
import { MemorySwitchStore } from './store-memory.ts';

/** 2026-03-14 09:26:53 in Shanghai. */
export const START_MS: number = Date.UTC(2026, 2, 14, 1, 26, 53);
export const TEST_PAN = '6299990000000017';
export const TEST_TRACK_2: string = `${TEST_PAN}D30122011234567890`;
export const GATEWAY: string = INSTITUTION_GATEWAY;
export const ISSUER: string = INSTITUTION_ISSUER;

/** The "key blocks" of the tests are clear keys: the HSM below opens nothing. */
export const GATEWAY_KEYS: LineKeys = {
  pin: '0123456789ABCDEFFEDCBA9876543210',
  mac: '1123456789ABCDEFFEDCBA9876543211',
};
export const ISSUER_KEYS: LineKeys = {
  pin: '2323456789ABCDEFFEDCBA9876543232',
  mac: '4523456789ABCDEFFEDCBA9876543254',
};

/** A clock that stands still until it is turned. */
export class TestClock implements Clock {
  #nowMs = START_MS;

  nowMs(): number {
    return this.#nowMs;
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }

  startTimer(): () => void {
    return () => undefined;
  }
}

/** Reproducible bytes. */
export function testRandom(seed = 1): RandomSource {
  let counter = seed * 1_000_003;
  return {
    bytes(lengthBytes) {
      let bytes = new Uint8Array();
      while (bytes.length < lengthBytes) {
        const block = createHash('sha256').update(String(counter++)).digest();
        bytes = Uint8Array.from([...bytes, ...block]);
      }
      return bytes.slice(0, lengthBytes);
    },
  };
}

/** Real MACs and PIN translation under the keys it is given. */
export class TestHsm implements Hsm {
  failing = false;
  readonly commands: string[] = [];

  async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
    this.commands.push(request.command);
    if (this.failing) throw new TapError('ERR_HSM_LOST', 'no HSM');
    return answerOf(request) as HsmAnswers[R['command']];
  }
}

function answerOf(request: HsmRequest): HsmAnswers[keyof HsmAnswers] {
  switch (request.command) {
    case 'generateMac':
      return { mac: macOf(request.key, request.data) };
    case 'verifyMac':
      return { valid: macOf(request.key, request.data) === request.mac };
    case 'translatePin': {
      const { from, toKey, pan, pinBlock } = request;
      try {
        const pin = pinOfBlockFormat0(tdesDecrypt(fromHex(from.key), fromHex(pinBlock)), pan);
        return { pinBlock: toHex(tdesEncrypt(fromHex(toKey), pinBlockFormat0(pin, pan))) };
      } catch (fault) {
        if (!(fault instanceof CryptoError)) throw fault;
        throw new TapError('ERR_HSM_PIN', 'the PIN block cannot be translated');
      }
    }
    default:
      throw new Error(`unexpected command ${request.command}`);
  }
}

function macOf(key: string, data: string): string {
  return toHex(x99Mac(fromHex(key), fromHex(data)));
}

/** What the other end of a line does with a message of the switch. */
export type MemberScript = (
  message: Iso8583Message,
) => Promise<Iso8583Message | 'timeout' | 'down'> | Iso8583Message | 'timeout' | 'down';

/** Lines whose answers the test decides; they keep what was sent. */
export class TestLines implements MemberLines {
  readonly sent: Iso8583Message[] = [];
  readonly established: Map<string, LineKeys> = new Map([
    [GATEWAY, GATEWAY_KEYS],
    [ISSUER, ISSUER_KEYS],
  ]);
  readonly previous: Map<string, LineKeys> = new Map();
  script: MemberScript;

  constructor(script: MemberScript) {
    this.script = script;
  }

  previousKeys(institutionId: string): LineKeys | null {
    return this.previous.get(institutionId) ?? null;
  }

  keys(institutionId: string): LineKeys | null {
    return this.established.get(institutionId) ?? null;
  }

  async send(
    institutionId: string,
    message: Iso8583Message,
  ): Promise<Iso8583Message | 'timeout' | 'down'> {
    if (!this.established.has(institutionId)) return 'down';
    this.sent.push(message);
    return this.script(message);
  }

  /** Types of the messages sent so far. */
  types(): string {
    return this.sent.map(({ mti }) => mti).join(' ');
  }
}

/** The message with a right field 128 under a clear key. */
export function signed(key: string, message: Iso8583Message): Iso8583Message {
  const unsigned = withFields(message, [[128, undefined]]);
  return withFields(unsigned, [[128, fromHex(macOf(key, toHex(macBlock(unsigned))))]]);
}

/** Whether field 128 is right under a clear key. */
export function isSigned(key: string, message: Iso8583Message | null): boolean {
  const mac = message?.fields.get(128);
  if (!message || !(mac instanceof Uint8Array)) return false;
  return toHex(mac) === macOf(key, toHex(macBlock(withFields(message, [[128, undefined]]))));
}

/** The issuer's answer to what the switch sent. */
export function issuerReply(
  request: Iso8583Message,
  responseCode: string,
  changes: readonly (readonly [number, FieldValue | undefined])[] = [],
): Iso8583Message {
  const isRequest = request.mti === '0200' || request.mti === '0100';
  const reply = buildReply(request, responseCode, [
    [38, isRequest && responseCode === '00' ? 'A1B2C3' : undefined],
    [55, isRequest ? fromHex('910A11223344556677883030') : undefined],
    [57, isRequest ? 'AV=1;LE=entry-1' : undefined],
  ]);
  return signed(ISSUER_KEYS.mac, withFields(reply, changes));
}

/** Approves what is asked and acknowledges reversals. */
export const approving: MemberScript = (message) => issuerReply(message, '00');

let traceCount = 0;

/** A chip sale of 12.34 yuan with PIN 123456, as the gateway sends it. */
export function saleRequest(
  changes: readonly (readonly [number, FieldValue | undefined])[] = [],
): Iso8583Message {
  const stan = String(++traceCount).padStart(6, '0');
  const pinBlock = tdesEncrypt(fromHex(GATEWAY_KEYS.pin), pinBlockFormat0('123456', TEST_PAN));
  const sale = makeMessage('0200', [
    [2, TEST_PAN],
    [3, '000000'],
    [4, '000000001234'],
    [7, transmissionDateTime(START_MS)],
    [11, stan],
    [12, '092653'],
    [13, '0314'],
    [14, '3012'],
    [18, '5999'],
    [22, '051'],
    [23, '001'],
    [25, '00'],
    [32, GATEWAY],
    [33, GATEWAY],
    [35, TEST_TRACK_2],
    [37, `607309${stan}`],
    [41, 'TAP00001'],
    [42, '898110000000001'],
    [43, 'Test shop Shanghai'.padEnd(40)],
    [49, '156'],
    [52, pinBlock],
    [53, '2600000000000000'],
    [55, fromHex('9F2608112233445566778895050080008000')],
    [60, '000005000700000000000000000000'],
  ]);
  return signed(GATEWAY_KEYS.mac, withFields(sale, changes));
}

/** The gateway's 0420 of a sale; `number` tells several apart, `repeated` makes it an 0421. */
export function reversalOf(
  sale: Iso8583Message,
  options: {
    readonly repeated?: boolean;
    readonly changes?: readonly (readonly [number, FieldValue | undefined])[];
  } = {},
): Iso8583Message {
  const fields = [2, 3, 4, 12, 13, 18, 22, 23, 25, 32, 33, 37, 41, 42, 43, 49, 60].map(
    (number) => [number, sale.fields.get(number)] as const,
  );
  const original = originalDataOf(sale);
  const reversal = makeMessage(options.repeated ? '0421' : '0420', [
    ...fields,
    [7, transmissionDateTime(START_MS)],
    [11, `9${requireText(sale, 11).slice(1)}`],
    [90, original],
  ]);
  return signed(GATEWAY_KEYS.mac, withFields(reversal, options.changes ?? []));
}

/** The first message of a kind that a card stands behind: a sale's fields under its own codes. */
export function requestOf(
  kind: TransactionKind,
  changes: readonly (readonly [number, FieldValue | undefined])[] = [],
): Iso8583Message {
  const { mti, processingCode, conditionCode } = transactionSpec(kind);
  const isTold = kind === 'offlineSaleAdvice';
  const fields: readonly (readonly [number, FieldValue | undefined])[] = [
    [3, processingCode],
    [25, conditionCode],
    ...(kind === 'balanceInquiry' ? [[4, undefined] as const] : []),
    ...(isTold ? [[22, '052'] as const, [52, undefined] as const, [53, undefined] as const] : []),
  ];
  const message = withFields(saleRequest(), [...fields, ...changes]);
  return signed(GATEWAY_KEYS.mac, { ...message, mti });
}

/** A void, refund, cancellation, completion or notice of an earlier message. */
export function followUpOf(
  kind: TransactionKind,
  original: Iso8583Message,
  options: {
    readonly repeated?: boolean;
    readonly changes?: readonly (readonly [number, FieldValue | undefined])[];
  } = {},
): Iso8583Message {
  const { mti, processingCode, conditionCode } = transactionSpec(kind);
  const stan = String(++traceCount).padStart(6, '0');
  const isNotice = kind === 'scriptResultNotice';
  const message = withFields(original, [
    [3, isNotice ? textField(original, 3) : processingCode],
    [11, stan],
    [14, undefined],
    [25, isNotice ? textField(original, 25) : conditionCode],
    [35, undefined],
    [37, `607309${stan}`],
    [52, undefined],
    [53, undefined],
    [55, isNotice ? fromHex('DF3105200000000000') : undefined],
    [90, originalDataOf(original)],
    ...(options.changes ?? []),
  ]);
  const type = options.repeated ? `${mti.slice(0, 3)}1` : mti;
  return signed(GATEWAY_KEYS.mac, { ...message, mti: type });
}

/** Field 90 of what speaks of a message. */
export function originalDataOf(original: Iso8583Message): string {
  return encodeOriginalDataElements({
    mti: `${original.mti.slice(0, 3)}0`,
    stan: requireText(original, 11),
    transmission: requireText(original, 7),
    acquirer: GATEWAY,
    forwarder: GATEWAY,
  });
}

/** Everything a test turns and looks at. */
export type TestSwitch = {
  readonly core: SwitchCore;
  readonly ports: SwitchPorts;
  readonly store: SwitchStore;
  readonly clock: TestClock;
  readonly lines: TestLines;
  readonly hsm: TestHsm;
  readonly log: Record<string, unknown>[];
  readonly hops: HopRecord[];
  readonly wakes: { count: number };
};

/** A switch over `store` (a new one in memory) between the gateway's line and the issuer's. */
export function testSwitch(
  options: {
    readonly store?: SwitchStore;
    readonly clock?: TestClock;
    readonly script?: MemberScript;
    readonly profile?: Partial<SwitchProfile>;
    readonly seed?: number;
  } = {},
): TestSwitch {
  const store = options.store ?? new MemorySwitchStore();
  const clock = options.clock ?? new TestClock();
  const lines = new TestLines(options.script ?? approving);
  const hsm = new TestHsm();
  const log: Record<string, unknown>[] = [];
  const hops: HopRecord[] = [];
  const wakes = { count: 0 };
  const random = testRandom(options.seed);
  const ports: SwitchPorts = {
    store,
    hsm,
    clock,
    random,
    lines,
    vault: createVault(testRandom(77).bytes(32), random),
    profile: { ...SWITCH_DEFAULTS, ...options.profile },
    log: (record) => log.push(record),
    onHop: (record) => hops.push(record),
    wake: () => {
      wakes.count++;
    },
  };
  return { core: new SwitchCore(ports), ports, store, clock, lines, hsm, log, hops, wakes };
}

/** Field 39 of an answer, `none` for no answer. */
export function codeOf(answer: Iso8583Message | null): string {
  return answer === null ? 'none' : (textField(answer, 39) ?? 'missing');
}

/** The one transaction and its advice, as far as there are any. */
export async function books(
  store: SwitchStore,
): Promise<{ readonly transaction: Transaction | undefined; readonly advice: Advice | undefined }> {
  const [transaction] = await store.transactions();
  const [advice] = await store.advices();
  return { transaction, advice };
}
