/** Shows the pages' own logic: the cart and its sums, typed prices, remembered orders, polling. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ShopGoods } from '@tapnpay/protocol/wire';
import {
  type Cart,
  type CartAction,
  cartReducer,
  EMPTY_CART,
  parseCart,
  piecesOf,
  shownCart,
} from './cart.ts';
import { priceMinorOf, priceText } from './money.ts';
import { pollPauseMs } from './order-polling.ts';
import { parseRecent, RECENT_MAX, withRecent } from './recent-orders.ts';

const KEY = 'key-of-sixteen-letters';
const run = (actions: readonly CartAction[], cart: Cart = EMPTY_CART): Cart =>
  actions.reduce(cartReducer, cart);
const add = (goodsId: string, quantity = 1) => ({ type: 'add', goodsId, quantity }) as const;
const set = (goodsId: string, quantity: number) => ({ type: 'set', goodsId, quantity }) as const;

function goods(goodsId: string, priceMinor: string, stock = 10): ShopGoods {
  const text = { zh: goodsId, en: goodsId };
  return {
    goodsId,
    name: text,
    description: text,
    priceMinor,
    currency: '156',
    stock,
    picture: 'x',
  };
}

test('cart: adds up, is limited to 99 pieces and 20 lines, zero removes', () => {
  const cart = run([add('a'), add('a', 2), add('b')]);
  assert.deepEqual(cart.lines, [
    { goodsId: 'a', quantity: 3 },
    { goodsId: 'b', quantity: 1 },
  ]);
  assert.equal(piecesOf(cart), 4);
  assert.equal(piecesOf(run([add('a', 60), add('a', 60)])), 99);
  assert.deepEqual(run([set('a', 0)], cart).lines, [{ goodsId: 'b', quantity: 1 }]);
  assert.deepEqual(run([set('a', -5)], cart).lines, [{ goodsId: 'b', quantity: 1 }]);
  assert.equal(run([set('a', Number.NaN), set('a', 1.5)], cart), cart);
  const full = run(Array.from({ length: 25 }, (_, index) => add(`g${index}`)));
  assert.equal(full.lines.length, 20);
});

test('the key of a try stays on repeats and ends with any change of the cart', () => {
  const begun = run([add('a'), { type: 'begin', key: KEY }]);
  assert.equal(begun.key, KEY);
  assert.equal(run([{ type: 'begin', key: 'another-key-of-letters' }], begun).key, KEY);
  assert.equal(run([set('a', 1)], begun).key, KEY, 'no change, no new order');
  assert.equal(run([set('a', 2)], begun).key, null);
  assert.equal(run([add('b')], begun).key, null);
  assert.deepEqual(run([{ type: 'empty' }], begun), EMPTY_CART);
});

test('sums are exact beyond the safe integers of doubles; lost goods do not count', () => {
  const dear = goods('a', '9007199254740993');
  const cart = run([add('a', 3), add('b', 2), add('gone')]);
  const shown = shownCart(cart, [dear, goods('b', '990')]);
  assert.equal(shown.lines[0]?.sumMinor, '27021597764222979');
  assert.equal(shown.totalMinor, '27021597764224959');
  assert.equal(shown.lines.length, 2);
  assert.equal(shown.canOrder, true);
  const short = shownCart(cart, [goods('b', '990', 1)]);
  assert.deepEqual([short.lines[0]?.isShort, short.canOrder], [true, false]);
  assert.equal(shownCart(EMPTY_CART, [dear]).canOrder, false);
});

test('a cart from a storage comes back the same; anything else is an empty one', () => {
  const cart = run([add('a', 3), add('b'), { type: 'begin', key: KEY }]);
  assert.deepEqual(parseCart(JSON.stringify(cart)), cart);
  const line = { goodsId: 'a', quantity: 1 };
  for (const bad of [
    null,
    '',
    '{"lines":',
    '[]',
    '{"lines":1}',
    JSON.stringify({ lines: [line, line] }),
    JSON.stringify({ lines: [{ ...line, quantity: 0 }] }),
    JSON.stringify({ lines: [{ ...line, quantity: 100 }] }),
    JSON.stringify({ lines: [{ ...line, quantity: '1' }] }),
    JSON.stringify({ lines: [{ ...line, goodsId: '<b>' }] }),
  ]) {
    assert.deepEqual(parseCart(bad), EMPTY_CART, String(bad));
  }
  assert.equal(parseCart(JSON.stringify({ lines: [line], key: 'x y' })).key, null);
});

test('typed prices become minor units and back; what is no price is refused', () => {
  for (const [text, minor] of [
    ['12.34', '1234'],
    ['12.3', '1230'],
    ['12', '1200'],
    ['0.01', '1'],
    ['¥1,299.00', '129900'],
    [' ￥ 68 ', '6800'],
    ['999999.99', '99999999'],
  ] as const) {
    assert.equal(priceMinorOf(text), minor, text);
  }
  for (const text of [
    '',
    '0',
    '0.00',
    '-1',
    '1.234',
    '1e3',
    '.5',
    '12.',
    'abc',
    '1000000',
    '１２',
  ]) {
    assert.equal(priceMinorOf(text), null, text);
  }
  for (const minor of ['1', '10', '100', '99999999']) {
    assert.equal(priceMinorOf(priceText(minor)), minor);
  }
});

test('recent orders: newest first, each once, at most twenty, nothing that is no id', () => {
  const id = (number: number) => `018f0000-0000-7000-8000-${String(number).padStart(12, '0')}`;
  let list: readonly string[] = [];
  for (let number = 0; number < 30; number++) list = withRecent(list, id(number));
  list = withRecent(list, id(20));
  assert.deepEqual([list[0], list[1], list.length], [id(20), id(29), RECENT_MAX]);
  assert.deepEqual(parseRecent(JSON.stringify(list)), list);
  assert.deepEqual(parseRecent(JSON.stringify([id(1), '../x', 5, null, id(1)])), [id(1)]);
  for (const bad of [null, '', '{}', 'no json']) assert.deepEqual(parseRecent(bad), []);
});

test('an order page asks 1-2-4-8 s while open, and never again once final', () => {
  const pauses = [0, 1, 2, 3, 50].map((asked) => pollPauseMs('unknownPayment', asked));
  assert.deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 8_000]);
  for (const state of ['paid', 'cancelled', 'expired'] as const) {
    assert.equal(pollPauseMs(state, 0), null);
  }
});

test('texts: both languages, with the same values to fill in; Chinese with Chinese marks', async () => {
  const place = { search: '', pathname: '/' };
  const page = { documentElement: { lang: '' } };
  Object.assign(globalThis, { location: place, document: page });
  const { TEXTS } = await import('./texts.ts');
  const { ADMIN_TEXTS } = await import('./admin/texts.ts');
  const holes = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort().join();
  for (const [key, { zh, en }] of Object.entries({ ...TEXTS, ...ADMIN_TEXTS })) {
    assert.ok(zh.length > 0 && en.length > 0, key);
    assert.equal(holes(zh), holes(en), key);
    assert.doesNotMatch(zh, /[\u4e00-\u9fff][,;:?!]|[,;:?!][\u4e00-\u9fff]/, key);
  }
});

test('pictures: plain shapes of our own, no script, no style, nothing from elsewhere', () => {
  const folder = join(import.meta.dirname, 'pictures');
  const files = readdirSync(folder);
  assert.ok(files.length >= 8);
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    assert.match(text, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox=/, file);
    const plain = text.replace('http://www.w3.org/2000/svg', '');
    assert.doesNotMatch(
      plain,
      /<script|<style|style=|href|https?:|<foreignObject|<image|\son\w+=/i,
    );
  }
});
