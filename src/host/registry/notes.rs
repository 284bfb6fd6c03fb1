//! Release notes of an image: its labels lead to its source at GitHub, whose releases between two versions are read.
//!
//! What breaks or must be migrated comes first. Many images carry the labels of the image that they are built upon, so
//! releases count only where one of them bears the version in question; else there is the link alone.

mod text;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use reqwest::{Method, Url};
use serde::Deserialize;

use super::OpenRegistries;
use super::wire::limited;
use crate::domain::TagVersion;
use crate::host::foreign;

/// The most lines that are given.
const LINES: usize = 60;
/// Releases that are asked for at once: the newest.
const RELEASES: usize = 30;
/// The longest link, bytes.
const LINK_BYTES: usize = 300;

/// What changed between two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseNotes {
    /// The notes, what breaks or must be migrated first; at most sixty lines, harmless and bounded.
    pub lines: Vec<String>,
    /// Where they can be read in full.
    pub link: Option<String>,
    /// Why there are no lines; `None` where there are.
    pub why_none: Option<String>,
}

impl ReleaseNotes {
    /// Nothing but where notes can be read by the labels of an image, and why they were not.
    pub fn unread(labels: &BTreeMap<String, String>, why: &str) -> Self {
        Self::none(link(labels), why)
    }

    fn none(link: Option<String>, why: impl Into<String>) -> Self {
        Self { lines: Vec::new(), link, why_none: Some(why.into()) }
    }
}

/// A release as GitHub describes it.
#[derive(Debug, Clone, Deserialize)]
struct Release {
    tag_name: String,
    #[serde(default)]
    html_url: String,
    #[serde(default)]
    published_at: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
}

impl OpenRegistries {
    /// What the makers say of the versions behind `from` up to `to` (tags of the image). `labels` are those of the image,
    /// with or without `org.opencontainers.image.` before them.
    pub async fn release_notes(&self, labels: &BTreeMap<String, String>, from: &str, to: &str) -> ReleaseNotes {
        let Some(repository) = label(labels, "source").and_then(github) else {
            let why = if link(labels).is_some() { "its source is not at GitHub" } else { "its labels name no source" };
            return ReleaseNotes::unread(labels, why);
        };
        let all = all_of(&repository);
        let releases = match self.releases(&repository).await {
            Ok(releases) => releases,
            Err(why) => return ReleaseNotes::none(Some(all), why),
        };
        let between = between(&releases, from, to);
        let Some(newest) = between.first() else {
            let why = format!("no release of {repository} bears the version {}", foreign::name(to));
            return ReleaseNotes::none(Some(all), why);
        };
        let link = web_link(&newest.html_url).filter(|link| link.starts_with("https://github.com/")).unwrap_or(all);
        let lines = lines(&between);
        let why_none = lines.is_empty().then(|| "its releases say nothing".to_owned());
        ReleaseNotes { lines, link: Some(link), why_none }
    }

    /// The newest releases.
    async fn releases(&self, repository: &str) -> Result<Vec<Release>, String> {
        let address = format!("{}/repos/{repository}/releases?per_page={RELEASES}", self.0.github);
        let url = Url::parse(&address).map_err(|_| "its address cannot be written".to_owned())?;
        let request = self.0.wire.request(Method::GET, url).header("accept", "application/vnd.github+json");
        let said = self.0.wire.send(request, "GitHub").await.map_err(|fault| fault.what)?;
        let spent = said.header("x-ratelimit-remaining") == Some("0");
        match said.status {
            200..=299 => serde_json::from_slice(&said.body).map_err(|_| "GitHub's answer is not understood".to_owned()),
            429 => Err(limited("GitHub", &said, self.0.clock.now().wall).what),
            403 if spent => Err(limited("GitHub", &said, self.0.clock.now().wall).what),
            404 => Err(format!("GitHub has no {repository}, or it is not public")),
            status => Err(format!("GitHub refuses (status {status})")),
        }
    }
}

