/** SET STATUS of card, application, domain. @see GPCS 2.3.1 §11.10 */
import { toHex } from '../../bytes/index.ts';
import { type CommandApdu, type ResponseApdu, SW_6A86_WRONG_P1_P2 } from '../../iso7816/index.ts';
import {
  applicationStep,
  CARD_7F_CARD_LOCKED,
  CARD_FF_TERMINATED,
  hasPrivilege,
  isCardStep,
  type PrivilegeName,
  SET_STATUS_40_APPLICATION,
  SET_STATUS_60_DOMAIN_AND_APPLICATIONS,
  SET_STATUS_80_CARD,
} from '../data/index.ts';
import { forget } from './applets.ts';
import { isBelow, requireLock } from './authority.ts';
import { type CardEntry, domainOf, withEntry } from './state.ts';
import {
  CardRefusal,
  dataOf,
  found,
  foundEntry,
  ok,
  requireCondition,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

/** SET STATUS. */
export function setStatus(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const { p1, p2: wanted } = command;
  const aid = toHex(dataOf(command));
  if (p1 === SET_STATUS_80_CARD) setCard(work, wanted);
  else if (p1 === SET_STATUS_40_APPLICATION) setEntry(work, foundEntry(work, aid), wanted);
  else if (p1 === SET_STATUS_60_DOMAIN_AND_APPLICATIONS) setDomain(work, aid, wanted);
  else throw new CardRefusal(SW_6A86_WRONG_P1_P2, 'scope is not known');
  return ok();
}

/** Locking and ending is a privilege; every other step is the issuer's. @see GPCS 2.3.1 §5.1 */
const CARD_PRIVILEGES: Readonly<Record<number, PrivilegeName>> = {
  [CARD_7F_CARD_LOCKED]: 'cardLock',
  [CARD_FF_TERMINATED]: 'cardTerminate',
};

function setCard(work: Work, wanted: number): void {
  const { lifeCycle, issuerDomainAid } = work.state;
  const { aid, privileges } = selectedDomain(work);
  requireCondition(isCardStep(lifeCycle, wanted), 'no step of the card');
  const needed = CARD_PRIVILEGES[wanted];
  const isAllowed = needed ? hasPrivilege(privileges, needed) : aid === issuerDomainAid;
  requireCondition(isAllowed, `${needed ?? 'the domain of the issuer'} is needed`);
  work.state = { ...work.state, lifeCycle: wanted };
}

/** A lock of a domain with Global Lock is taken away by such a one only. */
function setEntry(work: Work, entry: CardEntry, wanted: number): void {
  const domain = selectedDomain(work);
  requireLock(domain, entry.domainAid);
  requireCondition(entry.aid !== work.state.issuerDomainAid, 'its state is that of the card');
  const step = applicationStep(entry.lifeCycle, wanted);
  requireCondition(step !== null, 'no step of its life cycle');
  const isGlobal = hasPrivilege(domain.privileges, 'globalLock');
  const isUnlockable = step.kind !== 'unlock' || isGlobal || !entry.isLockedGlobally;
  requireCondition(isUnlockable, 'locked by a domain with Global Lock');
  const isLockedGlobally = step.kind === 'lock' && isGlobal;
  work.state = withEntry(work.state, { ...entry, lifeCycle: step.state, isLockedGlobally });
  if (step.kind === 'lock') forget(work, entry.aid);
}

/** A domain with all that is below it; what is already as wanted stays. */
function setDomain(work: Work, aid: string, wanted: number): void {
  const target = found(domainOf(work.state, aid), `domain ${aid}`);
  const below = work.state.entries.filter(
    (entry) => entry.aid !== target.aid && isBelow(work.state, entry.domainAid, target.aid),
  );
  setEntry(work, target, wanted);
  for (const entry of below) {
    const step = applicationStep(entry.lifeCycle, wanted);
    if (step === null || step.kind === 'own') continue;
    const isGlobal = hasPrivilege(selectedDomain(work).privileges, 'globalLock');
    if (step.kind === 'unlock' && entry.isLockedGlobally && !isGlobal) continue;
    const isLockedGlobally = step.kind === 'lock' && isGlobal;
    work.state = withEntry(work.state, { ...entry, lifeCycle: step.state, isLockedGlobally });
    if (step.kind === 'lock') forget(work, entry.aid);
  }
}
