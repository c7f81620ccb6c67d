/**
 * Every check and code of a doctor has both texts and a fix that names real facts only; a report is
 * said whole in either language, by an older table too, and a foreign report is checked.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CHECK_CODES,
  CHECK_WAITS,
  type CheckId,
  DOCTOR_CHECKS_MAX,
  DOCTOR_FACT_CHARACTERS_MAX,
  type DoctorReport,
  doctorReportShape,
  firstBroken,
  PLUGIN_CHECK_CODES,
} from './doctor.ts';
import {
  describeCheck,
  foundFault,
  foundOk,
  foundWaiting,
  pluginFaultCheck,
  reportText,
} from './doctor-report.ts';
import { CHECK_TEXTS, PLUGIN_CHECK_TEXTS } from './doctor-texts.ts';
import { WireError } from './frames.ts';
import { checkShape } from './shape.ts';
import type { TwoLanguages } from './trace.ts';

const IDS = Object.keys(CHECK_CODES) as readonly CheckId[];

function codeTexts(
  id: CheckId,
): Readonly<Record<string, { seen: TwoLanguages; fix: TwoLanguages }>> {
  return CHECK_TEXTS[id].codes;
}

/** Both languages, each in its own script, with the same facts in braces. */
function assertTwo(text: TwoLanguages, what: string): void {
  const facts = (language: string) => [...language.matchAll(/\{\w+\}/g)].map(String).sort();
  assert.deepEqual(facts(text.zh), facts(text.en), what);
  assert.ok(text.en.trim() === text.en && text.en.length > 1, what);
  assert.doesNotMatch(text.en, /\p{Script=Han}/u, what);
  const words = text.zh.replaceAll(/\{\w+\}/g, '');
  const isName = /^[\w·. -]*$/.test(words);
  assert.ok(isName || /\p{Script=Han}/u.test(words), `${what}: ${text.zh}`);
}

test('every code of every check has a text and a fix in both languages, and no other has', () => {
  assert.deepEqual(Object.keys(CHECK_TEXTS).sort(), [...IDS].sort());
  for (const id of IDS) {
    assert.deepEqual(Object.keys(codeTexts(id)).sort(), [...CHECK_CODES[id]].sort(), id);
    assertTwo(CHECK_TEXTS[id].name, id);
    assertTwo(CHECK_TEXTS[id].ok, id);
    for (const [code, { seen, fix }] of Object.entries(codeTexts(id))) {
      assert.match(code, /^ERR_[A-Z_]+$/);
      assertTwo(seen, `${id} ${code}`);
      assertTwo(fix, `${id} ${code} fix`);
      assert.match(fix.zh, /\p{Script=Han}/u, `${id} ${code}`);
    }
  }
});

test('pages carry the texts of what they see, taken from the same table', () => {
  assert.deepEqual(Object.keys(PLUGIN_CHECK_TEXTS).sort(), Object.keys(PLUGIN_CHECK_CODES).sort());
  for (const [id, texts] of Object.entries(PLUGIN_CHECK_TEXTS)) {
    // Pages call plug-in and helper as payers know them.
    const { name } = texts;
    assert.deepEqual({ ...CHECK_TEXTS[id as CheckId], name }, texts);
  }
});

const report: DoctorReport = {
  checks: [
    { id: 'gateway', ...foundOk({ url: 'http://127.0.0.1:8420' }) },
    {
      id: 'manifest',
      ...foundFault<'manifest'>('broken', 'ERR_MANIFEST_MISSING', {
        browser: 'Chromium',
        probed: '/a/org.tapnpay.host.json: missing\n/b/org.tapnpay.host.json: missing',
      }),
    },
    { id: 'host', ...foundWaiting('manifest') },
    { id: 'readers', ...foundFault<'readers'>('warn', 'ERR_READER_NONE') },
  ],
};

