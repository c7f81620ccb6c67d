/** The command's report: the whole table's texts, and a title that says which machine it is of. */
import {
  CHECK_TEXTS,
  type CheckLine,
  type DoctorCheck,
  type DoctorLanguage,
  type DoctorReport,
  describeCheck,
  reportText,
} from '@tapnpay/protocol/wire';

/** The machine that was looked at. */
export type ReportFacts = { readonly platform: string; readonly arch: string };

/** Lines for people, which can be pasted into a question; they hold no secrets. */
export function machineReport(
  report: DoctorReport,
  { platform, arch }: ReportFacts,
  language: DoctorLanguage,
): string {
  const title = `tapnpay doctor · ${platform} ${arch}`;
  return reportText(report, { title, language, texts: CHECK_TEXTS });
}

/** A check with its texts in both languages, for programs. */
export type ToldCheck = DoctorCheck & {
  readonly name: Readonly<Record<DoctorLanguage, string>>;
  readonly seen: Readonly<Record<DoctorLanguage, string>>;
  readonly fix: Readonly<Record<DoctorLanguage, string>> | null;
};

/** Every check with its texts. */
export function toldChecks({ checks }: DoctorReport): readonly ToldCheck[] {
  return checks.map((check) => {
    const en = describeCheck(check, { language: 'en', texts: CHECK_TEXTS });
    const zh = describeCheck(check, { language: 'zh', texts: CHECK_TEXTS });
    const both = (pick: (line: CheckLine) => string) => ({ en: pick(en), zh: pick(zh) });
    return {
      ...check,
      name: both(({ name }) => name),
      seen: both(({ seen }) => seen),
      fix: en.fix === null ? null : both(({ fix }) => fix ?? ''),
    };
  });
}
