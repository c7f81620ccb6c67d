/**
 * Cards presented to the payment application: contact and contactless, torn and presented again,
 * refused, cancelled. As long as nothing was sent another try is free; afterwards there is none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callsOf, hopsOf, parameters, pay, type Run, typesOf } from './payment.test-kit.ts';
import type { Presentation } from './scripted-host.test-host.ts';

const CONTACT: Presentation = { interface: 'contact' };
const TAP: Presentation = { interface: 'contactless' };
const tapped = { presentations: [TAP] };
/** Above the contactless CVM limit of the test's parameters, and above its transaction limit. */
const WITH_PIN = { amountMinor: '30001' };
const ABOVE_LIMIT = { amountMinor: '500001' };
const INS_GENERATE_AC = 0xae;

const endOf = ({ result }: Run) => [result.outcome, result.reason, result.charged];
const namesOf = ({ host }: Run) => host.calls.map(({ call }) => call);
const wishesOf = ({ host }: Run) =>
  host.requests.map(({ attempt, reason, interfaces }) => [attempt, reason, interfaces.join()]);
const BOTH = 'contact,contactless';

test('a tap is approved at the issuer’s answer: no second cryptogram, no completion', () => {
  const run = pay({}, tapped);
  const { result, gateway } = run;
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.equal(result.interface, 'contactless');
  assert.equal(result.dataAuthentication, 'none', 'three commands: nothing to authenticate with');
  assert.equal(result.responseCode, '00');
  assert.match(result.cryptogram.arqc ?? '', /^[0-9A-F]{16}$/);
  assert.deepEqual([result.cryptogram.second, result.cryptogram.secondType], [null, null]);
  assert.ok(gateway.isArqcValid && gateway.isElementSignatureValid);
  assert.equal(gateway.payment?.interface, 'contactless');
  assert.equal(gateway.payment?.applicationLabel, 'PBOC DEBIT');
  assert.equal(gateway.payment?.pin, null);
  assert.deepEqual(typesOf(run), ['hello', 'orderRequest', 'payment']);
  assert.deepEqual(hopsOf(run), ['channel', 'tap', 'cryptogram', 'check', 'seal', 'confirm']);
  assert.equal(run.atc, 1);
});

test('the card may leave before PIN and issuer: nothing is asked of it afterwards', () => {
  const run = pay({ order: WITH_PIN }, tapped);
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.equal(run.result.dataAuthentication, 'fDDA', 'a PIN is for authenticated cards alone');
  const names = namesOf(run);
  const released = names.indexOf('releaseCard');
  assert.ok(released > 0 && released < names.indexOf('sealPin'));
  assert.ok(names.lastIndexOf('cardTransmit') < released);
  assert.equal(callsOf(run, 'releaseCard'), 1);
  assert.equal(run.gateway.payment?.pin?.block, 'B4'.repeat(16));
  assert.equal(callsOf(pay({}, tapped), 'sealPin'), 0, 'below the CVM limit nobody is asked');
});

test('a tap with fDDA wrong is never asked for its PIN', () => {
  const run = pay({ order: WITH_PIN }, tapped, { troubles: ['bad-icc-certificate'] });
  assert.equal(callsOf(run, 'sealPin'), 0);
  assert.equal(run.result.dataAuthentication, 'failed');
  assert.notEqual(run.result.outcome, 'approved');
});

for (const [what, script, end] of [
  ['the issuer refuses', { responseCode: '51' }, ['declined', 'issuer:51', 'no']],
  ['sent nothing', { onPayment: 'unable' }, ['cancelled', 'gateway:unable', 'no']],
  ['has no answer', { onPayment: 'unknown' }, ['unknown', 'gateway:unknown', 'unknown']],
  ['closes instead', { onPayment: 'close' }, ['unknown', 'ERR_CHANNEL_CLOSED', 'unknown']],
  ['says no final word', { onResult: 'missing' }, ['unknown', 'ERR_CHANNEL_CLOSED', 'unknown']],
  ['reversed it', { onResult: 'reversed' }, ['declined', 'gateway:result', 'no']],
  ['does not know', { onResult: 'unknown' }, ['unknown', 'gateway:result', 'unknown']],
] as const) {
  test(`tap, and the gateway ${what}: ${end.join(' ')}`, () => {
    const run = pay(script, tapped);
    assert.deepEqual(endOf(run), end);
    assert.equal(callsOf(run, 'presentCard'), 1, 'no second try after it was sent');
    assert.ok(!typesOf(run).includes('completion'));
  });
}

