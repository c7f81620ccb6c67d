/** `tapnpay element offer`: the element's card for every program that speaks PC/SC. */
import { ElementCardTransport } from '@tapnpay/agent';
import { languageOption, type OptionValues } from '../command.ts';
import {
  type OfferableCard,
  offerByCalling,
  offerInReverse,
  readAddress,
  warnOfSlowRoute,
} from './cards-vpcd.ts';
import { startOwnElement } from './element-source.ts';

/** Offers it until it is interrupted; resolves with the exit code. */
export async function offerElement(
  values: OptionValues,
  addressText: string | undefined,
): Promise<number> {
  const address = readAddress(addressText);
  const language = languageOption(values);
  const element = await startOwnElement(values);
  try {
    const transport = new ElementCardTransport(element);
    const card: OfferableCard = {
      interface: transport.interface,
      reset: () => transport.reset(),
      transmit: (command: Uint8Array) => transport.transmit(command),
      isThere: () => true,
    };
    const interrupted = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => interrupted.abort());
    }
    const offer = values['reverse'] === true ? offerInReverse : offerByCalling;
    const serialNumber = element.card?.serialNumber ?? null;
    await offer(card, address, interrupted.signal, (actual) => {
      const where = `${actual.host}:${actual.port}`;
      const text = {
        en: `element ${serialNumber} is offered to vpcd at ${where}; Ctrl-C takes it out`,
        zh: `安全单元 ${serialNumber} 已提供给 ${where} 的 vpcd；按 Ctrl-C 取出`,
      };
      const document = JSON.stringify({ serialNumber, vpcd: actual });
      process.stdout.write(`${values['json'] ? document : text[language]}\n`);
      warnOfSlowRoute(actual);
    });
    return 0;
  } finally {
    await element.close();
  }
}
