/**
 * Terminal action analysis: every TVR bit against every action code of terminal and issuer, by
 * kind of terminal; absent issuer codes; the order of the questions.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { nodeCiphers } from '../../../node/index.ts';
import { toHex } from '../../bytes/index.ts';
import * as data from '../data/index.ts';
import {
  type ActionDecision,
  analyseBeforeOnline,
  analyseUnableOnline,
} from './action-analysis.ts';
import { TEST_TERMINAL_AID, testKeyOf, testTransaction } from './card.test-kit.ts';
import { createContext, type KernelContext } from './context.ts';

const KEY = testKeyOf(
  generateKeyPairSync('rsa', { modulusLength: 1024, publicExponent: 3 }).privateKey.export({
    format: 'jwk',
  }),
);
const NONE = new Uint8Array(5);

type Codes = {
  readonly denial: Uint8Array;
  readonly online: Uint8Array;
  readonly default: Uint8Array;
};
const NO_CODES: Codes = { denial: NONE, online: NONE, default: NONE };
/** Issuer's codes; null is absent. */
type IssuerCodes = { readonly [kind in keyof Codes]: Uint8Array | null };

type Scene = {
  readonly tvr: Uint8Array;
  readonly terminal?: Partial<Codes>;
  readonly issuer?: Partial<IssuerCodes>;
  readonly terminalType?: number;
  readonly transactionType?: number;
};

function contextOf(scene: Scene): KernelContext {
  const tac = { ...NO_CODES, ...scene.terminal };
  const iac: IssuerCodes = { ...NO_CODES, ...scene.issuer };
  const context = createContext(
    testTransaction(
      nodeCiphers,
      { ca: KEY, issuer: KEY, icc: KEY },
      {
        terminal: { terminalType: scene.terminalType ?? 0x22 },
        input: { transactionType: scene.transactionType ?? 0x00 },
      },
    ),
  );
  context.terminalAid = {
    ...TEST_TERMINAL_AID,
    tacDenial: tac.denial,
    tacOnline: tac.online,
    tacDefault: tac.default,
  };
  context.data.set('95', scene.tvr);
  if (iac.denial) context.data.set('9F0E', iac.denial);
  if (iac.online) context.data.set('9F0F', iac.online);
  if (iac.default) context.data.set('9F0D', iac.default);
  return context;
}
const before = (scene: Scene): ActionDecision => analyseBeforeOnline(contextOf(scene));
const unable = (scene: Scene): ActionDecision => analyseUnableOnline(contextOf(scene));

test('EMV 4.3 B3 §10.7: every TVR bit, by every code, at every kind of terminal', () => {
  for (const bit of data.TVR_BITS) {
    const tvr = data.tvrSet(data.tvrEmpty(), bit);
    const other = tvr.map((byte) => ~byte & 0xff);
    for (const [who, name] of [
      ['terminal', 'TAC'],
      ['issuer', 'IAC'],
    ] as const) {
      const at = (kind: keyof Codes, code: Uint8Array, terminalType: number): ActionDecision =>
        before({ tvr, [who]: { [kind]: code }, terminalType });
      for (const terminalType of [0x21, 0x22, 0x23]) {
        assert.deepEqual(
          at('denial', tvr, terminalType),
          { request: 'AAC', reason: `terminal:${name}-denial` },
          `${bit.nameEn} ${terminalType}`,
        );
        // The other 39 bits of the code match nothing.
        assert.notEqual(at('denial', other, terminalType).request, 'AAC');
      }
      assert.deepEqual(at('online', tvr, 0x22), {
        request: 'ARQC',
        reason: `terminal:${name}-online`,
      });
      assert.deepEqual(at('online', other, 0x22), { request: 'TC', reason: null });
      assert.deepEqual(at('default', tvr, 0x22), { request: 'TC', reason: null });
      assert.deepEqual(at('online', tvr, 0x23), { request: 'TC', reason: null });
      assert.deepEqual(at('default', tvr, 0x23), {
        request: 'AAC',
        reason: `terminal:${name}-default`,
      });
      const lost = unable({ tvr, [who]: { default: tvr } });
      assert.deepEqual(lost, { request: 'AAC', reason: `terminal:${name}-default` });
      assert.equal(unable({ tvr, [who]: { default: other } }).request, 'TC');
    }
  }
});

