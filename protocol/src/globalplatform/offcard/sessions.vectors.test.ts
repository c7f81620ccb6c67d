/**
 * Published sessions of real and reference cards, byte for byte: authentication, every wrapped
 * command and every answer that was recorded; and the challenges that a host can predict.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../../node/index.ts';
import { bytesToUint, fromHex, toHex } from '../../bytes/index.ts';
import { decodeCommand, decodeResponse, encodeCommand } from '../../iso7816/index.ts';
import { decodeInitializeUpdate, scp03CardChallenge } from '../data/index.ts';
import { SESSION_VECTORS } from '../sessions.test-vectors.ts';
import { computeScript, PENDING_ANSWERS_MAX } from './index.ts';
import { keysOf, openVector } from './offcard.test-kit.ts';

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
