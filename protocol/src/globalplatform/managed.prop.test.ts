/**
 * The manager's side against the card's side: random sequences of a seed under every protocol,
 * key size and level, each answer foretold by a model of a few lines; and one bit changed anywhere
 * on the wire, which ends in the right status word and, but for what never reached the session, in
 * a dead session and an unchanged card.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { byteAt, TapError, toHex } from '../bytes/index.ts';
import { type CommandApdu, decodeResponse, encodeCommand } from '../iso7816/index.ts';
import * as gp from './data/index.ts';
import { hexOf, type Managed, seededRandom, TestCard, testCode } from './managed.test-kit.ts';
import * as off from './offcard/index.ts';

/** Sequences and bit flips for each variant; the whole stays within seconds. */
const STEPS = 16;
const FLIPS = 8;
const AIDS = 4;

type Variant = {
  readonly protocol: 2 | 3;
  readonly parameterI: number;
  readonly keyBytes: 16 | 24 | 32;
  readonly securityLevel: number;
};

const VARIANTS: readonly Variant[] = [
  ...gp.SCP03_PARAMETERS.flatMap((parameterI) =>
    ([16, 24, 32] as const).flatMap((keyBytes) =>
      gp.SCP03_LEVELS.filter((level) => level > 0 && gp.isLevelOffered(3, parameterI, level)).map(
        (securityLevel) => ({ protocol: 3, parameterI, keyBytes, securityLevel }) as const,
      ),
    ),
  ),
  ...gp.SCP02_PARAMETERS.flatMap((parameterI) =>
    gp.SCP02_LEVELS.filter((level) => level > 0).map(
      (securityLevel) => ({ protocol: 2, parameterI, keyBytes: 16, securityLevel }) as const,
    ),
  ),
];

function cardOf({ protocol, parameterI, keyBytes }: Variant, seed: number): TestCard {
  return new TestCard({
    ...{ keyBytes, seed, isDes: protocol === 2 },
    profile: protocol === 2 ? { scp02ParameterI: parameterI } : { scp03ParameterI: parameterI },
  });
}

const fileAid = (index: number): string => `D0D1D2D3A${index}`;
const moduleAid = (index: number): string => `D0D1D2D3B${index}`;
const appAid = (index: number): string => `D0D1D2D3C${index}`;

/** What the card must hold: files, applications with their state and data, the lock of each. */
class Model {
  readonly files = new Set<number>();
  readonly apps = new Map<number, { state: number; data: string }>();
  version = 0x30;
  keys: off.StaticKeys;

  constructor(keys: off.StaticKeys) {
    this.keys = keys;
  }
}

type Step = (run: Run) => void;
type Run = {
  readonly card: TestCard;
  readonly variant: Variant;
  readonly model: Model;
  readonly random: ReturnType<typeof seededRandom>;
  managed: Managed;
};

