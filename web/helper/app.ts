/**
 * One page of the agent: keeps what it was told, draws the screen that follows from it, and moves
 * the focus only when a person has to act.
 */
import type { WindowMessage, WindowPayment, WindowView } from '@tapnpay/protocol/wire';
import { byId, h } from '../shared/dom.ts';
import { onLanguage } from '../shared/i18n.ts';
import type { Link, LinkListener, LinkStatus } from './link.ts';
import type { Pairing } from './pairing.ts';
import { isWholePairingCode, shapePairingCode } from './pairing-code.ts';
import { closesNow } from './payment-view.ts';
import { createPinEntry, type PinKey, pinKeyOf, pressPinKey, wipePin } from './pin-entry.ts';
import { sealPin } from './pin-seal.ts';
import { showPinLength } from './pin-view.ts';
import { readerTrouble } from './real-readers.ts';
import { errorText } from './reasons.ts';
import {
  cancelMessage,
  chosenCard,
  deadlineOf,
  liftNumber,
  type Model,
  promptOf,
  type Screen,
  screenKey,
  screenOf,
} from './screen.ts';
import type { HelperKey } from './texts.ts';
import { type Actions, type Notice, translate, type Ui } from './ui.ts';

/** A confirm button takes no press that began before a person could read what it confirms. */
const ARM_MS = 400;
const TICK_MS = 250;
/** From here on the seconds are also spoken, once. */
const SPOKEN_SECONDS = 15;
/** After this the page says that it takes longer than usual. */
const STILL_WORKING_MS = 10_000;
const CLOSE_AFTER_MS = 6_000;
/** An agent that does not answer a command in this time may be asked again. */
const PENDING_MS = 3_000;
const SECOND_MS = 1_000;

/** What a page keeps over a reload; never a PIN, a code or a token. */
const KEPT = { session: 'tapnpay-session', card: 'tapnpay-card', lift: 'tapnpay-lift' } as const;

export type Start = {
  readonly page: 'window' | 'wallet';
  /** How this page reaches its agent. */
  readonly connect: (listener: LinkListener) => Link;
  /** Null where the browser itself vouches for the page. */
  readonly pairing: Pairing | null;
  readonly code: string;
  /** Whether this window was opened for a payment, and so closes when that has ended. */
  readonly isPopup: boolean;
  readonly draw: (ui: Ui) => readonly (Node | null)[];
};

export class HelperApp {
  readonly #start: Start;
  readonly #main = byId('page');
  readonly #content = byId('content');
  readonly #status = byId('status');
  readonly #alert = byId('alert');
  readonly #link: Link;
  readonly #pin = createPinEntry();
  readonly #pairing: { code: string; isBusy: boolean };
  readonly #actions: Actions;
  #model: Model = { status: 'connecting', view: null, seenSession: recall(KEPT.session) };
  #seen: WindowPayment | null = null;
  #notice: Notice | null = null;
  #trouble: Notice | null = null;
  #pendingUntilMs = 0;
  #keepsOpen = false;
  #drawnKey = '';
  #drawnFacts = '';
  #screenSinceMs = 0;
  #spoken = false;
  #handedOver = false;

