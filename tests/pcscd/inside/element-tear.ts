/**
 * A whole enrolment of our element through PC/SC (load, install, personalise, change of keys) is
 * torn at every APDU, before the card heard it and after it has answered; then the manager reads
 * what the element has and goes on. Every run ends in the same state.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  type ApduTransport,
  CardManager,
  type CardRegistry,
  type CardSession,
  type ElementProcess,
  installCommands,
  PcscReaders,
  readCardObjects,
  readWholeRegistry,
  rotationRequest,
} from '@tapnpay/agent';
import { toHex } from '@tapnpay/protocol/bytes';
import { APPLICATION_0F_PERSONALIZED } from '@tapnpay/protocol/globalplatform/data';
import {
  checkPutKeyAnswer,
  installForPersonalization,
  selectCommand,
  staticKeys,
  storeDataGroupings,
} from '@tapnpay/protocol/globalplatform/offcard';
import { decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import { LAB_BIRTH } from '@tapnpay/protocol/wire';
import {
  ElementSlot,
  Elements,
  keysOf,
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
const BIRTH = { ...LAB_BIRTH, masters: mastersOf(32), scp03ParameterI: 0x71 };
const NEW_VERSION = 0x30;
const code = testPackage(1);
const ownKeys = staticKeys({
  encryption: new Uint8Array(32).fill(1),
  mac: new Uint8Array(32).fill(2),
  dataEncryption: new Uint8Array(32).fill(3),
});
const PERSONAL = Uint8Array.from({ length: 300 }, (_, index) => index);

class Torn extends Error {}

/** Brings a card from whatever it has to what it should have; the same steps for all runs. */
async function enrol(transport: ApduTransport): Promise<void> {
  const manager = await CardManager.open(transport, {
    candidates: ({ keyDiversificationData, keyVersionNumber }) =>
      keyVersionNumber === NEW_VERSION
        ? [{ name: 'own', keys: ownKeys }]
        : [{ name: 'factory', keys: keysOf(BIRTH, keyDiversificationData) }],
  });
  const registry = await manager.run(readWholeRegistry());
  for (const { name, command } of installCommands(manager.session, { code }, registry)) {
    await manager.sendAll(name, [command]);
  }
  if (!isPersonalised(registry)) {
    const data = storeDataGroupings(manager.session, [{ identifier: 0x0101, value: PERSONAL }], {
      isEncrypted: true,
    });
    await manager.sendAll('personalise', [installForPersonalization(MODULE_AID), ...data]);
  }
  if (manager.keyName === 'own') return;
  const put = rotationRequest(manager.session, {
    ...{ keys: ownKeys, algorithm: 'aes', keyVersionNumber: NEW_VERSION },
    replaces: manager.answer.keyVersionNumber,
  });
  const answer = await manager.sendAll('PUT KEY', put.commands);
  assert.ok(answer);
  checkPutKeyAnswer(put, answer);
}

function isPersonalised({ applications }: CardRegistry): boolean {
  const found = applications.find(({ aid }) => aid === MODULE_AID);
  return found?.lifeCycle === APPLICATION_0F_PERSONALIZED;
}

/** What the card is at the end: registry, versions of keys, and what the application kept. */
async function endState(session: CardSession): Promise<string> {
  const manager = await CardManager.open(session, {
    candidates: () => [{ name: 'own', keys: ownKeys }],
    keyVersionNumber: NEW_VERSION,
  });
  const registry = await manager.run(readWholeRegistry());
  const { keyInformation } = await manager.run(readCardObjects());
  const send = async (command: Parameters<typeof encodeCommand>[0]) =>
    decodeResponse(await session.transmit(encodeCommand(command)));
  await send(selectCommand(MODULE_AID));
  const { data } = await send({ cla: 0x80, ins: 0x02, p1: 0, p2: 0, le: 256 });
  return JSON.stringify([registry, toHex(keyInformation ?? new Uint8Array()), toHex(data)]);
}

/** Transmits until its command of that index: that one is lost, or its answer is. */
function tearing(session: CardSession, index: number, when: 'before' | 'after') {
  const facts = { count: 0 };
  const transmit = async (command: Uint8Array): Promise<Uint8Array> => {
    const isTorn = facts.count === index;
    facts.count += 1;
    if (isTorn && when === 'before') throw new Torn();
    const answer = await session.transmit(command);
    if (isTorn) throw new Torn();
    return answer;
  };
  return { facts, transmit };
}

const counts = { cuts: 0, kills: 0, commands: 0 };
let wanted = '';
let born = '';

/** One run on a copy of the born element; its end must be that of the run without a cut. */
async function tornRun(
  slot: ElementSlot,
  cut: { readonly index: number; readonly when: 'before' | 'after'; readonly isKilled: boolean },
): Promise<void> {
  const folder = elements.folder(born);
  let element: ElementProcess = await elements.start(folder);
  let session = await slot.present(element);
  const { transmit } = tearing(session, cut.index, cut.when);
  await assert.rejects(enrol({ transmit }), Torn);
  if (cut.isKilled) {
    element.kill();
    await elements.stop(element);
    element = await elements.start(folder);
    counts.kills += 1;
  }
  counts.cuts += 1;
  session = await slot.present(element);
  await enrol(session);
  assert.equal(await endState(session), wanted, JSON.stringify(cut));
  await elements.stop(element);
}

test('the whole script without a cut', async () => {
  const slot = slots[0];
  born = elements.folder();
  const first = await elements.start(born, BIRTH);
  await elements.stop(first);
  const element = await elements.start(elements.folder(born));
  const session = await slot.present(element);
  const whole = tearing(session, Number.POSITIVE_INFINITY, 'before');
  await enrol(whole);
  counts.commands = whole.facts.count;
  wanted = await endState(session);
  assert.match(wanted, new RegExp(MODULE_AID));
  assert.match(wanted, new RegExp(`${toHex(PERSONAL)}"\\]$`));
  // A manager that has nothing to do changes nothing.
  await enrol(session);
  assert.equal(await endState(session), wanted);
  await elements.stop(element);
});

test('torn at every APDU, resumed from what the element has: the same end', async (t) => {
  assert.ok(counts.commands > 14, `${counts.commands} APDUs`);
  const cuts = Array.from({ length: counts.commands * 2 }, (_, number) => ({
    index: number >> 1,
    when: number % 2 === 0 ? ('before' as const) : ('after' as const),
    // The element's process is killed with it at each third cut.
    isKilled: number % 3 === 0,
  }));
  const turns = slots.map(async (slot, turn) => {
    for (const [number, cut] of cuts.entries()) {
      if (number % slots.length === turn) await tornRun(slot, cut);
    }
  });
  await Promise.all(turns);
  assert.equal(counts.cuts, cuts.length);
  assert.ok(counts.kills >= cuts.length / 3);
  t.diagnostic(
    `PC/SC tears: ${counts.commands} APDUs, ${counts.cuts} cuts, ${counts.kills} with kill -9, one end`,
  );
});
