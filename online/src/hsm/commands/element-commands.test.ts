/**
 * Shows that the HSM opens sessions with a real card for every protocol, size and level, that
 * nothing is given out for keys that do not explain the card's proof, that a session goes on in
 * another HSM process of the same master key and nowhere else, that PUT KEY, data and signatures
 * are taken by the card, and what a caller cannot get.
 */
import assert from 'node:assert/strict';
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  privateDecrypt,
  verify,
} from 'node:crypto';
import { before, describe, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { tr31UnwrapD } from '@tapnpay/protocol/crypto';
import {
  DIVERSIFICATIONS,
  diversifyKey,
  KEY_TYPE_80_DES,
  KEY_TYPE_88_AES,
  type StaticKeyUsage,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type Card,
  type CardState,
  cardProfile,
  createCard,
  factoryState,
} from '@tapnpay/protocol/globalplatform/oncard';
import type { HsmAnswers, HsmRequest, KeySetSource } from '@tapnpay/protocol/wire';
import { nodeCiphers } from '../../runtime/system.ts';
import { createHsmContext, type HsmContext } from '../context.ts';
import { SESSION_COMMANDS_MAX } from '../element-session.ts';
import { HsmError } from '../errors.ts';
import { executeHsmCommand } from '../execute.ts';
import { contextOf, flipBit, seededRandom, type TestSystem, testSystem } from '../hsm.test-kit.ts';

const DATA = '54410102030405060708';
const GET_STATUS = '80F28002024F0000';

let system: TestSystem;
let context: HsmContext;
before(async () => {
  system = await testSystem();
  context = system.contexts.tsm;
});

function call<R extends HsmRequest>(request: R, at = context): HsmAnswers[R['command']] {
  return executeHsmCommand(at, 'tsm', request);
}

function codeOf(action: () => unknown): string | null {
  try {
    action();
    return null;
  } catch (thrown) {
    assert.ok(thrown instanceof HsmError, String(thrown));
    return thrown.code;
  }
}

function masterOf(lengthBytes: number, algorithm: 'T' | 'A' = 'A'): string {
  return call({ command: 'generateElementMaster', algorithm, lengthBytes }).keyBlock;
}

type TestCard = { readonly card: Card; state: CardState; send: (hex: string) => string };

/** A card born with the keys of a source. */
function cardOf(
  source: KeySetSource,
  options: { parameterI?: number; scp02?: number } = {},
): TestCard {
  const master = tr31UnwrapD(nodeCiphers, context.masterKey.expose(), source.key).key;
  const keyOf = (usage: StaticKeyUsage): Uint8Array =>
    diversifyKey(nodeCiphers, master, {
      ...{ way: source.way, usage, keyDiversificationData: fromHex(source.data) },
    });
  const profile = cardProfile({
    cplc: new Uint8Array(42),
    keyDiversificationData: fromHex(source.data),
    ...{ scp03ParameterI: options.parameterI ?? 0x70, scp02ParameterI: options.scp02 ?? null },
  });
  const never = (): never => {
    throw new Error('no applications here');
  };
  const kept: { state: CardState } = {
    state: factoryState(profile, {
      ...{ encryption: keyOf('encryption'), mac: keyOf('mac') },
      ...{ dataEncryption: keyOf('dataEncryption') },
      type: options.scp02 === undefined ? KEY_TYPE_88_AES : KEY_TYPE_80_DES,
    }),
  };
  const card = createCard(profile, {
    ...{ ciphers: nodeCiphers, random: seededRandom('card'), clock: { nowMs: () => 1 } },
    store: {
      load: () => kept.state,
      commit: (next) => {
        kept.state = next;
      },
    },
    verifier: { isRsaPss: never, isEcdsaP256: never },
    runner: {
      ...{ modules: never, install: never, uninstall: never, select: never, process: never },
      ...{ personalise: never, deselect: never, forget: never },
    },
    report: () => undefined,
  });
  return Object.assign(kept, {
    card,
    send: (hex: string) => toHex(card.process(fromHex(hex))),
  });
}

/** Opens a session; says what the card answered to each command. */
function open(
  source: KeySetSource,
  card: TestCard,
  options: { level?: number; size?: 8 | 16; at?: HsmContext } = {},
): { session: string; authenticated: string; dataBytesMax: number } {
  const { level = 0x33, size = 8, at = context } = options;
  card.send('00A4040000');
  const hostChallenge = '5A'.repeat(size);
  const answer = card.send(`80500000${size === 8 ? '08' : '10'}${hostChallenge}00`);
  assert.match(answer, /9000$/);
  const opened = call(
    {
      ...({ command: 'openElementSession', source, hostChallenge } as const),
      ...{ answer: answer.slice(0, -4), securityLevel: level, commandBytesMax: 255 },
    },
    at,
  );
  const authenticated = card.send(opened.externalAuthenticate);
  return { session: opened.session, authenticated, dataBytesMax: opened.dataBytesMax };
}

/** One command in a session; the clear answer and the next token. */
function exchange(card: TestCard, session: string, command: string, at = context) {
  const wrapped = call({ command: 'wrapElementCommands', session, commands: [command] }, at);
  const answers = wrapped.commands.map((hex) => card.send(hex));
  const clear = call({ command: 'unwrapElementAnswers', session: wrapped.session, answers }, at);
  return { answer: clear.answers[0] ?? '', session: clear.session };
}

describe('sessions', () => {
  const SIZES = [16, 24, 32];
  const SCP03 = [0x00, 0x10, 0x60, 0x70, 0x01, 0x11, 0x61, 0x71];
  const LEVELS = [0x01, 0x03, 0x11, 0x13, 0x33];

  test('SCP03 in every size, parameter and level', () => {
    let count = 0;
    for (const lengthBytes of SIZES) {
      const source: KeySetSource = { key: masterOf(lengthBytes), way: 'kdf3', data: DATA };
      for (const parameterI of SCP03) {
        for (const level of LEVELS) {
          if ((level & 0x10) !== 0 && (parameterI & 0x20) === 0) continue;
          if ((level & 0x20) !== 0 && (parameterI & 0x60) !== 0x60) continue;
          const card = cardOf(source, { parameterI });
          const size = (parameterI & 1) !== 0 ? 16 : 8;
          const { session, authenticated } = open(source, card, { level, size });
          assert.equal(authenticated, '9000');
          const { answer } = exchange(card, session, GET_STATUS);
          assert.match(answer, /^E3.*9000$/, `${lengthBytes} ${parameterI} ${level}`);
          count++;
        }
      }
    }
    assert.equal(count, 3 * (8 * 2 + 4 * 3));
  });

  test('SCP02 with masters diversified by EMV and VISA2', () => {
    for (const way of ['emv', 'visa2'] as const) {
      for (const level of [0x01, 0x03]) {
        const source: KeySetSource = { key: masterOf(16, 'T'), way, data: DATA };
        const card = cardOf(source, { scp02: 0x55 });
        const { session, authenticated } = open(source, card, { level });
        assert.equal(authenticated, '9000');
        assert.match(exchange(card, session, GET_STATUS).answer, /^E3.*9000$/);
      }
    }
  });

  test('a session goes on in a restarted HSM, but not in another one or for another caller', () => {
    const source: KeySetSource = {
      ...{ key: system.elementKeys.keys.factoryAes.keyBlock, way: 'kdf3', data: DATA },
    };
    const card = cardOf(source);
    const first = exchange(card, open(source, card).session, GET_STATUS);
    const restarted = createHsmContext({
      ...{ lmk: context.masterKey.expose(), ciphers: nodeCiphers, party: 'tsm' },
      random: seededRandom('restart'),
    });
    const second = exchange(card, first.session, GET_STATUS, restarted);
    assert.equal(second.answer, first.answer);
    const other = contextOf('tsm', 'another');
    const wrap = { command: 'wrapElementCommands', commands: [GET_STATUS] } as const;
    const { session } = second;
    assert.equal(
      codeOf(() => call({ ...wrap, session }, other)),
      'ERR_HSM_SESSION',
    );
    for (const bit of [0, 100, session.length * 4 - 1]) {
      const altered = { ...wrap, session: flipBit(session, bit) };
      assert.equal(
        codeOf(() => call(altered)),
        'ERR_HSM_SESSION',
      );
    }
    const foreign = (): unknown => executeHsmCommand(context, 'ceremony', { ...wrap, session });
    assert.equal(codeOf(foreign), 'ERR_HSM_CALLER');
  });

  test('a session ends after its last command', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    let { session } = open(source, cardOf(source, { parameterI: 0x10 }), { level: 0x01 });
    const commands = Array.from({ length: 64 }, () => GET_STATUS);
    for (let sent = 0; sent < SESSION_COMMANDS_MAX; sent += commands.length) {
      ({ session } = call({ command: 'wrapElementCommands', session, commands }));
    }
    const more = { command: 'wrapElementCommands', session, commands } as const;
    assert.equal(
      codeOf(() => call(more)),
      'ERR_HSM_SESSION',
    );
  });
});

