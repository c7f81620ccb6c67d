/** The explainer: decodes and judges card, line and key data, and says what is wrong and where. */
export * from './errors.ts';
export * from './explain.ts';
export { EXPLAIN_CHARACTERS_MAX, readInput } from './input.ts';
export { foldName } from './input-lines.ts';
export { maskExplanation } from './masking.ts';
export { type ExplainLanguage, explanationText } from './text.ts';
export * from './types.ts';
