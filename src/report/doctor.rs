//! `hostler doctor`: what was found, what not, why, and how to have it.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::check::{SourceReport, sources_text};
use super::look::{Columns, Look, Tone};
use super::{SCHEMA, host_name, second};
use crate::domain::{Reading, Verdict};
use crate::store::{State, verdict};

/// What was found. Its JSON is that of `hostler doctor --json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct DoctorReport {
    /// The format, 1.
    pub schema: u32,
    /// hostler's version.
    pub version: &'static str,
    /// The name of the box.
    pub host: String,
    /// When it was looked at.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// The box in one word.
    pub verdict: Verdict,
    /// How each source stands.
    pub sources: Vec<SourceReport>,
    /// Where a container engine was sought, in this order.
    pub docker: Vec<DockerPlace>,
    /// Everything else that was found, by subject.
    #[serde(flatten, serialize_with = "by_subject")]
    pub sections: Vec<Section>,
}

/// One place where a container engine was sought.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DockerPlace {
    /// The endpoint, without a user name and a password.
    pub endpoint: String,
    /// Why it is considered.
    pub because: String,
    /// What is there.
    pub found: String,
    /// It was taken.
    pub taken: bool,
}

/// Facts about one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in JSON.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// The facts.
    pub facts: Vec<Fact>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What it is about, in JSON and as text.
    pub name: Cow<'static, str>,
    /// What was found, or why nothing was.
    pub value: Reading<String>,
    /// What can be done about that.
    pub remedy: Option<String>,
    /// Something that should work does not.
    pub trouble: bool,
}

impl Fact {
    /// Something that was found.
    pub fn known(name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Reading::Known(value.into()), remedy: None, trouble: false }
    }

    /// Something that was found, or not.
    pub fn new(name: impl Into<Cow<'static, str>>, value: Reading<String>) -> Self {
        Self { name: name.into(), value, remedy: None, trouble: false }
    }

    /// The same, with what can be done about it.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    /// The same, as something that should work and does not.
    #[must_use]
    pub fn trouble(self) -> Self {
        Self { trouble: true, ..self }
    }
}

impl Serialize for Section {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.facts.len()))?;
        for fact in &self.facts {
            map.serialize_entry(&fact.name, &fact.value)?;
        }
        map.end()
    }
}

fn by_subject<S: Serializer>(sections: &[Section], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(sections.iter().map(|section| (section.id, section)))
}

impl DoctorReport {
    /// What `state` says of the sources, with what is known beside it.
    pub fn of(state: &State, docker: Vec<DockerPlace>, sections: Vec<Section>) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            host: host_name(state).to_owned(),
            at: state.now.wall,
            verdict: verdict(state, state.now),
            sources: SourceReport::all(state),
            docker,
            sections,
        }
    }

    /// Whether something is there and does not work, or may not be read.
    pub fn is_trouble(&self) -> bool {
        let facts = self.sections.iter().flat_map(|section| &section.facts);
        self.sources.iter().any(SourceReport::is_trouble) || facts.into_iter().any(|fact| fact.trouble)
    }

    /// The same for people.
    pub fn text(&self, look: &Look) -> String {
        let mut text = format!("hostler {} on {} {} {}\n", self.version, self.host, look.signs.dot, look.time(self.at));
        text.push_str(&sources_text(&self.sources, look));
        text.push_str(&self.docker_text(look));
        for section in &self.sections {
            let _ = write!(text, "\n{}\n{}", section.title, section_text(section, look));
        }
        text
    }

    pub(super) fn docker_text(&self, look: &Look) -> String {
        let mut columns = Columns::default();
        for (index, place) in self.docker.iter().enumerate() {
            let tone = if place.taken { Tone::Well } else { Tone::Muted };
            let taken = if place.taken { "taken" } else { "" };
            columns.row([
                (tone, format!("{} {}", index + 1, place.endpoint)),
                (tone, taken.to_owned()),
                (tone, place.found.clone()),
                (Tone::Muted, place.because.clone()),
            ]);
        }
        format!("\nContainer engine: places in the order in which they are tried\n{}", columns.lines(look, 2))
    }
}

pub(super) fn section_text(section: &Section, look: &Look) -> String {
    let mut columns = Columns::default();
    for fact in &section.facts {
        let value = match &fact.value {
            Reading::Known(value) if fact.trouble => (Tone::Critical, value.clone()),
            Reading::Known(value) => (Tone::Plain, value.clone()),
            Reading::Unavailable(why) if fact.trouble => (Tone::Critical, format!("unavailable, because: {why}")),
            Reading::Unavailable(why) => (Tone::Muted, format!("unavailable, because: {why}")),
        };
        columns.row([(Tone::Muted, fact.name.replace('_', " ")), value]);
        if let Some(remedy) = &fact.remedy {
            columns.row([(Tone::Plain, String::new()), (Tone::Muted, remedy.clone())]);
        }
    }
    columns.lines(look, 2)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::super::look::tests::plain;
    use super::*;
    use crate::domain::{Failure, SourceId, Why};
    use crate::make::Script;

    pub(in crate::report) fn report() -> DoctorReport {
        let mut script = Script::new();
        script.at(0).memory(0.5);
        script
            .failure(SourceId::Docker, Failure::denied("/run/docker.sock: this user may not", "join the group docker"));
        let place = DockerPlace {
            endpoint: "unix:///run/docker.sock".into(),
            because: "it is Docker's default socket".into(),
            found: "a socket of the group docker".into(),
            taken: true,
        };
        let storage = Section {
            id: "storage",
            title: "Storage",
            facts: vec![
                Fact::known("state_folder", "/home/ada/.local/state/hostler"),
                Fact::new("config", Reading::Unavailable(Why::new("there is none")))
                    .remedy("`hostler config init` writes one"),
            ],
        };
        DoctorReport::of(&script.state, vec![place], vec![storage])
    }

    #[test]
    fn it_says_what_was_found_and_what_to_do() {
        let text = report().text(&plain());
        for part in [
            "! docker            denied   /run/docker.sock: this user may not\n                               join the group docker\n",
            "  1 unix:///run/docker.sock  taken  a socket of the group docker  it is Docker's default socket\n",
            "\nStorage\n  state folder  /home/ada/.local/state/hostler\n  config        unavailable, because: there is none\n                `hostler config init` writes one\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn its_json_has_the_same() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["storage"]["config"], json!({"unavailable": "there is none"}));
        assert_eq!(json["docker"][0]["taken"], json!(true));
    }

    #[test]
    fn what_may_not_be_read_is_trouble_and_what_is_absent_is_none() {
        assert!(report().is_trouble());
        let mut script = Script::new();
        script.at(0).failure(SourceId::Gpu, Failure::unsupported("no NVIDIA driver"));
        let mut report = DoctorReport::of(&script.state, Vec::new(), Vec::new());
        assert!(!report.is_trouble());
        report.sections.push(Section { id: "x", title: "X", facts: vec![Fact::known("y", "broken").trouble()] });
        assert!(report.is_trouble());
    }
}
