/**
 * Shows a change of working keys under load, with real HSMs and lines over TCP: both lines change
 * their keys 20 times while sales with PIN flow; none is declined, a message is proven under every
 * generation of keys on both lines, and an old key is refused when its time is over.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import {
  pinBlockFormat0,
  pinOfBlockFormat0,
  tdesDecrypt,
  tdesEncrypt,
  tr31UnwrapD,
} from '@tapnpay/protocol/crypto';
import { buildReply, bytesField, type Iso8583Message, withFields } from '@tapnpay/protocol/iso8583';
import type { KeyBlock } from '@tapnpay/protocol/wire';
import { testSystem } from '../hsm/hsm.test-kit.ts';
import {
  connectTcp,
  HostLines,
  listenTcp,
  MemberLine,
  systemClock,
  systemRandom,
} from '../runtime/index.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { SwitchCore } from './core.ts';
import { macIsValid, withMac } from './messages.ts';
import { INSTITUTION_SWITCH, type LineKeys } from './ports.ts';
import { memberLines } from './start.ts';
import { MemorySwitchStore } from './store-memory.ts';
import { codeOf, GATEWAY, ISSUER, saleRequest, TEST_PAN, testSwitch } from './switch.test-kit.ts';

const CHANGES = 20;
const SENDERS = 24;
/** At least so many between two changes. */
const SALES_PER_CHANGE = 50;
/** How long keys hold after their change. */
const OLD_KEYS_MS = 400;
const PIN = '123456';

const system = await testSystem();
const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** A working key in clear, which only a test may see. */
function clear(party: 'gateway' | 'issuer', block: KeyBlock): Uint8Array {
  return tr31UnwrapD(nodeCiphers, system.contexts[party].masterKey.expose(), block).key;
}

const common = { clock: systemClock, random: systemRandom, log: () => undefined };
const times = { oldKeysMs: OLD_KEYS_MS };

async function startSwitchOverTcp() {
  const hsm = system.hsm('switch');
  const store = new MemorySwitchStore();
  const zones = system.keys.switch.keys;
  const hosts: HostLines = new HostLines({
    ...{ ...common, times, hsm, localId: INSTITUTION_SWITCH },
    zoneKeys: new Map([
      [GATEWAY, zones.zmkGateway.keyBlock],
      [ISSUER, zones.zmkIssuer.keyBlock],
    ]),
    onRequest: (memberId, message) => core.handle(memberId, message),
    onLateReply: () => undefined,
  });
  const lines = memberLines(hosts);
  const ports = { ...testSwitch().ports, ...common, hsm, store, lines };
  const core: SwitchCore = new SwitchCore(ports);
  const listener = await listenTcp({ port: 0, onTransport: (link) => hosts.accept(link) });
  closers.push(async () => {
    await hosts.close();
    await listener.close();
  });
  return { hosts, store, port: listener.port };
}

async function memberAt(
  port: number,
  party: 'gateway' | 'issuer',
  onRequest: (line: MemberLine, message: Iso8583Message) => Promise<Iso8583Message | null>,
): Promise<MemberLine> {
  const line: MemberLine = new MemberLine({
    ...{ ...common, times, hsm: system.hsm(party), remoteId: INSTITUTION_SWITCH },
    localId: party === 'gateway' ? GATEWAY : ISSUER,
    zoneKey: system.keys[party].keys.zmk.keyBlock,
    connect: () => connectTcp({ port }),
    onRequest: (message) => onRequest(line, message),
  });
  line.start();
  await line.established();
  closers.push(() => line.close());
  return line;
}

/** How many messages were proven under each generation of a line's keys. */
class Generations {
  readonly #counts = new Map<KeyBlock, number>();

  count({ mac }: LineKeys): void {
    this.#counts.set(mac, (this.#counts.get(mac) ?? 0) + 1);
  }

