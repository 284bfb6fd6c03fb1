//! Release notes: from the labels of an image to what its makers say.

use std::collections::BTreeMap;

use hostler::host::ReleaseNotes;

use super::Client;
use crate::bed::{RegistryDouble, Reply, registry_double};

/// A double of GitHub that knows one repository.
fn github() -> RegistryDouble {
    registry_double(|asked| match asked.path.as_str() {
        "/repos/o/r/releases?per_page=30" => {
            assert_eq!(asked.header("accept"), "application/vnd.github+json");
            let release = |tag: &str, body: &str| {
                let link = format!("https://github.com/o/r/releases/tag/{tag}");
                serde_json::json!({"tag_name": tag, "html_url": link, "published_at": "2026-11-20T09:00:00Z", "body": body})
            };
            let releases = [
                release("v1.2.0", "- a new node\n- **BREAKING** the port moved\u{1b}]52;c;eA==\u{7}"),
                release("v1.1.0", "- a fix"),
                release("v1.0.0", "- old"),
            ];
            Reply::new(200, serde_json::Value::from(releases.to_vec()).to_string())
        }
        "/repos/o/limited/releases?per_page=30" => Reply::new(403, "{}").with("x-ratelimit-remaining: 0"),
        "/repos/o/hung/releases?per_page=30" => Reply::Silence,
        _ => Reply::new(404, "{}"),
    })
}

fn notes(github: &RegistryDouble, source: &str, from: &str, to: &str) -> ReleaseNotes {
    let address = format!("http://{}", github.host());
    let client = Client::with(|registries| registries.github(&address).patience(std::time::Duration::from_secs(1)));
    let labels = BTreeMap::from([("org.opencontainers.image.source".to_owned(), source.to_owned())]);
    client.runtime.block_on(client.open.release_notes(&labels, from, to))
}

#[test]
fn notes_of_the_versions_between_are_told_what_breaks_first() {
    let github = github();
    let told = notes(&github, "https://github.com/o/r.git", "1.0.0", "1.2.0");
    let lines = [
        "v1.2.0, 2026-11-20, breaks or migrates:",
        "  - BREAKING the port moved",
        "v1.2.0, 2026-11-20, notes:",
        "  - a new node",
        "v1.1.0, 2026-11-20, notes:",
        "  - a fix",
    ];
    assert_eq!(told.lines, lines);
    assert_eq!(told.link.as_deref(), Some("https://github.com/o/r/releases/tag/v1.2.0"));
    assert_eq!(told.why_none, None);
}

#[test]
fn where_there_are_none_the_link_is_left_and_the_reason() {
    let github = github();
    let releases = |name: &str| Some(format!("https://github.com/o/{name}/releases"));
    for (source, to, link, why) in [
        ("https://github.com/o/r", "9.9.9", releases("r"), "no release of o/r bears the version 9.9.9"),
        ("https://github.com/o/r", "latest", releases("r"), "no release of o/r bears the version latest"),
        ("https://github.com/o/gone", "1.2.0", releases("gone"), "GitHub has no o/gone, or it is not public"),
        (
            "https://github.com/o/limited",
            "1.2.0",
            releases("limited"),
            "GitHub limits how much is asked, for 60 min more",
        ),
        ("https://github.com/o/hung", "1.2.0", releases("hung"), "GitHub cannot be reached: no answer within 1 s"),
        ("https://gitlab.com/o/r", "1.2.0", Some("https://gitlab.com/o/r".to_owned()), "its source is not at GitHub"),
        ("", "1.2.0", None, "its labels name no source"),
    ] {
        let told = notes(&github, source, "1.0.0", to);
        assert_eq!((told.lines, told.link, told.why_none.as_deref()), (Vec::new(), link, Some(why)), "{source}");
    }
}
