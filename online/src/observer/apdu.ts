/** The card session: commands and answers in order, each read with what the card said before. */
import type { TraceField, TraceSpan, TwoLanguages } from '@tapnpay/protocol/wire';
import { commandDetail, commandName, statusWordMeaning } from './apdu-names.ts';
import { field, two } from './field.ts';
import {
  bytesOf,
  clearBytes,
  decodeMaskedTlv,
  isMaskedHex,
  lengthOf,
  type MaskedTlv,
  numberAt,
} from './masked-hex.ts';
import { dolValueFields, elementField, tagName, tlvFields, type ValueContext } from './tlv.ts';

/** Instruction bytes that the session treats in their own way. */
export const Ins = {
  verify: 0x20,
  pinChange: 0x24,
  externalAuthenticate: 0x82,
  internalAuthenticate: 0x88,
  select: 0xa4,
  getProcessingOptions: 0xa8,
  generateAc: 0xae,
  readRecord: 0xb2,
  getData: 0xca,
} as const;

/** DOLs by their tags: the card gives them before they are used. */
const DOL_TAGS: ReadonlySet<string> = new Set(['9F38', '8C', '8D', '9F49']);

/** What a terminal uses for a card without a DDOL: 9F37, 4 bytes. @see EMV 4.3 B2 §6.5.1 */
const DEFAULT_DDOL = Uint8Array.of(0x9f, 0x37, 0x04);

/** One exchange, decoded. */
export type DecodedApdu = {
  readonly ins: number | null;
  readonly title: string;
  readonly name: TwoLanguages;
  readonly fields: readonly TraceField[];
  /** The answer holds an application cryptogram. */
  readonly hasCryptogram: boolean;
};

/** Reads exchanges one after another. */
export class CardSession {
  readonly #context: ValueContext;
  readonly #dols = new Map<string, Uint8Array>();
  #cryptograms = 0;

  constructor(context: ValueContext) {
    this.#context = context;
  }

  /** Both texts are masked hex; an answer that is none is the code of a fault. */
  read(command: string, response: string): DecodedApdu {
    const ins = isMaskedHex(command) ? numberAt(command, 1) : null;
    const { title, name } = commandName(ins);
    const sent = this.#command(ins, command);
    const { answer, hasCryptogram } = this.#response(ins, response);
    if (ins === Ins.generateAc) this.#cryptograms += 1;
    return { ins, title, name, fields: [sent, answer], hasCryptogram };
  }

