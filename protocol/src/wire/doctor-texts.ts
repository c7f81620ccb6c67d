/**
 * What a doctor says, in both languages: one text for every check and code, and what to do. Words
 * in braces are facts of the check; `{link}` is the id of another check, said by its name. The one
 * table for command, options page and pay page; a page carries the plug-in's part only.
 */
import type { CheckId, CheckTexts, PluginCheckId } from './doctor.ts';
import { EXTENSION_TEXTS, HOST_TEXTS, VERSIONS_TEXTS } from './doctor-texts-browser.ts';
import { MANIFEST_TEXTS, POLICY_TEXTS } from './doctor-texts-install.ts';
import {
  ELEMENT_TEXTS,
  GATEWAY_TEXTS,
  READER_SERVICE_TEXTS,
  READERS_TEXTS,
} from './doctor-texts-payment.ts';
import { PARTY_TEXTS } from './doctor-texts-system.ts';

/** What options page and pay page say, which call two parts as payers know them. */
export const PLUGIN_CHECK_TEXTS: { readonly [Id in PluginCheckId]: CheckTexts<Id> } = {
  extension: {
    ...EXTENSION_TEXTS,
    name: { en: 'payment plug-in (extension)', zh: '支付插件（浏览器扩展）' },
  },
  host: {
    ...HOST_TEXTS,
    name: { en: 'payment helper (native host)', zh: '支付助手（本机程序）' },
  },
  element: ELEMENT_TEXTS,
  readerService: READER_SERVICE_TEXTS,
  readers: READERS_TEXTS,
  gateway: GATEWAY_TEXTS,
  versions: VERSIONS_TEXTS,
};

/** The whole table, for the command. */
export const CHECK_TEXTS: { readonly [Id in CheckId]: CheckTexts<Id> } = {
  ...PLUGIN_CHECK_TEXTS,
  extension: EXTENSION_TEXTS,
  host: HOST_TEXTS,
  ...PARTY_TEXTS,
  manifest: MANIFEST_TEXTS,
  policy: POLICY_TEXTS,
};
