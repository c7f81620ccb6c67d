/** Shows that wrong pairing codes are few a minute, also when they come at the same moment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GatewayError } from '../errors.ts';
import { testGateway } from '../gateway.test-kit.ts';
import { RefusalCount } from './refusals.ts';

const wrongCode = async (): Promise<never> => {
  await nextTurn();
  throw new GatewayError('ERR_PAIRING_CODE', 'no such code');
};

test('wrong codes at the same moment gain no tries', async () => {
  const { core, clock } = await testGateway();
  const refusals = new RefusalCount(core);
  let looked = 0;
  const tries = Array.from({ length: 100 }, () =>
    refusals
      .guard(() => {
        looked += 1;
        return wrongCode();
      })
      .catch((fault: unknown) => (fault instanceof GatewayError ? fault.code : 'other')),
  );
  const codes = await Promise.all(tries);
  assert.equal(looked, 30);
  assert.equal(codes.filter((code) => code === 'ERR_RATE').length, 70);
  clock.advance(60_000);
  assert.equal(await refusals.guard(async () => 'right'), 'right');
});

test('right codes, and other faults, use up no tries', async () => {
  const { core } = await testGateway();
  const refusals = new RefusalCount(core);
  for (let n = 0; n < 40; n++) {
    assert.equal(await refusals.guard(async () => n), n);
    const other = async () => {
      throw new GatewayError('ERR_ELEMENT_EXISTS', 'there is one');
    };
    await assert.rejects(refusals.guard(other), { code: 'ERR_ELEMENT_EXISTS' });
  }
});
