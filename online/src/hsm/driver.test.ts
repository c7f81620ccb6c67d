/** The driver interface: what a driver cannot do is named, and a bad call fails for itself only. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { HsmRequest } from '@tapnpay/protocol/wire';
import type { HsmReply } from '../runtime/hsm-wire.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { BoundedMap } from './bounded-map.ts';
import { createHsmContext } from './context.ts';
import { HSM_MECHANISMS, type HsmDriver, type HsmMechanism } from './driver.ts';
import { EmbeddedDriver } from './embedded.ts';
import { executeBatch, executeHsmCommand } from './execute.ts';
import {
  flipBit,
  sampleRequests,
  seededRandom,
  type TestSystem,
  testSystem,
} from './hsm.test-kit.ts';

let system: TestSystem;
before(async () => {
  system = await testSystem();
});

/** The embedded driver with some of what it can do taken away. */
function without(...missing: readonly HsmMechanism[]): HsmDriver {
  const embedded = new EmbeddedDriver(system.contexts.issuer);
  return {
    name: 'partial',
    capabilities: new Set(HSM_MECHANISMS.filter((name) => !missing.includes(name))),
    keys: embedded.keys,
    execute: (calls) => embedded.execute(calls),
    close: () => embedded.close(),
  };
}

async function codesOf(driver: HsmDriver, requests: readonly unknown[]): Promise<unknown[]> {
  const replies = await executeBatch({ party: 'issuer', driver }, 'issuer', requests);
  return replies.map((reply) => ('ok' in reply ? 'ok' : reply.error.code));
}

test('a missing mechanism is a coded error that names it and the driver', async () => {
  const samples = sampleRequests(system, '00');
  const { imkAcSm4 } = system.keys.issuer.keys;
  const sm4 = { ...samples.verifyArqc.request, algorithm: '4', imkAc: imkAcSm4.keyBlock };
  const cases: readonly (readonly [HsmMechanism, unknown])[] = [
    ['tdesUnwrap', samples.importKey.request],
    ['cbcMac', samples.generateMac.request],
    ['tdes', samples.verifyMac.request],
    ['pvv', samples.verifyPin.request],
    ['pinBlocks', samples.generatePin.request],
    ['emvCryptograms', samples.generateArpc.request],
    ['sm4', sm4],
  ];
  for (const [mechanism, request] of cases) {
    const device = { party: 'issuer', driver: without(mechanism) } as const;
    const [reply] = await executeBatch(device, 'issuer', [request]);
    assert.ok(reply && 'error' in reply, mechanism);
    assert.equal(reply.error.code, 'ERR_HSM_MECHANISM');
    assert.deepEqual(reply.error.data, { mechanism, driver: 'partial' });
    assert.match(reply.error.message, new RegExp(mechanism));
    assert.notEqual((await codesOf(without(), [request]))[0], 'ERR_HSM_MECHANISM');
  }
});

test('one bad command never fails its neighbours', async () => {
  const { generateMac, generateKey } = sampleRequests(system, '00');
  const bad = { ...generateMac.request, key: 'D' };
  const requests = [generateMac.request, bad, null, generateKey.request, generateMac.request];
  assert.deepEqual(await codesOf(without(), requests), [
    ...['ok', 'ERR_HSM_PARAMETER', 'ERR_HSM_COMMAND', 'ERR_HSM_CALLER', 'ok'],
  ]);
});

test('MACs of a batch are those of the calls one by one, right, wrong and under other keys', async () => {
  const { pin, mac } = system.issuerLine.issuer;
  const issuer = system.hsm('issuer');
  const components = ['00112233445566778899AABBCCDDEEFF', '0123456789ABCDEFFEDCBA9876543210'];
  const form = { command: 'formKey', usage: 'M1', algorithm: '4', components } as const;
  const sm4 = (await system.hsm('issuer', 'ceremony').call(form)).keyBlock;
  const requests: HsmRequest[] = [];
  for (let index = 0; index < 20; index++) {
    const key = index % 5 === 4 ? sm4 : mac;
    const data = 'A5'.repeat(index * 9);
    const good = (await issuer.call({ command: 'generateMac', key, data })).mac;
    requests.push({ command: 'generateMac', key, data });
    requests.push({ command: 'verifyMac', key, data, mac: good });
    requests.push({ command: 'verifyMac', key, data, mac: flipBit(good, index) });
  }
  requests.push({ command: 'generateMac', key: pin, data: '' });
  const device = { party: 'issuer', driver: without() } as const;
  const replies = await executeBatch(device, 'issuer', requests);
  for (const [index, request] of requests.entries()) {
    const one = await issuer.call(request).then(
      (ok) => ({ ok }),
      ({ code }: { code: string }) => ({ code }),
    );
    const reply = replies[index];
    assert.ok(reply);
    assert.deepEqual('ok' in reply ? { ok: reply.ok } : { code: reply.error.code }, one);
  }
  assert.deepEqual(replies[1], { ok: { valid: true } });
  assert.deepEqual(replies[2], { ok: { valid: false } });
});

