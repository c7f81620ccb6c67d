/**
 * A parser for the one shape of XML that a jPOS packager file has: elements with attributes, no
 * text of interest. It opens nothing, expands nothing but the five named and numeric characters,
 * and has a limit for everything.
 */
import { Iso8583Error } from './errors.ts';

/** One element. */
export type XmlElement = {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** From 1. */
  readonly line: number;
};

const TEXT_CHARACTERS_MAX = 1_000_000;
const ELEMENTS_MAX = 5_000;
const DEPTH_MAX = 6;
const ATTRIBUTES_MAX = 16;

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" },
};

/** A fault in a packager file. */
export function specFault(what: string, place: { line: number; fieldPath?: string }): Iso8583Error {
  const { line, fieldPath = 'packager' } = place;
  const data = { fieldPath, offsetBytes: 0, line };
  return new Iso8583Error('ERR_ISO8583_SPEC', `${fieldPath} in line ${line}: ${what}`, data);
}

/** The root element. @throws Iso8583Error `ERR_ISO8583_SPEC` with the line. */
export function parseXml(text: string): XmlElement {
  if (text.length > TEXT_CHARACTERS_MAX) throw specFault('the file is too long', { line: 1 });
  return new Parser(text).root();
}

type OpenElement = {
  name: string;
  attributes: Map<string, string>;
  children: XmlElement[];
  line: number;
};

class Parser {
  readonly #text: string;
  #at = 0;
  #line = 1;
  /** Up to where lines were counted. */
  #counted = 0;
  #elements = 0;

  constructor(text: string) {
    this.#text = text;
  }

  root(): XmlElement {
    const open: OpenElement[] = [];
    for (;;) {
      const start = this.#text.indexOf('<', this.#at);
      const between = this.#text.slice(this.#at, start < 0 ? undefined : start);
      if (open.length === 0 && /[^\s\ufeff]/.test(between)) throw this.#wrong('is no XML');
      if (start < 0) throw this.#wrong('ends before its last element does');
      this.#at = start;
      if (this.#skipped()) continue;
      if (this.#text.startsWith('</', start)) {
        const closed = this.#close(open.pop());
        if (closed !== null && open.length === 0) return this.#alone(closed);
        continue;
      }
      const { element, isEmpty } = this.#open();
      if (open.length >= DEPTH_MAX) throw this.#wrong(`is nested deeper than ${DEPTH_MAX}`);
      open.at(-1)?.children.push(element);
      if (!isEmpty) open.push(element);
      else if (open.length === 0) return this.#alone(element);
    }
  }

  /** Nothing but comments and blanks follows the root. */
  #alone(element: XmlElement): XmlElement {
    for (;;) {
      const start = this.#text.indexOf('<', this.#at);
      const between = this.#text.slice(this.#at, start < 0 ? undefined : start);
      if (/\S/.test(between)) throw this.#wrong('goes on behind its last element');
      if (start < 0) return element;
      this.#at = start;
      if (!this.#text.startsWith('<!--', start) || !this.#skipped()) {
        throw this.#wrong('goes on behind its last element');
      }
    }
  }

  /** Comments, instructions and the document type. */
  #skipped(): boolean {
    const ends: readonly (readonly [string, string])[] = [
      ['<!--', '-->'],
      ['<?', '?>'],
      ['<![CDATA[', ']]>'],
    ];
    for (const [start, end] of ends) {
      if (!this.#text.startsWith(start, this.#at)) continue;
      const found = this.#text.indexOf(end, this.#at + start.length);
      if (found < 0) throw this.#wrong(`has no ${end}`);
      this.#at = found + end.length;
      return true;
    }
    if (!this.#text.startsWith('<!', this.#at)) return false;
    this.#skipDocumentType();
    return true;
  }

  /** Whatever it declares is neither opened nor kept. */
  #skipDocumentType(): void {
    let depth = 0;
    let quote = '';
    for (let at = this.#at; at < this.#text.length; at++) {
      const character = this.#text.charAt(at);
      if (quote !== '') quote = character === quote ? '' : quote;
      else if (character === '"' || character === "'") quote = character;
      else if (character === '<') depth++;
      else if (character === '>' && --depth === 0) {
        this.#at = at + 1;
        return;
      }
    }
    throw this.#wrong('has a document type without an end');
  }

  #close(element: OpenElement | undefined): XmlElement | null {
    const match = this.#match(/<\/([A-Za-z_][\w.-]{0,63})\s{0,64}>/y);
    if (match === null || element === undefined || match[1] !== element.name) {
      throw this.#wrong('closes an element that is not open');
    }
    return element;
  }

  #open(): { readonly element: OpenElement; readonly isEmpty: boolean } {
    const line = this.#lineNow();
    const name = this.#match(/<([A-Za-z_][\w.-]{0,63})/y)?.[1];
    if (name === undefined) throw this.#wrong('has a < that begins nothing');
    if (++this.#elements > ELEMENTS_MAX)
      throw this.#wrong(`has more than ${ELEMENTS_MAX} elements`);
    const attributes = new Map<string, string>();
    for (;;) {
      const end = this.#match(/\s*(\/?)>/y);
      if (end !== null) {
        return { element: { name, attributes, children: [], line }, isEmpty: end[1] === '/' };
      }
      const match = this.#match(/\s+([A-Za-z_][\w.:-]{0,63})\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y);
      if (match === null) throw this.#wrong(`${name} has a malformed attribute`);
      const [, key = '', double, single = ''] = match;
      if (attributes.has(key) || attributes.size >= ATTRIBUTES_MAX) {
        throw this.#wrong(`${name} has too many attributes or ${key} twice`);
      }
      attributes.set(key, this.#characters(double ?? single));
    }
  }

  #characters(raw: string): string {
    return raw.replace(/&([^;&]{0,12});?/g, (whole, name: string) => {
      const number = /^#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}))$/.exec(name);
      const code = number ? Number.parseInt(number[1] ?? number[2] ?? '', number[1] ? 16 : 10) : -1;
      const isCode = code > 0 && code <= 0x10ffff;
      const known = isCode ? String.fromCodePoint(code) : ENTITIES[name];
      if (known === undefined || !whole.endsWith(';')) throw this.#wrong('names an unknown entity');
      return known;
    });
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }

  #lineNow(): number {
    for (; this.#counted < this.#at; this.#counted++) {
      if (this.#text.charCodeAt(this.#counted) === 0x0a) this.#line++;
    }
    return this.#line;
  }

  #wrong(what: string): Iso8583Error {
    return specFault(what, { line: this.#lineNow() });
  }
}
