/**
 * What is missing between an element as it was read and as a job wants it: a list of steps, in
 * order. Pure: the same reading gives the same list, wherever the job was cut.
 */
import {
  APPLICATION_03_INSTALLED,
  APPLICATION_80_LOCKED,
  CARD_0F_SECURED,
  CARD_7F_CARD_LOCKED,
  CARD_01_OP_READY,
  CARD_07_INITIALIZED,
  CARD_FF_TERMINATED,
  isLocked,
  KEY_VERSION_70_TOKEN,
  KEY_VERSION_73_DAP,
  privilegesOf,
} from '@tapnpay/protocol/globalplatform/data';
import type {
  Application,
  ApplicationVersion,
  Element,
  ElementKeySet,
  ElementReading,
  JobKind,
  Placement,
  Provider,
} from '../model.ts';
import type { PersonalisationGrouping, TsmProfile } from '../ports.ts';

/** An application on an element with everything that a step needs. */
export type PlannedApplication = {
  readonly placement: Placement;
  readonly application: Application;
  readonly provider: Provider;
  /** The version that shall be there; null when none is. */
  readonly version: ApplicationVersion | null;
  /** Data for the instance; null when it takes none. */
  readonly data: readonly PersonalisationGrouping[] | null;
  /** Version and digest of the data, as the placement notes them; null without data. */
  readonly dataMark: string | null;
};

/** A step of each of these names about an application. */
type ApplicationStep<Name extends string> = Name extends Name
  ? { readonly name: Name; readonly planned: PlannedApplication }
  : never;
/** One step. */
export type Step =
  | {
      readonly name: 'putKeys';
      readonly domainAid: string;
      /** Version that goes; 0 adds. */
      readonly replaces: number;
      readonly keyVersionNumber: number;
      readonly master: string;
    }
  | { readonly name: 'putCertifierKey'; readonly domainAid: string }
  | { readonly name: 'makeDomain'; readonly domainAid: string; readonly privileges: number }
  | { readonly name: 'setCardState'; readonly lifeCycle: number }
  | ApplicationStep<'deleteLoadFile' | 'load' | 'install' | 'makeSelectable' | 'personalise'>
  | {
      readonly name: 'setApplicationState';
      readonly planned: PlannedApplication;
      readonly state: number;
    };

/** What a job looks at. */
export type World = {
  readonly kind: JobKind;
  readonly element: Element;
  readonly reading: ElementReading;
  readonly profile: TsmProfile;
  readonly applications: readonly PlannedApplication[];
};

/** First version of sets that open a channel. @see GPCS 2.3.1 §11.1.8 */
const FIRST_VERSION = { aes: 0x30, des: 0x20 } as const;
/** Versions that a rotation goes through. */
const VERSIONS = 0x10;

/** Kinds of jobs that look after keys and domains of the element itself. */
const OF_ELEMENT: readonly JobKind[] = ['enrol', 'rotateKeys', 'repair'];

/** The steps that are missing. */
export function missingSteps(world: World): readonly Step[] {
  const isOfElement = OF_ELEMENT.includes(world.kind);
  const wanting = world.applications.filter(({ placement }) => placement.state !== 'absent');
  return [
    ...(isOfElement ? issuerKeySteps(world) : []),
    ...(isOfElement ? certifierSteps(world) : []),
    ...providersOf(wanting).flatMap((domainAid) => domainSteps(world, { domainAid })),
    ...otherDomains(world, wanting)
      .filter((domainAid) => world.reading.entries.some(({ aid }) => aid === domainAid))
      .flatMap((domainAid) => domainSteps(world, { domainAid })),
    ...cardSteps(world),
    ...world.applications.flatMap((planned) => applicationSteps(world.reading, planned)),
  ];
}

/** Domains whose keys a job must know. */
export function domainsOfInterest(world: Omit<World, 'reading'>): readonly string[] {
  const certifier = OF_ELEMENT.includes(world.kind) ? [world.profile.certifierDomainAid] : [];
  const wanting = world.applications.filter(({ placement }) => placement.state !== 'absent');
  return [...certifier, ...providersOf(wanting), ...otherDomains(world, wanting)];
}

/** Domains that have keys of ours and that no application of the job is in. */
function otherDomains(
  { kind, element, profile }: Omit<World, 'reading'>,
  wanting: readonly PlannedApplication[],
): readonly string[] {
  if (!OF_ELEMENT.includes(kind)) return [];
  const named = [profile.issuerDomainAid, profile.certifierDomainAid, ...providersOf(wanting)];
  const known = element.keySets.map(({ domainAid }) => domainAid);
  return [...new Set(known)].filter((domainAid) => !named.includes(domainAid));
}

/** The version of a key set that comes after another one. */
export function nextKeyVersion(keyType: Element['keyType'], before: number | null): number {
  const first = FIRST_VERSION[keyType];
  const isOurs = before !== null && before >= first && before < first + VERSIONS;
  return isOurs ? first + ((before - first + 1) % VERSIONS) : first;
}

function providersOf(planned: readonly PlannedApplication[]): readonly string[] {
  return [...new Set(planned.map(({ provider }) => provider.domainAid))];
}

function setOf(element: Element, domainAid: string): ElementKeySet | undefined {
  return element.keySets.find((set) => set.domainAid === domainAid);
}

/** The first key change, and each later one: no set of another master stays. */
function issuerKeySteps({ element, reading, profile }: World): readonly Step[] {
  const domainAid = profile.issuerDomainAid;
  const set = setOf(element, domainAid);
  if (set?.master === element.master) return [];
  const versions = reading.keyVersions[domainAid] ?? [];
  const replaces = set?.keyVersionNumber ?? versions.at(-1) ?? 0xff;
  const keyVersionNumber = nextKeyVersion(element.keyType, replaces);
  const step = { name: 'putKeys', domainAid, replaces, keyVersionNumber } as const;
  return [{ ...step, master: element.master }];
}

