//! The parameters of a call to the workers API: names and texts, as PHP would see them.

use rust_decimal::Decimal;

use super::refusal::Refusal;

/// The parameters, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query or a form.
    pub fn read(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// A parameter that is there and not empty; of several with that name the last, as in PHP.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, text)| text.trim()).filter(|text| !text.is_empty())
    }

    /// Whether a parameter is there, be it empty.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is there and none.
    pub fn integer<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::new(format!("{name}: `{text}` is no whole number")));
        self.text(name).map(read).transpose()
    }

    /// An amount above zero, to the cent.
    ///
    /// # Errors
    /// When it is there and none.
    pub fn amount(&self, name: &str) -> Result<Option<Decimal>, Refusal> {
        let read = |text: &str| {
            let amount = text.parse::<Decimal>().ok().filter(|it| *it > Decimal::ZERO && it.normalize().scale() <= 2);
            amount.ok_or_else(|| Refusal::new(format!("{name}: `{text}` is no amount like `14.50`")))
        };
        self.text(name).map(read).transpose()
    }

    /// The texts of a list: `name[]`, `name[0]`, or `name` alone.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_in = move |known: &str| {
            known
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || (rest.starts_with('[') && rest.ends_with(']')))
        };
        self.0.iter().filter(move |(known, _)| is_in(known)).map(|(_, text)| text.as_str())
    }

    /// The fields of an array: `name[field]`. An empty one is left out.
    pub fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let field = move |known: &'a str| known.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']');
        let filled = |(_, text): &(&str, &str)| !text.is_empty();
        self.0.iter().filter_map(move |(known, text)| Some((field(known)?, text.trim()))).filter(filled)
    }
}
