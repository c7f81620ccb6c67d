/** One payment of the application with a virtual card and a scripted gateway, all in memory. */
import { generateKeyPairSync } from 'node:crypto';
import { deriveIccMasterKey } from '@tapnpay/protocol/crypto';
import { type CardTrouble, iccSummary } from '@tapnpay/protocol/emv/data';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type {
  CardInterface,
  ElementPayResult,
  SignedParameterSet,
  TerminalParametersJson,
} from '@tapnpay/protocol/wire';
import {
  type GatewayScript,
  TestGateway,
  testParameters,
} from '../../protocol/node/gateway.test-peer.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_PAN,
  SAMPLE_PSN,
  sampleCard,
} from '../../protocol/src/emv/icc/sample.test-card.ts';
import { createPaymentApplication } from './index.ts';
import { type HostScript, ScriptedHost } from './scripted-host.test-host.ts';

function rsaKey(modulusLength: number) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: 3 });
  const jwk = privateKey.export({ format: 'jwk' });
  const part = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  return { modulus: part(jwk.n), privateExponent: part(jwk.d), publicExponent: part(jwk.e) };
}

const keys = { ca: rsaKey(1408), issuer: rsaKey(1152), icc: rsaKey(1024) };
const sample: ReturnType<typeof sampleCard> = sampleCard(nodeCiphers, keys);
/** The card as it was personalised. */
export const cardImage: typeof sample.image = sample.image;
export const caKey: TerminalParametersJson['caPublicKeys'][number] = sample.caKey;
export const parameters: TerminalParametersJson = {
  terminalTransactionQualifiers: '26000080',
  countryCode: '0156',
  terminalType: '22',
  terminalCapabilities: 'E068C0',
  additionalTerminalCapabilities: 'F000F0A001',
  aids: [
    {
      aid: 'A000000333010101',
      applicationVersion: '0030',
      tacDefault: 'D84000A800',
      tacDenial: '0010000000',
      tacOnline: 'D84004F800',
      floorLimitMinor: '0',
      defaultDdol: '9F3704',
      contactless: {
        floorLimitMinor: '0',
        transactionLimitMinor: '500000',
        cvmLimitMinor: '30000',
      },
    },
  ],
  caPublicKeys: [caKey],
};

/** A payment, what the gateway heard and what the element was asked. */
export type Run = {
  readonly result: ElementPayResult;
  readonly gateway: TestGateway;
  readonly host: ScriptedHost;
  /** The card's counter at the end. */
  readonly atc: number;
};

/** Pays order-1; the card keeps its counters from one presentation to the next. */
export function pay(
  script: GatewayScript = {},
  hostScript: HostScript = {},
  change: {
    readonly troubles?: readonly CardTrouble[];
    readonly parameters?: object;
    /** Instead of a set made of `parameters`. */
    readonly set?: SignedParameterSet;
  } = {},
): Run {
  const { troubles } = change;
  let card = troubles ? sampleCard(nodeCiphers, keys, { troubles }).image : sample.image;
  const powerUp = (cardInterface: CardInterface) => {
    const ports = { ciphers: nodeCiphers, random: systemRandom };
    const icc = createVirtualIcc({ image: card, interface: cardInterface, ...ports });
    return (command: Uint8Array) => {
      const answer = icc.transmit(command);
      card = icc.image();
      return answer;
    };
  };
  const gateway = new TestGateway(
    deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN),
    script,
  );
  const host = new ScriptedHost(powerUp, gateway, hostScript);
  const application = createPaymentApplication({
    elementId: '00112233445566AA',
    parameters: change.set ?? testParameters({ ...parameters, ...change.parameters }),
    ciphers: nodeCiphers,
  });
  const result = host.run(application.pay({ orderId: 'order-1', serverName: 'gateway' }));
  return { result, gateway, host, atc: iccSummary(card).applicationTransactionCounter };
}

export const typesOf = ({ gateway }: Run): readonly string[] =>
  gateway.received.map(({ type }) => type);
export const callsOf = ({ host }: Run, name: string): number =>
  host.calls.filter(({ call }) => call === name).length;
export const hopsOf = ({ host }: Run): readonly string[] => host.hops.map(({ name }) => name);
