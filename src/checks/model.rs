//! Rules about models on disk.

use jiff::tz::TimeZone;

use super::{Rule, observation};
use crate::domain::{
    LibraryPlace, LibraryProblemKind, LibrarySample, Naming, Severity, SourceId, StoredModel, Unit, units,
};
use crate::store::State;

/// Blobs that nothing names are told from so many bytes on.
const ORPHANS_BYTES: u64 = 1 << 30;

/// Models that cannot be served: a manifest without its blob, a file that is cut short, a link to nothing.
pub(super) const BROKEN: Rule = Rule {
    id: "model.broken",
    title: "Broken models",
    why: "It fails at the moment in which somebody loads it, and a roll back to it would fail as well.",
    fix: &[],
    reads: Some(SourceId::Library),
    assess: |state, _, assessment| {
        for model in models(state) {
            let Some(damage) = &model.damage else { continue };
            let mut seen = observation(BROKEN.id, model.name.as_str(), Severity::Warning, "cannot be served");
            seen.evidence = vec![damage.clone(), model.path.clone()];
            assessment.see(seen);
        }
        for problem in places(state).flat_map(|place| &place.problems) {
            if problem.kind == LibraryProblemKind::Broken {
                let title = problem.what.as_str();
                let mut seen = observation(BROKEN.id, problem.path.as_str(), Severity::Warning, title);
                seen.evidence = problem.remedy.iter().cloned().collect();
                assessment.see(seen);
            }
        }
    },
};

/// Tokens that every user of the machine can read.
pub(super) const SECRET_READABLE: Rule = Rule {
    id: "model.secret-readable",
    title: "Tokens that anybody can read",
    why: "Whoever can read the token can do in your name what it allows, such as replace a model that you published.",
    fix: &[],
    reads: Some(SourceId::Library),
    assess: |state, _, assessment| {
        for secret in places(state).flat_map(|place| &place.secrets).filter(|secret| secret.others_can_read) {
            let title = "every user of this machine can read this token";
            let mut seen = observation(SECRET_READABLE.id, secret.path.as_str(), Severity::Warning, title);
            seen.evidence = vec![format!("mode {:04o}", secret.mode), format!("chmod 600 {}", secret.path)];
            assessment.see(seen);
        }
    },
};

/// Blobs that no manifest and no snapshot names.
pub(super) const ORPHANS: Rule = Rule {
    id: "model.orphans",
    title: "Orphan blobs of models",
    why: "They take room, and no program will ever ask for them.",
    fix: &["model.prune"],
    reads: Some(SourceId::Library),
    assess: |state, _, assessment| {
        for place in places(state) {
            let Some(orphans) = place.orphans.known().filter(|orphans| orphans.bytes > ORPHANS_BYTES) else { continue };
            let title = format!("{} that no model needs", units::bytes(orphans.bytes));
            let mut seen = observation(ORPHANS.id, place.path.as_str(), Severity::Info, title);
            seen.evidence = vec![super::counted(orphans.count as u64, "blob")];
            if place.partial.count > 0 {
                let partial = super::counted(place.partial.count as u64, "unfinished download");
                seen.evidence.push(format!("{partial} of {} beside", units::bytes(place.partial.bytes)));
            }
            (seen.value, seen.limit) = (Some(orphans.bytes as f64), Some(ORPHANS_BYTES as f64));
            seen.unit = Some(Unit::Bytes);
            assessment.see(seen);
        }
    },
};

/// Names that do not follow the convention of the config.
pub(super) const NAMING: Rule = Rule {
    id: "model.naming",
    title: "Names of models",
    why: "A name that says family, size and version tells in a year which model served, and which one to go back to.",
    fix: &[],
    reads: Some(SourceId::Library),
    assess: |state, _, assessment| {
        for model in models(state).filter(|model| model.naming == Some(Naming::Breaks)) {
            let title = "its name does not follow the convention";
            let mut seen = observation(NAMING.id, model.name.as_str(), Severity::Info, title);
            seen.evidence = vec![model.path.clone()];
            assessment.see(seen);
        }
    },
};

/// Fine-tuned models whose training lies so far back that it is to be repeated.
pub(super) const RETRAIN_DUE: Rule = Rule {
    id: "model.retrain-due",
    title: "Models to be trained anew",
    why: "What a model was tuned on ages, and its answers with it.",
    fix: &[],
    reads: Some(SourceId::Library),
    assess: |state, at, assessment| {
        // Days of training are noted without a zone; one that is some hours off does no harm.
        let today = TimeZone::UTC.to_datetime(at.wall).date();
        for model in models(state).filter(|model| model.alias_of.is_none()) {
            let Some(tuned) = &model.tuned else { continue };
            let (Some(trained), Some(due)) = (tuned.trained_at, tuned.retrain_due()) else { continue };
            if due <= today {
                let title = format!("was to be trained anew on {due}");
                let mut seen = observation(RETRAIN_DUE.id, model.name.as_str(), Severity::Info, title);
                seen.evidence = vec![format!("trained on {trained}, every {} days", tuned.retrain_days)];
                seen.evidence.extend(tuned.base.iter().map(|base| format!("made from {base}")));
                seen.evidence.extend(tuned.corpus.iter().map(|corpus| format!("corpus: {corpus}")));
                assessment.see(seen);
            }
        }
    },
};

