/**
 * `bench kernel`: the CPU time that the kernels themselves take, over a card in the same process.
 * The card's and the issuer's own work, their cryptography above all, is left out; RSA recovery of
 * the kernel is in the figure and shown apart, beside OpenSSL with the same keys.
 */
import { constants, createPublicKey, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { asciiToBytes, concatBytes, fromHex } from '@tapnpay/protocol/bytes';
import {
  arpcMethod1,
  deriveIccMasterKey,
  deriveSessionKey,
  rsaRaw,
} from '@tapnpay/protocol/crypto';
import { createVirtualIcc, type VirtualIcc } from '@tapnpay/protocol/emv/icc';
import {
  buildIccImage,
  issueIssuerCertificate,
  makeCaKeyEntry,
  type RsaPrivateKey,
} from '@tapnpay/protocol/emv/issuer';
import {
  contactlessTransaction,
  contactTransaction,
  type Kernel,
  type KernelAnswer,
  type KernelOutcome,
  type KernelRequest,
  type TerminalProfile,
  type TerminalTransaction,
  terminalProfileOf,
} from '@tapnpay/protocol/emv/terminal';
import { decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { type Benchmark, type Spread, spreadOf } from './benchmark.ts';

/** Lengths of the UnionPay test card's chain: CA, issuer and card of 1408 bits. */
const KEY_BITS = 1408;
const PAN = '6299990000000009';
const SEQUENCE = '01';
const IMK_AC = fromHex('0123456789ABCDEFFEDCBA9876543210');
/** Payments before those that are counted. */
const WARM_UP = 300;
const INS_GET_PROCESSING_OPTIONS = 0xa8;
/** 9F66 of a reader that asks for offline data authentication of every online tap. */
const AUTHENTICATES = '35000080';
/** The payment application's own reader: only a tap that may need an online PIN. */
const PLAIN = '34000080';
/** Public-key operations of one payment: issuer certificate, card certificate, signature. */
const RECOVERIES = 3;

/** One payment: CPU of all kernel steps, of those after GPO's answer, and the commands. */
type Run = { readonly cpuMs: number; readonly afterGpoMs: number; readonly apdus: number };

/** Times in ms. `cpuMs` includes `rsaMs`. */
type Report = {
  readonly interface: CardInterface;
  readonly cpuMs: Spread;
  readonly afterGpoMs: Spread;
  readonly apdus: number;
};

export const benchKernel: Benchmark = {
  countDefault: 3_000,
  countMax: 100_000,
  run: async (count) => {
    const bench = prepare();
    const contact = measure(bench, { side: 'contact', reader: PLAIN, count });
    const contactless = measure(bench, { side: 'contactless', reader: AUTHENTICATES, count });
    const plain = measure(bench, { side: 'contactless', reader: PLAIN, count });
    const rsaMs = timeRecoveries(count, bench.keys, (key, block) =>
      rsaRaw(key.modulus, key.publicExponent, block),
    );
    const opensslRsaMs = timeOpenssl(count, bench.keys);
    process.stderr.write('\n');
    const json = {
      count,
      keyBits: KEY_BITS,
      kernelCpuMsMedian: contact.cpuMs.p50,
      kernelCpuMsP99: contact.cpuMs.p99,
      qpbocCpuMsMedian: contactless.afterGpoMs.p50,
      qpbocCpuMsP99: contactless.afterGpoMs.p99,
      qpbocWholeCpuMsMedian: contactless.cpuMs.p50,
      rsaRecoveryMsMedian: rsaMs.p50,
      rsaRecoveryMsP99: rsaMs.p99,
      opensslRsaMsMedian: opensslRsaMs.p50,
      contactApdus: contact.apdus,
      qpbocApdus: plain.apdus,
      qpbocWithDataAuthenticationApdus: contactless.apdus,
      qpbocWithoutDataAuthenticationCpuMsMedian: plain.afterGpoMs.p50,
    };
    return { json, text: textOf({ contact, contactless, plain, rsaMs, opensslRsaMs, count }) };
  },
};

type Bench = {
  readonly card: (side: CardInterface) => VirtualIcc;
  readonly terminal: (reader: string) => TerminalProfile;
  readonly keys: readonly RsaPrivateKey[];
};

function prepare(): Bench {
  const [ca, issuer, icc] = [rsaKey(), rsaKey(), rsaKey()];
  const certificateSerialNumber = Uint8Array.of(0, 0, 1);
  const caKey = makeCaKeyEntry(nodeCiphers, {
    ...{ ...ca, rid: 'A000000333', index: 'F0', expiryYymmdd: '491231' },
  });
  const udk = deriveIccMasterKey(IMK_AC, PAN, SEQUENCE);
  const image = buildIccImage(nodeCiphers, {
    pan: PAN,
    panSequenceNumber: SEQUENCE,
    effectiveYymm: '2501',
    expiryYymm: '4912',
    cardholderName: 'BENCH/CARD',
    keys: { udkAc: udk, udkMac: udk, udkEnc: udk },
    caIndex: 'F0',
    issuerKey: issuer,
    issuerCertificate: issueIssuerCertificate(nodeCiphers, {
      ...{ caKey: ca, issuerKey: issuer, issuerIdentifier: PAN.slice(0, 8) },
      ...{ expiryMmyy: '1249', serialNumber: certificateSerialNumber },
    }),
    iccKey: icc,
    certificateSerialNumber,
  });
  const card = (side: CardInterface): VirtualIcc =>
    createVirtualIcc({ image, ciphers: nodeCiphers, random: systemRandom, interface: side });
  return { card, terminal: (reader) => terminalOf(caKey, reader), keys: [ca, issuer, icc] };
}

function rsaKey(): RsaPrivateKey {
  const pair = generateKeyPairSync('rsa', { modulusLength: KEY_BITS, publicExponent: 3 });
  const { n, d, e } = pair.privateKey.export({ format: 'jwk' });
  const part = (text = ''): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'));
  return { modulus: part(n), privateExponent: part(d), publicExponent: part(e) };
}

function terminalOf(caKey: ReturnType<typeof makeCaKeyEntry>, reader: string): TerminalProfile {
  const parameters = {
    terminalTransactionQualifiers: reader,
    countryCode: '0156',
    terminalType: '22',
    terminalCapabilities: 'E068C0',
    additionalTerminalCapabilities: 'F000F0A001',
    aids: [
      {
        ...{ aid: 'A000000333', applicationVersion: '0030', floorLimitMinor: '0' },
        ...{ tacDefault: 'D84000A800', tacDenial: '0010000000', tacOnline: 'D84004F800' },
        defaultDdol: '9F3704',
        contactless: {
          ...{ floorLimitMinor: '0', transactionLimitMinor: '500000', cvmLimitMinor: '30000' },
        },
      },
    ],
    caPublicKeys: [caKey],
  };
  return terminalProfileOf(parameters, {
    ...{ ciphers: nodeCiphers, currency: '156', currencyExponent: 2 },
    interfaceDeviceSerialNumber: 'TAPNPAY1',
  });
}

function measure(
  bench: Bench,
  how: { readonly side: CardInterface; readonly reader: string; readonly count: number },
): Report {
  const { side, count } = how;
  const icc = bench.card(side);
  const terminal = bench.terminal(how.reader);
  const runs: Run[] = [];
  for (let index = -WARM_UP; index < count; index++) {
    icc.reset();
    const input = transaction(terminal);
    const kernel: Kernel<KernelOutcome> =
      side === 'contact' ? contactTransaction(input) : contactlessTransaction(input);
    const run = runKernel(kernel, icc);
    if (index >= 0) runs.push(run);
    if (index % 100 === 0) process.stderr.write(`\r${side} ${index}/${count} `);
  }
  return {
    interface: side,
    cpuMs: spreadOf(runs.map(({ cpuMs }) => cpuMs)),
    afterGpoMs: spreadOf(runs.map(({ afterGpoMs }) => afterGpoMs)),
    apdus: spreadOf(runs.map(({ apdus }) => apdus)).p50,
  };
}

function transaction(terminal: TerminalProfile): TerminalTransaction {
  return {
    ...{ ciphers: nodeCiphers, terminal, amountMinor: 1234n, otherAmountMinor: 0n },
    ...{ transactionType: 0, dateYymmdd: '260701', timeHhmmss: '101112', sequenceCounter: 1 },
    forceOnline: true,
    merchant: { nameAndLocation: 'BENCH SHOP' },
  };
}

/** Only the steps of the generator are timed: whatever answers them is not the kernel. */
function runKernel(kernel: Kernel<KernelOutcome>, icc: VirtualIcc): Run {
  let cpuMs = 0;
  let afterGpoMs = 0;
  let apdus = 0;
  let isAfterGpo = false;
  let answer: KernelAnswer;
  for (;;) {
    const started = performance.now();
    const step = kernel.next(answer);
    const tookMs = performance.now() - started;
    cpuMs += tookMs;
    if (isAfterGpo) afterGpoMs += tookMs;
    if (step.done) {
      const { outcome, reason } = step.value;
      if (outcome !== 'approved') throw new Error(`a payment was ${outcome}: ${reason}`);
      return { cpuMs, afterGpoMs, apdus };
    }
    const request = step.value;
    answer = answerOf(request, icc);
    if (request.kind !== 'transmit') continue;
    apdus += 1;
    isAfterGpo ||= request.command.ins === INS_GET_PROCESSING_OPTIONS;
  }
}

function answerOf(request: KernelRequest, icc: VirtualIcc): KernelAnswer {
  switch (request.kind) {
    case 'transmit':
      return decodeResponse(icc.transmit(encodeCommand(request.command)));
    case 'random':
      return systemRandom.bytes(request.lengthBytes);
    case 'selectApplication':
      return 0;
    case 'enterPin':
      return 'entered';
    case 'authorise': {
      const atc = request.request.values.get('9F36') ?? new Uint8Array(2);
      const key = deriveSessionKey(deriveIccMasterKey(IMK_AC, PAN, SEQUENCE), atc);
      const code = asciiToBytes('00');
      const arpc = arpcMethod1(key, request.request.arqc.value, code);
      const issuerAuthenticationData = concatBytes(arpc, code);
      return { result: 'answered', responseCode: '00', issuerAuthenticationData, scripts: [] };
    }
    default:
      return undefined;
  }
}

/** The public-key operations of one payment, on their own. */
function timeRecoveries(
  count: number,
  keys: readonly RsaPrivateKey[],
  recover: (key: RsaPrivateKey, block: Uint8Array) => unknown,
): Spread {
  const block = new Uint8Array(KEY_BITS / 8).fill(0x5a);
  const times: number[] = [];
  for (let index = -WARM_UP; index < count; index++) {
    const started = performance.now();
    for (const key of keys.slice(0, RECOVERIES)) recover(key, block);
    if (index >= 0) times.push(performance.now() - started);
  }
  return spreadOf(times);
}

/** The ceiling: OpenSSL with the keys loaded already. */
function timeOpenssl(count: number, keys: readonly RsaPrivateKey[]): Spread {
  const loaded = new Map(
    keys.map((key) => {
      const n = Buffer.from(key.modulus).toString('base64url');
      const e = Buffer.from(key.publicExponent).toString('base64url');
      return [key, createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })] as const;
    }),
  );
  const padding = constants.RSA_NO_PADDING;
  return timeRecoveries(count, keys, (key, block) => {
    const publicKey = loaded.get(key);
    if (publicKey) publicEncrypt({ key: publicKey, padding }, block);
  });
}

