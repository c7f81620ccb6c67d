/**
 * What passes by the plug-in's way is TLS records and nothing else that matters: each relay (native
 * port at both ends, content script, page, WebSocket) is searched for card data, PIN, cryptogram
 * and messages in every form, with a search that is shown to find them; and a bit that any relay
 * flips ends the channel with its own code and charges nothing.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { findings, formsOf } from '../search.test-kit.ts';
import { finalState, withoutBrowser } from './browser.test-kit.ts';
import type { Hand } from './native-tap.test-kit.ts';
import { answer, PluginBrowser, pressPay } from './plugin.test-kit.ts';
import { PluginSystem, until } from './plugin-system.test-kit.ts';
import { openAtRelays, type Relay, type RelayName } from './relays.test-kit.ts';

const skip = withoutBrowser();
const plugin = new PluginSystem();
let browser: PluginBrowser;
const CARD = 'debit';
/** Wrong, so that it is nobody's by chance; the bank says so, and so all of it has passed. */
const PIN = '739164';
/** Members of what application and gateway say to each other, and of nothing else. */
const MEMBERS = [
  ...['orderRequest', 'signedOrder', 'field55', 'track2', 'panSequenceNumber'],
  ...['issuerAuthenticationData', 'scriptResults', 'applicationVersion'],
];

before(async () => {
  if (skip) return;
  await plugin.up();
  await plugin.withoutService();
  browser = await PluginBrowser.open(plugin);
});
after(async () => {
  await browser?.close();
  await plugin.close();
});

type PayView = {
  readonly status: string;
  readonly payment: { readonly receipt: { readonly arqc: string } } | null;
};
async function payView(orderId: string): Promise<PayView> {
  const response = await fetch(`${plugin.gateway}/v1/pay/${orderId}`);
  return (await response.json()) as PayView;
}

let page: Page;
let relays: readonly Relay[] = [];
let orderId = '';

test('no relay sees card data, PIN, cryptogram or a message', { skip }, async (t) => {
  const order = await plugin.system.createOrder({ amount: '12.34' });
  orderId = order.orderId;
  ({ page, relays } = await openAtRelays({ plugin, browser }, order.payUrl));
  const window = await pressPay(page);
  await answer(window, { card: CARD, interface: 'contact', pin: PIN });
  const end = await finalState(page);
  assert.equal(end.state, 'DECLINED', 'the PIN is wrong');
  const arqc = (await payView(orderId)).payment?.receipt.arqc ?? '';
  assert.match(arqc, /^[0-9A-F]{16}$/);
  const secrets = [plugin.panOf(CARD), PIN, arqc];
  // The page has its end while the last records are still on their way through some of them.
  await until(
    async () => new Set(await Promise.all(relays.map(streamOf))).size === 1,
    'the same records at every relay',
  );
  for (const { name, heard } of relays) {
    const { texts, records } = await heard();
    const all = Buffer.concat([
      Buffer.from(texts.join('\n')),
      Buffer.from(texts.join('\n'), 'utf16le'),
      records.gateway,
      records.element,
    ]);
    t.diagnostic(`${name}: ${texts.length} frames, ${all.length} bytes`);
    for (const secret of secrets) {
      assert.deepEqual(found(all, secret), [], `${secret} at ${name}`);
      // Positive control: the same search finds each form among the same bytes.
      for (const form of allForms(secret)) {
        assert.ok(found(Buffer.concat([all, form.bytes]), secret).includes(form.name), form.name);
      }
    }
    for (const member of MEMBERS) assert.ok(!all.includes(member), `${member} at ${name}`);
    // And the ear hears: what passes openly is there, and records are what TLS makes.
    if (name !== 'WebSocket') assert.ok(all.includes(orderId), `${name} heard the payment`);
    for (const stream of Object.values(records)) assertTls(stream, name);
  }
});

/** All records that a relay has passed so far, both ways. */
async function streamOf({ heard }: Relay): Promise<string> {
  const { records } = await heard();
  return `${records.gateway.toString('hex')} ${records.element.toString('hex')}`;
}

/** The first records of each side show the handshake's keys; the second ones are sealed. */
const SEALED = 1;

function relayAt(name: RelayName): Relay {
  const relay = relays.find((one) => one.name === name);
  if (!relay) throw new Error(`no relay ${name}`);
  return relay;
}

/** Payments that have come to the host. */
async function triesSeen(): Promise<number> {
  const { texts } = await relayAt('native port').heard();
  return texts.filter((text) => text.includes('"type":"pay"')).length;
}

/** The page pays anew at the hand of a relay, which ends the channel before anybody is asked. */
async function payTampered(name: RelayName, hand: Hand): Promise<void> {
  const was = plugin.counterOf(CARD);
  const tries = await triesSeen();
  await relayAt(name).lay(hand);
  await page.locator('[data-test=retry]').click();
  const end = await finalState(page);
  assert.equal(await triesSeen(), tries + 1);
  assert.deepEqual(end, { state: 'INTERRUPTED', code: 'TP_CHANNEL_TAMPERED', charged: 'no' });
  assert.equal((await payView(orderId)).status, 'open');
  assert.equal(plugin.counterOf(CARD), was);
}

const RELAYS: readonly RelayName[] = [
  ...(['native port', 'worker', 'content script', 'page', 'WebSocket'] as const),
];
for (const towards of ['gateway', 'element'] as const) {
  for (const name of RELAYS) {
    test(
      `one bit flipped at the ${name} on its way to the ${towards}: nothing is charged`,
      {
        skip,
      },
      () => payTampered(name, { towards, skip: SEALED }),
    );
  }
  test(`a record that comes twice to the ${towards}: nothing is charged`, { skip }, () =>
    payTampered('WebSocket', { towards, skip: SEALED, isRepeat: true }),
  );
}

/** The search of digits knows no letters of hex: those are text and bytes. */
function allForms(secret: string): readonly { readonly name: string; readonly bytes: Buffer }[] {
  if (/^\d+$/.test(secret)) return formsOf(secret);
  const bytes = Buffer.from(secret, 'hex');
  return [
    { name: 'hex', bytes: Buffer.from(secret) },
    { name: 'lower-case hex', bytes: Buffer.from(secret.toLowerCase()) },
    { name: 'bytes', bytes },
    ...[0, 1, 2].map((shift) => {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
      return { name: `base64 ${shift}`, bytes: Buffer.from(text.slice(shift === 0 ? 0 : 4, -4)) };
    }),
  ];
}

function found(haystack: Buffer, secret: string): readonly string[] {
  if (/^\d+$/.test(secret)) return findings(haystack, secret);
  const forms = allForms(secret);
  return forms.filter(({ bytes }) => haystack.includes(bytes)).map(({ name }) => name);
}

/** Nothing but TLS records, to the last byte. */
function assertTls(stream: Buffer, name: string): void {
  assert.ok(stream.length > 500, `${stream.length} bytes at ${name}`);
  let rest = stream;
  while (rest.length > 0) {
    assert.ok([20, 22, 23].includes(rest.readUInt8(0)), `type ${rest.readUInt8(0)} at ${name}`);
    assert.equal(rest.readUInt8(1), 3);
    rest = rest.subarray(5 + rest.readUInt16BE(3));
  }
}