test('a report is one text: links, every probed place, fixes, and the first broken link', () => {
  const en = reportText(report, { title: 'tapnpay doctor', language: 'en', texts: CHECK_TEXTS });
  assert.deepEqual(en.split('\n'), [
    'tapnpay doctor',
    'ok      gateway                         http://127.0.0.1:8420',
    'BROKEN  host registration · Chromium    not registered in any folder that Chromium reads',
    '           /a/org.tapnpay.host.json: missing',
    '           /b/org.tapnpay.host.json: missing',
    '        -> install it: npx tapnpay agent install',
    '-       native host                     not looked at: fix host registration first',
    'warn    card readers                    there is none',
    '        -> plug in a CCID reader if you want to use real cards; the virtual cards need none',
    '',
    'No payment can be made: the first broken link is "host registration · Chromium".',
  ]);
  const zh = reportText(report, { title: '诊断', language: 'zh', texts: CHECK_TEXTS });
  assert.match(zh, /未检查：请先修复“本机程序登记”/);
  assert.match(zh, /首个断开的环节是“本机程序登记 · Chromium”/);
  const fit = reportText({ checks: [] }, { title: '', language: 'zh', texts: CHECK_TEXTS });
  assert.match(fit, /可以支付。$/);
  const parts = { title: '', language: 'zh', texts: CHECK_TEXTS, ending: '完' } as const;
  assert.match(reportText(report, parts), /\n完$/);
  assert.equal(firstBroken({ checks: [] }), null);
});

test('what a table does not know is said by its codes, never left out', () => {
  const check = { id: 'moon', state: 'broken', code: 'ERR_MOON', facts: { phase: 'new' } } as const;
  const line = describeCheck(check, { language: 'en', texts: CHECK_TEXTS });
  assert.deepEqual(line, {
    state: 'broken',
    name: 'moon',
    seen: 'ERR_MOON phase=new',
    fix: null,
    details: [],
  });
  const newer = { ...check, id: 'gateway', code: 'constructor' };
  const told = describeCheck(newer, { language: 'zh', texts: PLUGIN_CHECK_TEXTS });
  assert.deepEqual([told.name, told.seen], ['网关', 'constructor phase=new']);
});

test("a fault that the browser's side met is a check of the link it belongs to", () => {
  const detail = 'Native host has exited.';
  const exited = pluginFaultCheck('ERR_HOST_EXITED', detail);
  assert.deepEqual([exited.id, exited.state], ['host', 'broken']);
  const line = describeCheck(exited, { language: 'en', texts: PLUGIN_CHECK_TEXTS });
  assert.match(line.seen, /\(Native host has exited\.\)$/);
  assert.equal(pluginFaultCheck('ERR_EXTENSION_RELOADED', '').id, 'extension');
});

test('a foreign report is checked: states, names, and how much it says', () => {
  const good = { id: 'host', state: 'ok', code: null, facts: { ms: '12' } };
  assert.deepEqual(checkShape(doctorReportShape, { checks: [good] }, 'report'), { checks: [good] });
  const long = 'x'.repeat(DOCTOR_FACT_CHARACTERS_MAX + 1);
  const facts = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`f${i}`, '']));
  const bad: readonly unknown[] = [
    null,
    { checks: 'all' },
    { checks: [{ ...good, state: 'fine' }] },
    { checks: [{ ...good, code: 'a b' }] },
    { checks: [{ ...good, id: '<b>' }] },
    { checks: [{ ...good, facts: { ms: 12 } }] },
    { checks: [{ ...good, facts: { output: long } }] },
    { checks: [{ ...good, facts: { 'a-b': '' } }] },
    { checks: [{ ...good, facts }] },
    { checks: [{ ...good, facts: ['a'] }] },
    { checks: Array.from({ length: DOCTOR_CHECKS_MAX + 1 }, () => good) },
  ];
  for (const value of bad) {
    const isFieldFault = (fault: unknown): boolean =>
      fault instanceof WireError && fault.code === 'ERR_MESSAGE_FIELD';
    assert.throws(() => checkShape(doctorReportShape, value, 'report'), isFieldFault);
  }
  assert.equal(CHECK_WAITS, 'ERR_WAITS');
});