describe('wrong keys', () => {
  test('no proof of the host for another master, other data or another way: reports 1 to 4', () => {
    const key = masterOf(16, 'T');
    const right: KeySetSource = { key, way: 'emv', data: DATA };
    const wrong: readonly KeySetSource[] = [
      { ...right, key: masterOf(16, 'T') },
      { ...right, data: flipBit(DATA, 79) },
      ...DIVERSIFICATIONS.filter((way) => way === 'none' || way === 'visa2').map((way) => ({
        ...{ ...right, way },
      })),
    ];
    for (const source of wrong) {
      const card = cardOf(right, { scp02: 0x15 });
      const before = card.state;
      assert.equal(
        codeOf(() => open(source, card, { level: 3 })),
        'ERR_HSM_CARD_CRYPTOGRAM',
      );
      assert.equal(card.state, before, 'the card has counted nothing');
    }
    // A key of 32 bytes is never taken for DES, whatever a caller says of the protocol.
    const long: KeySetSource = { key: masterOf(32), way: 'kdf3', data: DATA };
    const card = cardOf(right, { scp02: 0x15 });
    assert.equal(
      codeOf(() => open(long, card, { level: 3 })),
      'ERR_HSM_CARD_CRYPTOGRAM',
    );
  });

  test('an altered answer of the card opens nothing; a wrong MAC of an answer is told', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    const card = cardOf(source);
    card.send('00A4040000');
    const answer = card.send('80500000085A5A5A5A5A5A5A5A00').slice(0, -4);
    const ask = {
      ...({ command: 'openElementSession', source, hostChallenge: '5A'.repeat(8) } as const),
      ...{ securityLevel: 0x33, commandBytesMax: 255 },
    };
    for (const bit of [13 * 8, 20 * 8 + 3, 21 * 8, 28 * 8 + 7]) {
      const altered = { ...ask, answer: flipBit(answer, bit) };
      assert.equal(
        codeOf(() => call(altered)),
        'ERR_HSM_CARD_CRYPTOGRAM',
        String(bit),
      );
    }
    const { session } = open(source, card);
    const wrapped = call({ command: 'wrapElementCommands', session, commands: [GET_STATUS] });
    const said = card.send(wrapped.commands[0] ?? '');
    for (const answers of [[flipBit(said, 9)], ['9000'], [said, said]]) {
      const unwrap = {
        command: 'unwrapElementAnswers',
        session: wrapped.session,
        answers,
      } as const;
      assert.equal(
        codeOf(() => call(unwrap)),
        'ERR_HSM_RESPONSE_MAC',
      );
    }
  });

  test('a level that the card does not offer is refused before anything', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    const card = cardOf(source, { parameterI: 0x00 });
    assert.equal(
      codeOf(() => open(source, card, { level: 0x33 })),
      'ERR_HSM_PARAMETER',
    );
  });
});

