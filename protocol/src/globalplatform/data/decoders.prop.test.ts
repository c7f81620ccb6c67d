/** Any bytes: a decoder gives a value or its own coded fault, and a round trip is identity. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TapError } from '../../bytes/index.ts';
import { decodeSelectAnswer, parseEntries, parseOlderForm } from '../offcard/index.ts';
import * as gp from './index.ts';

const bytes = fc.uint8Array({ maxLength: 300 });
const DECODERS: Readonly<Record<string, (input: Uint8Array) => unknown>> = {
  initializeUpdate: gp.decodeInitializeUpdate,
  putKey: gp.decodePutKeyData,
  groupings: gp.decodeDataGroupings,
  parameters: gp.decodeInstallParameters,
  rules: gp.decodeExtraditionRules,
  loadFile: gp.decodeLoadFile,
  oneLevel: gp.decodeOneLevel,
  fields: (input) => gp.decodeLengthValues(input, 6),
  keyInformation: gp.decodeKeyInformation,
  recognition: gp.decodeCardRecognition,
  privileges: gp.decodePrivileges,
  padding: gp.unpadIso9797Method2,
  entries: parseEntries,
  olderForm: (input) => parseOlderForm(input, 0x10),
  select: decodeSelectAnswer,
};

test('decoders throw nothing but their own faults', () => {
  const names = fc.constantFrom(...Object.keys(DECODERS));
  fc.assert(
    fc.property(names, bytes, (name, input) => {
      try {
        DECODERS[name]?.(input);
      } catch (thrown) {
        assert.ok(thrown instanceof TapError, `${name}: ${thrown}`);
      }
    }),
    { numRuns: 4000 },
  );
});

test('groupings, length-value fields and load files come back as they went', () => {
  const grouping = fc.record(
    {
      identifier: fc.integer({ min: 0, max: 0xffff }),
      value: fc.uint8Array({ maxLength: 700 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(grouping, { maxLength: 5 }), (groupings) => {
      const joined = groupings.flatMap((one) => [...gp.encodeDataGrouping(one)]);
      assert.deepEqual(gp.decodeDataGroupings(Uint8Array.from(joined)), groupings);
      const values = groupings.map(({ value }) => value);
      const fields = gp.encodeLengthValues(...values);
      assert.deepEqual(gp.decodeLengthValues(fields, values.length), values);
      const dapBlocks = values
        .slice(0, gp.DAP_BLOCKS_MAX)
        .map((signature) => ({ domainAid: 'A000000151000000', signature }));
      const content = { dapBlocks, code: values[0] ?? new Uint8Array() };
      assert.deepEqual(gp.decodeLoadFile(gp.encodeLoadFile(content)), content);
    }),
    { numRuns: 300 },
  );
});
