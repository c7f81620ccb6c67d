/**
 * What a doctor found: one check a link between browser and issuer, as codes and facts. The texts
 * stand beside (`doctor-texts.ts`), so that command, options page and pay page say the same.
 */
import {
  listShape,
  nullableShape,
  objectShape,
  oneOfShape,
  type Shape,
  textShape,
} from './shape.ts';
import type { TwoLanguages } from './trace.ts';

/** Checks of one report at most: links times browsers. */
export const DOCTOR_CHECKS_MAX = 64;
/** Facts of one check at most. */
export const DOCTOR_FACTS_MAX = 16;
/** Longest fact: a list of places, one a line. */
export const DOCTOR_FACT_CHARACTERS_MAX = 4_096;
/** Longest name of a check, a code or a fact. */
const NAME_CHARACTERS_MAX = 64;

/**
 * `warn`: a payment can be made, but something is missing that a person may want. `unknown`: not
 * looked at, because a link before it is broken or because it cannot be seen from here.
 */
export type CheckState = 'ok' | 'warn' | 'broken' | 'unknown';

/** One link as it was found. */
export type DoctorCheck = {
  /** A `CheckId`, or a later version's; a link of every browser stands once a browser. */
  readonly id: string;
  readonly state: CheckState;
  /** What is wrong, by `CHECK_CODES`; null when nothing is. */
  readonly code: string | null;
  /** What the texts name: paths, versions, addresses. Never a secret or a PAN. */
  readonly facts: Readonly<Record<string, string>>;
};

/** The links in the order in which a payment needs them. */
export type DoctorReport = { readonly checks: readonly DoctorCheck[] };

/** Said of a link that waits for another one, named by the fact `link`; state `unknown`. */
export const CHECK_WAITS = 'ERR_WAITS';

/** What can be wrong with the links that host and pages see. */
export const PLUGIN_CHECK_CODES = {
  /** The extension in a browser. */
  extension: [
    'ERR_EXTENSION_MISSING',
    'ERR_EXTENSION_OUTDATED',
    'ERR_EXTENSION_UPDATE',
    'ERR_EXTENSION_RELOADED',
    'ERR_WORKER_STOPPED',
    'ERR_FRAME_NOT_ALLOWED',
    'ERR_ORIGIN',
    'ERR_MESSAGE_TOO_LARGE',
  ],
  /** The host itself, started as the browser starts it. */
  host: [
    'ERR_HOST_MISSING',
    'ERR_HOST_FORBIDDEN',
    'ERR_HOST_START',
    'ERR_HOST_EXITED',
    'ERR_HOST_TIMEOUT',
    'ERR_HOST_PROTOCOL',
    'ERR_HOST_REFUSED',
    'ERR_HOST_LINGERS',
    'ERR_HOST_OUTDATED',
    'ERR_HOST_UPDATE',
    'ERR_VERSION',
  ],
  element: [
    'ERR_ELEMENT_NOT_ENROLLED',
    'ERR_ELEMENT_LOCKED',
    'ERR_ELEMENT_GONE',
    'ERR_ELEMENT_IN_USE',
    'ERR_ELEMENT_UNSEEN',
  ],
  readerService: [
    'ERR_READER_LIBRARY',
    'ERR_READER_SERVICE',
    'ERR_PCSC_DENIED',
    'ERR_READER_FAULT',
  ],
  readers: ['ERR_READER_NONE', 'ERR_READER_OFF', 'ERR_READER_KERNEL_DRIVER'],
  gateway: ['ERR_GATEWAY_DOWN', 'ERR_GATEWAY_OTHER', 'ERR_GATEWAY_NOT_READY'],
  /** The gateway's document of versions. */
  versions: ['ERR_VERSIONS_MISSING', 'ERR_HOST_OUTDATED', 'ERR_HOST_UPDATE', 'ERR_VERSION'],
} as const;

