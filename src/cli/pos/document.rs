//! Whether a document of the till's may be what it was asked for. It is handed on untouched, but a till that wants somebody
//! to sign in, or that failed, may answer a question for a web page with another web page and say that all is well.
//!
//! Nobody documents what the till's pages look like, so little can be told: words without markup are no page, and a page
//! that asks for a password and shows no table is no report. Where only one of these two signs is there, a person is told
//! and decides.
//!
//! **Invariant:** nothing of the document is quoted: a page may repeat the key that it was asked with.

use std::io::Write;

use super::shop::GET_A_KEY;
use crate::cli::{Exit, Stop};

/// How a page asks for a password.
const PASSWORD: &[&str] = &["type=\"password\"", "type='password'", "type=password"];

/// Looks at what should be a web page with a table in it, and says what is strange about it.
///
/// # Errors
/// When it is none.
pub fn check_page(bytes: &[u8], notes: &mut dyn Write) -> anyhow::Result<()> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let has_table = text.contains("<table");
    let asks_for_password = PASSWORD.iter().any(|field| text.contains(field));
    match (has_table, asks_for_password) {
        _ if !has_markup(&text) => Err(other("the till answered with words in place of a web page")),
        (false, true) => Err(other("the till answered with a page to sign in at in place of what it was asked for")),
        (false, false) => {
            writeln!(notes, "note: there is no table in this page, so it may be an error and not what was asked for")?;
            Ok(())
        }
        (true, true) => {
            writeln!(notes, "note: this page asks for a password, so it may not be what was asked for")?;
            Ok(())
        }
        (true, false) => Ok(()),
    }
}

fn has_markup(text: &str) -> bool {
    text.split('<').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

fn other(what: &str) -> anyhow::Error {
    Stop::with_fix(Exit::Failed, format!("{what}; nothing was written"), format!("look at `host`; {GET_A_KEY}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is noted about a page, or why it is none.
    fn page(text: &str) -> Result<String, String> {
        let mut notes = Vec::new();
        check_page(text.as_bytes(), &mut notes).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(notes).expect("text"))
    }

    #[test]
    fn a_table_is_what_was_asked_for() {
        assert_eq!(page("<h1>Ventes</h1><TABLE class=x><tr><td>1</td></tr></TABLE>"), Ok(String::new()));
    }

    #[test]
    fn words_and_a_page_to_sign_in_at_are_refused_and_neither_is_quoted() {
        let words = page("Clé invalide : k3y < 5").expect_err("no page");
        assert!(words.starts_with("the till answered with words") && !words.contains("k3y"), "{words}");
        for field in ["<input type=\"password\">", "<input TYPE='password'>", "<input type=password name=k3y>"] {
            let sign_in = page(&format!("<!doctype html><form>{field}</form>")).expect_err("no report");
            assert!(sign_in.contains("a page to sign in at") && sign_in.contains("  fix: "), "{sign_in}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        assert!(page("<b>Fatal error</b>: out of memory").expect("a page").starts_with("note: there is no table"));
        let both = page("<table><tr><td><input type=\"password\"></td></tr></table>");
        assert!(both.expect("a page").starts_with("note: this page asks for a password"));
    }
}
