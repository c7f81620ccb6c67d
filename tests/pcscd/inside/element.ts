/**
 * Our element managed through PC/SC: SCP02 and SCP03 in every size of key, parameter i and security
 * level: install, personalise, lock, status, delete.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  CardManager,
  deleteCommands,
  installCommands,
  lockCommands,
  PcscReaders,
  readWholeRegistry,
  rotateKeys,
} from '@tapnpay/agent';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  isLevelOffered,
  SCP02_LEVELS,
  SCP02_PARAMETERS,
  SCP03_LEVELS,
  SCP03_PARAMETERS,
} from '@tapnpay/protocol/globalplatform/data';
import {
  initializeUpdateCommand,
  installForPersonalization,
  putKeySet,
  selectCommand,
  staticKeys,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import { decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';
import { type CardBirth, LAB_BIRTH } from '@tapnpay/protocol/wire';
import { tapnpay } from '../../system.test-kit.ts';
import {
  ElementSlot,
  Elements,
  keysOf,
  LOAD_FILE_AID,
  MODULE_AID,
  mastersOf,
  testPackage,
} from '../element.test-kit.ts';

const readers = new PcscReaders();
const elements = new Elements();
after(async () => {
  await elements.close();
  await readers.close();
});
const slots = [new ElementSlot(readers, 0), new ElementSlot(readers, 1)] as const;
const code = testPackage(600);
const counts = { cards: 0, sessions: 0, commands: 0 };
const hexOf = (value: number): string => value.toString(16).toUpperCase().padStart(2, '0');

/** Loads, installs, personalises, locks, unlocks and deletes at one level of an element. */
async function manage(
  slot: ElementSlot,
  birth: CardBirth,
  levels: readonly number[],
): Promise<void> {
  const element = await elements.start(elements.folder(), birth);
  const session = await slot.present(element);
  const transport = {
    transmit: (command: Uint8Array) => {
      counts.commands += 1;
      return session.transmit(command);
    },
  };
  const send = async (command: Parameters<typeof encodeCommand>[0]) =>
    decodeResponse(await transport.transmit(encodeCommand(command)));
  counts.cards += 1;
  for (const securityLevel of levels) {
    const manager = await CardManager.open(transport, {
      candidates: ({ keyDiversificationData }) => [
        { name: 'factory', keys: keysOf(birth, keyDiversificationData) },
      ],
      securityLevel,
    });
    counts.sessions += 1;
    assert.equal(manager.answer.secureChannelProtocol, birth.algorithm === 'aes' ? 3 : 2);
    if (birth.algorithm === 'aes') assert.equal(manager.answer.parameterI, birth.scp03ParameterI);
    const registry = await manager.run(readWholeRegistry());
    assert.deepEqual(registry.applications, []);
    const install = installCommands(manager.session, { code }, registry);
    const all = async (commands: readonly { command: never }[] | typeof install) =>
      manager.sendAll(
        hexOf(securityLevel),
        commands.map(({ command }) => command),
      );
    if (securityLevel === 0) {
      // Without a C-MAC nothing of the card changes.
      await assert.rejects(all(install), { code: 'ERR_GP_STATUS' });
      continue;
    }
    await all(install);
    const data = storeDataGroupings(
      manager.session,
      [{ identifier: 0x0101, value: Uint8Array.of(securityLevel, 2, 3) }],
      { isEncrypted: birth.algorithm === 'aes' },
    );
    await manager.sendAll('personalise', [installForPersonalization(MODULE_AID), ...data]);
    const states = async () =>
      (await manager.run(readWholeRegistry())).applications.map(({ lifeCycle }) => lifeCycle);
    assert.deepEqual(await states(), [0x0f]);
    await all(lockCommands('lock', MODULE_AID));
    assert.deepEqual(await states(), [0x8f]);
    await all(lockCommands('unlock', MODULE_AID));
    assert.deepEqual(await states(), [0x0f]);
    await all(deleteCommands(LOAD_FILE_AID, true));
    const { applications, loadFiles } = await manager.run(readWholeRegistry());
    assert.deepEqual(
      [applications, loadFiles.map(({ aid }) => aid).includes(LOAD_FILE_AID)],
      [[], false],
    );
    // A locked one answers as an absent one does, and so does one that is deleted.
    assert.equal((await send(selectCommand(MODULE_AID))).statusWord, 0x6a82);
  }
  await elements.stop(element);
}

const births = [16, 24, 32].flatMap((keyBytes) =>
  SCP03_PARAMETERS.map((scp03ParameterI): CardBirth => {
    return { ...LAB_BIRTH, masters: mastersOf(keyBytes), scp03ParameterI };
  }),
);

for (const keyBytes of [16, 24, 32]) {
  test(`SCP03 with AES-${keyBytes * 8}: S8 i=00 10 60 70, S16 i=01 11 61 71, every level`, async () => {
    const mine = births.filter(({ masters }) => masters.mac.length === keyBytes * 2);
    const turns = slots.map(async (slot, index) => {
      for (const [number, birth] of mine.entries()) {
        if (number % slots.length !== index) continue;
        const levels = SCP03_LEVELS.filter((level) =>
          isLevelOffered(3, birth.scp03ParameterI, level),
        );
        await manage(slot, birth, levels);
      }
    });
    await Promise.all(turns);
  });
}

