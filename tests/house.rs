//! The house rules that a compiler does not know: no cycles between modules, and a story at the top of every file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

#[test]
fn our_modules_import_each_other_without_a_cycle() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in rust_files(Path::new(SOURCE)) {
        let module = module_of(&file);
        let used = imports.entry(module.clone()).or_default();
        used.extend(modules_used(&program_part(&file)).into_iter().filter(|other| *other != module));
    }
    assert!(imports.len() > 10, "the modules were found: {:?}", imports.keys());
    let mut done = BTreeSet::new();
    for module in imports.keys() {
        visit(module, &imports, &mut Vec::new(), &mut done);
    }
}

#[test]
fn the_vocabulary_imports_nothing_of_ours() {
    for file in rust_files(&Path::new(SOURCE).join("order")) {
        let used: Vec<_> = modules_used(&program_part(&file)).into_iter().filter(|name| name != "order").collect();
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

/// Walks the imports of `module`; fails on the way back to where it came from.
fn visit(
    module: &str,
    imports: &BTreeMap<String, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) {
    assert!(
        !path.contains(&module.to_owned()),
        "modules import each other in a circle: {} → {module}",
        path.join(" → ")
    );
    if done.contains(module) {
        return;
    }
    path.push(module.to_owned());
    for other in imports.get(module).into_iter().flatten() {
        visit(other, imports, path, done);
    }
    path.pop();
    done.insert(module.to_owned());
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
            if Path::new(SOURCE).join(&name).exists() && !name.is_empty()
                || Path::new(SOURCE).join(format!("{name}.rs")).exists()
            {
                used.insert(name);
            }
        }
    }
    used
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
