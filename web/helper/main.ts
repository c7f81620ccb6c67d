/**
 * The pages that the agent serves from its own origin: `/window`, where a person consents, presents
 * a card and types a PIN, and `/wallet`, the cards of the simulator.
 */
import { AGENT_WALLET_PAGE } from '@tapnpay/protocol/wire';
import '../shared/design.css';
import './helper.css';
import './card-art.css';
import { byId, h } from '../shared/dom.ts';
import { language, onLanguage, setLanguage } from '../shared/i18n.ts';
import { forgetSessionUnlessReloaded, HelperApp } from './app.ts';
import { markIcon, signIcon } from './icons.ts';
import { askingOrigin, codeOfFragment } from './pairing-code.ts';
import { pairingForm } from './pairing-view.ts';
import { paymentParts, prompt } from './payment-view.ts';
import { realReaderList } from './real-readers.ts';
import type { HelperKey } from './texts.ts';
import { button, translate, type Ui } from './ui.ts';
import { retryButton, walletParts } from './wallet-view.ts';

const page = location.pathname.startsWith(AGENT_WALLET_PAGE) ? 'wallet' : 'window';

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
function draw(ui: Ui): readonly (Node | null)[] {
  const { name } = ui.screen;
  if (name === 'pairing') return [panel(ui, pairingForm(ui))];
  if (name === 'offline') return [panel(ui, ...offlineScreen(ui))];
  if (name === 'loading') return [panel(ui, ...quietScreen(ui, null))];
  if (ui.page === 'wallet') return walletParts(ui);
  if (name !== 'idle') return [panel(ui, ...paymentParts(ui))];
  const idle = quietScreen(ui, ui.hasOpener ? 'idleOpenerHint' : 'idleHint');
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

function quietScreen(ui: Ui, hint: HelperKey | null): readonly (Node | null)[] {
  const isWaiting = ui.screen.name === 'loading';
  return [
    isWaiting
      ? h('div', { class: 'spinner', 'aria-hidden': 'true' })
      : signIcon(ui.screen.name === 'offline' ? 'wait' : 'neutral'),
    prompt(ui),
    hint ? h('p', { class: 'hint quiet' }, ui.t(hint)) : null,
  ];
}

const code = codeOfFragment(location.hash);
// A pairing code does not stay in the address, where history and shoulders find it.
if (location.hash) history.replaceState(null, '', location.pathname + location.search);
forgetSessionUnlessReloaded();
drawHeader();
onLanguage(drawHeader);
new HelperApp({ page, origin: askingOrigin(location.search), code, draw }).run();
