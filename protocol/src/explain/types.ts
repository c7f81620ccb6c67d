/**
 * What the explainer answers with and what one kind of input is made of. Command, page and tests
 * read `facts`, whose names stay; the tree, the summary and the messages are for people.
 *
 * Rules for every kind: hex in facts is upper case without separators; amounts are minor units as
 * decimal text; dates are `YYYY-MM-DD`; a thing that is not there is `null` or an empty list, never
 * left out; offsets count bytes of the cleaned input. Every byte of the input reaches `facts`, so
 * that two inputs never give one verdict. The facts of each kind are listed in `facts.ts`.
 */
import type { CipherProvider } from '../crypto/provider.ts';

/** What an input can be taken for. */
export const EXPLAIN_KINDS = [
  'tlv',
  'dol',
  'apdu',
  'apduLog',
  'atr',
  'statusWord',
  'tag',
  'field55',
  'certificate',
  'cryptogram',
  'script',
  'iso8583',
  'bitmap',
  'mac',
  'workingKeys',
  'pinBlock',
  'keyBlock',
  'kcv',
  'dukpt',
  'pvv',
  'cvv',
  'smCrypto',
  'globalPlatform',
  'receipt',
] as const;
export type ExplainKind = (typeof EXPLAIN_KINDS)[number];

/** A plain JSON value. */
export type Fact = string | number | boolean | null | readonly Fact[] | Facts;
/** Structured answers by stable name. */
export type Facts = { readonly [name: string]: Fact };

/** A text in both languages. */
export type BothLanguages = { readonly en: string; readonly zh: string };

/** Something to say about a place; `error`: against the standard, `warning`: odd, `note`: fact. */
export type Finding = {
  readonly severity: 'error' | 'warning' | 'note';
  /** Stable, upper case, as `TLV_LENGTH_NOT_SHORTEST`. */
  readonly code: string;
  /** Offset in the cleaned bytes; null when it is about no one place. */
  readonly offsetBytes: number | null;
  readonly messageEn: string;
  readonly messageZh: string;
};

/** One line of the tree. */
export type ExplainNode = {
  /** Place in the cleaned bytes; null for what was computed. */
  readonly offsetBytes: number | null;
  readonly lengthBytes: number | null;
  readonly tag?: string;
  readonly nameEn: string;
  readonly nameZh: string;
  /** Hex of the bytes, or the computed value. */
  readonly value: string;
  /** What the value says, in words; English, or what both languages share. */
  readonly text?: string;
  readonly textZh?: string;
  readonly children: readonly ExplainNode[];
  readonly findings: readonly Finding[];
};

/** One step of a computation, as a person would check it by hand. */
export type CheckStep = {
  readonly nameEn: string;
  readonly nameZh: string;
  readonly value: string;
};

/** A verification that was made, or could not be. */
export type ExplainCheck = {
  /** Stable, as `issuerCertificate.hash` or `arqc`. */
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'notPossible';
  readonly steps: readonly CheckStep[];
  readonly expected?: string;
  readonly actual?: string;
};

/** The whole answer. */
export type Explanation = {
  readonly kind: ExplainKind;
  /** 0 to 1; 1 when the kind was asked for by name. */
  readonly confidence: number;
  readonly summaryEn: string;
  readonly summaryZh: string;
  readonly facts: Facts;
  readonly tree: readonly ExplainNode[];
  readonly checks: readonly ExplainCheck[];
  readonly findings: readonly Finding[];
  /** Other kinds that the input may be, the likelier first. */
  readonly alternatives: readonly ExplainKind[];
};

/** What a kind's module returns; `explain` adds confidence and alternatives. */
export type Explained = Omit<Explanation, 'kind' | 'confidence' | 'alternatives'>;

/** What the caller wishes. */
export type ExplainOptions = {
  /** The kind, when the caller knows it. */
  readonly as?: ExplainKind;
  /** Keys and values by name (`imkAc`, `pan`, `tmk`, `9F02`); hex or digits. */
  readonly keys?: Readonly<Record<string, string>>;
};

/** One line of the input that holds bytes. */
export type InputLine = {
  /** From the prefix (`=>`, `A>>`, `Command -->`, `<=` ...); null when it says nothing. */
  readonly direction: 'command' | 'response' | null;
  readonly bytes: Uint8Array;
  /** Where these bytes begin in `ExplainInput.bytes`. */
  readonly offsetBytes: number;
};

/** The input, cleaned once for all kinds. */
export type ExplainInput = {
  /** As it was pasted; hex when bytes were given. */
  readonly text: string;
  /** All hex of the input as bytes; null when it is no hex: `text` and `values` speak then. */
  readonly bytes: Uint8Array | null;
  /** The same bytes by line. */
  readonly lines: readonly InputLine[];
  /**
   * Named values: fields of a JSON object (also nested), `NAME=VALUE` or `NAME: VALUE` lines, and
   * `options.keys`, which win. Names are folded by `foldName`: `imk_ac`, `imkAc` and `IMK-AC` are
   * `imkac`; `tag9F02` and `9F02` are `9f02`. Values are untouched text.
   */
  readonly values: ReadonlyMap<string, string>;
  /** What cleaning took away: offsets, prefixes, comments. */
  readonly findings: readonly Finding[];
};

/** What a kind's module is given. */
export type ExplainContext = {
  readonly ciphers: CipherProvider;
  readonly input: ExplainInput;
  readonly options: ExplainOptions;
};

/** One kind: whether an input may be it, and what it then says. */
export type ExplainModule = {
  readonly kind: ExplainKind;
  /**
   * How well the input fits, 0 (not at all) to 1 (certainly). Cheap; never throws. About 0.9:
   * a signature that nothing else has; 0.5: it parses to the last byte; 0.2: only the length fits.
   */
  readonly detect: (input: ExplainInput) => number;
  /** @throws ExplainError when the input cannot be of this kind. */
  readonly explain: (context: ExplainContext) => Explained;
};
