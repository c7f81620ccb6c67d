/** Wanted and actual side by side, by what an element said last. */
import {
  applicationStateName,
  cardStateName,
  isLocked,
} from '@tapnpay/protocol/globalplatform/data';
import type { Application, Element, Placement, WantedState } from './model.ts';

/** What an application is on an element, in one word. */
export type ActualState = 'operable' | 'locked' | 'installed' | 'loaded' | 'absent' | 'unknown';
/** One application on one element. */
export type PlacementView = {
  readonly applicationId: string;
  readonly wanted: WantedState;
  readonly wantedVersionId: string | null;
  readonly actual: ActualState;
  /** As the element names it: INSTALLED, SELECTABLE, LOCKED and so on; null when it is absent. */
  readonly lifeCycle: string | null;
  readonly actualVersionId: string | null;
  readonly isPersonalised: boolean;
  /** What differs; empty when nothing does. */
  readonly drift: readonly ('state' | 'version' | 'data')[];
};

/** The view of a placement. */
export function placementView(
  element: Pick<Element, 'reading'>,
  placement: Placement,
  application: Pick<Application, 'loadFileAid' | 'instanceAid' | 'needsPersonalisation'>,
): PlacementView {
  const { reading } = element;
  const entry = reading?.entries.find(({ aid }) => aid === application.instanceAid);
  const hasFile = reading?.loadFiles.some(({ aid }) => aid === application.loadFileAid) ?? false;
  const isPersonalised = placement.personalisedAs !== null;
  const actual = actualOf({ isRead: reading !== null, hasFile, entry });
  const actualVersionId = hasFile ? placement.knownVersionId : null;
  const isThere = placement.state === 'operable';
  const drift = [
    ...(actual === placement.state ? [] : (['state'] as const)),
    ...(isThere && hasFile && actualVersionId !== placement.wantedVersionId
      ? (['version'] as const)
      : []),
    ...(isThere && entry && application.needsPersonalisation && !isPersonalised
      ? (['data'] as const)
      : []),
  ];
  return {
    ...{ applicationId: placement.applicationId, wanted: placement.state },
    ...{ wantedVersionId: placement.wantedVersionId, actual, actualVersionId, isPersonalised },
    lifeCycle: entry ? applicationStateName(entry.lifeCycle ?? 0) : null,
    drift: actual === 'unknown' ? [] : drift,
  };
}

function actualOf(found: {
  readonly isRead: boolean;
  readonly hasFile: boolean;
  readonly entry: { readonly lifeCycle: number | null } | undefined;
}): ActualState {
  if (!found.isRead) return 'unknown';
  if (!found.entry) return found.hasFile ? 'loaded' : 'absent';
  const state = found.entry.lifeCycle ?? 0;
  if (isLocked(state)) return 'locked';
  return state === 0x03 ? 'installed' : 'operable';
}

/** The card's state by name; null before the first contact. */
export function cardStateOf({ reading }: Pick<Element, 'reading'>): string | null {
  return reading && (cardStateName(reading.lifeCycle) ?? `unknown ${reading.lifeCycle}`);
}
