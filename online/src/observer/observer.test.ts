/**
 * What parties logged of an order meets by its references and becomes 14 decoded hops; lines that
 * are broken, foreign or missing change nothing else.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TraceDocument, TraceHop, TraceItem } from '@tapnpay/protocol/wire';
import fc from 'fast-check';
import { CardSession } from './apdu.ts';
import { collectTrace, startObserver } from './index.ts';
import { decodeMaskedTlv } from './masked-hex.ts';
import {
  apdu,
  CONTACT,
  FIRST_AC,
  fieldOf,
  folderOf,
  GPO,
  hop,
  type Line,
  ORDER,
  OTHER_ORDER,
  PAN_RECORD,
  PAYMENT,
  QPBOC_GPO,
  REFERENCE,
  SELECT,
  seen,
} from './observer.test-kit.ts';

const removers: (() => void)[] = [];
after(() => {
  for (const remove of removers) remove();
});

function folder(lines: readonly Line[]): string {
  const { dataDir, remove } = folderOf(lines);
  removers.push(remove);
  return dataDir;
}

function traceOf(lines: readonly Line[], orderId = ORDER): TraceDocument {
  const trace = collectTrace(folder(lines), orderId);
  assert.ok(trace);
  return trace;
}

function hopOf(trace: TraceDocument, name: TraceHop['hop']): TraceHop {
  const found = trace.hops.find((candidate) => candidate.hop === name);
  assert.ok(found);
  return found;
}

function itemOf(found: TraceHop, title: string): TraceItem {
  const item = found.items.find((candidate) => candidate.title === title);
  assert.ok(item, `${title} in hop ${found.n}`);
  return item;
}

test('14 hops in order, milliseconds since the order, each with its party and facts', () => {
  const trace = traceOf(CONTACT);
  assert.deepEqual(
    trace.hops.map(({ n }) => n),
    Array.from({ length: 14 }, (_, index) => index + 1),
  );
  assert.equal(trace.totalMs, 185);
  assert.deepEqual(
    [hopOf(trace, 'ask').ms, hopOf(trace, 'route').ms, hopOf(trace, 'tell').ms],
    [40, 140, 185],
  );
  assert.equal(hopOf(trace, 'route').party, 'switch');
  assert.equal(hopOf(trace, 'decide').facts['responseCode'], '00');
  assert.equal(hopOf(trace, 'channel').status, 'notReached');
  for (const { name } of trace.hops) {
    assert.match(name.en, /[a-z]/);
    assert.match(name.zh, /\p{Script=Han}/u);
  }
});

test('order id, payment id and retrieval reference join the logs of all parties', () => {
  const trace = traceOf(CONTACT);
  const found = trace.hops.flatMap(({ items }) => items.map(({ party }) => party));
  assert.deepEqual([...new Set(found)].sort(), ['agent', 'gateway', 'issuer']);
  // Without the line that knows both names, the issuer's lines belong to nobody.
  const parted = CONTACT.filter(
    ({ text }) => !(text.includes(PAYMENT) && text.includes(REFERENCE)),
  );
  assert.equal(hopOf(traceOf(parted), 'decide').status, 'notReached');
});

test("another order's lines stay out, and its own trace has only them", () => {
  const other = [
    hop('gateway', 'order', 500, { orderId: OTHER_ORDER, amountMinor: '99' }),
    seen('gateway', 510, {
      hop: 'seal',
      references: [OTHER_ORDER],
      kind: 'channel',
      title: 'payment',
      data: { panMasked: '629999*********9999' },
    }),
  ];
  const lines = [...CONTACT, ...other];
  assert.deepEqual(traceOf(lines), traceOf(CONTACT));
  const trace = traceOf(lines, OTHER_ORDER);
  assert.deepEqual(
    trace.hops.filter(({ status }) => status === 'passed').map(({ hop: name }) => name),
    ['order', 'seal'],
  );
});

test('the card session goes to the hops that its commands belong to', () => {
  const trace = traceOf(CONTACT);
  const titles = (name: TraceHop['hop']) =>
    hopOf(trace, name)
      .items.filter(({ kind }) => kind === 'apdu')
      .map(({ title }) => title);
  assert.deepEqual(titles('tap'), [
    'SELECT',
    'GET PROCESSING OPTIONS',
    'READ RECORD',
    'READ RECORD',
  ]);
  assert.deepEqual(titles('cryptogram'), ['GENERATE AC']);
  assert.deepEqual(titles('finish'), ['EXTERNAL AUTHENTICATE', 'GENERATE AC']);
  assert.equal(trace.apduText.split('\n').length, 15);
  assert.ok(trace.apduText.startsWith(`=> ${SELECT[0]}\n<= ${SELECT[1]}\n=> `));
});

test('TLVs have names in both languages, values, meanings and their place in the bytes', () => {
  const select = itemOf(hopOf(traceOf(CONTACT), 'tap'), 'SELECT');
  const label = fieldOf(select.fields, 'R-APDU', '6F', 'A5', '50');
  assert.deepEqual(label.name, { zh: '应用标签', en: 'Application Label' });
  assert.equal(label.meanings[0]?.en, '“PBOC DEBIT”');
  const [raw = 0, start = 0, end = 0] = label.span ?? [];
  assert.equal(select.raw[raw]?.slice(2 * start, 2 * end), '500A50424F43204445424954');
  const pdol = fieldOf(select.fields, 'R-APDU', '6F', 'A5', '9F38');
  assert.deepEqual(
    pdol.children.map(({ key }) => key),
    ['9F1A', '5F2A'],
  );
});

test('values of a DOL are read with the list that the card gave before', () => {
  const trace = traceOf(CONTACT);
  const gpo = itemOf(hopOf(trace, 'tap'), 'GET PROCESSING OPTIONS');
  assert.equal(fieldOf(gpo.fields, 'C-APDU', '83', '9F1A').meanings[0]?.en, 'China');
  assert.equal(fieldOf(gpo.fields, 'R-APDU', '80', '94', 'SFI 2').meanings.length, 1);
  const ac = itemOf(hopOf(trace, 'cryptogram'), 'GENERATE AC');
  assert.equal(fieldOf(ac.fields, 'C-APDU', '9F02').meanings[0]?.en, '12.34 CNY');
  assert.deepEqual(
    fieldOf(ac.fields, 'C-APDU', '95').meanings.map(({ en }) => en),
    [
      'B3b3 Online PIN entered',
      'B4b8 Transaction exceeds floor limit',
      'B4b4 Merchant forced transaction online',
    ],
  );
  const cvr = fieldOf(ac.fields, 'R-APDU', '80', '9F10', 'CVR');
  assert.match(cvr.meanings[0]?.en ?? '', /first GENERATE AC returned an ARQC/);
  assert.match(cvr.meanings[1]?.en ?? '', /second GENERATE AC not requested/);
});

test('AIP, TSI, TTQ, CTQ and CVM results are told bit by bit', () => {
  const session = new CardSession({ currency: '156' });
  const answer = '82027C009B02E8009F6604260000809F6C0280809F3403420300';
  const { fields } = session.read(
    '00CA000000',
    `70${(answer.length / 2).toString(16).toUpperCase()}${answer}9000`,
  );
  const said = (tag: string) => fieldOf(fields, 'R-APDU', '70', tag).meanings.map(({ en }) => en);
  assert.equal(said('82').length, 5);
  assert.equal(said('9B').length, 4);
  assert.ok(said('9F66').includes('B1b3 Online PIN supported'));
  assert.ok(said('9F6C').includes('B1b8 Online PIN required'));
  assert.deepEqual(said('9F34'), [
    'Enciphered PIN online',
    'if the terminal supports it',
    'result unknown (the issuer checks)',
  ]);
});

test('a masked value keeps its stars and says so', () => {
  const record = hopOf(traceOf(CONTACT), 'tap').items[2];
  const pan = fieldOf(record?.fields ?? [], 'R-APDU', '70', '5A');
  assert.equal(pan.value, '629999*********0012F');
  assert.equal(pan.meanings[0]?.en, 'Cardholder data, masked');
  assert.equal(fieldOf(record?.fields ?? [], 'R-APDU', '70', '5F24').meanings[0]?.en, '2031-11-30');
});

test('ISO 8583 fields have names and meanings, chip data its own tree', () => {
  const item = itemOf(hopOf(traceOf(CONTACT), 'request'), '0200 sent');
  assert.equal(item.name.zh, '金融交易请求');
  assert.deepEqual(fieldOf(item.fields, 'F4').name, { zh: '交易金额', en: 'Amount, transaction' });
  assert.equal(fieldOf(item.fields, 'F4').meanings[0]?.en, '12.34 CNY');
  assert.deepEqual(fieldOf(item.fields, 'F39').meanings[0], {
    zh: '资金不足',
    en: 'Insufficient funds',
  });
  assert.equal(fieldOf(item.fields, 'F22').meanings.length, 2);
  assert.equal(fieldOf(item.fields, 'F55', '9F26').value, '28AD9AB1A1A567DB');
  assert.equal(fieldOf(item.fields, 'F55', '57').meanings[0]?.en, 'Cardholder data, masked');
  assert.equal(fieldOf(item.fields, 'F90', '90.2').value, '000001');
});

test('HSM commands say what they do, keys what they are for, cryptogram input what it covers', () => {
  const trace = traceOf(CONTACT);
  const translate = itemOf(hopOf(trace, 'request'), 'translatePin');
  assert.match(translate.name.en, /no PIN leaves the HSM/);
  assert.match(translate.name.zh, /PIN 明文不出加密机/);
  const key = fieldOf(translate.fields, 'in', 'from.key');
  assert.equal(key.meanings[0]?.en, 'AES base derivation key');
  const verify = itemOf(hopOf(trace, 'decide'), 'verifyArqc');
  assert.equal(fieldOf(verify.fields, 'out', 'valid').meanings[0]?.en, 'yes');
  const input = fieldOf(verify.fields, 'in', 'data').children.map(({ key: tag }) => tag);
  assert.deepEqual(input.slice(0, 2), ['9F02', '9F03']);
  assert.equal(input.at(-1), 'CVR');
});

test('ledger rows name account, direction and amount', () => {
  const row = itemOf(hopOf(traceOf(CONTACT), 'decide'), 'posting');
  assert.equal(row.name.en, "out of the cardholder's account");
  assert.equal(fieldOf(row.fields, 'amountMinor').meanings[0]?.en, '-12.34 CNY');
});

test('contactless: the cryptogram comes with the GPO answer, hops 12 and 13 do not apply', () => {
  const lines = [
    hop('gateway', 'order', 0, { orderId: ORDER }),
    apdu(10, 1, SELECT),
    apdu(20, 2, QPBOC_GPO),
    apdu(30, 3, PAN_RECORD),
    hop('gateway', 'seal', 40, { orderId: ORDER, interface: 'contactless' }),
  ];
  const trace = traceOf(lines);
  assert.deepEqual(
    hopOf(trace, 'cryptogram').items.map(({ title }) => title),
    ['GET PROCESSING OPTIONS'],
  );
  assert.equal(hopOf(trace, 'tap').items.length, 2);
  assert.equal(hopOf(trace, 'finish').status, 'notApplicable');
  assert.equal(hopOf(trace, 'confirm').status, 'notApplicable');
  assert.equal(hopOf(trace, 'tell').status, 'notReached');
});

test('a card that is presented again begins a new session', () => {
  const lines = [
    ...[SELECT, GPO].map((exchange, index) => apdu(10 + index, index + 1, exchange)),
    apdu(12, 3, FIRST_AC),
    ...[SELECT, GPO].map((exchange, index) => apdu(20 + index, index + 1, exchange)),
    apdu(22, 3, ['80AE80000100', 'ERR_CARD_REMOVED']),
  ];
  const trace = traceOf(lines);
  assert.equal(hopOf(trace, 'tap').items.length, 4);
  assert.equal(hopOf(trace, 'cryptogram').items.length, 2);
  assert.equal(hopOf(trace, 'finish').status, 'notReached');
  const last = hopOf(trace, 'cryptogram').items[1];
  assert.equal(fieldOf(last?.fields ?? [], 'R-APDU').value, 'ERR_CARD_REMOVED');
});

test('lines that are broken, cut, foreign or of another form change nothing', () => {
  const clean = traceOf(CONTACT);
  const good = { event: 'trace', hop: 'tap', references: [ORDER], kind: 'apdu', title: 'x' };
  const junk = [
    '{"event":"hop","n":4,"name":"tap","atMs":',
    'panic: "hop" and "trace"',
    '[1,2,"trace"]',
    'null "hop"',
    JSON.stringify({ ...good, atMs: 'soon', data: {} }),
    JSON.stringify({ ...good, atMs: 1, hop: 'nowhere', data: {} }),
    JSON.stringify({ ...good, atMs: 1, kind: 'rumour', data: {} }),
    JSON.stringify({ ...good, atMs: 1, data: 'text' }),
    JSON.stringify({ event: 'hop', n: 5, name: 'tap', atMs: 1, facts: { orderId: ORDER } }),
    JSON.stringify({ event: 'hop', n: 4, name: '__proto__', atMs: 1, facts: { orderId: ORDER } }),
    `"trace"${'x'.repeat(100_000)}`,
    '\u0000\u0001"trace"',
  ];
  const lines = ['gateway', 'issuer', 'agent'].flatMap((log) =>
    junk.map((text) => ({ log, text })),
  );
  assert.deepEqual(traceOf([...lines, ...CONTACT, ...lines]), clean);
});

test('a log without its last line break, and one with half a line, is read', () => {
  const dataDir = folder(CONTACT);
  const last = hop('shop', 'tell', 190, { orderId: ORDER });
  writeFileSync(join(dataDir, 'logs', 'shop.log'), last.text);
  appendFileSync(join(dataDir, 'logs', 'gateway.log'), '{"event":"tra');
  assert.equal(collectTrace(dataDir, ORDER)?.totalMs, 190);
});

test('missing parties leave their hops unreached, a folder without logs has no trace', () => {
  const alone = CONTACT.filter(({ log }) => log === 'agent');
  const trace = traceOf(alone);
  assert.equal(hopOf(trace, 'decide').status, 'notReached');
  assert.equal(hopOf(trace, 'tap').items.length, 4);
  const { dataDir, remove } = folderOf([]);
  removers.push(remove);
  assert.equal(collectTrace(dataDir, ORDER), null);
  assert.equal(collectTrace(join(dataDir, 'nowhere'), ORDER), null);
});

test('a party whose log is a folder is an error of the machine, not of the order', () => {
  const dataDir = folder(CONTACT.filter(({ log }) => log !== 'switch'));
  mkdirSync(join(dataDir, 'logs', 'switch.log'));
  assert.throws(() => collectTrace(dataDir, ORDER), { code: 'EISDIR' });
});

test('what is no order id finds nothing: paths, patterns, short and long texts', () => {
  const dataDir = folder(CONTACT);
  const ids = [
    '',
    '..',
    '../../etc/passwd',
    '.*',
    '%',
    ORDER.slice(0, 7),
    'x'.repeat(65),
    `${ORDER}\n`,
  ];
  for (const id of ids) assert.equal(collectTrace(dataDir, id), null, JSON.stringify(id));
  assert.equal(collectTrace(dataDir, OTHER_ORDER), null);
});

test('whatever stands in a trace line, a document comes of it', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 24 }),
    fc
      .uint8Array({ maxLength: 24 })
      .map((bytes) => Buffer.from(bytes).toString('hex').toUpperCase()),
  );
  const data = fc.dictionary(
    fc.constantFrom(
      'command',
      'response',
      'number',
      'MTI',
      'F4',
      'F55.tlv',
      'raw',
      'in.data',
      'tvr',
    ),
    fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
  );
  const kind = fc.constantFrom('apdu', 'iso8583', 'hsm', 'ledger', 'channel');
  fc.assert(
    fc.property(fc.array(fc.tuple(kind, text, data), { maxLength: 4 }), (events) => {
      const { dataDir, remove } = folderOf(
        events.map(([what, title, values], index) =>
          seen('gateway', index, {
            hop: 'tap',
            references: [ORDER],
            kind: what as 'apdu',
            title,
            data: values,
          }),
        ),
      );
      try {
        const trace = collectTrace(dataDir, ORDER);
        assert.equal(trace?.hops.length ?? 14, 14);
      } finally {
        remove();
      }
    }),
    { numRuns: 60 },
  );
});

test('data objects of masked hex: no TLV, cut lengths and deep nesting are null, not a fault', () => {
  assert.equal(decodeMaskedTlv('5A**')?.length ?? null, null);
  assert.equal(decodeMaskedTlv('5A0A6299'), null);
  assert.equal(decodeMaskedTlv('9F'), null);
  assert.equal(decodeMaskedTlv('5A80'), null);
  assert.equal(decodeMaskedTlv('5A0262**')?.[0]?.value, '62**');
  const deep = Array.from({ length: 12 }).reduce<string>(
    (inner) => `70${(inner.length / 2).toString(16).padStart(2, '0').toUpperCase()}${inner}`,
    '5A0162',
  );
  // What is nested too deep is shown as bytes of the last level.
  assert.equal(decodeMaskedTlv(deep)?.length, 1);
});

/** Asks with any Host header, which `fetch` does not let through. */
function ask(
  port: number,
  path: string,
  host = `127.0.0.1:${port}`,
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.once('error', reject);
    sent.end();
  });
}

