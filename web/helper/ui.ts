/** What every part of these pages is made with: texts, state, and what it may ask for. */
import type { WindowMessage, WindowPayment, WindowView } from '@tapnpay/protocol/wire';
import { h } from '../shared/dom.ts';
import { createTranslator } from '../shared/i18n.ts';
import { CARD_PURPOSES, CARD_TITLES } from './card-texts.ts';
import type { PinEntry, PinKey } from './pin-entry.ts';
import type { Model, Screen } from './screen.ts';
import { HELPER_TEXTS, type HelperKey } from './texts.ts';

export type Translate = (
  key: HelperKey,
  values?: Readonly<Record<string, string | number>>,
) => string;

/** A sentence of `role="alert"`, with the code for whoever looks for it. */
export type Notice = { readonly text: HelperKey; readonly code: string | null };

/** What a part sees; it is made anew for each drawing. */
export type Ui = {
  readonly t: Translate;
  readonly page: 'window' | 'wallet';
  readonly model: Model;
  readonly screen: Screen;
  /** The payment that is under way, or that just ended, as far as this page saw it. */
  readonly seen: WindowPayment | null;
  readonly chosen: string | null;
  readonly lift: string;
  readonly pin: PinEntry;
  readonly pairing: PairingForm;
  readonly origin: string | null;
  /** This window was opened for a payment and may close itself. */
  readonly isPopup: boolean;
  /** Something was sent and not answered yet: no second press. */
  readonly isPending: boolean;
  /** The confirm button takes presses; shortly after it appears it does not. */
  readonly isArmed: boolean;
  readonly keepsOpen: boolean;
  readonly act: Actions;
};

export type PairingForm = { code: string; isBusy: boolean };

export type Actions = {
  send(message: WindowMessage): void;
  present(contact: 'contact' | 'contactless'): void;
  choose(card: string): void;
  setLift(typed: string): void;
  pressPin(key: PinKey): void;
  typeCode(code: string): void;
  pair(): void;
  retry(): void;
  keepOpen(): void;
  close(): void;
};

export const translate: Translate = createTranslator(HELPER_TEXTS);
export const cardTitle: (key: keyof typeof CARD_TITLES) => string = createTranslator(CARD_TITLES);
export const cardPurpose: (key: keyof typeof CARD_PURPOSES) => string =
  createTranslator(CARD_PURPOSES);

/** The view while the link is open. */
export function viewOf(ui: Ui): WindowView | null {
  return ui.model.view;
}

/** A button with its test name; `focus` marks the one that a new screen puts the focus on. */
export function button(facts: {
  readonly test: string;
  readonly label: string;
  readonly press: () => void;
  readonly kind?: string;
  readonly isDisabled?: boolean;
  readonly isFocused?: boolean;
  readonly describedBy?: string;
  readonly icon?: SVGElement;
}): HTMLButtonElement {
  return h(
    'button',
    {
      type: 'button',
      id: `do-${facts.test}`,
      class: facts.kind ?? null,
      disabled: facts.isDisabled ?? false,
      'data-test': facts.test,
      'data-focus': facts.isFocused ?? false,
      'aria-describedby': facts.describedBy ?? null,
      onclick: () => facts.press(),
    },
    facts.icon ?? null,
    facts.label,
  );
}
