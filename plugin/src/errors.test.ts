/**
 * Shows that every code and reason that agent, element, application, kernel, gateway, extension and
 * browser can send has one of our codes, and what each of ours means.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { NATIVE_FAULT_CODES } from '@tapnpay/protocol/wire';
import { meaningOf, type PaymentCode, paymentCodeOf, paymentCodes } from './errors.ts';
import type { StateName } from './states.ts';

/** Every code once: TypeScript misses none of the union, the test none of the table. */
const STAGES: Readonly<Record<PaymentCode, string>> = {
  TP_CONTEXT_INSECURE: 'page',
  TP_ORIGIN_NOT_ALLOWED: 'page',
  TP_FRAME_NOT_ALLOWED: 'page',
  TP_BROWSER_UNSUPPORTED: 'page',
  TP_BROWSER_SANDBOXED: 'page',
  TP_BAD_ARGUMENT: 'page',
  TP_ACTION_PENDING: 'page',
  TP_ACTION_UNSUPPORTED: 'page',
  TP_INTERNAL: 'page',
  TP_EXTENSION_MISSING: 'extension',
  TP_EXTENSION_OUTDATED: 'extension',
  TP_EXTENSION_RELOADED: 'extension',
  TP_VERSION_INVALID: 'extension',
  TP_HOST_MISSING: 'agent',
  TP_HOST_FORBIDDEN: 'agent',
  TP_HOST_EXITED: 'agent',
  TP_HOST_PROTOCOL: 'agent',
  TP_HOST_TIMEOUT: 'agent',
  TP_HOST_OUTDATED: 'agent',
  TP_MESSAGE_TOO_LARGE: 'agent',
  TP_BUSY: 'agent',
  TP_APP_NOT_INSTALLED: 'element',
  TP_APP_LOCKED: 'element',
  TP_APP_TAMPERED: 'element',
  TP_KEYS_EXPIRED: 'element',
  TP_PARAMS_OUTDATED: 'element',
  TP_SE_UNAVAILABLE: 'element',
  TP_CHANNEL_TIMEOUT: 'channel',
  TP_CHANNEL_LOST: 'channel',
  TP_CHANNEL_TAMPERED: 'channel',
  TP_SERVER_UNTRUSTED: 'channel',
  TP_CLIENT_REJECTED: 'channel',
  TP_NETWORK: 'channel',
  TP_PCSC_STOPPED: 'card',
  TP_PCSC_DENIED: 'card',
  TP_NO_READER: 'card',
  TP_READER_LOST: 'card',
  TP_READER_BUSY: 'card',
  TP_CARD_TIMEOUT: 'card',
  TP_CARD_REMOVED: 'card',
  TP_CARD_MULTIPLE: 'card',
  TP_CARD_MUTE: 'card',
  TP_CARD_COMM: 'card',
  TP_CARD_UNSUPPORTED: 'card',
  TP_CARD_BLOCKED: 'card',
  TP_CARD_EXPIRED: 'card',
  TP_CARD_USE_CONTACT: 'card',
  TP_PIN_CANCELLED: 'pin',
  TP_PIN_TIMEOUT: 'pin',
  TP_PIN_WRONG: 'pin',
  TP_PIN_BLOCKED: 'pin',
  TP_PIN_PAD_FAILED: 'pin',
  TP_PIN_LENGTH: 'pin',
  TP_DECLINED_OFFLINE: 'payment',
  TP_DECLINED_ONLINE: 'payment',
  TP_AMOUNT_LIMIT: 'payment',
  TP_BALANCE_LOW: 'payment',
  TP_ISSUER_UNAVAILABLE: 'payment',
  TP_REVERSED: 'payment',
  TP_RESULT_UNKNOWN: 'payment',
  TP_ORDER_EXPIRED: 'payment',
  TP_DUPLICATE: 'payment',
  TP_ORDER_CANCELLED: 'payer',
  TP_USER_CANCELLED: 'payer',
  TP_USER_TIMEOUT: 'payer',
};

const project = join(import.meta.dirname, '../..');

/** The codes of a file's unions and tables, where they are defined. */
function codesOf(path: string): readonly string[] {
  const text = readFileSync(join(project, path), 'utf8');
  const found = [...text.matchAll(/\bERR_[A-Z0-9_]+[A-Z0-9]\b/g)].map(([code]) => code);
  assert.ok(found.length > 0, `${path} names no code`);
  return [...new Set(found)].sort();
}