  get counts(): readonly number[] {
    return [...this.#counts.values()];
  }
}

test('20 changes of keys under load: 0 declined, each generation proven, the old one refused', async () => {
  const { hosts, store, port } = await startSwitchOverTcp();
  const atIssuer = new Generations();
  const issuerHsm = system.hsm('issuer');
  await memberAt(port, 'issuer', async (line, message) => {
    const keys = await line.keysOf(message);
    if (!keys || !(await macIsValid(issuerHsm, [keys.mac], message))) {
      return withMac(issuerHsm, line.keys()?.mac ?? '', buildReply(message, 'A0'));
    }
    const block = tdesDecrypt(
      clear('issuer', keys.pin),
      bytesField(message, 52) ?? new Uint8Array(),
    );
    const isRight = pinOfBlockFormat0(block, TEST_PAN) === PIN;
    // Keys may change while the issuer thinks.
    await pause((systemRandom.bytes(1)[0] ?? 0) % 12);
    if (isRight) atIssuer.count(keys);
    return withMac(issuerHsm, keys.mac, buildReply(message, isRight ? '00' : '55'));
  });
  const gateway = await memberAt(port, 'gateway', async () => null);

  const gatewayHsm = system.hsm('gateway');
  const atGateway = new Generations();
  const codes = new Map<string, number>();
  const sell = async (keys: LineKeys, pauseMs: number): Promise<string> => {
    const pinBlock = tdesEncrypt(clear('gateway', keys.pin), pinBlockFormat0(PIN, TEST_PAN));
    const sale = await withMac(gatewayHsm, keys.mac, withFields(saleRequest(), [[52, pinBlock]]));
    // And between the making of a message and its way out.
    await pause(pauseMs);
    const answer = await gateway.request(sale, { timeoutMs: 10_000 });
    assert.ok(answer !== 'timeout');
    // Under the keys of its request; a refused one has none.
    const code = codeOf(answer);
    const signers = code === 'A0' ? gateway.acceptedKeys() : [keys];
    const macKeys = signers.map(({ mac }) => mac);
    assert.ok(await macIsValid(gatewayHsm, macKeys, answer), 'the answer is signed');
    return code;
  };
  let isLoaded = true;
  const senders = Array.from({ length: SENDERS }, async (_, index) => {
    while (isLoaded) {
      const keys = gateway.keys();
      assert.ok(keys);
      const code = await sell(keys, index);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (code === '00') atGateway.count(keys);
    }
  });
  for (let change = 0; change < CHANGES; change++) {
    const wanted = [atGateway.counts.length, atIssuer.counts.length];
    const sold = (codes.get('00') ?? 0) + SALES_PER_CHANGE;
    await Promise.all([hosts.changeKeys(GATEWAY), hosts.changeKeys(ISSUER)]);
    for (let tries = 0; tries < 400; tries++) {
      const seen = [atGateway.counts.length, atIssuer.counts.length];
      const isProven = seen.every((count, side) => count > (wanted[side] ?? 0));
      if (isProven && (codes.get('00') ?? 0) >= sold) break;
      await pause(5);
    }
  }
  const old = gateway.keys();
  assert.ok(old);
  isLoaded = false;
  await Promise.all(senders);

  assert.deepEqual([...codes.keys()], ['00'], `0 declined of ${String(codes.get('00'))}`);
  for (const { counts } of [atGateway, atIssuer]) {
    assert.equal(counts.length, CHANGES + 1);
    assert.ok(counts.every((count) => count >= 1));
  }
  const rows = await store.transactions();
  assert.equal(rows.length, codes.get('00'));
  assert.ok(rows.every(({ state, responseCode }) => state === 'answered' && responseCode === '00'));
  assert.deepEqual(await store.advices(), []);

  // The last generation: good in its window after one more change, and never after it.
  await hosts.changeKeys(GATEWAY);
  assert.notEqual(gateway.keys()?.mac, old.mac);
  assert.equal(await sell(old, 0), '00');
  await pause(OLD_KEYS_MS + 100);
  assert.equal(await sell(old, 0), 'A0');
  assert.equal((await store.transactions()).length, rows.length + 1);
  process.stdout.write(`${rows.length} sales over ${CHANGES} changes of keys on both lines\n`);
});

test('keys of two sets are not mixed: MAC of one and PIN block of the other is no PIN', async () => {
  const { hosts, port } = await startSwitchOverTcp();
  let asked = 0;
  await memberAt(port, 'issuer', async (line, message) => {
    const keys = await line.keysOf(message);
    assert.ok(keys);
    asked += 1;
    return withMac(system.hsm('issuer'), keys.mac, buildReply(message, '00'));
  });
  const gateway = await memberAt(port, 'gateway', async () => null);
  const before = gateway.keys();
  await hosts.changeKeys(GATEWAY);
  const now = gateway.keys();
  assert.ok(before && now);
  const pinBlock = tdesEncrypt(clear('gateway', before.pin), pinBlockFormat0(PIN, TEST_PAN));
  const mixed = withFields(saleRequest(), [[52, pinBlock]]);
  const sale = await withMac(system.hsm('gateway'), now.mac, mixed);
  const answer = await gateway.request(sale, { timeoutMs: 5_000 });
  assert.ok(answer !== 'timeout');
  assert.equal(codeOf(answer), '96');
  assert.equal(asked, 0);
});
