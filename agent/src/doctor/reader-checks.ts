/** Real readers: the virtual cards need none, so that nothing here is more than a warning. */
import { type Found, foundFault, foundOk } from '@tapnpay/protocol/wire';
import { isTokenReader, type ReaderList } from '../pcsc/index.ts';
import type { HostSight } from './sight.ts';

/** Kernel drivers that take NFC readers away from the reader service. */
const NFC_MODULES = ['pn533_usb', 'pn533', 'port100', 'nfc'] as const;

/** The system's PC/SC service and the library to speak to it. */
export function checkReaderService(list: ReaderList): Found<'readerService'> {
  switch (list.status) {
    case 'ok':
      return foundOk();
    case 'noLibrary':
      return foundFault('warn', 'ERR_READER_LIBRARY');
    case 'noService':
      return foundFault('warn', 'ERR_READER_SERVICE');
    case 'denied':
      return foundFault('warn', 'ERR_PCSC_DENIED', { reason: list.code });
    case 'failed':
      return foundFault('warn', 'ERR_READER_FAULT', { reason: list.code });
  }
}

/** How readers are judged: what is plugged in, whether it may pay, and whether pages may know. */
export type ReaderFacts = {
  readonly sight: Pick<HostSight, 'platform' | 'readText'>;
  readonly list: ReaderList;
  /** Whether cards in real readers may pay. */
  readonly isOn: boolean;
  /** Names may hold serial numbers: a page is told how many there are. */
  readonly names: 'told' | 'counted';
};

/** The readers themselves, and what may keep them from the service. */
export function checkReaders(facts: ReaderFacts): Found<'readers'> {
  const modules = nfcModules(facts.sight);
  if (modules.length > 0) {
    const told = { names: modules.join(', '), modules: modules.join(' ') };
    return foundFault('warn', 'ERR_READER_KERNEL_DRIVER', told);
  }
  const { list } = facts;
  // A service that does not answer says nothing about readers.
  if (list.status !== 'ok')
    return { state: 'unknown', code: 'ERR_WAITS', facts: WAITS_FOR_SERVICE };
  // A security key beside it makes no reader of none.
  const readers = list.readers.filter((name) => !isTokenReader(name));
  if (readers.length === 0) return foundFault('warn', 'ERR_READER_NONE');
  const names = facts.names === 'told' ? readers.join('; ') : String(readers.length);
  return facts.isOn ? foundOk({ names }) : foundFault('warn', 'ERR_READER_OFF', { names });
}

const WAITS_FOR_SERVICE = { link: 'readerService' } as const;

/** Loaded drivers, the dependent ones first, as `modprobe -r` wants them. */
function nfcModules({ platform, readText }: ReaderFacts['sight']): readonly string[] {
  if (platform !== 'linux') return [];
  const loaded = (readText('/proc/modules') ?? '')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '');
  const found = NFC_MODULES.filter((name) => loaded.includes(name));
  // `nfc` alone drives no reader.
  return found.some((name) => name !== 'nfc') ? found : [];
}
