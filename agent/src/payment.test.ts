/**
 * Payments through the real element process: real TLS over the relay, the virtual card on disk, a
 * scripted gateway. What crosses the agent is searched for what must not be there.
 */
import assert from 'node:assert/strict';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { fromHex, Secret, TapError, toHex } from '@tapnpay/protocol/bytes';
import { aesDukptWorkingKey, decipherPinBlockFormat4, kcvAes } from '@tapnpay/protocol/crypto';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import {
  applicationMessageShape,
  type CardInterface,
  type CardRequest,
  checkShape,
  type EnrolmentRequest,
  encodeJsonFrame,
  enrolmentRequestShape,
  type HopRecord,
  JsonFrameDecoder,
  type TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import {
  type GatewayScript,
  TEST_PARAMETER_KEY_SPKI,
  TestGateway,
  testParameters,
} from '../../protocol/node/gateway.test-peer.ts';
import { builtLoadFile } from '../../protocol/node/load-file.test-build.ts';
import { imageUdk } from '../../protocol/src/emv/data/icc-image.test-kit.ts';
import { SAMPLE_PAN, sampleCard } from '../../protocol/src/emv/icc/sample.test-card.ts';
import {
  cardFault,
  type ElementProcess,
  enrolElement,
  type PaymentApdu,
  type PaymentRequest,
  type PresentedCard,
  payWithElement,
  sealPin,
  startElement,
  tcpRelay,
  VirtualCards,
} from './index.ts';
import { nodeCiphers, systemRandom } from './system.ts';

const SERVER_NAME = 'gateway.tapnpay.test';
const PIN = '246810';
const INITIAL_KEY = new Uint8Array(16).fill(0x42);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'tapnpay-agent-'));
const config = {
  nodePath: process.execPath,
  elementEntry: here('../../element/src/main.ts'),
  loadFile: builtLoadFile(),
  storeDir: join(directory, 'element'),
  allowRead: [
    builtLoadFile(),
    ...['element', 'protocol', 'node_modules'].map((name) => here(`../../${name}`)),
  ],
};

function rsaKey(modulusLength: number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const { image, caKey } = sampleCard(nodeCiphers, keys);
const parameters: TerminalParametersJson = {
  terminalTransactionQualifiers: '34000080',
  countryCode: '0156',
  terminalType: '22',
  terminalCapabilities: 'E068C0',
  additionalTerminalCapabilities: 'F000F0A001',
  aids: [
    {
      aid: 'A000000333010101',
      applicationVersion: '0030',
      tacDefault: 'D84000A800',
      tacDenial: '0010000000',
      tacOnline: 'D84004F800',
      floorLimitMinor: '0',
      defaultDdol: '9F3704',
      contactless: {
        ...{ floorLimitMinor: '0', transactionLimitMinor: '500000', cvmLimitMinor: '30000' },
      },
    },
  ],
  caPublicKeys: [caKey],
};

const authority = new TestAuthority();
const serverCertificate = authority.issue({ name: 'gateway', dnsName: SERVER_NAME });
const certified = new Map<string, string>();
/** The order key outlives one script: elements pin it at enrolment. */
let gateway = new TestGateway(imageUdk(image, 'udkAc'));
let tls: Server;
let http: HttpServer;
let element: ElementProcess;
const cards = new VirtualCards({
  directory: join(directory, 'cards'),
  ciphers: nodeCiphers,
  random: systemRandom,
});

function script(next: GatewayScript): void {
  gateway = gateway.withScript(next);
}

const spkiKey = (hex: string) =>
  createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });

function grantOf(request: EnrolmentRequest) {
  certified.set(`CN=${request.elementId}`, request.publicKeySpki);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = { key: spkiKey(request.transportKeySpki), padding, oaepHash: 'sha256' };
  return {
    certificatePem: authority.certify({
      name: request.elementId,
      publicKey: spkiKey(request.publicKeySpki),
    }),
    caPem: authority.certPem,
    orderPublicKeySpki: gateway.orderPublicKeySpki,
    initialKeyId: '5441500100000001',
    encipheredInitialKey: toHex(publicEncrypt(key, INITIAL_KEY)),
    initialKeyKcv: kcvAes(nodeCiphers, INITIAL_KEY),
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: testParameters(parameters),
  };
}

function startHttp(): HttpServer {
  return createHttpServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const ask = checkShape(enrolmentRequestShape, JSON.parse(body), 'request');
    if (request.url === '/v1/enrolments' && request.method === 'POST') {
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify(grantOf(ask)));
    }
  });
}

