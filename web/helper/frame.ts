/** What surrounds the screens of a payment: the header with its language switch, and the panel. */
import { byId, h } from '../shared/dom.ts';
import { language, onLanguage, setLanguage } from '../shared/i18n.ts';
import { markIcon, signIcon } from './icons.ts';
import { pairingForm } from './pairing-view.ts';
import { closingParts, paymentParts, prompt } from './payment-view.ts';
import { realReaderList } from './real-readers.ts';
import type { HelperKey } from './texts.ts';
import { button, translate, type Ui } from './ui.ts';
import { retryButton, walletParts } from './wallet-view.ts';

/** Draws the header now and in each language that is chosen. */
export function showHeader(): void {
  drawHeader();
  onLanguage(drawHeader);
}

function drawHeader(): void {
  const t = translate;
  const switcher = button({
    test: 'language',
    label: t('switchLanguage'),
    kind: 'bare',
    press: () => setLanguage(language() === 'zh' ? 'en' : 'zh'),
  });
  switcher.setAttribute('aria-label', t('switchLanguageLabel'));
  switcher.lang = language() === 'zh' ? 'en' : 'zh-CN';
  const wasFocused = document.activeElement?.id === switcher.id;
  byId('bar').replaceChildren(
    markIcon(),
    h(
      'div',
      { class: 'bar-words' },
      h('strong', {}, t('product')),
      h('span', { class: 'quiet small' }, t('helper')),
    ),
    h(
      'span',
      { class: 'badge' },
      t('sandbox'),
      h('span', { class: 'badge-more' }, ` · ${t('testMoney')}`),
    ),
    switcher,
  );
  if (wasFocused) switcher.focus();
}

/** Everything between header and end of the page. */
export function draw(ui: Ui): readonly (Node | null)[] {
  const { name } = ui.screen;
  if (name === 'pairing') return [panel(ui, pairingForm(ui))];
  if (name === 'offline') return [panel(ui, ...offlineScreen(ui))];
  if (name === 'gone' || name === 'broken') return [panel(ui, ...lastScreen(ui))];
  if (name === 'loading') return [panel(ui, ...quietScreen(ui, null))];
  if (ui.page === 'wallet') return walletParts(ui);
  if (name !== 'idle') return [panel(ui, ...paymentParts(ui))];
  const idle = quietScreen(ui, ui.isPopup ? 'idleOpenerHint' : 'idleHint');
  return [panel(ui, ...idle, realReaderList(ui))];
}

function panel(ui: Ui, ...parts: readonly (Node | null)[]): HTMLElement {
  const box = h('div', { class: `panel payment payment-${ui.screen.name}` });
  for (const part of parts) if (part !== null) box.append(part);
  return box;
}

function offlineScreen(ui: Ui): readonly (Node | null)[] {
  const truth = ui.seen ? h('p', { class: 'hint' }, ui.t('offlineTruth')) : null;
  return [...quietScreen(ui, 'offlineHint'), truth, retryButton(ui)];
}

/** Nothing can be done here any more. */
function lastScreen(ui: Ui): readonly (Node | null)[] {
  const isGone = ui.screen.name === 'gone';
  const truth = ui.seen ? h('p', { class: 'hint' }, ui.t('offlineTruth')) : null;
  return [...quietScreen(ui, isGone ? 'goneHint' : 'brokenHint'), truth, ...closingParts(ui)];
}

function quietScreen(ui: Ui, hint: HelperKey | null): readonly (Node | null)[] {
  const isWaiting = ui.screen.name === 'loading';
  const isTrouble = ui.screen.name === 'offline' || ui.screen.name === 'broken';
  return [
    isWaiting
      ? h('div', { class: 'spinner', 'aria-hidden': 'true' })
      : signIcon(isTrouble ? 'wait' : 'neutral'),
    prompt(ui),
    hint ? h('p', { class: 'hint quiet' }, ui.t(hint)) : null,
  ];
}
