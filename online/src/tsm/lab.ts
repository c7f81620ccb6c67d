/**
 * What an installation of a laboratory begins with: providers, applications, personal data that are
 * nobody's, and released versions of the packages that it is given. In a bank people do all of it.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { TapError, toHex, utf8ToBytes } from '@tapnpay/protocol/bytes';
import {
  decodeApplicationPackage,
  LAB_RID,
  LOYALTY_INSTANCE_AID,
  LOYALTY_LOAD_FILE_AID,
  LOYALTY_MODULE_AID,
  PAYMENT_DGI_0101_GATEWAY,
  PAYMENT_INSTANCE_AID,
  PAYMENT_LOAD_FILE_AID,
  PAYMENT_MODULE_AID,
} from '@tapnpay/protocol/globalplatform/data';
import type { Actor } from './actor.ts';
import { TsmError } from './errors.ts';
import { sha256 } from './jobs/commands.ts';
import { createJob } from './jobs/create.ts';
import { releaseVersion, reviewVersion, uploadVersion } from './lifecycle/certification.ts';
import { addApplication, addProvider } from './lifecycle/directory.ts';
import { moveElement, type NewElement, registerElement } from './lifecycle/elements.ts';
import { type Element, versionId } from './model.ts';
import type { PersonalisationGrouping, PersonalisationSource, TsmPorts } from './ports.ts';

/** Name of the payment application in the manager's books. */
export const PAYMENT_APPLICATION = 'payment';
/** Name of the sample loyalty card. */
export const LOYALTY_APPLICATION = 'loyalty';

const LAB: Actor = { id: 'lab', role: 'issuer', providerId: '' };
const LAB_REVIEWER: Actor = { id: 'lab-reviewer', role: 'issuer', providerId: '' };

const PROVIDERS = [
  {
    ...{ id: 'tapnpay', domainAid: `${LAB_RID}0D11`, aidPrefixes: [PAYMENT_LOAD_FILE_AID] },
    name: { en: 'Tap & Pay', zh: '一碰付' },
  },
  {
    ...{ id: 'sample', domainAid: `${LAB_RID}0D12`, aidPrefixes: [LOYALTY_LOAD_FILE_AID] },
    name: { en: 'Sample Coffee', zh: '示例咖啡' },
  },
] as const;
const APPLICATIONS = [
  {
    ...{ id: PAYMENT_APPLICATION, parent: 'tapnpay', loadFileAid: PAYMENT_LOAD_FILE_AID },
    ...{ moduleAid: PAYMENT_MODULE_AID, instanceAid: PAYMENT_INSTANCE_AID },
    name: { en: 'Payment application', zh: '支付应用' },
    summary: { en: 'Takes payments by bank card', zh: '受理银行卡支付' },
    isOffered: false,
  },
  {
    ...{ id: LOYALTY_APPLICATION, parent: 'sample', loadFileAid: LOYALTY_LOAD_FILE_AID },
    ...{ moduleAid: LOYALTY_MODULE_AID, instanceAid: LOYALTY_INSTANCE_AID },
    name: { en: 'Loyalty card', zh: '积分储值卡' },
    summary: { en: 'A stored-value card of a coffee shop', zh: '咖啡店的储值积分卡' },
    isOffered: true,
  },
] as const;

/** Enters what is not entered yet. */
export async function seedLab(ports: TsmPorts): Promise<void> {
  for (const provider of PROVIDERS) {
    if (await ports.store.find('providers', provider.id)) continue;
    await addProvider(ports, LAB, provider);
  }
  for (const application of APPLICATIONS) {
    if (await ports.store.find('applications', application.id)) continue;
    const rest = { installParameters: '', persistentBytes: null, needsPersonalisation: true };
    await addApplication(ports, LAB, { ...application, ...rest });
  }
}

/**
 * Uploads, reviews and releases a package of this installation once; a version that is there stays.
 * A package that does not pass the checks is told, and hinders nothing.
 */
