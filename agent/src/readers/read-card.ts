/**
 * Reads what a card says of itself: directory, applications, records, counters, log. It pays
 * nothing: no VERIFY, no GENERATE AC, and of a contactless card no GET PROCESSING OPTIONS unless
 * its holder consents, for that answer is already a cryptogram: without it SELECT is all.
 */
import {
  asciiToBytes,
  concatBytes,
  fromHex,
  type RandomSource,
  toHex,
} from '@tapnpay/protocol/bytes';
import { dolFormatOf } from '@tapnpay/protocol/emv/data';
import {
  buildDolValue,
  type CardChannel,
  type CommandApdu,
  decodeDol,
  decodeResponse,
  decodeTlv,
  encodeCommand,
  encodeTlv,
  findTlv,
  flattenTlv,
  type ResponseApdu,
  SW_6E00_CLASS_NOT_SUPPORTED,
  SW_9000_OK,
  type Tlv,
} from '@tapnpay/protocol/iso7816';
import type { CardInterface } from '@tapnpay/protocol/wire';
import { ReaderError } from './errors.ts';

/** Bounds of a reading, whatever the card says. */
const COMMANDS_MAX = 600;
const APPLICATIONS_MAX = 10;
const DIRECTORY_RECORDS_MAX = 10;
const FILE_RECORDS_MAX = 64;
const LOG_RECORDS_MAX = 30;
const GET_RESPONSES_MAX = 16;

/** Applications that a card without directory is asked for, by name. */
const KNOWN_AIDS = [
  ...['A000000333010101', 'A000000333010102', 'A000000333010103', 'A000000333010106'],
  ...['A000000003101001', 'A0000000031010', 'A0000000032010', 'A0000000041010', 'A0000000043060'],
  ...['A00000002501', 'A0000000651010', 'A0000001523010'],
] as const;

/** GET DATA of counters, limits, formats and purses; cards refuse what they do not have. */
const DATA_TAGS = [
  ...['9F36', '9F13', '9F17', '9F4F', 'DF4F', '9F51', '9F52', '9F54', '9F58', '9F59', '9F5C'],
  ...['9F5D', '9F6D', '9F77', '9F78', '9F79', 'DF71', 'DF77', 'DF78', 'DF79'],
] as const;

/**
 * What the terminal says in a reading: no amount, no e-cash (9F7A 0), inquiry of a Chinese
 * terminal. TTQ: qPBOC, contact chip, online PIN and signature; online cryptogram required;
 * fDDA version 01.
 * @see PBOC3 P12 (9F66)
 */
const TERMINAL_VALUES: Readonly<Record<string, string>> = {
  '9F66': '36800080',
  '9F02': '000000000000',
  '9F03': '000000000000',
  '9F1A': '0156',
  '5F2A': '0156',
  '9C': '31',
  '9F7A': '00',
  '95': '0000000000',
  '9F33': 'E0F8C8',
  '9F35': '22',
  '9F40': '6000F0A001',
  DF60: '00',
  DF69: '00',
};

/** How a card may be read. */
export type ReadCardOptions = {
  readonly interface: CardInterface;
  /** The holder wants GET PROCESSING OPTIONS of a contactless card. */
  readonly consent: 'given' | 'none';
  readonly random: RandomSource;
  readonly dateYymmdd: string;
};

/** One application as far as it was read. */
export type ApplicationRead = {
  readonly aid: string;
  /** Status word of SELECT, hex. */
  readonly selected: string;
  /** Status word of GET PROCESSING OPTIONS; null: not sent. */
  readonly options: string | null;
  readonly records: number;
};

/** What came of a reading. */
export type CardRead = {
  /** Where the applications' names come from. */
  readonly directory: 'PSE' | 'PPSE' | 'none';
  readonly applications: readonly ApplicationRead[];
  /** GET PROCESSING OPTIONS was left out for want of consent. */
  readonly isConsentWanted: boolean;
};

/**
 * Reads a card; what it answers is for whoever watches the channel.
 * @throws ReaderError `ERR_CARD_TRANSPORT` beyond the bounds; Iso7816Error for an answer without
 * status word; what the channel throws.
 */
