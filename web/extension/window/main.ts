/**
 * The extension's own window, where a person consents, presents a card and types a PIN: the views
 * of the agent's window, over the port of the page whose number is in the address.
 */
import { type Browser, WINDOW_PORT } from '@tapnpay/plugin/extension';
import '../../shared/design.css';
import '../../helper/helper.css';
import '../../helper/card-art.css';
import '../extension.css';
import { forgetSessionUnlessReloaded, HelperApp } from '../../helper/app.ts';
import { draw, showHeader } from '../../helper/frame.ts';
import { PortLink } from './port-link.ts';

declare const chrome: Browser;

forgetSessionUnlessReloaded();
showHeader();
new HelperApp({
  page: 'window',
  connect: (listener) =>
    new PortLink({
      ...listener,
      connect: () =>
        chrome.runtime.connect({ name: `${WINDOW_PORT}${location.hash.replace(/^#/, '')}` }),
    }),
  pairing: null,
  code: '',
  isPopup: true,
  draw,
}).run();
