/**
 * Published sessions of real and reference cards, byte for byte: authentication, every wrapped
 * command and every answer that was recorded; and the challenges that a host can predict.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { bytesToUint, fromHex, toHex } from '../../bytes/index.ts';
import {
  type CommandApdu,
  decodeCommand,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
} from '../../iso7816/index.ts';
import { decodeInitializeUpdate, scp03CardChallenge } from '../data/index.ts';
import { SESSION_VECTORS, type SessionVector } from '../sessions.test-vectors.ts';
import {
  computeScript,
  inSession,
  openSecureChannel,
  overTransport,
  PENDING_ANSWERS_MAX,
} from './index.ts';
import { code, keysOf, openVector } from './offcard.test-kit.ts';

for (const vector of SESSION_VECTORS) {
  test(`${vector.id} (${vector.origin}): authentication, commands and answers`, () => {
    const { result, commands } = openVector(vector);
    const [, authenticate = { cla: 0, ins: 0, p1: 0, p2: 0 }] = commands;
    assert.equal(toHex(encodeCommand(authenticate)), vector.externalAuthenticate);
    for (const { plain, wrapped, responseWrapped, responsePlain } of vector.commands) {
      const command = result.session.wrap(decodeCommand(fromHex(plain)));
      assert.equal(toHex(encodeCommand(command)), wrapped);
      if (responseWrapped === undefined) {
        if (result.session.facts.securityLevel < 0x10) {
          result.session.unwrap(decodeResponse(fromHex('9000')));
        }
        continue;
      }
      const response = result.session.unwrap(decodeResponse(fromHex(responseWrapped)));
      assert.equal(response.statusWord, 0x9000);
      if (responsePlain !== undefined) assert.equal(toHex(response.data), responsePlain);
    }
  });
}

/** The name of the eUICC's domain with which the nine recorded sessions were opened. */
const EUICC_DOMAIN = 'A0000005591010FFFFFFFF8900000100';
const RECORDED = SESSION_VECTORS.filter(({ id }) => /^scp03-aes\d+-level/.test(id));

test('the nine challenges of a real card are predicted from its counter and name (GP-D §6.2.2.1)', () => {
  assert.equal(RECORDED.length, 9);
  for (const vector of RECORDED) {
    const { cardChallenge, sequenceCounter } = decodeInitializeUpdate(
      fromHex(vector.initializeUpdateAnswer),
    );
    const predicted = scp03CardChallenge(nodeCiphers, fromHex(vector.encryption), {
      sequenceCounter: sequenceCounter ?? new Uint8Array(),
      invokerAid: fromHex(EUICC_DOMAIN),
      lengthBytes: 8,
    });
    assert.equal(toHex(predicted), toHex(cardChallenge), vector.id);
  }
});

test('a script computed without the card is the recorded session, byte for byte', () => {
  for (const vector of RECORDED) {
    const recorded = decodeInitializeUpdate(fromHex(vector.initializeUpdateAnswer));
    const script = computeScript(
      nodeCiphers,
      {
        ...{ protocol: 3, parameterI: 0x70, invokerAid: EUICC_DOMAIN },
        keyVersionNumber: recorded.keyVersionNumber,
        sequenceCounter: bytesToUint(recorded.sequenceCounter ?? new Uint8Array()),
      },
      {
        keys: keysOf(vector.encryption, vector.mac, vector.dataEncryption),
        hostChallenge: fromHex(vector.hostChallenge),
        securityLevel: Number.parseInt(vector.externalAuthenticate.slice(4, 6), 16),
        commands: () => vector.commands.map(({ plain }) => decodeCommand(fromHex(plain))),
      },
    );
    assert.deepEqual(
      script.steps.slice(1).map(({ command }) => toHex(command)),
      [vector.externalAuthenticate, ...vector.commands.map(({ wrapped }) => wrapped)],
    );
  }
  assert.ok(PENDING_ANSWERS_MAX > 600);
});

