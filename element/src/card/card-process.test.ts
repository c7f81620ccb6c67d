/**
 * The card in the real process: birth, management by frames, and kill -9 at every write that a
 * management script makes: the next process finds the state before or after, and no counter back.
 */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { DIVERSIFICATIONS, decodeCplc, PRIVILEGE } from '@tapnpay/protocol/globalplatform/data';
import {
  deleteCommand,
  diversifiedCandidates,
  installForInstall,
  openSecureChannel,
  putKeySet,
  readRegistry,
  selectCommand,
  setStatusCommand,
  staticKeys,
  storeDataObjects,
} from '@tapnpay/protocol/globalplatform/offcard';
import { DOMAIN_LOAD_FILE_AID, DOMAIN_MODULE_AID } from '@tapnpay/protocol/globalplatform/oncard';
import { type CardFacts, cardAnswerShape, checkShape, LAB_BIRTH } from '@tapnpay/protocol/wire';
import { enrol, Running } from '../running.test-kit.ts';
import { ElementStore } from '../store.ts';
import { elementCiphers, systemRandom } from '../system.ts';
import { CardFolder, plainState } from './card.test-kit.ts';
import { ElementCardStore } from './card-store.ts';
import { bear, drive, factoryKeys, openSession, transmit } from './managed.test-kit.ts';

const root = mkdtempSync(join(tmpdir(), 'tapnpay-card-process-'));
const born = join(root, 'born');
let facts: CardFacts;

before(async () => {
  mkdirSync(born);
  const element = new Running(born);
  await element.event();
  assert.deepEqual((await element.ask({ type: 'card' })).result, { card: null });
  const early = await element.ask({ type: 'manage', command: '00A4040000' });
  assert.equal(early.error?.code, 'ERR_ELEMENT_NOT_BORN');
  facts = await bear(element);
  await element.end();
});
after(() => rmSync(root, { recursive: true }));

/** A copy of the born element, which a test may spoil. */
function copy(name: string): string {
  const directory = join(root, name);
  cpSync(born, directory, { recursive: true });
  return directory;
}

test('a card is born once, with its number in CPLC and diversification data, and keeps it', async () => {
  const element = new Running(copy('birth'));
  await element.event();
  const { result } = await element.ask({ type: 'card' });
  assert.deepEqual(checkShape(cardAnswerShape, result, 'answer').card, facts);
  assert.equal(
    (await element.ask({ type: 'birth', birth: LAB_BIRTH })).error?.code,
    'ERR_ELEMENT_BORN',
  );
  assert.equal(facts.keyDiversificationData, `5441${facts.serialNumber}`);
  const cplc = Object.fromEntries(decodeCplc(fromHex(facts.cplc)).map((one) => [one.name, one]));
  assert.equal(cplc['icSerialNumber']?.value, facts.serialNumber.slice(8));
  assert.ok(cplc['icPersonalisationDate']?.date, 'a date that is one');
  assert.equal(facts.paymentApplication, 'absent');
  await element.end();
});

for (const [what, birth] of [
  ['masters of different lengths', { masters: { ...LAB_BIRTH.masters, mac: '00'.repeat(24) } }],
  [
    'a DES master of 24 bytes',
    {
      algorithm: 'des',
      scp02ParameterI: 0x55,
      masters: {
        encryption: '11'.repeat(24),
        mac: '11'.repeat(24),
        dataEncryption: '11'.repeat(24),
      },
    },
  ],
  ['DES keys without SCP02', { algorithm: 'des' }],
  ['an unknown i of SCP03', { scp03ParameterI: 0x71 + 1 }],
  ['an unknown i of SCP02', { scp02ParameterI: 0x04 }],
] as const) {
  test(`a birth that makes no card is refused, and leaves none: ${what}`, async () => {
    const directory = mkdtempSync(join(root, 'unborn-'));
    const element = new Running(directory);
    await element.event();
    const answer = await element.ask({ type: 'birth', birth: { ...LAB_BIRTH, ...birth } });
    assert.equal(answer.error?.code, 'ERR_ELEMENT_BIRTH');
    assert.deepEqual((await element.ask({ type: 'card' })).result, { card: null });
    await bear(element);
    await element.end();
  });
}

