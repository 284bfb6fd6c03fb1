//! Finds the files of the crate and parses them: the module tree below `src/lib.rs` and `src/main.rs`, as the compiler
//! walks it, and the tests beside it.

use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, File, Item};

/// One parsed file.
pub(super) struct Source {
    /// From the root of the repository, such as `src/ui/theme.rs`.
    pub(super) path: String,
    /// The module that the file is, from the crate's root: `["ui", "theme"]`; `["main"]` for the program.
    pub(super) module: Vec<String>,
    /// What it says.
    pub(super) text: String,
    /// What it means.
    pub(super) syntax: File,
    /// Only tests see it.
    pub(super) test: bool,
}

impl Source {
    /// Parses a text as if it lay at `path`.
    pub(super) fn parse(path: &str, module: &[&str], text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module = module.iter().map(|&name| name.to_owned()).collect();
        Self { path: path.to_owned(), module, text: text.to_owned(), syntax, test: false }
    }

    fn read(root: &Path, path: &str, module: &[String], test: bool) -> Self {
        let text = fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        Self { test, ..Self::parse(path, &module, &text) }
    }
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the library and the program.
pub(super) fn of_the_crate() -> Vec<Source> {
    let mut found = Vec::new();
    walk(Source::read(root(), "src/lib.rs", &[], false), &mut found);
    walk(Source::read(root(), "src/main.rs", &["main".to_owned()], false), &mut found);
    found
}

/// Every file below `tests`.
pub(super) fn of_the_tests() -> Vec<Source> {
    rust_files("tests").iter().map(|path| Source::read(root(), path, &[], true)).collect()
}

/// Every Rust file below `folder`, whether it belongs to something or not.
pub(super) fn rust_files(folder: &str) -> Vec<String> {
    let mut folders = vec![PathBuf::from(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if entry.file_name() != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Adds a file and the files that its modules lie in.
fn walk(source: Source, found: &mut Vec<Source>) {
    for item in &source.syntax.items {
        if let Item::Mod(module) = item
            && module.content.is_none()
            && !module.attrs.iter().any(|attribute| attribute.path().is_ident("path"))
        {
            let name = module.ident.to_string();
            let folder = match source.path.as_str() {
                "src/lib.rs" | "src/main.rs" => "src",
                path => path.trim_end_matches(".rs"),
            };
            let path = format!("{folder}/{name}.rs");
            let names: Vec<String> = source.module.iter().cloned().chain([name]).collect();
            let test = source.test || module.attrs.iter().any(is_for_tests);
            walk(Source::read(root(), &path, &names, test), found);
        }
    }
    found.push(source);
}

/// `#[cfg(test)]` or `#[test]`: what it stands on is no part of the program.
pub(super) fn is_for_tests(attribute: &Attribute) -> bool {
    let named = |word: &str| attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident(word));
    attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && named("test"))
}