/** Answers of a refused step are foretold as well. */
const STEPS_OF_MANAGER: readonly Step[] = [
  function load({ managed, model, random }): void {
    const index = random.below(AIDS);
    const isThere = model.files.has(index);
    const code = testCode([moduleAid(index)], random.below(600));
    const word = managed.load({ aid: fileAid(index), code });
    assert.equal(word, isThere ? 'install 6A89' : '9000');
    model.files.add(index);
  },
  function install({ managed, model, random }): void {
    const index = random.below(AIDS);
    const hasFile = model.files.has(index);
    const isThere = model.apps.has(index);
    const names = { file: fileAid(index), module: moduleAid(index), aid: appAid(index) };
    const word = managed.install(names, { application: random.bytes(random.below(40)) });
    assert.equal(word, hasFile ? (isThere ? '6A89' : '9000') : '6A88');
    if (word === '9000') model.apps.set(index, { state: 7, data: '' });
  },
  function lock({ managed, model, random }): void {
    const index = random.below(AIDS);
    const app = model.apps.get(index);
    const command = off.setStatusCommand({ scope: 0x40, state: 0x80, aid: appAid(index) });
    assert.equal(managed.status(command), app ? (app.state & 0x80 ? '6985' : '9000') : '6A88');
    if (app) app.state |= 0x80;
  },
  function unlock({ managed, model, random }): void {
    const index = random.below(AIDS);
    const app = model.apps.get(index);
    const command = off.setStatusCommand({ scope: 0x40, state: 0x0f, aid: appAid(index) });
    assert.equal(managed.status(command), app ? '9000' : '6A88');
    if (app) app.state = app.state & 0x80 ? app.state & 0x7f : 0x0f;
  },
  function personalise({ managed, model, random }): void {
    const index = random.below(AIDS);
    const app = model.apps.get(index);
    const groupings = [{ identifier: 0x0101, value: random.bytes(1 + random.below(500)) }];
    const isEncrypted = random.below(2) === 0;
    const word = managed.status(off.installForPersonalization(appAid(index)));
    assert.equal(word, app ? (app.state & 0x80 ? '6985' : '9000') : '6A88');
    if (!app || word !== '9000') return;
    const commands = off.storeDataGroupings(managed.session, groupings, { isEncrypted });
    assert.equal(managed.status(...commands), '9000');
    app.data = toHex(groupings[0]?.value ?? new Uint8Array());
  },
  function remove({ managed, model, random }): void {
    const index = random.below(AIDS);
    const word = managed.status(off.deleteCommand(appAid(index)));
    assert.equal(word, model.apps.delete(index) ? '9000' : '6A88');
  },
  function cascade({ managed, model, random }): void {
    const index = random.below(AIDS);
    const isWithRelated = random.below(2) === 0;
    const isHeld = model.apps.has(index) && !isWithRelated;
    const isThere = model.files.has(index);
    const word = managed.status(off.deleteCommand(fileAid(index), { isWithRelated }));
    assert.equal(word, isThere ? (isHeld ? '6985' : '9000') : '6A88');
    if (word !== '9000') return;
    model.files.delete(index);
    model.apps.delete(index);
  },
  function rotateKeys(run): void {
    const { managed, model, random, variant } = run;
    const clear = () => random.bytes(variant.keyBytes);
    const keys = off.staticKeys({ encryption: clear(), mac: clear(), dataEncryption: clear() });
    const version = model.version === 0x30 ? 0x31 : 0x30;
    const type = variant.protocol === 2 ? 'des' : 'aes';
    const versions = { replaces: model.version, newKeyVersionNumber: version };
    const request = off.putKeySet(nodeCiphers, managed.session, { type, keys, ...versions });
    off.checkPutKeyAnswer(request, managed.sendAll(request.commands));
    Object.assign(model, { keys, version });
    reopen(run);
  },
  function use(run): void {
    const { card, model, random } = run;
    const index = random.below(AIDS);
    const app = model.apps.get(index);
    const isOpen = app !== undefined && (app.state & 0x80) === 0;
    assert.equal(card.status(off.selectCommand(appAid(index))), isOpen ? '9000' : '6A82');
    if (isOpen && app.data !== '') {
      const { data } = card.send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0, le: 256 });
      const [grouping] = gp.decodeDataGroupings(data);
      assert.equal(toHex(grouping?.value ?? new Uint8Array()), app.data);
    }
    reopen(run);
  },
  function restart(run): void {
    run.card.restart();
    reopen(run);
  },
];

function reopen(run: Run): void {
  const { securityLevel } = run.variant;
  run.managed = run.card.open({ keys: run.model.keys, securityLevel });
}

function assertAsModelled({ managed, model }: Run): void {
  const apps = Object.fromEntries(
    [...model.apps].map(([index, { state }]) => [appAid(index), state]),
  );
  assert.deepEqual(sorted(managed.list(gp.STATUS_40_APPLICATIONS)), sorted(apps));
  const files = Object.keys(managed.list(gp.STATUS_20_LOAD_FILES)).slice(1).sort();
  assert.deepEqual(files, [...model.files].map(fileAid).sort());
}

function sorted(
  list: Readonly<Record<string, number | null>>,
): readonly (readonly [string, unknown])[] {
  return Object.entries(list).sort(([left], [right]) => (left < right ? -1 : 1));
}

function startRun(variant: Variant, seed: number): Run {
  const card = cardOf(variant, seed);
  const model = new Model(card.keys);
  const managed = card.open({ securityLevel: variant.securityLevel });
  return { card, variant, model, managed, random: seededRandom(seed * 7919 + 1) };
}

const nameOf = ({ protocol, parameterI, keyBytes, securityLevel }: Variant): string =>
  `SCP0${protocol} i=${parameterI.toString(16)} ${8 * keyBytes} bits level ${securityLevel.toString(16)}`;

test(`random management under ${VARIANTS.length} variants is as a model foretells`, () => {
  let steps = 0;
  for (const [seed, variant] of VARIANTS.entries()) {
    const run = startRun(variant, seed + 1);
    for (let count = 0; count < STEPS; count++) {
      const step = STEPS_OF_MANAGER[run.random.below(STEPS_OF_MANAGER.length)];
      try {
        step?.(run);
        assertAsModelled(run);
      } catch (thrown) {
        throw new Error(`${nameOf(variant)}, step ${count} ${step?.name}`, { cause: thrown });
      }
      steps++;
    }
    assert.deepEqual(run.card.faults, []);
  }
  assert.equal(steps, VARIANTS.length * STEPS);
});

