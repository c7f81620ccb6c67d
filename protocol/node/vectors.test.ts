/** Every published vector is reproduced, and a wrong one, a typing error or a bad file is told. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyVectors } from './index.ts';

const VECTORS = fileURLToPath(new URL('../../vectors', import.meta.url));

/** A folder for one test, gone after it. */
function scratch(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'vectors-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('all published vectors are reproduced; those left out say why', () => {
  const report = verifyVectors(VECTORS);
  assert.deepEqual(report.mismatches, []);
  assert.equal(report.passed, report.total);
  assert.ok(report.total >= 66, `${report.total} vectors`);
  const skipped = report.skipped.map(({ id }) => id);
  assert.deepEqual(skipped, ['tdes-dukpt', 'script-mac-put-data-9F77', 'tr31-b-psec']);
  assert.ok(report.skipped.every(({ why }) => why.length > 20));
});

test('a corrupted expectation is told with file, case, expected and actual value', (context) => {
  const folder = scratch(context);
  cpSync(VECTORS, folder, { recursive: true });
  const file = join(folder, 'pboc', 'cvn01.json');
  const text = readFileSync(file, 'utf8');
  assert.ok(text.includes('5D016C91005E7CC2'));
  writeFileSync(file, text.replace('5D016C91005E7CC2', '5D016C91005E7CC3'));
  const report = verifyVectors(folder);
  assert.deepEqual(report.mismatches, [
    {
      file: 'pboc/cvn01.json',
      id: 'pboc-cvn01-a',
      expected: 'arqc=5D016C91005E7CC3',
      actual: 'arqc=5D016C91005E7CC2',
    },
  ]);
  assert.equal(report.passed, report.total - 1);
});

test('a corrupted input of every single case changes the outcome', (context) => {
  const folder = scratch(context);
  const whole = verifyVectors(VECTORS);
  let corrupted = 0;
  mkdirSync(join(folder, 'one'));
  for (const { file, fields } of casesWithHexInput()) {
    writeFileSync(
      join(folder, 'one', 'case.json'),
      JSON.stringify({ origin: file, cases: [fields] }),
    );
    const report = verifyVectors(folder);
    assert.equal(report.mismatches.length, 1, `${file} ${String(fields['id'])} still passes`);
    corrupted++;
  }
  assert.equal(corrupted, whole.total);
});

test('unknown checks, lacking fields and expectations, bad files are mismatches', (context) => {
  const folder = scratch(context);
  mkdirSync(join(folder, 'bad'));
  const expected = { mac: '00' };
  const cases = [
    { id: 'unknown', check: 'noSuchCheck', expected },
    { id: 'missing', check: 'x99Mac', key: '0123456789ABCDEF', expected },
    { id: 'empty', check: 'x99Mac', key: '0123456789ABCDEF', data: '00', expected: {} },
    { id: 'short-key', check: 'x99Mac', key: '01', data: '00', expected },
  ];
  writeFileSync(join(folder, 'bad', 'cases.json'), JSON.stringify({ origin: 'here', cases }));
  writeFileSync(join(folder, 'bad', 'broken.json'), '{"origin":');
  writeFileSync(join(folder, 'bad', 'no-origin.json'), JSON.stringify({ cases }));
  writeFileSync(join(folder, 'bad', 'no-cases.json'), JSON.stringify({ origin: 'x', cases: [] }));
  writeFileSync(join(folder, 'bad', 'list.json'), '[]');
  const report = verifyVectors(folder);
  assert.equal(report.passed, 0);
  assert.deepEqual(
    report.mismatches.map(({ file, id }) => `${file} ${id}`),
    [
      'bad/broken.json (file)',
      'bad/cases.json unknown',
      'bad/cases.json missing',
      'bad/cases.json empty',
      'bad/cases.json short-key',
      'bad/list.json (file)',
      'bad/no-cases.json (file)',
      'bad/no-origin.json (file)',
    ],
  );
  const actual = report.mismatches.map((mismatch) => mismatch.actual);
  assert.equal(actual[1], 'noSuchCheck');
  assert.match(actual[2] ?? '', /^ERR_VECTOR_FIELD/);
  assert.match(actual[4] ?? '', /^ERR_CRYPTO_KEY_LENGTH/);
});

/** Every computed case with one hex input digit changed (one that parity bits cannot swallow). */
function* casesWithHexInput(): Generator<{ file: string; fields: Record<string, unknown> }> {
  const inputs = ['data', 'dataAscii', 'plain', 'plainAscii', 'field62', 'frame', 'enciphered'];
  inputs.push('acInput', 'block', 'pin', 'counter', 'key', 'amount', 'values');
  for (const file of vectorFileNames()) {
    const content = JSON.parse(readFileSync(join(VECTORS, file), 'utf8')) as {
      readonly cases: readonly Record<string, unknown>[];
    };
    for (const fields of content.cases.filter((vector) => vector['skip'] === undefined)) {
      const name = inputs.find((input) => fields[input] !== undefined && fields[input] !== '');
      assert.ok(name !== undefined);
      const text = String(fields[name]);
      const at = name === 'frame' ? 30 : 0;
      const changed = text.charAt(at) === '3' ? '5' : '3';
      yield {
        file,
        fields: { ...fields, [name]: text.slice(0, at) + changed + text.slice(at + 1) },
      };
    }
  }
}

function vectorFileNames(): readonly string[] {
  return readdirSync(VECTORS, { encoding: 'utf8', recursive: true }).filter(
    (name) => name.endsWith('.json') && !name.startsWith('explain'),
  );
}