/// Where an image's labels lead: to its releases at GitHub, else to where its makers are.
fn link(labels: &BTreeMap<String, String>) -> Option<String> {
    let releases = label(labels, "source").and_then(github).map(|repository| all_of(&repository));
    let elsewhere = || ["source", "url", "documentation"].into_iter().find_map(|name| web_link(label(labels, name)?));
    releases.or_else(elsewhere)
}

fn all_of(repository: &str) -> String {
    format!("https://github.com/{repository}/releases")
}

/// A label of the image by the end of its name.
fn label<'a>(labels: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let value = labels.get(name).or_else(|| labels.get(&format!("org.opencontainers.image.{name}")));
    value.map(String::as_str).filter(|value| !value.is_empty())
}

/// Owner and repository, if the source lies at GitHub: `https://github.com/n8n-io/n8n.git` and the like.
fn github(source: &str) -> Option<String> {
    let rest = ["https://", "http://", "git://", "ssh://git@", "git@"]
        .into_iter()
        .find_map(|scheme| source.strip_prefix(scheme))
        .unwrap_or(source);
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    let path = rest.strip_prefix("github.com/").or_else(|| rest.strip_prefix("github.com:"))?;
    let mut parts = path.split(['/', '?', '#']);
    let (owner, repository) = (parts.next()?, parts.next()?);
    let repository = repository.strip_suffix(".git").unwrap_or(repository);
    let plain = |part: &str| {
        let signs = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && part.len() <= 100 && part.bytes().all(signs) && !part.bytes().all(|byte| byte == b'.')
    };
    (plain(owner) && plain(repository)).then(|| format!("{owner}/{repository}"))
}

/// An address that may be shown and opened: of the web, harmless, without a password.
fn web_link(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let open = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    let link = url.to_string();
    (open && link.len() <= LINK_BYTES && foreign::clean(&link, LINK_BYTES) == link).then_some(link)
}

/// The releases behind `from` up to `to`, the newest first; none where none bears the version `to`.
fn between<'a>(releases: &'a [Release], from: &str, to: &str) -> Vec<&'a Release> {
    let (Some(from), Some(to)) = (TagVersion::parse(from), TagVersion::parse(to)) else { return Vec::new() };
    let version = |release: &'a Release| {
        // Such as `n8n@1.119.0`.
        let name = release.tag_name.rsplit(['@', '/']).next()?;
        TagVersion::parse(name).filter(|it| !it.is_before_release() || to.is_before_release())
    };
    let mut found: Vec<(TagVersion<'a>, &Release)> = releases
        .iter()
        .filter(|release| !release.draft && (!release.prerelease || to.is_before_release()))
        .filter_map(|release| Some((version(release)?, release)))
        .filter(|(it, _)| compare(it, &from) == Ordering::Greater && compare(it, &to) != Ordering::Greater)
        .collect();
    found.sort_by(|(a, _), (b, _)| compare(b, a));
    if found.first().is_none_or(|(newest, _)| compare(newest, &to) != Ordering::Equal) {
        return Vec::new();
    }
    found.into_iter().map(|(_, release)| release).collect()
}

