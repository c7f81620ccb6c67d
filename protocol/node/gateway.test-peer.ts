/** A gateway, switch and issuer in one for tests: speaks the channel's messages as scripted. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes, fromHex, toHex } from '../src/bytes/index.ts';
import { applicationCryptogram, arpcMethod1, deriveSessionKey } from '../src/crypto/index.ts';
import { TOKEN_BITMAP_DEFAULT } from '../src/emv/data/index.ts';
import { assembleAcInput } from '../src/emv/issuer/index.ts';
import { decodeTlv, flattenTlv } from '../src/iso7816/index.ts';
import {
  type ApplicationMessage,
  CHANNEL_VERSION,
  encodeParameterSet,
  type GatewayMessage,
  orderSignatureInput,
  type ParameterSet,
  type ParameterVersions,
  type SealedPayment,
  type SignedOrder,
  type SignedParameterSet,
  type TerminalParametersJson,
} from '../src/wire/index.ts';
import { signP1363, statementOf, verifyP1363 } from './attestation.ts';

/** What this gateway does otherwise than approve. */
export type GatewayScript = {
  readonly responseCode?: string;
  /** `close` ends the channel instead of an answer; `error:CODE` refuses. */
  readonly onPayment?: 'unable' | 'unknown' | 'close' | `error:${string}`;
  readonly onCompletion?: 'reversed' | 'unknown' | 'close';
  /** The final word of a contactless payment, or none. */
  readonly onResult?: 'reversed' | 'declined' | 'unknown' | 'missing';
  readonly isArpcWrong?: boolean;
  readonly order?: Partial<SignedOrder>;
  readonly version?: number;
  /** Versions that the welcome names, and the set that is sent when one is asked for. */
  readonly versions?: ParameterVersions;
  readonly parameters?: SignedParameterSet;
  /** The first payment is refused for its parameters. */
  readonly isOutdatedOnce?: boolean;
  /** Changes a reply on its way out, the order after its signature included. */
  readonly mangle?: (message: GatewayMessage) => unknown;
};

/** Replies, or the end of the channel. */
export type GatewayReply = readonly unknown[] | 'close';

/** Element of the tests whose certificate nobody looks at. */
export const TEST_ELEMENT_ID = '00112233445566AA';
/** Hash of a load file that there is not. */
export const TEST_LOAD_FILE_HASH: string = '1F'.repeat(32);

/** When it is at every test gateway: 2026-07-01. */
const TEST_TIME_MS: number = Date.UTC(2026, 6, 1);
const DAY_MS = 86_400_000;
const parameterKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** The tests' parameter-update key, SPKI hex. */
export const TEST_PARAMETER_KEY_SPKI: string = toHex(
  parameterKey.publicKey.export({ type: 'spki', format: 'der' }),
);

/** A set of these acceptance parameters, in its term and accepted on every day. */
export function testParameters(
  { aids, caPublicKeys, ...terminal }: TerminalParametersJson,
  changes: Partial<ParameterSet> = {},
  key: KeyObject = parameterKey.privateKey,
): SignedParameterSet {
  const always = { fromYymmdd: '200101', untilYymmdd: '491231' };
  const off = { targetPercentage: 0, maximumTargetPercentage: 0, thresholdMinor: '0' };
  const body = encodeParameterSet({
    ...{ format: '1', version: 1, issuedAtMs: TEST_TIME_MS - DAY_MS },
    ...{ validFromMs: TEST_TIME_MS - DAY_MS, validUntilMs: TEST_TIME_MS + DAY_MS },
    ...terminal,
    aids: aids.map((aid) => ({ ...aid, ...always, randomSelection: off })),
    caPublicKeys: caPublicKeys.map((caKey) => ({ ...caKey, fromYymmdd: '200101' })),
    revokedCertificates: [],
    token: { issuerProprietaryBitmap: TOKEN_BITMAP_DEFAULT },
    ...changes,
  });
  return { body, signature: signP1363(key, body) };
}

/** What TLS has told of the element. */
type Peer = {
  readonly publicKeySpki: string;
  readonly exporter: string;
};

/** One gateway for one or more payments of cards with one key. */
export class TestGateway {
  readonly orderPublicKeySpki: string;
  readonly received: ApplicationMessage[] = [];
  readonly #orderKey: KeyObject;
  readonly #udkAc: Uint8Array;
  readonly #script: GatewayScript;
  #signedOrder: SignedOrder | null = null;
  #elementId = TEST_ELEMENT_ID;
  /** Verdicts over what the element and the card signed. */
  isElementSignatureValid: boolean | null = null;
  isArqcValid: boolean | null = null;
  payment: SealedPayment | null = null;

  constructor(
    udkAc: Uint8Array,
    script: GatewayScript = {},
    orderKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  ) {
    this.#orderKey = orderKey;
    const publicKey = createPublicKey(orderKey);
    this.orderPublicKeySpki = toHex(publicKey.export({ type: 'spki', format: 'der' }));
    this.#udkAc = udkAc;
    this.#script = script;
  }

