/** Drives the kernel's generator with asynchronous methods. */
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import { KernelError } from './errors.ts';
import type {
  Candidate,
  Kernel,
  KernelAnswer,
  KernelRequest,
  OfflineApproval,
  OnlineAnswer,
  OnlineRequest,
  PinEntry,
  PinVerification,
  ReferralAnswer,
} from './types.ts';

type Awaitable<Value> = Value | Promise<Value>;

/** One method a request; see `KernelRequest` for what each must answer. */
export type KernelDriver = {
  transmit(command: CommandApdu): Awaitable<ResponseApdu>;
  random(lengthBytes: number): Awaitable<Uint8Array>;
  selectApplication(candidates: readonly Candidate[]): Awaitable<number | null>;
  enterPin(request: Extract<KernelRequest, { kind: 'enterPin' }>): Awaitable<PinEntry>;
  /** A driver without it has no PIN for the card. */
  verifyPin?(verification: PinVerification): Awaitable<ResponseApdu>;
  authorise(request: OnlineRequest): Awaitable<OnlineAnswer>;
  /** A driver without it cannot ask: declined. */
  referral?(request: Extract<KernelRequest, { kind: 'referral' }>): Awaitable<ReferralAnswer>;
  /** A driver without it keeps nothing: an offline approval becomes unknown. */
  storeOfflineApproval?(approval: OfflineApproval): Awaitable<void>;
  /** The card may be taken away. */
  releaseCard?(): Awaitable<void>;
  phase?(notice: Extract<KernelRequest, { kind: 'phase' }>): void;
};

/**
 * Runs a transaction to its outcome. What a method throws is thrown at the kernel's question, so
 * that it decides what a lost card or line means at that moment.
 * @throws whatever the kernel throws: its own faults, and the driver's before `authorise`.
 */
export async function driveKernel<Outcome>(
  kernel: Kernel<Outcome>,
  driver: KernelDriver,
): Promise<Outcome> {
  let step = kernel.next(undefined);
  while (!step.done) {
    let answer: KernelAnswer;
    try {
      answer = await answerRequest(step.value, driver);
    } catch (fault) {
      step = kernel.throw(fault);
      continue;
    }
    step = kernel.next(answer);
  }
  return step.value;
}

async function answerRequest(request: KernelRequest, driver: KernelDriver): Promise<KernelAnswer> {
  switch (request.kind) {
    case 'transmit':
      return await driver.transmit(request.command);
    case 'random':
      return await driver.random(request.lengthBytes);
    case 'selectApplication':
      return await driver.selectApplication(request.candidates);
    case 'enterPin':
      return await driver.enterPin(request);
    case 'verifyPin':
      if (!driver.verifyPin) throw lacking('verifyPin');
      return await driver.verifyPin(request.verification);
    case 'authorise':
      return await driver.authorise(request.request);
    case 'referral':
      return (await driver.referral?.(request)) ?? 'declined';
    case 'storeOfflineApproval':
      if (!driver.storeOfflineApproval) throw lacking('storeOfflineApproval');
      await driver.storeOfflineApproval(request.approval);
      return undefined;
    case 'releaseCard':
      await driver.releaseCard?.();
      return undefined;
    case 'phase':
      driver.phase?.(request);
      return undefined;
  }
}

function lacking(method: string): KernelError {
  return new KernelError('ERR_KERNEL_ANSWER', `the driver has no ${method}`, { method });
}
