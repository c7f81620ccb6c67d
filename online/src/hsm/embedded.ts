/**
 * The embedded driver: keys are TR-31 D blocks under the local master key of a context, ciphers are
 * our own DES and Node's AES, SM4 and RSA, all in this process. @see X9.143
 */
import { errorBody } from '@tapnpay/protocol/bytes';
import type { KeyBlock } from '@tapnpay/protocol/wire';
import type { HsmReply } from '../runtime/hsm-wire.ts';
import { batchedMacReplies } from './commands/mac-commands.ts';
import { HSM_COMMANDS } from './commands/table.ts';
import { closeHsmContext, forgetKeys, type HsmContext } from './context.ts';
import type { DriverCall, HsmDriver, HsmKeyStore, HsmMechanism } from './driver.ts';
import { HsmError } from './errors.ts';
import { openKey } from './keys.ts';

/** A context as a driver. */
export class EmbeddedDriver implements HsmDriver {
  readonly name = 'embedded';
  readonly capabilities: ReadonlySet<HsmMechanism>;
  readonly keys: HsmKeyStore;
  readonly #context: HsmContext;

  constructor(context: HsmContext) {
    this.#context = context;
    this.capabilities = context.mechanisms;
    this.keys = {
      kindOf: (handle: KeyBlock) => openKey(context, handle),
      forget: (handles) => forgetKeys(context, handles),
    };
  }

  async execute(calls: readonly DriverCall[]): Promise<readonly HsmReply[]> {
    const macs = batchedMacReplies(this.#context, calls);
    return calls.map((call) => {
      try {
        return { ok: macs.get(call) ?? this.executeOne(call) };
      } catch (thrown) {
        return { error: errorBody(thrown) };
      }
    });
  }

  /** The answer of one call. @throws HsmError, never anything else. */
  executeOne(call: DriverCall): unknown {
    try {
      return HSM_COMMANDS[call.command].run(this.#context, call);
    } catch (thrown) {
      if (thrown instanceof HsmError) throw thrown;
      // The cause is not handed on: nobody knows what it quotes.
      throw new HsmError('ERR_HSM_INTERNAL', 'the command failed inside the HSM');
    }
  }

  close(): void {
    closeHsmContext(this.#context);
  }
}
