/** Bank cards drawn from nothing but this file and its style sheet; no scheme's artwork. */
import type { WalletCard } from '@tapnpay/protocol/wire';
import { h, svg } from '../shared/dom.ts';
import { expiryText, panGroups } from './card-facts.ts';
import { cardTextKey } from './card-texts.ts';
import { markIcon, wavesIcon } from './icons.ts';
import type { Translate } from './ui.ts';

/** Lines of the ground: each theme shows one kind. */
const PATTERNS = ['rings', 'waves', 'beams', 'grid'] as const;
type Pattern = (typeof PATTERNS)[number];

const THEME_PATTERN: Readonly<Record<string, Pattern>> = {
  debit: 'waves',
  travel: 'rings',
  'low-balance': 'beams',
  expired: 'grid',
  blocked: 'beams',
  'pin-blocked': 'rings',
  refused: 'waves',
  'insert-only': 'grid',
  'contact-only': 'beams',
  foreign: 'rings',
  'wrong-issuer-key': 'waves',
};

/** The card's face. It is hidden from screen readers: what it shows stands beside it as text. */
export function cardArt(card: WalletCard, t: Translate): HTMLElement {
  const theme = cardTextKey(card.purpose);
  const isContactless = card.interfaces.includes('contactless');
  const hasChip = card.interfaces.includes('contact');
  return h(
    'div',
    { class: `art art-${theme}`, 'aria-hidden': 'true' },
    ground(THEME_PATTERN[theme] ?? 'waves'),
    h('span', { class: 'art-bank' }, t('bank')),
    h('span', { class: 'art-test' }, t('testCard')),
    hasChip ? chip() : null,
    isContactless ? wavesIcon() : null,
    h('span', { class: 'art-pan' }, panGroups(card.panMasked)),
    h(
      'span',
      { class: 'art-valid' },
      h('small', {}, t('validThru')),
      h('span', {}, expiryText(card.expiryYymm)),
    ),
    h('span', { class: 'art-label' }, card.label),
    markIcon(),
  );
}

/** The face without its small print, for lists. */
export function cardThumbnail(card: WalletCard): HTMLElement {
  const theme = cardTextKey(card.purpose);
  return h(
    'span',
    { class: `art art-small art-${theme}`, 'aria-hidden': 'true' },
    ground(THEME_PATTERN[theme] ?? 'waves'),
    card.interfaces.includes('contact') ? chip() : null,
    card.interfaces.includes('contactless') ? wavesIcon() : null,
  );
}

function chip(): SVGElement {
  const lines = [
    'M0 11h13v10H0',
    'M40 11H27v10h13',
    'M13 11V0',
    'M27 11V0',
    'M13 21v11',
    'M27 21v11',
  ];
  return svg(
    'svg',
    { viewBox: '0 0 40 32', class: 'art-chip', focusable: 'false' },
    svg('rect', { x: 0.5, y: 0.5, width: 39, height: 31, rx: 6, class: 'art-chip-ground' }),
    ...lines.map((d) => svg('path', { d, class: 'art-chip-line' })),
  );
}

function ground(pattern: Pattern): SVGElement {
  return svg(
    'svg',
    {
      viewBox: '0 0 340 214',
      class: 'art-ground',
      preserveAspectRatio: 'xMidYMid slice',
      focusable: 'false',
    },
    ...DRAWINGS[pattern].map((d) => svg('path', { d, class: 'art-ground-line' })),
  );
}

const steps = (count: number): readonly number[] => [...Array(count).keys()];

const DRAWINGS: Readonly<Record<Pattern, readonly string[]>> = {
  rings: steps(9).map((n) => {
    const r = 40 + n * 26;
    return `M${300 - r} 30a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }),
  waves: steps(8).map((n) => {
    const y = 60 + n * 24;
    return `M-10 ${y}C70 ${y - 70} 140 ${y + 60} 220 ${y - 10}S320 ${y - 90} 360 ${y - 60}`;
  }),
  beams: steps(10).map((n) => `M${-60 + n * 46} 230L${80 + n * 46} -20`),
  grid: [
    ...steps(9).map((n) => `M${20 + n * 40} -10V230`),
    ...steps(6).map((n) => `M-10 ${20 + n * 40}H360`),
  ],
};
