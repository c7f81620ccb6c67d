/** MACs of lines: CBC-MAC under 3DES (usage M1). @see Q/CUP 006 (field 128), ISO 9797-1 */
import { equalBytes, toHex } from '@tapnpay/protocol/bytes';
import { x99Mac } from '@tapnpay/protocol/crypto';
import { type HsmCaller, hexShape, type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import { bytesOf, type Command, command, exactHex, type KeyUse, keyBlockShape } from './rule.ts';

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
    run: ({ request, keys }) => ({ mac: toHex(macOf(keys.mac, request.data)) }),
  },
);

/** Whether all eight bytes are right. */
export const verifyMacCommand: Command<'verifyMac'> = command<'verifyMac', 'mac'>('verifyMac', {
  callers,
  fields: { key: keyBlockShape, data, mac: exactHex(MAC_BYTES) },
  keys: ({ key }) => ({ mac: macKey(key) }),
  run: ({ request, keys }) => ({
    valid: equalBytes(macOf(keys.mac, request.data), bytesOf(request.mac)),
  }),
});

function macKey(block: KeyBlock): KeyUse {
  return [block, KeyUsage.macX9];
}

function macOf(key: Uint8Array, dataHex: string): Uint8Array {
  return x99Mac(key, bytesOf(dataHex));
}