function startTls(): Server {
  const server = createServer({
    ca: authority.certPem,
    cert: serverCertificate.certPem,
    key: serverCertificate.keyPem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3',
  });
  server.on('secureConnection', (socket) => {
    const publicKeySpki = certified.get(socket.getPeerX509Certificate()?.subject ?? '') ?? '';
    const exported = socket.exportKeyingMaterial(32, 'EXPORTER-tapandpay', Buffer.alloc(0));
    const decoder = new JsonFrameDecoder(32_768);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) {
        const message = checkShape(applicationMessageShape, frame, 'message');
        const reply = gateway.answer(message, { publicKeySpki, exporter: toHex(exported) });
        if (reply === 'close') socket.destroy();
        else for (const part of reply) socket.write(encodeJsonFrame(part, 32_768));
      }
    });
  });
  return server;
}

function listen(server: { listen(port: number, host: string, done: () => void): unknown }) {
  return new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

before(async () => {
  [tls, http] = [startTls(), startHttp()];
  await listen(tls);
  await listen(http);
  cards.add('test', JSON.stringify(image));
  element = await startElement(config);
  assert.equal(element.state, 'notEnrolled');
  const gatewayUrl = `http://127.0.0.1:${portOf(http)}`;
  await enrolElement({ element, gatewayUrl, pairingCode: '0123456789' });
});
after(async () => {
  await element.close();
  tls.close();
  http.close();
  rmSync(directory, { recursive: true });
});

/** How a request for a card is answered: a card, or the code of its refusal. */
type Answer = PresentedCard | string;
type Options = Partial<PaymentRequest> & {
  readonly pin?: string | null;
  readonly cards?: readonly Answer[];
  readonly port?: number;
};

const inserted = (): PresentedCard => ({ interface: 'contact', card: cards.insert('test') });
/** A card presented when it is asked for: the same card may be presented again and again. */
function lazily(present: () => CardChannel, cardInterface: CardInterface): PresentedCard {
  let channel: CardChannel | null = null;
  return {
    interface: cardInterface,
    card: {
      transmit: (command) => {
        channel ??= present();
        return channel.transmit(command);
      },
    },
  };
}
const tapped = (liftAfter: number | null = null): PresentedCard =>
  lazily(() => cards.present('test', 'contactless', { liftAfter }), 'contactless');
const putIn = (liftAfter: number | null = null): PresentedCard =>
  lazily(() => cards.present('test', 'contact', { liftAfter }), 'contact');

async function pay(options: Options = {}) {
  const hops: HopRecord[] = [];
  const apdus: PaymentApdu[] = [];
  const requests: CardRequest[] = [];
  const told: string[] = [];
  const { pin = PIN, cards: answers = [inserted()], port = portOf(tls), ...rest } = options;
  const result = await payWithElement({
    element,
    orderId: 'order-1',
    serverName: SERVER_NAME,
    openRelay: tcpRelay({ host: '127.0.0.1', port }),
    presentCard: async (ask) => {
      requests.push(ask);
      const answer = answers[requests.length - 1] ?? 'ERR_CARD_REMOVED';
      if (typeof answer === 'string') throw new TapError(answer, 'no card');
      return answer;
    },
    enterPin: async ({ publicKeySpki }) => {
      told.push('pin');
      return pin === null ? null : sealPin(new Secret(pin), publicKeySpki);
    },
    onCardDone: () => told.push('cardDone'),
    onHop: (record) => hops.push(record),
    onApdu: (record) => apdus.push(record),
    ...rest,
  });
  return { result, hops, apdus, requests, told };
}

function withFault(name: string, card: PresentedCard = inserted()): PresentedCard {
  const fault = cardFault(name);
  assert.ok(fault);
  return { ...card, card: fault(card.card) };
}

const contact = (card: CardChannel): PresentedCard => ({ interface: 'contact', card });

test('enrolled over HTTP, the element is operable and holds its store alone', async () => {
  assert.equal(element.state, 'operable');
  assert.match(element.elementId ?? '', /^[0-9A-F]{16}$/);
  await assert.rejects(startElement(config), { code: 'ERR_ELEMENT_IN_USE' });
});

test('one payment through element, relay and card: approved, TLS 1.3 mutual, TC', async () => {
  script({});
  const { result, hops, apdus, requests, told } = await pay();
  assert.equal(result.outcome, 'approved');
  assert.deepEqual(result.channel, { protocol: 'TLSv1.3', mutual: true, resumed: false });
  assert.equal(result.cryptogram.secondType, 'TC');
  assert.ok(gateway.isArqcValid && gateway.isElementSignatureValid);
  const names = ['ask', 'channel', 'tap', 'check', 'cryptogram', 'seal', 'finish', 'confirm'];
  assert.deepEqual(
    hops.map(({ name }) => name),
    names,
  );
  assert.ok(apdus.length > 8);
  assert.ok(apdus.every((apdu) => apdu.attempt === 1 && apdu.interface === 'contact'));
  assert.deepEqual(told, ['pin', 'cardDone']);
  assert.deepEqual(requests, [
    {
      ...{ kind: 'purchase', amountMinor: '1234', currency: '156' },
      merchantName: '测试商户 Test Shop',
      ...{ origin: 'https://shop.example', interfaces: ['contact', 'contactless'] },
      ...{ attempt: 1, reason: null },
    },
  ]);
});

test("the gateway's HSM can open the PIN block, under a new KSN for each payment", async () => {
  const counters: number[] = [];
  for (let round = 0; round < 2; round++) {
    script({});
    await pay();
    const { pin } = gateway.payment ?? {};
    assert.ok(pin);
    const ksn = fromHex(pin.ksn);
    const counter = Number.parseInt(pin.ksn.slice(-8), 16);
    const key = aesDukptWorkingKey(
      nodeCiphers,
      INITIAL_KEY,
      ksn.slice(0, 8),
      counter,
      'pinEncryption',
    );
    const block = fromHex(pin.block);
    assert.equal(decipherPinBlockFormat4(nodeCiphers, key, block, SAMPLE_PAN), PIN);
    counters.push(counter);
  }
  assert.equal(counters[1], (counters[0] ?? 0) + 1);
});

test('trace, hops and result show no PAN, track 2 or PIN; the card does (control)', async () => {
  script({});
  const seen: string[] = [];
  const spied = (plain: CardChannel): CardChannel => ({
    transmit: async (command) => {
      const answer = await plain.transmit(command);
      seen.push(toHex(answer));
      return answer;
    },
  });
  const shown = JSON.stringify([
    await pay({ cards: [contact(spied(cards.insert('test')))] }),
    await pay({ cards: [{ interface: 'contactless', card: spied(tapped().card) }] }),
  ]);
  assert.ok(
    seen.some((answer) => answer.startsWith('77')),
    'a tap was among them',
  );
  assert.ok(seen.join(' ').includes(SAMPLE_PAN), 'positive control');
  assert.ok(!shown.includes(SAMPLE_PAN));
  assert.ok(!shown.includes(PIN));
  assert.ok(!shown.includes(toHex(Buffer.from(SAMPLE_PAN))));
  assert.ok(!shown.includes(toHex(Buffer.from('ZHANG/SAN'))));
});

test('the relay carries records only: no message, card data or PIN in clear', async () => {
  script({});
  const carried: Buffer[] = [];
  const tap = createTcpServer((socket) => {
    const onward = tcpConnect(portOf(tls), '127.0.0.1');
    for (const [from, to] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        carried.push(chunk);
        to.write(chunk);
      });
      from.on('end', () => to.end());
      from.on('error', () => {});
    }
  });
  await listen(tap);
  const { result } = await pay({ port: portOf(tap) });
  tap.close();
  assert.equal(result.outcome, 'approved');
  const bytes = Buffer.concat(carried);
  assert.ok(bytes.length > 1000);
  for (const secret of [SAMPLE_PAN, PIN, 'orderId', 'field55', result.cryptogram.arqc ?? '']) {
    assert.ok(!bytes.includes(secret), secret);
  }
});

