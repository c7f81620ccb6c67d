/**
 * The payment application in its sandbox: the one that the card has, as its manager installed it;
 * before that a load file whose bytes were named from outside.
 */
import { readFileSync } from 'node:fs';
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { PAYMENT_INSTANCE_AID, PAYMENT_LOAD_FILE_AID } from '@tapnpay/protocol/globalplatform/data';
import type { AppletInstance } from '@tapnpay/protocol/globalplatform/oncard';
import { sha256Hex } from '@tapnpay/protocol/node';
import {
  checkShape,
  elementPayResultShape,
  elementTokenResultShape,
  type HostConversation,
  type PaymentApplicationModule,
  type PaymentIntent,
  type Shape,
} from '@tapnpay/protocol/wire';
import { type ElementCard, paymentLoadFileHash } from './card/index.ts';
import { ElementError } from './errors.ts';
import { SandboxError, type SandboxRunner } from './sandbox/index.ts';

/** SELECTABLE and personalised. @see GPCS 2.3.1 §5.3 */
const LIFE_CYCLE_OPERABLE = 0x0f;

/** An application that the session can start. */
export type LoadedApplication = {
  readonly application: PaymentApplicationModule<CipherProvider>;
  /** SHA-256 of the load file's bytes, hex. */
  readonly loadFileHash: string;
  /** Starts its interpreter, so that a payment need not wait for it. */
  readonly warm: () => void;
};

/** The card's own payment application, or `given` while its manager has installed none. */
export function paymentApplicationOf(
  runner: SandboxRunner,
  card: ElementCard | null,
  given: LoadedApplication,
): LoadedApplication {
  const found = card?.paymentInstance() ?? null;
  const hash = card && paymentLoadFileHash(card.state());
  if (card === null || found === null || !hash) return given;
  const seat: InstanceSeat = {
    instance: () => card.paymentInstance() ?? found,
    keep: (persistent) => card.keepPaymentInstance(persistent),
  };
  return {
    application: sandboxedPayments(runner, seat),
    loadFileHash: toHex(hash),
    warm: warming(runner, seat),
  };
}

/**
 * Reads a load file, if its bytes are the ones that the hash names.
 * @throws ElementError `ERR_ELEMENT_APPLICATION`.
 */
export function loadApplication(
  runner: SandboxRunner,
  file: { readonly path: string; readonly hash: string },
): LoadedApplication {
  const code = readFileSync(file.path);
  const loadFileHash = sha256Hex(code);
  if (loadFileHash.toUpperCase() !== file.hash.toUpperCase()) {
    throw new ElementError(
      'ERR_ELEMENT_APPLICATION',
      'the load file is not the one that was named',
    );
  }
  // Without a registry: what it writes lasts as long as this process.
  let instance = instanceOf(runner, new Uint8Array(code));
  const seat: InstanceSeat = {
    instance: () => instance,
    keep: (persistent) => {
      instance = { ...instance, persistent };
    },
  };
  return {
    application: sandboxedPayments(runner, seat),
    loadFileHash,
    warm: warming(runner, seat),
  };
}

function warming(runner: SandboxRunner, { instance }: InstanceSeat): () => void {
  return () => {
    try {
      runner.warm(instance());
    } catch (thrown) {
      // Whoever starts a payment is told why there is none; the element itself goes on.
      if (!(thrown instanceof TapError)) throw thrown;
    }
  };
}

function instanceOf(runner: SandboxRunner, code: Uint8Array): AppletInstance {
  let moduleAid: string | undefined;
  try {
    [moduleAid] = runner.modules(code);
  } catch (cause) {
    throw new ElementError('ERR_ELEMENT_APPLICATION', 'the file is no load file', {}, cause);
  }
  return {
    ...{ aid: PAYMENT_INSTANCE_AID, loadFileAid: PAYMENT_LOAD_FILE_AID, code },
    ...{ moduleAid: moduleAid ?? '', persistent: new Uint8Array() },
    lifeCycle: LIFE_CYCLE_OPERABLE,
  };
}

/** The instance that pays, and who makes last what its conversations write. */
export type InstanceSeat = {
  readonly instance: () => AppletInstance;
  /** Throws when the bytes were not kept; then the conversation fails. */
  readonly keep: (persistent: Uint8Array) => void;
};

/** Payments of an instance as the session starts them; each runs in the sandbox. */
export function sandboxedPayments(
  runner: SandboxRunner,
  seat: InstanceSeat,
): PaymentApplicationModule<CipherProvider> {
  return {
    createPaymentApplication: ({ elementId, parameters }) => ({
      pay: (intent) =>
        answerIn(
          runner,
          { seat, intent: { kind: 'pay', ...intent, elementId, parameters } },
          elementPayResultShape,
        ),
      token: (intent) =>
        answerIn(
          runner,
          { seat, intent: { kind: 'token', ...intent, elementId, parameters } },
          elementTokenResultShape,
        ),
    }),
  };
}

/** The result of a conversation, which is the application's word and has to have its form. */
function* answerIn<Result>(
  runner: SandboxRunner,
  asked: { readonly seat: InstanceSeat; readonly intent: PaymentIntent },
  shape: Shape<Result>,
): HostConversation<Result> {
  const { instance, keep } = asked.seat;
  const { result, persistent } = yield* runner.converse(instance(), asked.intent, keep);
  if (persistent) keep(persistent);
  try {
    return checkShape(shape, result, 'result');
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : '';
    throw new SandboxError('ERR_APPLET_ANSWER', `no result of a ${asked.intent.kind}: ${why}`);
  }
}
