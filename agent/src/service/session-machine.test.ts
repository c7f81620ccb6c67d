/** Shows each state of a payment, each way out of it, and that nothing is cancelled after hop 7. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CardRequest, Hop } from '@tapnpay/protocol/wire';
import fc from 'fast-check';
import {
  CARD_TIMEOUT_MS,
  interfacesTaken,
  newSession,
  PIN_TIMEOUT_MS,
  type SessionEffect,
  type SessionEvent,
  type SessionState,
  stepSession,
  WINDOW_GRACE_MS,
} from './session-machine.ts';

const NOW_MS = 1_000_000;
const request: CardRequest = {
  kind: 'purchase',
  amountMinor: '1234',
  currency: '156',
  merchantName: 'Tea House',
  origin: 'http://127.0.0.1:9000',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
};
const again: CardRequest = { ...request, attempt: 2, reason: 'ERR_CARD_REMOVED' };
const asked: SessionEvent = { type: 'cardAsked', request };
const consent: SessionEvent = { type: 'consent', given: true };
const inserted: SessionEvent = { type: 'presented', interface: 'contact' };
const tapped: SessionEvent = { type: 'presented', interface: 'contactless' };
const cardDone: SessionEvent = { type: 'cardDone' };
const pinAsked: SessionEvent = { type: 'pinAsked', publicKeySpki: 'AB' };
const seal: SessionEvent = { type: 'hop', name: 'seal' };

function run(events: readonly SessionEvent[], isReaderOccupied = false) {
  let state = newSession({ isReaderOccupied });
  const effects: SessionEffect[][] = [];
  for (const event of events) {
    const step = stepSession(state, event, NOW_MS);
    state = step.state;
    effects.push([...step.effects]);
  }
  return { state, effects, last: effects.at(-1) ?? [] };
}
const typesOf = (effects: readonly SessionEffect[]) => effects.map(({ type }) => type);

/** Every state before the seal, how it is reached, and what its end is told to. */
const OPEN_STATES: Readonly<Record<string, { events: SessionEvent[]; refusal: string }>> = {
  connecting: { events: [], refusal: 'cutChannel' },
  consent: { events: [asked], refusal: 'refuseCard' },
  waitCard: { events: [asked, consent], refusal: 'refuseCard' },
  reading: { events: [asked, consent, inserted], refusal: 'cutChannel' },
  waitPin: { events: [asked, consent, inserted, pinAsked], refusal: 'refusePin' },
  removeCard: { events: [asked, consent, tapped, cardDone], refusal: 'cutChannel' },
};

test('a contact payment passes its states in order', () => {
  const events = [
    asked,
    consent,
    inserted,
    pinAsked,
    { type: 'pin', sealedPin: 'CD' } as const,
    seal,
    cardDone,
  ];
  const names = events.map((_, index) => run(events.slice(0, index + 1)).state.shown.name);
  assert.deepEqual(names, [
    'consent',
    'waitCard',
    'reading',
    'waitPin',
    'reading',
    'authorising',
    'removeCard',
  ]);
  assert.deepEqual(run(events.slice(0, 2)).state.shown, {
    name: 'waitCard',
    interfaces: ['contact', 'contactless'],
    attempt: 1,
    reason: null,
    deadlineMs: NOW_MS + CARD_TIMEOUT_MS,
    takeOutFirst: false,
  });
  const waiting = run(events.slice(0, 4)).state;
  assert.deepEqual(waiting.shown, { name: 'waitPin', deadlineMs: NOW_MS + PIN_TIMEOUT_MS });
  assert.equal(waiting.pinKeySpki, 'AB');
  const entered = run(events.slice(0, 5));
  assert.equal(entered.state.pinKeySpki, null);
  assert.ok(entered.last.some((effect) => effect.type === 'givePin' && effect.sealedPin === 'CD'));
  assert.deepEqual(typesOf(run(events).last), ['releaseCard']);
});

test('a tapped card leaves the field when nothing more is asked of it, and the PIN comes after', () => {
  const done = run([asked, consent, tapped, cardDone]);
  assert.deepEqual(typesOf(done.last), ['releaseCard']);
  const pin = run([asked, consent, tapped, cardDone, { type: 'takenAway' }, pinAsked]);
  assert.equal(pin.state.shown.name, 'waitPin');
  const sealed = run([asked, consent, tapped, cardDone, { type: 'takenAway' }, seal]);
  assert.deepEqual(sealed.state.shown, { name: 'authorising', interface: 'contactless' });
});

test('a card that was there before must go first, whenever it came', () => {
  const before = run([asked, consent], true);
  assert.ok(before.state.shown.name === 'waitCard' && before.state.shown.takeOutFirst);
  const during = run([asked, inserted, consent]);
  assert.ok(during.state.shown.name === 'waitCard' && during.state.shown.takeOutFirst);
  const stale = run([asked, consent, inserted], true);
  assert.deepEqual(stale.last, [], 'it is not the payment’s card');
  const fresh = run([asked, consent, { type: 'takenAway' }, inserted], true);
  assert.ok(typesOf(fresh.last).includes('giveCard'));
  assert.equal(fresh.state.shown.name, 'reading');
});

