/** Reading an element as it is, also one that says it badly. @see GPCS 2.3.1 §11.3, §11.4 */
import { TapError, toHex } from '@tapnpay/protocol/bytes';
import {
  decodeKeyInformation,
  STATUS_20_LOAD_FILES,
  STATUS_40_APPLICATIONS,
  STATUS_80_ISSUER_DOMAIN,
  TAG_9F7F_CPLC,
  TAG_E0_KEY_INFORMATION,
} from '@tapnpay/protocol/globalplatform/data';
import {
  type RegistryEntry,
  readCardObject,
  readRegistry,
  selectCommand,
} from '@tapnpay/protocol/globalplatform/offcard';
import { SW_9000_OK } from '@tapnpay/protocol/iso7816';
import type { ElementLine, Talk } from '../element-line.ts';
import type { ElementReading, ReadEntry } from '../model.ts';

/** What stays the same in one job unless a step changes it. */
export type KeyVersions = Record<string, readonly number[]>;

/** The registry, in the session with the issuer's domain. */
export async function* readElement(
  line: ElementLine,
  kept: {
    readonly nowMs: number;
    readonly keyVersions: KeyVersions;
    readonly cplc: string | null;
  },
): Talk<ElementReading> {
  const issuer = yield* line.stepsInSession(readRegistry(STATUS_80_ISSUER_DOMAIN));
  const applications = yield* line.stepsInSession(readRegistry(STATUS_40_APPLICATIONS));
  const loadFiles = yield* line.stepsInSession(readRegistry(STATUS_20_LOAD_FILES));
  return {
    readAtMs: kept.nowMs,
    lifeCycle: issuer.entries[0]?.lifeCycle ?? 0,
    entries: applications.entries.map(entryOf),
    loadFiles: loadFiles.entries.map(entryOf),
    keyVersions: { ...kept.keyVersions },
    cplc: kept.cplc,
    isTruncated: issuer.isTruncated || applications.isTruncated || loadFiles.isTruncated,
  };
}

/**
 * Production data in hex, whatever is in them: they are shown, never believed (report 9). Null
 * where the element has none or will not say.
 */
export async function* readProductionData(line: ElementLine): Talk<string | null> {
  const value = yield* line.stepsInSession(tolerant(readCardObject(TAG_9F7F_CPLC)));
  return value && toHex(value);
}

/** Versions of the keys of the domain that the session is with. */
export async function* readKeyVersionsInSession(line: ElementLine): Talk<readonly number[]> {
  const value = yield* line.stepsInSession(tolerant(readCardObject(TAG_E0_KEY_INFORMATION)));
  return versionsOf(value);
}

/** The same of a domain without a session; null when it cannot be selected. */
export async function* readKeyVersions(
  line: ElementLine,
  domainAid: string,
): Talk<readonly number[] | null> {
  line.end();
  const [selected] = yield* line.plain([selectCommand(domainAid)]);
  if (selected?.statusWord !== SW_9000_OK) return null;
  const steps = tolerant(readCardObject(TAG_E0_KEY_INFORMATION));
  let state = steps.next();
  while (!state.done) {
    const [answer] = yield* line.plain([state.value]);
    if (!answer) return [];
    state = steps.next(answer);
  }
  return versionsOf(state.value);
}

/** A listing that is no template has no versions: the element has said nothing of them. */
function versionsOf(value: Uint8Array | null): readonly number[] {
  if (!value) return [];
  try {
    const keys = decodeKeyInformation(value);
    return [...new Set(keys.map(({ keyVersionNumber }) => keyVersionNumber))];
  } catch (thrown) {
    if (thrown instanceof TapError) return [];
    throw thrown;
  }
}

/** An object that the element refuses to show is one that it does not have. */
function* tolerant<Y, S>(
  steps: Generator<Y, Uint8Array | null, S>,
): Generator<Y, Uint8Array | null, S> {
  try {
    return yield* steps;
  } catch (thrown) {
    if (thrown instanceof TapError && thrown.code === 'ERR_GP_STATUS') return null;
    throw thrown;
  }
}

function entryOf({ aid, lifeCycle, domainAid }: RegistryEntry): ReadEntry {
  return { aid, lifeCycle, domainAid };
}
