/**
 * The manager of secure elements in a whole system: the real element process with its sandbox says
 * that it is there, calls over HTTP, and is enrolled with the payment application; a cardholder takes
 * the loyalty card from the store; it is locked, unlocked, given new keys and removed.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ElementCardTransport, type ElementProcess, startElement } from '@tapnpay/agent';
import { LOYALTY_INSTANCE_AID, PAYMENT_INSTANCE_AID } from '@tapnpay/protocol/globalplatform/data';
import { systemClock } from '@tapnpay/protocol/node';
import {
  type CardFacts,
  checkShape,
  type TsmContactAnswer,
  type TsmContactRequest,
  type TsmWish,
  tsmContactAnswerShape,
} from '@tapnpay/protocol/wire';
import { elementConfig } from '../cli/src/system/element.ts';
import { readSystemConfig, urlOf } from '../cli/src/system/layout.ts';
import { TestSystem, tapnpay, temporaryDataDir } from './system.test-kit.ts';

/** How long the manager may take to be there behind a system that is ready. */
const MANAGER_WAIT_MS = 30_000;
/** Enrolment with load and install; a machine that runs other tests beside it is given time. */
const ENROLMENT_MS = 15_000;

const system = new TestSystem(temporaryDataDir(), { hasManager: true });
let url = '';
let element: ElementProcess;
let card: CardFacts;

before(async () => {
  await system.up();
  url = urlOf(readSystemConfig(system.dataDir), 'tsm');
  await managerIsThere();
  element = await startElement(elementConfig(join(system.dataDir, 'managed'), 'element'));
  assert.ok(element.card);
  card = element.card;
});
after(async () => {
  await element?.close();
  await system.close();
});

async function managerIsThere(): Promise<void> {
  const endMs = systemClock.nowMs() + MANAGER_WAIT_MS;
  for (;;) {
    try {
      if ((await fetch(`${url}/v1/store/applications`)).ok) return;
    } catch (thrown) {
      // Nobody listens yet.
      if (systemClock.nowMs() > endMs) throw thrown;
    }
    await new Promise<void>((done) => void systemClock.startTimer(50, done));
  }
}

async function post(path: string, body: object): Promise<unknown> {
  const response = await fetch(url + path, {
    ...{ method: 'POST', headers: { 'content-type': 'application/json' } },
    body: JSON.stringify(body),
  });
  const told: unknown = await response.json();
  assert.ok(response.ok, JSON.stringify(told));
  return told;
}

async function say(request: TsmContactRequest): Promise<TsmContactAnswer> {
  const told = await post(`/v1/elements/${card.serialNumber}/contact`, request);
  return checkShape(tsmContactAnswerShape, told, 'answer');
}

/** One contact; kinds and ends of its jobs, and how long it took. */
async function contact(wishes: readonly TsmWish[] = []): Promise<{
  readonly jobs: readonly (readonly [kind: string, state: string])[];
  readonly steps: ReadonlySet<string>;
  readonly ms: number;
}> {
  const startedMs = systemClock.nowMs();
  const transport = new ElementCardTransport(element);
  const challenge = await say({ type: 'hello' });
  assert.ok(challenge.type === 'challenge');
  const { contactId, nonce } = challenge;
  const signature = await transport.signContact({ contactId, nonce });
  let reply = await say({ type: 'begin', contactId, signature, wishes });
  const steps = new Set<string>();
  while (reply.type === 'batch') {
    if (reply.progress) steps.add(reply.progress.step);
    const answers: string[] = [];
    for (const { command, allowed } of reply.steps) {
      const answer = await transport.transmitHex(command);
      answers.push(answer);
      if (!allowed.includes(answer.slice(-4))) break;
    }
    reply = await say({ type: 'answers', contactId, batch: reply.batch, answers });
  }
  await transport.reset();
  assert.ok(reply.type === 'end');
  const jobs = reply.jobs.map(({ kind, state, code }) => [kind, code ?? state] as const);
  return { jobs, steps, ms: systemClock.nowMs() - startedMs };
}

/** Status word of a selection. */
async function selected(aid: string): Promise<string> {
  const transport = new ElementCardTransport(element);
  const length = (aid.length / 2).toString(16).padStart(2, '0').toUpperCase();
  const answer = await transport.transmitHex(`00A40400${length}${aid}00`);
  await transport.reset();
  return answer.slice(-4);
}

async function manage(...args: readonly string[]): Promise<string> {
  const ran = await tapnpay(['tsm', ...args, '--data', system.dataDir]);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

test('an element that announces itself is enrolled with the payment application', async () => {
  const { serialNumber: serial, keyDiversificationData } = card;
  const attestationKeySpki = card.attestationPublicKeySpki;
  await post('/v1/announcements', { serial, keyDiversificationData, attestationKeySpki });
  const { jobs, steps, ms } = await contact();
  assert.deepEqual(jobs, [['enrol', 'done']]);
  assert.ok(steps.has('putKeys') && steps.has('putCertifierKey') && steps.has('load'));
  assert.ok(ms <= ENROLMENT_MS, `${ms} ms`);
  process.stdout.write(`enrolment of a new element: ${ms} ms\n`);
  assert.equal(await selected(PAYMENT_INSTANCE_AID), '9000');
  assert.match(await manage('element', serial), /active +SECURED\n +payment +wanted operable/);
  assert.deepEqual((await contact()).jobs, [], 'nothing is left to do');
});

test('a cardholder takes the loyalty card from the store; lock, unlock, new keys, removal', async () => {
  const { serialNumber: serial } = card;
  const wish = (kind: TsmWish['wish']): TsmWish[] => [{ wish: kind, applicationId: 'loyalty' }];
  assert.deepEqual((await contact(wish('install'))).jobs, [['update', 'done']]);
  assert.equal(await selected(LOYALTY_INSTANCE_AID), '9000');
  assert.match(await manage('lock', serial, 'loyalty', '--dry-run'), /80F0408F/);
  await manage('lock', serial, 'loyalty');
  assert.deepEqual((await contact()).jobs, [['lock', 'done']]);
  assert.notEqual(await selected(LOYALTY_INSTANCE_AID), '9000');
  assert.match(await manage('element', serial), /loyalty +wanted locked +actual locked/);
  await manage('unlock', serial, 'loyalty');
  await manage('rotate-keys', serial);
  assert.deepEqual((await contact()).jobs, [
    ['unlock', 'done'],
    ['rotateKeys', 'done'],
  ]);
  assert.equal(await selected(LOYALTY_INSTANCE_AID), '9000');
  assert.deepEqual((await contact(wish('remove'))).jobs, [['delete', 'done']]);
  assert.notEqual(await selected(LOYALTY_INSTANCE_AID), '9000');
});

test('a revoked version is locked at the next contact', async () => {
  await manage('revoke', 'payment', '1.0.0', '--reason', 'a test');
  assert.deepEqual((await contact()).jobs, [['lock', 'done']]);
  assert.notEqual(await selected(PAYMENT_INSTANCE_AID), '9000');
});
