/**
 * MACs of lines. Which one is the key block's to say: M1 is CBC-MAC (field 128 of CUPS, X9.9) under
 * 3DES or SM4, M3 is X9.19, 10 is field 64 of the POS dialect. @see ISO 9797-1, Q/CUP 006
 */
import { equalBytes, toHex } from '@tapnpay/protocol/bytes';
import {
  type CipherProvider,
  retailMac,
  sm4LineMac,
  unionPayPosMac,
  x99Mac,
  x99Macs,
} from '@tapnpay/protocol/crypto';
import {
  type HsmAnswers,
  type HsmCaller,
  hexShape,
  type KeyBlock,
  KeyUsage,
} from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import type { DriverCall } from '../driver.ts';
import { type KeyKind, type KeyNeed, openKey } from '../keys.ts';
import { bytesOf, type Command, command, exactHex, keyBlockShape, type RequestOf } from './rule.ts';

const MAC_BYTES = 8;
/** Longest text under a MAC: a whole message. */
const DATA_BYTES_MAX = 8192;

const callers: readonly HsmCaller[] = ['gateway', 'switch', 'issuer'];
const data = hexShape({ max: DATA_BYTES_MAX });

/** All eight bytes. */
export const generateMacCommand: Command<'generateMac'> = command<'generateMac', 'mac'>(
  'generateMac',
  {
    callers,
    fields: { key: keyBlockShape, data },
    keys: ({ key }) => ({ mac: macKey(key) }),
    run: ({ context: { ciphers }, request, keys, kinds }) =>
      macReply(macOf(ciphers, kinds.mac, keys.mac, request.data)),
  },
);

/** Whether all eight bytes are right. */
export const verifyMacCommand: Command<'verifyMac'> = command<'verifyMac', 'mac'>('verifyMac', {
  callers,
  fields: { key: keyBlockShape, data, mac: exactHex(MAC_BYTES) },
  keys: ({ key }) => ({ mac: macKey(key) }),
  run: ({ context: { ciphers }, request, keys, kinds }) =>
    verdict(request, macOf(ciphers, kinds.mac, keys.mac, request.data)),
});

type MacRequest = RequestOf<'generateMac'> | RequestOf<'verifyMac'>;

/**
 * The answers of those calls of a batch that want 3DES CBC-MACs under one key, computed side by
 * side; a call that is alone with its key, or of another kind, has none here.
 */
export function batchedMacReplies(
  context: HsmContext,
  calls: readonly DriverCall[],
): ReadonlyMap<DriverCall, HsmAnswers['generateMac' | 'verifyMac']> {
  const byKey = new Map<KeyBlock, { call: DriverCall; request: MacRequest }[]>();
  for (const call of calls) {
    const { request } = call;
    if (request.command !== 'generateMac' && request.command !== 'verifyMac') continue;
    const together = byKey.get(request.key) ?? [];
    together.push({ call, request });
    byKey.set(request.key, together);
  }
  const replies = new Map<DriverCall, HsmAnswers['generateMac' | 'verifyMac']>();
  for (const [block, together] of byKey) {
    if (together.length === 1) continue;
    const { usage, algorithm, key } = openKey(context, block);
    if (usage !== KeyUsage.macX9 || algorithm !== 'T') continue;
    const texts = together.map(({ request }) => bytesOf(request.data));
    const macs = x99Macs(key.expose(), texts);
    for (const [index, { call, request }] of together.entries()) {
      const mac = macs[index];
      if (!mac) continue;
      const isAsked = request.command === 'generateMac';
      replies.set(call, isAsked ? macReply(mac) : verdict(request, mac));
    }
  }
  return replies;
}

function macReply(mac: Uint8Array): HsmAnswers['generateMac'] {
  return { mac: toHex(mac) };
}

function verdict(request: RequestOf<'verifyMac'>, mac: Uint8Array): HsmAnswers['verifyMac'] {
  return { valid: equalBytes(mac, bytesOf(request.mac)) };
}

function macKey(block: KeyBlock): KeyNeed {
  return { block, usages: [KeyUsage.macX9, KeyUsage.macX919, KeyUsage.macUnionPayPos] };
}

function macOf(
  ciphers: CipherProvider,
  { usage, algorithm }: KeyKind,
  key: Uint8Array,
  dataHex: string,
): Uint8Array {
  const message = bytesOf(dataHex);
  if (algorithm === '4') return sm4LineMac(ciphers, key, message);
  if (usage === KeyUsage.macX919) return retailMac(key, message, { padding: 1 });
  if (usage === KeyUsage.macUnionPayPos) return unionPayPosMac(key, message);
  return x99Mac(key, message);
}
