/** A synchronous driver for tests: answers the kernel from functions and keeps what it asked. */
import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../bytes/index.ts';
import type { CipherProvider } from '../../crypto/index.ts';
import { type CommandApdu, encodeCommand, type ResponseApdu } from '../../iso7816/index.ts';
import { type TestCardOptions, type TestKeys, testCard, testTransaction } from './card.test-kit.ts';
import { contactTransaction } from './contact-transaction.ts';
import type {
  Candidate,
  ContactOutcome,
  Kernel,
  KernelAnswer,
  KernelOutcome,
  KernelRequest,
  OfflineApproval,
  OnlineAnswer,
  OnlineRequest,
  PinEntry,
  PinVerification,
  ReferralAnswer,
} from './types.ts';

/** What the tests answer; an absent member answers the plainest thing. */
export type TestDriver = {
  readonly transmit: (command: CommandApdu, index: number) => ResponseApdu;
  readonly random?: (lengthBytes: number) => Uint8Array;
  readonly selectApplication?: (candidates: readonly Candidate[]) => number | null;
  readonly enterPin?: (request: Extract<KernelRequest, { kind: 'enterPin' }>) => PinEntry;
  readonly verifyPin?: (verification: PinVerification) => ResponseApdu;
  readonly referral?: (request: Extract<KernelRequest, { kind: 'referral' }>) => ReferralAnswer;
  readonly storeOfflineApproval?: (approval: OfflineApproval) => void;
  readonly authorise?: (request: OnlineRequest) => OnlineAnswer;
  readonly releaseCard?: () => void;
  readonly onPhase?: (notice: Extract<KernelRequest, { kind: 'phase' }>) => void;
};

/** What the kernel asked for, and its end. */
export type TestRun<Outcome extends KernelOutcome = ContactOutcome> = {
  readonly outcome: Outcome;
  readonly commands: readonly CommandApdu[];
  readonly phases: readonly Extract<KernelRequest, { kind: 'phase' }>[];
  readonly requests: readonly OnlineRequest[];
  readonly offers: readonly (readonly Candidate[])[];
  readonly steps: number;
};

/** Runs a kernel to its end; a function that throws is thrown at the kernel's question. */
export function runKernel<Outcome extends KernelOutcome>(
  kernel: Kernel<Outcome>,
  driver: TestDriver,
): TestRun<Outcome> {
  const commands: CommandApdu[] = [];
  const phases: Extract<KernelRequest, { kind: 'phase' }>[] = [];
  const requests: OnlineRequest[] = [];
  const offers: (readonly Candidate[])[] = [];
  const answer = (request: KernelRequest): KernelAnswer => {
    switch (request.kind) {
      case 'transmit':
        assert.equal(releases, 0, 'no command after the card was released');
        commands.push(request.command);
        return driver.transmit(request.command, commands.length - 1);
      case 'random':
        return driver.random?.(request.lengthBytes) ?? new Uint8Array(request.lengthBytes);
      case 'selectApplication':
        offers.push(request.candidates);
        return driver.selectApplication ? driver.selectApplication(request.candidates) : 0;
      case 'enterPin':
        return driver.enterPin?.(request) ?? 'entered';
      case 'verifyPin':
        assert.ok(driver.verifyPin, 'the test has an answer to verifyPin');
        return driver.verifyPin(request.verification);
      case 'referral':
        return driver.referral?.(request) ?? 'declined';
      case 'storeOfflineApproval':
        driver.storeOfflineApproval?.(request.approval);
        return undefined;
      case 'authorise':
        requests.push(request.request);
        return driver.authorise ? driver.authorise(request.request) : { result: 'unable' };
      case 'releaseCard':
        releases += 1;
        driver.releaseCard?.();
        return undefined;
      case 'phase':
        phases.push(request);
        driver.onPhase?.(request);
        return undefined;
    }
  };
  let releases = 0;
  let step = kernel.next(undefined);
  let steps = 0;
  while (!step.done) {
    steps += 1;
    step = answered(kernel, () => answer((step as { value: KernelRequest }).value));
  }
  assert.equal(releases, 1, 'the card is released once');
  return { outcome: step.value, commands, phases, requests, offers, steps };
}

function answered<Outcome>(
  kernel: Kernel<Outcome>,
  answer: () => KernelAnswer,
): IteratorResult<KernelRequest, Outcome> {
  let value: KernelAnswer;
  try {
    value = answer();
  } catch (fault) {
    return kernel.throw(fault);
  }
  return kernel.next(value);
}

/** One transaction of the test card: what is special about card, issuer, terminal and driver. */
export type TestCase = {
  readonly card?: TestCardOptions;
  readonly online?: OnlineAnswer;
  readonly change?: Parameters<typeof testTransaction>[2];
  readonly driver?: Partial<TestDriver>;
};

/** An approval with an ARPC. */
export const APPROVAL: OnlineAnswer = {
  result: 'answered',
  responseCode: '00',
  issuerAuthenticationData: fromHex('AABBCCDDEEFF00113030'),
  scripts: [],
};

/** A run, its commands as wire text, its word and flags. */
export type CaseRun = TestRun & {
  readonly wires: readonly string[];
  readonly word: readonly [outcome: string, reason: string];
  readonly tvr: string;
  readonly tsi: string;
};

/** Runs a case; the card asks for no CVM unless it says otherwise. */
export function runCase(
  chain: { readonly ciphers: CipherProvider; readonly keys: TestKeys },
  { card = {}, online = APPROVAL, change = {}, driver = {} }: TestCase,
): CaseRun {
  const options = { ...card, elements: { '8E': '00000000000000001F00', ...card.elements } };
  const transaction = testTransaction(chain.ciphers, chain.keys, change);
  const result = runKernel(contactTransaction(transaction), {
    transmit: testCard(chain.ciphers, chain.keys, options),
    random: (length) => new Uint8Array(length).fill(0x5a),
    authorise: () => online,
    ...driver,
  });
  return {
    ...result,
    wires: result.commands.map((command) => toHex(encodeCommand(command))),
    word: [result.outcome.outcome, result.outcome.reason],
    tvr: toHex(result.outcome.tvr),
    tsi: toHex(result.outcome.tsi),
  };
}

/** Answers one instruction its own way, from its n-th use on. */
export function answering(ins: number, response: ResponseApdu, from = 1): TestCardOptions {
  let used = 0;
  return {
    override: (command: CommandApdu) => {
      if (command.ins !== ins) return undefined;
      used += 1;
      return used >= from ? response : undefined;
    },
  };
}
