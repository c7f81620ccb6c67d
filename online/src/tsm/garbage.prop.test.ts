/**
 * Shows that nothing an element or its relay says breaks the manager: whatever comes for an answer,
 * a contact ends with a coded fault or goes on, and the true element is managed afterwards.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TapError } from '@tapnpay/protocol/bytes';
import fc from 'fast-check';
import { Contacts } from './contacts.ts';
import { createJob } from './jobs/create.ts';
import { MemoryTsmStore } from './store-memory.ts';
import { APPLICATION, contact, ISSUER, testTsm } from './tsm.test-kit.ts';

const hexByte = fc.integer({ min: 0, max: 255 }).map((value) => hexOf([value]));
const bytes = fc.array(hexByte, { maxLength: 80 }).map((all) => all.join(''));
const word = fc.constantFrom(
  '9000',
  '6310',
  '6A88',
  '6A86',
  '6982',
  '6985',
  '6700',
  '6F00',
  '6283',
);

function hexOf(values: readonly number[]): string {
  return values.map((value) => value.toString(16).toUpperCase().padStart(2, '0')).join('');
}

/** What an answer is made into. */
const forgery = fc.oneof(
  fc.tuple(bytes, word).map(([data, status]) => ({ name: 'other', make: () => data + status })),
  word.map((status) => ({ name: 'word', make: (said: string) => said.slice(0, -4) + status })),
  fc.nat(40).map((cut) => ({
    ...{ name: 'cut', make: (said: string) => `${said.slice(0, 2 * cut)}9000` },
  })),
  bytes.map((more) => ({
    name: 'longer',
    make: (said: string) => `${said.slice(0, -4)}${more}9000`,
  })),
);

test('garbage at any command of an enrolment ends coded, and the true element goes on', async () => {
  const tsm = await testTsm();
  await tsm.release();
  const element = await tsm.element({ profile: { scp03ParameterI: 0x10 } });
  const { serial } = element;
  await createJob(tsm.ports, ISSUER, { serial, kind: 'enrol', applicationIds: [APPLICATION.id] });
  const before = element.stored;
  assert.ok(tsm.ports.store instanceof MemoryTsmStore);
  const first = tsm.ports.store;
  const codes = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.nat(90), forgery, async (at, { make }) => {
      element.stored = before;
      element.restart();
      const ports = { ...tsm.ports, store: new MemoryTsmStore(first) };
      const contacts = new Contacts(ports);
      const forge = (said: string, index: number): string => (index === at ? make(said) : said);
      try {
        const { jobs } = await contact(contacts, element, { forge });
        for (const { code } of jobs) if (code !== null) codes.add(code);
      } catch (thrown) {
        assert.ok(thrown instanceof TapError, String(thrown));
        codes.add(thrown.code);
      }
      assert.ok(!codes.has('ERR_INTERNAL'), [...codes].join(' '));
      element.restart();
      await createJob(ports, ISSUER, { serial, kind: 'enrol', applicationIds: [APPLICATION.id] });
      const { jobs } = await contact(contacts, element);
      assert.deepEqual(jobs.at(-1)?.state, 'done', JSON.stringify(jobs));
    }),
    { numRuns: 50 },
  );
  assert.ok(codes.size >= 3, [...codes].join(' '));
});
