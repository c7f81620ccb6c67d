/**
 * The card's authentication: every protocol, key size and level against the manager's side; wrong
 * hosts, wrong protection, counters and delays, each with its status word.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex, TapError, toHex } from '../../bytes/index.ts';
import type { CommandApdu } from '../../iso7816/index.ts';
import * as gp from '../data/index.ts';
import { hexOf, TestCard } from '../managed.test-kit.ts';
import * as off from '../offcard/index.ts';
import { remainingDelayMs } from './index.ts';

const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof TapError && thrown.code === wanted;
const GET_STATUS = off.getStatusCommand({ scope: 0x80, p2: 2 });

test('SCP03: every parameter i, key size and level is spoken by both sides', () => {
  let sessions = 0;
  for (const parameterI of gp.SCP03_PARAMETERS) {
    for (const keyBytes of [16, 24, 32] as const) {
      for (const securityLevel of gp.SCP03_LEVELS) {
        if (!gp.isLevelOffered(3, parameterI, securityLevel)) continue;
        const card = new TestCard({ keyBytes, profile: { scp03ParameterI: parameterI } });
        const managed = card.open({ securityLevel });
        assert.equal(managed.session.facts.parameterI, parameterI);
        assert.deepEqual(managed.list(0x80), { A000000151000000: 1 });
        sessions++;
      }
    }
  }
  assert.equal(sessions, 3 * (4 * 3 + 4 * 6));
});

test('SCP02: i=15 and 55 at every level; with AES keys the card says SCP03', () => {
  for (const parameterI of gp.SCP02_PARAMETERS) {
    for (const securityLevel of gp.SCP02_LEVELS) {
      const card = new TestCard({ isDes: true, profile: { scp02ParameterI: parameterI } });
      const managed = card.open({ securityLevel });
      assert.equal(managed.session.protocol, 2);
      assert.deepEqual(managed.list(0x80), { A000000151000000: 1 });
    }
  }
  const both = new TestCard({ profile: { scp02ParameterI: 0x55 } });
  assert.equal(both.open().session.protocol, 3);
});

test('SCP02 is off by default: its keys open nothing and none are taken', () => {
  const card = new TestCard({ isDes: true, profile: { scp02ParameterI: null } });
  assert.equal(card.status(off.initializeUpdateCommand(0, new Uint8Array(8))), '6985');
  const aes = new TestCard();
  const managed = aes.open();
  const { commands } = off.putKeySet(nodeCiphers, managed.session, {
    ...{ type: 'des', keys: managed.card.keys, replaces: 0, newKeyVersionNumber: 0x20 },
  });
  assert.equal(managed.status(...commands), '9484');
});

test('report 10: a host challenge of the wrong size is 6700, and the host tries the other', () => {
  const card = new TestCard({ profile: { scp03ParameterI: 0x71 } });
  assert.equal(card.status(off.initializeUpdateCommand(0, new Uint8Array(8))), '6700');
  assert.equal(card.status(off.initializeUpdateCommand(0, new Uint8Array(7))), '6700');
  assert.equal(card.open().session.facts.parameterI, 0x71);
});

test('report 4: keys that are not the card’s count nothing on the card', () => {
  const card = new TestCard();
  const stranger = new TestCard({ seed: 9 }).keys;
  assert.throws(() => card.open({ keys: stranger }), code('ERR_GP_CARD_CRYPTOGRAM'));
  assert.equal(card.commits.length, 0);
  assert.equal(card.open().status(GET_STATUS), '9000');
});

test('a wrong cryptogram is 6300, a wrong MAC 6982, both are counted (§E.5.2)', () => {
  for (const [offset, word] of [
    [0, '6300'],
    [15, '6982'],
  ] as const) {
    const card = new TestCard();
    const spoilt = spoiledAuthentication(card, offset);
    assert.equal(card.status(spoilt), word);
    assert.equal(failures(card), 1);
    assert.equal(card.status(spoilt), '6985');
    card.open();
    assert.equal(failures(card), 0);
  }
});

test('failed authentications cost growing time and never the card', () => {
  const card = new TestCard({ profile: { delay: { freeCount: 2, firstMs: 1000, mostMs: 8000 } } });
  const waits: number[] = [];
  for (let count = 1; count <= 8; count++) {
    assert.equal(card.status(spoiledAuthentication(card, 0)), '6300');
    const start = card.nowMs;
    while (card.status(off.initializeUpdateCommand(0, new Uint8Array(8))) === '6985') {
      card.nowMs += 1000;
    }
    waits.push(card.nowMs - start);
  }
  assert.deepEqual(waits, [0, 0, 1000, 2000, 4000, 8000, 8000, 8000]);
  card.restart();
  assert.equal(failures(card), 8);
  card.open();
  assert.equal(failures(card), 0);
});

test('a tear before the answer does not undo the count; a clock put back only keeps the delay', () => {
  const card = new TestCard({ profile: { delay: { freeCount: 0, firstMs: 1000, mostMs: 8000 } } });
  const spoilt = spoiledAuthentication(card, 0);
  card.failingCommits = 1;
  assert.equal(card.status(spoilt), '6581');
  assert.equal(card.status(spoiledAuthentication(card, 0)), '6300');
  card.restart();
  card.nowMs -= 500_000;
  assert.equal(card.status(off.initializeUpdateCommand(0, new Uint8Array(8))), '6985');
  const rules = { freeCount: 0, firstMs: 1000, mostMs: 8000 };
  assert.equal(remainingDelayMs({ count: 1, lastMs: 5000 }, rules, 5400), 600);
  assert.equal(remainingDelayMs({ count: 99, lastMs: 5000 }, rules, 5000), 8000);
});

test('a level that the card does not offer is 6A86 and opens nothing', () => {
  const card = new TestCard({ profile: { scp03ParameterI: 0x10 } });
  const challenge = card.random.bytes(8);
  const answer = gp.decodeInitializeUpdate(
    card.send(off.initializeUpdateCommand(0, challenge)).data,
  );
  const messages = off.sessionMessages(nodeCiphers, {
    ...{ keys: card.keys, answer, hostChallenge: challenge },
  });
  assert.equal(card.status(off.externalAuthenticate(messages, 0x33)), '6A86');
  assert.equal(card.status(GET_STATUS), '6982');
  assert.equal(failures(card), 0);
});

test('a command with wrong, missing or unexpected protection is 6982 and ends the session', () => {
  const spoilers: readonly ((wrapped: CommandApdu) => CommandApdu)[] = [
    (wrapped) => ({ ...wrapped, data: flipped(wrapped.data, 0) }),
    (wrapped) => ({ ...wrapped, data: flipped(wrapped.data, (wrapped.data?.length ?? 1) - 1) }),
    (wrapped) => ({ ...wrapped, p1: wrapped.p1 ^ 1 }),
    (wrapped) => ({ ...wrapped, ins: gp.INS_E4_DELETE }),
    (wrapped) => ({ ...wrapped, cla: 0x80 }),
    (wrapped) => ({ ...wrapped, data: new Uint8Array(3) }),
    () => GET_STATUS,
  ];
  for (const options of [{}, { isDes: true }]) {
    for (const spoil of spoilers) {
      const card = new TestCard(options);
      const managed = card.open({ securityLevel: 0x03 });
      const wrapped = managed.session.wrap(GET_STATUS);
      assert.equal(card.status(spoil(wrapped)), '6982');
      assert.equal(card.status(wrapped), '6982');
      const next = managed.session.wrap(GET_STATUS);
      assert.equal(card.status(next), '6982');
    }
  }
  const bare = new TestCard().open({ securityLevel: 0 });
  assert.equal(bare.status(GET_STATUS), '9000');
  assert.equal(bare.card.status({ ...GET_STATUS, cla: 0x84 }), '6982');
  assert.equal(bare.card.status(GET_STATUS), '6982');
});

test('a command that is sent again is refused: the counter is not used twice (GP-D §6.2.6)', () => {
  const managed = new TestCard().open();
  const wrapped = managed.session.wrap(GET_STATUS);
  assert.equal(hexOf(managed.session.unwrap(managed.card.send(wrapped))), '9000');
  assert.equal(managed.card.status(wrapped), '6982');
});

test('what changes the card needs a C-MAC; at level 00 it only reads', () => {
  const managed = new TestCard().open({ securityLevel: 0 });
  assert.equal(managed.status(GET_STATUS), '9000');
  assert.equal(managed.domain('A000000151000001'), '6982');
  assert.equal(managed.status(off.deleteCommand('A000000151000001')), '6982');
  assert.equal(managed.status(off.setStatusCommand({ scope: 0x80, state: 7, aid: '' })), '6982');
});

test('the counter of sessions moves with each one and makes another challenge (GP-D §6.2.2.1)', () => {
  const card = new TestCard();
  const seen = new Set<string>();
  for (let count = 0; count < 5; count++) {
    const { data } = card.send(off.initializeUpdateCommand(0, new Uint8Array(8)));
    const { cardChallenge, sequenceCounter } = gp.decodeInitializeUpdate(data);
    seen.add(toHex(cardChallenge));
    assert.equal(toHex(sequenceCounter ?? new Uint8Array()), `00000${count}`);
    card.open();
  }
  assert.equal(seen.size, 5);
});

test('report 20: INITIALIZE UPDATE to an application says protocol and i of its domain', () => {
  const card = new TestCard();
  const managed = card.open();
  const code = fromHex('C00105D0D1D2D301');
  assert.equal(managed.load({ aid: 'D0D1D2D300', code }), '9000');
  const names = { file: 'D0D1D2D300', module: 'D0D1D2D301', aid: 'D0D1D2D302' };
  assert.equal(managed.install(names), '9000');
  const inside = card.open({ aid: names.aid, securityLevel: 0x33 });
  const answer = inside.send({ cla: 0x80, ins: 0x05, p1: 0, p2: 0, data: fromHex('AABB') });
  assert.equal(toHex(answer.data), 'AABB');
  assert.equal(
    card.status({ cla: 0x84, ins: 0x05, p1: 0, p2: 0, data: new Uint8Array(16) }),
    '6982',
  );
});

test('a script computed beforehand runs on the card at i=10 and i=70, and only once', () => {
  for (const [parameterI, securityLevel] of [
    [0x10, 0x03],
    [0x70, 0x33],
    [0x71, 0x33],
  ] as const) {
    const card = new TestCard({ profile: { scp03ParameterI: parameterI } });
    const script = off.computeScript(
      nodeCiphers,
      {
        ...{ protocol: 3, parameterI, keyVersionNumber: 0x30, sequenceCounter: 0 },
        invokerAid: 'A000000151000000',
      },
      {
        ...{
          keys: card.keys,
          securityLevel,
          hostChallenge: card.random.bytes(parameterI & 1 ? 16 : 8),
        },
        commands: () => [
          off.setStatusCommand({ scope: 0x80, state: 7, aid: '' }),
          GET_STATUS,
          off.setStatusCommand({ scope: 0x80, state: 15, aid: '' }),
        ],
      },
    );
    const relay = () => script.steps.map(({ command }) => card.card.process(command));
    const result = off.checkScriptAnswers(script, relay());
    assert.deepEqual([result.stoppedAt, result.reason, result.answers.length], [null, null, 5]);
    assert.equal(card.card.state().lifeCycle, 0x0f);
    assert.equal(hexOf(card.send({ cla: 0x80, ins: 0xf2, p1: 0x80, p2: 2 })), '6982');
    const again = relay();
    assert.equal(off.checkScriptAnswers(script, again).stoppedAt, 0);
    assert.equal(card.card.state().lifeCycle, 0x0f);
  }
});

function failures(card: TestCard): number {
  const [domain] = card.card.state().entries;
  assert.ok(domain?.kind === 'domain');
  return domain.failures.count;
}

/** EXTERNAL AUTHENTICATE of right keys with one bit of its data changed. */
function spoiledAuthentication(card: TestCard, offset: number): CommandApdu {
  const hostChallenge = card.random.bytes(8);
  const { data } = card.send(off.initializeUpdateCommand(0, hostChallenge));
  const answer = gp.decodeInitializeUpdate(data);
  const messages = off.sessionMessages(nodeCiphers, { keys: card.keys, answer, hostChallenge });
  const command = off.externalAuthenticate(messages, 0x33);
  return { ...command, data: flipped(command.data, offset) };
}

function flipped(data: Uint8Array | undefined, offset: number): Uint8Array {
  const changed = (data ?? new Uint8Array()).slice();
  changed[offset] = (changed[offset] ?? 0) ^ 1;
  return changed;
}
