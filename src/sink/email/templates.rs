//! The mail templates: built in, or an operator's own in their place, and the words they are filled with.
//!
//! One set of templates serves both languages; what is said in a language stands in `config/templates/mail/{fr,en}.toml`.
//!
//! **Invariant:** a template that asks for something it is not given is an error, never an empty space in a mail; in
//! HTML every value is escaped.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path, sync::LazyLock};

use minijinja::{Environment, UndefinedBehavior, Value};

use crate::{
    order::Locale,
    sink::{BuildError, Reason, SinkError},
};

/// The templates, by name. An operator's folder may hold files of these names.
const BUILT_IN: &[(&str, &str)] = &[
    ("mail/frame.html", include_str!("../../../config/templates/mail/frame.html")),
    ("mail/order.html", include_str!("../../../config/templates/mail/order.html")),
    ("mail/order.txt", include_str!("../../../config/templates/mail/order.txt")),
    ("mail/digest.html", include_str!("../../../config/templates/mail/digest.html")),
    ("mail/digest.txt", include_str!("../../../config/templates/mail/digest.txt")),
    ("mail/notice.html", include_str!("../../../config/templates/mail/notice.html")),
    ("mail/notice.txt", include_str!("../../../config/templates/mail/notice.txt")),
];

/// How much work a template may do: an endless loop in an operator's own ends here. Ours use about a thousand steps.
const FUEL: u64 = 500_000;

/// The words of a language, by key.
pub(super) type Words = BTreeMap<String, String>;

static FRENCH: LazyLock<Words> = LazyLock::new(|| read_words(include_str!("../../../config/templates/mail/fr.toml")));
static ENGLISH: LazyLock<Words> = LazyLock::new(|| read_words(include_str!("../../../config/templates/mail/en.toml")));

/// The words of a language.
pub(super) fn words(locale: Locale) -> &'static Words {
    match locale {
        Locale::Fr => &FRENCH,
        Locale::En => &ENGLISH,
    }
}

fn read_words(text: &str) -> Words {
    toml::from_str(text).expect("the words are part of the program, and a test reads them")
}

/// The templates of one sink.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// The built-in templates, or those of the same name in `folder`.
    ///
    /// # Errors
    /// When there is no such folder, one of its files has the name of none of ours, or is no template; the error names the
    /// file and the line.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, BuildError> {
        folder.map_or(Ok(()), no_stranger)?;
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        for (name, built_in) in BUILT_IN {
            let source = match folder {
                Some(folder) => own(&folder.join(name))?.unwrap_or_else(|| (*built_in).to_owned()),
                None => (*built_in).to_owned(),
            };
            environment.add_template_owned(*name, source).map_err(|error| {
                BuildError::new(
                    format!("the mail template {name} is not valid: {error}"),
                    "correct it, or remove the file",
                )
            })?;
        }
        Ok(Self { environment })
    }

    /// Fills in a template.
    ///
    /// # Errors
    /// When the template asks for what there is not, or goes on for ever. The detail holds no value, only names.
    pub(super) fn fill(&self, name: &str, with: &Value) -> Result<String, SinkError> {
        let filled = self.environment.get_template(name).and_then(|template| template.render(with));
        filled.map_err(|error| {
            let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
            SinkError::reject(Reason::Local, format!("the mail template {name} failed{line}: {}", error.kind()))
        })
    }
}

/// The text of a file, where there is one.
fn own(file: &Path) -> Result<Option<String>, BuildError> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(BuildError::new(
            format!("the mail template {} cannot be read ({})", file.display(), error.kind()),
            "let tillhook read it, as text in UTF-8",
        )),
    }
}

/// A template under a wrong name would be left lying, and its owner would wonder.
fn no_stranger(folder: &Path) -> Result<(), BuildError> {
    if !folder.is_dir() {
        let what = format!("`smtp.templates` is {}, and there is no such folder", folder.display());
        return Err(BuildError::new(what, "create it, or remove the key"));
    }
    let files = fs::read_dir(folder.join("mail")).into_iter().flatten().flatten();
    let names = files.map(|file| format!("mail/{}", file.file_name().to_string_lossy()));
    let is_template = |name: &String| name.ends_with(".html") || name.ends_with(".txt");
    match names.filter(is_template).find(|name| !BUILT_IN.iter().any(|(known, _)| known == name)) {
        None => Ok(()),
        Some(stranger) => {
            let known: Vec<&str> = BUILT_IN.iter().map(|(known, _)| *known).collect();
            let what = format!("there is no mail template called {stranger}");
            Err(BuildError::new(what, format!("name it like the one that it replaces: {}", known.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_words() {
        assert!(words(Locale::Fr).keys().eq(words(Locale::En).keys()));
    }

    #[test]
    fn an_operators_own_template_replaces_ours_and_a_broken_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mail")).unwrap();
        let file = folder.path().join("mail/notice.txt");
        fs::write(&file, "mine: {{ title }}").unwrap();
        let own = Templates::load(Some(folder.path())).unwrap();
        let with = minijinja::context! { title => "a < b" };
        assert_eq!(own.fill("mail/notice.txt", &with).unwrap(), "mine: a < b");
        fs::write(&file, "{% if %}").unwrap();
        assert!(Templates::load(Some(folder.path())).is_err_and(|error| error.what.contains("mail/notice.txt")));
        fs::write(&file, b"\xe9t\xe9").unwrap();
        assert!(Templates::load(Some(folder.path())).is_err_and(|error| error.what.contains("cannot be read")));
    }

    #[test]
    fn a_folder_that_is_not_there_and_a_template_under_a_wrong_name_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Templates::load(Some(&folder.path().join("absent"))).map(drop).unwrap_err();
        assert!(absent.what.contains("there is no such folder"), "{absent}");
        fs::create_dir(folder.path().join("mail")).unwrap();
        for left_by_an_editor in ["order.html~", ".order.html.swp"] {
            fs::write(folder.path().join("mail").join(left_by_an_editor), "x").unwrap();
        }
        assert!(Templates::load(Some(folder.path())).is_ok());
        fs::write(folder.path().join("mail/invoice.html"), "x").unwrap();
        let wrong = Templates::load(Some(folder.path())).map(drop).unwrap_err();
        assert!(wrong.what.ends_with("called mail/invoice.html") && wrong.fix.contains("mail/order.html"), "{wrong}");
    }

    #[test]
    fn a_template_that_misses_something_or_never_ends_fails_without_quoting_what_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("mail")).unwrap();
        fs::write(folder.path().join("mail/notice.txt"), "\n{{ titel }}").unwrap();
        fs::write(
            folder.path().join("mail/order.txt"),
            "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}",
        )
        .unwrap();
        let own = Templates::load(Some(folder.path())).unwrap();
        let with = minijinja::context! { title => "zoe@durand.example" };
        let missing = own.fill("mail/notice.txt", &with).unwrap_err();
        assert!(missing.detail().contains("mail/notice.txt failed, line 2") && !missing.detail().contains("zoe"));
        assert_eq!(own.fill("mail/order.txt", &with).unwrap_err().reason(), Reason::Local);
    }
}
