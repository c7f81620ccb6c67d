/** What a command of `tapnpay` is, and how its options are read. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { TapError } from '@tapnpay/protocol/bytes';

/** Values of parsed options. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

/** One command: its help, its options and what it does; resolves with the exit code. */
export type Command = {
  readonly summary: { readonly en: string; readonly zh: string };
  readonly usage: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  readonly run: (values: OptionValues, positionals: readonly string[]) => Promise<number>;
};

/** Wrong usage, answered with one line that says what to change and exit code 2. */
export class UsageError extends TapError<'ERR_USAGE'> {
  constructor(message: string) {
    super('ERR_USAGE', message);
  }
}

/** Parses by the command's table. @throws UsageError on an unknown option or missing value. */
export function parseOptions(
  command: Command,
  args: readonly string[],
): { values: OptionValues; positionals: string[] } {
  try {
    const parsed = parseArgs({
      args: [...args],
      options: {
        ...command.options,
        help: { type: 'boolean' },
        json: { type: 'boolean' },
      },
      allowPositionals: true,
    });
    return { values: parsed.values as OptionValues, positionals: parsed.positionals };
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** An option's text, or undefined when it was not given. */
export function textOption(values: OptionValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** `--lang`, else what the terminal's locale says. @throws UsageError. */
export function languageOption(values: OptionValues): 'zh' | 'en' {
  const asked = textOption(values, 'lang');
  if (asked === 'zh' || asked === 'en') return asked;
  if (asked !== undefined) throw new UsageError(`--lang takes zh or en, not ${asked}`);
  const locale = process.env['LC_ALL'] ?? process.env['LANG'] ?? '';
  return locale.startsWith('zh') ? 'zh' : 'en';
}

/** A port number. @throws UsageError. */
export function portOption(values: OptionValues, name: string): number | undefined {
  const text = textOption(values, name);
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_500) {
    throw new UsageError(`--${name} takes a port number from 0 to 65500, not ${text}`);
  }
  return port;
}
