/** For the gateway's tests: a clock to turn, a switch to script, an HSM in memory, one element. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import {
  asciiToBytes,
  type Clock,
  concatBytes,
  fromHex,
  numericToBcd,
  type RandomSource,
  toHex,
} from '@tapnpay/protocol/bytes';
import { decodeTlv, encodeTlv, flattenTlv } from '@tapnpay/protocol/iso7816';
import {
  buildReply,
  encodeIssuerFacts,
  type FieldValue,
  type Iso8583Message,
  textField,
} from '@tapnpay/protocol/iso8583';
import { type AttestingElement, attest } from '@tapnpay/protocol/node';
import {
  type GatewayMessage,
  Hop,
  type HopRecord,
  type Hsm,
  type HsmAnswers,
  type HsmRequest,
  type PaymentAttestation,
  type PaymentClaim,
  type SealedCompletion,
  type SealedPayment,
  type SignedOrder,
} from '@tapnpay/protocol/wire';
import { createVault } from '../runtime/vault.ts';
import { ChannelBridge } from './channel/bridge.ts';
import { GatewayCore } from './core.ts';
import type { PayerSite } from './http/payer.ts';
import type { Order } from './model.ts';
import type { OrderRequest } from './orders.ts';
import { withMac } from './payment/messages.ts';
import type { ChannelPeer } from './payment/peer.ts';
import { signaturesOf } from './pki/signatures.ts';
import { GATEWAY_DEFAULTS, type GatewayPorts, type SwitchLine } from './ports.ts';
import { settlementDateAt } from './settlement-date.ts';
import type { GatewayStore } from './store.ts';
import { MemoryGatewayStore } from './store-memory.ts';

/** 2026-03-14 09:26:53 in Shanghai. */
export const START_MS: number = Date.UTC(2026, 2, 14, 1, 26, 53);
export const TEST_PAN = '6299990000000017';
/** Hash of the load file that the tests' element runs. */
export const TEST_LOAD_FILE_HASH: string = '1F'.repeat(32);
export const TEST_LINE_KEYS = { pin: 'line-pin-key', mac: 'line-mac-key' } as const;
export const TEST_INITIAL_KEY_ID = '54415001A1B2C3D4';

/** A clock that stands still until it is turned. */
export class TestClock implements Clock {
  #nowMs = START_MS;

  nowMs(): number {
    return this.#nowMs;
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

/** MACs are hashes of key and data; PIN blocks become a fixed one. */
export class TestHsm implements Hsm {
  readonly requests: HsmRequest[] = [];
  failing = false;

  async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
    this.requests.push(request);
    if (this.failing) throw new Error('no HSM');
    return answerOf(request) as HsmAnswers[R['command']];
  }
}

function answerOf(request: HsmRequest): HsmAnswers[keyof HsmAnswers] {
  switch (request.command) {
    case 'generateMac':
      return { mac: macOf(request.key, request.data) };
    case 'verifyMac':
      return { valid: macOf(request.key, request.data) === request.mac };
    case 'translatePin':
      return { pinBlock: '0412AC89ABCDEF67' };
    case 'exportInitialKey':
      return { enciphered: 'AB'.repeat(256), kcv: '0102030405' };
    default:
      throw new Error(`unexpected command ${request.command}`);
  }
}

function macOf(key: string, data: string): string {
  return createHash('sha256').update(`${key}/${data}`).digest('hex').slice(0, 16).toUpperCase();
}

/** What the scripted switch does with a request. */
export type SwitchScript = (
  message: Iso8583Message,
) => Promise<Iso8583Message | 'timeout'> | Iso8583Message | 'timeout';

/** A line whose answers the test decides; it keeps what was sent. */
export class TestLine implements SwitchLine {
  readonly sent: Iso8583Message[] = [];
  script: SwitchScript;
  up = true;

  constructor(script: SwitchScript) {
    this.script = script;
  }

