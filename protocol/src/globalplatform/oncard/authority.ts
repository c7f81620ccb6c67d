/** Which domain may do what to which object. @see GPCS 2.3.1 §6.6, §9.1.3 */
import { hasPrivilege, PRIVILEGE, type PrivilegeName } from '../data/index.ts';
import { type CardState, domainsAbove, type SecurityDomain } from './state.ts';
import { requireCondition, requireData } from './work.ts';

/** Privileges that only a security domain has. @see GPCS 2.3.1 table 6-1 */
const DOMAIN_ONLY: readonly PrivilegeName[] = [
  ...(['dapVerification', 'delegatedManagement', 'mandatedDapVerification'] as const),
  ...(['authorizedManagement', 'tokenVerification', 'receiptGeneration'] as const),
];
/** Privileges that reach beyond their holder: who gives one has it. */
const GIVEN_BY_HOLDER: readonly PrivilegeName[] = [
  ...(['authorizedManagement', 'globalDelete', 'globalLock', 'globalRegistry'] as const),
  ...(['cardLock', 'cardTerminate', 'cardReset'] as const),
];
/** Privileges that need what this card does not do: tokens and receipts. */
const NOT_OFFERED: number =
  PRIVILEGE.tokenVerification | PRIVILEGE.receiptGeneration | PRIVILEGE.cipheredLoadFileDataBlock;

/** Whether an object belongs to a domain or to one below it. */
export function isBelow(state: CardState, objectDomainAid: string, domainAid: string): boolean {
  return domainsAbove(state, objectDomainAid).some(({ aid }) => aid === domainAid);
}

/**
 * Content management: Authorized Management, and the object is the domain's own or below it.
 * Delegated Management alone needs a token, which this card does not verify.
 * @throws CardRefusal 6985.
 */
export function requireManagement(
  state: CardState,
  domain: SecurityDomain,
  objectDomainAid: string,
): void {
  requireCondition(
    hasPrivilege(domain.privileges, 'authorizedManagement'),
    'domain has no Authorized Management',
  );
  requireCondition(
    isBelow(state, objectDomainAid, domain.aid),
    'the object belongs to another domain',
  );
}

/** Lock and unlock: the domain of the object, or one with Global Lock. @throws CardRefusal 6985. */
export function requireLock(domain: SecurityDomain, objectDomainAid: string): void {
  const isAllowed = hasPrivilege(domain.privileges, 'globalLock') || objectDomainAid === domain.aid;
  requireCondition(isAllowed, 'only its own domain or one with Global Lock changes its state');
}

/**
 * Privileges that a domain may give to a new or changed entry.
 * @throws CardRefusal 6A80 for a combination that is none, 6985 for one it may not give.
 */
export function requireGrantable(
  giver: SecurityDomain,
  privileges: number,
  kind: 'domain' | 'application',
): void {
  const isDomain = hasPrivilege(privileges, 'securityDomain');
  requireData(isDomain === (kind === 'domain'), 'privilege of a security domain');
  requireData((privileges & NOT_OFFERED) === 0, 'privilege that this card does not offer');
  const isFit = isDomain || DOMAIN_ONLY.every((name) => !hasPrivilege(privileges, name));
  requireData(isFit, 'privilege of security domains only');
  // It binds every loading on the card: only the issuer, whose domain is its own, gives it.
  const isIssuer = giver.aid === giver.domainAid;
  requireCondition(
    isIssuer || !hasPrivilege(privileges, 'mandatedDapVerification'),
    'Mandated DAP is the issuer to give',
  );
  for (const name of GIVEN_BY_HOLDER) {
    const isGiven = !hasPrivilege(privileges, name) || hasPrivilege(giver.privileges, name);
    requireCondition(isGiven, `${name} is not the domain's to give`);
  }
}