  constructor(start: Start) {
    this.#start = start;
    this.#pairing = { code: start.code, isBusy: false };
    this.#actions = this.#makeActions();
    this.#link = start.connect({
      onStatus: (status) => this.#onStatus(status),
      onView: (view) => this.#onView(view),
      onError: ({ code }) => {
        this.#pendingUntilMs = 0;
        this.#say({ text: errorText(code), code });
      },
    });
  }

  run(): void {
    document.addEventListener('keydown', (event) => this.#onKey(event));
    // Whoever comes back by the browser's cache finds no digit.
    window.addEventListener('pagehide', () => wipePin(this.#pin));
    onLanguage(() => {
      this.#status.textContent = translate(promptOf(screenOf(this.#model)));
      this.#draw({ isForced: true });
    });
    setInterval(() => this.#tick(), TICK_MS);
    this.#link.start();
    this.#draw();
  }

  // What the agent says

  #onStatus(status: LinkStatus): void {
    this.#pendingUntilMs = 0;
    this.#model = { ...this.#model, status };
    if (status === 'open') void this.#handOver();
    this.#draw();
  }

  #onView(view: WindowView): void {
    const seenSession = view.payment?.session ?? this.#model.seenSession;
    if (seenSession !== this.#model.seenSession) {
      keep(KEPT.session, seenSession);
      this.#keepsOpen = false;
    }
    if (view.payment) this.#seen = view.payment;
    this.#pendingUntilMs = 0;
    this.#model = { ...this.#model, view, seenSession };
    this.#draw();
  }

  /** The page that opened us waits for its token; it gets one whenever this browser is paired. */
  async #handOver(): Promise<void> {
    const { pairing } = this.#start;
    if (this.#handedOver || pairing === null || !pairing.isAsked) return;
    const answer = await pairing.request(null);
    if (answer.kind === 'granted') this.#handedOver = pairing.handOver(answer.token);
    else if (answer.kind === 'refused') this.#say({ text: answer.text, code: answer.code });
  }

  // What the person does

  #makeActions(): Actions {
    return {
      send: (message) => this.#send(message),
      present: (contact) => this.#present(contact),
      choose: (card) => {
        keep(KEPT.card, card);
        this.#draw();
      },
      setLift: (typed) => keep(KEPT.lift, typed),
      pressPin: (key) => void this.#pressPin(key),
      typeCode: (code) => {
        this.#pairing.code = code;
      },
      pair: () => void this.#pair(),
      retry: () => this.#link.start(),
      keepOpen: () => {
        this.#keepsOpen = true;
        this.#draw();
      },
      close: () => window.close(),
    };
  }

  #send(message: WindowMessage): boolean {
    this.#say(null);
    if (!this.#link.send(message)) return false;
    this.#pendingUntilMs = Date.now() + PENDING_MS;
    this.#draw();
    return true;
  }

  #present(contact: 'contact' | 'contactless'): void {
    const card = chosenCard(this.#model.view?.cards ?? [], recall(KEPT.card));
    if (card === null) return;
    const lift = liftNumber(recall(KEPT.lift) ?? '');
    if (lift === 'wrong') {
      this.#say({ text: 'liftWrong', code: null });
      return;
    }
    // A torn tap is one event: the next presentation stays.
    if (lift !== null) keep(KEPT.lift, '');
    this.#send({ type: 'present', card: card.name, interface: contact, liftAfter: lift });
  }

  async #pressPin(key: PinKey): Promise<void> {
    const screen = screenOf(this.#model);
    if (screen.name !== 'waitPin' || this.#isPending()) return;
    const { session, pinKeySpki } = screen.payment;
    const step = pressPinKey(this.#pin, key);
    showPinLength(this.#content, this.#pin, translate);
    if (step === 'tooShort') return this.#say({ text: 'pinTooShort', code: null });
    if (step === 'full') return this.#say({ text: 'pinFull', code: null });
    if (step === 'changed') return this.#say(null);
    if (step === 'cancelled') this.#send({ type: 'pin', session, sealedPin: null });
    if (step !== 'complete' || pinKeySpki === null) return;
    try {
      const sealedPin = await sealPin(this.#pin, pinKeySpki);
      if (this.#send({ type: 'pin', session, sealedPin })) return;
      this.#say({ text: 'pinNotSent', code: null });
    } catch {
      this.#say({ text: 'pinNotSealed', code: null });
    } finally {
      showPinLength(this.#content, this.#pin, translate);
    }
  }

  async #pair(): Promise<void> {
    const { pairing } = this.#start;
    if (this.#pairing.isBusy || pairing === null) return;
    const code = shapePairingCode(this.#pairing.code);
    this.#pairing.code = code;
    if (!isWholePairingCode(code)) {
      this.#say({ text: 'pairingIncomplete', code: null });
      return byId('do-pairing-code').focus();
    }
    this.#say(null);
    this.#setBusy(true);
    const answer = await pairing.request(code);
    this.#setBusy(false);
    if (answer.kind === 'granted') {
      this.#pairing.code = '';
      this.#say(null);
      this.#handedOver = pairing.handOver(answer.token);
      return this.#link.start();
    }
    const { text, code: refusal } =
      answer.kind === 'away' ? { text: 'pairingAway' as const, code: null } : answer;
    this.#say({ text, code: refusal });
    const input = document.getElementById('do-pairing-code');
    if (input instanceof HTMLInputElement) input.select();
  }

  #setBusy(isBusy: boolean): void {
    this.#pairing.isBusy = isBusy;
    this.#draw();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const screen = screenOf(this.#model);
    if (screen.name === 'waitPin') {
      this.#onPinKey(event);
      return;
    }
    const message = event.key === 'Escape' ? cancelMessage(screen) : null;
    if (message === null || this.#isPending()) return;
    event.preventDefault();
    this.#send(message);
  }

  #onPinKey(event: KeyboardEvent): void {
    const key = pinKeyOf(event.key);
    const { target } = event;
    const isText = target instanceof HTMLInputElement && target.type === 'text';
    const isPress = target instanceof HTMLButtonElement && key?.key === 'ok';
    if (key === null || isPress || (isText && key.key !== 'cancel')) return;
    event.preventDefault();
    if (event.repeat && key.key !== 'backspace') return;
    void this.#pressPin(key);
  }

  // What is drawn

  #isPending(): boolean {
    return Date.now() < this.#pendingUntilMs;
  }

  #ui(screen: Screen): Ui {
    return {
      t: translate,
      page: this.#start.page,
      model: this.#model,
      screen,
      seen: this.#seen,
      chosen: recall(KEPT.card),
      lift: recall(KEPT.lift) ?? '',
      pin: this.#pin,
      pairing: this.#pairing,
      origin: this.#start.pairing?.origin ?? null,
      isPopup: this.#start.isPopup,
      isPending: this.#isPending(),
      isArmed: screen.name !== 'consent' || Date.now() - this.#screenSinceMs >= ARM_MS,
      keepsOpen: this.#keepsOpen,
      act: this.#actions,
    };
  }

  /** Draws what changed; the same facts are not drawn twice, so that no press is lost. */
  #draw({ isForced = false }: { readonly isForced?: boolean } = {}): void {
    const screen = screenOf(this.#model);
    const key = screenKey(screen);
    const isNew = key !== this.#drawnKey;
    if (isNew) this.#enter(screen, key);
    this.#sayTrouble(readerTrouble(screen, this.#model.view));
    const ui = this.#ui(screen);
    const { view } = this.#model;
    const facts = JSON.stringify([
      key,
      screen,
      view?.reader,
      view?.readerService,
      view?.realReaders,
      view?.cards,
      [ui.chosen, ui.isPending, ui.isArmed, ui.keepsOpen, ui.pairing.isBusy],
    ]);
    if (!isForced && facts === this.#drawnFacts) return;
    this.#drawnFacts = facts;
    this.#replace(ui, isNew);
    this.#tick();
  }

  /** Another screen: nothing of the old one stays. */
  #enter(screen: Screen, key: string): void {
    this.#drawnKey = key;
    this.#screenSinceMs = Date.now();
    this.#spoken = false;
    wipePin(this.#pin);
    if (this.#notice && screen.name !== 'idle') this.#say(null);
    this.#status.textContent = translate(promptOf(screen));
  }

  #replace(ui: Ui, isNew: boolean): void {
    const { screen } = ui;
    const focused = document.activeElement;
    const focusedId = focused && this.#content.contains(focused) ? focused.id : null;
    const list = this.#content.querySelector('.card-list');
    const scrolled = list?.scrollTop ?? 0;
    const parts = this.#start.draw(ui).filter((part) => part !== null);
    this.#content.replaceChildren(...parts);
    this.#main.dataset['state'] = screen.name;
    // A new turn asks the person anew, even in the same state.
    this.#main.dataset['turn'] = screenKey(screen);
    this.#main.dataset['page'] = ui.page;
    this.#main.dataset['outcome'] = screen.name === 'end' ? screen.end.outcome : '';
    document.title = `${translate(promptOf(screen))} · Tap & Pay`;
    const newList = this.#content.querySelector('.card-list');
    if (newList) newList.scrollTop = scrolled;
    showPinLength(this.#content, this.#pin, translate);
    this.#showNotice();
    this.#moveFocus({ isNew, focusedId });
  }

  /** A new screen that asks for something takes the focus; otherwise it stays where it was. */
  #moveFocus(facts: { readonly isNew: boolean; readonly focusedId: string | null }): void {
    const wanted = this.#content.querySelector<HTMLElement>('[data-focus]:not(:disabled)');
    const { activeElement, body } = document;
    const isNowhere = activeElement === body || activeElement === this.#main;
    // A button that was not armed when its screen came gets the focus once it is.
    const isWanted = facts.isNew || (facts.focusedId === null && isNowhere);
    const same = facts.focusedId === null ? null : document.getElementById(facts.focusedId);
    const next = (isWanted ? wanted : null) ?? (same?.matches(':disabled') ? null : same);
    if (next) next.focus({ preventScroll: true });
    else if (facts.focusedId !== null) this.#main.focus({ preventScroll: true });
  }

  /** Told once when it comes; it goes with the card. */
  #sayTrouble(trouble: Notice | null): void {
    if (trouble?.text === this.#trouble?.text) return;
    this.#trouble = trouble;
    this.#say(trouble);
  }

  #say(notice: Notice | null): void {
    this.#notice = notice;
    this.#showNotice();
  }

  #showNotice(): void {
    const notice = this.#notice;
    const text = notice ? translate(notice.text) : '';
    if (this.#alert.dataset['text'] === text) return;
    this.#alert.dataset['text'] = text;
    this.#alert.replaceChildren(text);
    if (notice?.code) this.#alert.append(h('span', { class: 'alert-code mono' }, notice.code));
  }

  // What time does

  #tick(): void {
    const screen = screenOf(this.#model);
    const nowMs = Date.now();
    this.#countDown(screen, nowMs);
    const sinceMs = nowMs - this.#screenSinceMs;
    const isSlow = screen.name === 'authorising' && sinceMs >= STILL_WORKING_MS;
    if (isSlow) this.#fill('still-working', 'stillWorking', true);
    this.#closeLater(screen, CLOSE_AFTER_MS - sinceMs);
    // Buttons that waited for the clock, not for the agent.
    this.#draw();
  }

  #countDown(screen: Screen, nowMs: number): void {
    const deadlineMs = deadlineOf(screen);
    const place = this.#content.querySelector('.countdown');
    if (deadlineMs === null || place === null) return;
    const seconds = Math.max(0, Math.ceil((deadlineMs - nowMs) / SECOND_MS));
    const text = seconds === 0 ? translate('timeIsUp') : translate('secondsLeft', { seconds });
    if (place.textContent !== text) place.textContent = text;
    place.classList.toggle('countdown-short', seconds <= SPOKEN_SECONDS);
    if (seconds > SPOKEN_SECONDS || seconds === 0 || this.#spoken) return;
    this.#spoken = true;
    this.#status.textContent = translate('secondsLeftSpoken', { seconds });
  }

  #closeLater(screen: Screen, leftMs: number): void {
    if (!closesNow(this.#ui(screen))) return;
    if (leftMs <= 0) window.close();
    const place = document.getElementById('closing');
    const text = translate('closingIn', { seconds: Math.ceil(leftMs / SECOND_MS) });
    if (place && place.textContent !== text) place.textContent = text;
  }

  #fill(id: string, key: HelperKey, isSpoken: boolean): void {
    const place = document.getElementById(id);
    const text = translate(key);
    if (!place || place.textContent === text) return;
    place.textContent = text;
    if (isSpoken) this.#status.textContent = text;
  }
}

/** Storage may be closed to the page; then a reload starts anew. */
const memory = new Map<string, string>();

function recall(key: string): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

function keep(key: string, value: string | null): void {
  try {
    sessionStorage.setItem(key, value ?? '');
  } catch {
    memory.set(key, value ?? '');
  }
}

/** A window that was opened for a new payment must not show the end of the last one. */
export function forgetSessionUnlessReloaded(): void {
  const [entry] = performance.getEntriesByType('navigation');
  const isReload = entry instanceof PerformanceNavigationTiming && entry.type === 'reload';
  if (!isReload) keep(KEPT.session, '');
}