  #command(ins: number | null, command: string): TraceField {
    const header = bytesOf(command, 0, 4);
    const length = numberAt(command, 4);
    const hasData = length !== null && length > 0 && lengthOf(command) > 5;
    const data = hasData ? bytesOf(command, 5, 5 + length) : '';
    return field('C-APDU', two('Command', '命令'), {
      value: header,
      meanings: commandDetail(ins, command),
      children: hasData ? this.#commandData(ins, data) : [],
      span: [0, 0, lengthOf(command)],
    });
  }

  #commandData(ins: number | null, data: string): readonly TraceField[] {
    const span: TraceSpan = [0, 5, 5 + lengthOf(data)];
    const whole = (name: TwoLanguages): readonly TraceField[] => [
      field('DATA', name, { value: data, span }),
    ];
    switch (ins) {
      case Ins.select:
        return [elementField({ tag: '84', value: data }, this.#context, { raw: 0, offset: 5 })];
      case Ins.getProcessingOptions:
        return this.#processingOptions(data);
      case Ins.generateAc:
        return (
          this.#dolValues(this.#cryptograms === 0 ? '8C' : '8D', data, 5) ??
          whole(two('Values of the CDOL', 'CDOL 的数据'))
        );
      case Ins.internalAuthenticate:
        return this.#dolValues('9F49', data, 5) ?? whole(two('Values of the DDOL', 'DDOL 的数据'));
      case Ins.externalAuthenticate:
        return [elementField({ tag: '91', value: data }, this.#context, { raw: 0, offset: 5 })];
      case Ins.verify:
      case Ins.pinChange:
        return whole(two('PIN data, masked', 'PIN 数据，已屏蔽'));
      default:
        return whole(two('Data', '数据'));
    }
  }

  /** The command template 83 around the values that the PDOL asked for. */
  #processingOptions(data: string): readonly TraceField[] {
    const [template] = decodeMaskedTlv(data, 5) ?? [];
    if (template?.tag !== '83') {
      return [
        field('DATA', two('Data', '数据'), { value: data, span: [0, 5, 5 + lengthOf(data)] }),
      ];
    }
    const { value, offset, valueOffset } = template;
    const children = this.#dolValues('9F38', value, valueOffset);
    const span: TraceSpan = [0, offset, valueOffset + lengthOf(value)];
    return [field('83', tagName('83'), children ? { children, span } : { value, span })];
  }

  #dolValues(dolTag: string, text: string, offset: number): readonly TraceField[] | null {
    const dol = this.#dols.get(dolTag) ?? (dolTag === '9F49' ? DEFAULT_DDOL : undefined);
    return dol ? dolValueFields(dol, { text, raw: 0, offset }, this.#context) : null;
  }

  #response(
    ins: number | null,
    response: string,
  ): { readonly answer: TraceField; readonly hasCryptogram: boolean } {
    const name = two('Response', '响应');
    const lengthBytes = lengthOf(response);
    if (!isMaskedHex(response) || lengthBytes < 2) {
      const meanings = [two('No answer of the card', '卡片没有应答')];
      const answer = field('R-APDU', name, { value: response, meanings });
      return { answer, hasCryptogram: false };
    }
    const data = bytesOf(response, 0, lengthBytes - 2);
    const statusWord = bytesOf(response, lengthBytes - 2);
    const objects = lengthBytes > 2 ? decodeMaskedTlv(data) : [];
    if (objects) this.#learn(objects);
    const status = field('SW', two('Status word', '状态字'), {
      value: statusWord,
      meanings: [statusWordMeaning(statusWord)],
      span: [1, lengthBytes - 2, lengthBytes],
    });
    const body = objects ? this.#answerFields(ins, objects) : [plainData(data)];
    const children = [...body, status];
    const answer = field('R-APDU', name, { children, span: [1, 0, lengthBytes] });
    return { answer, hasCryptogram: objects !== null && holdsCryptogram(ins, objects) };
  }

  #learn(objects: readonly MaskedTlv[]): void {
    for (const { tag, value, children } of objects) {
      const dol = DOL_TAGS.has(tag) ? clearBytes(value) : null;
      if (dol) this.#dols.set(tag, dol);
      if (children) this.#learn(children);
    }
  }

  #answerFields(ins: number | null, objects: readonly MaskedTlv[]): readonly TraceField[] {
    const fields = tlvFields(objects, this.#context, 1);
    const [template] = objects;
    const parts = template?.tag === '80' ? FORMAT_1[ins ?? 0] : undefined;
    if (!template || !parts || fields.length !== 1) return fields;
    return [
      field('80', tagName('80'), {
        children: this.#formatOne(template, parts),
        span: [1, template.offset, template.valueOffset + lengthOf(template.value)],
      }),
    ];
  }

  #formatOne(template: MaskedTlv, parts: readonly Part[]): readonly TraceField[] {
    let start = 0;
    return parts.flatMap(({ tag, lengthBytes }) => {
      const value = bytesOf(template.value, start, lengthBytes && start + lengthBytes);
      const place = { raw: 1, offset: template.valueOffset + start };
      start += lengthOf(value);
      return value === '' ? [] : [elementField({ tag, value }, this.#context, place)];
    });
  }
}

type Part = { readonly tag: string; readonly lengthBytes?: number };

/** Format 1 answers are values without tags. @see EMV 4.3 B3 §6.5 */
const FORMAT_1: Readonly<Record<number, readonly Part[]>> = {
  [Ins.getProcessingOptions]: [{ tag: '82', lengthBytes: 2 }, { tag: '94' }],
  [Ins.generateAc]: [
    { tag: '9F27', lengthBytes: 1 },
    { tag: '9F36', lengthBytes: 2 },
    { tag: '9F26', lengthBytes: 8 },
    { tag: '9F10' },
  ],
  [Ins.internalAuthenticate]: [{ tag: '9F4B' }],
};

function holdsCryptogram(ins: number | null, objects: readonly MaskedTlv[]): boolean {
  if (ins === Ins.generateAc) return objects.length > 0;
  return objects.some(
    ({ tag, children }) => tag === '9F26' || (children !== null && holdsCryptogram(null, children)),
  );
}

function plainData(data: string): TraceField {
  const meanings = data.includes('*') ? [two('Masked whole', '整体屏蔽')] : [];
  const name = two('Data', '数据');
  return field('DATA', name, { value: data, meanings, span: [1, 0, lengthOf(data)] });
}
