/**
 * What an applet may rely on: calls are transactions, objects and keys last, keys never come out,
 * the channel and life cycle are those of its own instance, and a fault leaves nothing behind.
 */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { test } from 'node:test';
import { bytesToLatin1, fromHex, toHex } from '@tapnpay/protocol/bytes';
import { aesCmac, retailMac, sm2KeyPair, sm2Sign } from '@tapnpay/protocol/crypto';
import { aesKeyCheckValue, encodeDataGrouping } from '@tapnpay/protocol/globalplatform/data';
import type { AppletChannel, AppletInstance } from '@tapnpay/protocol/globalplatform/oncard';
import { StatusWord } from '@tapnpay/protocol/iso7816';
import { elementCiphers, systemRandom } from '../system.ts';
import { LIVE_APPLETS_MAX } from './index.ts';
import {
  applet,
  ask,
  commandOf,
  instanceOf,
  NO_CHANNEL,
  packageOf,
  sandbox,
} from './sandbox.test-kit.ts';

const runner = sandbox();

/** An instance as the card keeps it: what a call gives is what the next one starts from. */
class Kept {
  instance: AppletInstance;

  constructor(source: string) {
    this.instance = instanceOf(packageOf(source));
    runner.forget(this.instance.aid);
  }

  ask(text: string, channel: AppletChannel = NO_CHANNEL): string {
    const result = runner.process(this.instance, commandOf(text), channel);
    const { persistent = this.instance.persistent, lifeCycle = this.instance.lifeCycle } = result;
    this.instance = { ...this.instance, persistent, lifeCycle };
    return bytesToLatin1(result.response.data);
  }
}

const COUNTER = applet(`
  const value = (host.objects.read('n') ?? [0])[0];
  this.seen = (this.seen ?? 0) + 1;
  if (data === 'add') host.objects.write('n', Uint8Array.of(value + 1));
  if (data === 'add and throw') { host.objects.write('n', Uint8Array.of(99)); throw new Error('x'); }
  if (data === 'remove') host.objects.remove('n');
  return text([value, this.seen, host.objects.names()].join());`);

test('what a call wrote lasts; memory of its own only as long as the interpreter lives', () => {
  const kept = new Kept(COUNTER);
  assert.equal(kept.ask('add'), '0,1,n');
  assert.equal(kept.ask('add'), '1,2,n');
  runner.forget(kept.instance.aid);
  assert.equal(kept.ask(''), '2,1,n');
  assert.equal(kept.ask('remove'), '2,2,');
  assert.equal(kept.ask(''), '0,3,');
});

test('a call that throws leaves objects as they were, and its memory is gone', () => {
  const kept = new Kept(COUNTER);
  kept.ask('add');
  assert.throws(() => kept.ask('add and throw'), { code: 'ERR_APPLET_FAULT' });
  assert.equal(kept.ask(''), '1,1,n');
});

test('a result that the card did not keep is not in the next call either', () => {
  const kept = new Kept(COUNTER);
  kept.ask('add');
  runner.process(kept.instance, commandOf('add'), NO_CHANNEL);
  assert.equal(kept.ask(''), '1,1,n');
});

test('a call that changes nothing gives no persistent bytes', () => {
  const kept = new Kept(COUNTER);
  const result = runner.process(kept.instance, commandOf(''), NO_CHANNEL);
  assert.deepEqual(Object.keys(result), ['response']);
});

test('an instance begins with what its installation writes; a refused one does not begin', () => {
  const source = applet(
    "return text(host.objects.read('limit'));",
    "install(parameters) { if (parameters.length !== 1) throw new Error('x'); host.objects.write('limit', parameters); },",
  );
  const instance = instanceOf(packageOf(source));
  const persistent = runner.install(instance, Uint8Array.of(7));
  assert.equal(ask(runner, { ...instance, persistent }), '7');
  assert.throws(() => runner.install(instance, new Uint8Array(2)), { code: 'ERR_APPLET_FAULT' });
});