export async function releaseLabPackage(
  ports: TsmPorts,
  source: { readonly applicationId: string; readonly path: string },
): Promise<void> {
  const { applicationId, path } = source;
  const bytes = new Uint8Array(readFileSync(path));
  try {
    const number = decodeApplicationPackage(bytes).manifest.version;
    if (await ports.store.find('versions', versionId(applicationId, number))) return;
    const declaredHash = sha256(bytes);
    const { id } = await uploadVersion(ports, LAB, { applicationId, number, declaredHash, bytes });
    await reviewVersion(ports, LAB_REVIEWER, { versionId: id, isAccepted: true, note: 'lab' });
    await releaseVersion(ports, LAB_REVIEWER, id);
    ports.log({ event: 'tsmLabRelease', versionId: id });
  } catch (thrown) {
    if (!(thrown instanceof TapError)) throw thrown;
    ports.log({ event: 'tsmLabReleaseFailed', applicationId, code: thrown.code });
  }
}

/** Elements that a laboratory takes by their own word. */
const ANNOUNCED_ELEMENTS_MAX = 400;

/**
 * An element that says itself that it is there: put on the list, issued, and given a job that
 * enrols it with the payment application, once. Only a laboratory takes an element's word for that.
 * @throws TsmError `ERR_TSM_EXISTS` for a serial whose key is another, `ERR_LIMIT`.
 */
export async function announceElement(ports: TsmPorts, made: NewElement): Promise<Element> {
  const { store } = ports;
  const known = await store.find('elements', made.serial);
  const isSame =
    known?.attestationKeySpki === made.attestationKeySpki &&
    known.keyDiversificationData === made.keyDiversificationData;
  if (known && !isSame) {
    throw new TsmError('ERR_TSM_EXISTS', 'another element has this serial');
  }
  if (!known) {
    const rows = await store.list('elements', { limit: ANNOUNCED_ELEMENTS_MAX });
    if (rows.length >= ANNOUNCED_ELEMENTS_MAX) {
      throw new TsmError('ERR_LIMIT', 'this laboratory has enough elements');
    }
    await registerElement(ports, LAB, made);
  }
  const { serial } = made;
  if (known?.state !== 'manufactured' && known) return known;
  const element = await moveElement(ports, LAB, { serial, to: 'issued' });
  const query = { parent: PAYMENT_APPLICATION, state: 'released' };
  const isReleased = (await store.list('versions', query)).length > 0;
  const applicationIds = isReleased ? [PAYMENT_APPLICATION] : [];
  await createJob(ports, LAB, { serial, kind: 'enrol', applicationIds });
  return element;
}

/** Groupings of the loyalty card: number and limit; then what its key is, and the key. */
const DGI_0101_PROFILE = 0x0101;
const DGI_00B9_KEY_CONTROL = 0x00b9;
const DGI_8113_KEY = 0x8113;
const NUMBER_BYTES = 8;
/** Points that a card may hold: 50 000. */
const LIMIT = '0000C350';
/** What is not the element's own. */
export type LabPersonalisation = {
  /** The gateway's name in its certificate; null leaves the payment application to `next`. */
  readonly gatewayName: string | null;
  readonly next?: PersonalisationSource | null;
};
/** AES (88), 32 bytes, key 1 of version 1. @see GPCS 2.3.1 §11.11.4 */
const KEY_CONTROL = 'B90C800188810120820101830101';

/**
 * Data of the sample loyalty card, and of the payment application: the gateway that it serves. All
 * of them follow from the element alone, so that a repeated personalisation writes the same; other
 * applications get theirs from `next`.
 */
export function labPersonalisation(
  secret: Uint8Array,
  { gatewayName, next = null }: LabPersonalisation,
): PersonalisationSource {
  return {
    async groupings(request): Promise<readonly PersonalisationGrouping[] | null> {
      const { application, element } = request;
      if (application.id === PAYMENT_APPLICATION && gatewayName !== null) {
        return [{ identifier: PAYMENT_DGI_0101_GATEWAY, value: toHex(utf8ToBytes(gatewayName)) }];
      }
      if (application.id !== LOYALTY_APPLICATION) return next?.groupings(request) ?? null;
      const digest = createHmac('sha256', secret).update(element.id).digest();
      const number = toHex(new Uint8Array(digest.subarray(0, NUMBER_BYTES)));
      return [
        { identifier: DGI_0101_PROFILE, value: number + LIMIT },
        { identifier: DGI_00B9_KEY_CONTROL, value: KEY_CONTROL },
        { identifier: DGI_8113_KEY, master: 'elementAes', usage: 'mac' },
      ];
    },
  };
}
