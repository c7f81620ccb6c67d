/**
 * A card and its manager in one process: store in memory with faults, a small runner of
 * applications, a clock and a random source of a seed, and steps of the manager run on the card.
 */
import { constants, createPublicKey, verify } from 'node:crypto';
import { nodeCiphers } from '../../node/index.ts';
import { concatBytes, type ErrorBody, fromHex, type RandomSource, toHex } from '../bytes/index.ts';
import {
  type CommandApdu,
  decodeResponse,
  encodeCommand,
  type ResponseApdu,
  StatusWord,
  SW_9000_OK,
} from '../iso7816/index.ts';
import * as gp from './data/index.ts';
import * as off from './offcard/index.ts';
import * as on from './oncard/index.ts';

/** A generator of a seed: good enough to be repeated, not to be secret. */
export function seededRandom(seed: number): RandomSource & { below(limit: number): number } {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return {
    below: (limit) => next() % limit,
    bytes: (lengthBytes) => new Uint8Array(lengthBytes).map(() => next() & 0xff),
  };
}

/** Verifies by OpenSSL. */
export const nodeVerifier: on.SignatureVerifier = {
  isRsaPss({ modulus, exponent }, message, signature): boolean {
    const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
    const jwk = { kty: 'RSA', n: url(modulus), e: url(exponent) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify('sha256', message, { key, padding, saltLength: 32 }, signature);
  },
  isEcdsaP256(point, message, signature): boolean {
    const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
    const jwk = { kty: 'EC', crv: 'P-256', x: url(point.slice(1, 33)), y: url(point.slice(33)) };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  },
};

/** A code that the test's runner takes: its modules, and what fills it. */
export function testCode(modules: readonly string[], fillBytes = 0): Uint8Array {
  const names = modules.flatMap((aid) => [aid.length / 2, ...fromHex(aid)]);
  return concatBytes(
    Uint8Array.of(0xc0, modules.length, ...names),
    new Uint8Array(fillBytes).map((_, index) => index),
  );
}

const ok = (data: Uint8Array = new Uint8Array()): ResponseApdu => ({
  ...{ data, statusWord: SW_9000_OK },
});

/**
 * Applications of the test: INS 01 stores its data, 02 reads them, 03 throws, 04 sets the state of
 * P1, E2 stores a deciphered grouping, any other answers what came inside the domain's secure
 * channel; 50 and 82 open that channel.
 */
export function testRunner(log: string[] = []): on.AppletRunner {
  return {
    modules(code): readonly string[] {
      if (code[0] !== 0xc0) throw new Error('no code');
      const modules: string[] = [];
      let offset = 2;
      for (let left = code[1] ?? 0; left > 0; left--) {
        const end = offset + 1 + (code[offset] ?? 0);
        modules.push(toHex(code.subarray(offset + 1, end)));
        offset = end;
      }
      return modules;
    },
    install(instance, parameters): Uint8Array {
      log.push(`install ${instance.aid}`);
      if (parameters[0] === 0xee) throw new Error('does not want');
      return parameters;
    },
    uninstall(instance): void {
      log.push(`uninstall ${instance.aid}`);
      if (instance.persistent[0] === 0xed) throw new Error('does not go');
    },
    select: (instance) => ({ response: ok(fromHex(instance.aid)) }),
    process(instance, command, channel): on.AppletResult {
      const { ins, p1, data = new Uint8Array() } = command;
      if (ins === 0x50 || ins === 0x82) return { response: channel.authenticate(command) };
      if (ins === 0x01) return { response: ok(), persistent: data };
      if (ins === 0x02) return { response: ok(instance.persistent) };
      if (ins === 0x03) throw new Error('applet fails');
      if (ins === 0x04) return { response: ok(), lifeCycle: p1 };
      const clear = channel.unwrap(command);
      if (!clear) return { response: { ...ok(), statusWord: StatusWord(0x6982) } };
      if (ins === 0xe2) return personalisedInside(clear, channel);
      return { response: channel.wrap(ok(clear.data)) };
    },
    personalise: (_instance, data) => ({
      response: ok(),
      persistent:
        data.form === 'groupings'
          ? concatBytes(...data.groupings.map((one) => gp.encodeDataGrouping(one)))
          : data.bytes,
    }),
    deselect(aid): void {
      log.push(`deselect ${aid}`);
      if (aid.endsWith('ED')) throw new Error('does not leave');
    },
    forget: (aid) => void log.push(`forget ${aid}`),
  };
}

/** One STORE DATA of a grouping 8xxx inside the application's own channel. */
function personalisedInside(command: CommandApdu, channel: on.AppletChannel): on.AppletResult {
  const [grouping] = gp.decodeDataGroupings(command.data ?? new Uint8Array());
  const persistent = grouping && channel.decipher(grouping.value);
  if (!persistent) return { response: { ...ok(), statusWord: StatusWord(0x6a80) } };
  return { response: channel.wrap(ok()), persistent };
}

/** What a test may choose. */
export type TestCardOptions = {
  readonly profile?: Partial<on.CardProfile>;
  readonly keyBytes?: 16 | 24 | 32;
  readonly isDes?: boolean;
  readonly seed?: number;
  /** Keys as of a card in use, not of the factory. */
  readonly keyVersion?: number;
  /** Instead of the small runner above. */
  readonly runner?: on.AppletRunner;
};

/** A card with everything a test looks at. */
export class TestCard {
  readonly keys: off.StaticKeys;
  readonly random: ReturnType<typeof seededRandom>;
  readonly log: string[] = [];
  readonly faults: ErrorBody[] = [];
  readonly commits: on.CardState[] = [];
  readonly profile: on.CardProfile;
  nowMs = 1_000_000;
  failingCommits = 0;
  card: on.Card;
  readonly #ports: on.CardPorts;

  constructor(options: TestCardOptions = {}) {
    const { keyBytes = 16, isDes = false, seed = 1 } = options;
    this.random = seededRandom(seed);
    const clear = {
      encryption: this.random.bytes(keyBytes),
      mac: this.random.bytes(keyBytes),
      dataEncryption: this.random.bytes(keyBytes),
    };
    this.keys = off.staticKeys(clear);
    this.profile = on.cardProfile({
      cplc: new Uint8Array(42).fill(0x47),
      keyDiversificationData: fromHex('00010203040506070809'),
      ...(isDes ? { scp02ParameterI: 0x55 } : {}),
      ...options.profile,
    });
    const factory = {
      ...clear,
      type: isDes ? gp.KEY_TYPE_80_DES : gp.KEY_TYPE_88_AES,
      version: options.keyVersion ?? 0x30,
    };
    let stored = on.factoryState(this.profile, factory);
    this.#ports = {
      ...{ ciphers: nodeCiphers, random: this.random, verifier: nodeVerifier },
      clock: { nowMs: () => this.nowMs },
      runner: options.runner ?? testRunner(this.log),
      report: (fault) => void this.faults.push(fault),
      store: {
        load: () => stored,
        commit: (next): void => {
          if (this.failingCommits > 0) {
            this.failingCommits--;
            throw new Error('disk is full');
          }
          stored = next;
          this.commits.push(next);
        },
      },
    };
    this.card = on.createCard(this.profile, this.#ports);
  }

  /** As after a kill: a new process over what the store has. */
  restart(): void {
    this.card = on.createCard(this.profile, this.#ports);
  }

  /** One command as it is. */
  send(command: CommandApdu): ResponseApdu {
    return decodeResponse(this.card.process(encodeCommand(command)));
  }

  /** The status word of one command in hex. */
  status(command: CommandApdu): string {
    return hexOf(this.send(command));
  }

  /** Steps of the manager, run on the card. */
  run<Result>(steps: Generator<CommandApdu, Result, ResponseApdu>): Result {
    let state = steps.next();
    while (!state.done) state = steps.next(this.send(state.value));
    return state.value;
  }

  /** Selects the issuer's or another domain and opens a session with it. */
  open(options: Partial<off.OpenRequest> & { aid?: string; keys?: off.StaticKeys } = {}): Managed {
    const { aid = '', keys = this.keys, ...request } = options;
    const selected = this.send(off.selectCommand(aid));
    if (selected.statusWord !== SW_9000_OK && selected.statusWord !== 0x6283) {
      throw new Error(`SELECT ${hexOf(selected)}`);
    }
    const opened = this.run(
      off.openSecureChannel({
        ...{ ciphers: nodeCiphers, random: (lengthBytes) => this.random.bytes(lengthBytes) },
        ...{ candidates: () => [{ name: 'own', keys }], securityLevel: 0x33 },
        ...request,
      }),
    );
    return new Managed(this, opened.session);
  }
}

/** Four hex digits. */
export function hexOf({ statusWord }: ResponseApdu): string {
  return statusWord.toString(16).toUpperCase();
}

/** A session of the manager with the card. */
export class Managed {
  readonly card: TestCard;
  readonly session: off.HostSession;

  constructor(card: TestCard, session: off.HostSession) {
    this.card = card;
    this.session = session;
  }

  /** One command in the session; its answer in clear. */
  send(command: CommandApdu): ResponseApdu {
    return this.session.unwrap(this.card.send(this.session.wrap(command)));
  }

  /** Status words of commands, the run of equal ones as one. */
  status(...commands: readonly CommandApdu[]): string {
    const words = commands.map((command) => hexOf(this.send(command)));
    return [...new Set(words)].join(' ');
  }

  /** Commands in the session; the answer to the last one. */
  sendAll(commands: readonly CommandApdu[]): ResponseApdu {
    const answers = commands.map((command) => this.send(command));
    return answers.at(-1) ?? ok();
  }

  /** Steps inside the session. */
  run<Result>(steps: Generator<CommandApdu, Result, ResponseApdu>): Result {
    return this.card.run(off.inSession(this.session, steps));
  }

  /** Every listed AID of a scope with its state. */
  list(scope: number): Readonly<Record<string, number | null>> {
    const { entries } = this.run(off.readRegistry(scope));
    return Object.fromEntries(entries.map(({ aid, lifeCycle }) => [aid, lifeCycle]));
  }

  /** Loads a file of one module, and says the last status word. */
  load(file: {
    readonly aid: string;
    readonly code: Uint8Array;
    readonly dapBlocks?: readonly gp.DapBlock[];
    readonly hash?: Uint8Array;
    readonly domainAid?: string;
    readonly codeBytes?: number;
  }): string {
    const { aid, code, dapBlocks = [], domainAid = '' } = file;
    const hash = file.hash ?? nodeCiphers.sha256(code);
    const parameters = file.codeBytes === undefined ? {} : { codeBytes: file.codeBytes };
    const first = this.status(
      off.installForLoad({ loadFileAid: aid, domainAid, hash, parameters }),
    );
    if (first !== '9000') return `install ${first}`;
    let last = '';
    for (const command of off.loadCommands({ dapBlocks, code }, this.session)) {
      last = this.status(command);
      if (last !== '9000') break;
    }
    return last;
  }

  /** Makes a security domain below the selected one. */
  domain(
    aid: string,
    privileges = 0,
    rules?: gp.ExtraditionRules,
    persistentBytes?: number,
  ): string {
    return this.status(
      off.installForInstall({
        ...{ loadFileAid: on.DOMAIN_LOAD_FILE_AID, moduleAid: on.DOMAIN_MODULE_AID },
        ...{ applicationAid: aid, privileges: gp.PRIVILEGE.securityDomain | privileges },
        parameters: {
          application: rules ? gp.encodeExtraditionRules(rules) : new Uint8Array(),
          ...(persistentBytes === undefined ? {} : { persistentBytes }),
        },
      }),
    );
  }

  /** Installs an application of a loaded module. */
  install(
    names: { readonly file: string; readonly module: string; readonly aid: string },
    options: {
      readonly privileges?: number;
      readonly application?: Uint8Array;
      readonly persistentBytes?: number;
      readonly isSelectableLater?: boolean;
    } = {},
  ): string {
    const { application = new Uint8Array(), persistentBytes = null } = options;
    return this.status(
      off.installForInstall({
        ...{ loadFileAid: names.file, moduleAid: names.module, applicationAid: names.aid },
        privileges: options.privileges ?? 0,
        parameters: { application, persistentBytes },
        isSelectableLater: options.isSelectableLater ?? false,
      }),
    );
  }
}