test('a card torn away at any APDU before the payment is sent is presented again and pays', () => {
  for (const [presentation, commands] of [
    [TAP, 3],
    [CONTACT, 14],
  ] as const) {
    const whole = pay({}, { presentations: [presentation] });
    const names = namesOf(whole);
    const sent = names.indexOf('attest');
    const apdus = names.slice(0, sent).filter((name) => name === 'cardTransmit').length;
    assert.equal(apdus, commands);
    for (let removedBefore = 1; removedBefore <= apdus; removedBefore++) {
      const torn = { ...presentation, removedBefore };
      const run = pay({}, { presentations: [torn, presentation] });
      assert.deepEqual(endOf(run), ['approved', null, 'yes'], `APDU ${removedBefore}`);
      assert.deepEqual(wishesOf(run), [
        [1, null, BOTH],
        [2, 'ERR_CARD_REMOVED', BOTH],
      ]);
      assert.equal(typesOf(run).filter((type) => type === 'payment').length, 1);
    }
  }
});

test('a card that does not answer any more is asked for again too', () => {
  const mute = { ...CONTACT, removedBefore: 4, code: 'ERR_CARD_TRANSPORT' } as const;
  const run = pay({}, { presentations: [mute, TAP] });
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.deepEqual(wishesOf(run)[1], [2, 'ERR_CARD_TRANSPORT', BOTH]);
  assert.equal(run.result.interface, 'contactless');
});

test('torn four times: cancelled, nothing charged, no fifth request', () => {
  const torn = { ...TAP, removedBefore: 3 };
  const run = pay({}, { presentations: [torn, torn, torn, torn, TAP] });
  assert.deepEqual(endOf(run), ['cancelled', 'ERR_CARD_REMOVED', 'no']);
  assert.equal(callsOf(run, 'presentCard'), 4);
  assert.deepEqual(typesOf(run), ['hello', 'orderRequest', 'abandon']);
  const paid = pay({}, { presentations: [torn, torn, torn, TAP] });
  assert.equal(paid.result.outcome, 'approved', 'positive control');
});

test('after the payment was sent a torn card is not asked for again', () => {
  const run = pay({}, { presentations: [{ ...CONTACT, removedBefore: apdusOf(pay()) }, CONTACT] });
  assert.deepEqual(endOf(run), ['unknown', 'ERR_CARD_REMOVED', 'unknown']);
  assert.equal(callsOf(run, 'presentCard'), 1);
});

const apdusOf = (run: Run) => callsOf(run, 'cardTransmit');

test('a card that wants insertion is asked for by contact only, and pays', () => {
  const change = { troubles: ['contactless-refusal'] } as const;
  const run = pay({}, { presentations: [TAP, CONTACT] }, change);
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.deepEqual(wishesOf(run), [
    [1, null, BOTH],
    [2, 'card:useContact', 'contact'],
  ]);
  assert.equal(run.result.interface, 'contact');
  assert.equal(run.result.cryptogram.secondType, 'TC');
  const torn = { ...CONTACT, removedBefore: 2 };
  const again = pay({}, { presentations: [TAP, torn, CONTACT] }, change);
  assert.deepEqual(wishesOf(again)[2], [3, 'ERR_CARD_REMOVED', 'contact'], 'contact it stays');
  assert.equal(again.result.outcome, 'approved');
});

test('a tap where only insertion was asked for is refused', () => {
  const change = { troubles: ['contactless-refusal'] } as const;
  const run = pay({}, { presentations: [TAP, TAP] }, change);
  assert.deepEqual(endOf(run), ['cancelled', 'ERR_CARD_INTERFACE', 'no']);
  assert.equal(typesOf(run).at(-1), 'abandon');
});

