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
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { aesDukptWorkingKey, decipherPinBlockFormat4, kcvAes } from '@tapnpay/protocol/crypto';
import type { CardChannel } from '@tapnpay/protocol/iso7816';
import {
  applicationMessageShape,
  checkShape,
  type EnrolmentRequest,
  encodeJsonFrame,
  enrolmentRequestShape,
  type HopRecord,
  JsonFrameDecoder,
  type TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { type GatewayScript, TestGateway } from '../../protocol/node/gateway.test-peer.ts';
import { SAMPLE_PAN, sampleCard } from '../../protocol/src/emv/icc/sample.test-card.ts';
import {
  type ApduRecord,
  cardFault,
  type ElementProcess,
  enrolElement,
  payWithElement,
  startElement,
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
  appletEntry: here('../../applet/src/index.ts'),
  storeDir: join(directory, 'element'),
  allowRead: ['element', 'applet', 'protocol', 'node_modules'].map((name) => here(`../../${name}`)),
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
    },
  ],
  caPublicKeys: [caKey],
};

const authority = new TestAuthority();
const serverCertificate = authority.issue({ name: 'gateway', dnsName: SERVER_NAME });
const certified = new Map<string, string>();
/** The order key outlives one script: elements pin it at enrolment. */
let gateway = new TestGateway(fromHex(image.keys.udkAc));
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
    parameters,
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

async function pay(
  options: { pin?: string | null; card?: CardChannel; port?: number; serverName?: string } = {},
) {
  const hops: HopRecord[] = [];
  const apdus: ApduRecord[] = [];
  const result = await payWithElement({
    element,
    orderId: 'order-1',
    gatewayTls: {
      host: '127.0.0.1',
      port: options.port ?? portOf(tls),
      serverName: options.serverName ?? SERVER_NAME,
    },
    card: options.card ?? cards.insert('test'),
    pin: options.pin === undefined ? PIN : options.pin,
    onHop: (record) => hops.push(record),
    onApdu: (record) => apdus.push(record),
  });
  return { result, hops, apdus };
}

function withFault(name: string): CardChannel {
  const fault = cardFault(name);
  assert.ok(fault);
  return fault(cards.insert('test'));
}

test('enrolled over HTTP, the element is operable and holds its store alone', async () => {
  assert.equal(element.state, 'operable');
  assert.match(element.elementId ?? '', /^[0-9A-F]{16}$/);
  await assert.rejects(startElement(config), { code: 'ERR_ELEMENT_IN_USE' });
});

test('one payment through element, relay and card: approved, TLS 1.3 mutual, TC', async () => {
  script({});
  const { result, hops, apdus } = await pay();
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
  const plain = cards.insert('test');
  const card: CardChannel = {
    transmit: async (command) => {
      const answer = await plain.transmit(command);
      seen.push(toHex(answer));
      return answer;
    },
  };
  const shown = JSON.stringify(await pay({ card }));
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
  const { result } = await pay({ card: withFault('flip-arqc') });
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
    const { result, apdus: seen } = await pay({ card: withFault(`card-removed@${number}`) });
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
  await assert.rejects(pay({ card }), { code: 'ERR_ELEMENT_GONE' });
  await element.close();
  element = await startElement(config);
  assert.equal(element.elementId, elementId);
  script({});
  assert.equal((await pay()).result.outcome, 'approved');
});

test('nothing the laptop keeps shows PIN, initial key or client key', () => {
  for (const name of readdirSync(config.storeDir)) {
    const bytes = readFileSync(join(config.storeDir, name));
    for (const secret of [PIN, toHex(INITIAL_KEY), 'clientKey', 'BEGIN']) {
      assert.ok(!bytes.includes(secret), `${secret} in ${name}`);
    }
  }
});
