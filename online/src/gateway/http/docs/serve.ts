/** placeholder */
export function addDocs(_scope: unknown, _publicUrl: string): void {}
