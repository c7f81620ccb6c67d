/**
 * Whether a part has to be updated: what `updateNeed` of the protocol judges, in the few lines that
 * a page has room for; a test holds the two together. @see Semantic Versioning 2.0.0 §11
 */
import type { OfferedVersion, UpdateNeed } from '@tapnpay/protocol/wire';

/** §2 and §9; what follows a plus sign never counts (§10). */
const VERSION = /^(\d{1,10})\.(\d{1,10})\.(\d{1,10})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** What has to be done to a part; null: one of the texts is no version. */
export function needOfVersion(present: string, offered: OfferedVersion): UpdateNeed | null {
  const [own, latest, required] = [present, offered.latest, offered.required].map((text) =>
    VERSION.exec(text),
  );
  if (!own || !latest || !required) return null;
  if (isOlder(own, required)) return 'forced';
  return isOlder(own, latest) ? 'optional' : 'ok';
}

function isOlder(own: RegExpExecArray, wanted: RegExpExecArray): boolean {
  for (const at of [1, 2, 3]) {
    const ahead = Number(own[at]) - Number(wanted[at]);
    if (ahead !== 0) return ahead < 0;
  }
  const [before, after] = [own[4], wanted[4]];
  // §11.3: a version is newer than its own pre-releases.
  if (!before || !after) return !!before && !after;
  return before.localeCompare(after, 'en', { numeric: true }) < 0;
}