  keys(): typeof TEST_LINE_KEYS | null {
    return this.up ? TEST_LINE_KEYS : null;
  }

  async send(message: Iso8583Message): Promise<Iso8583Message | 'timeout'> {
    this.sent.push(message);
    return this.script(message);
  }

  /** Types of the messages sent so far. */
  types(): string {
    return this.sent.map(({ mti }) => mti).join(' ');
  }
}

/** An answer with the fields a switch repeats, under the right MAC. */
export async function reply(
  request: Iso8583Message,
  responseCode: string,
  changes: readonly (readonly [number, FieldValue])[] = [],
): Promise<Iso8583Message> {
  const more: (readonly [number, FieldValue])[] = [];
  if (request.fields.has(55) && !request.mti.startsWith('04')) {
    const facts = { arqcVerified: responseCode !== '05', ledgerEntryId: 'issuer-entry-1' };
    more.push([57, encodeIssuerFacts(facts)]);
    more.push([55, encodeTlv('91', fromHex('11223344556677883030'))]);
    if (responseCode === '00') more.push([38, '123456']);
    more.push([15, settlementDateAt(START_MS)]);
  }
  const answer = buildReply(request, responseCode, [...more, ...changes]);
  return withMac(new TestHsm(), TEST_LINE_KEYS.mac, answer);
}

/** Approves what is asked and acknowledges reversals. */
export const approving: SwitchScript = (message) => reply(message, '00');

/** The one element of the tests. */
export const testElement: { readonly privateKey: KeyObject; readonly publicKeySpki: string } =
  (() => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    return { privateKey, publicKeySpki: toHex(spki) };
  })();

/** Signature of an element's key over a text, P1363 hex. */
export function elementSignature(input: string, key: KeyObject = testElement.privateKey): string {
  return toHex(sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }));
}

/** Field 55 of a chip sale. */
export function field55Of(
  order: Pick<SignedOrder, 'amountMinor' | 'currency' | 'dateYymmdd'>,
  changes: Readonly<Record<string, string>> = {},
): string {
  const tags: Record<string, string> = {
    '9F26': '1122334455667788',
    '9F27': '80',
    '9F10': '07010103A02000010A01000000000000000000',
    '9F37': 'A1B2C3D4',
    '9F36': '0007',
    '95': '0080008000',
    '9A': order.dateYymmdd,
    '9C': '00',
    '9F02': toHex(numericToBcd(order.amountMinor, 6)),
    '5F2A': `0${order.currency}`,
    '82': '7C00',
    '9F1A': '0156',
    '9F03': '000000000000',
    '9F33': '2048C0',
    '9F34': '020000',
    '84': 'A000000333010101',
    ...changes,
  };
  const present = Object.entries(tags).filter(([, value]) => value !== '');
  return toHex(concatBytes(...present.map(([tag, value]) => encodeTlv(tag, fromHex(value)))));
}

/** Everything a test turns and looks at. */
export type TestGateway = {
  readonly core: GatewayCore;
  readonly ports: GatewayPorts;
  readonly store: GatewayStore;
  readonly clock: TestClock;
  readonly line: TestLine;
  readonly hsm: TestHsm;
  readonly log: Record<string, unknown>[];
  readonly hops: HopRecord[];
  readonly posts: { url: string; headers: Readonly<Record<string, string>>; body: string }[];
  /** Status with which the shop answers notifications. */
  readonly courier: { status: number };
};

