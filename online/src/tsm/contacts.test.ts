/**
 * Shows who may begin a contact and with what: the element alone, with a challenge that is fresh and
 * its own; that answers are taken once and in order, and that a lost reply costs nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  TSM_BATCH_BYTES_MAX,
  TSM_BATCH_COMMANDS_MAX,
  TSM_CONTACT_IDLE_MS,
  type TsmContactAnswer,
  tsmContactInput,
} from '@tapnpay/protocol/wire';
import { CHALLENGES_MAX, type Contacts } from './contacts.ts';
import { createJob } from './jobs/create.ts';
import { moveElement, registerElement } from './lifecycle/elements.ts';
import { changeRow } from './rows.ts';
import {
  APPLICATION,
  contact,
  ISSUER,
  samplePackage,
  TestElement,
  type TestTsm,
  testTsm,
} from './tsm.test-kit.ts';

type Batch = Extract<TsmContactAnswer, { type: 'batch' }>;

async function scene(): Promise<{ tsm: TestTsm; element: TestElement; contacts: Contacts }> {
  const tsm = await testTsm();
  await tsm.release();
  const element = await tsm.element();
  const applicationIds = [APPLICATION.id];
  await createJob(tsm.ports, ISSUER, { serial: element.serial, kind: 'enrol', applicationIds });
  return { tsm, element, contacts: tsm.contacts() };
}

async function hello(
  contacts: Contacts,
  { serial }: TestElement,
): Promise<{ contactId: string; nonce: string }> {
  const challenge = await contacts.take(serial, { type: 'hello' });
  assert.ok(challenge.type === 'challenge');
  return challenge;
}

async function begun(contacts: Contacts, element: TestElement): Promise<Batch> {
  const { serial } = element;
  const { contactId, nonce } = await hello(contacts, element);
  const signature = element.sign(tsmContactInput({ serial, contactId, nonce }));
  const batch = await contacts.take(serial, { type: 'begin', contactId, signature });
  assert.ok(batch.type === 'batch');
  return batch;
}

function answersOf(element: TestElement, { steps }: Batch): readonly string[] {
  return steps.map(({ command }) => element.send(command));
}

test('only the element itself begins a contact', async () => {
  const { tsm, element, contacts } = await scene();
  const { serial } = element;
  const begin = async (input: (nonce: string, id: string) => string, by = element) => {
    const { contactId, nonce } = await hello(contacts, element);
    const signature = by.sign(input(nonce, contactId));
    return contacts.take(serial, { type: 'begin', contactId, signature });
  };
  const right = (nonce: string, contactId: string): string =>
    tsmContactInput({ serial, contactId, nonce });
  const thief = new TestElement(tsm.hsmContext, tsm.masterBlocks['factoryAes'] ?? '');
  const refused = { code: 'ERR_TSM_ATTESTATION' };
  await assert.rejects(begin(right, thief), refused);
  await assert.rejects(
    begin((_nonce, id) => right('00'.repeat(32), id)),
    refused,
  );
  await assert.rejects(
    begin((nonce) => right(nonce, 'another')),
    refused,
  );
  await assert.rejects(
    begin((nonce, contactId) => tsmContactInput({ serial: 'FF', contactId, nonce })),
    refused,
  );
  assert.equal(element.log.length, 0, 'nothing was sent to anybody');
  assert.equal((await begin(right)).type, 'batch');
});

test('a challenge is good once and for a while; a stranger who asks for one ends nothing', async () => {
  const { tsm, element, contacts } = await scene();
  const { serial } = element;
  const begin = ({ contactId, nonce }: { contactId: string; nonce: string }) => {
    const signature = element.sign(tsmContactInput({ serial, contactId, nonce }));
    return contacts.take(serial, { type: 'begin', contactId, signature });
  };
  const first = await hello(contacts, element);
  const batch = await begin(first);
  assert.ok(batch.type === 'batch');
  // Another signature over the same challenge, which is not the message that lost its reply.
  await assert.rejects(begin(first), { code: 'ERR_TSM_CONTACT_REPLAY' });
  for (let index = 0; index < 3 * CHALLENGES_MAX; index++) await hello(contacts, element);
  const answers = answersOf(element, batch);
  const { contactId } = batch;
  const next = { type: 'answers', contactId, batch: batch.batch, answers } as const;
  assert.equal((await contacts.take(serial, next)).type, 'batch', 'the contact goes on');
  const second = await hello(contacts, element);
  assert.equal((await begin(second)).type, 'batch', 'the element itself begins another one');
  await assert.rejects(contacts.take(serial, next), { code: 'ERR_TSM_CONTACT' });
  const third = await hello(contacts, element);
  tsm.clock.skip(TSM_CONTACT_IDLE_MS + 1);
  await assert.rejects(begin(third), { code: 'ERR_TSM_CONTACT' });
  await assert.rejects(contacts.take('FF', { type: 'hello' }), { code: 'ERR_TSM_ELEMENT_UNKNOWN' });
});

test('a cardholder has what the store offers, and nothing else', async () => {
  const { tsm, element, contacts } = await scene();
  await contact(contacts, element);
  const { serial } = element;
  const wished = async (wish: 'install' | 'remove', applicationId: string) => {
    const { contactId, nonce } = await hello(contacts, element);
    const signature = element.sign(tsmContactInput({ serial, contactId, nonce }));
    const wishes = [{ wish, applicationId }];
    return contacts.take(serial, { type: 'begin', contactId, signature, wishes });
  };
  assert.equal((await wished('remove', APPLICATION.id)).type, 'batch');
  const [job] = await tsm.ports.store.list('jobs', { state: 'running' });
  assert.deepEqual([job?.kind, job?.actor], ['delete', 'cardholder']);
  await contact(contacts, element);
  assert.ok(!element.stored.entries.some(({ aid }) => aid === APPLICATION.instanceAid));
  await assert.rejects(wished('install', 'nothing'), { code: 'ERR_NOT_FOUND' });
  await changeRow(tsm.ports.store, 'applications', APPLICATION.id, () => ({ isOffered: false }));
  await assert.rejects(wished('install', APPLICATION.id), { code: 'ERR_ROLE' });
});

test('an element that is not issued, or retired, is not managed', async () => {
  const { tsm, contacts } = await scene();
  const block = tsm.masterBlocks['factoryAes'] ?? '';
  const element = new TestElement(tsm.hsmContext, block, { serial: '8899AABBCCDDEEFF' });
  await registerElement(tsm.ports, ISSUER, element);
  await assert.rejects(contact(contacts, element), { code: 'ERR_TSM_ELEMENT_STATE' });
  const { serial } = element;
  await moveElement(tsm.ports, ISSUER, { serial, to: 'retired' });
  await assert.rejects(contact(contacts, element), { code: 'ERR_TSM_ELEMENT_STATE' });
  await assert.rejects(registerElement(tsm.ports, ISSUER, element), { code: 'ERR_TSM_EXISTS' });
  const { publicKey } = await import('node:crypto').then(({ generateKeyPairSync }) =>
    generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
  );
  const attestationKeySpki = publicKey
    .export({ type: 'spki', format: 'der' })
    .toString('hex')
    .toUpperCase();
  const other = { ...element, serial: '01', attestationKeySpki, keyType: 'aes' as const };
  const { keyDiversificationData } = element;
  await assert.rejects(registerElement(tsm.ports, ISSUER, { ...other, keyDiversificationData }), {
    code: 'ERR_REQUEST',
  });
});

test('answers are taken once and in order; the same ones again get the same reply', async () => {
  const { element, contacts } = await scene();
  const { serial } = element;
  const first = await begun(contacts, element);
  const { contactId } = first;
  const say = (batch: number, answers: readonly string[]): Promise<TsmContactAnswer> =>
    contacts.take(serial, { type: 'answers', contactId, batch, answers });
  const answers = answersOf(element, first);
  await assert.rejects(say(first.batch + 1, answers), { code: 'ERR_TSM_CONTACT_REPLAY' });
  await assert.rejects(say(first.batch, []), { code: 'ERR_REQUEST' });
  await assert.rejects(say(first.batch, [...answers, '9000']), { code: 'ERR_REQUEST' });
  const second = await say(first.batch, answers);
  assert.deepEqual(await say(first.batch, answers), second, 'the reply was lost');
  await assert.rejects(say(first.batch, ['6A99']), { code: 'ERR_TSM_CONTACT_REPLAY' });
  assert.ok(second.type === 'batch');
  const third = await say(second.batch, answersOf(element, second));
  assert.equal(third.type, 'batch');
  await assert.rejects(say(first.batch, answers), { code: 'ERR_TSM_CONTACT_REPLAY' });
});

test('two messages of one element at once wait for each other', async () => {
  const { element, contacts } = await scene();
  const { serial } = element;
  const first = await begun(contacts, element);
  const { contactId, batch } = first;
  const answers = answersOf(element, first);
  const request = { type: 'answers', contactId, batch, answers } as const;
  const [one, other] = await Promise.all([
    contacts.take(serial, request),
    contacts.take(serial, request),
  ]);
  assert.deepEqual(one, other);
});

test('a batch has its limits, and progress is told', async () => {
  const tsm = await testTsm();
  await tsm.release('1.0.0', samplePackage('1.0.0', 400_000));
  const element = await tsm.element();
  const { serial } = element;
  const applicationIds = [APPLICATION.id];
  await createJob(tsm.ports, ISSUER, { serial, kind: 'enrol', applicationIds });
  const contacts = tsm.contacts();
  let reply: TsmContactAnswer = await begun(contacts, element);
  const steps = new Set<string>();
  while (reply.type === 'batch') {
    const { batch, contactId } = reply;
    assert.ok(reply.steps.length <= TSM_BATCH_COMMANDS_MAX);
    const bytes: number = reply.steps.reduce((sum, { command }) => sum + command.length / 2, 0);
    assert.ok(bytes <= TSM_BATCH_BYTES_MAX);
    if (reply.progress) {
      steps.add(reply.progress.step);
      assert.ok(reply.progress.done < reply.progress.total);
    }
    const answers = answersOf(element, reply);
    reply = await contacts.take(serial, { type: 'answers', contactId, batch, answers });
  }
  assert.ok(reply.type === 'end');
  assert.deepEqual(
    reply.jobs.map(({ state }) => state),
    ['done'],
  );
  assert.ok(steps.has('load') && steps.has('personalise'));
});