/** What their own folders call a defect of ours: no page can do anything about it. */
const DEFECTS: Readonly<Record<string, readonly string[]>> = {
  'agent/src/errors.ts': [],
  'agent/src/service/errors.ts': [
    'ERR_INTERNAL',
    // Only windows and programs of the machine hear these.
    'ERR_LOCAL_KEY',
    'ERR_PAIRING_CODE',
    'ERR_PAIRING_TRIES',
  ],
  'agent/src/readers/errors.ts': [],
  'agent/src/pcsc/faults.ts': [],
  'element/src/errors.ts': [],
  'applet/src/errors.ts': [],
  'protocol/src/emv/terminal/errors.ts': ['ERR_KERNEL_ANSWER', 'ERR_KERNEL_INPUT'],
  'protocol/src/iso7816/errors.ts': [],
  'protocol/src/wire/frames.ts': [],
  'protocol/src/wire/plugin-page.ts': [],
  'online/src/gateway/channel/session.ts': [
    'ERR_INTERNAL',
    // What our own application sealed wrongly.
    'ERR_PAYMENT_AMOUNT',
    'ERR_PAYMENT_FIELD',
    'ERR_PAYMENT_NOT_FOUND',
    'ERR_PAYMENT_STATE',
  ],
};

describe('codes of the peers', () => {
  for (const [path, defects] of Object.entries(DEFECTS)) {
    test(`${path}: each has a code of ours, or is known as a defect`, () => {
      for (const raw of codesOf(path)) {
        const isDefect = paymentCodeOf(raw) === 'TP_INTERNAL';
        assert.equal(isDefect, defects.includes(raw), `${raw}: ${paymentCodeOf(raw)}`);
      }
    });
  }

  test('no fault of a reader, its PIN pad or a card is called cancelled, or a wrong PIN', () => {
    const never = ['TP_PIN_CANCELLED', 'TP_USER_CANCELLED', 'TP_PIN_WRONG', 'TP_PIN_BLOCKED'];
    const faults = [
      ...codesOf('agent/src/readers/errors.ts'),
      ...codesOf('agent/src/pcsc/faults.ts'),
      ...['ERR_PIN_TIMEOUT', 'ERR_PIN_FORMAT', 'ERR_PIN_PAD_FAILED'],
    ];
    for (const raw of faults) assert.ok(!never.includes(paymentCodeOf(raw)), raw);
  });

  test('each fault of the native port is one of its own', () => {
    const ours = NATIVE_FAULT_CODES.map((code) => [code, paymentCodeOf(code)] as const);
    for (const [raw, code] of ours) {
      const other = { ERR_ORIGIN: 'TP_ORIGIN_NOT_ALLOWED', ERR_WORKER_STOPPED: 'TP_HOST_EXITED' };
      const own = raw.replace('ERR_', 'TP_');
      assert.equal(code, (other as Record<string, string>)[raw] ?? own);
    }
  });

  for (const [raw, code] of [
    // The agent, and the way to it.
    ['ERR_AGENT_GONE', 'TP_HOST_EXITED'],
    ['ERR_AGENT_DOWN', 'TP_HOST_EXITED'],
    ['ERR_AGENT_PROTOCOL', 'TP_HOST_PROTOCOL'],
    ['ERR_AGENT_TIMEOUT', 'TP_HOST_TIMEOUT'],
    ['ERR_SEQUENCE', 'TP_HOST_PROTOCOL'],
    ['ERR_BODY_TOO_LARGE', 'TP_MESSAGE_TOO_LARGE'],
    ['ERR_HOST', 'TP_ORIGIN_NOT_ALLOWED'],
    ['ERR_GATEWAY_HTTP', 'TP_NETWORK'],
    ['ERR_CARD_IN_USE', 'TP_BUSY'],
    ['ERR_ELEMENT_IN_USE', 'TP_BUSY'],
    ['ERR_TOO_LATE', 'TP_ACTION_PENDING'],
    // The element.
    ['ERR_ELEMENT_SEQUENCE', 'TP_SE_UNAVAILABLE'],
    ['ERR_ENROLMENT_GRANT', 'TP_APP_NOT_INSTALLED'],
    ['ERR_STORE_FORK', 'TP_APP_TAMPERED'],
    ['ERR_STORE_SIZE', 'TP_SE_UNAVAILABLE'],
    ['ERR_KERNEL_CA_KEY', 'TP_PARAMS_OUTDATED'],
    ['ERR_CA_KEY_CHECK_VALUE', 'TP_PARAMS_OUTDATED'],
    // Readers and cards.
    ['ERR_READER_SERVICE', 'TP_PCSC_STOPPED'],
    ['ERR_READER_LIBRARY', 'TP_PCSC_STOPPED'],
    ['ERR_READER_DENIED', 'TP_PCSC_DENIED'],
    ['ERR_PCSC_DENIED', 'TP_PCSC_DENIED'],
    ['ERR_READER_GONE', 'TP_READER_LOST'],
    ['ERR_READER_CRASH', 'TP_READER_LOST'],
    ['ERR_READER_IN_USE', 'TP_READER_BUSY'],
    ['ERR_READER_OCCUPIED', 'TP_CARD_MULTIPLE'],
    ['ERR_CARD_COLLISION', 'TP_CARD_MULTIPLE'],
    ['ERR_CARD_MUTE', 'TP_CARD_MUTE'],
    ['ERR_CARD_RESET', 'TP_CARD_COMM'],
    ['ERR_CARD_ABSENT', 'TP_CARD_REMOVED'],
    ['ERR_CARD_PROTOCOL', 'TP_CARD_UNSUPPORTED'],
    ['ERR_CARD_INTERFACE', 'TP_CARD_USE_CONTACT'],
    ['ERR_TLV_DEPTH', 'TP_CARD_UNSUPPORTED'],
    ['ERR_EMV_CVM_LIST', 'TP_CARD_UNSUPPORTED'],
    // PIN.
    ['ERR_PIN_FORMAT', 'TP_PIN_LENGTH'],
    ['ERR_READER_UNSUPPORTED', 'TP_PIN_PAD_FAILED'],
    ['cardholder:pin', 'TP_PIN_CANCELLED'],
    ['terminal:pinNotEntered', 'TP_PIN_CANCELLED'],
    // The kernel's reasons.
    ['terminal:noApplication', 'TP_CARD_UNSUPPORTED'],
    ['terminal:presentOneCard', 'TP_CARD_MULTIPLE'],
    ['terminal:expired', 'TP_CARD_EXPIRED'],
    ['terminal:exceptionFile', 'TP_CARD_BLOCKED'],
    ['terminal:contactlessLimit', 'TP_AMOUNT_LIMIT'],
    ['terminal:electronicCash:balance', 'TP_BALANCE_LOW'],
    ['terminal:electronicCash:singleTransactionLimit', 'TP_AMOUNT_LIMIT'],
    ['terminal:unableOnline', 'TP_ISSUER_UNAVAILABLE'],
    ['terminal:TAC+IAC-denial', 'TP_DECLINED_OFFLINE'],
    ['card:AAC', 'TP_DECLINED_OFFLINE'],
    ['card:GPO:6985', 'TP_DECLINED_OFFLINE'],
    ['card:ERR_CARD_DATA', 'TP_CARD_UNSUPPORTED'],
    ['card:torn:ERR_CARD_REMOVED', 'TP_CARD_REMOVED'],
    ['card:seeDevice', 'TP_CARD_COMM'],
    // Issuer, switch and gateway.
    ['issuer:05', 'TP_DECLINED_ONLINE'],
    ['issuer:51', 'TP_BALANCE_LOW'],
    ['issuer:54', 'TP_CARD_EXPIRED'],
    ['issuer:55', 'TP_PIN_WRONG'],
    ['issuer:75', 'TP_PIN_BLOCKED'],
    ['issuer:61', 'TP_AMOUNT_LIMIT'],
    ['switch:91', 'TP_ISSUER_UNAVAILABLE'],
    ['referral:01', 'TP_DECLINED_ONLINE'],
    ['gateway:unable', 'TP_ISSUER_UNAVAILABLE'],
    ['gateway:completion', 'TP_REVERSED'],
    ['ERR_HSM_UNAVAILABLE', 'TP_ISSUER_UNAVAILABLE'],
    ['ERR_ORDER_NOT_FOUND', 'TP_BAD_ARGUMENT'],
    ['ERR_ORDER_MISMATCH', 'TP_SERVER_UNTRUSTED'],
    ['ERR_PAYMENT_SIGNATURE', 'TP_CLIENT_REJECTED'],
    ['APP_LOCKED', 'TP_APP_LOCKED'],
    ['PARAMS_OUTDATED', 'TP_PARAMS_OUTDATED'],
    ['ERR_PARAMETERS_ROLLBACK', 'TP_PARAMS_OUTDATED'],
    ['ERR_LOAD_FILE_UNKNOWN', 'TP_APP_TAMPERED'],
    ['ERR_LOAD_FILE_REVOKED', 'TP_APP_TAMPERED'],
    ['ERR_ELEMENT_CLONED', 'TP_APP_TAMPERED'],
    ['ERR_PAYMENT_REPEATED', 'TP_DUPLICATE'],
    ['ERR_RISK_REFUSED', 'TP_DECLINED_ONLINE'],
    // Nothing of ours.
    ['', 'TP_INTERNAL'],
    ['ERR_', 'TP_INTERNAL'],
    ['constructor', 'TP_INTERNAL'],
    ['ERR_SOMETHING_NEW', 'TP_INTERNAL'],
    ['TypeError: x is not a function', 'TP_INTERNAL'],
  ] as const) {
    test(`${raw || 'an empty text'} is ${code}`, () => {
      assert.equal(paymentCodeOf(raw), code);
    });
  }
});

