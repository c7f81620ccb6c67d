/**
 * Session tickets over a real store: when one is offered, when it is kept, and what ends it. The
 * process with real TLS is in `warm-channel.test.ts`.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { type Clock, Secret } from '@tapnpay/protocol/bytes';
import { TestAuthority } from '../../protocol/node/certificates.test-pki.ts';
import { TEST_PARAMETER_KEY_SPKI, testParameters } from '../../protocol/node/gateway.test-peer.ts';
import { channelBinding, type ElementIdentity, ElementState, type SessionTicket } from './state.ts';
import { ElementStore } from './store.ts';
import { systemRandom } from './system.ts';
import { PaymentTickets, TICKET_AGE_MAX_MS, TICKET_BYTES_MAX, TICKETS_MAX } from './tickets.ts';

const GATEWAY = 'gateway.tapnpay.test';
const FULL = { protocol: 'TLSv1.3', mutual: true, resumed: false };
const RESUMED = { ...FULL, resumed: true };
const FAR_MS = Number.MAX_SAFE_INTEGER;
const authority = new TestAuthority();
const directories: string[] = [];

afterEach(() => {
  for (const path of directories.splice(0)) rmSync(path, { recursive: true });
});

let nowMs = Date.now();
const clock: Clock = { nowMs: () => nowMs, startTimer: () => () => {} };

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tapnpay-tickets-'));
  directories.push(directory);
  return directory;
}

const open = (directory: string) => new ElementState(new ElementStore(directory, systemRandom));

function newIdentity(validDays = 30): ElementIdentity {
  const { certPem } = authority.issue({ name: '0011223344556677', validDays });
  return {
    ...{ elementId: '0011223344556677', certificatePem: certPem, caPem: authority.certPem },
    ...{ clientKeyPkcs8: new Secret('00'), initialKey: new Secret('00'), initialKeyId: '00' },
    orderPublicKeySpki: '00',
    parameterPublicKeySpki: TEST_PARAMETER_KEY_SPKI,
    parameters: testParameters({
      terminalTransactionQualifiers: '26000080',
      ...{ countryCode: '0156', terminalType: '22', terminalCapabilities: 'E068C0' },
      ...{ additionalTerminalCapabilities: 'F000F0A001', aids: [], caPublicKeys: [] },
    }),
  };
}

function enrolled(directory = newDirectory()): ElementState {
  const state = open(directory);
  state.update({ identity: newIdentity() });
  return state;
}

function identityOf(state: ElementState): ElementIdentity {
  const { identity } = state.record;
  assert.ok(identity);
  return identity;
}

function paymentOf(state: ElementState): PaymentTickets {
  return new PaymentTickets({ state, identity: identityOf(state), clock });
}

/** One payment with a full handshake that brings this ticket. */
function fullPayment(state: ElementState, session: Uint8Array, serverName = GATEWAY): void {
  const payment = paymentOf(state);
  payment.take(serverName);
  payment.opened(FULL);
  payment.add({ session, gatewayEndsAtMs: FAR_MS });
  payment.settle({ welcomed: true });
  state.flushTickets();
}

const offered = (state: ElementState, serverName = GATEWAY) => paymentOf(state).take(serverName);

test('a ticket of a welcomed channel is offered to that gateway, also by the next process', () => {
  const directory = newDirectory();
  const state = enrolled(directory);
  assert.equal(offered(state), null);
  fullPayment(state, Uint8Array.of(1, 2, 3));
  for (const kept of [state, open(directory)]) {
    assert.deepEqual(offered(kept), Uint8Array.of(1, 2, 3));
    assert.equal(offered(kept, 'other.tapnpay.test'), null, 'another server never gets it');
  }
  assert.ok(!JSON.stringify(open(directory).record).includes('010203'), 'it prints masked');
});

