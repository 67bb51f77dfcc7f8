-- A number may come again in another sequence (a new year, another till), so what is missing is known by its number and by
-- the order whose arrival showed it. Sequences are reckoned anew from the orders that came last, so they are not kept.
CREATE TABLE missing_by_sequence (
    shop    TEXT NOT NULL,
    number  TEXT NOT NULL,
    -- The place (customer_order.seq) of the order whose arrival showed it; 0 where it was noticed before this was kept.
    opened  INTEGER NOT NULL,
    -- What betrayed it: 'numbers'.
    source  TEXT NOT NULL,
    -- Of a step ahead that may be another sequence: the last number that is missing then, and how many there are.
    last    TEXT,
    count   INTEGER NOT NULL DEFAULT 1,
    -- Whose sequence it is, where each till has its own.
    till    TEXT,
    since   INTEGER NOT NULL,
    told_at INTEGER,
    PRIMARY KEY (shop, number, opened)
) STRICT, WITHOUT ROWID;
INSERT INTO missing_by_sequence (shop, number, opened, source, since, told_at)
    SELECT shop, number, 0, source, since, told_at FROM missing_order;
DROP TABLE missing_order;
ALTER TABLE missing_by_sequence RENAME TO missing_order;

-- What was there at the first look is not judged: the place of the newest order then.
ALTER TABLE number_watch ADD COLUMN judged_from INTEGER NOT NULL DEFAULT 0;
UPDATE number_watch SET judged_from = (SELECT coalesce(max(seq), 0) FROM customer_order);
ALTER TABLE number_watch DROP COLUMN sequences;

-- Orders that are here and that the till's own list does not have: it cancelled them, or never made them.
CREATE TABLE unlisted_order (
    shop      TEXT NOT NULL,
    order_key TEXT NOT NULL,
    -- 1: the list has it, and says that it is cancelled.
    cancelled INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    PRIMARY KEY (shop, order_key)
) STRICT, WITHOUT ROWID;

-- When the till was last to be asked anew about a call: it is given up a day after that. Since when an order waits is
-- `first_seen_at`, whoever asks again.
ALTER TABLE verification ADD COLUMN asked_anew_at INTEGER;
