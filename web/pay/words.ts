/** What the page shows for a state: picture, tone, title, explanation, and the next step. */
import type { PaymentState, StateName } from '@tapnpay/plugin/engine';
import { commandText, declineTexts, errorTexts, stateTexts, type TitleTexts, t } from './texts.ts';

/** States in which nothing is asked of the person: all others want the focus. */
const QUIET: readonly StateName[] = ['CHECKING', 'READY', 'CONNECTING', 'READING', 'AUTHORISING'];
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
  /** What to type in a terminal, to be copied; or nothing. */
  readonly command: string;
  /** Something was tried and charged nothing: the page says so. */
  readonly isUncharged: boolean;
  readonly isAlert: boolean;
  readonly wantsFocus: boolean;
};

/** Everything that a state says, in the page's language. */
export function wordsOf(state: PaymentState): Words {
  const { name, error, isRunning } = state;
  const code = error?.code ?? '';
  const variant = variantOf(state) ?? '';
  const responseCode = responseCodeOf(state);
  const [title = '', explanation = ''] = titleOf(state, responseCode);
  const isSlow = state.isSlow && name === 'AUTHORISING';
  const isTried = error !== null && error.stage !== 'page' && !isRunning;
  return {
    variant,
    title,
    explanation: isSlow ? t('slow') : explanation.replace('{gateway}', location.host),
    code,
    responseCode,
    command: commandText(code, variant),
    isUncharged: ENDS.includes(name) && isTried && state.charged === 'no',
    isAlert: error !== null && !CALM_CODES.includes(code) && name !== 'WAIT_CARD',
    wantsFocus: !QUIET.includes(name),
  };
}

/** The bank's own code of field 39; nothing else that an error tells is two characters long. */
function responseCodeOf({ error }: PaymentState): string {
  return /^[0-9A-Z]{2}$/.test(error?.detail ?? '') ? (error?.detail ?? '') : '';
}

function titleOf(state: PaymentState, responseCode: string): TitleTexts {
  const { name, error } = state;
  if (responseCode !== '') return declineTexts(responseCode);
  const variant = variantOf(state);
  const own = stateTexts(name, variant);
  const texts = error && errorTexts(error.code, variant);
  // Asked again for a card: what to do stays the title, why stands below it.
  if (name === 'WAIT_CARD' && texts) return [own[0] ?? '', texts[1] ?? ''];
  return texts ?? own;
}

function variantOf(state: PaymentState): string | null {
  const { name, card, interface: by, plugin } = state;
  if (/^NEED_/.test(name)) return plugin?.way ?? null;
  if (name === 'APP_NOT_READY') return state.isRunning ? null : 'ended';
  if (name !== 'WAIT_CARD' || card === null) return by;
  if (card.takeOutFirst) return 'takeOut';
  return card.interfaces.length === 1 ? (card.interfaces[0] ?? null) : null;
}