test('SELECT is answered by the applet, or with 9000; deselect leaves nothing that lasts', () => {
  const quiet = instanceOf(packageOf(applet('return ok();')));
  assert.equal(runner.select(quiet, commandOf()).response.statusWord, 0x9000);
  const source = applet(
    'return text(host.objects.names());',
    "select: () => ({ data: Uint8Array.of(1), statusWord: 0x6283 }), deselect() { host.objects.write('left', new Uint8Array(1)); },",
  );
  const instance = instanceOf(packageOf(source));
  assert.equal(runner.select(instance, commandOf()).response.statusWord, 0x6283);
  runner.deselect(instance.aid);
  assert.equal(ask(runner, instance), '');
  runner.deselect('00');
});

const KEYS = applet(`
  const [verb, name, kind, length] = data.split(' ');
  const usages = { hmac: ['mac'], ecP256: ['sign'] }[kind] ?? ['mac', 'encipher', 'decipher'];
  const hex = (bytes) => text([...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  const block = new Uint8Array(kind === 'tdes' ? 8 : 16).fill(3);
  switch (verb) {
    case 'make': host.keys.generate(name, { kind, usages }, length && Number(length)); return ok();
    case 'mac': return hex(host.keys.mac(name, Uint8Array.of(1, 2, 3)));
    case 'turn': {
      const secret = host.keys.encipher(name, block, block);
      return hex(host.keys.decipher(name, block, secret));
    }
    case 'sign': return hex(host.keys.sign(name, Uint8Array.of(1, 2, 3)));
    case 'point': return hex(host.keys.facts(name).publicKey);
    case 'remove': host.keys.remove(name); return text(host.keys.names());
    default: return text(JSON.stringify(host.keys.facts(name)));
  }`);

/** The key itself, as only the sealed store has it. */
function storedKey({ persistent }: AppletInstance, name: string): Uint8Array {
  const { keys } = JSON.parse(bytesToLatin1(persistent)) as {
    keys: [string, string, [], string][];
  };
  return fromHex(keys.find(([one]) => one === name)?.[3] ?? '');
}

test('keys are made, used and lost by name; the applet never holds one', () => {
  const kept = new Kept(KEYS);
  for (const [kind, length, block] of [
    ['aes', '32', 16],
    ['tdes', '16', 8],
    ['sm4', '16', 16],
  ] as const) {
    kept.ask(`make ${kind} ${kind} ${length}`);
    assert.equal(kept.ask(`turn ${kind} ${kind}`), '03'.repeat(block), kind);
  }
  const data = Uint8Array.of(1, 2, 3);
  const lower = (bytes: Uint8Array) => toHex(bytes).toLowerCase();
  const aes = storedKey(kept.instance, 'aes');
  assert.equal(kept.ask('mac aes'), lower(aesCmac(elementCiphers, aes, data)));
  const tdes = storedKey(kept.instance, 'tdes');
  assert.equal(kept.ask('mac tdes'), lower(retailMac(tdes, data, { padding: 2 })));
  kept.ask('make hmac hmac 20');
  const hmac = storedKey(kept.instance, 'hmac');
  assert.equal(kept.ask('mac hmac'), lower(elementCiphers.hmacSha256(hmac, data)));
  assert.equal(kept.ask('remove hmac'), 'aes,sm4,tdes');
  assert.equal(kept.ask('facts hmac'), 'null');
  for (const wrong of ['make a aes 15', 'make a tdes 8', 'make a sm4 32', 'make a hmac 5']) {
    assert.throws(() => kept.ask(wrong), { code: 'ERR_APPLET_KEY' }, wrong);
  }
  assert.throws(() => kept.ask('sign aes'), { code: 'ERR_APPLET_KEY' });
});

test('a signature of an applet stands under the public key that it may tell', () => {
  const kept = new Kept(KEYS);
  kept.ask('make mine ecP256');
  const head = '3059301306072A8648CE3D020106082A8648CE3D030107034200';
  const spki = Buffer.from(head + kept.ask('point mine'), 'hex');
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const signature = fromHex(kept.ask('sign mine'));
  const dsaEncoding = 'ieee-p1363';
  assert.ok(verify('sha256', Uint8Array.of(1, 2, 3), { key, dsaEncoding }, signature));
  assert.ok(!verify('sha256', Uint8Array.of(1, 2, 4), { key, dsaEncoding }, signature));
});