test('a card that cannot be the payment’s must go first, and the last one’s going is told', () => {
  const [unusable, takenAway] = [{ type: 'unusable' }, { type: 'takenAway' }] as const;
  const stuck = run([asked, consent, unusable]).state;
  assert.ok(stuck.shown.name === 'waitCard' && stuck.shown.takeOutFirst);
  assert.deepEqual(interfacesTaken(stuck), []);
  assert.deepEqual(run([asked, consent, unusable, inserted]).last, [], 'not even a fresh one');
  const freed = run([asked, consent, unusable, takenAway]).state;
  assert.deepEqual(interfacesTaken(freed), request.interfaces);
  assert.equal(run([asked, consent, inserted, unusable]).state.shown.name, 'reading');
});

test('no card is taken before the yes, whose time is kept, nor after an end', () => {
  assert.deepEqual(interfacesTaken(run([asked]).state), []);
  const said = run([asked, consent]).state;
  assert.deepEqual([interfacesTaken(said), said.consentedAtMs], [request.interfaces, NOW_MS]);
  assert.deepEqual(interfacesTaken(run([asked, consent, { type: 'cancel' }]).state), []);
  assert.deepEqual(interfacesTaken(run([asked, consent, tapped]).state), []);
});

test('a lost card ends a PIN entry by contact, and nothing else', () => {
  const lost = { type: 'cardLost' } as const;
  for (const events of [
    [asked, consent],
    [asked, consent, inserted],
    [asked, consent, tapped, cardDone, pinAsked],
    [asked, consent, inserted, seal],
  ]) {
    const { state, last } = run([...events, lost]);
    assert.deepEqual([state, last], [run(events).state, []]);
  }
});

test('an interface that is not asked for is no presentation', () => {
  const onlyContact = { ...request, interfaces: ['contact'] as const };
  const { state, last } = run([{ type: 'cardAsked', request: onlyContact }, consent, tapped]);
  assert.deepEqual([state.shown.name, last], ['waitCard', []]);
});

test('a second presentation needs no second consent, but another order does', () => {
  const torn = run([asked, consent, tapped, { type: 'cardAsked', request: again }]);
  assert.equal(torn.state.shown.name, 'waitCard');
  assert.deepEqual(typesOf(torn.last)[0], 'releaseCard', 'the tap before is over');
  for (const change of [
    { kind: 'ecashLoad' as const },
    { amountMinor: '99999' },
    { currency: '840' },
    { merchantName: 'Other' },
    { origin: 'http://other' },
  ]) {
    const other: SessionEvent = { type: 'cardAsked', request: { ...again, ...change } };
    assert.equal(run([asked, consent, tapped, other]).state.shown.name, 'consent');
  }
});

test('a look at a balance passes consent, card and end; no yes to one thing is one to another', () => {
  const look: SessionEvent = {
    type: 'cardAsked',
    request: { kind: 'balance', interfaces: ['contact', 'contactless'], attempt: 1, reason: null },
  };
  const lookAgain: SessionEvent = {
    type: 'cardAsked',
    request: { ...look.request, attempt: 2, reason: 'ERR_CARD_REMOVED' },
  };
  const names = [look, consent, tapped, cardDone].map(
    (_event, at, events) => run(events.slice(0, at + 1)).state.shown.name,
  );
  assert.deepEqual(names, ['consent', 'waitCard', 'reading', 'removeCard']);
  assert.equal(run([look, consent, tapped, lookAgain]).state.shown.name, 'waitCard');
  assert.equal(run([look, consent, tapped, asked]).state.shown.name, 'consent');
  assert.equal(run([asked, consent, tapped, look]).state.shown.name, 'consent');
});

test('a contact card pulled out at the PIN ends the PIN entry, and the card is asked for again', () => {
  const lost = [{ type: 'cardLost' }, { type: 'takenAway' }] as const;
  const pulled = run([asked, consent, inserted, pinAsked, ...lost]);
  assert.ok(
    pulled.effects
      .flat()
      .some((effect) => effect.type === 'refusePin' && effect.code === 'ERR_CARD_REMOVED'),
  );
  assert.equal(pulled.state.abortedBy, null);
  assert.equal(pulled.state.pinKeySpki, null);
  const asking = stepSession(pulled.state, { type: 'cardAsked', request: again }, NOW_MS).state;
  assert.ok(asking.shown.name === 'waitCard' && !asking.shown.takeOutFirst);
});

