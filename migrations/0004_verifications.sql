-- Whether the till confirms that it made a call: asked of the URL that came with it, for each call that said something new.
-- There is a row only where the shop asks for it (`verify`). The URL goes once it has served.
CREATE TABLE verification (
    -- The event that the call made.
    event_id        TEXT PRIMARY KEY,
    -- None: the call is about a till, not about an order.
    order_key       TEXT,
    shop            TEXT NOT NULL,
    url             TEXT,
    -- 'absent': no URL came. 'unreachable': it was given up.
    status          TEXT NOT NULL
                    CHECK (status IN ('absent', 'pending', 'verified', 'refused', 'unknown', 'unreachable')),
    -- 1 as long as the order's messages wait for it.
    holds           INTEGER NOT NULL,
    first_seen_at   INTEGER NOT NULL,
    next_attempt_at INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    last_error      TEXT,
    -- When a person was told that it holds an order back.
    told_at         INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX verification_due ON verification (next_attempt_at) WHERE status = 'pending';
CREATE INDEX verification_by_order ON verification (order_key) WHERE order_key IS NOT NULL;
CREATE INDEX verification_holding ON verification (shop, first_seen_at) WHERE holds = 1;
CREATE INDEX verification_told ON verification (shop, told_at) WHERE told_at IS NOT NULL;

-- What the calls about an order come to, so that nobody who reads an order has to look at each: the least of their words,
-- and whether its messages wait. Written with `verification`, in the same transaction.
ALTER TABLE customer_order ADD COLUMN verification TEXT;
ALTER TABLE customer_order ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