test('a key of personalisation is taken by the host: the applet gets its name (GPCS 2.3.1 §11.11)', () => {
  const source = applet(
    "return text(host.objects.read('log').map((x) => x) && String.fromCharCode(...host.objects.read('log')));",
    `personalise(data) {
      const log = JSON.stringify([data.form, data.bytes.length, data.groupings.map((one) => [one.identifier, one.key ?? one.value.length])]);
      host.objects.write('log', Uint8Array.from([...log].map((c) => c.charCodeAt(0))));
      host.lifeCycle.change(0x0f);
      return ok();
    },`,
  );
  const instance = instanceOf(packageOf(source));
  const key = systemRandom.bytes(16);
  const groupings = [
    { identifier: 0x0101, value: Uint8Array.of(1, 2) },
    { identifier: 0x00b9, value: fromHex('B909800188820101830130') },
    { identifier: 0x8113, value: key },
  ];
  const bytes = Buffer.concat(groupings.map(encodeDataGrouping));
  const result = runner.personalise(instance, { form: 'groupings', bytes, groupings });
  assert.equal(result.lifeCycle, 0x0f);
  const persistent = result.persistent ?? new Uint8Array();
  const said = ask(runner, { ...instance, persistent, lifeCycle: 0x0f });
  assert.equal(said, '["groupings",0,[[257,2],[185,11],[33043,"key.30.01"]]]');
  assert.deepEqual(storedKey({ ...instance, persistent }, 'key.30.01'), key);
  const bare = { form: 'groupings', bytes, groupings: groupings.slice(2) } as const;
  assert.throws(() => runner.personalise(instance, bare), { code: 'ERR_APPLET_KEY' });
});

test('the channel is there in process alone, and a key comes through it enciphered', () => {
  const source = applet(
    `if (data === 'level') return text(host.channel.securityLevel());
     if (data === 'unwrap') return text(JSON.stringify(host.channel.unwrap({ cla: 0x84, ins: 1, p1: 0, p2: 0, data: Uint8Array.of(9) })));
     const rules = { kind: 'aes', usages: ['mac'] };
     const facts = host.keys.take('came', rules, Uint8Array.from({ length: 16 }, (_, i) => i), Uint8Array.from(JSON.parse(data)));
     return ok(facts.checkValue);`,
    'select: () => text(host.channel.securityLevel()),',
  );
  const kept = new Kept(source);
  const open: AppletChannel = {
    ...NO_CHANNEL,
    securityLevel: () => 3,
    unwrap: ({ data, ...command }) => ({ ...command, cla: 0x80, data: data ?? new Uint8Array() }),
    decipher: (blocks) => blocks.map((byte) => byte ^ 0xff),
  };
  assert.equal(kept.ask('level'), 'null');
  assert.equal(kept.ask('level', open), '3');
  assert.match(kept.ask('unwrap', open), /"cla":128/);
  assert.throws(() => kept.ask('[]'), { code: 'ERR_APPLET_KEY' });
  assert.throws(() => kept.ask('[1,2,3]', open), { code: 'ERR_APPLET_KEY' });
  const clear = Uint8Array.from({ length: 16 }, (_, index) => index ^ 0xff);
  const checkValue = aesKeyCheckValue(elementCiphers, clear);
  assert.equal(kept.ask(JSON.stringify([...checkValue]), open), bytesToLatin1(checkValue));
  assert.deepEqual(storedKey(kept.instance, 'came'), clear);
  const select = () => runner.select(kept.instance, commandOf());
  assert.throws(select, { code: 'ERR_APPLET_HOST_CALL' });
});

test('hashes, clock and public-key checks of the host are those of the outside', () => {
  const { privateKey, publicKey } = sm2KeyPair(systemRandom);
  const message = Uint8Array.of(1, 2, 3);
  const random = systemRandom;
  const signature = sm2Sign(elementCiphers, { privateKey, message, random });
  const list = (bytes: Uint8Array) => `Uint8Array.of(${bytes.join()})`;
  const source = applet(`
    const stands = (s) => host.ciphers.isSm2Signature(${list(publicKey)}, ${list(message)}, s);
    const signature = ${list(signature)};
    const hash = host.ciphers.sha256(Uint8Array.of(1)).join();
    return text([stands(signature), stands(signature.fill(1)), host.clock.nowMs(), hash]);`);
  const own = sandbox({ clock: { nowMs: () => 1234 } });
  const hash = [...createHash('sha256').update(Uint8Array.of(1)).digest()].join();
  assert.equal(ask(own, instanceOf(packageOf(source))), `true,false,1234,${hash}`);
});

