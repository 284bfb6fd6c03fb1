//! Rules about file systems. Which of them are real volumes is decided where they are read.

use std::time::Duration;

use super::level::{Level, Side, percent_beside};
use super::{Rule, forecast, observation};
use crate::domain::{FindingId, Observation, SourceId, Unit, Volume, metric, units};
use crate::store::State;

/// A volume must be short of space for so long: a build that frees again what it took is no news.
const HOLD_FOR: Duration = Duration::from_mins(1);

/// An open finding clears two points above its limit.
const CLEAR: f64 = 0.02;

/// Free space on each volume.
pub(super) const FREE: Rule = Rule {
    id: "disk.free",
    title: "Free disk space",
    why: "Model downloads and logs fill a disk faster than expected, and databases stop when it is full.",
    fix: &["docker.prune"],
    reads: Some(SourceId::Volumes),
    assess: |state, _, assessment| {
        for volume in volumes(state) {
            let free = volume.free_ratio();
            if let Some(mut seen) = judge(state, FREE.id, volume, free) {
                seen.title = format!("{} free", percent_beside(free, seen.limit.unwrap_or(free)));
                seen.evidence.push(format!(
                    "{} of {} left",
                    units::bytes(volume.free_bytes),
                    units::bytes(volume.size_bytes)
                ));
                assessment.see(seen);
            }
        }
    },
};

/// Free inodes on each volume that has a fixed number of them.
pub(super) const INODES: Rule = Rule {
    id: "disk.inodes",
    title: "Free inodes",
    why: "A file system without inodes takes no new file, however many bytes are free.",
    fix: &["docker.prune"],
    reads: Some(SourceId::Volumes),
    assess: |state, _, assessment| {
        for volume in volumes(state) {
            let Some(free) = volume.inodes_free_ratio() else { continue };
            if let Some(mut seen) = judge(state, INODES.id, volume, free) {
                seen.title = format!("{} of inodes free", percent_beside(free, seen.limit.unwrap_or(free)));
                seen.evidence.push(format!("{} of {} left", volume.inodes_free, volume.inodes));
                assessment.see(seen);
            }
        }
    },
};

/// When the trend of each volume fills it.
pub(super) const FULL_IN: Rule = Rule {
    id: "disk.full-in",
    title: "Disk full soon",
    why: "A volume that fills within two weeks is easier to deal with now than on the day.",
    fix: &["docker.prune"],
    reads: Some(SourceId::Volumes),
    assess: |state, at, assessment| {
        let left = volumes(state).map(|volume| (volume.mount.as_str(), volume.free_bytes));
        forecast::judge(FULL_IN.id, &metric::DISK_FREE_BYTES, left, (state, at), assessment);
    },
};

/// Volumes that have a size; a pseudo file system without one is never full.
fn volumes(state: &State) -> impl Iterator<Item = &Volume> {
    state.volumes.get().into_iter().flatten().filter(|volume| volume.size_bytes > 0)
}