/// Compares by numbers alone: releases and tags of images write the rest in their own ways.
fn compare(a: &TagVersion<'_>, b: &TagVersion<'_>) -> Ordering {
    let (a, b) = (a.numbers(), b.numbers());
    let at = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or_default();
    let first = (0..a.len().max(b.len())).map(|index| at(a, index).cmp(&at(b, index)));
    first.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// The notes of releases: what breaks of all of them, then everything, newest first.
fn lines(releases: &[&Release]) -> Vec<String> {
    let mut grave = Vec::new();
    let mut rest = Vec::new();
    for release in releases {
        let name = foreign::clean(&release.tag_name, 60).into_owned();
        let date = release.published_at.as_deref().and_then(|date| date.get(..10)).map(|date| foreign::clean(date, 10));
        let date = date.map(|date| format!(", {date}")).unwrap_or_default();
        let body = release.body.as_deref().unwrap_or_default();
        let (breaks, others) = text::notes(body);
        for (title, lines, into) in [("breaks or migrates", breaks, &mut grave), ("notes", others, &mut rest)] {
            if !lines.is_empty() {
                into.push(format!("{name}{date}, {title}:"));
                into.extend(lines.into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    grave.truncate(LINES);
    rest.truncate(LINES - grave.len());
    grave.append(&mut rest);
    grave
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(tag: &str, body: &str) -> Release {
        Release {
            tag_name: tag.to_owned(),
            html_url: format!("https://github.com/o/r/releases/tag/{tag}"),
            published_at: Some("2026-11-20T09:00:00Z".to_owned()),
            body: Some(body.to_owned()),
            draft: false,
            prerelease: false,
        }
    }

    fn tags<'a>(releases: &[&'a Release]) -> Vec<&'a str> {
        releases.iter().map(|release| release.tag_name.as_str()).collect()
    }

    #[test]
    fn the_source_is_found_however_it_is_written() {
        for (source, repository) in [
            ("https://github.com/n8n-io/n8n", Some("n8n-io/n8n")),
            ("https://github.com/n8n-io/n8n.git#main", Some("n8n-io/n8n")),
            ("http://www.github.com/a/b/tree/main/docker", Some("a/b")),
            ("git@github.com:a/b.git", Some("a/b")),
            ("ssh://git@github.com/a/b", Some("a/b")),
            ("github.com/a/b", Some("a/b")),
            ("https://gitlab.com/a/b", None),
            ("https://github.com/a", None),
            ("https://github.com/a/..", None),
            ("https://github.com.evil.example/a/b", None),
            ("https://github.com/a/b%0d", None),
        ] {
            assert_eq!(github(source).as_deref(), repository, "{source}");
        }
        assert_eq!(web_link("https://me:secret@x.example/"), None);
        assert_eq!(web_link("javascript:alert(1)"), None);
        assert_eq!(web_link("https://x.example/a").as_deref(), Some("https://x.example/a"));
    }

    #[test]
    fn releases_between_two_versions_are_taken_newest_first() {
        let mut releases: Vec<Release> =
            ["n8n@1.120.0", "n8n@1.118.3", "n8n@1.119.1", "n8n@1.119.0-rc1", "n8n@1.119.0", "n8n@1.118.2", "weekly"]
                .map(|tag| release(tag, "x"))
                .into();
        let taken = between(&releases, "1.118.2", "1.119.1");
        assert_eq!(tags(&taken), ["n8n@1.119.1", "n8n@1.119.0", "n8n@1.118.3"]);
        assert_eq!(tags(&between(&releases, "v1.119-alpine", "v1.120-alpine")), ["n8n@1.120.0", "n8n@1.119.1"]);
        // The releases of the image that it is built upon bear other versions.
        assert!(between(&releases, "16.4", "16.6").is_empty());
        assert!(between(&releases, "latest", "latest").is_empty());
        releases[0].draft = true;
        assert!(between(&releases, "1.118.2", "1.120.0").is_empty());
    }

    #[test]
    fn what_breaks_comes_first_and_all_of_it_is_bounded() {
        let newest = release("v2", &format!("# New\n{}", "- a fix\n".repeat(200)));
        let older =
            release("v1", "### BREAKING CHANGES\n* the port moved\n\u{1b}[31m* a table is migrated\n\n## Other\nnice");
        let lines = lines(&[&newest, &older]);
        assert_eq!(lines.len(), LINES);
        let first = ["v1, 2026-11-20, breaks or migrates:", "  - the port moved", "  - a table is migrated"];
        assert_eq!(lines[..3], first);
        assert_eq!(lines[3], "v2, 2026-11-20, notes:");
    }
}