/** A command for every handler that changes something. */
function randomCommand({ managed, random }: Run): CommandApdu {
  const commands: readonly CommandApdu[] = [
    off.getStatusCommand({ scope: 0x80, p2: 2 }),
    off.setStatusCommand({ scope: 0x80, state: 0x07, aid: '' }),
    off.deleteCommand('D0D1D2D3D4', { isWithRelated: true }),
    off.installForLoad({ loadFileAid: fileAid(1), domainAid: '', hash: random.bytes(32) }),
    off.storeDataObjects(managed.session, [{ tag: '42', value: random.bytes(5) }])[0] ??
      off.getDataCommand('66'),
    { cla: 0x80, ins: gp.INS_E8_LOAD, p1: 0x80, p2: 0, data: random.bytes(100) },
    { cla: 0x80, ins: gp.INS_D8_PUT_KEY, p1: 0, p2: 0x81, data: random.bytes(60) },
    off.getDataCommand('66'),
  ];
  return commands[random.below(commands.length)] ?? off.getDataCommand('66');
}

function withBit(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = bytes.slice();
  changed[bit >> 3] = byteAt(changed, bit >> 3) ^ (1 << (bit & 7));
  return changed;
}

test('one bit changed in a command: the right status word, an unchanged card, a dead session', () => {
  const words = new Map<string, number>();
  for (const [seed, variant] of VARIANTS.entries()) {
    for (let count = 0; count < FLIPS; count++) {
      const run = startRun(variant, 1000 + seed * FLIPS + count);
      const { card, managed, random } = run;
      const { le, ...command } = managed.session.wrap(randomCommand(run));
      const wire = encodeCommand(command);
      const bit = random.below(8 * wire.length);
      const before = card.card.state();
      const word = hexOf(decodeResponse(card.card.process(withBit(wire, bit))));
      const place = `${nameOf(variant)} ${toHex(wire)} bit ${bit} of ${le}: ${word}`;
      words.set(word, (words.get(word) ?? 0) + 1);
      assert.equal(card.card.state(), before, place);
      // Another channel is not open: the session never saw the command, and still takes the right one.
      const isElsewhere = bit < 2;
      const isLength = bit >> 3 === 4;
      const allowed = isElsewhere ? ['6881'] : isLength ? ['6700', '6982'] : ['6982'];
      assert.ok(allowed.includes(word), place);
      const after = hexOf(decodeResponse(card.card.process(wire)));
      if (!isElsewhere) assert.equal(after, '6982', place);
      else assert.notEqual(after, '6982', place);
    }
  }
  const total = [...words.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(total, VARIANTS.length * FLIPS);
  assert.deepEqual([...words.keys()].sort(), ['6700', '6881', '6982']);
});

test('one bit changed in an answer with R-MAC: a coded fault, and the session is over', () => {
  for (const [seed, variant] of VARIANTS.entries()) {
    if ((variant.securityLevel & gp.LEVEL_10_R_MAC) === 0) continue;
    for (let count = 0; count < FLIPS; count++) {
      const { card, managed, random } = startRun(variant, 9000 + seed * FLIPS + count);
      const wrapped = managed.session.wrap(off.getStatusCommand({ scope: 0x80, p2: 2 }));
      const answer = card.card.process(encodeCommand(wrapped));
      const spoilt = withBit(answer, random.below(8 * answer.length));
      assert.throws(
        () => managed.session.unwrap(decodeResponse(spoilt)),
        (thrown) =>
          thrown instanceof TapError &&
          ['ERR_GP_RESPONSE_MAC', 'ERR_APDU_STATUS'].includes(thrown.code),
        `${nameOf(variant)} ${toHex(spoilt)}`,
      );
    }
  }
});

test('one bit changed in EXTERNAL AUTHENTICATE: no session, and the failure is counted', () => {
  for (const [seed, variant] of VARIANTS.entries()) {
    for (let count = 0; count < 6; count++) {
      const card = cardOf(variant, 20_000 + seed * 6 + count);
      const sizes = variant.protocol === 3 && variant.parameterI & 1 ? 16 : 8;
      const hostChallenge = card.random.bytes(sizes);
      const { data } = card.send(off.initializeUpdateCommand(0, hostChallenge));
      const answer = gp.decodeInitializeUpdate(data);
      const parts = { keys: card.keys, answer, hostChallenge };
      const messages = off.sessionMessages(nodeCiphers, parts);
      const command = off.externalAuthenticate(messages, variant.securityLevel);
      const wire = encodeCommand(command);
      const header = [0, 2, 3][card.random.below(3)] ?? 0;
      const isBody = card.random.below(2) === 0;
      const bit = isBody
        ? 40 + card.random.below(8 * (wire.length - 5))
        : 8 * header + 2 + card.random.below(6);
      const word = hexOf(decodeResponse(card.card.process(withBit(wire, bit))));
      const isCryptogram = bit >= 40 && bit < 40 + 8 * sizes;
      const place = `${nameOf(variant)} bit ${bit}`;
      const allowed = isCryptogram ? ['6300'] : ['6982', '6E00', '6D00'];
      assert.ok(allowed.includes(word), `${place}: ${word}`);
      assert.equal(card.status(off.getStatusCommand({ scope: 0x80, p2: 2 })), '6982', place);
      assert.notEqual(hexOf(decodeResponse(card.card.process(wire))), '9000', place);
    }
  }
});

/** Bytes of a right command with some cut off, changed or put in. */
function spoiled(data: Uint8Array, random: Run['random']): Uint8Array {
  const bytes = [...data];
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = random.below(bytes.length + 1);
    const kind = random.below(4);
    if (kind === 0) bytes.splice(at, random.below(4));
    else if (kind === 1) bytes.splice(at, 0, ...random.bytes(random.below(4)));
    else if (kind === 2) bytes.splice(at);
    else if (at < bytes.length) bytes[at] = random.below(256);
  }
  return Uint8Array.from(bytes.slice(0, 200));
}

