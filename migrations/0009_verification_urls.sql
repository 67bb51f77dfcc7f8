-- Whose a URL is at which the till confirms a call: the first order's that brought it (`subject` is its key), or the closing's of
-- a till (the event's id). Whoever has heard a call could send its URL along with a sale of their own otherwise, and the till
-- would say yes. Half a SHA-256 of the URL, however it is spelled. Never pruned, as all that recognises a repeat.
-- URLs that came before this are not in it: they went once they had served.
CREATE TABLE verification_url (
    digest  BLOB PRIMARY KEY,
    subject TEXT NOT NULL
) STRICT, WITHOUT ROWID;