test('fault flip-arqc: the issuer finds the cryptogram wrong', async () => {
  script({ responseCode: '05' });
  const { result } = await pay({ cards: [withFault('flip-arqc')] });
  assert.equal(gateway.isArqcValid, false);
  assert.deepEqual([result.outcome, result.reason], ['declined', 'issuer:05']);
  script({});
  await pay();
  assert.equal(gateway.isArqcValid, true, 'positive control');
});

test('fault card-removed@N: cancelled before the cryptogram, unknown after it', async () => {
  script({});
  const { apdus } = await pay();
  for (const [number, outcome, charged] of [
    [1, 'cancelled', 'no'],
    [4, 'cancelled', 'no'],
    [apdus.length, 'unknown', 'unknown'],
  ] as const) {
    script({});
    const { result, apdus: seen } = await pay({
      cards: [withFault(`card-removed@${number}`)],
    });
    assert.deepEqual([result.outcome, result.charged], [outcome, charged]);
    assert.equal(result.reason, 'ERR_CARD_REMOVED');
    assert.equal(seen.at(-1)?.response, 'ERR_CARD_REMOVED');
  }
});

test('no PIN given: cancelled, and nothing sent', async () => {
  script({});
  const { result } = await pay({ pin: null });
  assert.deepEqual([result.outcome, result.reason], ['cancelled', 'cardholder:pin']);
  assert.equal(gateway.payment, null);
});

