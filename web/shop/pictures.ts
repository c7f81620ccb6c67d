/** Addresses of the pictures by name, as the build made them. */
const files = import.meta.glob<string>('./pictures/*.svg', {
  eager: true,
  query: '?url',
  import: 'default',
});
const NAME = /([a-z0-9-]+)\.svg$/;
const urls = new Map(
  Object.entries(files).map(([path, url]) => [NAME.exec(path)?.[1] ?? '', url] as const),
);

/** Picture of the front page. */
export const HERO: string = urls.get('hero') ?? '';
/** Names that goods may bear. */
export const PICTURE_NAMES: readonly string[] = [...urls.keys()].filter((name) => name !== 'hero');

/** Address of a picture; an unknown name gets the tea's. */
export function pictureUrl(name: string): string {
  return urls.get(name) ?? urls.get('tea') ?? '';
}