/** Its own keys come before the key that verifies (report 16). */
function certifierSteps(world: World): readonly Step[] {
  const domainAid = world.profile.certifierDomainAid;
  const privileges = privilegesOf('securityDomain', 'mandatedDapVerification');
  const steps = domainSteps(world, { domainAid, privileges });
  const versions = world.reading.keyVersions[domainAid] ?? [];
  const hasKey = versions.includes(KEY_VERSION_73_DAP);
  return hasKey ? steps : [...steps, { name: 'putCertifierKey', domainAid }];
}

function domainSteps(
  { kind, element, reading }: World,
  domain: { readonly domainAid: string; readonly privileges?: number },
): readonly Step[] {
  const { domainAid, privileges = privilegesOf('securityDomain') } = domain;
  const isThere = reading.entries.some(({ aid }) => aid === domainAid);
  const made: readonly Step[] = isThere ? [] : [{ name: 'makeDomain', domainAid, privileges }];
  const versions = (isThere && reading.keyVersions[domainAid]) || [];
  const own = versions.filter((version) => version < KEY_VERSION_70_TOKEN);
  const set = setOf(element, domainAid);
  const isKept = set && own.includes(set.keyVersionNumber);
  const isRight = isKept && (set.master === element.master || !OF_ELEMENT.includes(kind));
  if (isRight) return made;
  const replaces = isKept ? set.keyVersionNumber : (own.at(-1) ?? 0);
  const keyVersionNumber = nextKeyVersion(element.keyType, replaces === 0 ? null : replaces);
  const step = { name: 'putKeys', domainAid, replaces, keyVersionNumber } as const;
  return [...made, { ...step, master: element.master }];
}

/** A new card becomes SECURED; suspending locks it, resuming gives it back. */
function cardSteps({ kind, reading }: World): readonly Step[] {
  const { lifeCycle } = reading;
  const to = (...states: readonly number[]): readonly Step[] =>
    states.map((state) => ({ name: 'setCardState', lifeCycle: state }));
  if (lifeCycle === CARD_FF_TERMINATED) return [];
  const raised = (): readonly Step[] => {
    if (lifeCycle === CARD_01_OP_READY) return to(CARD_07_INITIALIZED, CARD_0F_SECURED);
    return lifeCycle === CARD_07_INITIALIZED ? to(CARD_0F_SECURED) : [];
  };
  if (kind === 'enrol' || kind === 'repair') return raised();
  if (kind === 'suspend' && lifeCycle !== CARD_7F_CARD_LOCKED) {
    return [...raised(), ...to(CARD_7F_CARD_LOCKED)];
  }
  return kind === 'resume' && lifeCycle === CARD_7F_CARD_LOCKED ? to(CARD_0F_SECURED) : [];
}

function applicationSteps(reading: ElementReading, planned: PlannedApplication): readonly Step[] {
  const { placement, application } = planned;
  const hasFile = reading.loadFiles.some(({ aid }) => aid === application.loadFileAid);
  const instance = reading.entries.find(({ aid }) => aid === application.instanceAid);
  const of = (name: 'deleteLoadFile' | 'load' | 'install' | 'makeSelectable'): Step => ({
    ...{ name, planned },
  });
  // What a cut listing does not show may be there all the same (report 6).
  const isHidden = reading.isTruncated && placement.knownVersionId !== null;
  const isGone = !hasFile && !instance && !isHidden;
  if (placement.state === 'absent') return isGone ? [] : [of('deleteLoadFile')];
  if (placement.state === 'locked') return instance ? lockSteps(planned, instance.lifeCycle) : [];
  const isVersion = hasFile && placement.knownVersionId === placement.wantedVersionId;
  const state = instance?.lifeCycle ?? null;
  if (!isVersion) {
    const gone = hasFile ? [of('deleteLoadFile')] : [];
    return [...gone, of('load'), of('install'), ...dataSteps(planned, { isNew: true })];
  }
  if (!instance) return [of('install'), ...dataSteps(planned, { isNew: true })];
  const isUnlocking = state !== null && isLocked(state);
  return [
    ...(isUnlocking ? [unlock(planned, state)] : []),
    ...(state === APPLICATION_03_INSTALLED ? [of('makeSelectable')] : []),
    ...dataSteps(planned, { isNew: false }),
  ];
}

function dataSteps(
  planned: PlannedApplication,
  { isNew }: { readonly isNew: boolean },
): readonly Step[] {
  const { placement, dataMark } = planned;
  const isDone = dataMark === null || (!isNew && placement.personalisedAs === dataMark);
  return isDone ? [] : [{ name: 'personalise', planned }];
}

function lockSteps(planned: PlannedApplication, state: number | null): readonly Step[] {
  if (state !== null && isLocked(state)) return [];
  const locked = (state ?? 0) | APPLICATION_80_LOCKED;
  return [{ name: 'setApplicationState', planned, state: locked }];
}

function unlock(planned: PlannedApplication, state: number): Step {
  return { name: 'setApplicationState', planned, state: state & ~APPLICATION_80_LOCKED };
}

/** What a step is about, for people. */
export function subjectOf(step: Step): string {
  if ('planned' in step) {
    const { application, version } = step.planned;
    return step.name === 'load' ? (version?.id ?? application.id) : application.id;
  }
  return 'domainAid' in step ? step.domainAid : `card ${step.lifeCycle.toString(16).toUpperCase()}`;
}
