/** INSTALL [for load] and LOAD. @see GPCS 2.3.1 §9.3.5, §11.5.2.3.1, §11.6 */
import { concatBytes, equalBytes, toHex } from '../../bytes/index.ts';
import type { CommandApdu, ResponseApdu } from '../../iso7816/index.ts';
import {
  AID_BYTES_MAX,
  AID_BYTES_MIN,
  type DapBlock,
  decodeInstallParameters,
  decodeLengthValues,
  decodeLoadFile,
  hasPrivilege,
  KEY_TYPE_A0_RSA_EXPONENT,
  KEY_TYPE_A1_RSA_MODULUS,
  KEY_TYPE_B0_ECC_PUBLIC,
  KEY_VERSION_73_DAP,
  LOAD_80_LAST_BLOCK,
  SW_6A84_NOT_ENOUGH_MEMORY,
  SW_6A89_ALREADY_EXISTS,
} from '../data/index.ts';
import { guarded } from './applets.ts';
import { requireManagement } from './authority.ts';
import { LOAD_FILE_BYTES_MAX, REGISTRY_ENTRIES_MAX } from './profile.ts';
import {
  type CardState,
  domainOf,
  entryOf,
  freeBytes,
  loadFileOf,
  type SecurityDomain,
} from './state.ts';
import {
  CardRefusal,
  dataOf,
  decoded,
  found,
  ok,
  okWithoutReceipt,
  type PendingLoad,
  requireCondition,
  requireData,
  requireSession,
  selectedDomain,
  type Work,
} from './work.ts';

const HASH_BYTES = 32;

/** A name of 5 to 16 bytes in hex. @throws CardRefusal 6A80. */
export function nameOf(bytes: Uint8Array): string {
  const isName = bytes.length >= AID_BYTES_MIN && bytes.length <= AID_BYTES_MAX;
  requireData(isName, `a name of ${bytes.length} bytes`);
  return toHex(bytes);
}

/** @throws CardRefusal 6A89 for a name that is there, 6A84 for a full registry. */
export function requireNewName(state: CardState, aid: string): void {
  if (entryOf(state, aid) || loadFileOf(state, aid)) {
    throw new CardRefusal(SW_6A89_ALREADY_EXISTS, `${aid} exists`);
  }
  if (state.entries.length + state.loadFiles.length >= REGISTRY_ENTRIES_MAX) {
    throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, 'the registry is full');
  }
}

/** INSTALL [for load]: names, hash and limits of a load file that will come. */
export function installForLoad(work: Work, command: CommandApdu): ResponseApdu {
  const { state, channel } = work;
  channel.load = null;
  const [name, domainName, hash, parameterField, token] = decoded(() =>
    decodeLengthValues(dataOf(command), 5),
  );
  requireData(token?.length === 0, 'tokens are not verified by this card');
  const aid = nameOf(found(name, 'name'));
  const domain = selectedDomain(work);
  const isOwn = !domainName || domainName.length === 0;
  const target = isOwn ? domain : found(domainOf(state, toHex(domainName)), 'domain');
  requireManagement(state, domain, target.aid);
  requireNewName(state, aid);
  requireData(
    hash?.length === 0 || hash?.length === HASH_BYTES,
    'the hash of a load file is SHA-256',
  );
  const { codeBytes } = decoded(() => decodeInstallParameters(parameterField ?? new Uint8Array()));
  assertRoom(state, target.aid, codeBytes ?? 0);
  channel.load = {
    ...{ aid, domainAid: target.aid, blocks: [], bytes: 0 },
    hash: hash && hash.length > 0 ? hash : null,
  };
  return okWithoutReceipt();
}

/** LOAD: one block; the last one is checked with all before it. */
export function load(work: Work, command: CommandApdu): ResponseApdu {
  requireSession(work);
  const { channel } = work;
  const pending = channel.load;
  // A block that is refused ends the loading: half a file never waits for its rest.
  channel.load = null;
  requireCondition(pending !== null, 'no INSTALL [for load] before');
  requireCondition(command.p2 === pending.blocks.length, `block ${command.p2} is out of turn`);
  const block = dataOf(command);
  requireData(block.length > 0, 'an empty block');
  const bytes = pending.bytes + block.length;
  assertRoom(work.state, pending.domainAid, bytes - DAP_BYTES_MAX);
  const next = { ...pending, bytes, blocks: [...pending.blocks, block] };
  if (command.p1 !== LOAD_80_LAST_BLOCK) {
    channel.load = next;
    return ok();
  }
  takeLoadFile(work, next);
  return okWithoutReceipt();
}

