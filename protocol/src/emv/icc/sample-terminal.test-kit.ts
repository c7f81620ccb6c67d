/** A terminal for the sample card: no limit below which it stays offline by contact, e-cash taken. */
import { nodeCiphers } from '../../../node/index.ts';
import { fromHex } from '../../bytes/index.ts';
import { loadCaPublicKeys, NO_RANDOM_SELECTION, type TerminalProfile } from '../terminal/index.ts';
import { KEYS } from './icc.test-kit.ts';
import { sampleCard } from './sample.test-card.ts';

const { caKey } = sampleCard(nodeCiphers, KEYS);

/** Online PIN, signature, no CVM, CDA; taps up to 5,000.00, offline below 300.00; e-cash below 1,000.00. */
export const SAMPLE_TERMINAL: TerminalProfile = {
  countryCode: '156',
  currency: '156',
  currencyExponent: 2,
  terminalType: 0x22,
  capabilities: fromHex('E068C8'),
  additionalCapabilities: fromHex('6000F0A001'),
  terminalTransactionQualifiers: fromHex('37000080'),
  interfaceDeviceSerialNumber: 'TAPNPAY1',
  aids: [
    {
      aid: fromHex('A000000333'),
      partialSelection: true,
      applicationVersion: fromHex('0030'),
      tacDefault: fromHex('D84000A800'),
      tacDenial: fromHex('0010000000'),
      tacOnline: fromHex('D84004F800'),
      floorLimitMinor: 0n,
      randomSelection: NO_RANDOM_SELECTION,
      defaultDdol: fromHex('9F3704'),
      defaultTdol: null,
      contactless: {
        floorLimitMinor: 30_000n,
        transactionLimitMinor: 500_000n,
        cvmLimitMinor: 30_000n,
      },
      electronicCash: { transactionLimitMinor: 100_000n },
    },
  ],
  caPublicKeys: loadCaPublicKeys(nodeCiphers, [
    {
      rid: fromHex(caKey.rid),
      index: Number.parseInt(caKey.index, 16),
      modulus: fromHex(caKey.modulus),
      exponent: fromHex(caKey.exponent),
      sha1: fromHex(caKey.sha1),
      expiryYymmdd: caKey.expiryYymmdd,
    },
  ]),
};