/** What can be wrong with the rest of a system on this machine. */
export const SYSTEM_CHECK_CODES = {
  node: ['ERR_NODE_OLD'],
  dataFolder: [
    'ERR_DATA_FOLDER_MISSING',
    'ERR_DATA_FOLDER_READ_ONLY',
    'ERR_NO_SYSTEM',
    'ERR_DISK_FULL',
  ],
  browser: ['ERR_BROWSER_MISSING'],
  pages: ['ERR_PAGES'],
  database: ['ERR_DATABASE_DOWN', 'ERR_OWN_DATABASE_DOWN'],
  hsms: ['ERR_HSM_DOWN'],
  switch: ['ERR_SWITCH_DOWN', 'ERR_SWITCH_LINE'],
  shop: ['ERR_SHOP_DOWN', 'ERR_SHOP_NOT_READY'],
  observer: ['ERR_OBSERVER_DOWN', 'ERR_OBSERVER_NOT_READY'],
  /** The local service of `npm start`, the way of browsers without the extension. */
  agent: ['ERR_AGENT_DOWN', 'ERR_AGENT_OTHER', 'ERR_VERSION'],
  /** The file by which a browser finds the host. */
  manifest: [
    'ERR_BROWSER_SANDBOXED',
    'ERR_MANIFEST_MISSING',
    'ERR_MANIFEST_ELSEWHERE',
    'ERR_MANIFEST_UNREADABLE',
    'ERR_MANIFEST_JSON',
    'ERR_MANIFEST_NAME',
    'ERR_MANIFEST_TYPE',
    'ERR_HOST_FORBIDDEN',
    'ERR_HOST_PATH_RELATIVE',
    'ERR_HOST_PATH_MISSING',
    'ERR_HOST_NOT_EXECUTABLE',
    'ERR_HOST_OTHER_SYSTEM',
  ],
  /** What installs the extension for every user. */
  policy: [
    'ERR_POLICY_MISSING',
    'ERR_POLICY_JSON',
    'ERR_POLICY_OTHER_SYSTEM',
    'ERR_POLICY_UNREADABLE',
  ],
} as const;

export type PluginCheckId = keyof typeof PLUGIN_CHECK_CODES;
export type SystemCheckId = keyof typeof SYSTEM_CHECK_CODES;
/** Every link and what can be wrong with it. */
export const CHECK_CODES: typeof PLUGIN_CHECK_CODES & typeof SYSTEM_CHECK_CODES = {
  ...PLUGIN_CHECK_CODES,
  ...SYSTEM_CHECK_CODES,
};

/** The links that are known here. */
export type CheckId = PluginCheckId | SystemCheckId;
/** What can be wrong with one link. */
export type CheckCode<Id extends CheckId> = Id extends PluginCheckId
  ? (typeof PLUGIN_CHECK_CODES)[Id][number]
  : Id extends SystemCheckId
    ? (typeof SYSTEM_CHECK_CODES)[Id][number]
    : never;

/** What was seen, and what to do about it. */
export type CodeText = { readonly seen: TwoLanguages; readonly fix: TwoLanguages };
/** All that can be said of one link. */
export type CheckTexts<Id extends CheckId> = {
  readonly name: TwoLanguages;
  readonly ok: TwoLanguages;
  readonly codes: { readonly [Code in CheckCode<Id>]: CodeText };
};

/** What was found at a link, without the link's name. */
export type Found<Id extends CheckId> = {
  readonly state: CheckState;
  readonly code: CheckCode<Id> | typeof CHECK_WAITS | null;
  readonly facts: Readonly<Record<string, string>>;
};

const nameShape = textShape(NAME_CHARACTERS_MAX, /^[A-Za-z][A-Za-z0-9_]*$/);
const factText = textShape(DOCTOR_FACT_CHARACTERS_MAX);
const checkShapeOf: Shape<DoctorCheck> = objectShape<DoctorCheck>({
  id: nameShape,
  state: oneOfShape('ok', 'warn', 'broken', 'unknown'),
  code: nullableShape(nameShape),
  facts: (value, path) => {
    const entries = listShape(
      (entry: unknown) => entry as readonly [string, unknown],
      DOCTOR_FACTS_MAX,
    )(Object.entries(Object(value)), path);
    return Object.fromEntries(
      entries.map(([name, fact]) => [nameShape(name, path), factText(fact, `${path}.${name}`)]),
    );
  },
});

/** A report from another process. @throws WireError `ERR_MESSAGE_FIELD`. */
export const doctorReportShape: Shape<DoctorReport> = objectShape<DoctorReport>({
  checks: listShape(checkShapeOf, DOCTOR_CHECKS_MAX),
});

/** The first link that keeps a payment from being made, or null. */
export function firstBroken(report: DoctorReport): DoctorCheck | null {
  return report.checks.find(({ state }) => state === 'broken') ?? null;
}
