//! `hostler check`: the verdict, what needs someone, and how far that could be seen.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::look::{Columns, Look, Tone};
use super::{SCHEMA, host_name, second, tenths};
use crate::domain::{
    ActionId, Cadence, CheckResult, DutyStanding, Finding, FindingId, Severity, Silence, SourceId, SourceStatus,
    Unassessed, Unit, Verdict, units,
};
use crate::store::{SourceState, State, verdict};

/// What a check found. Its JSON is the contract of `hostler check --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// The format, 1.
    pub schema: u32,
    /// The box is made up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub demo: bool,
    /// The name of the box.
    pub host: String,
    /// When it was looked at.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// The box in one word.
    pub verdict: Verdict,
    /// What needs someone, worst first; what was silenced is marked.
    pub findings: Vec<FindingReport>,
    /// What cannot be told yet.
    pub unassessed: Vec<Unassessed>,
    /// How each source stands.
    pub sources: Vec<SourceReport>,
    /// The duties that were looked at.
    pub routine: Vec<DutyReport>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingReport {
    /// The rule.
    pub id: FindingId,
    /// How grave.
    pub severity: Severity,
    /// What it is about.
    pub subject: Arc<str>,
    /// Its compose project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Arc<str>>,
    /// Its compose service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Arc<str>>,
    /// What is wrong.
    pub title: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// The value that crossed its limit, in base units.
    pub value: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
    /// What both count.
    pub unit: Option<Unit>,
    /// The earliest evidence.
    #[serde(serialize_with = "second")]
    pub since: Timestamp,
    /// Actions that mend it.
    pub fix: &'static [ActionId],
    /// Tabs and panes that show more of it.
    pub look: &'static [&'static str],
    /// Set while it is snoozed, accepted or acknowledged; it then changes no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
}

impl From<Finding> for FindingReport {
    fn from(Finding { seen, since, silence }: Finding) -> Self {
        Self {
            id: seen.id,
            severity: seen.severity,
            subject: seen.subject,
            project: seen.project,
            service: seen.service,
            title: seen.title,
            evidence: seen.evidence,
            value: seen.value,
            limit: seen.limit,
            unit: seen.unit,
            since,
            fix: seen.fix,
            look: seen.look,
            silence,
        }
    }
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceReport {
    /// Which.
    pub id: SourceId,
    /// How it stands.
    pub status: SourceStatus,
    /// The age of its last good reading, seconds; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Where it reads, or why it cannot.
    pub detail: String,
    /// What can be done about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl SourceReport {
    /// Every source of a state.
    pub fn all(state: &State) -> Vec<Self> {
        state.sources.iter().map(|(id, source)| Self::of(id, source, state)).collect()
    }

    fn of(id: SourceId, source: &SourceState, state: &State) -> Self {
        let failure = source.failure.as_ref().map(|(failure, _)| failure);
        let detail = match (failure, source.status(state.now)) {
            (Some(failure), _) => failure.what.clone(),
            (None, SourceStatus::Waiting) => "no answer yet".to_owned(),
            (None, _) => source.detail.clone(),
        };
        Self {
            id,
            status: source.status(state.now),
            age_seconds: source.age(state.now).map(tenths),
            detail,
            remedy: failure.and_then(|failure| failure.remedy.clone()),
        }
    }

    /// Whether somebody has to do something before it can be read.
    pub fn is_trouble(&self) -> bool {
        matches!(self.status, SourceStatus::Failed | SourceStatus::Denied)
    }
}

/// One duty of the routine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DutyReport {
    /// Which.
    pub id: &'static str,
    /// How often.
    pub cadence: Cadence,
    /// What its check says.
    pub result: CheckResult,
    /// The day by which it is due.
    pub due: Date,
    /// What shows it.
    pub evidence: Vec<String>,
}

impl From<&DutyStanding> for DutyReport {
    fn from(standing: &DutyStanding) -> Self {
        Self {
            id: standing.outcome.id,
            cadence: standing.spec.cadence,
            result: standing.outcome.result,
            due: standing.due,
            evidence: standing.outcome.evidence.clone(),
        }
    }
}

