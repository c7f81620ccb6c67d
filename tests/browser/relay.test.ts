/**
 * Page, WebSockets and bridge relay TLS records and read nothing: every byte that a page sent or
 * heard in a real payment is searched for card data, PIN and messages in every form. The search is
 * shown to find what is there (positive control), and one flipped bit ends the channel.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { iccSummary, parseIccImage } from '@tapnpay/protocol/emv/data';
import type { Page } from 'playwright-core';
import { findings, formsOf } from '../search.test-kit.ts';
import { browserSuite, Payer, untilState } from './browser.test-kit.ts';

const { skip, system, browser } = browserSuite();
const PIN = '739164';

/** Every frame of every WebSocket of a page, both ways, as bytes; JSON's base64 is opened too. */
function listen(page: Page): { readonly frames: Buffer[]; readonly records: Buffer[] } {
  const heard = { frames: [] as Buffer[], records: [] as Buffer[] };
  page.on('websocket', (socket) => {
    const keep = ({ payload }: { payload: string | Buffer }): void => {
      heard.frames.push(Buffer.from(payload));
      if (typeof payload !== 'string') {
        heard.records.push(payload);
        return;
      }
      const base64 = /"base64":"([^"]+)"/.exec(payload)?.[1];
      if (base64) heard.frames.push(Buffer.from(base64, 'base64'));
    };
    socket.on('framesent', keep);
    socket.on('framereceived', keep);
  });
  return heard;
}

test('what page and bridge carry holds no card data, no PIN, no message', { skip }, async () => {
  const payer = await Payer.open(browser(), system);
  const { orderId, payUrl } = await payer.order('12.34');
  const page = await payer.openPayPage(payUrl);
  const heard = listen(page);
  const end = await payer.pay(page, { card: 'debit', interface: 'contact', pin: PIN });
  assert.equal(end.state, 'DECLINED', 'the PIN is wrong, and so all of it passed');
  const image = readFileSync(join(system.dataDir, 'cards', 'debit.json'), 'utf8');
  const { pan } = iccSummary(parseIccImage(image));
  const response = await fetch(`${system.ready.gateway}/v1/pay/${orderId}`);
  const { payment } = (await response.json()) as { payment: { receipt: { arqc: string } } };
  const all = Buffer.concat(heard.frames);
  const records = Buffer.concat(heard.records);
  assert.ok(records.length > 2_000, `${records.length} bytes passed the bridge`);
  assert.deepEqual(findings(all, pan), []);
  assert.deepEqual(findings(all, PIN), []);
  for (const secret of [payment.receipt.arqc, 'field55', 'sealedPin', 'signedOrder', 'track2']) {
    assert.ok(!records.includes(secret), secret);
    assert.ok(!records.includes(Buffer.from(secret, 'hex')) || !/^[0-9A-F]+$/.test(secret), secret);
  }
  // Positive control: the same search finds each form when it is put among the same bytes.
  for (const { name, bytes } of formsOf(pan)) {
    assert.ok(findings(Buffer.concat([all, bytes]), pan).includes(name), name);
  }
  assert.ok(Buffer.concat([records, Buffer.from('field55')]).includes('field55'));
  await payer.close();
});

test('only TLS records pass: their types are 20 to 23, their version is TLS', {
  skip,
}, async () => {
  const payer = await Payer.open(browser(), system);
  const { payUrl } = await payer.order('1.00');
  const page = await payer.openPayPage(payUrl);
  const sent: Buffer[] = [];
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => {
      if (typeof payload !== 'string') sent.push(payload);
    });
  });
  const end = await payer.pay(page, { card: 'debit', interface: 'contactless' });
  assert.equal(end.state, 'APPROVED');
  let stream = Buffer.concat(sent);
  const types: number[] = [];
  while (stream.length >= 5) {
    types.push(stream.readUInt8(0));
    assert.equal(stream.readUInt8(1), 3);
    stream = stream.subarray(5 + stream.readUInt16BE(3));
  }
  assert.ok(types.length >= 4);
  assert.ok(
    types.every((type) => type >= 20 && type <= 23),
    types.join(' '),
  );
  await payer.close();
});

test('a page that flips one bit of a record ends the channel; nothing is charged', {
  skip,
}, async () => {
  const payer = await Payer.open(browser(), system);
  const { orderId, payUrl } = await payer.order('1.00');
  const page = await payer.openPayPage(payUrl);
  await page.routeWebSocket(/\/v1\/channel/, (socket) => {
    const server = socket.connectToServer();
    let count = 0;
    socket.onMessage((message) => {
      count += 1;
      // The first flight is the handshake's; the second holds ciphertext only.
      if (typeof message !== 'string' && count === 2) {
        message.writeUInt8(message.readUInt8(message.length - 1) ^ 1, message.length - 1);
      }
      server.send(message);
    });
  });
  await page.reload();
  await untilState(page, 'READY');
  await payer.pressPay(page);
  const window = payer.context.pages().at(-1);
  if (!window) throw new Error('no window');
  const code = window.locator('[data-test=pairing-code]');
  await code.fill(system.ready.pairingCode).catch(() => undefined);
  await window
    .locator('[data-test=pairing-ok]')
    .click()
    .catch(() => undefined);
  const end = await untilState(page, 'INTERRUPTED', 'CANCELLED', 'DECLINED');
  assert.equal(end.charged, 'no');
  assert.match(end.code, /^TP_(CHANNEL_TAMPERED|CHANNEL_LOST|CLIENT_REJECTED|NETWORK)$/);
  const response = await fetch(`${system.ready.gateway}/v1/pay/${orderId}`);
  const { payment, status } = (await response.json()) as { payment: unknown; status: string };
  assert.deepEqual([payment, status], [null, 'open']);
  await payer.close();
});
