/** What the manager's core asks of the outside. */
import type { Clock, RandomSource } from '@tapnpay/protocol/bytes';
import { ISSUER_DOMAIN_AID } from '@tapnpay/protocol/globalplatform/oncard';
import type { Hsm, LoadFileSignatureKind } from '@tapnpay/protocol/wire';
import type { AuditLog, Log } from '../runtime/index.ts';
import type { Application, ApplicationVersion, Element } from './model.ts';
import type { TsmStore } from './store.ts';

/**
 * One grouping for an application: a value in hex, or a key that the HSM makes of a master for this
 * element and application, and that nobody else sees.
 */
export type PersonalisationGrouping =
  | { readonly identifier: number; readonly value: string }
  | {
      readonly identifier: number;
      readonly master: string;
      readonly usage: 'encryption' | 'mac' | 'dataEncryption';
    };

/**
 * Where an application's data for one element come from: asked while an instance lacks them. The
 * same question gets the same data, so that a cut personalisation ends as an uncut one; null when
 * there are none for this element. What it throws lets the job wait for the next contact.
 */
export interface PersonalisationSource {
  groupings(request: {
    readonly element: Element;
    readonly application: Application;
    readonly version: ApplicationVersion;
  }): Promise<readonly PersonalisationGrouping[] | null>;
}

/** What an installation of the manager is. */
export type TsmProfile = {
  readonly issuerDomainAid: string;
  /** Domain whose key verifies every load file (mandated DAP). */
  readonly certifierDomainAid: string;
  readonly signatureKind: LoadFileSignatureKind;
  /** Most bytes of a command that is sent, even when an element takes more. */
  readonly commandBytesMax: number;
};

/** The usual profile. */
export const TSM_PROFILE: TsmProfile = {
  issuerDomainAid: ISSUER_DOMAIN_AID,
  certifierDomainAid: 'F05441500D01',
  signatureKind: 'ecdsaP256',
  commandBytesMax: 16_384,
};

/** Everything. */
export type TsmPorts = {
  readonly store: TsmStore;
  readonly audit: AuditLog;
  readonly hsm: Hsm;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly personalisation: PersonalisationSource;
  readonly profile: TsmProfile;
  readonly log: Log;
};
