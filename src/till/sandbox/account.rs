//! Who may ask the sandbox: a shop's id and key, and the login that gives them.

use subtle::ConstantTimeEq as _;

use super::{params::Params, refusal::Refusal};

/// The account of the sandbox's shop. It guards invented data, so it is printed and has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `idboutique`, `shopID`.
    pub shop_id: String,
    /// `key`.
    pub key: String,
    /// What `getAuthToken.php` asks for.
    pub login: String,
    /// And the password to it.
    pub password: String,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            shop_id: "4242".to_owned(),
            key: "sandbox-key".to_owned(),
            login: "sandbox@example.com".to_owned(),
            password: "sandbox-password".to_owned(),
        }
    }
}

impl Account {
    /// Whether a call names this shop, by either name of its id, and has its key.
    ///
    /// # Errors
    /// When it does not.
    pub fn admit(&self, params: &Params) -> Result<(), Refusal> {
        let ids: Vec<&str> = ["idboutique", "shopID"].iter().filter_map(|name| params.text(name)).collect();
        let key = params.text("key").unwrap_or_default();
        match !ids.is_empty() && ids.iter().all(|id| *id == self.shop_id) && same(key, &self.key) {
            true => Ok(()),
            false => Err(Refusal::new("unknown shop or wrong key")),
        }
    }

    /// Whether somebody may sign in.
    pub fn knows(&self, login: &str, password: &str) -> bool {
        login == self.login && same(password, &self.password)
    }
}

fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}
