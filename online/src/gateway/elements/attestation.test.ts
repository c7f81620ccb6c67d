/**
 * Shows what the gateway makes of an element's word: every altered fact, unknown and revoked code,
 * old parameters, a locked application, and counters that stand still or go back.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { verifyP1363 } from '@tapnpay/protocol/node';
import { readAttestationStatement } from '@tapnpay/protocol/wire';
import { MemoryAuditLog } from '../audit/log.ts';
import { GatewayCore } from '../core.ts';
import type { GatewayError } from '../errors.ts';
import {
  completionOf,
  newOrder,
  type PaymentChanges,
  payOrder,
  START_MS,
  sealedPayment,
  TEST_LOAD_FILE_HASH,
  type TestGateway,
  testElement,
  testGateway,
  testPeer,
} from '../gateway.test-kit.ts';
import { p256Key } from '../pki/authority.ts';

const code = (expected: string) => (fault: unknown) =>
  (fault as GatewayError).code === expected ||
  assert.fail(`${(fault as GatewayError).code ?? fault} instead of ${expected}`);

/** Pays a new order on a channel that began after the element's last payment. */
async function payAgain({ core, store }: TestGateway, changes: PaymentChanges = {}) {
  const counterAtHello = (await store.findElement('E1'))?.lastPaymentCounter ?? 0;
  const order = await newOrder(core);
  return payOrder(core, testPeer({ counterAtHello }), order.orderId, changes);
}

const counter = (value: number): PaymentChanges => ({ element: { counter: value } });

test('a payment is kept with the statement that was signed, readable without the gateway', async () => {
  const gateway = await testGateway();
  const { core, store } = gateway;
  const order = await newOrder(core);
  const { paymentId } = await payOrder(core, testPeer(), order.orderId, counter(7));
  const kept = await store.findAttestation(paymentId);
  assert.ok(kept);
  const facts = readAttestationStatement(kept.statement);
  assert.equal(facts.elementId, 'E1');
  assert.equal(facts.loadFileHash, TEST_LOAD_FILE_HASH);
  assert.equal(facts.counter, 7);
  assert.equal(facts.lifeCycle, 'operable');
  assert.equal(facts.exporter, 'E0'.repeat(32));
  assert.equal(facts.order.amountMinor, '1234');
  assert.equal(facts.order.orderId, order.orderId);
  assert.equal(facts.tvr, '0080008000');
  assert.equal(facts.cvmResults, '020000');
  assert.equal(facts.pinBlockHash, null);
  const key = p256Key(testElement.publicKeySpki);
  assert.ok(verifyP1363(key, kept.statement, kept.signature));
  assert.ok(!kept.statement.includes('6299990000000017'), 'no card number');
  assert.equal((await store.findElement('E1'))?.lastPaymentCounter, 7);
  assert.equal(await store.findAttestation('none'), null);
});

test('whatever is changed after the signature is a wrong signature, and nothing is sent', async () => {
  const gateway = await testGateway();
  const { core, line, store } = gateway;
  const peer = testPeer();
  const order = await newOrder(core);
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const altered: readonly PaymentChanges[] = [
    { signedExporter: '00'.repeat(32) },
    { signingKey: stranger },
    { element: { elementId: 'E2' } },
    { told: { counter: 1_000 } },
    { told: { loadFileHash: 'AB'.repeat(32) } },
    { told: { lifeCycle: 'locked' } },
    { told: { parameterVersion: 2 } },
    { told: { tvr: '0000000000' } },
    { told: { cvmResults: '1F0302' } },
    { told: { signature: '00'.repeat(64) } },
  ];
  for (const changes of altered) {
    await assert.rejects(
      payOrder(core, peer, order.orderId, changes),
      code('ERR_PAYMENT_SIGNATURE'),
      JSON.stringify(changes),
    );
  }
  const sealed = await sealedPayment(core, peer, order.orderId, { pinCounter: 1 });
  const otherPin = { ...sealed, pin: { block: '00'.repeat(16), ksn: sealed.pin?.ksn ?? '' } };
  await assert.rejects(core.pay(peer, otherPin), code('ERR_PAYMENT_SIGNATURE'));
  assert.equal(line.sent.length, 0);
  assert.equal((await store.findElement('E1'))?.lastPaymentCounter, 0, 'nothing was counted');
});

test('TVR and CVM results that are attested are those that the issuer is told', async () => {
  const gateway = await testGateway();
  await assert.rejects(payAgain(gateway, { claim: { tvr: '0000000000' } }), (fault) => {
    assert.equal((fault as GatewayError).data['fieldPath'], '95');
    return code('ERR_PAYMENT_FIELD')(fault);
  });
  const wrongCvm = { claim: { cvmResults: '1F0302' } };
  await assert.rejects(payAgain(gateway, wrongCvm), code('ERR_PAYMENT_FIELD'));
  assert.equal((await payAgain(gateway, { field55: { '9F34': '' } })).result, 'answered');
});

