/**
 * Shows that a contact carries commands and answers unread, stops where the manager wants it to,
 * sends a lost message again, never goes on with a manager that speaks out of turn, and leaves no
 * session open in the element.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import type { TsmContactAnswer, TsmContactRequest, TsmProgress } from '@tapnpay/protocol/wire';
import { CONTACT_PAUSES_MS, contactManager, type ManagerLink } from './contact.ts';
import { ContactError } from './errors.ts';
import { httpManagerLink } from './manager-link.ts';

const SERIAL = '0011223344556677';
const CONTACT = 'contact-1';
const NONCE = '5A'.repeat(32);
const CHALLENGE = { type: 'challenge', contactId: CONTACT, nonce: NONCE } as const;
const END = { type: 'end', contactId: CONTACT, jobs: [] } as const;
const PROGRESS = { jobId: 'j', kind: 'enrol', step: 'load', done: 1, total: 9 } as const;

function batchOf(batch: number, ...commands: readonly string[]): TsmContactAnswer {
  const steps = commands.map((command) => ({ command, allowed: ['9000', '6310'] }));
  return { type: 'batch', contactId: CONTACT, batch, steps, progress: PROGRESS };
}

/** A manager that says these things in turn, and a card that answers so. */
function setUp(
  says: readonly (TsmContactAnswer | TapError)[],
  answers: Readonly<Record<string, string>> = {},
) {
  const heard: TsmContactRequest[] = [];
  const sent: string[] = [];
  const pauses: number[] = [];
  const progress: TsmProgress[] = [];
  const counts = { resets: 0 };
  const left = [...says];
  const manager: ManagerLink = {
    post: async (serialNumber, message) => {
      assert.equal(serialNumber, SERIAL);
      heard.push(message);
      const next = left.shift() ?? assert.fail('the manager has nothing more to say');
      if (next instanceof TapError) throw next;
      return next;
    },
  };
  const run = () =>
    contactManager({
      manager,
      card: {
        serialNumber: SERIAL,
        signContact: async ({ contactId, nonce }) => `signed ${contactId} ${nonce}`,
        transmit: async (command) => {
          sent.push(command);
          return answers[command] ?? '9000';
        },
        reset: async () => {
          counts.resets += 1;
        },
      },
      pause: async (ms) => void pauses.push(ms),
      onProgress: (one) => progress.push(one),
    });
  return { run, heard, sent, pauses, progress, counts };
}

test('a contact: challenge, signature, batches, end', async () => {
  const jobs = [{ jobId: 'j', kind: 'enrol', state: 'done', code: null }] as const;
  const { run, heard, sent, progress, counts } = setUp(
    [CHALLENGE, batchOf(1, '80F2', '80E6'), batchOf(2, '80D8'), { ...END, jobs }],
    { '80F2': 'AABB9000' },
  );
  assert.deepEqual(await run(), jobs);
  assert.deepEqual(sent, ['80F2', '80E6', '80D8']);
  assert.deepEqual(heard, [
    { type: 'hello' },
    { type: 'begin', contactId: CONTACT, signature: `signed ${CONTACT} ${NONCE}` },
    { type: 'answers', contactId: CONTACT, batch: 1, answers: ['AABB9000', '9000'] },
    { type: 'answers', contactId: CONTACT, batch: 2, answers: ['9000'] },
  ]);
  assert.deepEqual(progress, [PROGRESS, PROGRESS]);
  assert.equal(counts.resets, 1);
});

test('an unexpected status word stops the batch; its answer is told', async () => {
  const { run, heard, sent } = setUp([CHALLENGE, batchOf(1, '01', '02', '03', '04'), END], {
    '02': '00FF6310',
    '03': '6985',
  });
  await run();
  assert.deepEqual(sent, ['01', '02', '03'], '6310 is allowed here, 6985 is not');
  assert.deepEqual(heard[2], {
    ...{ type: 'answers', contactId: CONTACT, batch: 1 },
    answers: ['9000', '00FF6310', '6985'],
  });
});

