/** The virtual card of `emv/icc` as a chip for a reader in this process. */
import { fromHex, type RandomSource } from '@tapnpay/protocol/bytes';
import type { CipherProvider } from '@tapnpay/protocol/crypto';
import type { IccImage } from '@tapnpay/protocol/emv/data';
import { createVirtualIcc } from '@tapnpay/protocol/emv/icc';
import type { CardInterface } from '@tapnpay/protocol/wire';
import type { ChipCard } from './card-reader.ts';
import { MemoryReader } from './memory-reader.ts';

/** The card, and who keeps it. */
export type VirtualCardOptions = {
  readonly image: IccImage;
  readonly interface: CardInterface;
  readonly ciphers: CipherProvider;
  readonly random: RandomSource;
  /** Called with the changed card before the answer leaves. */
  readonly onImage?: (image: IccImage) => void;
};

/** A powered virtual card. @throws EmvDataError `ERR_EMV_IMAGE`. */
export function virtualCard(options: VirtualCardOptions): ChipCard {
  const { image, ciphers, random, onImage } = options;
  const icc = createVirtualIcc({ image, ciphers, random, interface: options.interface });
  const atr = imageAtr(image, options.interface);
  return {
    interface: options.interface,
    reset: () => {
      icc.reset();
      return atr.slice();
    },
    transmit: (command) => {
      const answer = icc.transmit(command);
      onImage?.(icc.image());
      return answer;
    },
  };
}

/** A reader with this card in it. */
export function virtualReader(options: VirtualCardOptions, name = 'Virtual reader'): MemoryReader {
  const reader = new MemoryReader({ name, kind: 'virtual' });
  reader.insert(virtualCard(options));
  return reader;
}

/** What the card of the image answers to power. */
export function imageAtr(image: IccImage, cardInterface: CardInterface): Uint8Array {
  return fromHex(cardInterface === 'contact' ? image.atr : image.ats);
}
