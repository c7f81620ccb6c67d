/** A card by script: answers in order, and fails on anything that the script does not say. */
import { fromHex, toHex } from '@tapnpay/protocol/bytes';
import { ICC_ATR_T1, ICC_ATS } from '@tapnpay/protocol/emv/data';
import type { CardInterface } from '@tapnpay/protocol/wire';
import type { ChipCard } from './card-reader.ts';
import { ReaderError, type ReaderErrorCode } from './errors.ts';
import { MemoryReader } from './memory-reader.ts';

/** One exchange: command and answer in hex, or the code of the fault that it ended with. */
export type ScriptStep =
  | { readonly command: string; readonly response: string }
  | { readonly command: string; readonly fault: ReaderErrorCode };

/** The script and how strictly it is kept. */
export type CardScript = {
  readonly interface: CardInterface;
  /** Hex; a plain one where nothing is said. */
  readonly atr?: string;
  readonly steps: readonly ScriptStep[];
  /**
   * `bytes`: every command is the script's to the byte. `header`: only CLA INS P1 P2 must agree,
   * for a replay whose date, amount and random number are others.
   */
  readonly match?: 'bytes' | 'header';
};

const HEADER_DIGITS = 8;

/** A card in a process that follows its script; a power-on does not start it anew. */
export class ScriptedCard implements ChipCard {
  readonly interface: CardInterface;
  readonly #script: CardScript;
  #next = 0;

  constructor(script: CardScript) {
    this.interface = script.interface;
    this.#script = script;
  }

  reset(): Uint8Array {
    const plain = this.interface === 'contactless' ? ICC_ATS : ICC_ATR_T1;
    return fromHex(this.#script.atr ?? plain);
  }

  /** @throws ReaderError `ERR_CARD_SCRIPT` on any deviation, or the fault of the step. */
  transmit(command: Uint8Array): Uint8Array {
    const index = this.#next;
    const step = this.#script.steps[index];
    const hex = toHex(command);
    if (step === undefined) throw deviation(index, hex, 'nothing');
    if (!this.#isMatch(hex, step.command)) throw deviation(index, hex, step.command);
    this.#next += 1;
    if ('response' in step) return fromHex(step.response);
    throw new ReaderError(step.fault, 'the script ends this exchange with a fault', { index });
  }

  /** @throws ReaderError `ERR_CARD_SCRIPT` when commands of the script were never sent. */
  assertFinished(): void {
    const { steps } = this.#script;
    const step = steps[this.#next];
    if (step) throw deviation(this.#next, 'nothing', step.command);
  }

  #isMatch(hex: string, wanted: string): boolean {
    if (this.#script.match !== 'header') return hex === wanted;
    return hex.slice(0, HEADER_DIGITS) === wanted.slice(0, HEADER_DIGITS);
  }
}

/** A reader with this card in it. */
export function scriptedReader(script: CardScript, name = 'Scripted reader'): MemoryReader {
  const reader = new MemoryReader({ name, kind: 'scripted' });
  reader.insert(new ScriptedCard(script));
  return reader;
}

function deviation(index: number, got: string, wanted: string): ReaderError {
  const message = `exchange ${index + 1}: the script says ${wanted}, not ${got}`;
  return new ReaderError('ERR_CARD_SCRIPT', message, { index });
}