export async function readCard(card: CardChannel, options: ReadCardOptions): Promise<CardRead> {
  const reading = new Reading(card, options);
  return options.interface === 'contact' ? await reading.contact() : await reading.contactless();
}

const NO_DATA = new Uint8Array(0);
const select = (name: Uint8Array, p2 = 0x00): CommandApdu => {
  return { cla: 0x00, ins: 0xa4, p1: 0x04, p2, data: name, le: 256 };
};
const readRecord = (sfi: number, record: number): CommandApdu => {
  return { cla: 0x00, ins: 0xb2, p1: record, p2: (sfi << 3) | 0x04, le: 256 };
};

class Reading {
  readonly #card: CardChannel;
  readonly #options: ReadCardOptions;
  #commands = 0;

  constructor(card: CardChannel, options: ReadCardOptions) {
    this.#card = card;
    this.#options = options;
  }

  async contact(): Promise<CardRead> {
    const listed = await this.#contactDirectory();
    const isListed = listed.length > 0;
    const applications: ApplicationRead[] = [];
    for (const aid of isListed ? listed : KNOWN_AIDS) {
      const application = await this.#application(aid);
      // Of the names that were only tried, those that the card knows.
      if (isListed || application.selected !== '6A82') applications.push(application);
    }
    return { directory: isListed ? 'PSE' : 'none', applications, isConsentWanted: false };
  }

  async contactless(): Promise<CardRead> {
    const directory = await this.#send(select(asciiToBytes('2PAY.SYS.DDF01')));
    const listed = aidsIn(objectsOf(directory));
    const applications: ApplicationRead[] = [];
    for (const aid of listed) applications.push(await this.#application(aid));
    const isConsentWanted = this.#options.consent === 'none' && applications.length > 0;
    return { directory: listed.length > 0 ? 'PPSE' : 'none', applications, isConsentWanted };
  }

  /** Names of the payment system directory. @see EMV 4.3 B1 §12.3.2 */
  async #contactDirectory(): Promise<readonly string[]> {
    const answer = await this.#send(select(asciiToBytes('1PAY.SYS.DDF01')));
    const [sfi = 0] = findTlv(objectsOf(answer), '88')?.value ?? NO_DATA;
    if (sfi < 1 || sfi > 10) return [];
    const aids: string[] = [];
    for (let record = 1; record <= DIRECTORY_RECORDS_MAX; record++) {
      const entry = await this.#send(readRecord(sfi, record));
      if (entry.statusWord !== SW_9000_OK) break;
      aids.push(...aidsIn(objectsOf(entry)));
    }
    return [...new Set(aids)].slice(0, APPLICATIONS_MAX);
  }