describe('codes of ours', () => {
  test('are the union, and each says where, whether again, what next and which state', () => {
    assert.deepEqual([...paymentCodes()].sort(), Object.keys(STAGES).sort());
    for (const code of paymentCodes()) {
      const { stage, action, retriable, state } = meaningOf(code);
      assert.equal(stage, STAGES[code], code);
      assert.match(`${action} ${state}`, /^[a-zA-Z]+ [A-Z_]+$/);
      const again = ['retry', 'otherCard', 'install', 'update'].includes(action);
      assert.equal(retriable, again, code);
      assert.equal(paymentCodeOf(code.replace('TP_', 'ERR_')), code, 'said as it is');
    }
  });

  for (const [state, codes] of [
    ['NEED_EXTENSION', ['TP_EXTENSION_MISSING', 'TP_EXTENSION_RELOADED']],
    ['NEED_HOST', ['TP_HOST_MISSING', 'TP_HOST_FORBIDDEN']],
    ['NEED_UPDATE', ['TP_EXTENSION_OUTDATED', 'TP_HOST_OUTDATED', 'TP_VERSION_INVALID']],
    ['BROWSER_UNSUPPORTED', ['TP_BROWSER_UNSUPPORTED', 'TP_BROWSER_SANDBOXED']],
    [
      'APP_NOT_READY',
      [
        'TP_APP_NOT_INSTALLED',
        'TP_APP_LOCKED',
        'TP_APP_TAMPERED',
        'TP_KEYS_EXPIRED',
        'TP_PARAMS_OUTDATED',
      ],
    ],
    ['NO_READER', ['TP_NO_READER']],
    [
      'DECLINED',
      [
        'TP_DECLINED_OFFLINE',
        'TP_DECLINED_ONLINE',
        'TP_CARD_BLOCKED',
        'TP_CARD_EXPIRED',
        'TP_CARD_UNSUPPORTED',
        'TP_AMOUNT_LIMIT',
        'TP_BALANCE_LOW',
        'TP_PIN_WRONG',
        'TP_PIN_BLOCKED',
      ],
    ],
    [
      'CANCELLED',
      ['TP_PIN_CANCELLED', 'TP_USER_CANCELLED', 'TP_ORDER_CANCELLED', 'TP_ORDER_EXPIRED'],
    ],
  ] as const satisfies readonly (readonly [StateName, readonly PaymentCode[]])[]) {
    test(`what ends in ${state}, and nothing else does`, () => {
      const found = paymentCodes().filter((code) => meaningOf(code).state === state);
      assert.deepEqual([...found].sort(), [...codes].sort());
    });
  }

  test('a code that is none of ours is a mistake of the caller', () => {
    assert.throws(() => meaningOf('TP_NONE' as PaymentCode));
  });
});
