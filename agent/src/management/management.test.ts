/**
 * A manager of the own element: what is there already is not done again, a lost answer is found
 * out, wrong keys cost nothing, and one who leaves takes the session along.
 */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import {
  APPLET_MEMORY_BYTES_MIN,
  encodeApplicationPackage,
} from '@tapnpay/protocol/globalplatform/data';
import {
  diversifiedCandidates,
  type RegistryEntry,
  staticKeys,
} from '@tapnpay/protocol/globalplatform/offcard';
import { encodeCommand } from '@tapnpay/protocol/iso7816';
import { nodeCiphers } from '@tapnpay/protocol/node';
import {
  LAB_BIRTH,
  type TsmContactAnswer,
  type TsmContactRequest,
  tsmContactInput,
} from '@tapnpay/protocol/wire';
import { contactManager } from '../contact/contact.ts';
import { type ElementProcess, startElement } from '../element-process.ts';
import { hostElementConfig } from '../native/element-config.ts';
import { isContactlessAtr } from '../readers/atr.ts';
import { bornCard, ElementCardTransport, elementAtr, managedCard } from './element-card.ts';
import { type ApduTransport, CardManager, type ChannelRequest } from './manager.ts';
import { installCommands, readWholeRegistry, rotateKeys, SHORT_BLOCK_BYTES } from './operations.ts';

const root = mkdtempSync(join(tmpdir(), 'tapnpay-management-'));
let element: ElementProcess;
let transport: ElementCardTransport;
before(async () => {
  element = await startElement(hostElementConfig({ dataDir: root }));
  transport = new ElementCardTransport(element);
});
after(async () => {
  await element.close();
  rmSync(root, { recursive: true });
});

const masters = staticKeys({
  encryption: fromHex(LAB_BIRTH.masters.encryption),
  mac: fromHex(LAB_BIRTH.masters.mac),
  dataEncryption: fromHex(LAB_BIRTH.masters.dataEncryption),
});
const lab: ChannelRequest = {
  candidates: (answer) => diversifiedCandidates(nodeCiphers, masters, answer),
};
const key = (first: number): Uint8Array => new Uint8Array(16).fill(first);
const own = staticKeys({ encryption: key(1), mac: key(2), dataEncryption: key(3) });

function packageOf(fillBytes: number): Uint8Array {
  return encodeApplicationPackage({
    manifest: {
      ...{ format: 1, name: 'test', version: '1.0.0', loadFileAid: 'F054415009' },
      ...{ interfaceVersion: 1, modules: [{ aid: 'F05441500901', name: 'test' }] },
      memoryBytes: APPLET_MEMORY_BYTES_MIN,
    },
    bundle: `export const createApplet = () => ({}); // ${'x'.repeat(fillBytes)}`,
  });
}

test('a new element is born once, by the laboratory; its answer to reset is no contactless one', async () => {
  assert.ok(element.card);
  const again = await bornCard(element, { ...LAB_BIRTH, serialNumber: '0000000000000001' });
  assert.equal(again.serialNumber, element.card.serialNumber);
  assert.equal(toHex(await transport.reset()), toHex(elementAtr()));
  const atr = elementAtr();
  assert.equal(toHex(atr).slice(0, 6), '3B8501');
  assert.equal(isContactlessAtr(atr), false);
  assert.equal(
    atr.slice(1).reduce((sum, value) => sum ^ value, 0),
    0,
    'check byte',
  );
});

test('the signature at the beginning of a contact is by the key of birth', async () => {
  const facts = await bornCard(element);
  const contact = { contactId: 'contact-1', nonce: '5A'.repeat(32) };
  const signature = fromHex(await transport.signContact(contact));
  const spki = Buffer.from(fromHex(facts.attestationPublicKeySpki));
  const options = {
    key: createPublicKey({ key: spki, format: 'der', type: 'spki' }),
    dsaEncoding: 'ieee-p1363',
  } as const;
  const input = tsmContactInput({ serial: facts.serialNumber, ...contact });
  assert.ok(verify('sha256', Buffer.from(input), options, signature));
  const other = tsmContactInput({ serial: '0000000000000001', ...contact });
  assert.ok(!verify('sha256', Buffer.from(other), options, signature));
});

test('a manager over the network: its commands reach the card, and its session ends with it', async () => {
  const card = await managedCard(element);
  const contact = { contactId: 'contact-2' };
  const steps = [
    { command: '00A4040000', allowed: ['9000'] },
    { command: '80CA9F7F00', allowed: ['9000'] },
    { command: '80F28002024F00', allowed: ['9000'] },
    { command: '80CA9F7F00', allowed: ['9000'] },
  ];
  const heard: TsmContactRequest[] = [];
  const says: TsmContactAnswer[] = [
    { type: 'challenge', ...contact, nonce: '5A'.repeat(32) },
    { type: 'batch', ...contact, batch: 1, steps, progress: null },
    { type: 'end', ...contact, jobs: [] },
  ];
  await contactManager({
    card,
    pause: async () => {},
    manager: {
      post: async (serialNumber, message) => {
        assert.equal(serialNumber, card.serialNumber);
        heard.push(message);
        return says.shift() ?? assert.fail('nothing more');
      },
    },
  });
  const answers = heard.at(-1);
  assert.ok(answers?.type === 'answers');
  // GET STATUS without a session is refused, and the batch stops there.
  assert.deepEqual(
    answers.answers.map((answer) => answer.slice(-4)),
    ['9000', '9000', '6982'],
  );
});

