/** Parameter management (参数管理): the gateway's acceptance parameters as the kernel's profile. */
import { currencyExponent } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import { type TerminalProfile, terminalProfileOf } from '@tapnpay/protocol/emv/terminal';
import type { ApplicationContext } from '@tapnpay/protocol/wire';

/** RID of UnionPay, under which the sandbox CA lives. */
const RID_UNIONPAY = 'A000000333';
/** First key index of the sandbox CA. No card of a real bank chains to it. */
const SANDBOX_CA_INDEX_MIN = 0xf0;
/** Characters of 9F1E. */
const SERIAL_NUMBER_CHARACTERS = 8;

/**
 * The acceptor for one order's currency.
 * @throws KernelError `ERR_KERNEL_PROFILE`, `ERR_KERNEL_CA_KEY`.
 */
export function terminalProfile(
  { ciphers, elementId, parameters }: ApplicationContext<CipherProvider>,
  currency: string,
): TerminalProfile {
  return terminalProfileOf(parameters, {
    ciphers,
    currency,
    currencyExponent: currencyExponent(currency),
    interfaceDeviceSerialNumber: elementId.slice(-SERIAL_NUMBER_CHARACTERS).padStart(8, '0'),
  });
}

/** Whether a CA key is the sandbox's: only its cards may be asked for an online PIN. */
export function isSandboxCa(rid: string, index: number): boolean {
  return rid === RID_UNIONPAY && index >= SANDBOX_CA_INDEX_MIN;
}
