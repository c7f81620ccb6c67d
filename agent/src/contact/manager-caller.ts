/**
 * The element's calls to its manager: at the start until one went well, and before each use of the
 * payment application, so that what the manager wants holds for the next payment already.
 */
import type { TsmJobOutcome, TsmProgress } from '@tapnpay/protocol/wire';
import type { ElementProcess } from '../element-process.ts';
import { managedCard } from '../management/element-card.ts';
import { contactManager } from './contact.ts';
import { announceElement, httpManagerLink } from './manager-link.ts';

/** Who calls the manager for an element. */
export interface ManagerCaller {
  /** Does what the manager wants now. @throws TapError why there was no whole contact. */
  call(element: ElementProcess): Promise<readonly TsmJobOutcome[]>;
}

export type ManagerCallerConfig = {
  readonly managerUrl: string;
  /** In a laboratory an element says itself that it is there; a factory does so elsewhere. */
  readonly isAnnounced: boolean;
  readonly pause: (ms: number) => Promise<void>;
  readonly onProgress?: (progress: TsmProgress) => void;
};

/** Calls over HTTP. */
export function httpManagerCaller(config: ManagerCallerConfig): ManagerCaller {
  const { managerUrl, pause, onProgress } = config;
  const manager = httpManagerLink(managerUrl);
  let announced: ElementProcess | null = null;
  return {
    async call(element) {
      if (config.isAnnounced && announced !== element && element.card !== null) {
        await announceElement(managerUrl, element.card);
        announced = element;
      }
      const card = await managedCard(element);
      return contactManager({ card, manager, pause, ...(onProgress ? { onProgress } : {}) });
    },
  };
}
