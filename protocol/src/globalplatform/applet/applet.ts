/** What an applet is: the object that a load file's `createApplet` gives. */
import { errorFromBody, TapError } from '../../bytes/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import type { AppletHost, KeyName } from './host.ts';

/** A grouping of personalisation data; of a key (8113 after its 00B9) only the name comes. */
export type AppletGrouping =
  | { readonly identifier: number; readonly value: Uint8Array }
  | { readonly identifier: number; readonly key: KeyName };
/** Data of STORE DATA, whole and deciphered. */
export type AppletData = {
  readonly form: 'groupings' | 'tlv' | 'plain';
  /** Empty in form `groupings`: keys are not to be seen there. */
  readonly bytes: Uint8Array;
  readonly groupings: readonly AppletGrouping[];
};

/**
 * An applet. Each call is a transaction: what it wrote lasts when the call returns, and nothing of
 * it when the call throws. After a throw the applet is made anew from what lasts.
 */
export interface Applet {
  /** A new instance; `parameters` is what INSTALL gave in C9. */
  install?(parameters: Uint8Array): void;
  /** The answer to SELECT; any other status word than 9000 refuses it. Without it: 9000. */
  select?(command: CommandApdu): ResponseApdu;
  process(command: CommandApdu): ResponseApdu;
  personalise?(data: AppletData): ResponseApdu;
  /** Another application is selected; nothing that is written here lasts. */
  deselect?(): void;
  /**
   * A conversation with the outside world: a generator that yields calls, gets the answers, and
   * returns the result. For applications that the element itself starts.
   */
  converse?(intent: unknown): Generator<unknown, unknown, unknown>;
}

/** What the module of a load file exports as `createApplet`. */
export type CreateApplet = (moduleAid: string, host: AppletHost) => Applet;

/** A thrown value as a coded fault where it is one: faults of the host come as plain errors. */
export function faultOf(thrown: unknown): unknown {
  if (thrown instanceof TapError || !(thrown instanceof Error)) return thrown;
  const { code, message, data } = thrown as Error & Partial<TapError>;
  return typeof code === 'string' ? errorFromBody({ code, message, data: data ?? {} }) : thrown;
}