test('every state before the seal can be cancelled, and what is asked then is refused', () => {
  for (const [name, { events, refusal }] of Object.entries(OPEN_STATES)) {
    for (const type of ['cancel', 'pageLost'] as const) {
      const { state, last } = run([...events, { type }]);
      assert.equal(run(events).state.shown.name, name);
      assert.equal(state.abortedBy, 'ERR_USER_CANCELLED', name);
      const types = typesOf(last);
      assert.ok(
        types.includes('breakCard') && types.includes(refusal as never),
        `${name} ${types}`,
      );
      const card = stepSession(state, { type: 'cardAsked', request: again }, NOW_MS);
      assert.ok(typesOf(card.effects).includes('refuseCard'), name);
      const pin = stepSession(state, pinAsked, NOW_MS);
      assert.deepEqual(typesOf(pin.effects), ['refusePin'], name);
      assert.deepEqual(stepSession(state, { type: 'cancel' }, NOW_MS).effects, [], 'once');
    }
  }
});

test('after the seal nothing is cancelled, not even by a lost page or a late timer', () => {
  const { state } = run([asked, consent, inserted, seal]);
  const late: SessionEvent[] = [
    { type: 'cancel' },
    { type: 'pageLost' },
    { type: 'windowsGone' },
    { type: 'consent', given: false },
    { type: 'pin', sealedPin: null },
    { type: 'timeout', timer: 'card' },
    { type: 'timeout', timer: 'pin' },
  ];
  for (const event of late) {
    const step = stepSession(state, event, NOW_MS);
    assert.deepEqual([step.state, step.effects], [state, []], event.type);
  }
});

test('no is no', () => {
  assert.equal(
    run([asked, { type: 'consent', given: false }]).state.abortedBy,
    'ERR_USER_CANCELLED',
  );
  const noPin = run([asked, consent, inserted, pinAsked, { type: 'pin', sealedPin: null }]);
  assert.equal(noPin.state.abortedBy, 'ERR_USER_CANCELLED');
});

test('a timer ends the payment in its own state only', () => {
  const codes = [
    ['consent', 'consent', 'ERR_USER_TIMEOUT'],
    ['waitCard', 'card', 'ERR_CARD_TIMEOUT'],
    ['waitPin', 'pin', 'ERR_PIN_TIMEOUT'],
    ['consent', 'window', 'ERR_USER_CANCELLED'],
    ['waitPin', 'window', 'ERR_USER_CANCELLED'],
  ] as const;
  for (const [name, { events }] of Object.entries(OPEN_STATES)) {
    for (const timer of ['consent', 'card', 'pin', 'window'] as const) {
      const wanted = codes.find(([state, of]) => state === name && of === timer)?.[2] ?? null;
      const { state } = run([...events, { type: 'timeout', timer }]);
      assert.equal(state.abortedBy, wanted, `${timer} in ${name}`);
    }
  }
});

test('a closed window has its grace only where a person is needed', () => {
  for (const [name, { events }] of Object.entries(OPEN_STATES)) {
    const { last } = run([...events, { type: 'windowsGone' }]);
    const wanted = name === 'consent' || name === 'waitPin';
    const start = { type: 'startTimer', timer: 'window', delayMs: WINDOW_GRACE_MS };
    assert.deepEqual(last, wanted ? [start] : [], name);
  }
  assert.deepEqual(run([asked, { type: 'windowBack' }]).last, [
    { type: 'stopTimer', timer: 'window' },
  ]);
});

const anyEvent: fc.Arbitrary<SessionEvent> = fc.constantFrom<SessionEvent>(
  asked,
  { type: 'cardAsked', request: again },
  consent,
  { type: 'consent', given: false },
  inserted,
  tapped,
  { type: 'arrived' },
  { type: 'takenAway' },
  { type: 'cardLost' },
  { type: 'unusable' },
  cardDone,
  pinAsked,
  { type: 'pin', sealedPin: 'CD' },
  { type: 'pin', sealedPin: null },
  ...(Object.keys(Hop) as (keyof typeof Hop)[]).map((name) => ({ type: 'hop', name }) as const),
  { type: 'cancel' },
  { type: 'pageLost' },
  { type: 'windowsGone' },
  { type: 'windowBack' },
  { type: 'timeout', timer: 'card' },
  { type: 'timeout', timer: 'window' },
);

test('whatever comes: no card without consent, none after an end, no end after the seal', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 40 }), fc.boolean(), (events, occupied) => {
      let state: SessionState = newSession({ isReaderOccupied: occupied });
      for (const event of events) {
        const step = stepSession(state, event, NOW_MS);
        for (const effect of step.effects) {
          if (effect.type === 'giveCard') {
            assert.ok(state.consentedTo !== null && state.abortedBy === null);
            assert.ok(!(state.shown.name === 'waitCard' && state.shown.takeOutFirst));
          }
          if (effect.type === 'givePin') assert.equal(state.abortedBy, null);
        }
        if (state.sealed) assert.equal(step.state.abortedBy, state.abortedBy);
        state = step.state;
      }
    }),
  );
});
