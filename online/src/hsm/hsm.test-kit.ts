/** For tests: the HSMs in one process, their keys, and a line of two zones between them. */
import { createHash } from 'node:crypto';
import { fromHex, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import type { Hsm, HsmCaller, HsmCommand, HsmRequest } from '@tapnpay/protocol/wire';
import type { HsmParty, PartyKeys } from '../runtime/party-keys.ts';
import { nodeCiphers } from '../runtime/system.ts';
import { formSystemKeys, type SystemKeys } from './ceremony.ts';
import { createHsmContext, type HsmContext } from './context.ts';
import { formElementKeys } from './element-ceremony.ts';
import { elementSamples } from './element-samples.test-kit.ts';
import { inProcessHsm } from './execute.ts';
import { memoryRsaVault } from './rsa-vault.ts';

/** The same bytes for the same seed. */
export function seededRandom(seed: string): RandomSource {
  let counter = 0;
  return {
    bytes(lengthBytes) {
      const bytes = new Uint8Array(lengthBytes);
      for (let offset = 0; offset < lengthBytes; offset += 32) {
        const block = createHash('sha256').update(`${seed} ${counter++}`).digest();
        bytes.set(block.subarray(0, lengthBytes - offset), offset);
      }
      return bytes;
    },
  };
}

// One authority for all tests of a process: its keys are slow to make.
const vault = memoryRsaVault();

/** A fresh HSM. */
export function contextOf(party: HsmParty, seed: string = party): HsmContext {
  const random = seededRandom(seed);
  return createHsmContext({
    ...{ lmk: random.bytes(32), ciphers: nodeCiphers, random, party },
    rsa: vault,
  });
}

/** Working keys of one line at one of its ends. */
export type LineEnd = { readonly pin: string; readonly mac: string };

/** All of a small system. */
export type TestSystem = {
  readonly contexts: Readonly<Record<HsmParty, HsmContext>>;
  readonly hsm: (party: HsmParty, caller?: HsmCaller) => Hsm;
  readonly keys: SystemKeys;
  readonly elementKeys: PartyKeys<'tsm'>;
  readonly gatewayLine: { readonly gateway: LineEnd; readonly switch: LineEnd };
  readonly issuerLine: { readonly switch: LineEnd; readonly issuer: LineEnd };
};

/** Three HSMs after their ceremony, with PIN and MAC keys exchanged on both lines. */
export async function testSystem(): Promise<TestSystem> {
  const contexts = {
    gateway: contextOf('gateway'),
    switch: contextOf('switch'),
    issuer: contextOf('issuer'),
    tsm: contextOf('tsm'),
  };
  const hsm = (party: HsmParty, caller: HsmCaller = party): Hsm =>
    inProcessHsm(contexts[party], caller);
  const ceremony = (party: HsmParty): Hsm => hsm(party, 'ceremony');
  const keys = await formSystemKeys(ceremony, seededRandom('ceremony'));
  const random = seededRandom('element ceremony');
  const elementKeys = await formElementKeys(hsm('tsm', 'ceremony'), random);
  const exchange = async (member: 'gateway' | 'issuer'): Promise<[LineEnd, LineEnd]> => {
    const zones = keys.switch.keys;
    const zone = member === 'gateway' ? zones.zmkGateway : zones.zmkIssuer;
    const ends: Record<'pin' | 'mac', string>[] = [
      { pin: '', mac: '' },
      { pin: '', mac: '' },
    ];
    for (const [kind, usage] of [
      ['pin', 'P0'],
      ['mac', 'M1'],
    ] as const) {
      const made = await hsm('switch').call({
        ...({ command: 'generateKey', usage, algorithm: 'T' } as const),
        exportUnder: zone.keyBlock,
      });
      const taken = await hsm(member).call({
        ...({ command: 'importKey', usage, kcv: made.kcv } as const),
        under: keys[member].keys.zmk.keyBlock,
        enciphered: made.enciphered ?? '',
      });
      for (const [index, end] of ends.entries()) {
        end[kind] = index === 0 ? taken.keyBlock : made.keyBlock;
      }
    }
    return ends as [LineEnd, LineEnd];
  };
  const [gateway, gatewaySide] = await exchange('gateway');
  const [issuer, issuerSide] = await exchange('issuer');
  return {
    ...{ contexts, hsm, keys, elementKeys },
    gatewayLine: { gateway, switch: gatewaySide },
    issuerLine: { switch: issuerSide, issuer },
  };
}

/** A good request of each command, and who may send it to which HSM. */
export type Sample = {
  readonly party: HsmParty;
  readonly caller: HsmCaller;
  readonly request: HsmRequest;
};

const CARD = { pan: '6299990000000000012', panSequenceNumber: '01' } as const;

/** One good request of each command; `spki` is the public key of an element. */
export function sampleRequests(
  system: TestSystem,
  spki: string,
): Readonly<Record<HsmCommand, Sample>> {
  const { imkAc, imkMac, imkEnc, pvk, zmk } = system.keys.issuer.keys;
  const issuer = { party: 'issuer', caller: 'issuer' } as const;
  const gateway = { party: 'gateway', caller: 'gateway' } as const;
  const { pin, mac } = system.issuerLine.issuer;
  const cryptogram = { card: CARD, atc: '0001', arqc: '1122334455667788' };
  const of = (who: Omit<Sample, 'request'>, request: HsmRequest): Sample => ({ ...who, request });
  const pinBlock = '0011223344556677';
  return {
    status: of(issuer, { command: 'status' }),
    forgetKeys: of(issuer, { command: 'forgetKeys' }),
    formKey: of(
      { party: 'issuer', caller: 'ceremony' },
      {
        ...({ command: 'formKey', usage: 'V2', algorithm: 'T' } as const),
        components: ['0123456789ABCDEFFEDCBA9876543210', '00112233445566778899AABBCCDDEEFF'],
      },
    ),
    generateKey: of(
      { party: 'switch', caller: 'switch' },
      {
        ...({ command: 'generateKey', usage: 'P0', algorithm: 'T' } as const),
        exportUnder: system.keys.switch.keys.zmkIssuer.keyBlock,
      },
    ),
    importKey: of(issuer, {
      ...({ command: 'importKey', usage: 'M1', under: zmk.keyBlock, kcv: '00000000' } as const),
      enciphered: '00112233445566778899AABBCCDDEEFF',
    }),
    generateMac: of(issuer, { command: 'generateMac', key: mac, data: '0102030405060708' }),
    verifyMac: of(issuer, {
      ...{ command: 'verifyMac', key: mac, data: '01020304', mac: '0000000000000000' },
    }),
    translatePin: of(
      { party: 'switch', caller: 'switch' },
      {
        command: 'translatePin',
        from: { key: system.gatewayLine.switch.pin, format: 0 },
        toKey: system.issuerLine.switch.pin,
        pan: CARD.pan,
        pinBlock,
      },
    ),
    verifyPin: of(issuer, {
      ...({ command: 'verifyPin', pinKey: pin, pvk: pvk.keyBlock, pinBlock } as const),
      ...{ pan: CARD.pan, pvki: '1', pvv: '12345678' },
    }),
    generatePvv: of(issuer, {
      ...({ command: 'generatePvv', pinKey: pin, pvk: pvk.keyBlock, pinBlock } as const),
      ...{ pan: CARD.pan, pvki: '1' },
    }),
    generatePin: of(issuer, {
      ...({ command: 'generatePin', pinKey: pin, pvk: pvk.keyBlock } as const),
      ...{ pan: CARD.pan, pvki: '1' },
    }),
    verifyArqc: of(issuer, {
      ...({ command: 'verifyArqc', imkAc: imkAc.keyBlock, data: 'AA' } as const),
      ...cryptogram,
    }),
    verifyToken: of(issuer, {
      ...({ command: 'verifyToken', imkAc: imkAc.keyBlock, card: CARD } as const),
      ...{ atcs: ['0001'], aip: '7C00', issuerApplicationData: '07010103A0000001' },
      ...{ unpredictableNumber: '00000000', mask: 'FFFF000000000000' },
      cryptogram: '0000000000000000',
    }),
    generateArpc: of(issuer, {
      ...({ command: 'generateArpc', imkAc: imkAc.keyBlock, arc: '3030' } as const),
      ...cryptogram,
    }),
    generateScriptMac: of(issuer, {
      ...({ command: 'generateScriptMac', imkMac: imkMac.keyBlock } as const),
      ...{ ...cryptogram, header: '8418000004', data: '' },
    }),
    generatePinChange: of(issuer, {
      ...({ command: 'generatePinChange', imkEnc: imkEnc.keyBlock, pinKey: pin } as const),
      ...{ card: CARD, atc: '0001', pinBlock },
    }),
    verifyEcBalance: of(issuer, {
      ...({ command: 'verifyEcBalance', imkMac: imkMac.keyBlock, card: CARD } as const),
      ...{ atc: '0001', balance: '0000001234', mac: '00000000' },
    }),
    exportInitialKey: of(gateway, {
      ...({ command: 'exportInitialKey', initialKeyId: '1234567890123456' } as const),
      baseKey: system.keys.gateway.keys.bdk.keyBlock,
      publicKeySpki: spki,
    }),
    personaliseCard: of(
      { party: 'issuer', caller: 'bureau' },
      {
        command: 'personaliseCard',
        ...{ imkAc: imkAc.keyBlock, imkMac: imkMac.keyBlock, imkEnc: imkEnc.keyBlock },
        ...{ pvk: pvk.keyBlock, pvki: '1', card: CARD, expiryYymm: '3012' },
        ...{ pin: '123456', label: 'PBOC DEBIT' },
      },
    ),
    ...elementSamples(system, spki),
  };
}

/** Hex with one bit turned over. */
export function flipBit(hex: string, bit: number): string {
  const bytes = fromHex(hex);
  const index = Math.floor(bit / 8);
  bytes[index] = (bytes[index] ?? 0) ^ (0x80 >> (bit % 8));
  return toHex(bytes);
}
