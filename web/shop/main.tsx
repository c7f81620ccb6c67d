/** The shop's page. */
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '../shared/design.css';
import './shop.css';
import './admin/admin.css';
import { byId } from '../shared/dom.ts';
import { App } from './app.tsx';

createRoot(byId('shop')).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