/** A gateway over `store` (a new one in memory) with one enrolled element. */
export async function testGateway(
  options: {
    readonly store?: GatewayStore;
    readonly clock?: TestClock;
    readonly line?: TestLine;
    readonly lab?: boolean;
    readonly seed?: number;
  } = {},
): Promise<TestGateway> {
  const store = options.store ?? new MemoryGatewayStore();
  const clock = options.clock ?? new TestClock();
  const line = options.line ?? new TestLine(approving);
  const hsm = new TestHsm();
  const log: Record<string, unknown>[] = [];
  const hops: HopRecord[] = [];
  const posts: { url: string; headers: Readonly<Record<string, string>>; body: string }[] = [];
  const courier = { status: 200 };
  const orderKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const random = testRandom(options.seed);
  const ports: GatewayPorts = {
    store,
    hsm,
    clock,
    random,
    line,
    vault: createVault(random.bytes(32), random),
    signatures: signaturesOf(orderKeys.privateKey),
    courier: {
      async post(url, headers, body) {
        posts.push({ url, headers, body });
        return courier.status;
      },
    },
    profile: {
      ...GATEWAY_DEFAULTS,
      merchant: {
        merchantId: '898110000000001',
        name: 'Test shop',
        terminalId: 'TAP00001',
        categoryCode: '5999',
        location: 'Test shop Shanghai',
      },
      baseKey: 'base-derivation-key',
      webhookSecret: asciiToBytes('webhook secret of the tests'),
      lab: options.lab ?? false,
    },
    log: (record) => log.push(record),
    onHop: (record) => hops.push(record),
    wake: () => undefined,
  };
  await enrolTestElement(store, clock.nowMs());
  const core = new GatewayCore(ports);
  return { core, ports, store, clock, line, hsm, log, hops, posts, courier };
}

/** Writes the element as enrolment does. */
export async function enrolTestElement(store: GatewayStore, nowMs: number): Promise<void> {
  const codeId = 'code-1';
  await store.addPairingCode({ codeId, sealedCode: '00', expiresAtMs: nowMs + 1, failures: 0 });
  await store.enrolElement(
    codeId,
    {
      elementId: 'E1',
      publicKeySpki: testElement.publicKeySpki,
      certificateSha256: 'C1',
      certificatePem: null,
      initialKeyId: TEST_INITIAL_KEY_ID,
      enrolledAtMs: nowMs,
    },
    nowMs,
  );
  await store.acceptLoadFile({ hash: TEST_LOAD_FILE_HASH, name: 'test', acceptedAtMs: nowMs });
}

/** A trusted channel of the element. */
export function testPeer(changes: Partial<ChannelPeer> = {}): ChannelPeer {
  const atMs = START_MS;
  return {
    elementId: 'E1',
    publicKeySpki: testElement.publicKeySpki,
    initialKeyId: TEST_INITIAL_KEY_ID,
    exporter: 'E0'.repeat(32),
    counterAtHello: 0,
    channelHop: { n: Hop.channel, name: 'channel', party: 'gateway', atMs, facts: {} },
    isOpen: () => true,
    signedOrders: new Map(),
    finishHops: new Map(),
    authorised: new Map(),
    ...changes,
  };
}

/** A site whose bridge leads to `port`; without pages. */
export function testSite(changes: Partial<PayerSite> = {}, port = 1): PayerSite {
  const log = (): void => undefined;
  return {
    publicUrl: 'http://127.0.0.1:8420',
    agentUrl: 'http://127.0.0.1:8427',
    observerUrl: 'http://127.0.0.1:8428',
    pagesDir: null,
    bridge: new ChannelBridge({ target: { host: '127.0.0.1', port }, log }),
    ...changes,
  };
}

let orderCount = 0;

/** A new order of 12.34 yuan. */
export async function newOrder(
  core: GatewayCore,
  changes: Partial<OrderRequest> = {},
): Promise<Order> {
  const merchantOrderNumber = `order ${++orderCount}`;
  const { order } = await core.createOrder(`key-${orderCount}`, {
    merchantOrderNumber,
    amount: '12.34',
    currency: '156',
    origin: 'https://shop.example',
    ...changes,
  });
  return order;
}