  async #application(aid: string): Promise<ApplicationRead> {
    const answer = await this.#send(select(fromHex(aid)));
    const selected = statusOf(answer);
    const isOpen = answer.statusWord === SW_9000_OK;
    const isAllowed = this.#options.interface === 'contact' || this.#options.consent === 'given';
    if (!isOpen || !isAllowed) return { aid, selected, options: null, records: 0 };
    const fci = objectsOf(answer);
    const given = await this.#send(this.#processingOptions(fci));
    const options = statusOf(given);
    const records = await this.#files(given);
    await this.#data();
    await this.#log(fci);
    return { aid, selected, options, records };
  }

  /** GET PROCESSING OPTIONS with what the card asks for. @see EMV 4.3 B3 §6.5.8 */
  #processingOptions(fci: readonly Tlv[]): CommandApdu {
    const values: Readonly<Record<string, string>> = {
      ...TERMINAL_VALUES,
      '9A': this.#options.dateYymmdd,
    };
    const list = findTlv(fci, '9F38')?.value ?? NO_DATA;
    const data = buildDolValue(
      dolOf(list),
      (tag) => {
        if (tag === '9F37') return this.#options.random.bytes(4);
        return values[tag] === undefined ? undefined : fromHex(values[tag]);
      },
      dolFormatOf,
    );
    return { cla: 0x80, ins: 0xa8, p1: 0x00, p2: 0x00, data: encodeTlv('83', data), le: 256 };
  }

  /** The records that the AFL names. @see EMV 4.3 B3 §10.2 */
  async #files(options: ResponseApdu): Promise<number> {
    const objects = objectsOf(options);
    const afl = findTlv(objects, '94')?.value ?? findTlv(objects, '80')?.value.slice(2) ?? NO_DATA;
    let count = 0;
    for (let at = 0; at + 4 <= afl.length; at += 4) {
      const [sfi = 0, first = 0, last = 0] = afl.subarray(at, at + 3);
      for (let record = Math.max(1, first); record <= last && count < FILE_RECORDS_MAX; record++) {
        await this.#send(readRecord(sfi >> 3, record));
        count += 1;
      }
    }
    return count;
  }

  async #data(): Promise<void> {
    for (const tag of DATA_TAGS) {
      const [p1 = 0, p2 = 0] = fromHex(tag);
      await this.#send({ cla: 0x80, ins: 0xca, p1, p2, le: 256 });
    }
  }

  /** The transaction log and the load log where the card says that they are. */
  async #log(fci: readonly Tlv[]): Promise<void> {
    for (const tag of ['9F4D', 'DF4D']) {
      const [sfi = 0, records = 0] = findTlv(fci, tag)?.value ?? NO_DATA;
      if (sfi < 1 || sfi > 30) continue;
      for (let record = 1; record <= Math.min(records, LOG_RECORDS_MAX); record++) {
        const answer = await this.#send(readRecord(sfi, record));
        if (answer.statusWord !== SW_9000_OK) break;
      }
    }
  }

  /** One command with its whole answer; T=0's 61xx and 6Cxx are followed. @see EMV 4.3 B1 §9.3.1 */
  async #send(command: CommandApdu): Promise<ResponseApdu> {
    let answer = await this.#exchange(command);
    if (answer.statusWord >> 8 === 0x6c) answer = await this.#exchange(withLe(command, answer));
    const parts = [answer.data];
    for (let round = 0; answer.statusWord >> 8 === 0x61; round++) {
      if (round === GET_RESPONSES_MAX) throw endless(`61xx more than ${GET_RESPONSES_MAX} times`);
      const fetch = { cla: 0x00, ins: 0xc0, p1: 0x00, p2: 0x00 };
      let next = await this.#exchange(withLe(fetch, answer));
      // Some cards want the class of the command.
      if (next.statusWord === SW_6E00_CLASS_NOT_SUPPORTED) {
        next = await this.#exchange(withLe({ ...fetch, cla: command.cla }, answer));
      }
      answer = next;
      parts.push(answer.data);
    }
    return { data: concatBytes(...parts), statusWord: answer.statusWord };
  }

  async #exchange(command: CommandApdu): Promise<ResponseApdu> {
    this.#commands += 1;
    if (this.#commands > COMMANDS_MAX) {
      throw endless(`more than ${COMMANDS_MAX} commands`);
    }
    return decodeResponse(await this.#card.transmit(encodeCommand(command)));
  }
}

function endless(what: string): ReaderError {
  return new ReaderError('ERR_CARD_TRANSPORT', `the card comes to no end: ${what}`);
}

/** The command for as many bytes as SW2 says. */
function withLe(command: CommandApdu, { statusWord }: ResponseApdu): CommandApdu {
  return { ...command, le: statusWord & 0xff || 256 };
}

function statusOf({ statusWord }: ResponseApdu): string {
  return statusWord.toString(16).toUpperCase().padStart(4, '0');
}

/** Data objects of an answer; none of one that is no TLV. */
function objectsOf({ data }: ResponseApdu): readonly Tlv[] {
  try {
    return decodeTlv(data);
  } catch {
    return [];
  }
}

/** Application names of directory entries (template 61), in their order. */
function aidsIn(objects: readonly Tlv[]): readonly string[] {
  const entries = objects.flatMap(function entriesOf({ tag, children = [], value }): Tlv[] {
    if (tag === '61') return [{ tag, value, children, offsetBytes: 0 }];
    return children.flatMap(entriesOf);
  });
  return entries
    .map(({ children = [] }) => flattenTlv(children).get('4F') ?? NO_DATA)
    .filter((name) => name.length >= 5 && name.length <= 16)
    .map(toHex)
    .slice(0, APPLICATIONS_MAX);
}

/** A list that cannot be read asks for nothing. */
function dolOf(list: Uint8Array): ReturnType<typeof decodeDol> {
  try {
    return decodeDol(list);
  } catch {
    return [];
  }
}
