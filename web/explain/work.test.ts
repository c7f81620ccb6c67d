/** Examples are what they say, refusals are answers, bytes and tree point at the same places. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from './examples.ts';
import { type Answer, answerOf } from './work.ts';

const KINDS: Readonly<Record<string, string>> = {
  frame: 'iso8583',
  field55: 'field55',
  log: 'apduLog',
  signIn: 'workingKeys',
  pinBlock: 'pinBlock',
  tvr: 'tag',
  cvmList: 'tag',
  session: 'globalPlatform',
};

function ask(text: string, keys = ''): Answer {
  return answerOf({ text, keys, kind: '', unmask: false });
}

for (const { id, input, keys } of EXAMPLES) {
  test(`example ${id} is recognised, and its checks pass`, () => {
    const answer = ask(input, keys);
    assert.equal(answer.name, 'explained');
    assert.ok(answer.name === 'explained');
    const { explanation } = answer;
    assert.equal(explanation.kind, KINDS[id]);
    const failed = explanation.checks.filter(({ result }) => result === 'failed');
    assert.deepEqual(failed, []);
    const isWrongOnPurpose = id === 'log';
    const errors = explanation.findings.filter(({ severity }) => severity === 'error');
    assert.equal(errors.length > 0, isWrongOnPurpose, JSON.stringify(errors));
  });
}

test('the frame example has its MAC verified and its card number masked in tree and bytes', () => {
  const example = EXAMPLES.find(({ id }) => id === 'frame');
  const answer = ask(example?.input ?? '', example?.keys);
  assert.ok(answer.name === 'explained');
  const { explanation, pairs } = answer;
  assert.equal(explanation.checks[0]?.result, 'passed');
  assert.ok(!JSON.stringify(explanation).includes('6299990000000017'));
  const pan = explanation.tree.find(({ tag }) => tag === 'F2');
  assert.equal(pan?.value, '629999******0017');
  const start = pan?.offsetBytes ?? 0;
  assert.equal(pairs.slice(start, start + 9).join(''), '16629999******0017');
  assert.equal(pairs.length, 90);
});

test('an unmasked card number shows only when it is asked for', () => {
  const answer = answerOf({ text: '5A086299990000000017', keys: '', kind: '', unmask: true });
  assert.ok(answer.name === 'explained' && answer.pairs.join('').includes('6299990000000017'));
});

test('nothing, a bad keys line and an impossible input are answers, not faults', () => {
  assert.deepEqual(ask('  \n'), { name: 'nothing' });
  assert.deepEqual(ask('00', 'tmk=00\nno value'), { name: 'badKeys', line: 2 });
  const refused = answerOf({ text: 'FFFFFFFF', keys: '', kind: 'iso8583', unmask: false });
  assert.ok(refused.name === 'refused');
  assert.equal(refused.code, 'ERR_EXPLAIN_FORMAT');
  assert.equal(refused.offsetBytes, 0);
  assert.equal(ask('###').name, 'refused');
});
