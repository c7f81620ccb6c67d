/** Shows that every code has all texts, that none is told too much, and what an unknown one gets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DECLINE_CODES, declineTexts } from './decline-texts.ts';
import { responseCodeName } from './names.ts';

const ACTIONS = [
  ...['none', 'enterPinAgain', 'useOtherCard', 'insertCard', 'askIssuer', 'keepCard'],
  ...['tryLater', 'fixRequest', 'awaitOutcome'],
];
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

test('every code has texts for three people in two languages, and a known action', () => {
  assert.equal(new Set(DECLINE_CODES).size, DECLINE_CODES.length);
  for (const code of DECLINE_CODES) {
    const { action, cardholder, merchant, operator } = declineTexts(code);
    assert.ok(ACTIONS.includes(action), `${code} ${action}`);
    for (const { zh, en } of [cardholder, merchant, operator]) {
      assert.match(zh, /[\u4e00-\u9fff].*。$/u, code);
      assert.match(en, /^[A-Z].*\.$/u, code);
      assert.doesNotMatch(en, /[\u4e00-\u9fff|]/u, code);
    }
  }
});

test('every code that has a name has texts', () => {
  const codes = [...ALPHABET].flatMap((one) => [...ALPHABET].map((other) => one + other));
  const named = codes.filter((code) => responseCodeName(code) !== null);
  assert.ok(named.length > 30);
  assert.deepEqual(
    named.filter((code) => !DECLINE_CODES.includes(code)),
    [],
  );
});

test('a cardholder is not told that the card is wanted, and a wanted card stays', () => {
  for (const code of ['04', '41', '43']) {
    const { action, cardholder } = declineTexts(code);
    assert.equal(action, 'keepCard');
    assert.doesNotMatch(cardholder.en, /lost|stolen|pick|keep/iu);
    assert.doesNotMatch(cardholder.zh, /挂失|被窃|没收/u);
  }
});

test('a code that says nothing of the payment never says that it failed', () => {
  for (const code of ['68', '94', '98', 'A0']) {
    const { action, cardholder } = declineTexts(code);
    assert.equal(action, 'awaitOutcome');
    assert.doesNotMatch(cardholder.en, /not paid/iu);
    assert.doesNotMatch(cardholder.zh, /未成功/u);
  }
});

test('an unknown code gets texts that are safe', () => {
  for (const code of ['ZZ', '', '000', '5']) {
    assert.equal(declineTexts(code).action, 'useOtherCard');
    assert.match(declineTexts(code).operator.en, /not in our table/u);
  }
});
