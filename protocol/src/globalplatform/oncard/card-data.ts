/** What GET DATA answers. @see GPCS 2.3.1 §11.3, Annex H */
import { concatBytes, fromHex, uintToBytes } from '../../bytes/index.ts';
import { type CommandApdu, encodeTlv, type ResponseApdu } from '../../iso7816/index.ts';
import {
  KEY_TYPE_88_AES,
  TAG_9F7F_CPLC,
  TAG_42_ISSUER_IDENTIFICATION_NUMBER,
  TAG_45_CARD_IMAGE_NUMBER,
  TAG_66_CARD_DATA,
  TAG_67_CARD_CAPABILITIES,
  TAG_73_CARD_RECOGNITION,
  TAG_C0_KEY,
  TAG_C1_SEQUENCE_COUNTER,
  TAG_CF_KEY_DIVERSIFICATION_DATA,
  TAG_E0_KEY_INFORMATION,
} from '../data/index.ts';
import { clearKeysOf } from './authenticate.ts';
import type { CardProfile } from './profile.ts';
import type { CardKeySet, SecurityDomain } from './state.ts';
import { found, ok, selectedDomain, type Work } from './work.ts';

/** 1.2.840.114283: the object identifier of GlobalPlatform. */
const OID = '2A864886FC6B';

/** GET DATA; nothing of it is secret, and no session is needed. */
export function getData(work: Work, { p1, p2 }: CommandApdu): ResponseApdu {
  const domain = selectedDomain(work);
  const number = (p1 << 8) | p2;
  const tag = number
    .toString(16)
    .toUpperCase()
    .padStart(number > 0xff ? 4 : 2, '0');
  const build = ANSWERS[tag];
  const stored = domain.objects.find((object) => object.tag === tag);
  if (stored) return ok(encodeTlv(tag, stored.value));
  return ok(found(build?.(work.profile, domain), `object ${tag}`));
}

/** Objects that the card makes itself; what a domain stores has the other tags. */
export const COMPUTED_TAGS: readonly string[] = [
  ...[TAG_66_CARD_DATA, TAG_67_CARD_CAPABILITIES, TAG_E0_KEY_INFORMATION],
  ...[TAG_9F7F_CPLC, TAG_C1_SEQUENCE_COUNTER, TAG_CF_KEY_DIVERSIFICATION_DATA],
];

const ANSWERS: Readonly<
  Record<string, (profile: CardProfile, domain: SecurityDomain) => Uint8Array | null>
> = {
  [TAG_42_ISSUER_IDENTIFICATION_NUMBER]: (profile) =>
    encodeTlv(TAG_42_ISSUER_IDENTIFICATION_NUMBER, profile.issuerIdentificationNumber),
  [TAG_45_CARD_IMAGE_NUMBER]: (profile) =>
    encodeTlv(TAG_45_CARD_IMAGE_NUMBER, profile.cardImageNumber),
  [TAG_66_CARD_DATA]: (profile) => encodeTlv(TAG_66_CARD_DATA, recognitionData(profile)),
  [TAG_67_CARD_CAPABILITIES]: capabilities,
  [TAG_9F7F_CPLC]: (profile) => encodeTlv(TAG_9F7F_CPLC, profile.cplc),
  [TAG_CF_KEY_DIVERSIFICATION_DATA]: (profile) =>
    encodeTlv(TAG_CF_KEY_DIVERSIFICATION_DATA, profile.keyDiversificationData),
  [TAG_E0_KEY_INFORMATION]: (_profile, domain) => keyInformation(domain.keySets),
  [TAG_C1_SEQUENCE_COUNTER]: (_profile, domain) => sequenceCounter(domain.keySets),
};

/** 73: GlobalPlatform 2.3.1 and the secure channels that are on. @see GPCS 2.3.1 §H.2 */
export function recognitionData(profile: CardProfile): Uint8Array {
  const oid = (arcs: string): Uint8Array => encodeTlv('06', fromHex(OID + arcs));
  const channels: readonly (readonly [number, number | null])[] = [
    [2, profile.scp02ParameterI],
    [3, profile.scp03ParameterI],
  ];
  const spoken = channels.flatMap(([protocol, parameterI]) =>
    parameterI === null
      ? []
      : [encodeTlv('06', concatBytes(fromHex(`${OID}04`), Uint8Array.of(protocol, parameterI)))],
  );
  return encodeTlv(
    TAG_73_CARD_RECOGNITION,
    concatBytes(
      oid('01'),
      encodeTlv('60', oid('02020301')),
      encodeTlv('63', oid('03')),
      ...spoken.map((identifier) => encodeTlv('64', identifier)),
    ),
  );
}

/**
 * Protocols, key sizes (1, 2, 4: 128, 192, 256), hash of load files (02: SHA-256).
 * @see GPCS 2.3.1 §H.4
 */
function capabilities(profile: CardProfile): Uint8Array {
  const channel = (protocol: number, parameterI: number, sizes: number | null): Uint8Array =>
    encodeTlv(
      'A0',
      concatBytes(
        encodeTlv('80', Uint8Array.of(protocol)),
        encodeTlv('81', Uint8Array.of(parameterI)),
        sizes === null ? new Uint8Array() : encodeTlv('82', Uint8Array.of(sizes)),
      ),
    );
  const { scp02ParameterI, scp03ParameterI } = profile;
  return encodeTlv(
    TAG_67_CARD_CAPABILITIES,
    concatBytes(
      scp02ParameterI === null ? new Uint8Array() : channel(2, scp02ParameterI, null),
      channel(3, scp03ParameterI, 0x07),
      encodeTlv('83', Uint8Array.of(0x02)),
    ),
  );
}

/** E0 with a C0 for each key, one list of components each. @see GPCS 2.3.1 §11.3.3.1 */
function keyInformation(keySets: readonly CardKeySet[]): Uint8Array {
  const entries = keySets.flatMap(({ version, keys }) =>
    keys.map(({ identifier, components }) => {
      const [first] = components;
      const isLong = components.some(({ bytes }) => bytes.length > 0xff);
      const parts =
        isLong && first
          ? concatBytes(
              Uint8Array.of(0xff, first.type),
              uintToBytes(first.bytes.length, 2),
              Uint8Array.of(0, 0),
            )
          : Uint8Array.from(components.flatMap(({ type, bytes }) => [type, bytes.length]));
      return encodeTlv(TAG_C0_KEY, concatBytes(Uint8Array.of(identifier, version), parts));
    }),
  );
  return encodeTlv(TAG_E0_KEY_INFORMATION, concatBytes(...entries));
}

/** The counter of the set that INITIALIZE UPDATE takes by default. */
function sequenceCounter(keySets: readonly CardKeySet[]): Uint8Array | null {
  const set = keySets.filter((candidate) => clearKeysOf(candidate) !== null).at(-1);
  if (!set) return null;
  const lengthBytes = clearKeysOf(set)?.type === KEY_TYPE_88_AES ? 3 : 2;
  return encodeTlv(TAG_C1_SEQUENCE_COUNTER, uintToBytes(set.sequenceCounter, lengthBytes));
}