test('data of an authentic host that are no data never bring a fault of the card’s own', () => {
  const words = new Map<string, number>();
  for (let seed = 1; seed <= 40; seed++) {
    const variant = { protocol: 3, parameterI: 0x70, keyBytes: 16, securityLevel: 0x33 } as const;
    const run = startRun(variant, seed);
    const { card, random } = run;
    run.managed.load({ aid: fileAid(1), code: testCode([moduleAid(1)]) });
    run.managed.install({ file: fileAid(1), module: moduleAid(1), aid: appAid(1) });
    for (let count = 0; count < 60; count++) {
      if (card.card.state().lifeCycle > gp.CARD_0F_SECURED) break;
      const right = randomRight(run);
      const isHeaderToo = random.below(4) === 0;
      const command = {
        ...right,
        ...(isHeaderToo ? { p1: random.below(256), p2: random.below(256) } : {}),
        data: spoiled(right.data ?? new Uint8Array(), random),
      };
      const word = hexOf(run.managed.send(command));
      words.set(word, (words.get(word) ?? 0) + 1);
    }
    const own = card.faults.filter(({ message }) => !/^(no code|does not want)$/.test(message));
    assert.deepEqual(own, []);
  }
  assert.ok((words.get('6A80') ?? 0) > 100);
  assert.ok((words.get('9000') ?? 0) > 100);
});

/** A right command of each kind whose data have a form. */
function randomRight({ managed, random, model }: Run): CommandApdu {
  const { session } = managed;
  const keys = { replaces: 0, newKeyVersionNumber: 0x31, type: 'aes', keys: model.keys } as const;
  const names = { loadFileAid: fileAid(1), moduleAid: moduleAid(1), applicationAid: appAid(2) };
  const control = off.keyGroupings({
    ...{ keyIdentifier: 1, keyVersionNumber: 0x32, type: 0x88, bytes: random.bytes(16) },
    keyCheckValue: random.bytes(3),
  });
  const commands: readonly (CommandApdu | undefined)[] = [
    off.installForLoad({ loadFileAid: fileAid(2), domainAid: '', hash: random.bytes(32) }),
    off.loadCommands({ dapBlocks: [], code: testCode([moduleAid(2)]) }, session)[0],
    off.loadCommands(
      {
        dapBlocks: [{ domainAid: 'A000000151000000', signature: random.bytes(20) }],
        code: testCode([]),
      },
      session,
    )[0],
    off.installForInstall({ ...names, privileges: 0, parameters: { persistentBytes: 40 } }),
    off.installForExtradition(appAid(1), 'A000000151000000'),
    off.installForRegistryUpdate(appAid(1), 0),
    off.installForPersonalization(appAid(1)),
    off.deleteCommand(appAid(2), { isWithRelated: true }),
    off.deleteKeyCommand({ keyVersionNumber: 0x31, keyIdentifier: 1 }),
    off.putKeySet(nodeCiphers, session, keys).commands[0],
    off.putEccPublicKey(session, { ...keys, point: new Uint8Array(65).fill(4) }).commands[0],
    off.storeDataGroupings(session, control)[0],
    off.storeDataGroupings(session, [{ identifier: 0x70, value: random.bytes(9) }], {
      isEncrypted: true,
    })[0],
    off.storeDataObjects(session, [{ tag: '5F50', value: random.bytes(9) }])[0],
    off.getStatusCommand({ scope: 0x40, p2: 2, aid: 'D0D1' }),
    off.setStatusCommand({ scope: 0x40, state: 0x80, aid: appAid(1) }),
  ];
  return commands[random.below(commands.length)] ?? off.getDataCommand('66');
}