test('no tap above the transaction limit, or without contactless parameters', () => {
  const above = pay({ order: ABOVE_LIMIT });
  assert.deepEqual(wishesOf(above), [[1, null, 'contact']]);
  assert.deepEqual(endOf(pay({ order: ABOVE_LIMIT }, tapped)), [
    'cancelled',
    'ERR_CARD_INTERFACE',
    'no',
  ]);
  const aids = parameters.aids.map((aid) => ({ ...aid, contactless: null }));
  assert.deepEqual(wishesOf(pay({}, {}, { parameters: { aids } })), [[1, null, 'contact']]);
  const at = pay({ order: { amountMinor: '500000' } }, tapped);
  assert.deepEqual(wishesOf(at), [[1, null, BOTH]]);
  assert.equal(at.result.outcome, 'approved');
});

for (const code of ['ERR_USER_CANCELLED', 'ERR_CARD_TIMEOUT', 'ERR_CHANNEL_CLOSED']) {
  test(`no card comes (${code}): cancelled at the first request and at a later one`, () => {
    const first = pay({}, { presentations: [{ fault: code }, CONTACT] });
    assert.deepEqual(endOf(first), ['cancelled', code, 'no']);
    assert.deepEqual([first.result.interface, first.result.card], [null, null]);
    assert.deepEqual(typesOf(first), ['hello', 'orderRequest', 'abandon']);
    assert.equal(callsOf(first, 'presentCard'), 1);
    const torn = { ...TAP, removedBefore: 3 };
    const second = pay({}, { presentations: [torn, { fault: code }, CONTACT] });
    assert.deepEqual(endOf(second), ['cancelled', code, 'no']);
    assert.equal(second.result.interface, 'contactless');
    assert.equal(callsOf(second, 'presentCard'), 2);
  });
}

test('nobody inserts the card that wanted it: cancelled', () => {
  const change = { troubles: ['contactless-refusal'] } as const;
  const run = pay({}, { presentations: [TAP, { fault: 'ERR_CARD_TIMEOUT' }] }, change);
  assert.deepEqual(endOf(run), ['cancelled', 'ERR_CARD_TIMEOUT', 'no']);
});

test('the order of the request is the one that the gateway signed', () => {
  const { host } = pay({
    order: { amountMinor: '777', merchantName: 'A', origin: 'https://a.test' },
  });
  assert.deepEqual(host.requests[0], {
    ...{ kind: 'purchase', amountMinor: '777', currency: '156' },
    ...{ merchantName: 'A', origin: 'https://a.test' },
    ...{ interfaces: ['contact', 'contactless'], attempt: 1, reason: null },
  });
});

test('torn after the PIN: it is asked again, and the last block alone is sent', () => {
  const whole = pay();
  const commands = whole.host.calls.filter((call) => call.call === 'cardTransmit');
  const removedBefore = commands.findIndex(({ command }) => command[1] === INS_GENERATE_AC) + 1;
  const run = pay({}, { presentations: [{ ...CONTACT, removedBefore }, CONTACT] });
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.equal(callsOf(run, 'sealPin'), 2);
  assert.equal(run.gateway.payment?.pin?.block, 'B5'.repeat(16));
  assert.ok(run.gateway.isElementSignatureValid);
});

test('the card leaves while the PIN is typed: presented again, the PIN asked again', () => {
  const run = pay({}, { presentations: [CONTACT, CONTACT], cardRemovedAtPin: [1] });
  assert.deepEqual(endOf(run), ['approved', null, 'yes']);
  assert.deepEqual(wishesOf(run)[1], [2, 'ERR_CARD_REMOVED', BOTH]);
  assert.equal(callsOf(run, 'sealPin'), 2);
});

test('a decision is no torn card: no PIN given, or a card that is not ours, ends at once', () => {
  const noPin = pay({}, { presentations: [CONTACT, CONTACT], pin: 'cancelled' });
  assert.deepEqual(endOf(noPin), ['cancelled', 'cardholder:pin', 'no']);
  const aids = parameters.aids.map((aid) => ({ ...aid, aid: 'A000000003' }));
  for (const presentation of [TAP, CONTACT]) {
    const foreign = pay({}, { presentations: [presentation, CONTACT] }, { parameters: { aids } });
    assert.deepEqual(endOf(foreign), ['declined', 'terminal:noApplication', 'no']);
    assert.equal(callsOf(foreign, 'presentCard'), 1);
    assert.equal(typesOf(foreign).at(-1), 'abandon');
  }
  assert.equal(callsOf(noPin, 'presentCard'), 1);
});
