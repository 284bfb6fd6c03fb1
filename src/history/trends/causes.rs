//! What else happened when a series changed: marks as likely causes, and other series as places to look.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Mark, MarkKind, SeriesKey, Trend, TrendKind};

/// Which subjects belong together, so that what happens to one may show in the other.
#[derive(Debug, Clone, Default)]
pub struct Related(Vec<(Arc<str>, Arc<str>)>);

impl Related {
    /// From pairs such as an engine and its container, or an engine and a card that it computes on.
    pub fn new(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Whether two subjects are the same, belong together, or one of them is the whole box.
    fn are(&self, a: &str, b: &str) -> bool {
        a == b || [a, b].contains(&WHOLE) || self.0.iter().any(|(x, y)| [(a, b), (b, a)].contains(&(&**x, &**y)))
    }
}

/// The subject of what is of the whole box.
const WHOLE: &str = "host";

/// How far a mark may lie from a sudden change to be told as its cause.
const SUDDEN: SignedDuration = SignedDuration::from_hours(12);
/// The same of a gradual one, whose beginning is not known to the day.
const GRADUAL: SignedDuration = SignedDuration::from_hours(72);

/// Whether what comes after is another thing, to be compared with itself alone: engine, model, version or driver are no longer
/// the same.
pub(super) fn begins_anew(kind: MarkKind) -> bool {
    matches!(kind, MarkKind::Image | MarkKind::Model | MarkKind::Driver)
}

/// The marks that concern a series: those of its subject, of what belongs to it, and of the whole box. Another driver concerns
/// what is on the cards alone.
pub(super) fn concerning<'a>(
    marks: &'a [Mark],
    key: &'a SeriesKey,
    related: &'a Related,
) -> impl Iterator<Item = &'a Mark> {
    let on_cards = key.label("gpu").is_some() || key.label("engine").is_some();
    let subject = key.subject();
    marks.iter().filter(move |mark| match (&mark.subject, mark.kind) {
        // A finding is no cause, but another sign of the same thing.
        (_, MarkKind::Finding) => false,
        (None, MarkKind::Driver) => on_cards,
        (None, _) => true,
        (Some(of), _) => **of == *subject || (subject != WHOLE && related.are(of, subject)),
    })
}

/// The likely cause of a change: of the marks near its beginning the nearest; a note is the last to be taken.
pub(super) fn cause(marks: &[&Mark], since: Timestamp, kind: TrendKind) -> Option<Mark> {
    let within = if kind == TrendKind::Sudden { SUDDEN } else { GRADUAL };
    let away = |mark: &Mark| mark.at.duration_since(since).abs();
    let near = marks.iter().filter(|mark| away(mark) <= within);
    near.min_by_key(|mark| (mark.kind == MarkKind::Note, away(mark))).map(|mark| (*mark).clone())
}

/// Says of each trend which others began at the same time, of the same subject or of one that belongs to it.
pub(super) fn link(trends: &mut [Trend], related: &Related) {
    let beside: Vec<Vec<SeriesKey>> = trends
        .iter()
        .map(|trend| {
            let others = trends.iter().filter(|other| {
                other.series != trend.series
                    && related.are(trend.subject(), other.subject())
                    && began_together(trend, other)
            });
            others.map(|other| other.series.clone()).collect()
        })
        .collect();
    for (trend, beside) in trends.iter_mut().zip(beside) {
        trend.beside = beside;
    }
}

fn began_together(a: &Trend, b: &Trend) -> bool {
    let apart = a.since.duration_since(b.since).abs();
    match (a.kind, b.kind) {
        (TrendKind::Sudden, TrendKind::Sudden) => apart <= SignedDuration::from_hours(24),
        (TrendKind::Gradual, TrendKind::Gradual) => apart <= SignedDuration::from_hours(10 * 24),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(hour: i64, kind: MarkKind, subject: Option<&str>) -> Mark {
        let at = Timestamp::from_second(hour * 3_600).unwrap();
        Mark { at, kind, subject: subject.map(str::to_owned), text: hour.to_string() }
    }

    #[test]
    fn a_mark_concerns_its_subject_what_belongs_to_it_and_the_whole_box() {
        let related = Related::new([("vllm:8000".into(), "vllm".into())]);
        let marks = [
            mark(0, MarkKind::Driver, None),
            mark(1, MarkKind::Kernel, None),
            mark(2, MarkKind::Image, Some("vllm")),
            mark(3, MarkKind::Restart, Some("other")),
            mark(4, MarkKind::Finding, Some("vllm:8000")),
        ];
        let told = |series: &str| -> Vec<String> {
            let key = series.parse().unwrap();
            concerning(&marks, &key, &related).map(|mark| mark.text.clone()).collect()
        };
        assert_eq!(told("inference_ttft_seconds{engine=\"vllm:8000\"}"), ["0", "1", "2"]);
        assert_eq!(told("gpu_power_watts{gpu=\"GPU-0\"}"), ["0", "1"]);
        assert_eq!(told("cpu_used_ratio"), ["1"], "the driver is no matter of the host, nor is one container");
    }

    #[test]
    fn the_nearest_mark_is_the_cause_and_a_note_only_where_there_is_no_other() {
        let [note, far, restart] = [(100, MarkKind::Note), (80, MarkKind::Image), (108, MarkKind::Restart)]
            .map(|(hour, kind)| mark(hour, kind, None));
        let since = Timestamp::from_second(101 * 3_600).unwrap();
        let told = |marks: &[&Mark], kind| cause(marks, since, kind).map(|mark| mark.kind);
        assert_eq!(told(&[&note, &far, &restart], TrendKind::Sudden), Some(MarkKind::Restart));
        assert_eq!(told(&[&note, &far], TrendKind::Sudden), Some(MarkKind::Note));
        assert_eq!(
            (told(&[&far], TrendKind::Sudden), told(&[&far], TrendKind::Gradual)),
            (None, Some(MarkKind::Image))
        );
    }
}
