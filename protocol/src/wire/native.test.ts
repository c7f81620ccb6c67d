/** Shows which frames of the native port have a shape, both ways, and that nothing else passes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NATIVE_PROTOCOL, nativeProtocolsMeet } from './native.ts';
import { nativeHostFrameShape, nativeWorkerFrameShape } from './native-shapes.ts';
import { checkShape, type Shape } from './shape.ts';

const session = '11111111-2222-4333-8444-555555555555';
const protocol = { min: 1, max: 1 };
const element = { id: 'SE-0001', state: 'operable' };
const readers = [{ name: 'Virtual reader', kind: 'virtual' }];
const error = { code: 'ERR_BUSY', message: 'busy', data: { gatewayOrigin: 'http://127.0.0.1:1' } };
const order = {
  kind: 'purchase',
  amountMinor: '1234',
  currency: '156',
  merchantName: '春风茶馆',
  origin: 'http://127.0.0.1:9000',
};
const request = { ...order, interfaces: ['contact', 'contactless'], attempt: 1, reason: null };
const waitCard = {
  name: 'waitCard',
  interfaces: ['contact'],
  attempt: 2,
  reason: 'card:useContact',
  deadlineMs: 1_800_000_000_000,
  takeOutFirst: false,
};
const result = {
  outcome: 'approved',
  reason: null,
  charged: 'yes',
  interface: 'contact',
  paymentId: 'pay-1',
  responseCode: '00',
  card: { label: 'UnionPay Debit', panMasked: '622848******1234', aid: 'A000000333010101' },
  cryptogram: {
    arqc: '1122334455667788',
    arpc: '1122334455667788AABB',
    second: '1122334455667788',
    secondType: 'TC',
  },
  tvr: '0000000000',
  tsi: 'F800',
  cvmResults: '020000',
  dataAuthentication: 'CDA',
  channel: { protocol: 'TLSv1.3', mutual: true, resumed: false },
};
const view = {
  type: 'view',
  payment: {
    session,
    intent: 'pay',
    wish: null,
    order,
    gatewayOrigin: 'http://127.0.0.1:4999',
    state: waitCard,
    request,
    pinKeySpki: null,
  },
  last: { session, outcome: 'failed', reason: 'ERR_CARD_TIMEOUT' },
  reader: { name: 'Virtual reader', kind: 'virtual', card: 'debit', interface: 'contact' },
  readerService: { state: 'lost', code: 'ERR_READER_SERVICE' },
  realReaders: [{ name: 'A reader', kind: 'pcsc', isCardThere: true, fault: null }],
  cards: [
    {
      name: 'debit',
      label: 'UnionPay Debit',
      panMasked: '622848******1234',
      expiryYymm: '3012',
      applicationTransactionCounter: 7,
      interfaces: ['contact', 'contactless'],
      purpose: 'debit',
    },
  ],
};
const balance = { currency: '156', balanceMinor: '999999999999', panMasked: '629999******0009' };
const balanceResult = { type: 'balanceResult', session, balance, reason: null };
const look = { ...view.payment, intent: 'balance', order: null, request: null };
const emptyView = { ...view, payment: null, last: null, realReaders: [], cards: [] };
const hostHello = { type: 'hello', version: '0.1.0', protocol, element, readers };
const page = { origin: 'https://pay.example:8443', tabId: 3, frameId: 0 };
const workerHello = { type: 'hello', version: '0.1.0-rc.1+2', protocol, page };
const pageFrame = (message: unknown) => ({ type: 'page', message });
const windowFrame = (message: unknown) => ({ type: 'window', message });

const FROM_HOST: readonly Readonly<Record<string, unknown>>[] = [
  hostHello,
  { ...hostHello, element: { id: null, state: 'notEnrolled' }, readers: [] },
  pageFrame({ type: 'welcome', version: 1, element, readers }),
  pageFrame({ type: 'refused', error }),
  ...[
    { name: 'connecting' },
    { name: 'consent' },
    waitCard,
    { name: 'reading', interface: 'contactless' },
    { name: 'waitPin', deadlineMs: 1 },
    { name: 'authorising', interface: 'contact' },
    { name: 'removeCard' },
  ].map((state) => pageFrame({ type: 'state', session, state })),
  pageFrame({ type: 'openChannel', session }),
  pageFrame({ type: 'channelData', session, base64: 'FgMB' }),
  pageFrame({ type: 'channelEnd', session }),
  pageFrame({ type: 'result', session, result }),
  pageFrame({ type: 'failed', session, error, sent: false }),
  pageFrame(balanceResult),
  pageFrame({ type: 'tokenResult', session, token: '12345678901234', reason: null }),
  pageFrame({ ...balanceResult, balance: { ...balance, currency: null, panMasked: null } }),
  pageFrame({ ...balanceResult, balance: null, reason: 'card:noPurse' }),
  windowFrame(view),
  windowFrame({ ...view, payment: { ...view.payment, order: { ...order, kind: 'ecashLoad' } } }),
  windowFrame({ ...view, payment: look, last: { ...view.last, outcome: 'read' } }),
  windowFrame({ ...view, last: { ...view.last, outcome: 'notRead' } }),
  windowFrame(emptyView),
  windowFrame({ type: 'error', error }),
  {
    type: 'report',
    report: { checks: [{ id: 'host', state: 'ok', code: null, facts: { version: '0.1.0' } }] },
  },
];
const FROM_WORKER: readonly Readonly<Record<string, unknown>>[] = [
  workerHello,
  { ...workerHello, page: { ...page, tabId: -1 } },
  { ...workerHello, page: { ...page, origin: 'null' } },
  { ...workerHello, page: { ...page, origin: 'moz-extension://4f1a' } },
  pageFrame({ type: 'hello', version: 1, token: null }),
  pageFrame({ type: 'pay', session, orderId: 'ord.1' }),
  pageFrame({ type: 'balance', session }),
  pageFrame({ type: 'token', session, wish: { mode: 'plain' } }),
  pageFrame({ type: 'token', session, wish: { mode: 'sign', data: ['A', 'B'] } }),
  pageFrame({ type: 'channelData', session, base64: 'FwMD' }),
  windowFrame({ type: 'consent', session, given: true }),
  windowFrame({ type: 'pin', session, sealedPin: null }),
  windowFrame({ type: 'present', card: 'debit', interface: 'contact', liftAfter: null }),
  { type: 'windowOpened' },
  { type: 'windowClosed' },
  { type: 'doctor' },
];
const WRONG: readonly (readonly [Shape<unknown>, unknown])[] = [
  ...[
    null,
    [],
    'hello',
    {},
    { type: 'apdu' },
    { type: 'constructor' },
    { ...hostHello, version: '' },
    { ...hostHello, version: '1.0 <b>' },
    { ...hostHello, protocol: { min: 1 } },
    { ...hostHello, protocol: { min: -1, max: 1 } },
    { ...hostHello, element: { id: null, state: 'new' } },
    { ...hostHello, readers: [{ name: 'x', kind: 'usb' }] },
    { ...hostHello, readers: Array(65).fill(readers[0]) },
    pageFrame({ type: 'hello', version: 1, token: null }),
    pageFrame({ type: 'refused', error: { code: 'bad', message: '', data: {} } }),
    pageFrame({ type: 'state', session, state: { name: 'paid' } }),
    pageFrame({ type: 'state', session, state: { type: 'consent' } }),
    pageFrame({ type: 'state', session, state: null }),
    pageFrame({ type: 'state', session: 'x', state: { name: 'consent' } }),
    pageFrame({ type: 'state', session, state: { ...waitCard, takeOutFirst: 'false' } }),
    pageFrame({ type: 'failed', session, error, sent: 0 }),
    pageFrame({ ...balanceResult, session: 'x' }),
    pageFrame({ ...balanceResult, balance: undefined }),
    pageFrame({ ...balanceResult, reason: undefined }),
    pageFrame({ ...balanceResult, balance: { ...balance, balanceMinor: 100 } }),
    pageFrame({ ...balanceResult, balance: { ...balance, balanceMinor: '-1' } }),
    pageFrame({ ...balanceResult, balance: { ...balance, balanceMinor: '1'.repeat(13) } }),
    pageFrame({ ...balanceResult, balance: { ...balance, currency: 'CNY' } }),
    pageFrame({ ...balanceResult, balance: { ...balance, panMasked: '6'.repeat(20) } }),
    windowFrame({ ...view, payment: { ...look, intent: 'manage' } }),
    windowFrame({ ...view, payment: { ...view.payment, order: { ...order, kind: 'cash' } } }),
    windowFrame({ ...view, last: { ...view.last, outcome: 'seen' } }),
    pageFrame({ type: 'result', session, result: { ...result, charged: true } }),
    windowFrame({ type: 'consent', session, given: true }),
    windowFrame({ ...view, cards: [{ ...view.cards[0], expiryYymm: '2030' + '12' }] }),
    windowFrame({ ...view, realReaders: [{ ...view.realReaders[0], isCardThere: null }] }),
    windowFrame({ ...view, payment: { ...view.payment, pinKeySpki: 'zz' } }),
    { type: 'report', report: { checks: [{ id: 'host' }] } },
    { type: 'doctor' },
  ].map((frame) => [nativeHostFrameShape, frame] as const),
  ...[
    null,
    { type: 'report' },
    { ...workerHello, page: null },
    { ...workerHello, page: { ...page, origin: '' } },
    { ...workerHello, page: { ...page, origin: 'https://pay.example/' } },
    { ...workerHello, page: { ...page, origin: 'https://user@pay.example' } },
    { ...workerHello, page: { ...page, origin: 'javascript:alert(1)' } },
    { ...workerHello, page: { ...page, tabId: -2 } },
    { ...workerHello, page: { ...page, tabId: '3' } },
    { ...workerHello, page: { ...page, frameId: 0.5 } },
    { ...workerHello, protocol: null },
    pageFrame({ type: 'apdu', command: '00A4' }),
    pageFrame({ type: 'consent', session, given: true }),
    windowFrame({ type: 'pay', session, orderId: 'o' }),
    windowFrame(undefined),
  ].map((frame) => [nativeWorkerFrameShape, frame] as const),
];

test('each frame passes, and what it carries beside its fields does not', () => {
  const cases = [
    ...FROM_HOST.map((frame) => [nativeHostFrameShape, frame] as const),
    ...FROM_WORKER.map((frame) => [nativeWorkerFrameShape, frame] as const),
  ];
  for (const [shape, frame] of cases) {
    const more = { ...frame, apdu: '00A4' };
    assert.deepEqual(checkShape<unknown>(shape, more, 'frame'), frame);
  }
});

test('anything else is refused by name of its field', () => {
  for (const [shape, frame] of WRONG) {
    assert.throws(
      () => checkShape(shape, frame, 'frame'),
      { code: 'ERR_MESSAGE_FIELD' },
      JSON.stringify(frame)?.slice(0, 120),
    );
  }
});

test('two ranges meet where they have a version in common', () => {
  const cases: readonly (readonly [number, number, number, number, boolean])[] = [
    [1, 1, 1, 1, true],
    [1, 3, 3, 5, true],
    [2, 2, 1, 3, true],
    [1, 1, 2, 2, false],
    [3, 4, 1, 2, false],
    [2, 1, 1, 2, false],
    [1, 2, 2, 1, false],
  ];
  for (const [min, max, otherMin, otherMax, wanted] of cases) {
    const other = { min: otherMin, max: otherMax };
    assert.equal(nativeProtocolsMeet({ min, max }, other), wanted);
    assert.equal(nativeProtocolsMeet(other, { min, max }), wanted);
  }
  assert.ok(nativeProtocolsMeet(NATIVE_PROTOCOL, NATIVE_PROTOCOL));
});
