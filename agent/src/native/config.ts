/**
 * What the native messaging host is told by the file that the installer wrote: which system it
 * belongs to and whose pages it serves. The browser tells it nothing that it believes.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TapError } from '@tapnpay/protocol/bytes';
import {
  booleanShape,
  checkShape,
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
} from '@tapnpay/protocol/wire';

const PATH_CHARACTERS_MAX = 4_096;
const ORIGINS_MAX = 16;

/** `<dataDir>/agent/host.json`. */
export type HostConfig = {
  /** The system's folder, absolute: element, cards and keys are in it. */
  readonly dataDir: string;
  /** Origins of pages that may ask for payments. */
  readonly gatewayOrigins: readonly string[];
  readonly gatewayUrl: string;
  /** The gateway's name in its certificate. */
  readonly serverName: string;
  /** Where a new element gets its pairing code: the operator's key in `dataDir`. */
  readonly pairing: 'operator';
  /** A laboratory's manager of secure elements, which the element calls; null without one. */
  readonly managerUrl: string | null;
  /** Whether the system's PC/SC readers take part beside the virtual one. */
  readonly readers: boolean;
  /** Chromium's id of the extension. */
  readonly extensionId: string;
  /** Firefox's id of the add-on. */
  readonly geckoId: string;
};

/** A host that is not told where it belongs. */
export type HostConfigErrorCode = 'ERR_HOST_CONFIG';
export class HostConfigError extends TapError<HostConfigErrorCode> {}

const path = textShape(PATH_CHARACTERS_MAX, /^(?:\/|[A-Za-z]:[\\/]|\\\\)/);
const origin = textShape(256, /^https?:\/\/[^\s/?#@]+$/);

export const hostConfigShape: Shape<HostConfig> = objectShape<HostConfig>({
  dataDir: path,
  gatewayOrigins: listShape(origin, ORIGINS_MAX),
  gatewayUrl: textShape(256, /^https?:\/\/[^\s?#@]+$/),
  serverName: textShape(253, /^[A-Za-z0-9.-]+$/),
  pairing: oneOfShape('operator'),
  managerUrl: nullableShape(textShape(256, /^https?:\/\/[^\s?#@]+$/)),
  readers: booleanShape,
  extensionId: textShape(32, /^[a-p]{32}$/),
  geckoId: textShape(80, /^[A-Za-z0-9._-]*@[A-Za-z0-9._-]+$/),
});

/** Where the installer writes the file of a system. */
export function hostConfigPath(dataDir: string): string {
  return join(dataDir, 'agent', 'host.json');
}

/** @throws HostConfigError `ERR_HOST_CONFIG` with the file's path. */
export function readHostConfig(file: string): HostConfig {
  try {
    return checkShape(hostConfigShape, JSON.parse(readFileSync(file, 'utf8')), 'host.json');
  } catch (cause) {
    const message = 'the host is not installed rightly; install it again: tapnpay agent install';
    throw new HostConfigError('ERR_HOST_CONFIG', message, { path: file }, cause);
  }
}