test('of several tickets the last one is kept, and a newer one replaces it', () => {
  const state = enrolled();
  const payment = paymentOf(state);
  payment.take(GATEWAY);
  payment.opened(FULL);
  for (const byte of [1, 2]) {
    payment.add({ session: Uint8Array.of(byte), gatewayEndsAtMs: FAR_MS });
  }
  payment.settle({ welcomed: true });
  assert.deepEqual(offered(state), Uint8Array.of(2));
  const resumed = paymentOf(state);
  resumed.take(GATEWAY);
  resumed.opened(RESUMED);
  resumed.add({ session: Uint8Array.of(3), gatewayEndsAtMs: null });
  resumed.settle({ welcomed: true });
  assert.deepEqual(offered(state), Uint8Array.of(3));
  assert.equal(state.record.tickets.length, 1);
});

test('a resumed channel without a new ticket keeps the old one and writes nothing', () => {
  const directory = newDirectory();
  const state = enrolled(directory);
  fullPayment(state, Uint8Array.of(1));
  const before = readFileSync(join(directory, 'element.store'));
  const payment = paymentOf(state);
  payment.take(GATEWAY);
  payment.opened(RESUMED);
  payment.settle({ welcomed: true });
  state.flushTickets();
  assert.deepEqual(offered(state), Uint8Array.of(1));
  assert.ok(readFileSync(join(directory, 'element.store')).equals(before));
});

for (const [what, channel, welcomed] of [
  ['the handshake failed', null, false],
  ['the gateway did not welcome the element', RESUMED, false],
  ['the gateway took another way and gave none', FULL, true],
] as const) {
  test(`the offered ticket is gone when ${what}`, () => {
    const directory = newDirectory();
    const state = enrolled(directory);
    fullPayment(state, Uint8Array.of(1));
    const payment = paymentOf(state);
    assert.ok(payment.take(GATEWAY));
    if (channel !== null) payment.opened(channel);
    payment.settle({ welcomed });
    state.flushTickets();
    assert.equal(offered(state), null);
    assert.equal(offered(open(directory)), null);
  });
}

test('a payment that reached no gateway leaves the ticket where it is', () => {
  const state = enrolled();
  fullPayment(state, Uint8Array.of(1));
  paymentOf(state).settle({ welcomed: false });
  assert.deepEqual(offered(state), Uint8Array.of(1));
});

test('no ticket is kept of a channel without a welcome, or without our certificate', () => {
  const state = enrolled();
  for (const [channel, welcomed] of [
    [FULL, false],
    [{ ...FULL, mutual: false }, true],
  ] as const) {
    const payment = paymentOf(state);
    payment.take(GATEWAY);
    payment.opened(channel);
    payment.add({ session: Uint8Array.of(1), gatewayEndsAtMs: FAR_MS });
    payment.settle({ welcomed });
    assert.equal(offered(state), null);
  }
});

test('a lock ends the tickets in its own write', () => {
  const directory = newDirectory();
  const state = enrolled(directory);
  fullPayment(state, Uint8Array.of(1));
  state.update({ locked: true });
  assert.deepEqual(open(directory).record.tickets, []);
  state.stageTickets([ticketFor(state)]);
  assert.deepEqual(state.record.tickets, [], 'nor does a locked element take any');
  state.update({ locked: false });
  assert.equal(offered(open(directory)), null, 'what died does not come back');
});

test('a new enrolment ends the tickets; a change of parameters does not', () => {
  const directory = newDirectory();
  const state = enrolled(directory);
  fullPayment(state, Uint8Array.of(1));
  state.update({ identity: { ...identityOf(state), initialKeyId: '01' } });
  assert.deepEqual(offered(open(directory)), Uint8Array.of(1));
  state.update({ identity: newIdentity() });
  assert.deepEqual(open(directory).record.tickets, []);
  fullPayment(state, Uint8Array.of(2));
  const caPem = new TestAuthority().certPem;
  state.update({ identity: { ...identityOf(state), caPem } });
  assert.deepEqual(open(directory).record.tickets, []);
});

test('a ticket ends an hour after its full handshake, however often it was resumed', () => {
  const state = enrolled();
  const start = nowMs;
  fullPayment(state, Uint8Array.of(1));
  nowMs = start + TICKET_AGE_MAX_MS - 1;
  const payment = paymentOf(state);
  assert.ok(payment.take(GATEWAY));
  payment.opened(RESUMED);
  payment.add({ session: Uint8Array.of(2), gatewayEndsAtMs: null });
  payment.settle({ welcomed: true });
  assert.deepEqual(offered(state), Uint8Array.of(2));
  nowMs = start + TICKET_AGE_MAX_MS;
  assert.equal(offered(state), null);
  nowMs = start - 1;
  assert.equal(offered(state), null, 'a clock that was set back gives no longer life');
  nowMs = start;
});

