/** Shows that the mux benchmark counts true: every answer accounted for, and a planted cross found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireMatchKey } from '@tapnpay/online/runtime';
import { CUPS_DIALECT, decodeMessage, textField } from '@tapnpay/protocol/iso8583';
import { benchMux, type MuxReport, soak } from './mux.ts';
import { answerInPlace, RequestMaker, readFrame, withoutTerminal } from './mux-frames.ts';

test('keys read by offset are those of a full decode, with and without field 41', () => {
  const maker = new RequestMaker();
  for (const sequence of [0, 1, 9, 4_242, 7_999_999, 8_000_001]) {
    const { body, key } = maker.make(sequence);
    assert.deepEqual(requireMatchKey(decodeMessage(CUPS_DIALECT, body)), key);
    assert.deepEqual(readFrame(body), { key, sequence });
    const answered = body.slice();
    answerInPlace(answered);
    assert.equal(decodeMessage(CUPS_DIALECT, answered).mti, '0210');
    const bare = decodeMessage(CUPS_DIALECT, withoutTerminal(answered));
    assert.equal(textField(bare, 41), undefined);
    assert.deepEqual(readFrame(withoutTerminal(answered)), {
      key: { ...key, terminal: undefined },
      sequence,
    });
  }
});

test('round trips in every window, none mismatched, beside an echo', async () => {
  const { json } = await benchMux.run(2_000);
  const { reports, ...reported } = json as MuxReport;
  assert.deepEqual(
    reports.map(({ window }) => window),
    [1, 64, 512],
  );
  assert.ok(reports.every(({ ceilingPerSecond }) => ceilingPerSecond > 0));
  assert.ok(reported.roundTripsPerSecond > 0);
  assert.equal(reported.mismatches, 0);
});

test('a storm: every answer is matched, late once, a copy or told to be ambiguous', async () => {
  const { client, server } = await soak(40_000);
  assert.equal(server.requests, 40_000);
  assert.equal(client.matched + client.expired, 40_000);
  const { matched, late, unmatchedCopies, unmatchedAmbiguous } = client;
  assert.equal(matched + late + unmatchedCopies + unmatchedAmbiguous, server.answers);
  for (const count of [server.late, server.copies, server.withoutTerminal, late]) {
    assert.ok(count > 100, String(count));
  }
  assert.deepEqual([client.mismatches, client.lost, client.lateTwice], [0, 0, 0]);
});

test('control: answers that carry the number of another request are counted as mismatches', async () => {
  const { client } = await soak(20_000, { isControl: true });
  assert.ok(client.mismatches > 0);
});
