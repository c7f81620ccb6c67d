/**
 * The style guide as a test: every rule of `tools/tidy` finds nothing in this tree, and finds what
 * it is for in a small bad tree, so that a rule which sees nothing cannot pass.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkHandles } from './tidy/handles.ts';
import { checkExactVersions, checkManifests } from './tidy/manifests.ts';
import {
  checkDeadFiles,
  checkLinks,
  checkNumberedRows,
  checkPointers,
  checkTestPointers,
} from './tidy/pointers.ts';
import { checkRooms } from './tidy/rooms.ts';
import { checkSizes } from './tidy/sizes.ts';
import { type Finding, readTree, type Tree } from './tidy/tree.ts';
import { checkHeads, checkWords } from './tidy/words.ts';

type Rule = {
  readonly check: (tree: Tree) => readonly Finding[];
  readonly bad: readonly [string, string][];
};

const head = '/** x */\n';
const RULES: Readonly<Record<string, Rule>> = {
  'packages import along the arrows': {
    check: checkRooms,
    bad: [['agent/src/a.ts', `${head}import { x } from '@tapnpay/online/gateway';\n`]],
  },
  'walls inside protocol': {
    check: checkRooms,
    bad: [['protocol/src/emv/icc/a.ts', `${head}import { x } from '../terminal/index.ts';\n`]],
  },
  'parties meet over their wire': {
    check: checkRooms,
    bad: [['online/src/switch/a.ts', `${head}import { x } from '../issuer/index.ts';\n`]],
  },
  'imports, dependencies and references agree': {
    check: checkManifests,
    bad: [
      ['agent/package.json', '{"name":"@tapnpay/agent","dependencies":{}}'],
      ['agent/tsconfig.json', '{"references":[]}'],
      ['agent/src/a.ts', `${head}import { x } from '@tapnpay/protocol/bytes';\n`],
    ],
  },
  'versions are exact': {
    check: checkExactVersions,
    bad: [['agent/package.json', '{"dependencies":{"pg":"^8.0.0"}}']],
  },
  'files, functions and lines have a size': {
    check: checkSizes,
    bad: [['agent/src/a.ts', `${head}function long() {\n${'  x();\n'.repeat(70)}}\n`]],
  },
  'banned words': {
    check: checkWords,
    bad: [['protocol/src/bytes/a.ts', `${head}const now = Date.now();\n`]],
  },
  'a file opens with its purpose': {
    check: checkHeads,
    bad: [['agent/src/a.ts', 'export const x = 1;\n']],
  },
  'a coverage table names tests that are there': {
    check: checkTestPointers,
    bad: [
      ['docs/a.md', '| rule | `agent/src/a.test.ts`: "the rule" |\n'],
      ['agent/src/a.test.ts', "test('another rule', () => {});\n"],
    ],
  },
  'a numbered table has every row, and each a test': {
    check: checkNumberedRows,
    bad: [['docs/a.md', '| 1. x | `a.test.ts`: "x" |\n| 3. y | `a.test.ts`: "y" |\n']],
  },
  'document pointers lead to symbols': {
    check: checkPointers,
    bad: [['docs/a.md', 'see `agent/src/a.ts#missing`\n']],
  },
  'document links lead to files': {
    check: checkLinks,
    bad: [['docs/a.md', 'see [this](missing.md)\n']],
  },
  'no dead files': {
    check: checkDeadFiles,
    bad: [['agent/src/a.ts', `${head}export const x = 1;\n`]],
  },
  'citations use known handles': {
    check: checkHandles,
    bad: [['agent/src/a.ts', '/** x. @see Some Book §3 */\n']],
  },
};

const tree = readTree(join(import.meta.dirname, '..'));

for (const [name, rule] of Object.entries(RULES)) {
  test(`tidy: ${name}`, () => {
    const found = rule.check(tree).map(({ path, line, message }) => `${path}:${line} ${message}`);
    assert.deepEqual(found, []);
  });
  test(`tidy can fail: ${name}`, () => {
    const files = rule.bad.map(([path, text]) => ({ path, text }));
    assert.notEqual(rule.check({ files }).length, 0);
  });
}