test('a driver that answers too few calls leaves coded errors, not holes', async () => {
  const { generateMac } = sampleRequests(system, '00');
  const short: HsmDriver = {
    ...without(),
    execute: async (): Promise<readonly HsmReply[]> => [{ ok: { mac: '00' } }],
  };
  const codes = await codesOf(short, [generateMac.request, generateMac.request]);
  assert.deepEqual(codes, ['ok', 'ERR_HSM_INTERNAL']);
});

test('where OpenSSL has no SM4 the embedded driver says so', () => {
  const random = seededRandom('no sm4');
  const refuse = (): never => {
    throw new Error('unsupported');
  };
  const ciphers = { ...nodeCiphers, sm4EcbEncrypt: refuse, sm4EcbDecrypt: refuse };
  const context = createHsmContext({ lmk: random.bytes(32), ciphers, random, party: 'switch' });
  const form = (algorithm: 'T' | '4') =>
    executeHsmCommand(context, 'ceremony', {
      ...({ command: 'formKey', usage: 'K0', algorithm } as const),
      components: ['0123456789ABCDEFFEDCBA9876543210', '00'.repeat(16)],
    });
  assert.match(form('T').keyBlock, /^D/);
  assert.throws(() => form('4'), {
    code: 'ERR_HSM_MECHANISM',
    data: { mechanism: 'sm4', driver: 'embedded' },
  });
});

test('forgotten keys are wiped, and a block opens again when it is used', async () => {
  const context = system.contexts.issuer;
  const { mac } = system.issuerLine.issuer;
  const request = { command: 'generateMac', key: mac, data: '01' } as const;
  const before = executeHsmCommand(context, 'issuer', request);
  const open = context.openKeys.get(mac)?.key.expose();
  assert.ok(open);
  assert.ok(open.some((byte) => byte !== 0));
  const one = { command: 'forgetKeys', keys: [mac] } as const;
  assert.deepEqual(executeHsmCommand(context, 'issuer', one), { forgotten: 1 });
  assert.ok(open.every((byte) => byte === 0));
  assert.deepEqual(executeHsmCommand(context, 'issuer', request), before);
  const all = executeHsmCommand(context, 'issuer', { command: 'forgetKeys' });
  assert.ok(all.forgotten > 0);
  assert.equal(context.openKeys.size, 0);
  assert.deepEqual(executeHsmCommand(context, 'issuer', request), before);
});

test('during a key change blocks of the old and of the new key both serve', async () => {
  const issuer = system.hsm('issuer');
  const zone = system.keys.switch.keys.zmkIssuer.keyBlock;
  const ask = { command: 'generateKey', usage: 'M1', algorithm: 'T', exportUnder: zone } as const;
  const made = await system.hsm('switch').call(ask);
  const taken = await issuer.call({
    ...({ command: 'importKey', usage: 'M1', kcv: made.kcv } as const),
    ...{ under: system.keys.issuer.keys.zmk.keyBlock, enciphered: made.enciphered ?? '' },
  });
  const old = system.issuerLine;
  for (const [atSwitch, atIssuer] of [
    [old.switch.mac, old.issuer.mac],
    [made.keyBlock, taken.keyBlock],
    [old.switch.mac, old.issuer.mac],
  ] as const) {
    const data = '0200';
    const { mac } = await system
      .hsm('switch')
      .call({ command: 'generateMac', key: atSwitch, data });
    const check = { command: 'verifyMac', key: atIssuer, data, mac } as const;
    assert.deepEqual(await issuer.call(check), { valid: true });
    const other = atIssuer === taken.keyBlock ? old.issuer.mac : taken.keyBlock;
    assert.deepEqual(await issuer.call({ ...check, key: other }), { valid: false });
  }
});

test('a full map drops what was used longest ago, and wipes it', () => {
  const wiped: string[] = [];
  const map = new BoundedMap<string, string>(3, (value) => wiped.push(value));
  for (const key of ['a', 'b', 'c']) map.set(key, key.toUpperCase());
  assert.equal(map.get('a'), 'A');
  map.set('d', 'D');
  assert.deepEqual(wiped, ['B']);
  assert.equal(map.size, 3);
  assert.equal(map.get('b'), undefined);
  map.set('a', 'AA');
  assert.deepEqual(wiped, ['B', 'A']);
  map.clear();
  assert.equal(map.size, 0);
  assert.deepEqual(wiped.toSorted(), ['A', 'AA', 'B', 'C', 'D']);
});