/** What a test changes in a sealed payment. */
export type PaymentChanges = {
  readonly interface?: 'contact' | 'contactless';
  readonly pinCounter?: number;
  readonly ksn?: string;
  readonly field55?: Readonly<Record<string, string>>;
  readonly track2?: string;
  readonly pan?: string;
  readonly signedExporter?: string;
  readonly signingKey?: KeyObject;
  /** What the element and the application say otherwise, under a true signature. */
  readonly element?: Partial<AttestingElement>;
  readonly claim?: Partial<PaymentClaim>;
  /** What is changed after the signature. */
  readonly told?: Partial<PaymentAttestation>;
};

let paymentCounter = 0;
/** The test element's counter. */
function nextCounter(): number {
  paymentCounter += 1;
  return paymentCounter;
}

/** Asks for the order on the channel and seals a payment of it. */
export async function sealedPayment(
  core: GatewayCore,
  peer: ChannelPeer,
  orderId: string,
  changes: PaymentChanges = {},
): Promise<SealedPayment> {
  const answer = await core.requestOrder(peer, orderId);
  if (answer.type !== 'signedOrder') throw new Error('no signed order');
  return sealOrder(answer.order, peer.exporter, changes);
}

/** Seals a payment of a signed order for the channel of `channelExporter`. */
export function sealOrder(
  order: SignedOrder,
  channelExporter: string,
  changes: PaymentChanges = {},
): SealedPayment {
  const field55 = field55Of(order, changes.field55);
  const counter = changes.pinCounter;
  const ksn =
    changes.ksn ?? TEST_INITIAL_KEY_ID + (counter ?? 0).toString(16).padStart(8, '0').toUpperCase();
  const pin = counter === undefined ? null : { block: '0F'.repeat(16), ksn };
  const exporter = changes.signedExporter ?? channelExporter;
  const tags = flattenTlv(decodeTlv(fromHex(field55)));
  const hexOf = (tag: string, lengthBytes: number): string =>
    toHex(tags.get(tag) ?? new Uint8Array(lengthBytes));
  const claim = {
    ...{ order, parameterVersion: 1, field55, pinBlock: pin?.block ?? null },
    ...{ tvr: hexOf('95', 5), cvmResults: hexOf('9F34', 3) },
    ...changes.claim,
  };
  const element = {
    ...{ elementId: 'E1', loadFileHash: TEST_LOAD_FILE_HASH, lifeCycle: 'operable' as const },
    ...{ counter: nextCounter(), exporter, ...changes.element },
  };
  const attestation = attest(changes.signingKey ?? testElement.privateKey, element, claim);
  return {
    orderId: order.orderId,
    interface: changes.interface ?? 'contact',
    pan: changes.pan ?? TEST_PAN,
    panSequenceNumber: '01',
    expiryYymm: '3012',
    applicationLabel: 'PBOC DEBIT',
    track2: changes.track2 ?? `${TEST_PAN}D301220112345678`,
    field55,
    pin,
    attestation: { ...attestation, ...changes.told },
  };
}

/** Pays an order; the authorisation the application hears. */
export async function payOrder(
  core: GatewayCore,
  peer: ChannelPeer,
  orderId: string,
  changes: PaymentChanges = {},
): Promise<Extract<GatewayMessage, { type: 'authorisation' }>> {
  const answer = await core.pay(peer, await sealedPayment(core, peer, orderId, changes));
  if (answer.type !== 'authorisation') throw new Error(`${answer.type} instead of authorisation`);
  return answer;
}

/** How the card ended. */
export function completionOf(paymentId: string, secondType: 'TC' | 'AAC' | null): SealedCompletion {
  return {
    paymentId,
    secondType,
    second: secondType === null ? null : '8877665544332211',
    tvr: '0080008000',
    tsi: 'E800',
    scriptResults: '',
    outcome: secondType === 'TC' ? 'approved' : 'declined',
  };
}

/** A text field of a message that must be there. */
export function fieldText(message: Iso8583Message | undefined, number: number): string {
  const text = message && textField(message, number);
  if (text === undefined) throw new Error(`field ${number} is missing`);
  return text;
}
