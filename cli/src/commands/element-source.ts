/** The secure element of a command: this system's own one, or a card in a PC/SC reader. */
import { resolve } from 'node:path';
import {
  type ApduTransport,
  ElementCardTransport,
  type ElementProcess,
  lockDirectory,
  startElement,
} from '@tapnpay/agent';
import type { CardFacts } from '@tapnpay/protocol/wire';
import { type OptionValues, textOption } from '../command.ts';
import { elementConfig } from '../system/element.ts';
import { defaultDataDir } from '../system/layout.ts';
import { openRealCard } from './cards-source.ts';

/** For another program to let the element go. */
const ELEMENT_WAIT_MS = 3_000;
const ELEMENT_FOLDER = 'element';

/** A way to an element; `close` gives back all that it took. */
export type ElementSource = {
  readonly transport: ApduTransport;
  /** The reader's name, or null for the own element. */
  readonly reader: string | null;
  /** What the own element says of its card. */
  readonly facts: CardFacts | null;
  readonly close: () => Promise<void>;
};

/** @throws TapError `ERR_ELEMENT_IN_USE`, `ERR_READER_*` as the way says. */
export async function openElement(values: OptionValues): Promise<ElementSource> {
  const reader = textOption(values, 'reader');
  if (reader === undefined) return await openOwn(values);
  const { session, reader: found, close } = await openRealCard(reader, undefined);
  return { transport: session, reader: found.name, facts: null, close };
}

/** The own element's process, started for this command alone. @throws TapError. */
export async function startOwnElement(values: OptionValues): Promise<ElementProcess> {
  const config = elementConfig(
    resolve(textOption(values, 'data') ?? defaultDataDir),
    ELEMENT_FOLDER,
  );
  const takeLock = () => lockDirectory(config.storeDir, { waitMs: ELEMENT_WAIT_MS });
  return await startElement(config, { takeLock });
}

async function openOwn(values: OptionValues): Promise<ElementSource> {
  const element = await startOwnElement(values);
  const transport = new ElementCardTransport(element);
  return { transport, reader: null, facts: element.card, close: () => element.close() };
}
