/** The shape of a card image: every field is there and of its kind, or the path of what is not. */
import { EmvDataError } from './errors.ts';
import type { IccImage } from './icc-image.ts';

type Check = (value: unknown, path: string) => void;

const APPLICATIONS_MAX = 16;
const DGIS_MAX = 512;
const DGI_HEX_MAX = 2048;
const LOG_MAX = 10;

/**
 * Throws unless `value` is an image of version 3.
 * @throws EmvDataError `ERR_EMV_IMAGE_VERSION`, `ERR_EMV_IMAGE` with the `path`.
 */
export function assertIccImage(value: unknown): asserts value is IccImage {
  const version = isObject(value) ? value['version'] : undefined;
  if (version !== 3) {
    const found = typeof version === 'number' ? `version ${version}` : 'no version';
    throw new EmvDataError(
      'ERR_EMV_IMAGE_VERSION',
      `the card image has ${found} and must have version 3; personalise the card anew, ` +
        'or start with a new data folder',
    );
  }
  imageShape(value, 'image');
}

const hex = (min: number, max: number): Check =>
  check(
    (value) =>
      typeof value === 'string' &&
      value.length % 2 === 0 &&
      value.length >= 2 * min &&
      value.length <= 2 * max &&
      /^[0-9A-F]*$/.test(value),
    `is not upper-case hex of ${min} to ${max} bytes`,
  );
const flag: Check = check((value) => typeof value === 'boolean', 'is neither true nor false');
const count = (max: number): Check =>
  check(
    (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max,
    `is no number from 0 to ${max}`,
  );
const minor: Check = check(
  (value) => typeof value === 'string' && /^(0|[1-9][0-9]{0,14})$/.test(value),
  'is no amount in minor units',
);
const oneOf = (...allowed: readonly unknown[]): Check =>
  check((value) => allowed.includes(value), `is none of ${allowed.join(', ')}`);
const orNull =
  (inner: Check): Check =>
  (value, path) => {
    if (value !== null) inner(value, path);
  };

function check(isSound: (value: unknown) => boolean, why: string): Check {
  return (value, path) => {
    if (!isSound(value)) fail(path, why);
  };
}

function shape(fields: Readonly<Record<string, Check>>): Check {
  return (value, path) => {
    if (!isObject(value)) return fail(path, 'is no object');
    const extra = Object.keys(value).find((name) => !(name in fields));
    if (extra !== undefined) fail(path, 'has a field that no image has');
    for (const [name, field] of Object.entries(fields)) field(value[name], `${path}.${name}`);
  };
}

function listOf(max: number, element: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > max) return fail(path, `is no list of ${max}`);
    value.forEach((item, index) => {
      element(item, `${path}[${index}]`);
    });
  };
}

/** Keys that match, values that fit. */
function mapOf(key: RegExp, max: number, element: Check): Check {
  return (value, path) => {
    if (!isObject(value) || Object.keys(value).length > max) return fail(path, 'is no map');
    for (const [name, item] of Object.entries(value)) {
      if (!key.test(name)) fail(path, 'has a key that is out of format');
      element(item, `${path}.${name}`);
    }
  };
}

const stateShape = shape({
  atc: count(0xffff),
  lastOnlineAtc: count(0xffff),
  pinTryCounter: count(15),
  cumulativeOfflineAmountMinor: minor,
  internationalOfflineCount: count(0xffff),
  applicationBlocked: flag,
  lastOnlineNotCompleted: flag,
  lastIssuerAuthenticationFailed: flag,
  issuerAuthenticationNotPerformed: flag,
  lastSdaFailed: flag,
  lastDdaFailed: flag,
  lastScriptFailed: flag,
  scriptCounter: count(15),
  electronicCash: orNull(shape({ balanceMinor: minor, secondBalanceMinor: minor })),
  log: listOf(LOG_MAX, hex(0, 252)),
  loadLog: listOf(LOG_MAX, hex(0, 252)),
});

const DGI_ID = /^[0-9A-F]{4}$/;

const applicationShape = shape({
  aid: hex(5, 16),
  isPersonalised: flag,
  dgis: mapOf(DGI_ID, DGIS_MAX, hex(0, DGI_HEX_MAX / 2)),
  state: stateShape,
});

const imageShape = shape({
  version: oneOf(3),
  atr: hex(2, 33),
  ats: hex(2, 33),
  life: oneOf('personalisation', 'operational'),
  transportKey: check(
    (value) => typeof value === 'string' && /^([0-9A-F]{32})?$/.test(value),
    'is neither empty nor 16 bytes of upper-case hex',
  ),
  pse: orNull(shape({ fci: hex(0, 256), records: mapOf(DGI_ID, DGIS_MAX, hex(0, 256)) })),
  ppse: orNull(shape({ fci: hex(0, 256) })),
  applications: listOf(APPLICATIONS_MAX, applicationShape),
  cardBlocked: flag,
  lab: shape({
    contactlessRefusal: oneOf(null, '6984'),
    selectStatusWords: mapOf(/^([0-9A-F]{2}){5,16}$/, APPLICATIONS_MAX, hex(2, 2)),
    declinesOffline: flag,
  }),
});

function fail(path: string, why: string): void {
  throw new EmvDataError('ERR_EMV_IMAGE', `the card image is not sound: ${path} ${why}`, { path });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
