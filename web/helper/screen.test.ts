/** Shows which screen follows from what the agent said, and what a person can do on each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WalletCard, WindowPayment, WindowView } from '@tapnpay/protocol/wire';
import {
  againText,
  cancelMessage,
  chosenCard,
  closesItself,
  deadlineOf,
  type End,
  gesturesOf,
  liftNumber,
  type Model,
  promptOf,
  type Screen,
  screenKey,
  screenOf,
  tapCommandName,
} from './screen.ts';

const SESSION = 's1';
type State = WindowPayment['state'];
type WaitCard = Extract<State, { name: 'waitCard' }>;

const wait = (facts: Partial<WaitCard> = {}): WaitCard => ({
  name: 'waitCard',
  interfaces: ['contact', 'contactless'],
  attempt: 1,
  reason: null,
  deadlineMs: 5_000,
  takeOutFirst: false,
  ...facts,
});
const payment = (state: State): WindowPayment => ({
  session: SESSION,
  intent: 'pay',
  wish: null,
  order: null,
  gatewayOrigin: 'http://127.0.0.1:1',
  state,
  request: null,
  pinKeySpki: null,
});
const view = (facts: Partial<WindowView> = {}): WindowView => ({
  type: 'view',
  payment: null,
  last: null,
  reader: { name: 'r', kind: 'virtual', card: null, interface: null },
  readerService: { state: 'off', code: null },
  realReaders: [],
  cards: [],
  ...facts,
});
const model = (facts: Partial<Model> = {}): Model => ({
  status: 'open',
  view: view(),
  seenSession: null,
  ...facts,
});
const screenOfState = (state: State): Screen =>
  screenOf(model({ view: view({ payment: payment(state) }) }));
const STATES: readonly State[] = [
  { name: 'connecting' },
  { name: 'consent' },
  wait(),
  { name: 'reading', interface: 'contactless' },
  { name: 'waitPin', deadlineMs: 9_000 },
  { name: 'authorising', interface: 'contact' },
  { name: 'removeCard' },
];

test('the link decides before the view does', () => {
  assert.equal(screenOf(model({ status: 'notPaired' })).name, 'pairing');
  assert.equal(screenOf(model({ status: 'lost' })).name, 'offline');
  assert.equal(screenOf(model({ status: 'connecting' })).name, 'loading');
  assert.equal(screenOf(model({ view: null })).name, 'loading');
  assert.equal(screenOf(model()).name, 'idle');
});

test('after the last word of a link a window shows the end it knows of, and asks nothing', () => {
  const paying = view({ payment: payment({ name: 'consent' }) });
  assert.equal(screenOf(model({ status: 'ended', view: paying })).name, 'gone');
  assert.equal(screenOf(model({ status: 'broken', view: paying })).name, 'broken');
  assert.equal(screenOf(model({ status: 'ended', view: null })).name, 'gone');
  const last = { session: SESSION, outcome: 'approved', reason: null } as const;
  for (const status of ['ended', 'broken'] as const) {
    const ended = model({ status, view: view({ last }), seenSession: SESSION });
    assert.equal(screenOf(ended).name, 'end');
    assert.equal(
      screenOf({ ...ended, seenSession: 's0' }).name,
      status === 'ended' ? 'gone' : 'broken',
    );
  }
  assert.equal(cancelMessage({ name: 'gone' }), null);
  assert.equal(deadlineOf({ name: 'broken' }), null);
});

test('a payment shows its state by its name', () => {
  for (const state of STATES) assert.equal(screenOfState(state).name, state.name);
});

test('the end is shown only of a payment that this page saw', () => {
  const last = { session: SESSION, outcome: 'approved', reason: null } as const;
  assert.equal(screenOf(model({ view: view({ last }), seenSession: SESSION })).name, 'end');
  assert.equal(screenOf(model({ view: view({ last }), seenSession: 's0' })).name, 'idle');
  assert.equal(screenOf(model({ view: view({ last }) })).name, 'idle');
});

test('a new attempt and an emptied reader are looked at anew, a later deadline is not', () => {
  const key = (state: State) => screenKey(screenOfState(state));
  assert.notEqual(key(wait()), key(wait({ attempt: 2 })));
  assert.notEqual(key(wait()), key(wait({ takeOutFirst: true })));
  assert.equal(key(wait()), key(wait({ deadlineMs: 6_000 })));
  assert.equal(new Set(STATES.map(key)).size, STATES.length);
});

test('Esc cancels until the cryptogram may be on its way, and nothing afterwards', () => {
  const sent = STATES.map((state) => [state.name, cancelMessage(screenOfState(state))]);
  assert.deepEqual(Object.fromEntries(sent), {
    connecting: { type: 'cancel', session: SESSION },
    consent: { type: 'consent', session: SESSION, given: false },
    waitCard: { type: 'cancel', session: SESSION },
    reading: { type: 'cancel', session: SESSION },
    waitPin: { type: 'pin', session: SESSION, sealedPin: null },
    authorising: null,
    removeCard: null,
  });
  assert.equal(cancelMessage({ name: 'idle' }), null);
  assert.equal(cancelMessage({ name: 'pairing' }), null);
});

test('only waits for a person run out', () => {
  const limits = STATES.map((state) => deadlineOf(screenOfState(state)));
  assert.deepEqual(limits, [null, null, 5_000, null, 9_000, null, null]);
});

test('the sentence names the gesture that is asked for', () => {
  const said = (state: State) => promptOf(screenOfState(state));
  assert.equal(said(wait()), 'presentEither');
  assert.equal(said(wait({ interfaces: ['contact'] })), 'presentContact');
  assert.equal(said(wait({ interfaces: ['contactless'] })), 'presentContactless');
  assert.equal(said(wait({ takeOutFirst: true })), 'takeOutFirst');
  assert.equal(said({ name: 'reading', interface: 'contact' }), 'readingContact');
  assert.equal(said({ name: 'reading', interface: 'contactless' }), 'readingContactless');
  assert.equal(said({ name: 'authorising', interface: 'contact' }), 'authorisingContact');
  assert.equal(said({ name: 'authorising', interface: 'contactless' }), 'authorisingContactless');
});

test('what a person is asked for names itself: a payment, a load, a look', () => {
  const order = {
    amountMinor: '1',
    currency: '156',
    merchantName: 'Tea',
    origin: 'http://127.0.0.1:2',
  };
  const asked = (name: 'connecting' | 'consent', facts: Partial<WindowPayment>) =>
    promptOf(screenOf(model({ view: view({ payment: { ...payment({ name }), ...facts } }) })));
  assert.equal(asked('consent', {}), 'consentTitle');
  assert.equal(asked('consent', { order: { kind: 'purchase', ...order } }), 'consentTitle');
  assert.equal(asked('consent', { order: { kind: 'ecashLoad', ...order } }), 'consentLoadTitle');
  assert.equal(asked('consent', { intent: 'balance' }), 'consentBalanceTitle');
  assert.equal(asked('connecting', {}), 'connecting');
  assert.equal(asked('connecting', { intent: 'balance' }), 'preparing');
});

test('a second request says why, and that nothing was charged', () => {
  assert.equal(againText(wait(), 'purchase'), null);
  assert.equal(
    againText(wait({ attempt: 2, reason: 'ERR_CARD_REMOVED' }), 'purchase'),
    'againRemoved',
  );
  assert.equal(
    againText(wait({ attempt: 2, reason: 'card:useContact' }), 'purchase'),
    'againContact',
  );
  assert.equal(againText(wait({ attempt: 3, reason: 'something' }), 'purchase'), 'againOther');
  const contactOnly = wait({ interfaces: ['contact'] });
  assert.equal(againText(contactOnly, 'purchase'), 'contactOnlyAmount');
  assert.equal(againText(contactOnly, 'ecashLoad'), 'loadContactOnly');
});

test('a window closes itself after good news only, and never over a card', () => {
  const end = (outcome: End['outcome']) => ({ session: SESSION, outcome, reason: null });
  assert.equal(closesItself(end('approved'), 0), true);
  assert.equal(closesItself({ ...end('cancelled'), reason: 'ERR_USER_CANCELLED' }, 0), true);
  assert.equal(closesItself(end('read'), 0), true);
  assert.equal(closesItself(end('approved'), 1), false);
  for (const outcome of ['declined', 'unknown', 'cancelled', 'failed', 'notRead'] as const) {
    assert.equal(closesItself(end(outcome), 0), false, outcome);
  }
});

const card = (name: string, interfaces: WalletCard['interfaces']): WalletCard => ({
  name,
  label: '',
  panMasked: '629999*********0017',
  expiryYymm: '3012',
  applicationTransactionCounter: 0,
  interfaces,
  purpose: name,
});
const BOTH = card('debit', ['contact', 'contactless']);
const CONTACT = card('contact-only', ['contact']);
const EMPTY = view().reader;

test('the gestures follow the card, the request and the reader', () => {
  const can = (facts: Partial<Parameters<typeof gesturesOf>[0]>) =>
    gesturesOf({ card: BOTH, asked: null, reader: EMPTY, takeOutFirst: false, ...facts });
  const none = { contactless: null, contact: null, canTakeAway: false };
  assert.deepEqual(can({}), none);
  assert.deepEqual(can({ asked: ['contact', 'contactless'] }), none);
  assert.deepEqual(can({ card: CONTACT }), { ...none, contactless: 'gestureNoAntenna' });
  assert.deepEqual(can({ asked: ['contact'] }), { ...none, contactless: 'gestureInsertAsked' });
  assert.deepEqual(can({ asked: ['contactless'] }), { ...none, contact: 'gestureTapAsked' });
  assert.equal(can({ card: null }).contact, 'gestureChoose');
  const out = { contactless: 'gestureTakeOut', contact: 'gestureTakeOut', canTakeAway: true };
  const elsewhere = { ...out, canTakeAway: false };
  assert.deepEqual(can({ takeOutFirst: true }), elsewhere, 'a card in a real reader');
  assert.deepEqual(can({ reader: { ...EMPTY, card: 'travel', interface: 'contact' } }), out);
});

test('the chosen card stays chosen while it exists', () => {
  const cards = [CONTACT, BOTH];
  assert.equal(chosenCard(cards, 'contact-only'), CONTACT);
  assert.equal(chosenCard(cards, 'gone'), BOTH);
  assert.equal(chosenCard([CONTACT], null), CONTACT);
  assert.equal(chosenCard([], 'debit'), null);
});

test('a card is lifted before a numbered command, or not at all', () => {
  assert.equal(liftNumber(''), null);
  assert.equal(liftNumber('  '), null);
  assert.equal(liftNumber(' 3 '), 3);
  assert.equal(liftNumber('255'), 255);
  for (const wrong of ['0', '256', '-1', '1.5', 'x', '1e2']) {
    assert.equal(liftNumber(wrong), 'wrong', wrong);
  }
  assert.equal(tapCommandName(3), 'GET PROCESSING OPTIONS');
  assert.equal(tapCommandName(9), 'READ RECORD');
});
