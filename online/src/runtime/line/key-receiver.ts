/** The member's half of a key exchange: 0800/101 for the PIN key, then for the MAC key. */
import {
  type DecodedMessage,
  decodeKeyReset,
  type KeyReset,
  textField,
  type WorkingKey,
} from '@tapnpay/protocol/iso8583';
import type { Hsm, KeyBlock } from '@tapnpay/protocol/wire';
import type { Log } from '../logging.ts';
import { importWorkingKey, type LineKeys } from './keys.ts';

/** Key resets of one connection whose copies are known. */
const RESETS_REMEMBERED = 64;

/** What a key reset led to: field 39 of its answer, and both keys when they are complete. */
export type ReceivedKeys = {
  readonly responseCode: string;
  readonly complete: { readonly keys: LineKeys; readonly id: string } | null;
};

/** Collects the keys that one connection brings. */
export class KeyReceiver {
  readonly #hsm: Hsm;
  readonly #zoneKey: KeyBlock;
  readonly #log: Log;
  /** Trace -> answer of the key resets of this connection. */
  readonly #answered = new Map<string, string>();
  #parts = new Map<WorkingKey, { readonly keyBlock: KeyBlock; readonly kcv: string }>();

  constructor(options: { readonly hsm: Hsm; readonly zoneKey: KeyBlock; readonly log: Log }) {
    this.#hsm = options.hsm;
    this.#zoneKey = options.zoneKey;
    this.#log = options.log;
  }

  /** Takes an 0800/101. @throws Iso8583Error when it holds no key. */
  async take(message: DecodedMessage): Promise<ReceivedKeys> {
    const reset = decodeKeyReset(message);
    const trace = `${textField(message, 11)}|${textField(message, 7)}`;
    const answered = this.#answered.get(trace);
    // A copy, perhaps from before a newer key: answered again, never taken again.
    if (answered !== undefined) return { responseCode: answered, complete: null };
    const { keyBlock, responseCode } = await importWorkingKey(this.#hsm, reset, this.#zoneKey);
    this.#log({ event: 'lineKeyReset', which: reset.key, kcv: reset.kcv, responseCode });
    this.#note(trace, responseCode);
    const complete = keyBlock === null ? this.#refuse() : this.#add(reset, keyBlock);
    return { responseCode, complete };
  }

  /** Half an exchange is none. */
  #refuse(): null {
    this.#parts.clear();
    return null;
  }

  #add({ key, kcv }: KeyReset, keyBlock: KeyBlock): ReceivedKeys['complete'] {
    this.#parts.set(key, { keyBlock, kcv });
    const pin = this.#parts.get('pin');
    const mac = this.#parts.get('mac');
    if (!pin || !mac) return null;
    this.#parts = new Map();
    return { keys: { pin: pin.keyBlock, mac: mac.keyBlock }, id: pin.kcv + mac.kcv };
  }

  #note(trace: string, responseCode: string): void {
    const [oldest] = this.#answered.keys();
    if (this.#answered.size >= RESETS_REMEMBERED && oldest !== undefined) {
      this.#answered.delete(oldest);
    }
    this.#answered.set(trace, responseCode);
  }
}
