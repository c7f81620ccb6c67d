/**
 * Which versions of extension and host a system offers and requires, where they are to be had, and
 * the judgement on what a browser has. @see Semantic Versioning 2.0.0 §11
 */
import { TapError } from '../bytes/index.ts';
import { countShape, objectShape, type Shape, textShape } from './shape.ts';

/** GET answers `PluginVersions`. */
export const PLUGIN_VERSIONS_PATH = '/v1/plugin';
/** Chromium's update manifest, named in the extension and in a managed policy. */
export const PLUGIN_UPDATE_XML_PATH = '/plugin/update.xml';
/** The extension as Chromium takes it. */
export const PLUGIN_CRX_PATH = '/plugin/tapnpay.crx';
/** Firefox's update manifest. */
export const PLUGIN_UPDATES_JSON_PATH = '/plugin/updates.json';
/** The extension as Firefox takes it. */
export const PLUGIN_XPI_PATH = '/plugin/tapnpay.xpi';
/** Name of our add-on in Firefox, the same of every system. */
export const PLUGIN_GECKO_ID = 'plugin@tapnpay.org';

/** Longest text of a version. */
export const VERSION_CHARACTERS_MAX = 64;
/** Highest number in an extension's version: Chromium takes 16 bits. */
export const EXTENSION_VERSION_NUMBER_MAX = 65_535;
const URL_CHARACTERS_MAX = 512;

/** A text that is no version. */
export type PluginVersionErrorCode = 'ERR_VERSION_INVALID';
export class PluginVersionError extends TapError<PluginVersionErrorCode> {}

/** `latest` is offered; below `required` nothing works any more. */
export type OfferedVersion = { readonly latest: string; readonly required: string };

/** Answer of `GET /v1/plugin`; every URL is absolute. */
export type PluginVersions = {
  readonly extension: OfferedVersion & {
    /** Chromium's id, from the publisher key of this system: 32 letters a to p. */
    readonly id: string;
    readonly geckoId: string;
  };
  readonly host: OfferedVersion;
  /** Versions of the native port's frames that this system speaks. */
  readonly protocol: { readonly min: number; readonly max: number };
  readonly install: {
    readonly crx: string;
    readonly updateManifest: string;
    readonly xpi: string;
    readonly xpiUpdates: string;
  };
};

/**
 * `ok`: nothing to do. `optional`: a newer one is offered. `forced`: the one that is there is not
 * taken any more.
 */
export type UpdateNeed = 'ok' | 'optional' | 'forced';

/** What has to be done to each part. */
export type UpdateNeeds = { readonly extension: UpdateNeed; readonly host: UpdateNeed };

