-- What the bank wants cards to do: issuer scripts, and loads of electronic cash, which end by one.

-- 9F77 of a card where a script has changed it; null: the installation's.
ALTER TABLE cards ADD COLUMN electronic_cash_limit_minor bigint
  CHECK (electronic_cash_limit_minor >= 0);

-- Accounts of other cards that may load this card's purse, with their holder's consent.
CREATE TABLE card_load_payers (
  card_id text NOT NULL REFERENCES cards,
  payer_card_id text NOT NULL REFERENCES cards,
  PRIMARY KEY (card_id, payer_card_id),
  CHECK (card_id <> payer_card_id)
);

CREATE TABLE card_scripts (
  script_id text PRIMARY KEY,
  card_id text NOT NULL REFERENCES cards,
  kind text NOT NULL CHECK (kind IN ('load', 'blockApplication', 'unblockApplication', 'blockCard',
    'unblockPin', 'changePin', 'putData', 'updateRecord')),
  target text NOT NULL CHECK (target ~ '^([0-9A-F]{4})?$'),
  data text NOT NULL CHECK (data ~ '^([0-9A-F]{2})*$'),
  -- The new PIN's block under a key of the issuer's HSM, and its check value.
  pin_block text,
  pin_key text,
  pvv text,
  load_trace_key text UNIQUE REFERENCES requests,
  source_account_id text REFERENCES accounts,
  amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
  state text NOT NULL CHECK
    (state IN ('queued', 'delivered', 'reversed', 'done', 'failed', 'closed')),
  delivered_trace_key text REFERENCES requests,
  identifier text CHECK (identifier ~ '^[0-9A-F]{8}$'),
  delivered_atc integer,
  counter_before integer,
  balance_before_minor bigint,
  deliveries integer NOT NULL CHECK (deliveries >= 0),
  evidence text CHECK (evidence IN ('notice', 'balance', 'counter', 'cryptogram', 'operator')),
  created_at_ms bigint NOT NULL,
  changed_at_ms bigint NOT NULL,
  CHECK ((kind = 'load') = (load_trace_key IS NOT NULL)),
  CHECK ((kind = 'load') = (amount_minor > 0)),
  CHECK ((kind = 'load') = (source_account_id IS NOT NULL)),
  CHECK ((kind = 'changePin') = (pvv IS NOT NULL)),
  CHECK ((deliveries > 0) = (delivered_trace_key IS NOT NULL)),
  -- A load is debited in the step that delivers it, and ends by what the card shows.
  CHECK (kind <> 'load' OR state <> 'queued' AND deliveries > 0)
);
CREATE INDEX card_scripts_open ON card_scripts (card_id, created_at_ms)
  WHERE state IN ('queued', 'delivered', 'reversed');
CREATE INDEX card_scripts_delivered ON card_scripts (delivered_trace_key);

-- Final states are never left; a load's money goes back only while nobody knows that it arrived.
CREATE FUNCTION check_script_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> NEW.state AND (OLD.state || '>' || NEW.state) NOT IN (
    'queued>delivered', 'queued>closed', 'delivered>queued', 'delivered>done', 'delivered>failed',
    'delivered>reversed', 'reversed>done', 'reversed>closed', 'queued>done', 'queued>failed'
  ) OR NEW.deliveries < OLD.deliveries THEN
    RAISE EXCEPTION 'a script cannot go from % to %', OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER script_move BEFORE UPDATE ON card_scripts
  FOR EACH ROW EXECUTE FUNCTION check_script_move();
CREATE TRIGGER scripts_kept BEFORE DELETE OR TRUNCATE ON card_scripts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change();

CREATE FUNCTION change_script(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  script card_scripts := jsonb_populate_record(NULL::card_scripts, change -> 'script');
BEGIN
  IF change ->> 'from' IS NULL THEN
    INSERT INTO card_scripts SELECT script.*;
    RETURN;
  END IF;
  UPDATE card_scripts SET state = script.state, delivered_trace_key = script.delivered_trace_key,
      identifier = script.identifier, delivered_atc = script.delivered_atc,
      counter_before = script.counter_before, balance_before_minor = script.balance_before_minor,
      deliveries = script.deliveries, evidence = script.evidence,
      changed_at_ms = script.changed_at_ms
    WHERE script_id = script.script_id AND state = change ->> 'from'
      AND deliveries = (change ->> 'deliveries_before')::integer;
  IF NOT FOUND THEN
    PERFORM raise_stale('script');
  END IF;
END $$;

-- What a confirmed script has changed at the card.
CREATE FUNCTION set_card(settings jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE cards SET version = version + 1, pvv = coalesce(settings ->> 'pvv', pvv),
      electronic_cash_limit_minor = coalesce((settings ->> 'electronic_cash_limit_minor')::bigint,
        electronic_cash_limit_minor)
    WHERE card_id = settings ->> 'card_id';
END $$;
