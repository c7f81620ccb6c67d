/** Inputs to try, made for this page: cards of the sandbox range and keys of no use elsewhere. */

/** One example; keys as they stand in the keys box. */
export type Example = {
  readonly id: string;
  readonly name: { readonly zh: string; readonly en: string };
  readonly input: string;
  readonly keys: string;
};

const JSON_INDENT = 2;

function named(values: Readonly<Record<string, string>>): string {
  return JSON.stringify(values, null, JSON_INDENT);
}

export const EXAMPLES: readonly Example[] = [
  {
    id: 'frame',
    name: { zh: 'POS 报文', en: 'POS frame' },
    input:
      '00 58 60 00 03 00 00 60 31 00 31 13 12 02 00 70 20 04 80 00 C0 80 11 16\n' +
      '62 99 99 00 00 00 00 17 00 00 00 00 00 00 00 12 34 00 01 23 07 10 00 31\n' +
      '30 30 30 30 30 30 31 38 39 38 33 31 30 31 34 31 31 31 30 30 30 31 31 35\n' +
      '36 00 13 22 00 00 01 00 06 00 46 33 45 31 31 44 35 43',
    keys: 'mak=0123456789ABCDEFFEDCBA9876543210',
  },
  {
    id: 'field55',
    name: { zh: '55 域', en: 'Field 55' },
    input:
      '9F2608 1122334455667788 9F2701 80 9F1013 07010103A0A802010A01000000500012345678\n' +
      '9F3704 A1B2C3D4 9F3602 0012 9505 0000048800 9A03 261130 9C01 00 9F0206 000000001234\n' +
      '5F2A02 0156 8202 7C00 9F1A02 0156 9F0306 000000000000 9F3303 E0F0C8 9F3403 420302',
    keys: '',
  },
  {
    id: 'log',
    name: { zh: 'APDU 日志', en: 'APDU log' },
    input:
      '=> 00A404000E325041592E5359532E444446303100\n' +
      '<= 6F30840E325041592E5359532E4444463031A51EBF0C1B61194F08A0000003330101015009' +
      '53414E44424F5820318701019F2A01079000\n' +
      '=> 80A80000830000\n' +
      '<= 6985',
    keys: '',
  },
  {
    id: 'signIn',
    name: { zh: '签到 62 域', en: 'Sign-in field 62' },
    input:
      '0040 1EE03A049387BA0DAF36D535115A4241 3D0B6667 0F67E2EB76A5259C 0000000000000000 228977DA',
    keys: 'tmk=0123456789ABCDEFFEDCBA9876543210',
  },
  {
    id: 'pinBlock',
    name: { zh: 'PIN 块', en: 'PIN block' },
    input: named({
      pin: '123456',
      pan: '6299990000000017',
      pik: '0123456789ABCDEFFEDCBA9876543210',
    }),
    keys: '',
  },
  {
    id: 'tvr',
    name: { zh: 'TVR', en: 'TVR' },
    input: '95: 0000048800',
    keys: '',
  },
  {
    id: 'cvmList',
    name: { zh: 'CVM 列表', en: 'CVM list' },
    input: '8E: 000000000000000042031E031F00',
    keys: '',
  },
  {
    id: 'session',
    name: { zh: 'SCP02 会话', en: 'SCP02 session' },
    input: named({
      key: '404142434445464748494A4B4C4D4E4F',
      hostChallenge: '0102030405060708',
      sequence: '0001',
      cardChallenge: 'A1A2A3A4A5A6',
    }),
    keys: '',
  },
];
