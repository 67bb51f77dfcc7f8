//! Tokens: which shop a call is from. The URL is all the till can be configured with, so the token in it is the secret.
//!
//! **Invariant:** tokens are held as SHA-256 digests only, and finding one takes the same time whichever matches, or none.

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::order::ShopId;

/// The tokens of all shops.
#[derive(Default)]
pub struct Credentials(Vec<([u8; 32], ShopId)>);

impl Credentials {
    /// From each shop's token and previous token; an empty one is none.
    pub fn new<'a>(shops: impl IntoIterator<Item = (ShopId, &'a str, &'a str)>) -> Self {
        let entries = shops.into_iter().flat_map(|(shop, token, previous)| [(shop.clone(), token), (shop, previous)]);
        Self(
            entries
                .filter(|(_, token)| !token.is_empty())
                .map(|(shop, token)| (digest(token.trim_matches(is_beside)), shop))
                .collect(),
        )
    }

    /// Whose token this is. What was copied with it (blanks, slashes, quotes, a byte order mark) is no part of it.
    pub fn find(&self, presented: &str) -> Option<&ShopId> {
        let presented = digest(presented.trim_matches(is_beside));
        let mut found = u32::MAX;
        for (index, (token, _)) in (0..).zip(&self.0) {
            found.conditional_assign(&index, token.ct_eq(&presented));
        }
        self.0.get(usize::try_from(found).ok()?).map(|(_, shop)| shop)
    }
}

/// What stands beside a token where somebody copied too much.
fn is_beside(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '/' | '\\' | '"' | '\'' | '`' | '«' | '»' | '‘'..='‟' | '\u{feff}' | '\u{200b}'..='\u{200f}')
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(id: &str) -> ShopId {
        id.parse().unwrap()
    }

    fn two_shops() -> Credentials {
        Credentials::new([(shop("dupont"), "new", "old"), (shop("martin"), "other", "")])
    }

    #[test]
    fn a_shop_is_known_by_its_token_and_by_its_previous_one() {
        let credentials = two_shops();
        assert_eq!(credentials.find("new"), Some(&shop("dupont")));
        assert_eq!(credentials.find("old"), Some(&shop("dupont")));
        assert_eq!(credentials.find("other"), Some(&shop("martin")));
    }

    #[test]
    fn what_was_copied_with_a_token_is_no_part_of_it() {
        for copied in ["new/", " new", "new\u{a0}\r\n", "\"new\"", "«\u{a0}new\u{a0}»", "\u{feff}new", "/new//"] {
            assert_eq!(two_shops().find(copied), Some(&shop("dupont")), "{copied:?}");
        }
        assert_eq!(Credentials::new([(shop("dupont"), "new/", "")]).find("new"), Some(&shop("dupont")));
    }

    #[test]
    fn nothing_else_is_a_token() {
        let long = "new".repeat(100_000);
        for wrong in ["", " / ", "ne", "neww", "NEW", "n ew", "new/x", "new\0", long.as_str()] {
            assert_eq!(two_shops().find(wrong), None, "{wrong:.10}");
        }
        assert_eq!(Credentials::default().find(""), None);
    }
}
