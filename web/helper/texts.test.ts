/** Shows that both languages say the same things, and that every reason and card has words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPTIONS_TEXTS } from '../extension/options/texts.ts';
import { expiryText, lastFour, panGroups } from './card-facts.ts';
import { CARD_PURPOSES, CARD_TITLES, cardTextKey, inOrder } from './card-texts.ts';
import { errorText, reasonText } from './reasons.ts';
import { HELPER_TEXTS } from './texts.ts';

type Two = { readonly zh: string; readonly en: string };
const SETS: Readonly<Record<string, Readonly<Record<string, Two>>>> = {
  HELPER_TEXTS,
  CARD_TITLES,
  CARD_PURPOSES,
  OPTIONS_TEXTS,
};
/** What is wrong with a text in two languages. */
function faultOf(key: string, { zh, en }: Two): string | null {
  const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  if (!zh.trim() || !en.trim()) return 'empty';
  if (placeholders(zh).sort().join() !== placeholders(en).sort().join()) return 'placeholders';
  if (key.startsWith('switchLanguage')) return null;
  if (!/\p{Script=Han}/u.test(zh)) return 'no Chinese';
  return /\p{Script=Han}/u.test(en) ? 'Chinese in English' : null;
}

test('every text has both languages with the same placeholders', () => {
  for (const [name, texts] of Object.entries(SETS)) {
    for (const [key, text] of Object.entries(texts)) {
      assert.deepEqual(Object.keys(text).sort(), ['en', 'zh'], `${name}.${key}`);
      assert.equal(faultOf(key, text), null, `${name}.${key}`);
    }
  }
});

test('positive control: the check sees what it is for', () => {
  assert.equal(faultOf('x', { zh: '', en: 'a' }), 'empty');
  assert.equal(faultOf('x', { zh: '第 {n} 次', en: 'attempt {m}' }), 'placeholders');
  assert.equal(faultOf('x', { zh: 'attempt', en: 'attempt' }), 'no Chinese');
  assert.equal(faultOf('x', { zh: '次', en: '次' }), 'Chinese in English');
});

test('every virtual card has a title and a purpose; an unknown one has general words', () => {
  assert.deepEqual(Object.keys(CARD_TITLES), Object.keys(CARD_PURPOSES));
  for (const name of [
    'debit',
    'travel',
    'low-balance',
    'expired',
    'blocked',
    'pin-blocked',
    'refused',
    'insert-only',
    'contact-only',
    'foreign',
    'wrong-issuer-key',
  ]) {
    assert.equal(cardTextKey(name), name);
  }
  for (const name of ['', 'mine', 'toString', '__proto__'])
    assert.equal(cardTextKey(name), 'other');
});

test('cards that pay stand before those that are refused, unknown ones last', () => {
  const cards = [
    'wrong-issuer-key',
    'mine',
    'blocked',
    'insert-only',
    'debit',
    'contact-only',
    'travel',
  ];
  const order = inOrder(cards.map((purpose) => ({ purpose }))).map(({ purpose }) => purpose);
  assert.deepEqual(order, [
    'debit',
    'travel',
    'contact-only',
    'insert-only',
    'blocked',
    'wrong-issuer-key',
    'mine',
  ]);
});

test('reasons are said in plain words, by their code or by their family', () => {
  const cases = [
    ['issuer:51', 'reasonFunds'],
    ['issuer:54', 'reasonExpired'],
    ['issuer:55', 'reasonPinWrong'],
    ['issuer:75', 'reasonPinTries'],
    ['issuer:05', 'reasonCallBank'],
    ['issuer:99', 'reasonCallBank'],
    ['switch:91', 'reasonBankAway'],
    ['card:AAC', 'reasonCardRefused'],
    ['card:noPurse', 'reasonNoPurse'],
    ['card:useContact', 'reasonUseContact'],
    ['terminal:noApplication', 'reasonNotAccepted'],
    ['terminal:TAC', 'reasonTerminal'],
    ['ERR_USER_CANCELLED', 'reasonYouCancelled'],
    ['ERR_CARD_TIMEOUT', 'reasonCardTimeout'],
    ['ERR_READER_IN_USE', 'faultReaderInUse'],
    ['ERR_READER_DENIED', 'serviceDenied'],
    ['ERR_READER_GONE', 'realReadersNone'],
    ['ERR_CHANNEL_TLS', 'reasonChannel'],
    ['ERR_ELEMENT_LOST', 'reasonElement'],
    ['what:ever', null],
    ['constructor', null],
    [null, null],
  ] as const;
  for (const [reason, text] of cases) assert.equal(reasonText(reason), text, String(reason));
});

test('a refused command is said in words', () => {
  assert.equal(errorText('ERR_CARD_IN_USE'), 'errorCardInUse');
  assert.equal(errorText('ERR_READER_OCCUPIED'), 'gestureTakeOut');
  assert.equal(errorText('ERR_SOMETHING'), 'errorOther');
  assert.equal(errorText('ERR_HOST_EXITED'), 'errorHelperGone');
  assert.equal(errorText('ERR_WORKER_STOPPED'), 'errorHelperGone');
});

test("a card's facts read as they are printed", () => {
  assert.equal(panGroups('629999*********0017'), '6299 99•• •••• •••0 017');
  assert.equal(panGroups('629999******0017'), '6299 99•• •••• 0017');
  assert.equal(panGroups(''), '');
  assert.equal(expiryText('3012'), '12/30');
  assert.equal(expiryText('soon'), 'soon');
  assert.equal(lastFour('629999*********0017'), '0017');
});