  /** The same gateway with another script and nothing received yet. */
  withScript(script: GatewayScript): TestGateway {
    return new TestGateway(this.#udkAc, script, this.#orderKey);
  }

  /** Answers one message of an element whose key and exporter TLS has told. */
  answer(message: ApplicationMessage, peer: Peer): GatewayReply {
    this.received.push(message);
    const reply = this.#reply(message, peer);
    if (reply === 'close') return reply;
    return reply.map((part) => this.#script.mangle?.(part) ?? part);
  }

  #reply(message: ApplicationMessage, peer: Peer): readonly GatewayMessage[] | 'close' {
    switch (message.type) {
      case 'hello':
        this.#elementId = message.elementId;
        return [this.#welcome()];
      case 'parametersRequest':
        return this.#script.parameters
          ? [{ type: 'parameters', set: this.#script.parameters }]
          : [];
      case 'orderRequest':
        return [{ type: 'signedOrder', order: this.#order(message.orderId) }];
      case 'payment':
        return this.#authorise(message.payment, peer);
      case 'completion':
        return this.#complete(message.completion);
      case 'abandon':
        return 'close';
    }
  }

  #welcome(): GatewayMessage {
    const { version = CHANNEL_VERSION, versions } = this.#script;
    const parameters = versions ?? { newest: 1, minimum: 0 };
    return { type: 'welcome', version, timeMs: TEST_TIME_MS, parameters };
  }

  #order(orderId: string): SignedOrder {
    const facts = {
      ...{ orderId, merchantId: '898110150001', merchantName: '测试商户 Test Shop' },
      ...{ terminalId: '00000001', amountMinor: '1234', currency: '156' },
      ...{ origin: 'https://shop.example', dateYymmdd: '260701', timeHhmmss: '101112' },
      transactionType: '00' as const,
      ...this.#script.order,
    };
    const input = Buffer.from(orderSignatureInput(facts));
    const key = { key: this.#orderKey, dsaEncoding: 'ieee-p1363' } as const;
    this.#signedOrder = { ...facts, signature: toHex(sign('sha256', input, key)) };
    return this.#signedOrder;
  }

  #authorise(payment: SealedPayment, peer: Peer): readonly GatewayMessage[] | 'close' {
    const { onPayment, responseCode = '00', isArpcWrong = false } = this.#script;
    this.payment = payment;
    this.#checkSignature(payment, peer);
    const issuerAuthenticationData = this.#issue(payment, { responseCode, isArpcWrong });
    if (onPayment === 'close') return 'close';
    if (this.#script.isOutdatedOnce && payment.attestation.parameterVersion === 1) {
      return [{ type: 'error', code: 'PARAMS_OUTDATED', message: 'refused', data: {} }];
    }
    if (onPayment?.startsWith('error:')) {
      return [{ type: 'error', code: onPayment.slice(6), message: 'refused', data: {} }];
    }
    const common = { type: 'authorisation', paymentId: 'payment-1', scripts: [] } as const;
    if (onPayment === 'unable' || onPayment === 'unknown') {
      const nothing = { responseCode: null, issuerAuthenticationData: null };
      return this.#withResult({ ...common, ...nothing, result: onPayment });
    }
    return this.#withResult({
      ...common,
      result: 'answered',
      responseCode,
      issuerAuthenticationData,
    });
  }

  /** A contactless payment has its final word at once. */
  #withResult(
    authorisation: Extract<GatewayMessage, { type: 'authorisation' }>,
  ): readonly GatewayMessage[] {
    const { onResult } = this.#script;
    const { paymentId, responseCode, result } = authorisation;
    if (this.payment?.interface !== 'contactless' || onResult === 'missing') {
      return [authorisation];
    }
    const word = responseCode === '00' ? 'approved' : 'declined';
    const outcome = result === 'answered' ? (onResult ?? word) : 'unknown';
    return [authorisation, { type: 'result', paymentId, outcome, responseCode }];
  }

  #checkSignature(payment: SealedPayment, peer: Peer): void {
    if (this.#signedOrder === null) throw new Error('payment before its order');
    const { field55, pin, attestation } = payment;
    const { loadFileHash, lifeCycle, counter, parameterVersion, tvr, cvmResults } = attestation;
    const statement = statementOf(
      { elementId: this.#elementId, exporter: peer.exporter, loadFileHash, lifeCycle, counter },
      {
        ...{ order: this.#signedOrder, field55, pinBlock: pin?.block ?? null },
        ...{ parameterVersion, tvr, cvmResults },
      },
    );
    const der = Buffer.from(peer.publicKeySpki, 'hex');
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    this.isElementSignatureValid = verifyP1363(key, statement, attestation.signature);
  }

  /** The issuer: verdict on the ARQC, and tag 91 (ARPC and response code). */
  #issue(
    payment: SealedPayment,
    facts: { readonly responseCode: string; readonly isArpcWrong: boolean },
  ): string {
    const values = flattenTlv(decodeTlv(fromHex(payment.field55)));
    const session = deriveSessionKey(this.#udkAc, values.get('9F36') ?? new Uint8Array());
    const expected = applicationCryptogram(session, assembleAcInput(values));
    const arqc = values.get('9F26') ?? new Uint8Array();
    this.isArqcValid = toHex(expected) === toHex(arqc);
    const code = new Uint8Array(Buffer.from(facts.responseCode, 'latin1'));
    const arpc = arpcMethod1(session, arqc, code);
    if (facts.isArpcWrong) arpc[0] = (arpc[0] ?? 0) ^ 1;
    return toHex(concatBytes(arpc, code));
  }

  #complete(
    completion: Extract<ApplicationMessage, { type: 'completion' }>['completion'],
  ): readonly GatewayMessage[] | 'close' {
    const { responseCode = '00', onPayment, onCompletion } = this.#script;
    if (onCompletion === 'close') return 'close';
    const { paymentId, secondType, outcome } = completion;
    const common = { type: 'result', paymentId, responseCode } as const;
    if (onCompletion) return [{ ...common, outcome: onCompletion }];
    if (onPayment === 'unknown') return [{ ...common, outcome: 'unknown' }];
    if (responseCode !== '00') return [{ ...common, outcome: 'declined' }];
    if (secondType === 'TC' && outcome === 'approved') return [{ ...common, outcome: 'approved' }];
    return [{ ...common, outcome: secondType === 'AAC' ? 'declined' : 'unknown' }];
  }
}
