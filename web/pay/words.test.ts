/** Shows that every state, code and bank's reason has words in both languages. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type PaymentCode,
  type PaymentState,
  type PluginFacts,
  paymentCodes,
  paymentError,
} from '@tapnpay/plugin/engine';
import type { PageTexts } from './texts.ts';

// The shared language module looks at the page's address when it is loaded.
Object.assign(globalThis, { location: { search: '', host: 'pay.example' } });
const { commandText, declineTexts, errorTexts, setTexts, stateTexts } = await import('./texts.ts');
const { wordsOf } = await import('./words.ts');

const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');
const zh = JSON.parse(read('zh.json')) as PageTexts;
const en = JSON.parse(read('en.json')) as PageTexts;
const LANGUAGES = { zh, en };

const STATE: PaymentState = {
  name: 'READY',
  order: null,
  error: null,
  charged: 'no',
  card: null,
  pinDeadlineMs: null,
  interface: null,
  isSlow: false,
  isBlocked: false,
  isCancelling: false,
  isRunning: false,
  canStart: false,
  canCancel: false,
  plugin: null,
};
function errorOf(code: PaymentCode, detail = ''): PaymentState['error'] {
  return paymentError(code, 'no', detail);
}

test('both languages say the same things, and no text is empty', () => {
  for (const part of ['labels', 'states', 'errors', 'commands', 'declines'] as const) {
    assert.deepEqual(Object.keys(zh[part]), Object.keys(en[part]), part);
  }
  for (const texts of Object.values(LANGUAGES)) {
    const all = Object.values(texts).flatMap((part) => Object.values(part).flat());
    assert.ok(all.every((text) => typeof text === 'string' && text.trim() !== ''));
  }
  assert.deepEqual(zh.commands, en.commands, 'a command has no language');
  const chinese = JSON.stringify({ ...zh, labels: {}, commands: {} });
  assert.doesNotMatch(chinese, /[\u4e00-\u9fff][,.;!?]/, 'full-width punctuation in Chinese');
});

test('placeholders are the same in both', () => {
  const places = (text: string): string => (text.match(/\{\w+\}/g) ?? []).sort().join();
  for (const [key, text] of Object.entries(en.labels)) {
    assert.equal(places(zh.labels[key] ?? ''), places(text), key);
  }
  for (const part of ['states', 'errors', 'declines'] as const) {
    for (const [key, texts] of Object.entries(en[part])) {
      assert.equal(places((zh[part][key] ?? []).join(' ')), places(texts.join(' ')), key);
    }
  }
});

test('the channel names the gateway to which it leads', () => {
  for (const texts of Object.values(LANGUAGES)) {
    setTexts(texts);
    assert.match(wordsOf({ ...STATE, name: 'CONNECTING' }).explanation, /pay\.example/);
  }
});

test('every key that the page asks for is there, and none besides', () => {
  const source = read('texts.ts');
  const union = source.slice(source.indexOf('export type TextKey'), source.indexOf('const URLS'));
  const keys = [...union.matchAll(/\| '(\w+)'/g)].map(([, key]) => key ?? '');
  const labels = Object.keys(en.labels).filter(
    (key) => !/^(cvm[0-9A-F]{2}|check_(ok|warn|broken|unknown))$/.test(key),
  );
  assert.deepEqual(labels.sort(), keys.sort());
});

/** Codes whose state says all. */
const BY_STATE: readonly PaymentCode[] = [
  'TP_EXTENSION_MISSING',
  'TP_HOST_MISSING',
  'TP_HOST_OUTDATED',
  'TP_BROWSER_UNSUPPORTED',
  'TP_NO_READER',
  'TP_RESULT_UNKNOWN',
  'TP_DUPLICATE',
  'TP_USER_CANCELLED',
  'TP_DECLINED_ONLINE',
];

test('every code has a title of its own or of its state, and says what to do', () => {
  for (const texts of Object.values(LANGUAGES)) {
    setTexts(texts);
    for (const code of paymentCodes()) {
      const isOwn = errorTexts(code, 'ended') !== null;
      assert.equal(isOwn, !BY_STATE.includes(code), code);
      const error = errorOf(code);
      const words = wordsOf({ ...STATE, name: error?.state ?? 'READY', error });
      assert.ok(words.title.length > 0, code);
      assert.ok(words.explanation.length > 0, `${code}: one sentence on what comes next`);
    }
    for (const name of Object.keys(en.states)) {
      assert.ok((stateTexts(name as 'READY', null)[0] ?? '').length > 0);
    }
  }
});

const WAY: PluginFacts = {
  way: 'extension',
  extension: '0.1.0',
  host: null,
  element: null,
  readers: [],
  versions: null,
  update: 'ok',
};