test('the factory derives its keys from the number that the card shows', async () => {
  const element = new Running(copy('factory'));
  await element.event();
  const masters = staticKeys({
    encryption: fromHex(LAB_BIRTH.masters.encryption),
    mac: fromHex(LAB_BIRTH.masters.mac),
    dataEncryption: fromHex(LAB_BIRTH.masters.dataEncryption),
  });
  const opened = await drive(
    element,
    openSecureChannel({
      ...{ ciphers: elementCiphers, random: (lengthBytes) => systemRandom.bytes(lengthBytes) },
      candidates: (answer) => diversifiedCandidates(elementCiphers, masters, answer),
      securityLevel: 0x33,
    }),
  );
  assert.deepEqual([opened.keyName, opened.answer.keyVersionNumber], ['kdf3', 0xff]);
  assert.ok(DIVERSIFICATIONS.includes('kdf3'));
  await element.end();
});

test('a manager that leaves takes its session along; one whose card is gone is told', async () => {
  const element = new Running(copy('reset'));
  await element.event();
  const manager = await openSession(element, factoryKeys(facts));
  assert.equal((await manager.run(readRegistry(0x80))).entries.length, 1);
  await element.ask({ type: 'manageReset' });
  const late = await transmit(
    element,
    manager.session.wrap(setStatusCommand({ scope: 0x80, state: 7, aid: '' })),
  );
  assert.equal(late.statusWord, 0x6982);
  await element.end();
});

test('while a payment runs no manager comes in; then one does', async () => {
  const element = new Running(copy('busy'));
  await element.event();
  await enrol(element);
  element.write({ type: 'pay', id: 100, orderId: 'hang', serverName: 'gateway.test' });
  assert.equal((await element.event()).type, 'cardRequest');
  for (const request of [{ type: 'manage', command: '00A4040000' }, { type: 'manageReset' }]) {
    assert.equal((await element.ask(request)).error?.code, 'ERR_ELEMENT_BUSY');
  }
  element.write({
    type: 'cardFault',
    error: { code: 'ERR_USER_CANCELLED', message: '', data: {} },
  });
  let event = await element.event();
  while (event.type !== 'answer') event = await element.event();
  assert.equal((await transmit(element, selectCommand(''))).statusWord, 0x9000);
  await element.end();
});

test('bytes that are no command are answered; over-long ones end the process', async () => {
  const element = new Running(copy('junk'));
  await element.event();
  for (const command of [
    '00',
    '80CA',
    '80500000',
    'FF'.repeat(300),
    `80E60200FF${'00'.repeat(9)}`,
  ]) {
    const { result } = await element.ask({ type: 'manage', command });
    assert.match((result as { response: string }).response, /^6[0-9A-F]{3}$/);
  }
  element.write({ type: 'manage', id: 9, command: '00'.repeat(65_545) });
  const event = await element.event();
  assert.equal(event.type === 'answer' && event.error?.code, 'ERR_MESSAGE_FIELD');
  assert.equal(await element.exitCode, 3);
});

test('a card that was taken away is not born again', async () => {
  const directory = copy('gone');
  for (const name of readdirSync(directory).filter((file) => file.startsWith('card.'))) {
    rmSync(join(directory, name));
  }
  const element = new Running(directory);
  const event = await element.event();
  assert.equal(event.type === 'answer' && event.error?.code, 'ERR_STORE_CORRUPT');
  assert.equal(await element.exitCode, 3);
});

test('the attestation key signs inside; its public part is that of birth', async () => {
  using folder = new CardFolder();
  const card = folder.bear({ serialNumber: '0011223344556677' });
  const statement = Buffer.from('statement');
  const signature = folder.open().attest(statement);
  const spki = Buffer.from(fromHex(card.facts().attestationPublicKeySpki));
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const isSigned = (bytes: Buffer) =>
    verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);
  assert.deepEqual([isSigned(statement), isSigned(Buffer.from('other'))], [true, false]);
  assert.equal(card.facts().serialNumber, '0011223344556677');
});

const DOMAIN = 'F054415009';
const newKeys = staticKeys({
  encryption: new Uint8Array(16).fill(1),
  mac: new Uint8Array(16).fill(2),
  dataEncryption: new Uint8Array(16).fill(3),
});

