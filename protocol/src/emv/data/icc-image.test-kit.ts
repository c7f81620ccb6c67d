/** What tests ask of a card image: single values of its first application, in hex. */
import { toHex } from '../../bytes/index.ts';
import { type IccApplication, type IccImage, iccDgi, iccObject } from './index.ts';

/** The first application. */
export function firstApplication(image: IccImage): IccApplication {
  const application = image.applications[0];
  if (application === undefined) throw new Error('the card has no application');
  return application;
}

/** A data object of the first application, or an empty text. */
export function imageObject(image: IccImage, tag: string): string {
  return toHex(iccObject(firstApplication(image), tag) ?? new Uint8Array(0));
}

/** One of the three card keys of grouping 8000: AC, MAC, ENC. */
export function imageUdk(image: IccImage, name: 'udkAc' | 'udkMac' | 'udkEnc'): Uint8Array {
  const keys = iccDgi(firstApplication(image), '8000') ?? new Uint8Array(0);
  const offset = { udkAc: 0, udkMac: 16, udkEnc: 32 }[name];
  return keys.slice(offset, offset + 16);
}

/** The image with other groupings in its first application; null drops one. */
export function withGroupings(
  image: IccImage,
  change: Readonly<Record<string, string | null>>,
): IccImage {
  const [first, ...others] = image.applications;
  if (first === undefined) return image;
  const dgis = Object.entries({ ...first.dgis, ...change }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return { ...image, applications: [{ ...first, dgis: Object.fromEntries(dgis) }, ...others] };
}