test('what is missing is told apart, each with its command', () => {
  setTexts(en);
  const said = new Set<string>();
  for (const [code, way, title, command] of [
    ['TP_EXTENSION_MISSING', null, /Install the payment plug-in/, /agent install --system --ext/],
    ['TP_HOST_MISSING', 'extension', /Install the payment helper/, /^npx tapnpay agent install$/],
    ['TP_HOST_MISSING', 'loopback', /helper is not running/, /^npx tapnpay up$/],
    ['TP_HOST_MISSING', null, /helper is not running/, /^npx tapnpay up$/],
    ['TP_HOST_FORBIDDEN', 'extension', /does not know this plug-in/, /agent install$/],
    ['TP_EXTENSION_OUTDATED', 'extension', /plug-in needs an update/, /^$/],
    ['TP_HOST_OUTDATED', 'extension', /helper needs an update/, /agent install$/],
    ['TP_EXTENSION_RELOADED', 'extension', /plug-in was updated/, /^$/],
    ['TP_BROWSER_UNSUPPORTED', null, /cannot run the payment plug-in/, /^$/],
    ['TP_BROWSER_SANDBOXED', 'extension', /shut off/, /agent install$/],
    ['TP_APP_LOCKED', 'extension', /locked/, /^$/],
    ['TP_NO_READER', 'extension', /No card reader/, /^$/],
  ] as const) {
    const error = errorOf(code);
    const plugin = { ...WAY, way };
    const words = wordsOf({ ...STATE, name: error?.state ?? 'READY', error, plugin });
    assert.match(words.title, title);
    assert.match(words.command, command, code);
    said.add(words.title);
  }
  assert.equal(said.size, 11);
});

test('an application that is being set up is no failure until it has failed', () => {
  setTexts(en);
  const error = errorOf('TP_APP_NOT_INSTALLED');
  const running = wordsOf({ ...STATE, name: 'APP_NOT_READY', error, isRunning: true });
  assert.match(running.title, /being set up/);
  assert.equal(running.isUncharged, false);
  const ended = wordsOf({ ...STATE, name: 'APP_NOT_READY', error });
  assert.match(ended.title, /could not be set up/);
  assert.equal(ended.isUncharged, true);
});

test('a command is only there where typing it helps', () => {
  setTexts(en);
  for (const code of paymentCodes()) {
    const command = commandText(code, 'extension');
    assert.match(
      command,
      /^(|npx tapnpay (up|agent install)|sudo npx tapnpay agent install --system --extension)$/,
      code,
    );
  }
});

test('the reasons of a bank that a payer meets most', () => {
  for (const [code, chinese, english] of [
    ['51', '余额不足', 'Insufficient funds'],
    ['54', '卡已过期', 'The card has expired'],
    ['55', '密码错误', 'Wrong PIN'],
    ['75', '密码错误次数超限', 'Too many wrong PINs'],
    ['61', '超出交易限额', 'Over the limit of this card'],
    ['62', '此卡状态受限', 'This card may not be used'],
    ['14', '无效卡号', 'The card is not known'],
    ['91', '发卡行暂时无法处理', 'Your bank cannot answer now'],
    ['A0', '系统暂时异常', 'A technical fault'],
    ['05', '银行拒绝了本次交易', 'Your bank declined the payment'],
  ] as const) {
    setTexts(zh);
    assert.equal(declineTexts(code)[0], chinese);
    setTexts(en);
    assert.equal(declineTexts(code)[0], english);
    assert.ok((declineTexts(code)[1] ?? '').length > 0);
  }
});

test('an unknown response code is the bank’s refusal', () => {
  setTexts(en);
  for (const code of ['', 'ZZ', '1', '05 51']) {
    assert.equal(declineTexts(code)[0], 'Your bank declined the payment');
  }
});

test('a decline shows its reason as the title and keeps the code for support', () => {
  setTexts(en);
  const error = errorOf('TP_BALANCE_LOW', '51');
  const words = wordsOf({ ...STATE, name: 'DECLINED', error });
  assert.equal(words.title, 'Insufficient funds');
  assert.deepEqual([words.code, words.responseCode], ['TP_BALANCE_LOW', '51']);
  const offline = errorOf('TP_BALANCE_LOW', 'terminal:electronicCash:balance');
  assert.equal(wordsOf({ ...STATE, name: 'DECLINED', error: offline }).responseCode, '');
  assert.equal(words.isUncharged, true);
  assert.equal(words.isAlert, true);
});

test('says "nothing was charged" only where that is so', () => {
  setTexts(en);
  const error = errorOf('TP_CARD_TIMEOUT');
  assert.equal(wordsOf({ ...STATE, name: 'INTERRUPTED', error }).isUncharged, true);
  const charged = 'unknown';
  assert.equal(wordsOf({ ...STATE, name: 'INTERRUPTED', error, charged }).isUncharged, false);
  const unknown = errorOf('TP_RESULT_UNKNOWN');
  const words = wordsOf({ ...STATE, name: 'UNKNOWN', error: unknown, charged });
  assert.equal(words.isUncharged, false);
  assert.match(words.title, /Do not pay again/);
});

test('asked again for a card: what to do is the title, why stands below', () => {
  setTexts(zh);
  const card = {
    name: 'waitCard',
    interfaces: ['contact'],
    attempt: 2,
    reason: 'card:useContact',
    deadlineMs: 0,
    takeOutFirst: false,
  } as const;
  const error = errorOf('TP_CARD_USE_CONTACT');
  const words = wordsOf({ ...STATE, name: 'WAIT_CARD', card, error });
  assert.deepEqual([words.title, words.variant], ['请插卡', 'contact']);
  assert.match(words.explanation, /需要插卡/);
  assert.equal(words.isAlert, false);
  const takeOut = { ...card, reason: null, takeOutFirst: true };
  assert.equal(wordsOf({ ...STATE, name: 'WAIT_CARD', card: takeOut }).title, '请先取出卡片');
});

test('what the person wanted is no alarm', () => {
  setTexts(en);
  for (const code of ['TP_USER_CANCELLED', 'TP_PIN_CANCELLED'] as const) {
    assert.equal(wordsOf({ ...STATE, name: 'CANCELLED', error: errorOf(code) }).isAlert, false);
  }
});
