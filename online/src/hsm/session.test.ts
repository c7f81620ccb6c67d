/** The hello and the frames of an HSM connection: proofs, junk, and limits. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callerProof, HSM_BATCH_MAX, hsmProof } from '../runtime/hsm-wire.ts';
import { EmbeddedDriver } from './embedded.ts';
import { contextOf, seededRandom } from './hsm.test-kit.ts';
import { HsmSession, type HsmTokens, type SessionOutput } from './session.ts';

const TOKENS: HsmTokens = { switch: 'AA'.repeat(32), ceremony: 'BB'.repeat(32) };
const NONCE = '01'.repeat(32);
const device = { party: 'switch', driver: new EmbeddedDriver(contextOf('switch')) } as const;

function session(): HsmSession {
  return new HsmSession({ device, tokens: TOKENS, random: seededRandom('session') });
}

function helloFor(open: HsmSession, caller: string, token: string): object {
  const proof = callerProof(token, open.greeting().nonce, caller);
  return { caller, nonce: NONCE, proof };
}

async function opened(): Promise<HsmSession> {
  const open = session();
  await open.receive(helloFor(open, 'switch', TOKENS.switch ?? ''));
  assert.equal(open.caller, 'switch');
  return open;
}

function codeOf(output: SessionOutput): string | null {
  return 'error' in output.frame ? output.frame.error.code : null;
}

test('both sides prove to hold the token of that caller', async () => {
  const open = session();
  const { frame, isOver } = await open.receive(helloFor(open, 'switch', TOKENS.switch ?? ''));
  assert.equal(isOver, false);
  const expected = hsmProof(TOKENS.switch ?? '', { caller: NONCE, hsm: open.greeting().nonce });
  assert.deepEqual(frame, { proof: expected });
});

test('a wrong token, the token of another caller and an unknown caller look the same', async () => {
  const hellos = [
    helloFor(session(), 'switch', 'AB'.repeat(32)),
    helloFor(session(), 'switch', TOKENS.ceremony ?? ''),
    helloFor(session(), 'bureau', TOKENS.switch ?? ''),
    helloFor(session(), 'constructor', TOKENS.switch ?? ''),
    { caller: 'switch', nonce: NONCE, proof: '00'.repeat(32) },
  ];
  const answers = await Promise.all(hellos.map((hello) => session().receive(hello)));
  assert.equal(new Set(answers.map((answer) => JSON.stringify(answer))).size, 1);
  assert.equal(answers[0] && codeOf(answers[0]), 'ERR_HSM_HELLO');
  assert.equal(answers[0]?.isOver, true);
});

test('a proof is good for its connection alone', async () => {
  const first = session();
  const hello = helloFor(first, 'switch', TOKENS.switch ?? '');
  const second = new HsmSession({ device, tokens: TOKENS, random: seededRandom('other') });
  assert.equal(codeOf(await second.receive(hello)), 'ERR_HSM_HELLO');
});

test('no command before the hello', async () => {
  const open = session();
  const output = await open.receive({ id: 1, batch: [{ command: 'status' }] });
  assert.equal(codeOf(output), 'ERR_HSM_FRAME');
  assert.equal(output.isOver, true);
});

test('a batch is answered in order, each request for itself', async () => {
  const { frame, isOver } = await (await opened()).receive({
    id: 7,
    batch: [
      { command: 'status' },
      { command: 'formKey', usage: 'P0', algorithm: 'T', components: [] },
      null,
      { command: 'generateKey', usage: 'M1', algorithm: 'T' },
    ],
  });
  assert.equal(isOver, false);
  assert.ok('replies' in frame);
  assert.equal(frame.id, 7);
  const results = frame.replies.map((reply) => ('ok' in reply ? 'ok' : reply.error.code));
  assert.deepEqual(results, ['ok', 'ERR_HSM_CALLER', 'ERR_HSM_COMMAND', 'ok']);
});

test('a frame of another form ends the connection with a code', async () => {
  const status = { command: 'status' };
  const junk = [
    { id: -1, batch: [status] },
    { id: 1, batch: [] },
    { id: 1, batch: Array.from({ length: HSM_BATCH_MAX + 1 }, () => status) },
    { id: 1, batch: { length: 1 } },
    { id: '1', batch: [status] },
    [status],
    'status',
    null,
  ];
  for (const value of junk) {
    const output = await (await opened()).receive(value);
    assert.equal(codeOf(output), 'ERR_HSM_FRAME', JSON.stringify(value));
    assert.equal(output.isOver, true);
  }
});

test('whatever comes, a session answers and never throws', async () => {
  const frame = fc.oneof(
    fc.jsonValue(),
    fc.record({ id: fc.jsonValue(), batch: fc.array(fc.jsonValue()) }),
    fc.record({ caller: fc.string(), nonce: fc.string(), proof: fc.string() }),
  );
  await fc.assert(
    fc.asyncProperty(frame, fc.boolean(), async (value, isOpen) => {
      const output = await (isOpen ? await opened() : session()).receive(value);
      assert.equal(typeof output.isOver, 'boolean');
    }),
    { numRuns: 200 },
  );
});

test('frames that came along with the one that ended a connection are not looked at', async () => {
  const open = await opened();
  const [first, second] = await Promise.all([
    open.receive(null),
    open.receive({ id: 2, batch: [{ command: 'status' }] }),
  ]);
  assert.equal(first && codeOf(first), 'ERR_HSM_FRAME');
  assert.deepEqual(second, first);
});
