/**
 * `bench issuer`: what an issuer computes for one purchase, on one core. MAC of the request, PIN
 * block and PVV, card key, session key, ARQC, ARPC, MAC of the reply: by our own ciphers, by
 * OpenSSL's in the same run, and through the HSM's commands over its socket.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { readHsmTokens } from '@tapnpay/online/hsm';
import { connectHsm, type HsmClient } from '@tapnpay/online/runtime';
import { toHex } from '@tapnpay/protocol/bytes';
import { systemRandom } from '@tapnpay/protocol/node';
import { type KeyBlock, KeyUsage } from '@tapnpay/protocol/wire';
import type { Benchmark } from './benchmark.ts';
import type { IssuerHsmFacts } from './issuer-hsm.ts';
import {
  ARC,
  type IssuerCase,
  type IssuerKeys,
  type IssuerStep,
  issuerCases,
  opensslStep,
  ownBatch,
  ownStep,
  PVKI,
} from './issuer-step.ts';

/** Cards of a run: more than one step finds warm, fewer than the schedule cache holds. */
const CASES = 512;
/** Requests of a batch: most that a frame of the HSM holds. */
const BATCH = 64;
const WARM_UP = 16_384;
/** Steps of one measurement: about 160 ms, since a thread's CPU clock may tick in steps of 4 ms. */
const SLICE = 16_384;
/** The peer and the socket are slower: a share of the steps shows it as well. */
const PEER_SHARE = 4;
const BATCHED_SHARE = 8;
const SINGLE_SHARE = 64;
/** Steps that are in flight at one time when calls are batched. */
const STEPS_IN_FLIGHT = 64;
const CALLS_PER_STEP = 5;
const KEY_BYTES = 16;

/**
 * Steps a second of a core, that is of the thread's CPU time: the median of many short measurements
 * and, since a busy machine takes caches and clock away, that of the fastest tenth. `perSecond` is
 * by the clock on the wall.
 */
type Rate = {
  readonly perCoreSecond: number;
  readonly undisturbedPerCoreSecond: number;
  readonly perSecond: number;
};

/** Measures `count` steps in this process, fewer over the socket. */
export const benchIssuer: Benchmark = {
  countDefault: 200_000,
  countMax: 10_000_000,
  run: async (count) => {
    const keys: IssuerKeys = {
      ...{ mac: systemRandom.bytes(KEY_BYTES), pin: systemRandom.bytes(KEY_BYTES) },
      ...{ pvk: systemRandom.bytes(KEY_BYTES), imkAc: systemRandom.bytes(KEY_BYTES) },
    };
    const cases = issuerCases(keys, CASES);
    const peerCount = Math.ceil(count / PEER_SHARE);
    const own = measureBatches(ownBatch(keys), cases, count);
    const ownCachedCardKeys = measureBatches(ownBatch(keys, new Map()), cases, count);
    const ownSingle = measure(ownStep(keys), cases, count);
    const openssl = measure(opensslStep(keys), cases, peerCount);
    const opensslCachedCardKeys = measure(opensslStep(keys, new Map()), cases, peerCount);
    const hsm = await measureHsm(keys, cases, count);
    const json = {
      issuerStepsPerSecond: own.perCoreSecond,
      count,
      ...{ own, ownCachedCardKeys, ownSingle, openssl, opensslCachedCardKeys, hsm },
    };
    return { json, text: textOf(json) };
  },
};

/** One request after the other. */
function measure(step: IssuerStep, cases: readonly IssuerCase[], count: number): Rate {
  return measureBatches((requests) => requests.map(step), cases, count);
}

/** Requests in batches, as they come in a frame of the HSM. */
function measureBatches(
  step: (requests: readonly IssuerCase[]) => unknown,
  cases: readonly IssuerCase[],
  count: number,
): Rate {
  const batches = Array.from({ length: CASES / BATCH }, (_, index) =>
    cases.slice(BATCH * index, BATCH * (index + 1)),
  );
  let next = 0;
  const run = (times: number): number => {
    for (let batch = 0; batch < times; batch++) step(batches[next++ % batches.length] ?? []);
    return times * BATCH;
  };
  run(WARM_UP / BATCH);
  const rates: number[] = [];
  const startedMs = performance.now();
  let done = 0;
  while (done < count) {
    const cpu = process.threadCpuUsage();
    const steps = run(SLICE / BATCH);
    const { user, system } = process.threadCpuUsage(cpu);
    rates.push((steps * 1e6) / Math.max(1, user + system));
    done += steps;
  }
  const perSecond = Math.round((done * 1e3) / (performance.now() - startedMs));
  rates.sort((left, right) => right - left);
  const at = (share: number): number => Math.round(rates[Math.floor(share * rates.length)] ?? 0);
  return { perCoreSecond: at(0.5), undisturbedPerCoreSecond: at(0.1), perSecond };
}

type HsmRate = { readonly stepsPerSecond: number; readonly callsPerSecond: number };

