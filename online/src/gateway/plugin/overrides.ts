/**
 * The operator's word on versions, `<dataDir>/publisher/versions.json`: read anew when the file
 * changes; a broken file is told once in the log and the last good state stays.
 */
import { readFileSync, statSync } from 'node:fs';
import { assertExtensionVersion, compareVersions } from '@tapnpay/protocol/wire';
import { z } from 'zod';
import { causeCode, type LogRecord } from '../../runtime/index.ts';
import { PublisherError } from './errors.ts';

/** Name of the file in the publisher's folder. */
export const OVERRIDES_FILE = 'versions.json';
/** Longest file that is read. */
export const OVERRIDES_BYTES_MAX = 16_384;

/** What is published and what is asked for, of both parts. */
export type PublishedVersions = {
  /** `version` is in the packages; `latest` may run ahead of it where another store has it. */
  readonly extension: {
    readonly version: string;
    readonly latest: string;
    readonly required: string;
  };
  readonly host: { readonly latest: string; readonly required: string };
};

/** Versions of the parts that came with this gateway. */
export type BuiltVersions = { readonly extension: string; readonly host: string };

/**
 * The oldest parts that this gateway still works with. Raise one by hand when the wire to it
 * changes: a raise forces an update on everybody.
 */
export const OLDEST_SUPPORTED: BuiltVersions = { extension: '0.1.0', host: '0.1.0' };

/** What the file holds. */
export type Overrides = {
  readonly extension?:
    | {
        /** What is put into the packages, made of the same bundle. */
        readonly version?: string | undefined;
        readonly latest?: string | undefined;
        readonly required?: string | undefined;
      }
    | undefined;
  readonly host?:
    | { readonly latest?: string | undefined; readonly required?: string | undefined }
    | undefined;
};

const versionText = z.string().refine((text) => isVersion(text), 'is no version');
const extensionText = z.string().refine((text) => isExtensionVersion(text), {
  message: 'is no extension version: three numbers up to 65535',
});
const schema: z.ZodType<Overrides> = z.strictObject({
  extension: z
    .strictObject({
      version: extensionText.optional(),
      latest: extensionText.optional(),
      required: extensionText.optional(),
    })
    .optional(),
  host: z
    .strictObject({ latest: versionText.optional(), required: versionText.optional() })
    .optional(),
});
/** Reads the operator's file whenever it has changed. */
export class VersionOverrides {
  readonly #path: string;
  readonly #built: BuiltVersions;
  readonly #warn: (record: LogRecord) => void;
  #seen = '';
  #current: PublishedVersions;

  constructor(options: {
    readonly path: string;
    readonly built: BuiltVersions;
    readonly warn: (record: LogRecord) => void;
  }) {
    this.#path = options.path;
    this.#built = options.built;
    this.#warn = options.warn;
    this.#current = publishedVersions(options.built, {});
  }

  /** What counts now; costs a look at the file's date. */
  current(): PublishedVersions {
    const stamp = stampOf(this.#path);
    if (stamp === this.#seen) return this.#current;
    this.#seen = stamp;
    try {
      const overrides = stamp === ABSENT ? {} : readOverrides(this.#path);
      this.#current = publishedVersions(this.#built, overrides);
    } catch (thrown) {
      const { code, message } = asPublisherError(thrown);
      const cause = causeCode(thrown);
      this.#warn({ event: 'pluginVersionsRefused', code, why: message, cause });
    }
    return this.#current;
  }
}

/**
 * The operator's word over what was built.
 * @throws PublisherError `ERR_PLUGIN_OVERRIDES` when more is required than is offered, or an older
 * extension would be published than the built one: browsers never go back.
 */
export function publishedVersions(built: BuiltVersions, overrides: Overrides): PublishedVersions {
  const { extension = {}, host = {} } = overrides;
  const version = extension.version ?? built.extension;
  if (compareVersions(version, built.extension) < 0) {
    throw overridesError('extension.version is below the built one');
  }
  const extensionOffer = offerOf('extension', extension, version);
  return {
    extension: { version, ...extensionOffer },
    host: offerOf('host', host, built.host),
  };
}

/** A required version that names no latest one is the latest one itself, if it is newer. */
function offerOf(
  part: keyof BuiltVersions,
  given: { readonly latest?: string | undefined; readonly required?: string | undefined },
  published: string,
): { readonly latest: string; readonly required: string } {
  const required = given.required ?? OLDEST_SUPPORTED[part];
  const newer = compareVersions(required, published) > 0 ? required : published;
  const latest = given.latest ?? newer;
  if (compareVersions(required, latest) <= 0) return { latest, required };
  throw overridesError(`${part}.required is above ${part}.latest`);
}

function readOverrides(path: string): Overrides {
  const text = readFileSync(path, 'utf8');
  if (Buffer.byteLength(text) > OVERRIDES_BYTES_MAX) throw overridesError('is too long');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw overridesError('is no JSON', cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw overridesError(`${issue?.path.join('.') || 'the document'}: ${issue?.message ?? ''}`);
}

const ABSENT = 'absent';

/** Changes whenever the file does. */
function stampOf(path: string): string {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return ABSENT;
  return `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
}

function isVersion(text: string): boolean {
  try {
    return compareVersions(text, text) === 0;
  } catch {
    return false;
  }
}

function isExtensionVersion(text: string): boolean {
  try {
    assertExtensionVersion(text);
    return true;
  } catch {
    return false;
  }
}

function overridesError(why: string, cause?: unknown): PublisherError {
  return new PublisherError('ERR_PLUGIN_OVERRIDES', `${OVERRIDES_FILE}: ${why}`, {}, cause);
}

/** A file that cannot be read is as broken as one that says nonsense. */
function asPublisherError(thrown: unknown): PublisherError {
  if (thrown instanceof PublisherError) return thrown;
  return overridesError('cannot be read', thrown);
}