function textOf(result: {
  readonly contact: Report;
  readonly contactless: Report;
  readonly plain: Report;
  readonly rsaMs: Spread;
  readonly opensslRsaMs: Spread;
  readonly count: number;
}): string {
  const { contact, contactless, plain, rsaMs, opensslRsaMs, count } = result;
  const row = (name: string, { p50, p99 }: Spread): string =>
    `  ${name.padEnd(44)}${p50.toFixed(3).padStart(8)}${p99.toFixed(3).padStart(9)}`;
  return [
    `${count} payments each, keys of ${KEY_BITS} bits; CPU in ms    median      p99`,
    row('contact, DDA: the kernel', contact.cpuMs),
    row('qPBOC, fDDA: the kernel after GPO', contactless.afterGpoMs),
    row('qPBOC, fDDA: the kernel, whole', contactless.cpuMs),
    row('qPBOC without fDDA: the kernel after GPO', plain.afterGpoMs),
    row(`RSA of a DDA payment, ${RECOVERIES} public-key operations`, rsaMs),
    row('the same by OpenSSL (ceiling)', opensslRsaMs),
    `commands to the card: contact ${contact.apdus}, qPBOC ${plain.apdus},` +
      ` with fDDA ${contactless.apdus}`,
  ].join('\n');
}