test('a ticket outlives neither certificate', () => {
  const state = open(newDirectory());
  const identity = newIdentity(1);
  state.update({ identity });
  const start = nowMs;
  const endsAtMs = new X509Certificate(identity.certificatePem).validToDate.getTime();
  nowMs = endsAtMs - 60_000;
  fullPayment(state, Uint8Array.of(1));
  assert.ok(offered(state));
  nowMs = endsAtMs;
  assert.equal(offered(state), null, 'the own one');
  nowMs = start;
  const payment = paymentOf(state);
  payment.take(GATEWAY);
  payment.opened(FULL);
  payment.add({ session: Uint8Array.of(1), gatewayEndsAtMs: nowMs + 1000 });
  payment.settle({ welcomed: true });
  assert.ok(offered(state));
  nowMs = start + 1000;
  assert.equal(offered(state), null, "the gateway's");
  nowMs = start;
});

test('number and size are limited', () => {
  const state = enrolled();
  fullPayment(state, new Uint8Array(TICKET_BYTES_MAX + 1));
  assert.equal(offered(state), null);
  for (let index = 0; index <= TICKETS_MAX; index++) {
    fullPayment(state, new Uint8Array(TICKET_BYTES_MAX).fill(index), `gateway${index}.test`);
  }
  assert.equal(state.record.tickets.length, TICKETS_MAX);
  assert.equal(offered(state, 'gateway0.test'), null, 'the oldest one made room');
  assert.ok(offered(state, `gateway${TICKETS_MAX}.test`));
});

function ticketFor(state: ElementState, change: Partial<SessionTicket> = {}): SessionTicket {
  const boundTo = channelBinding(identityOf(state));
  const endsAtMs = nowMs + 1000;
  return { serverName: GATEWAY, boundTo, endsAtMs, session: new Secret('01'), ...change };
}

test('a store of before, and tickets that are none, are read as no tickets', () => {
  const directory = newDirectory();
  const state = enrolled(directory);
  const good = ticketFor(state);
  const text = new ElementStore(directory, systemRandom).read();
  for (const tickets of [
    ...[undefined, null, 7, 'x', {}, [null], [7], [{}], [{ ...good, session: '01' }, 1, {}]],
    ...[[{ ...good, session: null }], [{ ...good, session: '0' }], [{ ...good, session: 'ZZ' }]],
    ...[[{ ...good, serverName: 1, session: '01' }], [{ ...good, endsAtMs: 'x', session: '01' }]],
    ...[[{ ...good, boundTo: null, session: '01' }]],
  ]) {
    new ElementStore(directory, systemRandom).write(
      JSON.stringify({ ...JSON.parse(text), tickets }),
    );
    const wanted = Array.isArray(tickets) && tickets.length === 3 ? 1 : 0;
    assert.equal(open(directory).record.tickets.length, wanted, JSON.stringify(tickets));
    assert.ok(open(directory).record.identity, 'the identity is whole');
  }
});

test('a write cut off anywhere leaves the element with the tickets of before or after', () => {
  const directory = newDirectory();
  const path = join(directory, 'element.store');
  const state = enrolled(directory);
  fullPayment(state, new Uint8Array(40).fill(1));
  const before = readFileSync(path);
  fullPayment(state, new Uint8Array(40).fill(2));
  const after = readFileSync(path);
  const first = after.findIndex((byte, index) => byte !== before[index]);
  const last = after.findLastIndex((byte, index) => byte !== before[index]);
  assert.ok(first >= 0 && last > first);
  const cuts = Array.from({ length: (last - first) / 13 }, (_, index) => first + 13 * index);
  for (const cut of [...cuts, last, last + 1]) {
    writeFileSync(path, Buffer.concat([after.subarray(0, cut), before.subarray(cut)]));
    const kept = open(directory);
    assert.deepEqual(offered(kept)?.[0], cut === last + 1 ? 2 : 1, `cut at ${cut}`);
  }
});