/**
 * The card of a recorded session: it knows the bytes that its own host sent, in their order, and
 * takes no others. An answer that was not recorded is 9000, or, where one would have a MAC, an
 * error, which has none.
 */
function foreignCard(vector: SessionVector): {
  readonly transmit: (command: CommandApdu) => ResponseApdu;
  readonly heard: string[];
} {
  const level = Number.parseInt(vector.externalAuthenticate.slice(4, 6), 16);
  const unrecorded = level < 0x10 ? '9000' : '6A88';
  const version = vector.initializeUpdateAnswer.slice(20, 22);
  const length = (vector.hostChallenge.length / 2).toString(16).padStart(2, '0').toUpperCase();
  const lines: readonly (readonly [command: string, answer: string])[] = [
    [`8050${version}00${length}${vector.hostChallenge}00`, `${vector.initializeUpdateAnswer}9000`],
    [vector.externalAuthenticate, '9000'],
    ...vector.commands.map(
      ({ wrapped, responseWrapped = unrecorded }) => [wrapped, responseWrapped] as const,
    ),
  ];
  const heard: string[] = [];
  const transmit = (command: CommandApdu): ResponseApdu => {
    const [expected, answer] = lines[heard.length] ?? ['nothing more', '6F00'];
    const bytes = toHex(encodeCommand(command));
    assert.equal(bytes, expected, `command ${heard.length + 1} of ${vector.id}`);
    heard.push(bytes);
    return decodeResponse(fromHex(answer));
  };
  return { transmit, heard };
}

/** The steps of a manager, on that card. */
function runOn<Result>(
  { transmit }: ReturnType<typeof foreignCard>,
  steps: Generator<CommandApdu, Result, ResponseApdu>,
): Result {
  const over = overTransport(steps);
  let state = over.next();
  while (!state.done) state = over.next(transmit(state.value));
  return state.value;
}

function openOn(
  card: ReturnType<typeof foreignCard>,
  vector: SessionVector,
  keys = keysOf(vector.encryption, vector.mac, vector.dataEncryption),
): ReturnType<typeof openVector>['result'] {
  return runOn(
    card,
    openSecureChannel({
      ...{ ciphers: nodeCiphers, random: () => fromHex(vector.hostChallenge) },
      candidates: () => [{ name: 'card', keys }],
      securityLevel: Number.parseInt(vector.externalAuthenticate.slice(4, 6), 16),
      keyVersionNumber: Number.parseInt(vector.initializeUpdateAnswer.slice(20, 22), 16),
      challengeBytes: vector.hostChallenge.length === 32 ? 16 : 8,
    }),
  );
}

test('a foreign card that replays its recorded session takes every command of ours', () => {
  for (const vector of SESSION_VECTORS) {
    const card = foreignCard(vector);
    const { session } = openOn(card, vector);
    function* commands(): Generator<CommandApdu, readonly ResponseApdu[], ResponseApdu> {
      const answers: ResponseApdu[] = [];
      for (const { plain } of vector.commands) answers.push(yield decodeCommand(fromHex(plain)));
      return answers;
    }
    const answers = runOn(card, inSession(session, commands()));
    for (const [index, { responsePlain }] of vector.commands.entries()) {
      if (responsePlain === undefined) continue;
      assert.equal(toHex(answers[index]?.data ?? new Uint8Array()), responsePlain, vector.id);
    }
    assert.equal(card.heard.length, vector.commands.length + 2, vector.id);
  }
});

test('a foreign card hears nothing that it counts from a host with other keys', () => {
  for (const vector of SESSION_VECTORS) {
    const card = foreignCard(vector);
    const other = keysOf('9A'.repeat(vector.encryption.length / 2));
    assert.throws(() => openOn(card, vector, other), code('ERR_GP_CARD_CRYPTOGRAM'));
    assert.equal(card.heard.length, 1, vector.id);
  }
});
