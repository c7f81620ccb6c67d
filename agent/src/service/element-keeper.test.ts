/** Shows that the real element is enrolled when the gateway comes, and is there for each payment. */
import assert from 'node:assert/strict';
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import { kcvAes } from '@tapnpay/protocol/crypto';
import {
  checkShape,
  type ElementPayResult,
  type EnrolmentGrant,
  type EnrolmentRequest,
  enrolmentRequestShape,
  type TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import { TestAuthority } from '../../../protocol/node/certificates.test-pki.ts';
import {
  TEST_PARAMETER_KEY_SPKI,
  testParameters,
} from '../../../protocol/node/gateway.test-peer.ts';
import { builtLoadFile } from '../../../protocol/node/load-file.test-build.ts';
import type { RelayListener } from '../record-relay.ts';
import { nodeCiphers, systemClock } from '../system.ts';
import { ElementKeeper, type ElementPayment } from './element-keeper.ts';
import type { AgentLogRecord } from './events.ts';
import { codeOf, until } from './service.test-kit.ts';
import { startAgentService } from './start.ts';

const INITIAL_KEY = new Uint8Array(16).fill(0x42);
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'tapnpay-keeper-'));
const authority = new TestAuthority();
const orderKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const parameters: TerminalParametersJson = {
  terminalTransactionQualifiers: '26000080',
  countryCode: '0156',
  terminalType: '22',
  terminalCapabilities: 'E068C0',
  additionalTerminalCapabilities: 'F000F0A001',
  aids: [],
  caPublicKeys: [],
};
let http: Server;
let gatewayUrl: string;
const log: AgentLogRecord[] = [];

const elementConfig = (name: string) => ({
  nodePath: process.execPath,
  elementEntry: here('../../../element/src/main.ts'),
  loadFile: builtLoadFile(),
  storeDir: join(directory, name),
  allowRead: [
    builtLoadFile(),
    ...['element', 'protocol', 'node_modules'].map((room) => here(`../../../${room}`)),
  ],
});

