/** HSM commands as a trace may show them: names and verdicts clear, keys and secrets masked. */
import { errorBody, maskPan } from '@tapnpay/protocol/bytes';
import type { Hsm, HsmAnswers, HsmRequest } from '@tapnpay/protocol/wire';
import type { SeenThing, Tracer } from './trace.ts';

type Values = Record<string, string | number | boolean | null>;
type Show = (value: string) => string;

/** A TR-31 header says usage, algorithm and mode and is no secret. @see X9.143 */
const KEY_BLOCK_HEADER_CHARACTERS = 16;
/** Longest value shown in full, in characters. */
const CLEAR_CHARACTERS_MAX = 256;

const clear: Show = (value) =>
  value.length <= CLEAR_CHARACTERS_MAX
    ? value
    : `${value.slice(0, CLEAR_CHARACTERS_MAX)}… (${value.length})`;
const hidden: Show = (value) => `[${Math.ceil(value.length / 2)} bytes]`;
const keyBlock: Show = (value) =>
  `${value.slice(0, KEY_BLOCK_HEADER_CHARACTERS)}… (${value.length})`;

/** How an argument or result is shown, by its name; a name that is not here shows its length. */
const SHOWN: Readonly<Record<string, Show>> = {
  ...named(keyBlock, 'key', 'toKey', 'pinKey', 'pvk', 'imkAc', 'imkMac', 'imkEnc', 'baseKey'),
  ...named(keyBlock, 'under', 'exportUnder', 'keyBlock'),
  ...named(maskPan, 'pan'),
  ...named(clear, 'panSequenceNumber', 'atc', 'arqc', 'arc', 'arpc', 'mac', 'ksn', 'pvki', 'kcv'),
  ...named(clear, 'header', 'usage', 'algorithm', 'party', 'masterKeyKcv', 'label'),
};
/**
 * What a cryptogram is made over holds no card number and is shown; what a MAC of a message is
 * made over holds the whole message and is not.
 */
const DATA_IS_CLEAR: ReadonlySet<string> = new Set<HsmRequest['command']>(['verifyArqc']);

function named(show: Show, ...names: readonly string[]): Readonly<Record<string, Show>> {
  return Object.fromEntries(names.map((name) => [name, show]));
}

/** The HSM with each call written into the trace of the payment it is made for. */
export function tracedHsm(hsm: Hsm, tracer: Tracer): Hsm {
  return {
    async call<R extends HsmRequest>(request: R): Promise<HsmAnswers[R['command']]> {
      try {
        const answer = await hsm.call(request);
        tracer.trace(hsmSeen(request, { out: answer }));
        return answer;
      } catch (fault) {
        tracer.trace(hsmSeen(request, { error: errorBody(fault).code }));
        throw fault;
      }
    },
  };
}

/** One call, masked: `in.` before arguments, `out.` before results. */
export function hsmSeen(
  request: HsmRequest,
  end: { readonly out?: object; readonly error?: string },
): SeenThing {
  const { command, ...args } = request;
  const isDataClear = DATA_IS_CLEAR.has(command);
  const data: Values = {};
  collect(data, 'in', args, isDataClear);
  if (end.out) collect(data, 'out', end.out, isDataClear);
  if (end.error !== undefined) data['error'] = end.error;
  return { kind: 'hsm', title: command, data };
}

function collect(into: Values, path: string, value: unknown, isDataClear: boolean): void {
  if (typeof value === 'boolean' || typeof value === 'number' || value === null) {
    into[path] = value;
  } else if (typeof value === 'string') {
    const name = path.slice(path.lastIndexOf('.') + 1);
    const show = name === 'data' && isDataClear ? clear : SHOWN[name];
    into[path] = (show ?? hidden)(value);
  } else if (Array.isArray(value)) {
    into[path] = `[${value.length} items]`;
  } else if (typeof value === 'object') {
    for (const [name, member] of Object.entries(value)) {
      collect(into, `${path}.${name}`, member, isDataClear);
    }
  }
}
