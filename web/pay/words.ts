/** What the page shows for a state: picture, tone, title, explanation, and the next step. */
import type { PaymentState, StateName } from '@tapnpay/plugin';
import { declineTexts, errorTexts, stateTexts, type TitleTexts, t } from './texts.ts';

/** States that ask the person to do something, or tell how it ended: the focus goes there. */
const ASKS: readonly StateName[] = [
  'NEED_HOST',
  'NEED_PAIRING',
  'NEED_UPDATE',
  'NO_READER',
  'CONSENT',
  'WAIT_CARD',
  'WAIT_PIN',
  'REMOVE_CARD',
  'UNKNOWN',
  'APPROVED',
];
/** States whose errors are ends that were tried and charged nothing. */
const ENDS: readonly StateName[] = ['DECLINED', 'CANCELLED', 'INTERRUPTED', 'APP_NOT_READY'];
/** Ends of an order that needs no alarm: the payer wanted it so. */
const CALM_CODES: readonly string[] = ['TP_USER_CANCELLED', 'TP_PIN_CANCELLED'];

export type Words = {
  /** Which form of the state it is; the styles choose the picture by both. */
  readonly variant: string;
  readonly title: string;
  readonly explanation: string;
  /** For support: our code and the bank's. */
  readonly code: string;
  readonly responseCode: string;
  /** Something was tried and charged nothing: the page says so. */
  readonly isUncharged: boolean;
  readonly isAlert: boolean;
  readonly wantsFocus: boolean;
};

/** Everything that a state says, in the page's language. */
export function wordsOf(state: PaymentState): Words {
  const { name, error } = state;
  const [title = '', explanation = ''] = titleOf(state);
  const responseCode = error?.code === 'TP_DECLINED_ONLINE' ? error.detail : '';
  const isPage = error === null || error.stage === 'page';
  const code = error?.code ?? '';
  return {
    variant: variantOf(state) ?? '',
    title,
    explanation: state.isSlow && name === 'AUTHORISING' ? t('slow') : explanation,
    code,
    responseCode,
    isUncharged: ENDS.includes(name) && !isPage && state.charged === 'no',
    isAlert: error !== null && !CALM_CODES.includes(code) && name !== 'WAIT_CARD',
    wantsFocus: [...ASKS, ...ENDS].includes(name),
  };
}

function titleOf(state: PaymentState): TitleTexts {
  const { name, error } = state;
  if (error?.code === 'TP_DECLINED_ONLINE') return declineTexts(error.detail);
  const own = stateTexts(name, variantOf(state));
  const texts = error && errorTexts(error.code);
  // Asked again for a card: what to do stays the title, why stands below it.
  if (name === 'WAIT_CARD' && texts) return [own[0] ?? '', texts[1] ?? ''];
  return texts ?? own;
}

function variantOf({ name, card, interface: by }: PaymentState): string | null {
  if (name !== 'WAIT_CARD' || card === null) return by;
  if (card.takeOutFirst) return 'takeOut';
  return card.interfaces.length === 1 ? (card.interfaces[0] ?? null) : null;
}