function grantOf(request: EnrolmentRequest): EnrolmentGrant {
  const spki = (hex: string) =>
    createPublicKey({ key: Buffer.from(hex, 'hex'), format: 'der', type: 'spki' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const key = { key: spki(request.transportKeySpki), padding, oaepHash: 'sha256' };
  const publicKey = spki(request.publicKeySpki);
  return {
    certificatePem: authority.certify({ name: request.elementId, publicKey }),
    caPem: authority.certPem,
    orderPublicKeySpki: toHex(orderKey.export({ type: 'spki', format: 'der' })),
    initialKeyId: '5441500100000001',
    encipheredInitialKey: toHex(publicEncrypt(key, INITIAL_KEY)),
    initialKeyKcv: kcvAes(nodeCiphers, INITIAL_KEY),
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: testParameters(parameters),
  };
}

before(async () => {
  http = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const ask = checkShape(enrolmentRequestShape, JSON.parse(body), 'request');
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(JSON.stringify(grantOf(ask)));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  gatewayUrl = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});
after(() => {
  http.close();
  http.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

const startKeeper = (name: string, requestPairingCode = async () => '0123456789') =>
  ElementKeeper.start({
    config: elementConfig(name),
    gatewayUrl,
    requestPairingCode,
    clock: systemClock,
    log: (record) => log.push(record),
  });

/** A payment whose page never reaches the gateway; `onRelay` decides what it is told. */
function payment(onRelay: (listener: RelayListener) => void): ElementPayment {
  return {
    orderId: 'order-1',
    gatewayOrigin: 'http://127.0.0.1:4999',
    serverName: 'gateway.tapnpay.test',
    openRelay: (listener) => {
      queueMicrotask(() => onRelay(listener));
      return { send: () => {}, end: () => {}, destroy: () => {} };
    },
    presentCard: () => Promise.reject(new TapError('ERR_USER_CANCELLED', 'never')),
    enterPin: async () => null,
  };
}
const unreachable = payment((listener) => listener.onClosed());
const brief = ({ outcome, reason, charged }: ElementPayResult) => [outcome, reason, charged];
const NOT_REACHED = ['cancelled', 'ERR_CHANNEL_CLOSED', 'no'];

function kill(keeper: { pid: number | undefined }): number {
  const { pid } = keeper;
  assert.ok(pid);
  process.kill(pid, 'SIGKILL');
  return pid;
}
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('an element that died between payments is started again, unseen', async () => {
  const keeper = await startKeeper('killed');
  try {
    assert.deepEqual(brief(await keeper.pay(unreachable)), NOT_REACHED);
    const { id } = keeper.status();
    assert.deepEqual(keeper.status(), { id, state: 'operable' });
    const pid = kill(keeper);
    assert.deepEqual(brief(await keeper.pay(unreachable)), NOT_REACHED);
    assert.notEqual(keeper.pid, pid);
    assert.equal(keeper.status().id, id, 'the same element from its store');
  } finally {
    await keeper.close();
  }
});

test('an element that dies in a payment ends that payment only', async () => {
  const keeper = await startKeeper('lost');
  try {
    const fault = await keeper.pay(payment(() => kill(keeper))).catch(codeOf);
    assert.equal(fault, 'ERR_ELEMENT_GONE');
    assert.deepEqual(brief(await keeper.pay(unreachable)), NOT_REACHED);
  } finally {
    await keeper.close();
  }
});

test('the element is enrolled as soon as the gateway is there; until then payments say why', async () => {
  let tries = 0;
  let isThere = false;
  const keeper = await startKeeper('waiting', async () => {
    tries += 1;
    if (isThere) return '0123456789';
    throw new TapError('ERR_GATEWAY_DOWN', 'no gateway');
  });
  try {
    assert.equal(await keeper.pay(unreachable).catch(codeOf), 'ERR_GATEWAY_DOWN');
    assert.deepEqual(keeper.status(), { id: null, state: 'notEnrolled' });
    isThere = true;
    await until(() => keeper.status().state === 'operable');
    assert.ok(tries > 2);
    assert.ok(log.some(({ event, code }) => event === 'elementNotEnrolled' && code));
    assert.ok(!JSON.stringify(log).includes('0123456789'), 'no pairing code in the log');
  } finally {
    await keeper.close();
  }
});

test('close leaves no process and a free store, and ends a payment', async () => {
  const keeper = await startKeeper('closed');
  await keeper.pay(unreachable);
  const { pid = 0 } = keeper;
  assert.ok(isAlive(pid));
  if (process.platform === 'linux') {
    assert.equal(await startKeeper('closed').catch(codeOf), 'ERR_ELEMENT_IN_USE');
  }
  const under = keeper.pay(payment(() => {})).catch(codeOf);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await keeper.close();
  assert.equal(await under, 'ERR_ELEMENT_GONE');
  assert.ok(!isAlive(pid));
  assert.equal(await keeper.pay(unreachable).catch(codeOf), 'ERR_CLOSING');
  const next = await startKeeper('closed');
  assert.equal(next.status().state, 'operable');
  await next.close();
});

test('the service starts its own element and takes it down again', async () => {
  const dataDir = join(directory, 'service');
  const service = await startAgentService({
    dataDir,
    port: 0,
    gatewayOrigins: [],
    gatewayUrl,
    serverName: 'gateway.tapnpay.test',
    element: elementConfig('of-service'),
    pagesDir: directory,
    readers: false,
    requestPairingCode: async () => '0123456789',
  });
  const pid = service.elementPid() ?? 0;
  const health = async () => {
    const response = await fetch(`http://127.0.0.1:${service.port}/v1/health`);
    return (await response.json()) as { element: { state: string } };
  };
  while ((await health()).element.state !== 'operable') {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(isAlive(pid));
  await service.close();
  await service.close();
  assert.ok(!isAlive(pid));
});
