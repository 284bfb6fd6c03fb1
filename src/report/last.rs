//! The last known state of the box: what a login message or a status bar shows without a look at anything.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Look, SCHEMA, host_name, second};
use crate::domain::{Severity, Verdict};
use crate::store::{State, verdict};

/// The state as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastState {
    /// The format, 1.
    pub schema: u32,
    /// The box.
    pub host: String,
    /// When it was seen so.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// The verdict then.
    pub verdict: Verdict,
    /// Critical findings that were not silenced.
    pub critical: usize,
    /// Warnings that were not silenced.
    pub warning: usize,
    /// Findings that were snoozed, accepted or acknowledged.
    pub silenced: usize,
    /// The findings, worst first, at most [`LastState::FINDINGS`].
    pub findings: Vec<LastFinding>,
}

/// One finding, as short as it can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFinding {
    /// The rule.
    pub id: String,
    /// How grave.
    pub severity: Severity,
    /// What it is about.
    pub subject: String,
    /// What is wrong.
    pub title: String,
    /// It was snoozed, accepted or acknowledged.
    pub silenced: bool,
}

impl LastState {
    /// Findings that are kept.
    pub const FINDINGS: usize = 64;

    /// What is older than this says nothing about now.
    pub const WORTH: Duration = Duration::from_hours(24);

    /// What is known now, to be told later.
    pub fn of(state: &State) -> Self {
        let findings = state.findings.all(state.now);
        let loud = |severity| {
            findings.iter().filter(|finding| finding.silence.is_none() && finding.seen.severity == severity).count()
        };
        Self {
            schema: SCHEMA,
            host: host_name(state).to_owned(),
            at: state.now.wall,
            verdict: verdict(state, state.now),
            critical: loud(Severity::Critical),
            warning: loud(Severity::Warning),
            silenced: findings.iter().filter(|finding| finding.silence.is_some()).count(),
            findings: findings
                .iter()
                .take(Self::FINDINGS)
                .map(|finding| LastFinding {
                    id: finding.seen.id.to_owned(),
                    severity: finding.seen.severity,
                    subject: finding.seen.subject.to_string(),
                    title: finding.seen.title.clone(),
                    silenced: finding.silence.is_some(),
                })
                .collect(),
        }
    }

    /// Whether a finding was open then; `None` where not all of them are known.
    pub fn has(&self, id: &str, subject: &str) -> Option<bool> {
        let found = self.findings.iter().any(|finding| finding.id == id && finding.subject == subject);
        (found || self.findings.len() < Self::FINDINGS).then_some(found)
    }

    /// What this says about `now`: the verdict, or unknown once it is too old to say anything.
    pub fn verdict_at(&self, now: Timestamp) -> Verdict {
        let age = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        if age <= Self::WORTH { self.verdict } else { Verdict::Unknown }
    }

    /// One line: the verdict, what is worst, and how old that is.
    pub fn line(&self, look: &Look, now: Timestamp) -> String {
        let verdict = self.verdict_at(now);
        let dot = look.signs.dot;
        let mut line = look.tone(verdict, &format!("{} {} {verdict}", look.verdict(verdict), self.host));
        if verdict != self.verdict {
            let _ = write!(line, ", was {}", self.verdict);
        }
        let counts = [(self.critical, "critical"), (self.warning, "warning")];
        let counts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if !counts.is_empty() {
            let _ = write!(line, ": {}", counts.join(", "));
        }
        // Information (what cannot be read) explains an unknown verdict; otherwise it is not worth the room.
        let told = |finding: &&LastFinding| {
            !finding.silenced && (finding.severity > Severity::Info || self.verdict == Verdict::Unknown)
        };
        if let Some(worst) = self.findings.iter().find(told) {
            let _ = write!(line, " {dot} {} {}", worst.subject, worst.title);
        }
        line.push_str(&look.tone(super::look::Tone::Muted, &format!(" {dot} {}", look.ago(self.at, now))));
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::tests::plain;
    use super::*;
    use crate::domain::SourceId;
    use crate::make::{Script, wall};

    #[test]
    fn a_bad_day_in_one_line() {
        let mut script = Script::new();
        script.at(0).memory(0.5).volumes([("/", 0.05), ("/models", 0.15), ("/old", 0.15)]);
        script.accept("disk.free", "/old", 1_000_000).assess();
        let last = LastState::of(&script.state);
        assert_eq!((last.critical, last.warning, last.silenced), (1, 1, 1));
        let line = last.line(&plain(), wall(40));
        let host = &last.host;
        assert!(line.starts_with(&format!("X {host} critical: 1 critical, 1 warning | / ")), "{line}");
        assert!(line.ends_with(" | 40 s ago\n"), "{line}");
        assert_eq!(last.has("disk.free", "/models"), Some(true));
        assert_eq!(last.has("disk.free", "/home"), Some(false));
    }

    #[test]
    fn an_unknown_verdict_says_what_could_not_be_read() {
        let mut script = Script::new();
        script.at(0).failed(SourceId::Docker, "no answer").assess();
        let line = LastState::of(&script.state).line(&plain(), wall(0));
        assert_eq!(line, "? unknown unknown | docker cannot be read | 0 s ago\n");
    }

    #[test]
    fn an_old_state_says_nothing_about_now() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        let last = LastState::of(&script.state);
        assert_eq!(last.verdict_at(wall(86_400)), Verdict::Well);
        assert_eq!(last.verdict_at(wall(86_401)), Verdict::Unknown);
        assert!(last.line(&plain(), wall(3 * 86_400)).contains("unknown, was well | 3 d ago"));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.05)]).assess();
        let last = LastState { at: wall(0), ..LastState::of(&script.state) };
        let json = serde_json::to_string(&last).unwrap();
        assert_eq!(serde_json::from_str::<LastState>(&json).unwrap(), last);
    }
}
