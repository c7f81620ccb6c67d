/** Every route of the manager's API. */
import { APPLICATION_ROUTES } from './application-routes.ts';
import { ELEMENT_ROUTES } from './element-routes.ts';
import type { Route } from './route.ts';

/** The table. */
export const ROUTES: readonly Route[] = [...ELEMENT_ROUTES, ...APPLICATION_ROUTES];