/** Bytes before the code that no memory is counted for. */
const DAP_BYTES_MAX = 4096;

/** @throws CardRefusal 6A84. */
export function assertRoom(state: CardState, domainAid: string, bytes: number): void {
  if (bytes <= freeBytes(state, domainAid) && bytes <= LOAD_FILE_BYTES_MAX) return;
  throw new CardRefusal(SW_6A84_NOT_ENOUGH_MEMORY, `${bytes} bytes do not fit the domain`);
}

/** The steps of a whole load file, in the order of the standard. @see GPCS 2.3.1 §9.3.5 */
function takeLoadFile(work: Work, pending: PendingLoad): void {
  const { state, ports } = work;
  const { dapBlocks, code } = decoded(() => decodeLoadFile(concatBytes(...pending.blocks)));
  requireData(code.length > 0, 'a load file without code');
  assertRoom(state, pending.domainAid, code.length);
  requireNewName(state, pending.aid);
  const hash = ports.ciphers.sha256(code);
  requireData(
    pending.hash === null || equalBytes(hash, pending.hash),
    'the hash is not that of the bytes that came',
  );
  verifySignatures(work, { pending, dapBlocks, hash });
  const moduleAids = guarded(work, pending.aid, () => ports.runner.modules(code));
  requireData(
    moduleAids.length > 0 && moduleAids.every((aid) => /^([0-9A-F]{2}){5,16}$/.test(aid)),
    'a load file without modules',
  );
  const file = { aid: pending.aid, domainAid: pending.domainAid, code, hash, isBuiltIn: false };
  work.state = { ...state, loadFiles: [...state.loadFiles, { ...file, moduleAids }] };
}

/**
 * Each signature that came is right, and each that is demanded came: that of every domain with
 * Mandated DAP, and that of the file's own domain when it verifies DAP. @see GPCS 2.3.1 §9.2.1
 */
function verifySignatures(
  work: Work,
  file: {
    readonly pending: PendingLoad;
    readonly dapBlocks: readonly DapBlock[];
    readonly hash: Uint8Array;
  },
): void {
  const { pending, dapBlocks, hash } = file;
  const demanding = work.state.entries.filter(
    (entry) =>
      hasPrivilege(entry.privileges, 'mandatedDapVerification') ||
      (entry.aid === pending.domainAid && hasPrivilege(entry.privileges, 'dapVerification')),
  );
  for (const { aid } of demanding) {
    requireCondition(
      dapBlocks.some(({ domainAid }) => domainAid === aid),
      `the signature of ${aid} is demanded`,
    );
  }
  requireCondition(
    dapBlocks.length === 0 || pending.hash !== null,
    'a signed file has its hash in INSTALL [for load]',
  );
  for (const { domainAid, signature } of dapBlocks) {
    const domain = found(domainOf(work.state, domainAid), 'domain that verifies');
    requireCondition(
      hasPrivilege(domain.privileges, 'dapVerification'),
      `${domainAid} verifies no signatures`,
    );
    requireData(isSignature(work, domain, { hash, signature }), 'the signature is wrong');
  }
}

function isSignature(
  work: Work,
  domain: SecurityDomain,
  { hash, signature }: { readonly hash: Uint8Array; readonly signature: Uint8Array },
): boolean {
  const set = domain.keySets.find(({ version }) => version === KEY_VERSION_73_DAP);
  const components = found(set?.keys[0], 'DAP key').components;
  const bytesOf = (type: number): Uint8Array | undefined =>
    components.find((component) => component.type === type)?.bytes;
  const point = bytesOf(KEY_TYPE_B0_ECC_PUBLIC);
  if (point) return work.ports.verifier.isEcdsaP256(point, hash, signature);
  const modulus = bytesOf(KEY_TYPE_A1_RSA_MODULUS);
  const exponent = bytesOf(KEY_TYPE_A0_RSA_EXPONENT);
  if (!modulus || !exponent) return false;
  return work.ports.verifier.isRsaPss({ modulus, exponent }, hash, signature);
}