test('a PIN that is no PIN is refused by the element with a code', async () => {
  script({});
  const { result } = await pay({ pin: '12' });
  assert.deepEqual([result.outcome, result.reason], ['cancelled', 'ERR_PIN_FORMAT']);
});

test('a gateway that is not there, or is another one, gets nothing', async () => {
  script({});
  const closed = createTcpServer();
  await listen(closed);
  const port = portOf(closed);
  closed.close();
  const absent = await pay({ port });
  assert.deepEqual(
    [absent.result.outcome, absent.result.reason],
    ['cancelled', 'ERR_CHANNEL_CLOSED'],
  );
  const other = await pay({ serverName: 'other.tapnpay.test' });
  assert.deepEqual([other.result.outcome, other.result.reason], ['cancelled', 'ERR_CHANNEL_TLS']);
  // The farewell of the test before may still come in.
  const types = gateway.received.map(({ type }) => type);
  assert.ok(!types.includes('hello'), types.join());
  assert.equal(absent.apdus.length, 0, 'the card was not touched');
});

test('a channel lost after the payment was sent is unknown', async () => {
  script({ onPayment: 'close' });
  const { result } = await pay();
  assert.deepEqual([result.outcome, result.charged], ['unknown', 'unknown']);
});

test('an element killed during a payment: a coded fault, and it starts again', async () => {
  script({});
  const plain = cards.insert('test');
  let count = 0;
  const card: CardChannel = {
    transmit: async (command) => {
      count += 1;
      if (count === 6 && element.pid !== undefined) process.kill(element.pid, 'SIGKILL');
      return await plain.transmit(command);
    },
  };
  const { elementId } = element;
  await assert.rejects(pay({ cards: [contact(card)] }), { code: 'ERR_ELEMENT_GONE' });
  await element.close();
  element = await startElement(config);
  assert.equal(element.elementId, elementId);
  script({});
  assert.equal((await pay()).result.outcome, 'approved');
});

test('a tap: approved with fDDA, the card is let go before the PIN', async () => {
  script({ order: { amountMinor: '30001' } });
  const { result, hops, apdus, told } = await pay({ cards: [tapped()] });
  assert.deepEqual([result.outcome, result.interface], ['approved', 'contactless']);
  assert.equal(result.dataAuthentication, 'fDDA');
  assert.equal(result.cryptogram.second, null);
  assert.ok(gateway.isArqcValid && gateway.isElementSignatureValid);
  assert.deepEqual(told, ['cardDone', 'pin']);
  const names = ['ask', 'channel', 'tap', 'cryptogram', 'check', 'seal', 'confirm'];
  assert.deepEqual(
    hops.map(({ name }) => name),
    names,
  );
  assert.ok(apdus.every((apdu) => apdu.interface === 'contactless'));
});

test('fault flip-arqc on a tap: the issuer finds the cryptogram wrong', async () => {
  script({ responseCode: '05' });
  const { result } = await pay({ cards: [withFault('flip-arqc', tapped())] });
  assert.equal(gateway.isArqcValid, false);
  assert.deepEqual([result.outcome, result.reason], ['declined', 'issuer:05']);
});

test('a torn tap is asked for again; each presentation is traced from 1', async () => {
  script({});
  const { result, apdus, requests } = await pay({ cards: [tapped(3), putIn(4), tapped()] });
  assert.equal(result.outcome, 'approved');
  assert.deepEqual(
    requests.map(({ attempt, reason }) => [attempt, reason]),
    [
      [1, null],
      [2, 'ERR_CARD_REMOVED'],
      [3, 'ERR_CARD_REMOVED'],
    ],
  );
  const ends = [1, 2, 3].map((attempt) => apdus.filter((apdu) => apdu.attempt === attempt));
  assert.deepEqual(
    ends.slice(0, 2).map((seen) => [seen.at(-1)?.number, seen.at(-1)?.response]),
    [
      [3, 'ERR_CARD_REMOVED'],
      [4, 'ERR_CARD_REMOVED'],
    ],
  );
  assert.equal(ends[2]?.[0]?.number, 1);
  assert.equal(gateway.received.filter(({ type }) => type === 'payment').length, 1);
});

