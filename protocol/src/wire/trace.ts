/** What parties of a lab log for the look inside, and the document that is made of it. */
import type { HopName } from './hop.ts';

/** What kind of thing was seen. */
export type TraceKind = 'apdu' | 'iso8583' | 'hsm' | 'ledger' | 'channel';

/** One thing a party saw, as a line of its log; masked before it is written. */
export type TraceEvent = {
  readonly event: 'trace';
  readonly party: string;
  readonly atMs: number;
  readonly hop: HopName;
  /** Order id, payment id or retrieval reference: by these the lines of one payment meet. */
  readonly references: readonly string[];
  readonly kind: TraceKind;
  /** Command and direction in the field's words: `GET PROCESSING OPTIONS`, `0200 sent`. */
  readonly title: string;
  /** Masked hex of an APDU (`command` and `response`), or a row's named values. */
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
};

/** A name in both languages. */
export type TwoLanguages = { readonly zh: string; readonly en: string };

/** Where a value stands: which text of `raw`, its first byte and the byte after its last. */
export type TraceSpan = readonly [raw: number, start: number, end: number];

/** One decoded value; constructed ones have children. */
export type TraceField = {
  /** Tag, field number or column. */
  readonly key: string;
  readonly name: TwoLanguages;
  /** Masked; null for a constructed value. */
  readonly value: string | null;
  /** What the value means, bit by bit where it has bits. */
  readonly meanings: readonly TwoLanguages[];
  readonly children: readonly TraceField[];
  readonly span?: TraceSpan;
};

/** One decoded thing of a hop. */
export type TraceItem = {
  readonly kind: TraceKind;
  readonly party: string;
  /** Milliseconds since the order. */
  readonly ms: number;
  readonly title: string;
  readonly name: TwoLanguages;
  /** Masked hex as it passed, command before response; empty where there is none. */
  readonly raw: readonly string[];
  readonly fields: readonly TraceField[];
};

/** One of the 14 hops. */
export type TraceHop = {
  readonly n: number;
  readonly hop: HopName;
  readonly name: TwoLanguages;
  readonly status: 'passed' | 'notReached' | 'notApplicable';
  readonly party: string | null;
  readonly ms: number | null;
  readonly facts: Readonly<Record<string, string | number | boolean | null>>;
  readonly items: readonly TraceItem[];
};

/** One payment from order to receipt. `apduText` is its card session as lines of `=>` and `<=`. */
export type TraceDocument = {
  readonly orderId: string;
  readonly totalMs: number;
  readonly hops: readonly TraceHop[];
  readonly apduText: string;
};
