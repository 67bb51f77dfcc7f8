//! The house rules that a compiler does not know: modules import upwards only, so that there are no cycles, and every file
//! opens with its story.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

#[test]
fn a_module_imports_only_what_stands_above_it_in_the_table_of_contents() {
    let contents = fs::read_to_string(Path::new(SOURCE).join("lib.rs")).expect("the table of contents");
    let contents: Vec<&str> =
        contents.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(contents.len() > 10, "the modules were found: {contents:?}");
    for file in rust_files(Path::new(SOURCE)) {
        let module = module_of(&file);
        let Some(place) = contents.iter().position(|name| *name == module) else { continue };
        for other in modules_used(&program_part(&file)).into_iter().filter(|other| *other != module) {
            let above = contents[..place].contains(&other.as_str());
            assert!(above, "{} imports `{other}`, which stands below `{module}` in src/lib.rs", file.display());
        }
    }
}

#[test]
fn the_vocabulary_imports_nothing_of_ours_but_the_reader_of_what_others_wrote() {
    for file in rust_files(&Path::new(SOURCE).join("order")) {
        let mut used = modules_used(&program_part(&file));
        used.retain(|name| name != "order" && name != "json");
        assert!(used.is_empty(), "{} imports {used:?}", file.display());
    }
}

#[test]
fn every_file_opens_with_its_story() {
    for file in rust_files(Path::new(SOURCE)) {
        let text = fs::read_to_string(&file).expect("a source file");
        assert!(text.starts_with("//! "), "{} does not say what it is", file.display());
    }
}

#[test]
fn only_the_store_knows_sql() {
    for file in rust_files(Path::new(SOURCE)) {
        let inside = file.starts_with(Path::new(SOURCE).join("store"));
        assert!(inside || !program_part(&file).contains("sqlx"), "{} knows the database", file.display());
    }
}

/// A `Value` that the library reads by itself follows keys that mean something to it (see `src/json/`).
#[test]
fn only_one_module_makes_values_out_of_text() {
    for file in rust_files(Path::new(SOURCE)).into_iter().filter(|file| module_of(file) != "json") {
        let text = program_part(&file);
        for reader in ["from_str", "from_slice", "from_reader"] {
            for (at, _) in text.match_indices(&format!("serde_json::{reader}")) {
                let statement = &text[text[..at].rfind([';', '{', '}']).map_or(0, |end| end + 1)..];
                let statement = statement.split(';').next().unwrap_or_default();
                let names_it = statement.replace("serde_json::Value", "Value").contains("Value");
                assert!(!names_it, "{} reads a value: {statement}", file.display());
            }
        }
        let fields = text.lines().zip(text.lines().skip(1)).filter(|(_, field)| field.contains("pub extra: Map<"));
        let stored = text.contains("Deserialize)]");
        for (attribute, _) in fields.filter(|_| stored) {
            assert!(attribute.contains("json::map"), "{}: a field is read by the library", file.display());
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `src/sink/http.rs` → `sink`.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix(SOURCE).expect("a file of ours");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The file without its tests, which may import what they like.
fn program_part(file: &Path) -> String {
    let is_test = file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
    if is_test {
        return String::new();
    }
    let text = fs::read_to_string(file).expect("a source file");
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

/// The names behind `crate::`, also inside braces: `use crate::{clock::Clock, order::Order}`.
fn modules_used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let grouped = rest.strip_prefix('{');
        for piece in grouped.map_or_else(|| vec![rest.to_owned()], top_level_pieces) {
            let name: String = piece.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if is_module(&name) {
                used.insert(name);
            }
        }
    }
    used
}

fn is_module(name: &str) -> bool {
    let folder = Path::new(SOURCE).join(name);
    !name.is_empty() && (folder.is_dir() || folder.with_extension("rs").is_file())
}

/// What stands between the commas of a group, up to its closing brace, nested groups left whole.
fn top_level_pieces(group: &str) -> Vec<String> {
    let (mut pieces, mut piece, mut depth) = (Vec::new(), String::new(), 0);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => pieces.push(std::mem::take(&mut piece)),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                piece.push(c);
            }
        }
    }
    pieces.push(piece);
    pieces
}
