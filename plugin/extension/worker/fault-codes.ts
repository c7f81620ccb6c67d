/**
 * What a browser says when the way to the host breaks, as our codes. The texts are the browsers'
 * own, measured in Chromium 156 and Firefox ESR 153; they are not translated by either.
 */
import type { NativeFaultCode } from '@tapnpay/protocol/wire';

/** Texts that tell what happened, in the order in which they are looked for. */
const TEXTS: readonly (readonly [RegExp, NativeFaultCode])[] = [
  // Chromium: no manifest, bad JSON, another name, a path that is missing or relative: all alike.
  [/native messaging host not found/i, 'ERR_HOST_MISSING'],
  // Firefox: the same, and an add-on that the manifest does not name.
  [/No such native application/i, 'ERR_HOST_MISSING'],
  [/native messaging host is forbidden/i, 'ERR_HOST_FORBIDDEN'],
  [/Native host has exited/i, 'ERR_HOST_EXITED'],
  // Chromium: the host's output is no frame, or one over 1 MiB.
  [/Error when communicating with the native/i, 'ERR_HOST_PROTOCOL'],
  // Firefox: a length over 1 MiB, which text that is no frame makes too; a frame that is no JSON.
  [/exceeds the limit of \d+ bytes/i, 'ERR_HOST_PROTOCOL'],
  [/JSON\.parse/i, 'ERR_HOST_PROTOCOL'],
  [/Extension context invalidated/i, 'ERR_EXTENSION_RELOADED'],
  // Our own message was above what a port takes, 64 MiB.
  [/Message length exceeded|message is too large/i, 'ERR_MESSAGE_TOO_LARGE'],
];

/** The code of a lost host; Firefox says nothing of one that has just exited. */
export function hostFaultOf(text: string): NativeFaultCode {
  return TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? 'ERR_HOST_EXITED';
}

/**
 * The code of a page's port that was closed without a word of the worker.
 * @param isAlive whether this content script still belongs to the extension that is installed.
 */
export function portFaultOf(text: string, isAlive: boolean): NativeFaultCode {
  if (!isAlive) return 'ERR_EXTENSION_RELOADED';
  return TEXTS.find(([pattern]) => pattern.test(text))?.[1] ?? 'ERR_WORKER_STOPPED';
}

/** The text of anything thrown. */
export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
