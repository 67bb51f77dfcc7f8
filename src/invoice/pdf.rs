//! What counts as an invoice: a PDF by its first and its last bytes, of a bearable size.
//!
//! A till that is logged out, or moved, answers the link with an HTML page and status 200. Such a page must never be
//! archived as if it were the invoice.

/// The largest invoice that is fetched or imported, in bytes.
pub const MAX_BYTES: usize = 20 * 1024 * 1024;

/// How far into the file the mark of a PDF may stand; readers accept that much before it.
const HEAD: usize = 1024;

/// How far before its last byte a PDF may say that it ends.
const TAIL: usize = 2048;

/// The mark at its end.
const END: &[u8] = b"%%EOF";

/// The mark.
const MARK: &[u8] = b"%PDF-";

/// Whether these bytes begin like a PDF: `%PDF-` within the first 1,024 bytes.
pub fn is_pdf(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(HEAD)].windows(MARK.len()).any(|window| window == MARK)
}

/// Whether these bytes end like a PDF: `%%EOF` within the last 2,048 bytes. One without is the beginning of one.
pub fn has_end(bytes: &[u8]) -> bool {
    bytes[bytes.len().saturating_sub(TAIL)..].windows(END.len()).any(|window| window == END)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(junk: usize) -> Vec<u8> {
        [vec![b' '; junk], b"%PDF-1.7\n".to_vec()].concat()
    }

    #[test]
    fn the_mark_of_a_pdf_may_follow_a_little_junk_but_not_much() {
        assert!(is_pdf(&after(0)) && is_pdf(&after(HEAD - MARK.len())));
        assert!(!is_pdf(&after(HEAD - MARK.len() + 1)));
    }

    #[test]
    fn the_end_of_a_pdf_may_be_followed_by_a_little_but_not_much() {
        let before = |junk: usize| [&after(5_000)[..], b"%%EOF", &vec![b'\n'; junk]].concat();
        assert!(has_end(&before(0)) && has_end(&before(TAIL - END.len())));
        assert!(!has_end(&before(TAIL - END.len() + 1)) && !has_end(&after(5_000)) && !has_end(b""));
    }

    #[test]
    fn a_page_an_empty_answer_and_half_a_mark_are_no_pdf() {
        for page in [&b"<!doctype html><title>Connexion</title>"[..], b"", b"%PDF", b"%pdf-1.4"] {
            assert!(!is_pdf(page));
        }
    }
}