test('a lost answer: the same message again; no command is sent twice', async () => {
  const lost = new ContactError('ERR_MANAGER_HTTP', 'lost');
  const { run, heard, sent, pauses } = setUp([CHALLENGE, batchOf(1, '01'), lost, lost, END]);
  await run();
  assert.deepEqual(sent, ['01']);
  assert.deepEqual(heard[3], heard[2]);
  assert.deepEqual(heard[4], heard[2]);
  assert.deepEqual(pauses, CONTACT_PAUSES_MS.slice(0, 2));
});

test('ERR_MANAGER_HTTP: a manager that stays away; the card is reset', async () => {
  const lost = new ContactError('ERR_MANAGER_HTTP', 'lost');
  const { run, counts, pauses } = setUp([CHALLENGE, lost, lost, lost, lost]);
  await assert.rejects(run(), { code: 'ERR_MANAGER_HTTP' });
  assert.deepEqual(pauses, CONTACT_PAUSES_MS);
  assert.equal(counts.resets, 1);
});

test("the manager's own refusal is not asked for again", async () => {
  const { run, heard, counts } = setUp([CHALLENGE, new TapError('ERR_TSM_SIGNATURE', 'no')]);
  await assert.rejects(run(), { code: 'ERR_TSM_SIGNATURE' });
  assert.equal(heard.length, 2);
  assert.equal(counts.resets, 1);
});

for (const [name, says] of [
  ['an end before the challenge', [END]],
  ['a second challenge', [CHALLENGE, CHALLENGE]],
  ['a batch of another contact', [CHALLENGE, { ...batchOf(1, '01'), contactId: 'other' }]],
] as const) {
  test(`ERR_MANAGER_ANSWER: ${name}`, async () => {
    const { run, sent } = setUp(says);
    await assert.rejects(run(), { code: 'ERR_MANAGER_ANSWER' });
    assert.deepEqual(sent, []);
  });
}

test('ERR_MANAGER_ANSWER: a manager that never comes to an end', async () => {
  const endless: ManagerLink = {
    post: async (_, message) => (message.type === 'hello' ? CHALLENGE : batchOf(1, '01')),
  };
  const card = {
    serialNumber: SERIAL,
    signContact: async () => '',
    transmit: async () => '9000',
    reset: async () => {},
  };
  const contact = contactManager({ card, manager: endless, pause: async () => {} });
  await assert.rejects(contact, { code: 'ERR_MANAGER_ANSWER' });
});

/** What the link makes of an answer of this status and body. */
async function answered(status: number, body: string): Promise<unknown> {
  const server = createServer((request, response) => {
    const isRight = request.url === `/v1/elements/${SERIAL}/contact` && request.method === 'POST';
    response.writeHead(isRight ? status : 404, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const { port } = server.address() as AddressInfo;
    const link = httpManagerLink(`http://127.0.0.1:${port}`);
    return await link.post(SERIAL, { type: 'hello' });
  } finally {
    await new Promise((done) => server.close(done));
  }
}

test('over HTTP: answers are checked, refusals keep their code, trouble may be tried again', async () => {
  assert.deepEqual(await answered(200, JSON.stringify(CHALLENGE)), CHALLENGE);
  const refusal = { code: 'ERR_TSM_UNKNOWN', message: 'no such element', data: {} };
  await assert.rejects(answered(404, JSON.stringify(refusal)), { code: 'ERR_TSM_UNKNOWN' });
  await assert.rejects(answered(503, '{}'), { code: 'ERR_MANAGER_HTTP' });
  await assert.rejects(answered(200, 'no JSON'), { code: 'ERR_MANAGER_HTTP' });
  await assert.rejects(answered(200, '{"type":"apdu"}'), TapError);
  const wrong = JSON.stringify({ ...CHALLENGE, nonce: '00' });
  await assert.rejects(answered(200, wrong), TapError);
});

test('over HTTP: a manager that takes a call and says nothing holds up no payment for long', async () => {
  const server = createServer(() => {});
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    const { port } = server.address() as AddressInfo;
    const link = httpManagerLink(`http://127.0.0.1:${port}`);
    await assert.rejects(link.post(SERIAL, { type: 'hello' }), { code: 'ERR_MANAGER_HTTP' });
  } finally {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

test('over HTTP: nobody listens', async () => {
  const link = httpManagerLink('http://127.0.0.1:9');
  await assert.rejects(link.post(SERIAL, { type: 'hello' }), { code: 'ERR_MANAGER_HTTP' });
});