impl CheckReport {
    /// What `state` says now. `demo` marks a made-up box.
    pub fn of(state: &State, demo: bool) -> Self {
        Self {
            schema: SCHEMA,
            demo,
            host: host_name(state).to_owned(),
            at: state.now.wall,
            verdict: verdict(state, state.now),
            findings: findings(state),
            unassessed: state.findings.unassessed().to_vec(),
            sources: SourceReport::all(state),
            routine: state.routine.iter().map(DutyReport::from).collect(),
        }
    }

    /// The same for people.
    pub fn text(&self, look: &Look) -> String {
        let mut text = heading(&self.host, self.demo, self.verdict, self.at, look);
        text.push_str(&findings_text(&self.findings, self.verdict, self.at, look));
        text.push_str(&unassessed_text(&self.unassessed, look));
        text.push_str(&sources_text(&self.sources, look));
        text
    }
}

/// Every finding of a state, worst first.
pub(super) fn findings(state: &State) -> Vec<FindingReport> {
    state.findings.all(state.now).into_iter().map(FindingReport::from).collect()
}

/// `X gpubox-01 critical · 2026-11-23 10:02`.
pub(super) fn heading(host: &str, demo: bool, verdict: Verdict, at: Timestamp, look: &Look) -> String {
    let head = look.tone(verdict, &format!("{} {host} {verdict}", look.verdict(verdict)));
    let demo = if demo { "DEMO, a made-up box " } else { "" };
    format!("{demo}{head} {} {}\n", look.signs.dot, look.time(at))
}

/// Findings: a line each, evidence below it. That a source cannot be read stands among the sources already.
pub(super) fn findings_text(findings: &[FindingReport], verdict: Verdict, now: Timestamp, look: &Look) -> String {
    let mut text = String::new();
    let is_of_source =
        |finding: &FindingReport| finding.severity == Severity::Info && finding.subject.parse::<SourceId>().is_ok();
    for finding in findings.iter().filter(|finding| !is_of_source(finding)) {
        let silenced = finding.silence.is_some();
        let tone = if silenced { Tone::Muted } else { finding.severity.into() };
        let word: &str = finding.severity.into();
        let head = look.tone(tone, &format!("{} {word:<8}", look.severity(finding.severity)));
        let subject = look.tone(if silenced { Tone::Muted } else { Tone::Strong }, &finding.subject);
        let _ = writeln!(text, "\n{head}  {subject}  {}", finding.title);
        let mut below =
            vec![format!("{}, since {} ({})", finding.id, look.time(finding.since), look.ago(finding.since, now))];
        below.extend(finding.evidence.iter().cloned());
        if !finding.fix.is_empty() {
            below.push(format!("mended by {}", finding.fix.join(", ")));
        }
        below.extend(finding.silence.as_ref().map(|silence| silence.words(|until| look.time(until))));
        for line in below {
            let _ = writeln!(text, "            {}", look.tone(Tone::Muted, &line));
        }
    }
    match verdict {
        Verdict::Well if text.is_empty() => "\nNothing needs anyone.\n".to_owned(),
        Verdict::Unknown => format!("{text}\nNot everything that is there could be read: see the sources.\n"),
        _ => text,
    }
}

fn unassessed_text(unassessed: &[Unassessed], look: &Look) -> String {
    let mut columns = Columns::default();
    for waiting in unassessed {
        columns.row([
            (Tone::Plain, waiting.id.to_owned()),
            (Tone::Plain, waiting.subject.to_string()),
            (Tone::Muted, waiting.why.clone()),
        ]);
    }
    if unassessed.is_empty() { String::new() } else { format!("\nCannot be told yet\n{}", columns.lines(look, 2)) }
}