test('unknown code, revoked code, old parameters and a locked application are refused', async () => {
  const gateway = await testGateway();
  const { store, line } = gateway;
  const unknown = { element: { loadFileHash: 'AB'.repeat(32) } };
  await assert.rejects(payAgain(gateway, unknown), code('ERR_LOAD_FILE_UNKNOWN'));
  for (const lifeCycle of ['installed', 'locked'] as const) {
    await assert.rejects(payAgain(gateway, { element: { lifeCycle } }), code('APP_LOCKED'));
  }
  const set = { body: '{}', signature: '', publishedAtMs: START_MS, publishedBy: 'test' };
  await store.publishParameters({ ...set, version: 3, minimumVersion: 2 });
  await assert.rejects(payAgain(gateway), (fault) => {
    assert.equal((fault as GatewayError).data['minimumVersion'], 2);
    return code('PARAMS_OUTDATED')(fault);
  });
  assert.equal((await payAgain(gateway, { claim: { parameterVersion: 2 } })).result, 'answered');
  await store.revokeLoadFile(TEST_LOAD_FILE_HASH, { atMs: START_MS, note: 'hole' });
  const revoked = { claim: { parameterVersion: 3 } };
  await assert.rejects(payAgain(gateway, revoked), code('ERR_LOAD_FILE_REVOKED'));
  const again = { hash: TEST_LOAD_FILE_HASH, name: 'test', acceptedAtMs: START_MS };
  assert.equal((await store.acceptLoadFile(again)).state, 'revoked', 'for ever');
  assert.equal(line.types(), '0200');
  assert.equal((await store.findElement('E1'))?.state, 'operable');
});

test('an old counter is a restored copy: element locked, audited, and a person is told', async () => {
  const gateway = await testGateway();
  const audit = new MemoryAuditLog();
  const core = new GatewayCore({ ...gateway.ports, audit });
  const { store, line } = gateway;
  await payAgain({ ...gateway, core }, counter(5));
  await assert.rejects(payAgain({ ...gateway, core }, counter(3)), code('ERR_ELEMENT_CLONED'));
  const element = await store.findElement('E1');
  assert.equal(element?.state, 'locked');
  assert.equal(element.lock?.reason, 'clone');
  assert.equal(element.lastPaymentCounter, 5);
  const [item] = await core.workItems();
  assert.deepEqual([item?.kind, item?.subjectId], ['elementCloned', 'E1']);
  assert.deepEqual(item?.facts, { elementId: 'E1', counter: 3, lastCounter: 5 });
  assert.deepEqual(
    audit.records.map(({ action, subject }) => [action, subject]),
    [['element.lock', 'E1']],
  );
  await assert.rejects(payAgain({ ...gateway, core }, counter(6)), code('ERR_ELEMENT_LOCKED'));
  await store.unlockElement('E1');
  assert.equal((await payAgain({ ...gateway, core }, counter(6))).result, 'answered');
  assert.equal(line.types(), '0200 0200');
});

test('the same counter with another order is a clone, even on a channel of before', async () => {
  const gateway = await testGateway();
  const { core, store } = gateway;
  const peers = [testPeer(), testPeer()] as const;
  const orders = [await newOrder(core), await newOrder(core)] as const;
  await payOrder(core, peers[0], orders[0].orderId, counter(9));
  const twin = payOrder(core, peers[1], orders[1].orderId, counter(9));
  await assert.rejects(twin, code('ERR_ELEMENT_CLONED'));
  assert.equal((await store.findElement('E1'))?.state, 'locked');
});

test('a lost answer and a retry of the same order are no clone', async () => {
  const gateway = await testGateway();
  const { core, store, line, clock } = gateway;
  const order = await newOrder(core);
  const peer = testPeer();
  const sealed = await sealedPayment(core, peer, order.orderId, counter(20));
  const first = await core.pay(peer, sealed);
  assert.ok(first.type === 'authorisation');
  // The very message again while the first is under way, and when the order is payable again.
  await assert.rejects(core.pay(peer, sealed), code('ERR_ORDER_BUSY'));
  await core.complete(peer, completionOf(first.paymentId, 'AAC'));
  await core.tick();
  assert.equal((await core.order(order.orderId)).status, 'open');
  await assert.rejects(core.pay(peer, sealed), code('ERR_PAYMENT_REPEATED'));
  assert.equal((await store.findElement('E1'))?.state, 'operable');
  clock.advance(1);
  const retry = await payOrder(core, testPeer(), order.orderId, counter(21));
  assert.equal(retry.result, 'answered');
  assert.equal(line.types(), '0200 0420 0200');
});

test('a message that another channel of the same element has overtaken is no clone', async () => {
  const gateway = await testGateway();
  const { core, store } = gateway;
  const slow = testPeer();
  const order = await newOrder(core);
  const sealed = await sealedPayment(core, slow, order.orderId, counter(30));
  await payOrder(core, testPeer(), (await newOrder(core)).orderId, counter(31));
  await assert.rejects(core.pay(slow, sealed), code('ERR_PAYMENT_REPEATED'));
  assert.equal((await store.findElement('E1'))?.state, 'operable');
});
