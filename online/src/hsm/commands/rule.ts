/** What one row of the command table says, and how a row is run. */
import { CryptoError } from '@tapnpay/protocol/crypto';
import { EmvDataError } from '@tapnpay/protocol/emv/data';
import { EmvIssuerError } from '@tapnpay/protocol/emv/issuer';
import { GlobalPlatformError } from '@tapnpay/protocol/globalplatform/data';
import { Iso7816Error } from '@tapnpay/protocol/iso7816';
import {
  type HsmAnswers,
  type HsmCaller,
  type HsmCommand,
  type HsmRequest,
  hexShape,
  type KeyBlock,
  objectShape,
  type Shape,
  textShape,
  WireError,
} from '@tapnpay/protocol/wire';
import type { HsmContext } from '../context.ts';
import type { DriverCall, HsmMechanism } from '../driver.ts';
import { HsmError } from '../errors.ts';
import { type KeyKind, type KeyNeed, openKey } from '../keys.ts';

/** The request of one command. */
export type RequestOf<C extends HsmCommand> = Extract<HsmRequest, { readonly command: C }>;
/** A row: who may call, what a request looks like, which keys it needs, what is done. */
export type CommandRow<C extends HsmCommand, K extends string> = {
  readonly callers: readonly HsmCaller[];
  readonly fields: Fields<Omit<RequestOf<C>, 'command'>>;
  /** What the driver must be able to compute beside the ciphers of the keys. */
  readonly mechanisms?: (request: RequestOf<C>) => readonly HsmMechanism[];
  /** Key blocks of a request and what their headers must say. */
  readonly keys: (request: RequestOf<C>, caller: HsmCaller) => Readonly<Record<K, KeyNeed>>;
  readonly run: (call: CommandCall<C, K>) => HsmAnswers[C];
};
/** What `run` gets once caller, form and keys were found good. */
export type CommandCall<C extends HsmCommand, K extends string> = {
  readonly context: HsmContext;
  readonly caller: HsmCaller;
  readonly request: RequestOf<C>;
  /** Clear keys. */
  readonly keys: Readonly<Record<K, Uint8Array>>;
  /** What their headers say. */
  readonly kinds: Readonly<Record<K, KeyKind>>;
};
type Fields<T> = { readonly [F in keyof T]: Shape<T[F]> };

/** A row with its types folded away, for the table. */
export type Command<C extends HsmCommand> = {
  readonly callers: readonly HsmCaller[];
  /** A request of unknown form, found good but for its keys. @throws HsmError */
  readonly parse: (caller: HsmCaller, value: object) => DriverCall;
  readonly mechanisms: (request: HsmRequest) => readonly HsmMechanism[];
  /** The embedded driver's answer. @throws HsmError */
  readonly run: (context: HsmContext, call: DriverCall) => HsmAnswers[C];
};

const NO_MECHANISMS: readonly HsmMechanism[] = [];

/** Makes a command of a row. */
export function command<C extends HsmCommand, K extends string = never>(
  name: C,
  row: CommandRow<C, K>,
): Command<C> {
  const shape = strictShape({ ...row.fields, command: () => name }) as Shape<RequestOf<C>>;
  return {
    callers: row.callers,
    mechanisms: (request) => row.mechanisms?.(request as RequestOf<C>) ?? NO_MECHANISMS,
    parse: (caller, value) =>
      withHsmErrors(() => {
        const request = shape(value, name);
        return { caller, command: name, request, needs: row.keys(request, caller) };
      }),
    run: (context, { caller, request, needs }) =>
      withHsmErrors(() => {
        const keys = {} as Record<K, Uint8Array>;
        const kinds = {} as Record<K, KeyKind>;
        for (const slot of Object.keys(needs) as K[]) {
          const open = openKey(context, (needs as Record<K, KeyNeed>)[slot].block);
          keys[slot] = open.key.expose();
          kinds[slot] = open;
        }
        return row.run({ context, caller, request: request as RequestOf<C>, keys, kinds });
      }),
  };
}

/** For rows without keys. */
export function noKeys(): Readonly<Record<never, KeyNeed>> {
  return {};
}

/** An object with these fields and no others: an option that we do not know may not be ignored. */
export function strictShape<T extends object>(fields: Fields<T>): Shape<T> {
  const known = objectShape<T>(fields);
  return (value, path) => {
    const checked = known(value, path);
    for (const field of Object.keys(value as object)) {
      if (Object.hasOwn(fields, field)) continue;
      throw new WireError('ERR_MESSAGE_FIELD', `${path} has a field that is unknown`);
    }
    return checked;
  };
}

/** A field that may be left out; it is then undefined. */
export function optionalShape<T>(shape: Shape<T>): Shape<T> {
  return (value, path) => (value === undefined ? (undefined as T) : shape(value, path));
}

/** Exactly this many bytes in hex. */
export function exactHex(lengthBytes: number): Shape<string> {
  return hexShape({ min: lengthBytes, max: lengthBytes });
}

export const keyBlockShape: Shape<KeyBlock> = textShape(1024, /^D[0-9]{4}[ -~]+$/);
export const panShape: Shape<string> = textShape(19, /^[0-9]{12,19}$/);
export const pvkiShape: Shape<string> = textShape(1, /^[0-6]$/);
export const cardShape: Shape<{ readonly pan: string; readonly panSequenceNumber: string }> =
  strictShape({ pan: panShape, panSequenceNumber: textShape(2, /^[0-9]{2}$/) });

/** Hex that a shape has checked, as bytes. */
export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}

/** What was wrong between the HSM and an element, as a fault of this folder. */
function elementFault({ code, message }: GlobalPlatformError): HsmError {
  if (code === 'ERR_GP_CARD_CRYPTOGRAM') return new HsmError('ERR_HSM_CARD_CRYPTOGRAM', message);
  if (code === 'ERR_GP_RESPONSE_MAC') return new HsmError('ERR_HSM_RESPONSE_MAC', message);
  return new HsmError('ERR_HSM_PARAMETER', message);
}

function withHsmErrors<T>(action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof WireError || thrown instanceof Iso7816Error)
      throw new HsmError('ERR_HSM_PARAMETER', thrown.message);
    if (thrown instanceof GlobalPlatformError) throw elementFault(thrown);
    const isCardFault = thrown instanceof EmvIssuerError || thrown instanceof EmvDataError;
    if (thrown instanceof CryptoError || isCardFault) {
      throw new HsmError('ERR_HSM_PARAMETER', thrown.message);
    }
    throw thrown;
  }
}