test('EMV 4.3 B3 §10.7: online-only terminals ask for ARQC whatever the codes say, and decline when lost', () => {
  for (const terminalType of [0x11, 0x14, 0x21, 0x24, 0x34]) {
    const tvr = NONE;
    assert.deepEqual(before({ tvr, terminalType }), { request: 'ARQC', reason: null });
    assert.deepEqual(unable({ tvr, terminalType }), {
      request: 'AAC',
      reason: 'terminal:onlineOnly',
    });
  }
  for (const terminalType of [0x13, 0x16, 0x23, 0x26, 0x36]) {
    assert.deepEqual(before({ tvr: NONE, terminalType }), { request: 'TC', reason: null });
  }
});

test('EMV 4.3 B3 §10.7: absent issuer codes: none denies, all go online, all decline when lost', () => {
  const absent = { denial: null, online: null, default: null };
  for (const bit of data.TVR_BITS) {
    const tvr = data.tvrSet(data.tvrEmpty(), bit);
    assert.deepEqual(before({ tvr, issuer: absent }), {
      request: 'ARQC',
      reason: 'terminal:IAC-online',
    });
    assert.deepEqual(unable({ tvr, issuer: absent }), {
      request: 'AAC',
      reason: 'terminal:IAC-default',
    });
  }
  // An empty TVR has nothing to match, not even with a code of ones.
  assert.deepEqual(before({ tvr: NONE, issuer: absent }), { request: 'TC', reason: null });
  assert.deepEqual(unable({ tvr: NONE, issuer: absent }), { request: 'TC', reason: null });
});

test('EMV 4.3 B3 §10.7: an issuer code of another length ends the transaction', () => {
  for (const kind of ['denial', 'online'] as const) {
    const issuer = { [kind]: new Uint8Array(4) };
    assert.throws(() => before({ tvr: NONE, issuer }), { code: 'ERR_CARD_DATA' });
  }
  const issuer = { default: new Uint8Array(6) };
  assert.throws(() => unable({ tvr: NONE, issuer }), { code: 'ERR_CARD_DATA' });
});

/** The rule once more, in the standard's words: denial, then online or default. */
function restated(scene: Required<Scene>): string {
  const meets = (code: Uint8Array | null, absent: number): boolean =>
    scene.tvr.some((byte, at) => (byte & (code?.[at] ?? absent)) !== 0);
  const { terminal, issuer } = scene;
  if (meets(terminal.denial ?? NONE, 0) || meets(issuer.denial ?? null, 0)) return 'AAC';
  const can = scene.terminalType & 0x0f;
  if (can === 1 || can === 4) return 'ARQC';
  const isOnline = meets(terminal.online ?? NONE, 0) || meets(issuer.online ?? null, 0xff);
  if (can === 2 || can === 5) return isOnline ? 'ARQC' : 'TC';
  const isLost = meets(terminal.default ?? NONE, 0) || meets(issuer.default ?? null, 0xff);
  return isLost ? 'AAC' : 'TC';
}

test('EMV 4.3 B3 §10.7: whatever TVR, codes, terminal and kind of transaction give what the rule says', () => {
  const byte = fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 255 }));
  const code = fc
    .array(byte, { minLength: 5, maxLength: 5 })
    .map((bytes) => Uint8Array.from(bytes));
  const codes = fc.record({ denial: code, online: code, default: code });
  const issuerCodes = fc.record({
    denial: fc.option(code),
    online: fc.option(code),
    default: fc.option(code),
  });
  const scene = fc.record({
    tvr: code,
    terminal: codes,
    issuer: issuerCodes,
    terminalType: fc.constantFrom(0x11, 0x12, 0x13, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x34),
    transactionType: fc.constantFrom(0x00, 0x01, 0x09, 0x20, 0x30),
  });
  fc.assert(
    fc.property(scene, (what) => {
      const { request, reason } = before(what);
      assert.equal(request, restated(what), `${toHex(what.tvr)} ${reason}`);
      assert.equal(
        reason === null,
        request === 'TC' || ((what.terminalType & 0x0f) % 3 === 1 && request === 'ARQC'),
      );
    }),
    { numRuns: 500 },
  );
});
