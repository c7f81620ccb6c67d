/** Dynamic tokens (动态令牌) on their way: what a page asks, what the person sees, what comes back. */

import { WireError } from './frames.ts';
import { listShape, nullableShape, objectShape, type Shape, textShape } from './shape.ts';

/**
 * What a token is made over: a challenge of digits (mode 1), nothing (mode 2), or texts that the
 * person is shown before the card signs them (mode 2 with data).
 */
export type TokenWish =
  | { readonly mode: 'challenge'; readonly challenge: string }
  | { readonly mode: 'plain' }
  | { readonly mode: 'sign'; readonly data: readonly string[] };

const wishes: Readonly<Record<string, Shape<object>>> = {
  challenge: objectShape({ challenge: textShape(8, /^[0-9]+$/) }),
  plain: objectShape<Record<never, never>>({}),
  sign: objectShape({ data: listShape(textShape(40, /^[\x20-\x7e]+$/), 4) }),
};

/** A wish by its mode. @throws WireError `ERR_MESSAGE_FIELD`. */
export const tokenWishShape: Shape<TokenWish> = (value, path) => {
  const { mode } = Object(value) as { readonly mode?: unknown };
  const shape = typeof mode === 'string' && Object.hasOwn(wishes, mode) ? wishes[mode] : undefined;
  const wish = shape === undefined ? null : ({ ...shape(value, path), mode } as TokenWish);
  if (wish !== null && !(wish.mode === 'sign' && wish.data.length === 0)) return wish;
  throw new WireError('ERR_MESSAGE_FIELD', `${path} is no token`, { fieldPath: path });
};

/** What came of it. The digits are for the page that asked: a log-in, as the paper has it. */
export type ElementTokenResult = {
  readonly token: string | null;
  /** Why there is none: `card:AAC`, `ERR_CARD_TIMEOUT`, `PARAMS_OUTDATED`; null with a token. */
  readonly reason: string | null;
};

/** Digits of a token. */
export const tokenDigits: Shape<string> = textShape(110, /^[0-9]+$/);

/** Outcome of `token`. */
export const elementTokenResultShape: Shape<ElementTokenResult> = objectShape<ElementTokenResult>({
  token: nullableShape(tokenDigits),
  reason: nullableShape(textShape(128)),
});