test('wrong keys: INITIALIZE UPDATE and no more, however often; all check values are told', async () => {
  const sent: string[] = [];
  const noting: ApduTransport = {
    transmit: (command) => {
      sent.push(toHex(command).slice(0, 4));
      return transport.transmit(command);
    },
  };
  const wrong: ChannelRequest = {
    candidates: () => [
      { name: 'one', keys: own },
      {
        name: 'long',
        keys: staticKeys({
          encryption: new Uint8Array(32),
          mac: new Uint8Array(32),
          dataEncryption: new Uint8Array(32),
        }),
      },
    ],
  };
  for (let round = 0; round < 10; round++) {
    await assert.rejects(CardManager.open(noting, wrong), (fault: Error) =>
      /tried one:[0-9A-F]{6} long:[0-9A-F]{6}/.test(fault.message),
    );
  }
  assert.deepEqual([...new Set(sent)], ['00A4', '8050']);
  assert.equal((await CardManager.open(transport, lab)).keyName, 'kdf3');
});

test('what the card has is not sent again: load, install, make selectable', async () => {
  const session = { dataBytesMax: SHORT_BLOCK_BYTES };
  const code = packageOf(400);
  const nothing = { issuer: [], applications: [], loadFiles: [] };
  const entry = (aid: string, lifeCycle: number): RegistryEntry => ({
    ...{ aid, lifeCycle, privileges: 0, loadFileAid: null, domainAid: null, moduleAids: [] },
  });
  const names = (registry: Parameters<typeof installCommands>[2]): readonly string[] =>
    installCommands(session, { code }, registry).map(({ name }) => name);
  const all = names(nothing);
  assert.match(all[0] ?? '', /for load/);
  assert.match(all[1] ?? '', /^LOAD 1 of [34]$/);
  assert.match(all.at(-1) ?? '', /install and make selectable/);
  const loadFiles = [entry('F054415009', 1)];
  assert.deepEqual(names({ ...nothing, loadFiles }), all.slice(-1));
  const installed = { ...nothing, loadFiles, applications: [entry('F05441500901', 3)] };
  assert.deepEqual(names(installed), ['INSTALL [for make selectable] F05441500901']);
  const done = { ...nothing, loadFiles, applications: [entry('F05441500901', 7)] };
  assert.deepEqual(names(done), []);
});

test('a file whose short blocks cannot be numbered goes in long ones', async () => {
  const code = packageOf(SHORT_BLOCK_BYTES * 300);
  const manager = await CardManager.open(transport, lab);
  assert.ok(manager.session.dataBytesMax > 10_000);
  const registry = await manager.run(readWholeRegistry());
  const commands = installCommands(manager.session, { code }, registry);
  assert.ok(commands.length < 10);
  await manager.sendAll(
    'install',
    commands.map(({ command }) => command),
  );
  const { applications } = await manager.run(readWholeRegistry());
  assert.deepEqual(
    applications.map(({ aid }) => aid),
    ['F05441500901'],
  );
});

test('a manager that is reset in its session goes on with nothing', async () => {
  const manager = await CardManager.open(transport, lab);
  await transport.reset();
  await assert.rejects(manager.run(readWholeRegistry()), { code: 'ERR_GP_STATUS' });
});

test('the answer to PUT KEY is lost: the next try finds the new keys and changes nothing', async () => {
  const request = {
    ...({ algorithm: 'aes', keyVersionNumber: 0x30, replaces: 0xff } as const),
    ...{ keys: own, current: lab },
  };
  let isLost = true;
  const losing: ApduTransport = {
    transmit: async (command) => {
      const answer = await transport.transmit(command);
      if (isLost && command[1] === 0xd8) throw new Error('lost');
      return answer;
    },
  };
  await assert.rejects(rotateKeys(losing, request), /lost/);
  isLost = false;
  assert.equal(await rotateKeys(losing, request), 'unchanged');
  await assert.rejects(CardManager.open(transport, lab), { code: 'ERR_GP_CARD_CRYPTOGRAM' });
});

test('a killed element is told as gone, and its card is found as it was', async () => {
  const before = await bornCard(element);
  element.kill();
  await assert.rejects(
    async () => {
      for (;;) await transport.transmit(encodeCommand({ cla: 0, ins: 0xa4, p1: 4, p2: 0 }));
    },
    { code: 'ERR_ELEMENT_GONE' },
  );
  await element.close();
  element = await startElement(hostElementConfig({ dataDir: root }));
  transport = new ElementCardTransport(element);
  assert.deepEqual(element.card, before);
});
