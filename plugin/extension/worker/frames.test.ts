/** Shows which frames get a host: a gateway's, wherever they are, and nobody else's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GATEWAY, WINDOW_URL } from '../browser.test-kit.ts';
import { isOwnPage, judgeFrame } from './frames.ts';

const code = (sender: Parameters<typeof judgeFrame>[0]): string => {
  const judged = judgeFrame(sender, [GATEWAY]);
  return 'code' in judged ? judged.code : 'page';
};

test('a gateway page is served with origin, tab and frame of the browser', () => {
  const sender = { origin: GATEWAY, frameId: 0, tab: { id: 7 } };
  assert.deepEqual(judgeFrame(sender, [GATEWAY]), {
    page: { origin: GATEWAY, tabId: 7, frameId: 0 },
  });
});

test('a gateway frame inside a foreign page is served by its own origin', () => {
  const sender = { origin: GATEWAY, frameId: 3, tab: { id: 7 } };
  assert.deepEqual(judgeFrame(sender, [GATEWAY]), {
    page: { origin: GATEWAY, tabId: 7, frameId: 3 },
  });
});

test('ERR_ORIGIN: the top frame of another page', () => {
  for (const origin of ['https://shop.example', `${GATEWAY}:8443`, 'http://pay.example']) {
    assert.equal(code({ origin, frameId: 0 }), 'ERR_ORIGIN', origin);
  }
});

test('ERR_FRAME_NOT_ALLOWED: other frames of others, opaque origins, senders without facts', () => {
  assert.equal(code({ origin: 'https://shop.example', frameId: 2 }), 'ERR_FRAME_NOT_ALLOWED');
  assert.equal(code({ origin: 'null', frameId: 0 }), 'ERR_FRAME_NOT_ALLOWED');
  assert.equal(code({ origin: 'null', frameId: 4 }), 'ERR_FRAME_NOT_ALLOWED');
  assert.equal(code({ frameId: 0 }), 'ERR_FRAME_NOT_ALLOWED');
  assert.equal(code({ origin: GATEWAY }), 'ERR_FRAME_NOT_ALLOWED');
  assert.equal(code(undefined), 'ERR_FRAME_NOT_ALLOWED');
});

test('an opaque origin is not served though a gateway were called so', () => {
  assert.ok('code' in judgeFrame({ origin: 'null', frameId: 0 }, ['null']));
});

test('only our own window is our own window', () => {
  const own = { url: WINDOW_URL };
  assert.equal(isOwnPage({ url: WINDOW_URL }, own), true);
  assert.equal(isOwnPage({ url: `${WINDOW_URL}#abc` }, own), true);
  assert.equal(isOwnPage({ url: `${WINDOW_URL}?lang=zh#abc` }, own), true);
  for (const url of [
    undefined,
    GATEWAY,
    `${WINDOW_URL}.evil`,
    `${WINDOW_URL}?#`,
    `${WINDOW_URL}?lang=fr#abc`,
    `${WINDOW_URL}?lang=zh&x#abc`,
    `https://pay.example/#${WINDOW_URL}`,
    WINDOW_URL.replace('window', 'options'),
  ]) {
    assert.equal(isOwnPage({ url }, own), false, String(url));
  }
  assert.equal(isOwnPage(undefined, own), false);
});
