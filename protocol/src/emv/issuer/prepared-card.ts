/** A card between data preparation and its STORE DATA commands. */
import type { IccImage, IccLabBehaviour } from '../data/index.ts';

/** One application with all its groupings, secret ones in clear. */
export type PreparedApplication = {
  readonly aid: string;
  readonly dgis: ReadonlyMap<string, Uint8Array>;
};

/** A card that is ready for its STORE DATA commands. */
export type PreparedCard = {
  readonly atr: string;
  readonly ats: string;
  readonly lab: IccLabBehaviour;
  /** Proprietary template and records of 1PAY.SYS.DDF01. */
  readonly pse: ReadonlyMap<string, Uint8Array> | null;
  readonly ppse: ReadonlyMap<string, Uint8Array> | null;
  readonly applications: readonly PreparedApplication[];
  /** What has happened to the card since: troubles that lie in its state. */
  readonly aged: (image: IccImage) => IccImage;
};