fn library(state: &State) -> impl Iterator<Item = &LibrarySample> {
    state.library.get().into_iter()
}

fn models(state: &State) -> impl Iterator<Item = &StoredModel> {
    library(state).flat_map(|library| &library.models)
}

fn places(state: &State) -> impl Iterator<Item = &LibraryPlace> {
    library(state).flat_map(|library| &library.places)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::domain::{Leftovers, LibraryProblem, Reading, Sample, SecretFile, Tuned, Why};
    use crate::make::{Script, library_place, stored_model};

    fn look(models: Vec<StoredModel>, place: LibraryPlace) -> Script {
        let mut script = Script::new();
        let sample = LibrarySample { models, places: vec![place], files_read: 0, reads_on: false };
        script.at(0).sample(Sample::Library(sample.into())).assess();
        script
    }

    #[test]
    fn a_healthy_library_is_no_news() {
        assert!(look(vec![stored_model("qwen3:8b")], library_place("/m")).open().is_empty());
    }

    #[test]
    fn what_cannot_be_served_is_told_of_models_and_of_files() {
        let damage = Some("its blob sha256-aa… is not there".to_owned());
        let problem = |kind, path: &str| LibraryProblem {
            kind,
            path: path.to_owned(),
            what: "it is no manifest".to_owned(),
            remedy: None,
        };
        let place = LibraryPlace {
            problems: vec![
                problem(LibraryProblemKind::Broken, "/m/x"),
                problem(LibraryProblemKind::Denied, "/m/y"),
                problem(LibraryProblemKind::Skipped, "/m/z"),
            ],
            ..library_place("/m")
        };
        let script = look(vec![StoredModel { damage, ..stored_model("qwen3:8b") }], place);
        assert_eq!(script.open(), ["model.broken qwen3:8b", "model.broken /m/x"]);
        assert_eq!(script.finding("model.broken", "qwen3:8b").seen.severity, Severity::Warning);
    }

    #[test]
    fn tokens_are_told_where_others_can_read_them() {
        let secret = |path: &str, others_can_read| SecretFile { path: path.to_owned(), mode: 0o644, others_can_read };
        let secrets = vec![secret("/h/token", true), secret("/h/stored_tokens", false)];
        let script = look(Vec::new(), LibraryPlace { secrets, ..library_place("/h/hub") });
        assert_eq!(script.open(), ["model.secret-readable /h/token"]);
        assert_eq!(script.finding("model.secret-readable", "/h/token").seen.evidence[0], "mode 0644");
    }

    #[test]
    fn orphans_count_from_a_gibibyte_on_and_where_they_can_be_told() {
        let with = |bytes| {
            let orphans = Reading::Known(Leftovers { bytes, count: 3, ..Leftovers::default() });
            look(Vec::new(), LibraryPlace { orphans, ..library_place("/m") }).open()
        };
        assert_eq!((with(1 << 30).len(), with((1 << 30) + 1)), (0, vec!["model.orphans /m".to_owned()]));
        let untold = Reading::Unavailable(Why::new("a manifest cannot be read"));
        assert!(look(Vec::new(), LibraryPlace { orphans: untold, ..library_place("/m") }).open().is_empty());
    }

    #[test]
    fn names_and_training_are_told_by_what_the_config_wants() {
        // The script's first moment is on 23 November 2026.
        let tuned = |day| Some(Tuned { trained_at: Some(day), retrain_days: 30, ..Tuned::default() });
        let model = |name: &str, tuned, naming| StoredModel { naming, tuned, ..stored_model(name) };
        let script = look(
            vec![
                model("old", tuned(date(2026, 10, 24)), None),
                model("new", tuned(date(2026, 10, 25)), None),
                model("undated", Some(Tuned::default()), Some(Naming::Follows([].into()))),
                model("final2", None, Some(Naming::Breaks)),
            ],
            library_place("/m"),
        );
        assert_eq!(script.open(), ["model.naming final2", "model.retrain-due old"]);
        assert_eq!(script.finding("model.retrain-due", "old").seen.title, "was to be trained anew on 2026-11-23");
        assert_eq!(script.verdict(), crate::domain::Verdict::Well);
    }
}
