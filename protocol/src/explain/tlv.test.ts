/** Shows that data objects are read as cards really send them, each oddity flagged with its place. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { nodeCiphers } from '../../node/index.ts';
import { fromHex, toHex } from '../bytes/index.ts';
import type { TlvFacts } from './facts.ts';
import { ExplainError, type Explanation, explain } from './index.ts';

const read = (hex: string): Explanation => explain(nodeCiphers, hex, { as: 'tlv' });
const factsOf = (hex: string): TlvFacts => read(hex).facts as unknown as TlvFacts;
const objectsOf = (hex: string): readonly string[] =>
  factsOf(hex).objects.map(({ tag, value, depth }) => `${depth} ${tag} ${value}`);
const placesOf = (hex: string): readonly string[] =>
  read(hex).findings.map(({ code, offsetBytes }) => `${code}@${offsetBytes}`);

test('templates nest, values are told, offsets count from the first byte', () => {
  const hex = '700E9F02060000000000515F2A020156';
  const [first, second, third] = factsOf(hex).objects;
  assert.deepEqual([first?.tag, first?.constructed, first?.offsetBytes], ['70', true, 0]);
  assert.deepEqual([second?.tag, second?.offsetBytes, second?.text], ['9F02', 2, '0.51 CNY']);
  assert.deepEqual([third?.tag, third?.offsetBytes, third?.text], ['5F2A', 11, 'CNY Chinese yuan']);
  assert.deepEqual(read(hex).findings, []);
  const node = read(hex).tree[0]?.children[0];
  assert.deepEqual([node?.nameZh, node?.offsetBytes, node?.lengthBytes], ['授权金额', 2, 9]);
});

test('a plain length byte above 7F that fits is read as such and flagged (binaryfoo/emv-bertlv #9)', () => {
  const hex = `70849C01005F507E${'41'.repeat(0x7e)}`;
  assert.equal(factsOf(hex).complete, true);
  assert.equal(factsOf(hex).primitiveCount, 2);
  assert.deepEqual(placesOf(hex), ['TLV_LENGTH_NOT_BER@1']);
});

test('a longer length than needed is decoded and flagged; the shortest is not (EMV 4.3 B3 §B2)', () => {
  assert.deepEqual(objectsOf('9F028106000000000051'), ['0 9F02 000000000051']);
  assert.deepEqual(placesOf('9F028106000000000051'), ['TLV_LENGTH_NOT_SHORTEST@2']);
  assert.deepEqual(placesOf(`5F50820005${'41'.repeat(5)}`), ['TLV_LENGTH_NOT_SHORTEST@2']);
  assert.deepEqual(placesOf('708200085F2A0201569C0100'), ['TLV_LENGTH_NOT_SHORTEST@1']);
});

test('00 and FF between objects are padding, before, between and after (evsinev/ber-tlv #11)', () => {
  assert.deepEqual(objectsOf('00009C0100FFFF5F2A02015600'), ['0 9C 00', '0 5F2A 0156']);
  const places = ['TLV_PADDING@0', 'TLV_PADDING@5', 'TLV_PADDING@12'];
  assert.deepEqual(placesOf('00009C0100FFFF5F2A02015600'), places);
  assert.deepEqual(objectsOf('70079C0100FFFF9A00').slice(0, 2), ['0 70 9C0100FFFF9A00', '1 9C 00']);
});

test('what is cut off is decoded as far as it goes, with the place where it breaks', () => {
  const hex = '70149F02060000000000515F2A0201569F3704AABB';
  assert.deepEqual(objectsOf(hex).slice(1), ['1 9F02 000000000051', '1 5F2A 0156', '1 9F37 AABB']);
  assert.equal(factsOf(hex).complete, false);
  assert.equal(factsOf(hex).brokenAtBytes, 21);
  assert.deepEqual(
    placesOf(hex).filter((each) => each.startsWith('TLV_')),
    ['TLV_TRUNCATED@21', 'TLV_TRUNCATED@21'],
  );
  assert.deepEqual(placesOf('9C01009F'), ['TLV_BROKEN@3']);
  assert.deepEqual(placesOf('9C01009F02'), ['TLV_BROKEN@3']);
});

test('an indefinite length is refused where it stands (EMV 4.3 B3 §B2)', () => {
  assert.throws(
    () => read('70809C01000000'),
    (thrown) =>
      thrown instanceof ExplainError &&
      thrown.code === 'ERR_EXPLAIN_FORMAT' &&
      thrown.data['offsetBytes'] === 0,
  );
  assert.deepEqual(placesOf('9C010070809A03260701'), ['TLV_BROKEN@3']);
});

test('a DOL keeps a tag that it asks for twice (russss/python-emv #22), its last entry too', () => {
  const [dol] = factsOf('9F380A9F02069A039C019A03').dols;
  assert.deepEqual(
    dol?.entries.map((entry) => entry.tag),
    ['9F02', '9A', '9C', '9A'],
  );
  assert.deepEqual([dol?.totalLengthBytes, dol?.duplicates], [13, ['9A']]);
});

test('a constructed tag whose value holds no objects is shown as bytes', () => {
  assert.deepEqual(objectsOf('7F49049F9F9F9F'), ['0 7F49 9F9F9F9F']);
  assert.deepEqual(placesOf('7F49049F9F9F9F'), ['TLV_TEMPLATE@3']);
  assert.equal(factsOf('7F49049F9F9F9F').complete, true);
});

test('names in both languages, GBK text right, personal data flagged', () => {
  const name = toHex(fromHex('D2F8C1AABFA8'));
  const explanation = read(`5F2006${name}9F610431323334`);
  assert.equal(explanation.tree[0]?.text, '银联卡');
  assert.equal(explanation.tree[0]?.nameZh, '持卡人姓名');
  assert.equal(explanation.tree[1]?.nameEn, 'Cardholder Identification Number');
  assert.deepEqual(placesOf(`5F2006${name}9F610431323334`), ['PERSONAL_DATA@12']);
});

test('a list of CA keys for download gives RID, index and expiry (Q/CUP 009.1)', () => {
  const key = '9F0605A0000003339F2201F0DF05083230333531323331';
  assert.deepEqual(factsOf(key + key).caPublicKeys, [
    { rid: 'A000000333', index: 'F0', expiry: '2035-12-31' },
    { rid: 'A000000333', index: 'F0', expiry: '2035-12-31' },
  ]);
});