/// Sources: a line each, the remedy below it where there is one.
pub(super) fn sources_text(sources: &[SourceReport], look: &Look) -> String {
    let mut columns = Columns::default();
    for (index, source) in sources.iter().enumerate() {
        // What several sources have in common is told once.
        let told = sources[..index].iter().find(|before| {
            source.status != SourceStatus::Fresh && before.status == source.status && before.detail == source.detail
        });
        let told = told.filter(|_| source.status != SourceStatus::Waiting);
        let tone = Tone::from(source.status);
        let age = source.age_seconds.filter(|_| source.status != SourceStatus::Fresh);
        let age =
            age.map(|seconds| format!(" (last read {} ago)", units::span(std::time::Duration::from_secs_f64(seconds))));
        columns.row([
            (tone, format!("{} {}", look.status(source.status), source.id)),
            (tone, source.status.word().to_owned()),
            (
                Tone::Plain,
                told.map_or_else(
                    || format!("{}{}", source.detail, age.unwrap_or_default()),
                    |told| format!("as {}", told.id),
                ),
            ),
        ]);
        if let Some(remedy) = source.remedy.as_ref().filter(|_| told.is_none()) {
            columns.row([(Tone::Plain, String::new()), (Tone::Plain, String::new()), (Tone::Muted, remedy.clone())]);
        }
    }
    format!("\nSources\n{}", columns.lines(look, 2))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::look::tests::plain;
    use super::*;
    use crate::domain::Failure;
    use crate::make::Script;

    fn script() -> Script {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.17), ("/old", 0.05)]);
        script
            .failure(SourceId::Docker, Failure::denied("/run/docker.sock: this user may not", "join the group docker"));
        script
            .failure(SourceId::Gpu, Failure::unsupported("libnvidia-ml.so.1 not found: no NVIDIA driver is installed"));
        script.accept("disk.free", "/old", 86_400).assess();
        script
    }

    #[test]
    fn the_json_is_the_contract() {
        let json = serde_json::to_value(CheckReport::of(&script().state, false)).unwrap();
        assert_eq!(
            (&json["schema"], &json["verdict"], &json["at"]),
            (&json!(1), &json!("warning"), &json!("2026-11-23T09:02:11Z"))
        );
        assert!(json.get("demo").is_none());
        let finding = json["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "/").unwrap();
        for (field, value) in [
            ("id", json!("disk.free")),
            ("severity", json!("warning")),
            ("value", json!(0.17)),
            ("limit", json!(0.2)),
            ("unit", json!("ratio")),
            ("since", json!("2026-11-23T09:02:11Z")),
            ("fix", json!(["docker.prune"])),
        ] {
            assert_eq!(finding[field], value, "{field}");
        }
        for absent in ["project", "service", "silence"] {
            assert!(finding.get(absent).is_none(), "{absent}");
        }
        let silenced =
            json["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "/old").unwrap();
        assert_eq!(silenced["silence"]["accepted"], json!(true));
        let gpu = json["sources"].as_array().unwrap().iter().find(|source| source["id"] == "gpu.nvidia").unwrap();
        let detail = "libnvidia-ml.so.1 not found: no NVIDIA driver is installed";
        assert_eq!(*gpu, json!({"id": "gpu.nvidia", "status": "unsupported", "detail": detail}));
    }

    #[test]
    fn a_demo_says_so() {
        let report = CheckReport::of(&Script::new().state, true);
        assert_eq!(serde_json::to_value(&report).unwrap()["demo"], json!(true));
        assert!(report.text(&plain()).starts_with("DEMO"));
    }

    #[test]
    fn the_text_tells_what_and_why_and_what_to_do() {
        let text = CheckReport::of(&script().state, false).text(&plain());
        for part in [
            "! unknown warning | 2026-11-23 09:02\n",
            "\n! warning   /  ",
            "disk.free, since 2026-11-23 09:02 (0 s ago)",
            "accepted by jo until 2026-11-24 09:02: known",
            "! docker            denied   /run/docker.sock: this user may not\n",
            "                               join the group docker\n",
            "o gpu.nvidia        absent   libnvidia-ml.so.1 not found",
            "+ volumes           fresh",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn what_sources_have_in_common_is_told_once() {
        let mut script = Script::new();
        script.at(0).memory(0.5);
        for source in [SourceId::Docker, SourceId::Usage, SourceId::Logs] {
            script.failure(source, Failure::failed("no answer").remedy("start the engine"));
        }
        let text = CheckReport::of(&script.assess().state, false).text(&plain());
        assert_eq!((text.matches("no answer\n").count(), text.matches("start the engine").count()), (1, 1), "{text}");
        assert!(text.contains("X logs              failed   as docker\n"), "{text}");
        assert!(text.contains("\nNot everything that is there could be read"), "{text}");
    }

    #[test]
    fn a_good_day_is_short() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        assert!(CheckReport::of(&script.state, false).text(&plain()).contains("\nNothing needs anyone.\n"));
    }
}
