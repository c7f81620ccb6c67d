/** The form for the code that the terminal shows. */
import { h } from '../shared/dom.ts';
import { lockIcon } from './icons.ts';
import { shapePairingCode } from './pairing-code.ts';
import type { Ui } from './ui.ts';

export function pairingForm(ui: Ui): HTMLElement {
  const { t, act, pairing, origin } = ui;
  return h(
    'form',
    {
      class: 'pairing stack',
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        act.pair();
      },
    },
    h('h1', { class: 'prompt' }, t('pairingTitle')),
    h('p', { class: 'quiet' }, t('pairingWhy')),
    terminalPicture(),
    h('label', { for: 'do-pairing-code', class: 'field-label' }, t('pairingLabel')),
    h('p', { class: 'quiet small', id: 'pairing-where' }, t('pairingWhere')),
    codeInput(ui),
    origin
      ? h(
          'dl',
          { class: 'facts' },
          h('dt', {}, t('pairingForOrigin')),
          h('dd', { class: 'mono' }, origin),
        )
      : null,
    h(
      'button',
      {
        type: 'submit',
        id: 'do-pairing-ok',
        class: 'primary wide',
        'data-test': 'pairing-ok',
        disabled: pairing.isBusy,
      },
      lockIcon(),
      t(pairing.isBusy ? 'pairingBusy' : 'pairingOk'),
    ),
  );
}

function codeInput(ui: Ui): HTMLInputElement {
  const input = h('input', {
    id: 'do-pairing-code',
    class: 'code',
    type: 'text',
    name: 'pairing-code',
    autocomplete: 'off',
    autocapitalize: 'characters',
    spellcheck: 'false',
    inputmode: 'text',
    placeholder: 'XXXX-XXXX',
    'aria-describedby': 'pairing-where',
    'data-test': 'pairing-code',
    'data-focus': true,
    oninput: () => {
      const isAtEnd = input.selectionEnd === input.value.length;
      if (isAtEnd) input.value = shapePairingCode(input.value);
      ui.act.typeCode(input.value);
    },
  });
  input.value = ui.pairing.code;
  return input;
}

/** What the person looks for on their screen. */
function terminalPicture(): HTMLElement {
  return h(
    'div',
    { class: 'terminal mono', 'aria-hidden': 'true' },
    h('span', { class: 'terminal-dim' }, '$ npm start'),
    h(
      'span',
      {},
      h('span', { class: 'terminal-dim' }, 'browser pairing code 浏览器配对码  '),
      h('span', { class: 'terminal-code' }, 'XXXX-XXXX'),
    ),
  );
}