/// Holds a free ratio against the limits; the title is the caller's.
fn judge(state: &State, id: FindingId, volume: &Volume, free: f64) -> Option<Observation> {
    let limits = &state.thresholds;
    let level = Level {
        side: Side::Below,
        warning: limits.disk_free_warning,
        critical: limits.disk_free_critical,
        clear: CLEAR,
    };
    let (severity, limit) = level.judge(free, state.findings.open_severity(id, &volume.mount))?;
    Some(Observation {
        evidence: vec![format!("limit {}", units::percent(limit))],
        value: Some(free),
        limit: Some(limit),
        unit: Some(Unit::Ratio),
        hold_for: HOLD_FOR,
        level: state.findings.is_first_look(SourceId::Volumes),
        ..observation(id, volume.mount.as_str(), severity, "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, Forecast, Sample, SeriesKey, Severity, Trend, TrendKind, TrendSample};
    use crate::make::{GIB, Script, volume, wall};

    #[test]
    fn a_full_disk_is_named_at_the_first_look() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.17), ("/models", 0.05), ("/backup", 0.20)]).assess();
        assert_eq!(script.open(), ["disk.free /models", "disk.free /"]);
        let root = script.finding("disk.free", "/").seen;
        assert_eq!(root.title, "17% free");
        assert_eq!(root.evidence, ["limit 20%", "17.0 GiB of 100 GiB left"]);
        assert_eq!((root.value, root.limit, root.unit), (Some(0.17), Some(0.20), Some(Unit::Ratio)));
        assert_eq!(script.finding("disk.free", "/models").seen.severity, Severity::Critical);
    }

    #[test]
    fn a_disk_that_fills_while_it_is_watched_is_held_back_for_a_minute() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.25)]).assess();
        script.at(10).volumes([("/", 0.15)]).assess();
        assert!(script.open().is_empty());
        script.at(69).volumes([("/", 0.15)]).assess();
        assert!(script.open().is_empty());
        script.at(70).volumes([("/", 0.15)]).assess();
        assert_eq!(script.open(), ["disk.free /"]);
    }

    #[test]
    fn the_first_look_is_the_first_at_volumes_however_late_they_come() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        script.at(5).volumes([("/", 0.15)]).assess();
        assert_eq!(script.open(), ["disk.free /"]);
    }

    #[test]
    fn inodes_are_judged_where_there_are_any() {
        let mut script = Script::new();
        let full = Volume { inodes: 1000, inodes_free: 50, ..volume("/", 0.5) };
        let btrfs = Volume { inodes: 0, inodes_free: 0, ..volume("/data", 0.5) };
        let pseudo = Volume { size_bytes: 0, free_bytes: 0, inodes: 0, ..volume("/odd", 0.0) };
        script.at(0).sample(Sample::Volumes(vec![full, btrfs, pseudo].into())).assess();
        assert_eq!(script.open(), ["disk.inodes /"]);
        assert_eq!(script.finding("disk.inodes", "/").seen.title, "5% of inodes free");
    }

    #[test]
    fn without_history_no_end_is_told() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.5)]).assess();
        assert_eq!(script.waiting("disk.full-in"), ["no history yet: the recorder keeps one"]);
    }

    /// `/` of 100 GiB, half of it free, loses so many GiB a day.
    fn filling(gib_a_day: f64) -> TrendSample {
        let used_per_day = gib_a_day * GIB as f64;
        let days_left = 50.0 / gib_a_day;
        let forecast = Forecast {
            left: 50.0 * GIB as f64,
            used_per_day,
            days_left,
            between_days: (days_left * 0.9, days_left * 1.2),
        };
        let trend = Trend {
            series: SeriesKey::new(&metric::DISK_FREE_BYTES, [("mount", "/")]),
            kind: TrendKind::FullIn(forecast),
            since: wall(-12 * 86_400),
            before: 80.0 * GIB as f64,
            after: 50.0 * GIB as f64,
            cause: None,
            beside: Vec::new(),
        };
        TrendSample { at: wall(0), trends: vec![trend], too_young: Vec::new() }
    }

    #[test]
    fn a_volume_that_will_be_full_within_two_weeks_is_told_with_its_rate() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.5)]).apply(Event::Trends(filling(5.0).into())).assess();
        let seen = script.finding("disk.full-in", "/").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "full in 10 d"));
        let expected = ["50.0 GiB left", "5.0 GiB more a day", "between 9 d and 12 d", "so for 12 d"];
        assert_eq!(seen.evidence, expected);
        assert_eq!((seen.value, seen.unit), (Some(864_000.0), Some(Unit::Seconds)));

        script.apply(Event::Trends(filling(3.3).into())).assess();
        assert_eq!(script.open(), ["disk.full-in /"], "15 days: it clears two days further away");
        script.apply(Event::Trends(filling(3.0).into())).assess();
        assert!(script.open().is_empty());
        script.apply(Event::Trends(filling(3.3).into())).assess();
        assert!(script.open().is_empty(), "15 days are more than two weeks");
    }

    #[test]
    fn a_cleanup_clears_it_at_once_and_a_young_history_is_said() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.5)]).apply(Event::Trends(filling(5.0).into())).assess();
        script.volumes([("/", 0.9)]).assess();
        assert!(script.open().is_empty());
        let series = SeriesKey::new(&metric::DISK_FREE_BYTES, [("mount", "/")]);
        let young = TrendSample { at: wall(0), trends: Vec::new(), too_young: vec![(series, 3)] };
        script.apply(Event::Trends(young.into())).assess();
        assert_eq!(script.waiting("disk.full-in"), ["a week of its history is needed, and 3 d are there"]);
    }
}