test('the server: documents, APDU text, the page under its policy, and coded refusals', async () => {
  const dataDir = folder(CONTACT);
  const pagesDir = join(dataDir, 'pages');
  mkdirSync(join(pagesDir, 'assets'), { recursive: true });
  writeFileSync(join(pagesDir, 'index.html'), '<!doctype html><title>inside</title>');
  writeFileSync(join(pagesDir, 'assets', 'main.js'), 'export {};');
  const observer = await startObserver({ dataDir, port: 0, pagesDir });
  const { port } = observer;
  try {
    const json = await ask(port, `/v1/traces/${ORDER}`);
    assert.equal(json.status, 200);
    assert.deepEqual(
      JSON.parse(json.text),
      JSON.parse(JSON.stringify(collectTrace(dataDir, ORDER))),
    );
    const text = await ask(port, `/v1/traces/${ORDER}?format=apdu`);
    assert.match(String(text.headers['content-type']), /^text\/plain/);
    assert.equal(text.text, collectTrace(dataDir, ORDER)?.apduText);
    const page = await ask(port, `/inside/${ORDER}?lang=zh`);
    assert.match(page.text, /<title>inside/);
    const policy = String(page.headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /require-trusted-types-for 'script'/);
    assert.equal((await ask(port, '/assets/main.js')).status, 200);
    const refused = async (path: string, host?: string): Promise<unknown[]> => {
      const answer = await ask(port, path, host);
      return [answer.status, (JSON.parse(answer.text) as { code: string }).code];
    };
    assert.deepEqual(await refused(`/v1/traces/${OTHER_ORDER}`), [404, 'ERR_TRACE_NOT_FOUND']);
    assert.deepEqual(await refused('/v1/traces/..%2f..%2fetc'), [404, 'ERR_TRACE_NOT_FOUND']);
    assert.deepEqual(await refused(`/v1/traces/${ORDER}?format=pcap`), [400, 'ERR_FORMAT']);
    assert.deepEqual(await refused('/nothing'), [404, 'ERR_NOT_FOUND']);
    assert.deepEqual(await refused('/assets/..%2findex.html'), [404, 'ERR_NOT_FOUND']);
    for (const host of ['evil.test', `127.0.0.1.evil.test:${port}`, 'localhost.evil.test']) {
      assert.deepEqual(await refused(`/v1/traces/${ORDER}`, host), [403, 'ERR_HOST'], host);
    }
    assert.equal((await ask(port, '/v1/health', `localhost:${port}`)).status, 200);
  } finally {
    await observer.close();
  }
});

test('pages that are not built are a coded answer, and traces are served all the same', async () => {
  const dataDir = folder(CONTACT);
  const observer = await startObserver({ dataDir, port: 0, pagesDir: join(dataDir, 'none') });
  try {
    const page = await ask(observer.port, `/inside/${ORDER}`);
    assert.equal(page.status, 503);
    assert.equal((JSON.parse(page.text) as { code: string }).code, 'ERR_PAGES_NOT_BUILT');
    assert.equal((await ask(observer.port, `/v1/traces/${ORDER}`)).status, 200);
  } finally {
    await observer.close();
  }
});
