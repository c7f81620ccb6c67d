/** Shows how each answer of the agent to a pairing request is told, and to whom a token goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askPaired, handOver, requestPairing } from './pairing.ts';

type Seen = { readonly path: string; readonly init: RequestInit };

function answering(status: number, body: unknown, seen: Seen[] = []): typeof fetch {
  return (path, init) => {
    seen.push({ path: String(path), init: init ?? {} });
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return Promise.resolve(new Response(text, { status }));
  };
}

const REQUEST = { code: 'K7QM-2D9X', origin: 'http://127.0.0.1:4600' };
const refused = (code: string) => ({ error: { code, message: '', data: {} } });

test('the code and the origin go to the agent, and the token comes back', async () => {
  const seen: Seen[] = [];
  const answer = await requestPairing(REQUEST, answering(200, { token: 'T' }, seen));
  assert.deepEqual(answer, { kind: 'granted', token: 'T' });
  assert.equal(seen[0]?.path, '/v1/pairing');
  assert.equal(seen[0]?.init.method, 'POST');
  assert.deepEqual(JSON.parse(String(seen[0]?.init.body)), REQUEST);
});

test('each refusal has its own words', async () => {
  const cases = [
    [403, refused('ERR_PAIRING_CODE'), 'pairingWrong'],
    [403, { code: 'ERR_PAIRING_CODE', message: '', data: {} }, 'pairingWrong'],
    [429, refused('ERR_PAIRING_TRIES'), 'pairingTries'],
    [429, 'slow down', 'pairingTries'],
    [403, refused('ERR_ORIGIN'), 'pairingOrigin'],
    [401, refused('ERR_NOT_PAIRED'), 'pairingNeeded'],
    [500, refused('ERR_INTERNAL'), 'pairingOther'],
    [502, '<html>', 'pairingOther'],
    [200, { token: 7 }, 'pairingOther'],
    [200, 'null', 'pairingOther'],
  ] as const;
  for (const [status, body, text] of cases) {
    const answer = await requestPairing(REQUEST, answering(status, body));
    assert.equal(answer.kind === 'refused' ? answer.text : answer.kind, text, JSON.stringify(body));
  }
});

test('without a code a refusal only means that the browser is not paired', async () => {
  assert.equal(await askPaired(answering(200, { token: null })), 'paired');
  assert.equal(await askPaired(answering(401, refused('ERR_NOT_PAIRED'))), 'notPaired');
  assert.equal(await askPaired(answering(403, 'no')), 'notPaired');
  assert.equal(await askPaired(answering(403, refused('ERR_PAIRING_CODE'))), 'notPaired');
  assert.equal(await askPaired(answering(500, refused('ERR_INTERNAL'))), 'away');
  assert.equal(await askPaired(() => Promise.reject(new TypeError('no network'))), 'away');
});

test('a token goes to exactly the origin that asked, and nowhere without one', () => {
  const posted: unknown[][] = [];
  const opener = { postMessage: (...args: unknown[]) => void posted.push(args) };
  assert.equal(handOver(opener, 'https://pay.example', 'T'), true);
  assert.equal(handOver(null, 'https://pay.example', 'T'), false);
  assert.equal(handOver(opener, null, 'T'), false);
  assert.equal(handOver(opener, 'https://pay.example', null), false);
  assert.deepEqual(posted, [[{ type: 'tapnpay-paired', token: 'T' }, 'https://pay.example']]);
});
