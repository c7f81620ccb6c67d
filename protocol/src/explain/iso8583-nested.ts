/** What is inside fields: data objects of 55, working keys and key lists of 62. */
import { bytesToUint } from '../bytes/index.ts';
import { givenBytes } from './build.ts';
import { ExplainError } from './errors.ts';
import type { ReadField, Reading } from './iso8583-decode.ts';
import { MASTER_KEY_NAMES } from './keys-given.ts';
import { explainWorkingKeys } from './keys-working.ts';
import { readTlv, tlvNodes } from './tlv-reader.ts';
import type { ExplainCheck, Explained, ExplainInput, ExplainNode } from './types.ts';

/** The lines of the tree below a field, and the checks that they allow. */
export type Nested = {
  readonly nodes: readonly ExplainNode[];
  readonly checks: readonly ExplainCheck[];
};

const NOTHING: Nested = { nodes: [], checks: [] };
/** Shortest field 62 that may hold keys. */
const KEY_FIELD_BYTES_MIN = 24;
/** First tag of a list of CA public keys. */
const TAG_9F06 = 0x9f06;

/** Reads the inside of a field. @throws ExplainError `ERR_EXPLAIN_VALUE` for a bad master key. */
export function nestedOf(input: ExplainInput, field: ReadField, reading: Reading): Nested {
  const { content, number } = field;
  const offsetBytes = field.offsetBytes + field.prefix.length;
  if (number === 55 && content.length > 0) return tlvAt(content, offsetBytes);
  if (number !== 62) return NOTHING;
  // A CA key list follows one character that says whether more are to come.
  for (const skipped of [0, 1]) {
    if (bytesToUint(content.subarray(skipped, skipped + 2)) === TAG_9F06) {
      return tlvAt(content.subarray(skipped), offsetBytes + skipped);
    }
  }
  const isSignIn = /^08[13]0$/.test(reading.type.mti) && content.length >= KEY_FIELD_BYTES_MIN;
  const keys = isSignIn ? workingKeysAt(content, offsetBytes, input) : null;
  return keys === null ? NOTHING : { nodes: keys.tree, checks: keys.checks };
}

function tlvAt(bytes: Uint8Array, baseBytes: number): Nested {
  return { nodes: tlvNodes(readTlv(bytes, baseBytes).objects), checks: [] };
}

function workingKeysAt(
  content: Uint8Array,
  offsetBytes: number,
  input: ExplainInput,
): Explained | null {
  try {
    return explainWorkingKeys(content, offsetBytes, givenBytes(input, ...MASTER_KEY_NAMES));
  } catch (thrown) {
    // Field 62 of this length is something else.
    if (thrown instanceof ExplainError && thrown.code === 'ERR_EXPLAIN_FORMAT') return null;
    throw thrown;
  }
}