/** Commands that change the card, one after the other; `onDone` hears after each. */
async function script(element: Running, onDone: () => void): Promise<void> {
  const manager = await openSession(element, factoryKeys(facts));
  onDone();
  const commands = [
    installForInstall({
      ...{ loadFileAid: DOMAIN_LOAD_FILE_AID, moduleAid: DOMAIN_MODULE_AID },
      ...{ applicationAid: DOMAIN, privileges: PRIVILEGE.securityDomain },
    }),
    ...storeDataObjects(manager.session, [{ tag: '5F50', value: new Uint8Array(900).fill(5) }]),
    setStatusCommand({ scope: 0x40, state: 0x80, aid: DOMAIN }),
    setStatusCommand({ scope: 0x40, state: 0x07, aid: DOMAIN }),
    ...putKeySet(elementCiphers, manager.session, {
      ...{ replaces: 0, newKeyVersionNumber: 0x30, type: 'aes', keys: newKeys },
    }).commands,
    deleteCommand(DOMAIN),
  ];
  for (const command of commands) {
    const { statusWord } = await manager.send(command);
    assert.equal(statusWord, 0x9000, toHex(Uint8Array.of(command.ins)));
    onDone();
  }
}

/** What the disk holds: the number of the state, and the state without the clock. */
function onDisk(directory: string): { readonly commits: number; readonly state: string } {
  const store = ElementCardStore.open(new ElementStore(directory, systemRandom), systemRandom);
  assert.ok(store);
  const state = JSON.stringify(plainState(store.load()), (name, value) =>
    name === 'lastMs' ? undefined : value,
  );
  return { commits: Number(store.sequence), state };
}

test('kill -9 at every write of a management script: before or after, never between', async (t) => {
  const whole = copy('whole');
  const states = new Map<number, string>();
  /** Of each number of a state there is one state. */
  const note = (directory: string): number => {
    const { commits, state } = onDisk(directory);
    assert.equal(states.get(commits) ?? state, state, `state ${commits}`);
    states.set(commits, state);
    return commits;
  };
  const element = new Running(whole);
  await element.event();
  const ends: number[] = [note(whole)];
  await script(element, () => void ends.push(note(whole)));
  await element.end();
  const kills = { runs: 0, old: 0, new: 0 };
  const strike = async (at: number, isHalf: boolean): Promise<boolean> => {
    const directory = copy(`kill-${at}-${isHalf}`);
    const hook = new URL('./crash.test-hook.ts', import.meta.url).pathname;
    const victim = new Running(directory, {
      flags: ['--permission', '--import', hook],
      env: { CRASH_AT: String(at), CRASH_HALF: isHalf ? '1' : '0' },
    });
    let said = note(directory);
    try {
      await victim.event();
      await script(victim, () => {
        said = note(directory);
      });
      await victim.end();
      return false;
    } catch {
      assert.equal(victim.child.signalCode, 'SIGKILL', victim.stderr);
    }
    const found = note(directory);
    kills.runs += 1;

    kills[found === said ? 'old' : 'new'] += 1;
    // The command that was under way makes at most two states: the counted attempt and the session.
    assert.ok(found >= said && found <= said + 2, `${found} after ${said}`);
    if (isHalf) await reopen(directory);
    return true;
  };
  /** A process over what was found takes a manager with the old keys or the new ones. */
  const reopen = async (directory: string): Promise<void> => {
    const again = new Running(directory);
    assert.equal((await again.event()).type, 'ready');
    await openSession(again, factoryKeys(facts), { keyVersionNumber: 0xff }).catch(() =>
      openSession(again, newKeys, { keyVersionNumber: 0x30 }),
    );
    await again.end();
  };
  let isOver = false;
  for (let at = 1; !isOver; at++) {
    const struck = await Promise.all([strike(at, false), strike(at, true)]);
    isOver = !struck[0] && !struck[1];
  }
  assert.equal(states.size, (ends.at(-1) ?? 0) - (ends[0] ?? 0) + 1, 'every state was seen');
  assert.ok(kills.runs >= 18 && kills.old > 0 && kills.new > 0, JSON.stringify(kills));
  t.diagnostic(`kill -9 at ${kills.runs} write points: ${kills.old} old, ${kills.new} new`);
});