test('torn four times: cancelled, nothing sent', async () => {
  script({});
  const { result, requests } = await pay({ cards: [2, 2, 2, 2].map((lift) => tapped(lift)) });
  assert.deepEqual([result.outcome, result.reason], ['cancelled', 'ERR_CARD_REMOVED']);
  assert.equal(result.charged, 'no');
  assert.equal(requests.length, 4);
  assert.equal(gateway.payment, null);
});

for (const code of ['ERR_USER_CANCELLED', 'ERR_CARD_TIMEOUT', 'ERR_CARD_REMOVED']) {
  test(`no card (${code}), at once or after a torn one: cancelled, nothing charged`, async () => {
    for (const answers of [[code], [tapped(2), code]]) {
      script({});
      const { result } = await pay({ cards: answers });
      assert.deepEqual([result.outcome, result.reason, result.charged], ['cancelled', code, 'no']);
      assert.equal(gateway.payment, null);
    }
  });
}

test('a card that leaves at the PIN window is asked for again, with a new key', async () => {
  script({});
  const spkis: string[] = [];
  const { result, requests } = await pay({
    cards: [putIn(), putIn()],
    enterPin: async ({ publicKeySpki }) => {
      spkis.push(publicKeySpki);
      if (spkis.length === 1) throw new TapError('ERR_CARD_REMOVED', 'it left');
      return sealPin(new Secret(PIN), publicKeySpki);
    },
  });
  assert.equal(result.outcome, 'approved');
  assert.deepEqual([requests.length, new Set(spkis).size], [2, 2]);
});

test('a PIN sealed to the key of the presentation before is refused', async () => {
  script({});
  const spkis: string[] = [];
  const { result } = await pay({
    cards: [putIn(), putIn()],
    enterPin: async ({ publicKeySpki }) => {
      spkis.push(publicKeySpki);
      if (spkis.length === 1) throw new TapError('ERR_CARD_REMOVED', 'it left');
      return sealPin(new Secret(PIN), spkis[0] ?? '');
    },
  });
  assert.deepEqual([result.outcome, result.reason], ['cancelled', 'ERR_PIN_FORMAT']);
});

test('the page goes while a card is waited for: ended at once; a late card is harmless', async () => {
  script({});
  let closed: () => void = () => {};
  let presentLate: (card: PresentedCard) => void = () => {};
  const { result } = await pay({
    openRelay: (listener) => {
      closed = listener.onClosed;
      return tcpRelay({ host: '127.0.0.1', port: portOf(tls) })(listener);
    },
    presentCard: () =>
      new Promise((resolve) => {
        presentLate = resolve;
        closed();
      }),
  });
  assert.deepEqual(
    [result.outcome, result.reason, result.charged],
    ['cancelled', 'ERR_CHANNEL_CLOSED', 'no'],
  );
  presentLate(tapped());
  closed();
  await new Promise((resolve) => setTimeout(resolve, 50));
  script({});
  assert.equal((await pay()).result.outcome, 'approved', 'the element is alive');
});

test('the page goes while the PIN is typed: nothing charged; a crossing PIN is harmless', async () => {
  script({});
  let closed: () => void = () => {};
  const { result } = await pay({
    openRelay: (listener) => {
      closed = listener.onClosed;
      return tcpRelay({ host: '127.0.0.1', port: portOf(tls) })(listener);
    },
    enterPin: () =>
      new Promise((resolve) => {
        closed();
        // The person's last key and the lost page cross on the way to the element.
        resolve(null);
      }),
  });
  assert.deepEqual([result.outcome, result.charged], ['cancelled', 'no']);
  assert.equal(gateway.payment, null);
  script({});
  assert.equal((await pay()).result.outcome, 'approved', 'the element is alive');
});

test('a helper that throws instead of answering ends the payment with a code', async () => {
  script({});
  const thrown = await pay({
    presentCard: () => {
      throw new TypeError('a defect');
    },
  });
  assert.deepEqual([thrown.result.outcome, thrown.result.reason], ['cancelled', 'ERR_INTERNAL']);
});

test('nothing the laptop keeps shows PIN, initial key or client key', () => {
  for (const name of readdirSync(config.storeDir)) {
    const bytes = readFileSync(join(config.storeDir, name));
    for (const secret of [PIN, toHex(INITIAL_KEY), 'clientKey', 'BEGIN']) {
      assert.ok(!bytes.includes(secret), `${secret} in ${name}`);
    }
  }
});
