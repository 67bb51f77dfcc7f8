-- Orders that are unpaid here and that the till's list calls paid, and since when it was seen to: the list does not say
-- since when they are, and the call may be on its way.
CREATE TABLE listed_payment (
    shop        TEXT NOT NULL,
    internal_id TEXT NOT NULL,
    since       INTEGER NOT NULL,
    PRIMARY KEY (shop, internal_id)
) STRICT, WITHOUT ROWID;
