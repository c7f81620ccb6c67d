-- The durable steps: each is one statement of the program. @see store.ts, admin.ts

-- SQLSTATE TP001: what the decision was made on has changed; nothing of it was written.
CREATE FUNCTION raise_stale(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'stale: %', what USING ERRCODE = 'TP001';
END $$;

CREATE FUNCTION insert_request(request jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO requests SELECT * FROM jsonb_populate_record(NULL::requests, request)
    ON CONFLICT (trace_key) DO NOTHING;
  RETURN FOUND;
END $$;

CREATE FUNCTION change_card(card jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  used_atc integer := (card ->> 'used_atc')::integer;
BEGIN
  UPDATE cards SET version = version + 1, pin_failures = (card ->> 'pin_failures')::integer,
      atc_highest = greatest(atc_highest, coalesce(used_atc, 0))
    WHERE card_id = card ->> 'card_id' AND version = (card ->> 'version')::bigint;
  IF NOT FOUND THEN
    PERFORM raise_stale('card');
  END IF;
  IF used_atc IS NOT NULL THEN
    INSERT INTO card_atcs VALUES (card ->> 'card_id', used_atc, card ->> 'atc_use')
      ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      PERFORM raise_stale('counter');
    END IF;
  END IF;
END $$;

-- Counts a payment, or takes one out that is undone.
CREATE FUNCTION use_day(used card_days) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF used.count > 0 THEN
    INSERT INTO card_days AS known SELECT used.*
      ON CONFLICT (card_id, day) DO UPDATE SET amount_minor = known.amount_minor + used.amount_minor,
        count = known.count + used.count, no_pin_minor = known.no_pin_minor + used.no_pin_minor;
  ELSE
    UPDATE card_days AS known SET amount_minor = known.amount_minor + used.amount_minor,
        count = known.count + used.count, no_pin_minor = known.no_pin_minor + used.no_pin_minor
      WHERE known.card_id = used.card_id AND known.day = used.day;
  END IF;
END $$;

CREATE FUNCTION mark_requests(marks jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  mark jsonb;
BEGIN
  FOR mark IN SELECT * FROM jsonb_array_elements(marks) LOOP
    UPDATE requests SET state = mark ->> 'to', returned_minor = (mark ->> 'returned_minor')::bigint
      WHERE trace_key = mark ->> 'trace_key' AND state = mark ->> 'from'
        AND returned_minor = (mark ->> 'returned_before_minor')::bigint;
    IF NOT FOUND THEN
      PERFORM raise_stale('original');
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION change_hold(change jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  hold holds := jsonb_populate_record(NULL::holds, change -> 'hold');
BEGIN
  IF change ->> 'from' IS NULL THEN
    INSERT INTO holds SELECT hold.*;
    RETURN;
  END IF;
  UPDATE holds SET held_minor = hold.held_minor, posted_minor = hold.posted_minor,
      state = hold.state
    WHERE hold_id = hold.hold_id AND state = change ->> 'from';
  IF NOT FOUND THEN
    PERFORM raise_stale('hold');
  END IF;
END $$;

CREATE FUNCTION insert_transaction(ledger jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO ledger_transactions
    SELECT * FROM jsonb_populate_record(NULL::ledger_transactions, ledger);
  INSERT INTO ledger_entries
    SELECT * FROM jsonb_populate_recordset(NULL::ledger_entries, ledger -> 'postings');
END $$;

-- Everything that one request does, in one statement; parts that are not needed are absent.
CREATE FUNCTION commit_change(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hold_before boolean := (change #>> '{hold,hold,held_minor}')::bigint = 0;
BEGIN
  IF NOT insert_request(change -> 'record') THEN
    RETURN 'duplicate';
  END IF;
  IF change ? 'refused_ahead' AND NOT insert_request(change -> 'refused_ahead') THEN
    PERFORM raise_stale('the original has arrived');
  END IF;
  IF change ? 'card' THEN
    PERFORM change_card(change -> 'card');
  END IF;
  IF change ? 'usage' THEN
    PERFORM use_day(jsonb_populate_record(NULL::card_days, change -> 'usage'));
  END IF;
  IF change ? 'marks' THEN
    PERFORM mark_requests(change -> 'marks');
  END IF;
  -- A hold gives money free before the entries take it, and takes it after they brought it.
  IF change ? 'hold' AND hold_before THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
  IF change ? 'transaction' THEN
    PERFORM insert_transaction(change -> 'transaction');
  END IF;
  IF change ? 'hold' AND NOT hold_before THEN
    PERFORM change_hold(change -> 'hold');
  END IF;
  IF change ? 'work_items' THEN
    INSERT INTO work_items
      SELECT * FROM jsonb_populate_recordset(NULL::work_items, change -> 'work_items');
  END IF;
  IF change ? 'scripts' THEN
    PERFORM change_script(one) FROM jsonb_array_elements(change -> 'scripts') AS one;
  END IF;
  IF change ? 'settings' THEN
    PERFORM set_card(change -> 'settings');
  END IF;
  RETURN 'committed';
END $$;

-- Takes a card with its accounts and opening balances unless it is known.
CREATE FUNCTION import_card(card jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM cards WHERE pan_lookup = card ->> 'pan_lookup'
    AND pan_sequence_number = card ->> 'pan_sequence_number';
  IF FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO accounts (account_id, currency, kind, balance_minor, credit_line_minor)
    SELECT account_id, card ->> 'currency', kind, balance_minor, credit_line_minor
    FROM jsonb_populate_recordset(NULL::accounts, card -> 'accounts')
    ON CONFLICT (account_id) DO NOTHING;
  INSERT INTO cards
    SELECT * FROM jsonb_populate_record(NULL::cards, card || '{"atc_highest": 0, "version": 0}');
  IF card ? 'opening' THEN
    PERFORM insert_transaction(card -> 'opening');
  END IF;
  RETURN true;
END $$;

-- One act of an operator and its line in the audit; false when there is no such thing.
CREATE FUNCTION admin_change(change jsonb, act jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  action text := change ->> 'action';
  subject text := act ->> 'subject';
  at_ms bigint := (act ->> 'at_ms')::bigint;
  before text;
  after text := '';
  old cards;
  new cards;
BEGIN
  IF action = 'hotListed' THEN
    SELECT hot_list.reason INTO before FROM hot_list WHERE pan_lookup = subject FOR UPDATE;
    before := coalesce(before, '');
    after := change ->> 'reason';
    INSERT INTO hot_list VALUES (subject, change ->> 'pan_masked', after, at_ms)
      ON CONFLICT (pan_lookup) DO UPDATE SET reason = excluded.reason;
  ELSIF action = 'hotDelisted' THEN
    DELETE FROM hot_list WHERE pan_lookup = subject RETURNING hot_list.reason INTO before;
  ELSIF action = 'workItemClosed' THEN
    UPDATE work_items SET closed_at_ms = at_ms WHERE item_id = subject AND closed_at_ms IS NULL
      RETURNING 'open' INTO before;
    after := 'closed';
  ELSIF action = 'scriptQueued' THEN
    SELECT '' INTO before FROM cards WHERE card_id = subject;
    IF FOUND THEN
      PERFORM change_script(change);
      after := concat_ws(' ', change #>> '{script,script_id}', change #>> '{script,kind}',
        change #>> '{script,target}');
    END IF;
  ELSIF action = 'scriptClosed' THEN
    UPDATE card_scripts SET state = 'closed', changed_at_ms = at_ms, evidence = 'operator'
      WHERE script_id = subject AND state = 'queued' RETURNING 'queued' INTO before;
    after := 'closed';
  ELSIF action = 'loadResolved' THEN
    SELECT state INTO before FROM card_scripts WHERE script_id = subject AND kind = 'load'
      AND state IN ('delivered', 'reversed') FOR UPDATE;
    after := CASE WHEN change ->> 'verdict' = 'has' THEN 'done'
      WHEN before = 'reversed' THEN 'closed' ELSE 'delivered' END;
    UPDATE card_scripts SET state = after, evidence = 'operator', changed_at_ms = at_ms
      WHERE script_id = subject AND before IS NOT NULL;
    after := after || ' ' || (change ->> 'verdict');
  ELSIF action = 'loadPayerBound' THEN
    INSERT INTO card_load_payers VALUES (subject, change ->> 'payer_card_id')
      ON CONFLICT DO NOTHING RETURNING '' INTO before;
    after := change ->> 'payer_card_id';
  ELSE
    SELECT * INTO old FROM cards WHERE card_id = subject FOR UPDATE;
    IF FOUND THEN
      -- What is absent stays as it is; a decision that is under way is made anew.
      new := jsonb_populate_record(old, change -> 'set');
      new.version := old.version + 1;
      UPDATE cards SET (state, pin_failures, single_amount_minor, day_amount_minor, day_count,
          no_pin_minor, no_pin_day_minor, version) = (new.state, new.pin_failures,
          new.single_amount_minor, new.day_amount_minor, new.day_count, new.no_pin_minor,
          new.no_pin_day_minor, new.version)
        WHERE card_id = subject;
      SELECT string_agg(coalesce(to_jsonb(old) ->> key, '-'), ' '),
          string_agg(coalesce(to_jsonb(new) ->> key, '-'), ' ')
        INTO before, after FROM jsonb_object_keys(change -> 'set') AS key;
    END IF;
  END IF;
  IF before IS NULL THEN
    RETURN false;
  END IF;
  INSERT INTO admin_audit VALUES (act ->> 'audit_id', at_ms, act ->> 'actor', act ->> 'note',
    action, subject, before, after);
  RETURN true;
END $$;
