-- Whether a delivery waits for its order to be confirmed: it was not attempted yet, and `held` is 1 of its order. Written with
-- that, in the same transaction, so that whoever looks for what is due does not walk over what waits.
ALTER TABLE delivery ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
UPDATE delivery SET held = 1
WHERE payload IS NULL AND order_key IN (SELECT key FROM customer_order WHERE held = 1);
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (sink, held, due_at, seq) WHERE open = 1;

-- The orders that are held back are few, or a person is told of them.
CREATE INDEX order_held ON customer_order (shop, key) WHERE held = 1;

-- 1: a person answered for the call in the till's place, which did not confirm it.
ALTER TABLE verification ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;

-- Each till is asked by itself, first about what it was never asked about, then about what is due again.
DROP INDEX verification_due;
CREATE INDEX verification_fresh ON verification (shop, first_seen_at) WHERE status = 'pending' AND attempts = 0;
CREATE INDEX verification_again ON verification (shop, next_attempt_at) WHERE status = 'pending' AND attempts > 0;

-- Of what a person was told once nobody has to be told.
DROP INDEX verification_holding;
CREATE INDEX verification_untold ON verification (shop, first_seen_at) WHERE holds = 1 AND told_at IS NULL;