test('SCP02 with i=15 and 55, every level, of elements that are born for it', async () => {
  const turns = slots.map(async (slot, index) => {
    const scp02ParameterI = SCP02_PARAMETERS[index] ?? null;
    const born = { ...LAB_BIRTH, masters: mastersOf(16), algorithm: 'des' } as const;
    await manage(slot, { ...born, scp02ParameterI }, SCP02_LEVELS);
  });
  await Promise.all(turns);
});

test('SCP02 is off by default: an element that was not born for it takes no DES keys', async () => {
  const element = await elements.start(elements.folder());
  const session = await slots[0].present(element);
  const manager = await CardManager.open(session, {
    candidates: ({ keyDiversificationData }) => [
      { name: 'factory', keys: keysOf(LAB_BIRTH, keyDiversificationData) },
    ],
  });
  const key = (first: number) => Uint8Array.from({ length: 16 }, (_, index) => first * 16 + index);
  const keys = staticKeys({ encryption: key(1), mac: key(2), dataEncryption: key(3) });
  const put = putKeySet(nodeCiphers, manager.session, {
    ...{ replaces: 0, newKeyVersionNumber: 0x20, type: 'des', keys },
  });
  // The card takes no key that only SCP02 would use, and knows none of that version afterwards.
  await assert.rejects(
    manager.sendAll('PUT KEY', put.commands),
    (fault: { data?: { statusWord?: string } }) => fault.data?.statusWord === '9484',
  );
  const update = encodeCommand(initializeUpdateCommand(0x20, fromHex('0001020304050607')));
  assert.equal(toHex(await session.transmit(update)), '6A88');
  await elements.stop(element);
});

test('wrong keys are told before EXTERNAL AUTHENTICATE: the card counts nothing', async () => {
  const element = await elements.start(elements.folder());
  const session = await slots[1].present(element);
  const sent: string[] = [];
  const transport = {
    transmit: (command: Uint8Array) => {
      sent.push(toHex(command).slice(0, 4));
      return session.transmit(command);
    },
  };
  const keys = staticKeys({
    ...{ encryption: new Uint8Array(16).fill(1), mac: new Uint8Array(16).fill(2) },
    dataEncryption: new Uint8Array(16).fill(3),
  });
  for (let round = 0; round < 8; round++) {
    await assert.rejects(
      CardManager.open(transport, { candidates: () => [{ name: 'mine', keys }] }),
      (fault: { code?: string; data?: { tried?: string } }) =>
        fault.code === 'ERR_GP_CARD_CRYPTOGRAM' &&
        /^mine:[0-9A-F]{6}$/.test(fault.data?.tried ?? ''),
    );
  }
  assert.deepEqual([...new Set(sent)], ['00A4', '8050']);
  const right = {
    candidates: ({ keyDiversificationData }: { keyDiversificationData: Uint8Array }) => [
      { name: 'factory', keys: keysOf(LAB_BIRTH, keyDiversificationData) },
    ],
  };
  assert.equal((await CardManager.open(transport, right)).keyName, 'factory');
  // Changed once, and a second time when the answer of the first was lost: nothing more to do.
  const rotation = { keys, algorithm: 'aes', keyVersionNumber: 0x30, replaces: 0xff } as const;
  assert.equal(await rotateKeys(session, { ...rotation, current: right }), 'changed');
  assert.equal(await rotateKeys(session, { ...rotation, current: right }), 'unchanged');
  await elements.stop(element);
});

test('tapnpay element manages a card in a reader, with a file of keys', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapnpay-element-keys-'));
  const file = join(folder, 'keys.json');
  const masters = mastersOf(24);
  writeFileSync(file, JSON.stringify({ ...masters, diversification: 'kdf3' }));
  const element = await elements.start(elements.folder(), { masters, scp03ParameterI: 0x01 });
  await slots[1].present(element);
  await slots[1].release();
  const run = async (...args: string[]) => {
    const all = ['element', ...args, '--reader', '00 01', '--json'];
    const { code, stdout } = await tapnpay(all);
    return { code, document: JSON.parse(stdout) };
  };
  const { document } = await run('status', '--keys', file);
  assert.deepEqual(
    [document.reader, document.protocol, document.keyName],
    ['Virtual PCD 00 01', 'SCP03 i=01', `${file} kdf3`],
  );
  const wrong = await run('list');
  assert.deepEqual([wrong.code, wrong.document.error.code], [1, 'ERR_GP_CARD_CRYPTOGRAM']);
  const listed = await run('list', '--keys', file);
  assert.equal(listed.document.issuer[0].aid, 'A000000151000000');
  await elements.stop(element);
  rmSync(folder, { recursive: true });
});

test('every variant ran', (t) => {
  assert.equal(counts.cards, 26);
  assert.equal(counts.sessions, 3 * (4 * 3 + 4 * 6) + 2 * 3);
  t.diagnostic(
    `PC/SC management: ${counts.cards} elements, ${counts.sessions} sessions, ${counts.commands} APDUs`,
  );
});