/** The same steps as commands to an HSM in a thread of its own. */
async function measureHsm(
  keys: IssuerKeys,
  cases: readonly IssuerCase[],
  count: number,
): Promise<{ readonly single: HsmRate; readonly batched: HsmRate }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'tapnpay-bench-hsm-'));
  const workerData: IssuerHsmFacts = { dataDir };
  const worker = new Worker(new URL('./issuer-hsm.ts', import.meta.url), { workerData });
  try {
    const port = await new Promise<number>((done, fail) => {
      worker.once('message', done);
      worker.once('error', fail);
    });
    const tokens = readHsmTokens(dataDir, 'issuer');
    const client = (caller: 'ceremony' | 'issuer'): Promise<HsmClient> =>
      connectHsm({ port, caller, tokenHex: tokens[caller] ?? '' });
    const ceremony = await client('ceremony');
    const blocks = await formKeys(ceremony, keys);
    const issuer = await client('issuer');
    const step = hsmStep(issuer, blocks);
    await timeSteps(step, cases, { count: 200, inFlight: STEPS_IN_FLIGHT });
    const counts = { single: count / SINGLE_SHARE, batched: count / BATCHED_SHARE };
    const single = await timeSteps(step, cases, { count: counts.single, inFlight: 1 });
    const inFlight = STEPS_IN_FLIGHT;
    const batched = await timeSteps(step, cases, { count: counts.batched, inFlight });
    await Promise.all([issuer.close(), ceremony.close()]);
    return { single, batched };
  } finally {
    worker.postMessage('close');
    await worker.terminate();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

type Blocks = Readonly<Record<keyof IssuerKeys, KeyBlock>>;

/** The keys of the cases as blocks of this HSM. */
async function formKeys(ceremony: HsmClient, keys: IssuerKeys): Promise<Blocks> {
  const form = async (usage: KeyUsage, key: Uint8Array): Promise<KeyBlock> => {
    const components = [toHex(key), '00'.repeat(KEY_BYTES)];
    const request = { command: 'formKey', usage, algorithm: 'T', components } as const;
    return (await ceremony.call(request)).keyBlock;
  };
  return {
    mac: await form(KeyUsage.macX9, keys.mac),
    pin: await form(KeyUsage.pinEncryption, keys.pin),
    pvk: await form(KeyUsage.pinVerification, keys.pvk),
    imkAc: await form(KeyUsage.issuerMasterAc, keys.imkAc),
  };
}

type HsmStep = (request: IssuerCase) => Promise<void>;

/** Five commands, each after the answer of the one before, as an issuer sends them. */
function hsmStep(hsm: HsmClient, keys: Blocks): HsmStep {
  const must = ({ valid }: { readonly valid: boolean }): void => {
    if (!valid) throw new Error('a check of the HSM failed');
  };
  return async (request) => {
    const { pan, panSequenceNumber } = request;
    const card = { card: { pan, panSequenceNumber }, atc: toHex(request.atc) };
    const { mac: key, imkAc } = keys;
    const arqc = toHex(request.arqc);
    const mac = toHex(request.requestMac);
    must(await hsm.call({ command: 'verifyMac', key, data: toHex(request.requestBlock), mac }));
    const { pvv } = request;
    const pinBlock = toHex(request.pinBlock);
    const pin = { pinKey: keys.pin, pvk: keys.pvk, pinBlock, pan, pvki: PVKI, pvv };
    must(await hsm.call({ command: 'verifyPin', ...pin }));
    const data = toHex(request.acInput);
    must(await hsm.call({ command: 'verifyArqc', imkAc, ...card, data, arqc }));
    await hsm.call({ command: 'generateArpc', imkAc, ...card, arqc, arc: toHex(ARC) });
    await hsm.call({ command: 'generateMac', key, data: toHex(request.replyBlock) });
  };
}

async function timeSteps(
  step: HsmStep,
  cases: readonly IssuerCase[],
  load: { readonly count: number; readonly inFlight: number },
): Promise<HsmRate> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < load.count) {
      const request = cases[next++ % cases.length];
      if (request) await step(request);
    }
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: load.inFlight }, worker));
  const stepsPerSecond = (next * 1e3) / (performance.now() - startedMs);
  return {
    stepsPerSecond: Math.round(stepsPerSecond),
    callsPerSecond: Math.round(CALLS_PER_STEP * stepsPerSecond),
  };
}

function textOf(report: {
  readonly count: number;
  readonly own: Rate;
  readonly ownCachedCardKeys: Rate;
  readonly ownSingle: Rate;
  readonly openssl: Rate;
  readonly opensslCachedCardKeys: Rate;
  readonly hsm: { readonly single: HsmRate; readonly batched: HsmRate };
}): string {
  const row = (name: string, ...figures: readonly number[]): string =>
    `  ${name.padEnd(40)}${figures.map((figure) => String(figure).padStart(12)).join('')}`;
  const rate = (name: string, rates: Rate): string =>
    row(name, rates.perCoreSecond, rates.undisturbedPerCoreSecond, rates.perSecond);
  const hsm = (name: string, { stepsPerSecond, callsPerSecond }: HsmRate): string =>
    row(name, stepsPerSecond, callsPerSecond);
  return [
    `${`issuer steps, ${report.count}`.padEnd(42)}  CPU second  undisturbed wall second`,
    rate(`our own ciphers, ${BATCH} requests together`, report.own),
    rate('the same, card keys kept', report.ownCachedCardKeys),
    rate('our own, one request at a time', report.ownSingle),
    rate('node:crypto, ciphers kept (peer)', report.openssl),
    rate('node:crypto, card keys kept', report.opensslCachedCardKeys),
    'over the socket, HSM in another thread       steps/s     calls/s',
    hsm('one call at a time', report.hsm.single),
    hsm(`${STEPS_IN_FLIGHT} steps in flight, calls batched`, report.hsm.batched),
  ].join('\n');
}
