/** Cards, terminal and issuer for tests beside a private pcscd. */
import assert from 'node:assert/strict';
import {
  type CardReader,
  type CardSession,
  type ChipCard,
  contactlessAtr,
  insertIntoVpcd,
  type OfferedCard,
  type PcscReaders,
  paymentChannel,
  VPCD_PORT,
  virtualCard,
} from '@tapnpay/agent';
import { asciiToBytes, concatBytes } from '@tapnpay/protocol/bytes';
import { arpcMethod1, deriveIccMasterKey, deriveSessionKey } from '@tapnpay/protocol/crypto';
import type { IccImage } from '@tapnpay/protocol/emv/data';
import {
  contactlessTransaction,
  contactTransaction,
  driveKernel,
  type KernelDriver,
  type KernelOutcome,
  type OfflineApproval,
  type OnlineAnswer,
  type OnlineRequest,
} from '@tapnpay/protocol/emv/terminal';
import { decodeResponse, encodeCommand } from '@tapnpay/protocol/iso7816';
import { nodeCiphers, systemRandom } from '@tapnpay/protocol/node';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { imageOf } from '../../protocol/src/emv/icc/icc.test-kit.ts';
import {
  SAMPLE_IMK_AC,
  SAMPLE_PAN,
  SAMPLE_PSN,
} from '../../protocol/src/emv/icc/sample.test-card.ts';
import { SAMPLE_TERMINAL } from '../../protocol/src/emv/icc/sample-terminal.test-kit.ts';

export { contactlessAtr, imageOf };

/** Slots of the delivered vpcd. */
export const SLOTS = ['Virtual PCD 00 00', 'Virtual PCD 00 01'] as const;
/** The service looks every 400 ms. */
const SEEN_TIMEOUT_MS = 5_000;
/** Our own loopback range, without the 44 ms; 127.0.0.1 has them. */
export const QUICK_HOST = '127.77.0.1';

/** An issuer that answers once per counter of the card, and keeps what it approved. */
export class TestIssuer {
  readonly requests: OnlineRequest[] = [];
  /** Counters of approved requests: two of one counter would be one payment charged twice. */
  readonly approved: string[] = [];
  responseCode = '00';

  readonly answer = (request: OnlineRequest): OnlineAnswer => {
    this.requests.push(request);
    const atc = request.values.get('9F36') ?? new Uint8Array(0);
    const udk = deriveIccMasterKey(SAMPLE_IMK_AC, SAMPLE_PAN, SAMPLE_PSN);
    const code = asciiToBytes(this.responseCode);
    const arpc = arpcMethod1(deriveSessionKey(udk, atc), request.arqc.value, code);
    if (this.responseCode === '00') this.approved.push(Buffer.from(atc).toString('hex'));
    return {
      result: 'answered',
      responseCode: this.responseCode,
      issuerAuthenticationData: concatBytes(arpc, code),
      scripts: [],
    };
  };
}

/** What a payment left behind. */
export type Payment = {
  readonly outcome: KernelOutcome;
  readonly stored: readonly OfflineApproval[];
  readonly commands: number;
};

/** One payment of 12.34 over a session, in a transaction of PC/SC. */
export async function pay(
  session: CardSession,
  issuer: TestIssuer,
  options: { readonly electronicCash?: boolean } = {},
): Promise<Payment> {
  const stored: OfflineApproval[] = [];
  let commands = 0;
  const input = {
    ciphers: nodeCiphers,
    terminal: SAMPLE_TERMINAL,
    amountMinor: 1234n,
    otherAmountMinor: 0n,
    transactionType: 0x00,
    dateYymmdd: '260701',
    timeHhmmss: '101112',
    sequenceCounter: 1,
    electronicCash: options.electronicCash ?? false,
    forceOnline: !options.electronicCash,
    merchant: { nameAndLocation: 'TEST SHOP' },
  };
  return await session.exclusively(async (held) => {
    const card = paymentChannel(held);
    const driver: KernelDriver = {
      transmit: async (command) => {
        commands += 1;
        return decodeResponse(await card.transmit(encodeCommand(command)));
      },
      random: (lengthBytes) => systemRandom.bytes(lengthBytes),
      selectApplication: () => 0,
      enterPin: () => 'entered',
      authorise: issuer.answer,
      storeOfflineApproval: (approval) => {
        stored.push(approval);
      },
    };
    const kernel =
      session.interface === 'contact' ? contactTransaction(input) : contactlessTransaction(input);
    const outcome = await driveKernel<KernelOutcome>(kernel as never, driver);
    return { outcome, stored, commands };
  });
}

/** A card of an image in this process; what it became is kept as a chip keeps it. */
export class TestCard {
  image: IccImage;
  readonly interface: CardInterface;

  constructor(image: IccImage, cardInterface: CardInterface) {
    this.image = image;
    this.interface = cardInterface;
  }

  /** The card pulled at its APDU of this index, before or after the chip has worked; or never. */
  chip(pull?: { readonly index: number; readonly when: 'before' | 'after' }): ChipCard {
    const chip = virtualCard({
      image: this.image,
      interface: this.interface,
      ciphers: nodeCiphers,
      random: systemRandom,
      onImage: (image) => {
        this.image = image;
      },
    });
    let index = 0;
    return {
      ...chip,
      transmit: async (command) => {
        const isPulled = pull !== undefined && pull.index === index;
        index += 1;
        if (isPulled && pull.when === 'before') throw new Error('pulled');
        const answer = await chip.transmit(command);
        if (isPulled) throw new Error('pulled');
        return answer;
      },
    };
  }

  /** Of the first application. */
  get state(): IccImage['applications'][number]['state'] {
    const [application] = this.image.applications;
    assert.ok(application);
    return application.state;
  }
}

/** A reader of the private pcscd and what is needed to put cards into it. */
export class TestSlot {
  readonly reader: CardReader;
  readonly #port: number;
  #offered: OfferedCard | null = null;
  #isPresent = false;
  #onChange: () => void = () => {};

  constructor(readers: PcscReaders, slot: 0 | 1) {
    this.reader = readers.reader(SLOTS[slot]);
    this.#port = VPCD_PORT + slot;
    this.reader.onCard(({ type }) => {
      this.#isPresent = type === 'cardInserted';
      this.#onChange();
    });
  }

  /** Puts the card in, in place of one that a failed test left, until the service has seen it. */
  async insert(card: ChipCard, host: string = QUICK_HOST): Promise<OfferedCard> {
    await this.#offered?.close();
    await this.until(false);
    this.#offered = await insertIntoVpcd(card, { host, port: this.#port });
    await this.until(true);
    return this.#offered;
  }

  /** Resolves when the service sees a card, or none. */
  async until(present: boolean): Promise<void> {
    const late = AbortSignal.timeout(SEEN_TIMEOUT_MS);
    while (this.#isPresent !== present) {
      await new Promise<void>((resolve, reject) => {
        this.#onChange = resolve;
        late.onabort = () => reject(new Error(`the service does not see the card as ${present}`));
      });
    }
  }
}
