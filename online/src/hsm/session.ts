/** One connection to an HSM without its socket: the hello, then batches of commands. */
import { errorBody, type RandomSource, toHex } from '@tapnpay/protocol/bytes';
import {
  checkShape,
  countShape,
  type HsmCaller,
  hexShape,
  objectShape,
  type Shape,
  textShape,
} from '@tapnpay/protocol/wire';
import {
  callerProof,
  HSM_BATCH_MAX,
  HSM_NONCE_BYTES,
  type HsmGreeting,
  type HsmHello,
  type HsmRefusal,
  type HsmReplyFrame,
  type HsmWelcome,
  hsmProof,
  isSameProof,
} from '../runtime/hsm-wire.ts';
import { HsmError } from './errors.ts';
import { executeBatch, type HsmDevice } from './execute.ts';

/** Hex token of each caller that this HSM knows. */
export type HsmTokens = Readonly<Partial<Record<HsmCaller, string>>>;

const helloShape: Shape<HsmHello> = objectShape<HsmHello>({
  caller: textShape(16, /^[a-z]+$/),
  nonce: hexShape({ min: HSM_NONCE_BYTES, max: HSM_NONCE_BYTES }),
  proof: hexShape({ min: 32, max: 32 }),
});
const frameShape: Shape<{ readonly id: number; readonly batch: readonly unknown[] }> = objectShape({
  id: countShape(),
  batch: (value, path) => {
    if (Array.isArray(value) && value.length > 0 && value.length <= HSM_BATCH_MAX) return value;
    throw new HsmError('ERR_HSM_FRAME', `${path} is no list of 1 to ${HSM_BATCH_MAX} requests`);
  },
});

/** What the socket sends on; after `isOver` it closes. */
export type SessionOutput = {
  readonly frame: HsmWelcome | HsmReplyFrame | HsmRefusal;
  readonly isOver: boolean;
};

/** The conversation with one caller. */
export class HsmSession {
  readonly #device: HsmDevice;
  readonly #tokens: HsmTokens;
  readonly #nonce: string;
  readonly #unknownToken: string;
  #caller: HsmCaller | undefined;
  #over: SessionOutput | undefined;

  constructor(options: {
    readonly device: HsmDevice;
    readonly tokens: HsmTokens;
    readonly random: RandomSource;
  }) {
    this.#device = options.device;
    this.#tokens = options.tokens;
    this.#nonce = toHex(options.random.bytes(HSM_NONCE_BYTES));
    this.#unknownToken = toHex(options.random.bytes(HSM_NONCE_BYTES));
  }

  /** Who is connected, once that is proven. */
  get caller(): HsmCaller | undefined {
    return this.#caller;
  }

  /** The first frame. */
  greeting(): HsmGreeting {
    return { nonce: this.#nonce };
  }

  /** The answer to one frame; never throws. */
  async receive(value: unknown): Promise<SessionOutput> {
    // Frames that came along with the one that ended the connection are not looked at.
    if (this.#over) return this.#over;
    try {
      const caller = this.#caller;
      if (!caller) return { frame: this.#welcome(value), isOver: false };
      const { id, batch } = checkShape(frameShape, value, 'frame');
      const replies = await executeBatch(this.#device, caller, batch);
      return { frame: { id, replies }, isOver: false };
    } catch (thrown) {
      this.#over = refusal(thrown);
      return this.#over;
    }
  }

  #welcome(value: unknown): HsmWelcome {
    const { caller, nonce, proof } = checkShape(helloShape, value, 'hello');
    const known = Object.entries(this.#tokens).find(([name]) => name === caller);
    // An unknown caller costs as much as a wrong proof, and gets the same answer.
    const token = known?.[1] ?? this.#unknownToken;
    const isRight = isSameProof(proof, callerProof(token, this.#nonce, caller));
    if (!known || !isRight) {
      throw new HsmError('ERR_HSM_HELLO', 'the caller did not prove who it is');
    }
    this.#caller = known[0] as HsmCaller;
    return { proof: hsmProof(token, { caller: nonce, hsm: this.#nonce }) };
  }
}

/** The last frame of a connection whose bytes or frames are no good. */
export function refusal(thrown: unknown): SessionOutput {
  const isOurs = thrown instanceof HsmError;
  const error = isOurs ? thrown : new HsmError('ERR_HSM_FRAME', errorBody(thrown).message);
  return { frame: { error: error.toJSON() }, isOver: true };
}
