/**
 * Shows that a script computed before the element is there works when it is carried to it, that its
 * answers are proved, and that it does nothing once a session came between or its bytes are altered.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TsmStep } from '@tapnpay/protocol/wire';
import { createJob } from './jobs/create.ts';
import { createScript, type ScriptRequest, takeScriptAnswers } from './scripts.ts';
import {
  APPLICATION,
  contact,
  ISSUER,
  type TestElement,
  type TestTsm,
  testTsm,
} from './tsm.test-kit.ts';

async function scene(scp03ParameterI = 0x70): Promise<{ tsm: TestTsm; element: TestElement }> {
  const tsm = await testTsm();
  await tsm.release();
  const element = await tsm.element({ profile: { scp03ParameterI } });
  const applicationIds = [APPLICATION.id];
  await createJob(tsm.ports, ISSUER, { serial: element.serial, kind: 'enrol', applicationIds });
  await contact(tsm.contacts(), element);
  return { tsm, element };
}

function run(element: TestElement, steps: readonly TsmStep[]): readonly string[] {
  const answers: string[] = [];
  for (const { command, allowed } of steps) {
    const answer = element.send(command);
    answers.push(answer);
    if (!allowed.includes(answer.slice(-4))) break;
  }
  return answers;
}

function stateOf(element: TestElement): number | undefined {
  return element.stored.entries.find(({ aid }) => aid === APPLICATION.instanceAid)?.lifeCycle;
}

function ask({ serial }: TestElement, kind: 'lock' | 'unlock' = 'lock'): ScriptRequest {
  return { serial, kind, applicationId: APPLICATION.id };
}

test('a script locks an element that never calls, and its answers prove it', async () => {
  for (const parameterI of [0x70, 0x10, 0x71]) {
    const { tsm, element } = await scene(parameterI);
    const { script, steps } = await createScript(tsm.ports, ISSUER, ask(element));
    const answers = run(element, steps);
    assert.equal(stateOf(element), 0x87);
    const done = await takeScriptAnswers(tsm.ports, ISSUER, { scriptId: script.id, answers });
    assert.deepEqual([done.state, done.reason], ['done', null], String(parameterI));
    await assert.rejects(takeScriptAnswers(tsm.ports, ISSUER, { scriptId: script.id, answers }), {
      code: 'ERR_TSM_JOB_STATE',
    });
    // The counter has gone on here as well: the next script is right, after the registry was read.
    await contact(tsm.contacts(), element);
    await createJob(tsm.ports, ISSUER, { serial: element.serial, kind: 'repair' });
    await contact(tsm.contacts(), element);
    const next = await createScript(tsm.ports, ISSUER, ask(element, 'unlock'));
    run(element, next.steps);
    assert.equal(stateOf(element), 0x07);
  }
});

test('a session in between makes a script useless, and it is told', async () => {
  const { tsm, element } = await scene();
  const { script, steps } = await createScript(tsm.ports, ISSUER, ask(element));
  const other = await createScript(tsm.ports, ISSUER, ask(element));
  run(element, other.steps);
  element.stored = {
    ...element.stored,
    entries: element.stored.entries.map((entry) =>
      entry.aid === APPLICATION.instanceAid ? { ...entry, lifeCycle: 0x07 } : entry,
    ),
  };
  element.restart();
  const answers = run(element, steps);
  assert.equal(stateOf(element), 0x07, 'nothing was done twice');
  const failed = await takeScriptAnswers(tsm.ports, ISSUER, { scriptId: script.id, answers });
  assert.deepEqual([failed.state, failed.reason], ['failed', 'ERR_TSM_CARD_CRYPTOGRAM']);
});

test('altered commands and answers are found', async () => {
  const { tsm, element } = await scene();
  const { script, steps } = await createScript(tsm.ports, ISSUER, ask(element));
  const altered = steps.map((step, index) =>
    index === 3 ? { ...step, command: `${step.command.slice(0, -2)}00` } : step,
  );
  const last = altered.at(-1)?.command.slice(-4);
  const answers = run(element, altered);
  assert.notEqual(last, undefined);
  assert.equal(stateOf(element), 0x07);
  const failed = await takeScriptAnswers(tsm.ports, ISSUER, { scriptId: script.id, answers });
  assert.equal(failed.state, 'failed');
  const second = await scene();
  const made = await createScript(second.tsm.ports, ISSUER, ask(second.element));
  const said = run(second.element, made.steps);
  const forged = [...said.slice(0, 3), '9000'];
  const taken = { scriptId: made.script.id, answers: forged };
  const judged = await takeScriptAnswers(second.tsm.ports, ISSUER, taken);
  assert.deepEqual([judged.state, judged.reason], ['failed', 'ERR_TSM_ANSWER']);
});

test('no script without predictable challenges, a reading, or something to do', async () => {
  const { tsm, element } = await scene(0x60);
  const refused = { code: 'ERR_TSM_SCRIPT' };
  await assert.rejects(createScript(tsm.ports, ISSUER, ask(element)), refused);
  const other = await scene();
  await assert.rejects(
    createScript(other.tsm.ports, ISSUER, ask(other.element, 'unlock')),
    refused,
  );
  const fresh = await testTsm();
  const unread = await fresh.element();
  await assert.rejects(createScript(fresh.ports, ISSUER, ask(unread)), refused);
});
