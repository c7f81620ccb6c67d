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
} from '@tapnpay/protocol/crypto';
import { type HsmCaller, hexShape, type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import type { KeyKind, KeyNeed } from '../keys.ts';
import { bytesOf, type Command, command, exactHex, keyBlockShape } from './rule.ts';

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
    run: ({ context: { ciphers }, request, keys, kinds }) => ({
      mac: toHex(macOf(ciphers, kinds.mac, keys.mac, request.data)),
    }),
  },
);

/** Whether all eight bytes are right. */
export const verifyMacCommand: Command<'verifyMac'> = command<'verifyMac', 'mac'>('verifyMac', {
  callers,
  fields: { key: keyBlockShape, data, mac: exactHex(MAC_BYTES) },
  keys: ({ key }) => ({ mac: macKey(key) }),
  run: ({ context: { ciphers }, request, keys, kinds }) => ({
    valid: equalBytes(macOf(ciphers, kinds.mac, keys.mac, request.data), bytesOf(request.mac)),
  }),
});

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