test('an ECDSA signature of another is checked by its point; junk is no signature', () => {
  const source = applet(`
    const facts = host.keys.generate('k', { kind: 'ecP256', usages: ['sign'] });
    const signed = host.keys.sign('k', Uint8Array.of(5));
    const check = (...values) => host.signatures.isEcdsaP256(...values);
    return text([check(facts.publicKey, Uint8Array.of(5), signed),
      check(facts.publicKey, Uint8Array.of(6), signed),
      check(new Uint8Array(65), Uint8Array.of(5), signed),
      check(facts.publicKey, Uint8Array.of(5), new Uint8Array(3))]);`);
  assert.equal(ask(runner, instanceOf(packageOf(source))), 'true,false,false,false');
});

test('more instances than interpreters: each goes on from what lasts', () => {
  const own = sandbox();
  const code = packageOf(COUNTER);
  const instances = Array.from({ length: LIVE_APPLETS_MAX + 2 }, (_, index) =>
    instanceOf(code, { aid: `F0544150AA${String(index).padStart(2, '0')}` }),
  );
  const lasting = instances.map((instance) => {
    const { persistent } = own.process(instance, commandOf('add'), NO_CHANNEL);
    return { ...instance, persistent: persistent ?? new Uint8Array() };
  });
  assert.equal(ask(own, lasting[0] as AppletInstance), '1,1,n');
  assert.equal(ask(own, lasting.at(-1) as AppletInstance), '1,2,n');
});

const TALK = applet(
  'return text(host.objects.names());',
  `*converse(intent) {
    host.objects.write('begun', Uint8Array.of(1));
    if (intent.commit) host.objects.commit();
    let answer;
    try { answer = yield { call: 'random', lengthBytes: intent.length }; } catch (fault) {
      return [fault.code, fault.message, fault.data];
    }
    host.objects.write('answered', answer);
    if (intent.fails) throw Object.assign(new Error('no'), { code: 'ERR_OWN', data: {} });
    return { sum: answer.reduce((a, b) => a + b, 0), big: 2n ** 70n };
  },`,
);

test('a conversation carries bytes, large numbers and faults, and lasts as a whole', () => {
  const instance = instanceOf(packageOf(TALK));
  const conversation = runner.converse(instance, { length: 3, commit: false });
  assert.deepEqual(conversation.next().value, { call: 'random', lengthBytes: 3 });
  const { done, value } = conversation.next(Uint8Array.of(1, 2, 3));
  assert.equal(done, true);
  const end = value as { result: unknown; persistent: Uint8Array; lifeCycle: null };
  assert.deepEqual(end.result, { sum: 6, big: 2n ** 70n });
  assert.equal(ask(runner, { ...instance, persistent: end.persistent }), 'answered,begun');
});

test('a fault of the host comes to the conversation with its code and facts', () => {
  const conversation = runner.converse(instanceOf(packageOf(TALK)), { length: 1 });
  conversation.next();
  const thrown = Object.assign(new Error('gone'), { code: 'ERR_CARD_REMOVED' });
  const { value } = conversation.throw(thrown);
  assert.deepEqual((value as { result: unknown }).result, ['ERR_INTERNAL', 'gone', {}]);
});

test('a conversation that fails keeps what it committed and nothing else', () => {
  const instance = instanceOf(packageOf(TALK));
  const kept: Uint8Array[] = [];
  const intent = { length: 1, commit: true, fails: true };
  const conversation = runner.converse(instance, intent, (persistent) => kept.push(persistent));
  conversation.next();
  assert.throws(() => conversation.next(Uint8Array.of(1)), { code: 'ERR_OWN' });
  assert.equal(kept.length, 1);
  const [persistent = new Uint8Array()] = kept;
  assert.equal(ask(runner, { ...instance, persistent }), 'begun');
});

test('an answer of a large size passes; a status word is what it was', () => {
  const instance = instanceOf(
    packageOf(applet('return { data: new Uint8Array(60000), statusWord: 0x6a82 };')),
  );
  const { response } = runner.process(instance, commandOf(), NO_CHANNEL);
  assert.equal(response.data.length, 60_000);
  assert.equal(response.statusWord, StatusWord(0x6a82));
});
