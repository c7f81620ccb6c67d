/**
 * The real host beside the agent service of the same data folder: everything passes to the service,
 * one that comes later takes the element over, and one that goes is told to the page.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Secret } from '@tapnpay/protocol/bytes';
import { AGENT_VERSION } from '@tapnpay/protocol/wire';
import { sealPin } from '../payment.ts';
import { GATEWAY, payResult, ServiceRig } from '../service/service.test-kit.ts';
import { startAgentService } from '../service/start.ts';
import { type HostConfig, hostConfigPath } from './config.ts';
import { hostElementConfig } from './element-config.ts';
import {
  CARD,
  EXTENSION_ID,
  HostClient,
  isMessage,
  isShown,
  ofType,
  PIN,
  processesWith,
  RelayingPage,
  SERVER_NAME,
  SESSION,
  SESSION_2,
  TestSystem,
  until,
} from './host.test-kit.ts';
import { EXIT_REFUSED } from './host.ts';

let rig: ServiceRig;
let hosts: HostClient[] = [];
beforeEach(async () => {
  rig = await ServiceRig.start();
  const config: HostConfig = {
    dataDir: rig.dataDir,
    gatewayOrigins: [GATEWAY],
    gatewayUrl: GATEWAY,
    serverName: SERVER_NAME,
    pairing: 'operator',
    managerUrl: null,
    readers: false,
    extensionId: EXTENSION_ID,
    geckoId: 'plugin@tapnpay.org',
  };
  writeFileSync(hostConfigPath(rig.dataDir), JSON.stringify(config));
});
afterEach(async () => {
  for (const { child } of hosts) child.kill('SIGKILL');
  await Promise.all(hosts.map(({ exited }) => exited));
  hosts = [];
  await rig.close();
});

function start(): HostClient {
  const host = new HostClient({ configFile: hostConfigPath(rig.dataDir) });
  hosts.push(host);
  return host;
}
async function opened(): Promise<HostClient> {
  const host = start();
  await host.open(GATEWAY);
  return host;
}
async function begun(host: HostClient, session = SESSION) {
  host.send({ type: 'page', message: { type: 'pay', session, orderId: 'order-1' } });
  await until(() => rig.element.payments.length > 0, 'the payment at the service');
  const [payment] = rig.element.payments;
  assert.ok(payment);
  return payment;
}

test("the service's element and cards are the page's, and the host starts none", async () => {
  const host = start();
  await host.next(ofType('hello'), 'hello');
  host.hello(GATEWAY);
  host.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
  const { message } = await host.next(isMessage('welcome'), 'welcome');
  assert.equal(message.element.id, 'element-1');
  const payment = await begun(host);
  payment.openRelay();
  await host.next(isMessage('openChannel'), 'openChannel');
  payment.relay?.send(new Uint8Array(40_000).fill(23));
  const { message: records } = await host.next(isMessage('channelData'), 'channelData');
  assert.equal(records.base64.length, 53_336);
  host.send({ type: 'page', message: { type: 'channelData', session: SESSION, base64: 'FwMD' } });
  await until(() => payment.heard.length > 0, 'records');
  host.send({ type: 'windowOpened' });
  void payment.card();
  await host.next(isShown('consent'), 'consent');
  host.send({ type: 'window', message: { type: 'consent', session: SESSION, given: true } });
  await host.next(isShown('waitCard'), 'waitCard');
  payment.resolve(payResult('approved'));
  const { message: end } = await host.next(isMessage('result'), 'result');
  assert.equal(end.result.charged, 'yes');
  assert.deepEqual(processesWith(join(rig.dataDir, 'element')), []);
  assert.equal((await host.end()).status, 0);
  assert.ok(host.isClean);
});

test('the end of the host ends its payment at the service', async () => {
  const ways = [
    [SESSION, (host: HostClient) => host.end()],
    [SESSION_2, kill],
  ] as const;
  for (const [session, end] of ways) {
    const host = await opened();
    const payment = await begun(host, session);
    const card = payment.card();
    await end(host);
    assert.equal(await card, 'ERR_USER_CANCELLED');
    payment.resolve(payResult('cancelled'));
    await payment.ended;
    rig.element.payments.splice(0);
  }
});
async function kill(host: HostClient): Promise<void> {
  host.child.kill('SIGKILL');
  await host.exited;
}

test('a service that stops says how the payment ended; then the host says why it ends', async () => {
  const host = await opened();
  await begun(host);
  await rig.stop();
  const { message } = await host.next(isMessage('refused'), 'refused');
  assert.equal(message.error.code, 'ERR_AGENT_DOWN');
  assert.equal((await host.exited).status, EXIT_REFUSED);
  const ends = host.frames.filter(
    (frame) => isMessage('failed')(frame) || isMessage('result')(frame),
  );
  assert.ok(ends.length <= 1);
});

test('what the service refuses, the page hears once', async () => {
  const host = await opened();
  host.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
  const { message } = await host.next(isMessage('refused'), 'refused');
  assert.equal(message.error.code, 'ERR_SEQUENCE');
  assert.equal((await host.exited).status, EXIT_REFUSED);
  assert.equal(host.frames.filter(isMessage('refused')).length, 1);
});

test('a key file of a service that was killed leads nowhere: the host has its own seat', async () => {
  const path = join(rig.dataDir, 'agent', 'local-key');
  await rig.stop();
  for (const text of [
    JSON.stringify({ port: rig.port, key: '0'.repeat(64) }),
    JSON.stringify({ port: 0 }),
    '{',
  ]) {
    writeFileSync(path, text);
    const host = start();
    await host.next(ofType('hello'), 'hello');
    host.hello(GATEWAY);
    host.send({ type: 'page', message: { type: 'hello', version: AGENT_VERSION, token: null } });
    const { message } = await host.next(isMessage('welcome'), 'welcome');
    assert.equal(message.element.id, null);
    assert.match(host.stderr, /serviceNotReached/);
    await host.end();
  }
});

test('a service with another key takes no host', async () => {
  writeFileSync(
    join(rig.dataDir, 'agent', 'local-key'),
    JSON.stringify({ port: rig.port, key: '0'.repeat(64) }),
  );
  const host = await opened();
  assert.match(host.stderr, /serviceNotReached/);
});

let system: TestSystem;
before(async () => {
  system = await TestSystem.start();
});
after(async () => {
  await system.close();
});

test('a service that starts while a host idles gets the element, and the page pays there', async () => {
  const page = new RelayingPage(system.host(), system.tlsPort);
  const { host } = page;
  await host.open(system.origin);
  host.send({ type: 'windowOpened' });
  await until(() => host.stderr.includes('elementEnrolled'), 'the element of the host');
  const { dataDir, gatewayUrl } = system;
  const service = await startAgentService({
    dataDir,
    port: 0,
    gatewayOrigins: [system.origin],
    gatewayUrl,
    serverName: SERVER_NAME,
    element: hostElementConfig(system.config()),
    pagesDir: dataDir,
    readers: false,
    requestPairingCode: async () => '0123456789',
  });
  try {
    assert.deepEqual(system.elements(), [service.elementPid()]);
    const welcomes = host.frames.filter(isMessage('welcome')).length;
    // A look at a balance brings the page there as a payment does.
    host.send({ type: 'page', message: { type: 'balance', session: SESSION_2 } });
    await host.next(isShown('consent'), 'consent to the look');
    assert.match(host.stderr, /serviceReached/);
    host.send({ type: 'window', message: { type: 'consent', session: SESSION_2, given: false } });
    const { message: unseen } = await host.next(isMessage('balanceResult'), 'balanceResult');
    assert.deepEqual([unseen.balance, unseen.reason], [null, 'ERR_USER_CANCELLED']);
    system.freshGateway();
    page.pay();
    await host.next(isShown('consent'), 'consent');
    host.send({ type: 'window', message: { type: 'consent', session: SESSION, given: true } });
    await host.next(isShown('waitCard'), 'waitCard');
    const present = { type: 'present', card: CARD, interface: 'contact', liftAfter: null } as const;
    host.send({ type: 'window', message: present });
    const { message: view } = await host.next(isShown('waitPin'), 'waitPin');
    const sealedPin = sealPin(new Secret(PIN), view.payment?.pinKeySpki ?? '');
    host.send({ type: 'window', message: { type: 'pin', session: SESSION, sealedPin } });
    const { message } = await host.next(isMessage('result'), 'result');
    assert.equal(message.result.outcome, 'approved');
    assert.equal(host.frames.filter(isMessage('welcome')).length, welcomes, 'the move is unseen');
    assert.deepEqual(system.elements(), [service.elementPid()]);
    assert.equal(system.enrolments, 1);
    await host.end();
  } finally {
    await service.close();
  }
  assert.deepEqual(system.elements(), []);
});
