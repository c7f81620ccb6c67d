/** Recomputes every published vector of `vectors/<standard>/*.json` and reports what differs. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorBody } from '../src/bytes/index.ts';
import { VECTOR_CHECKS, VectorInput, type VectorOutputs } from './vector-checks.ts';

/** One case whose recomputed values are not the published ones. */
export type VectorMismatch = {
  readonly file: string;
  readonly id: string;
  readonly expected: string;
  readonly actual: string;
};

/** What was verified. `total` counts computed cases: `passed` and mismatched ones. */
export type VectorReport = {
  readonly total: number;
  readonly passed: number;
  readonly mismatches: readonly VectorMismatch[];
  readonly skipped: readonly { readonly id: string; readonly why: string }[];
};

type VectorFile = {
  readonly origin: string;
  readonly cases: readonly Readonly<Record<string, unknown>>[];
};

/**
 * Every `*.json` in the folders below `vectorsDir`, read as `{origin, cases}`. A case names its
 * `check` and the `expected` outputs, or says why it is to `skip`. An unreadable file, an unknown
 * check, a case without expectations and an error in a check are mismatches, never silence.
 */
export function verifyVectors(vectorsDir: string): VectorReport {
  const mismatches: VectorMismatch[] = [];
  const skipped: { id: string; why: string }[] = [];
  let total = 0;
  for (const file of vectorFiles(vectorsDir)) {
    const content = readVectorFile(join(vectorsDir, file));
    if (typeof content === 'string') {
      total++;
      mismatches.push({ file, id: '(file)', expected: '{origin, cases}', actual: content });
      continue;
    }
    for (const vector of content.cases) {
      const id = textOr(vector['id'], '(no id)');
      const why = vector['skip'];
      if (typeof why === 'string') {
        skipped.push({ id, why });
        continue;
      }
      total++;
      const difference = differenceOf(vector);
      if (difference !== null) mismatches.push({ file, id, ...difference });
    }
  }
  return { total, passed: total - mismatches.length, mismatches, skipped };
}

/** Inputs of the explainer: their answers are trees of facts, compared by its own tests. */
const EXPLAIN_FOLDER = 'explain';

function vectorFiles(vectorsDir: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(vectorsDir, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === EXPLAIN_FOLDER) continue;
    for (const name of readdirSync(join(vectorsDir, entry.name))) {
      if (name.endsWith('.json')) files.push(`${entry.name}/${name}`);
    }
  }
  return files.sort();
}

/** The file's content, or what is wrong with it. */
function readVectorFile(path: string): VectorFile | string {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    return errorBody(error).message;
  }
  if (!isRecord(content)) return 'not an object';
  const { origin, cases } = content as { readonly origin?: unknown; readonly cases?: unknown };
  if (typeof origin !== 'string' || origin === '') return 'no origin';
  if (!Array.isArray(cases) || cases.length === 0 || !cases.every(isRecord)) return 'no cases';
  return { origin, cases };
}

function differenceOf(
  vector: Readonly<Record<string, unknown>>,
): { readonly expected: string; readonly actual: string } | null {
  const expected = vector['expected'];
  if (!isRecord(expected) || Object.keys(expected).length === 0) {
    return { expected: 'named outputs', actual: 'the case expects nothing' };
  }
  const name = textOr(vector['check'], '(none)');
  const check = VECTOR_CHECKS.get(name);
  if (check === undefined) return { expected: 'a known check', actual: name };
  let outputs: VectorOutputs;
  try {
    outputs = check(new VectorInput(vector));
  } catch (error) {
    const { code, message } = errorBody(error);
    return { expected: list(expected, Object.keys(expected)), actual: `${code}: ${message}` };
  }
  const different = Object.keys(expected).filter((key) => outputs[key] !== expected[key]);
  if (different.length === 0) return null;
  return { expected: list(expected, different), actual: list(outputs, different) };
}

function list(values: Readonly<Record<string, unknown>>, keys: readonly string[]): string {
  return keys.map((key) => `${key}=${textOr(values[key], '(none)')}`).join(' ');
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