describe('key sets and data', () => {
  test('PUT KEY replaces the factory set; check values agree with those of the new session', () => {
    const factory: KeySetSource = {
      ...{ key: system.elementKeys.keys.factoryOpen.keyBlock, way: 'kdf3', data: DATA },
    };
    const own: KeySetSource = {
      ...{ key: system.elementKeys.keys.elementAes.keyBlock, way: 'kdf3', data: DATA },
    };
    const card = cardOf(factory);
    let { session } = open(factory, card);
    const put = call({
      ...({ command: 'putElementKeys', session, source: own, type: 'aes' } as const),
      ...{ replaces: 0xff, newKeyVersionNumber: 0x30 },
    });
    let answer = '';
    for (const command of put.commands) ({ answer, session } = exchange(card, session, command));
    assert.equal(answer, `${put.expectedAnswer}9000`);
    assert.equal(put.expectedAnswer, `30${put.kcvs.join('')}`);
    const kcvs = call({ command: 'elementKeyCheckValues', source: own, protocol: 3 });
    assert.deepEqual(kcvs.kcvs, put.kcvs);
    assert.equal(new Set(put.kcvs).size, 3, 'three different keys: report 12');
    assert.equal(open(own, card).authenticated, '9000');
    assert.equal(
      codeOf(() => open(factory, card)),
      'ERR_HSM_CARD_CRYPTOGRAM',
    );
  });

  test('a master itself is no key of an element and never leaves', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    const { session } = open(source, cardOf(source));
    const plain = { ...source, way: 'none' } as const;
    const put = {
      ...({ command: 'putElementKeys', session, source: plain, type: 'aes' } as const),
      ...{ replaces: 0xff, newKeyVersionNumber: 0x30 },
    };
    assert.equal(
      codeOf(() => call(put)),
      'ERR_HSM_PARAMETER',
    );
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const publicKeySpki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
    const take = { command: 'exportFactoryKeys', source: plain, publicKeySpki } as const;
    assert.equal(
      codeOf(() => call(take)),
      'ERR_HSM_PARAMETER',
    );
  });

  test('factory keys leave once, for the element alone', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: '5441FFFFFFFFFFFFFFFF' };
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const publicKeySpki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
    const take = { command: 'exportFactoryKeys', source, publicKeySpki } as const;
    const { enciphered, kcvs } = call(take);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const clear = privateDecrypt(
      { key: privateKey, padding, oaepHash: 'sha256' },
      fromHex(enciphered),
    );
    assert.equal(clear.length, 48);
    assert.deepEqual(kcvs, call({ command: 'elementKeyCheckValues', source, protocol: 3 }).kcvs);
    assert.equal(
      codeOf(() => call(take)),
      'ERR_HSM_PARAMETER',
    );
  });

  test('enciphered groupings hide their values and say so in P1: report 14', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    const { session } = open(source, cardOf(source));
    const groupings = [{ identifier: 0x0101, value: 'CAFEBABE' }];
    const store = { command: 'storeElementData', session, groupings } as const;
    const [hidden = ''] = call({ ...store, isEncrypted: true }).commands;
    assert.match(hidden, /^80E2E800/);
    assert.ok(!hidden.includes('CAFEBABE'));
    const [clear = ''] = call({ ...store, isEncrypted: false }).commands;
    assert.match(clear, /^80E2880007010104CAFEBABE/);
  });
});