const version: Shape<string> = (value, path) => {
  const text = textShape(VERSION_CHARACTERS_MAX)(value, path);
  parsed(text);
  return text;
};
const extensionVersion: Shape<string> = (value, path) => {
  const text = textShape(VERSION_CHARACTERS_MAX)(value, path);
  assertExtensionVersion(text);
  return text;
};
const url = textShape(URL_CHARACTERS_MAX, /^https?:\/\/[^\s"'<>]+$/);

/**
 * The versions document.
 * @throws WireError `ERR_MESSAGE_FIELD`; PluginVersionError `ERR_VERSION_INVALID`.
 */
export const pluginVersionsShape: Shape<PluginVersions> = objectShape<PluginVersions>({
  extension: objectShape({
    id: textShape(32, /^[a-p]{32}$/),
    geckoId: textShape(80, /^[A-Za-z0-9._-]*@[A-Za-z0-9._-]+$/),
    latest: extensionVersion,
    required: extensionVersion,
  }),
  host: objectShape({ latest: version, required: version }),
  protocol: objectShape({ min: countShape(), max: countShape() }),
  install: objectShape({ crx: url, updateManifest: url, xpi: url, xpiUpdates: url }),
});

/**
 * What has to be done to a part of version `present`.
 * @throws PluginVersionError `ERR_VERSION_INVALID`.
 */
export function updateNeed(present: string, offered: OfferedVersion): UpdateNeed {
  const isBelow = (wanted: string): boolean => compareVersions(present, wanted) < 0;
  // Both are read before either counts: a broken document is never half a judgement.
  const [belowRequired, belowLatest] = [isBelow(offered.required), isBelow(offered.latest)];
  if (belowRequired) return 'forced';
  return belowLatest ? 'optional' : 'ok';
}

/** The same for both parts. @throws PluginVersionError `ERR_VERSION_INVALID`. */
export function updateNeeds(
  present: { readonly extension: string; readonly host: string },
  offered: Pick<PluginVersions, 'extension' | 'host'>,
): UpdateNeeds {
  return {
    extension: updateNeed(present.extension, offered.extension),
    host: updateNeed(present.host, offered.host),
  };
}

/**
 * Below 0 when `left` is the older one, above 0 when the newer, 0 when neither is.
 * @throws PluginVersionError `ERR_VERSION_INVALID`.
 * @see Semantic Versioning 2.0.0 §11
 */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [parsed(left), parsed(right)];
  for (const [index, number] of a.numbers.entries()) {
    const difference = number - (b.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  if (a.preRelease === null || b.preRelease === null) {
    // §11.3: a version is newer than its own pre-releases.
    return Number(a.preRelease === null) - Number(b.preRelease === null);
  }
  return comparePreReleases(a.preRelease, b.preRelease);
}

/**
 * A version that both browsers take for an extension: three numbers, not all zero, nothing else.
 * @throws PluginVersionError `ERR_VERSION_INVALID`.
 */
export function assertExtensionVersion(text: string): void {
  const { numbers } = parsed(text);
  const isPlain = numbers.join('.') === text;
  const isInRange = numbers.every((number) => number <= EXTENSION_VERSION_NUMBER_MAX);
  if (!(isPlain && isInRange && numbers.some((number) => number > 0))) throw invalid(text);
}

type Parsed = {
  readonly numbers: readonly number[];
  readonly preRelease: readonly string[] | null;
};

/** §2 and §9: no leading zeros in numbers; §10: what follows a plus sign never counts. */
const NUMBERS = '(0|[1-9][0-9]{0,9})\\.(0|[1-9][0-9]{0,9})\\.(0|[1-9][0-9]{0,9})';
const BUILD = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const VERSION = new RegExp(`^${NUMBERS}(?:-([0-9A-Za-z.-]+))?(?:\\+${BUILD})?$`);
const IDENTIFIER = /^(?:0|[1-9]\d{0,9}|\d*[A-Za-z-][0-9A-Za-z-]*)$/;
const NUMERIC = /^\d+$/;

function parsed(text: string): Parsed {
  const found = text.length > VERSION_CHARACTERS_MAX ? null : VERSION.exec(text);
  if (found === null) throw invalid(text);
  const [, major, minor, patch, tail] = found;
  const preRelease = tail === undefined ? null : tail.split('.');
  if (preRelease?.some((part) => !IDENTIFIER.test(part))) throw invalid(text);
  return { numbers: [major, minor, patch].map(Number), preRelease };
}

/** §11.4: number by number, numbers before words, words by ASCII, the longer list is newer. */
function comparePreReleases(left: readonly string[], right: readonly string[]): number {
  for (const [index, a] of left.entries()) {
    const b = right[index];
    if (b === undefined) return 1;
    if (a === b) continue;
    const [isNumberA, isNumberB] = [NUMERIC.test(a), NUMERIC.test(b)];
    if (isNumberA && isNumberB) return Number(a) - Number(b);
    if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
    return a < b ? -1 : 1;
  }
  return left.length - right.length;
}

function invalid(text: string): PluginVersionError {
  const shown = text.slice(0, VERSION_CHARACTERS_MAX);
  return new PluginVersionError('ERR_VERSION_INVALID', 'the text is no version', {
    version: shown,
  });
}
