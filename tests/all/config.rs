//! The config as an operator meets it: fixtures that must be taken, and faults that must be told with their place.

use std::path::{Path, PathBuf};

use hostler::config::{Config, GlyphChoice, TEMPLATE};
use hostler::ui::theme::Depth;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/fixtures/config").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn every_valid_fixture_is_taken() {
    for file in fixtures("valid") {
        let config = Config::read(&file).unwrap_or_else(|error| panic!("{error}"));
        config.theme(Depth::True).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.path.as_deref(), Some(&*file));
        // What is printed can be read again, and says the same.
        let again = Config::parse(&file, &config.to_toml()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(again.to_toml(), config.to_toml(), "{}", file.display());
    }
}

/// Each invalid fixture begins with comments that say what must be told: `# line:column: text`, where the text is a part of
/// the message. All of them must be told, in this order, and nothing else.
#[test]
fn every_invalid_fixture_is_told_with_its_place() {
    for file in fixtures("invalid") {
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("# ")).collect();
        let Err(error) = Config::read(&file).and_then(|config| config.theme(Depth::True)) else {
            panic!("{} was taken", file.display());
        };
        assert_eq!(error.faults.len(), expected.len(), "{}:\n{error}", file.display());
        for (fault, expected) in error.faults.iter().zip(expected) {
            let place = fault
                .place
                .as_ref()
                .map_or_else(|| "0:0".to_owned(), |place| format!("{}:{}", place.line, place.column));
            let told = format!("{place}: {}", fault.what);
            let (at, part) = expected.split_once(": ").unwrap();
            assert!(
                told.starts_with(&format!("{at}: ")) && told.contains(part),
                "{}: {told:?} instead of {expected:?}",
                file.display()
            );
        }
        assert!(error.to_string().starts_with(&format!("{}:", file.display())), "{error}");
    }
}

#[test]
fn an_empty_file_means_the_defaults() {
    let defaults = Config::defaults().unwrap();
    for text in ["", "\n\n", "# nothing\n", "[ui]\n[sources]\n[thresholds]\n[keys]\n", TEMPLATE] {
        let mut config = Config::parse(Path::new("c.toml"), text).unwrap();
        config.path = None;
        assert_eq!(config, defaults, "{text:?}");
    }
}

#[test]
fn a_file_that_is_no_text_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, b"[ui]\ntheme = \"\xff\"\n").unwrap();
    let error = Config::read(&file).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}:2:10: this is not UTF-8", file.display())), "{error}");
}

#[test]
fn a_theme_of_ones_own_lies_beside_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.toml");
    std::fs::write(&file, "[ui]\ntheme = \"mine.toml\"\nglyphs = \"ascii\"\n").unwrap();
    let config = Config::read(&file).unwrap();
    assert_eq!(config.glyphs, GlyphChoice::Ascii);
    let error = config.theme(Depth::True).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:2:9: the theme ", file.display())), "{error}");

    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("themes/mono.toml");
    std::fs::copy(builtin, folder.path().join("mine.toml")).unwrap();
    assert_eq!(config.theme(Depth::True).unwrap().name, "mine");

    std::fs::write(folder.path().join("mine.toml"), "[roles]\nblink = \"red\"\n").unwrap();
    let error = config.theme(Depth::True).unwrap_err().to_string();
    assert!(error.contains("mine.toml") && error.contains("line 2"), "{error}");
    // The screen can do without it, and says what is wrong.
    let (theme, warning) = config.theme_or_usual(Depth::True).unwrap();
    assert_eq!(theme.name, "dark");
    assert_eq!(warning.unwrap().to_string(), error);
}