describe('keys of applications', () => {
  test('leave in a grouping of keys, enciphered, and of a master for elements alone', () => {
    const source: KeySetSource = { key: masterOf(16), way: 'kdf3', data: DATA };
    const { session } = open(source, cardOf(source));
    const key = { identifier: 0x8113, source, usage: 'mac' } as const;
    const store = { command: 'storeElementData', session, isEncrypted: true } as const;
    const [command = ''] = call({ ...store, groupings: [key] }).commands;
    const master = tr31UnwrapD(nodeCiphers, context.masterKey.expose(), source.key).key;
    const keyDiversificationData = fromHex(DATA);
    const clear = diversifyKey(nodeCiphers, master, {
      ...{ way: 'kdf3', usage: 'mac', keyDiversificationData },
    });
    assert.match(command, /^80E2E80013811310/);
    assert.ok(!command.includes(toHex(clear)));
    for (const groupings of [
      [{ ...key, identifier: 0x0101 }],
      [{ ...key, source: { ...source, way: 'none' as const } }],
    ]) {
      assert.equal(
        codeOf(() => call({ ...store, groupings })),
        'ERR_HSM_PARAMETER',
      );
    }
    const bare = { ...store, isEncrypted: false, groupings: [key] };
    assert.equal(
      codeOf(() => call(bare)),
      'ERR_HSM_PARAMETER',
    );
    const tdes = { ...key, source: { ...source, key: masterOf(16, 'T') } };
    assert.equal(
      codeOf(() => call({ ...store, groupings: [tdes] })),
      'ERR_HSM_KEY_USAGE',
    );
  });
});

describe('masters and signatures', () => {
  test('a master has a length that its cipher has', () => {
    for (const [algorithm, lengthBytes] of [
      ['T', 24],
      ['T', 32],
      ['A', 0],
      ['A', 20],
    ] as const) {
      const ask = { command: 'generateElementMaster', algorithm, lengthBytes } as const;
      assert.equal(
        codeOf(() => call(ask)),
        'ERR_HSM_PARAMETER',
      );
    }
    const components = ['11'.repeat(16), '22'.repeat(32)];
    const form = { command: 'formKey', usage: 'E5', algorithm: 'A', components } as const;
    assert.equal(
      codeOf(() => executeHsmCommand(context, 'ceremony', form)),
      'ERR_HSM_PARAMETER',
    );
  });

  test('signatures of both kinds verify as the card verifies them', () => {
    const hash = 'A5'.repeat(32);
    const ecdsa = call({ command: 'loadFileVerificationKey', kind: 'ecdsaP256' });
    assert.ok(ecdsa.kind === 'ecdsaP256');
    const point = fromHex(ecdsa.point);
    const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
    const ecKey = createPublicKey({
      key: { kty: 'EC', crv: 'P-256', x: url(point.slice(1, 33)), y: url(point.slice(33)) },
      format: 'jwk',
    });
    const { signature } = call({ command: 'signLoadFile', kind: 'ecdsaP256', hash });
    const dsaEncoding = 'ieee-p1363';
    const isEc = (text: string): boolean =>
      verify('sha256', fromHex(text), { key: ecKey, dsaEncoding }, fromHex(signature));
    assert.ok(isEc(hash));
    assert.ok(!isEc(flipBit(hash, 0)));
    const rsa = call({ command: 'loadFileVerificationKey', kind: 'rsaPss' });
    assert.ok(rsa.kind === 'rsaPss');
    const key = createPublicKey({
      key: { kty: 'RSA', n: url(fromHex(rsa.modulus)), e: url(fromHex(rsa.exponent)) },
      format: 'jwk',
    });
    const pss = call({ command: 'signLoadFile', kind: 'rsaPss', hash });
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const options = { key, padding, saltLength: 32 };
    assert.ok(verify('sha256', fromHex(hash), options, fromHex(pss.signature)));
  });
});
