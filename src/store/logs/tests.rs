use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn origin(name: &str) -> Arc<LogOrigin> {
    Arc::new(LogOrigin { container: ContainerId::from(name), name: name.into() })
}

fn line(at_ms: i64, text: &str) -> LogLine {
    LogLine {
        origin: origin("web"),
        at: Timestamp::from_millisecond(at_ms).unwrap(),
        level: LogLevel::Info,
        text: text.into(),
    }
}

fn live(lines: Vec<LogLine>) -> LogBatch {
    LogBatch { lines, ..LogBatch::default() }
}

fn backlog(lines: Vec<LogLine>) -> LogBatch {
    LogBatch { lines, backlog: true, ..LogBatch::default() }
}

fn texts(ring: &LogRing) -> Vec<&str> {
    ring.iter().map(|(_, line)| &*line.text).collect()
}

#[test]
fn a_line_that_is_a_little_late_finds_its_place_and_keeps_its_number() {
    let mut ring = LogRing::default();
    ring.push(live(vec![line(1000, "a"), line(3000, "c"), line(2000, "b")]));
    assert_eq!(texts(&ring), ["a", "b", "c"]);
    assert_eq!(&*ring.get(1).unwrap().text, "c");
    assert_eq!(&*ring.get(2).unwrap().text, "b");
    assert_eq!(ring.get(3), None);
    assert_eq!((ring.first_number(), ring.end_number()), (0, 3));
}

#[test]
fn after_the_clock_was_set_back_new_lines_stand_at_the_end() {
    let mut ring = LogRing::default();
    ring.push(live(vec![line(3_600_000, "before")]));
    ring.push(live(vec![line(0, "after"), line(10, "and on")]));
    assert_eq!(texts(&ring), ["before", "after", "and on"]);
}

#[test]
fn a_backlog_stands_where_its_time_says_and_counts_for_nothing() {
    let mut ring = LogRing::default();
    ring.push(live(vec![line(100_000, "live 1"), line(300_000, "live 2")]));
    ring.push(backlog(vec![line(400_000, "new"), line(200_000, "between"), line(0, "old")]));
    assert_eq!(texts(&ring), ["old", "live 1", "between", "live 2", "new"]);
    assert_eq!(&*ring.get(0).unwrap().text, "live 1");
    assert_eq!(ring.stats().next().unwrap().1.lines, 2);
}

#[test]
fn a_backlog_never_pushes_newer_lines_out() {
    let mut ring = LogRing::default();
    ring.push(live((1000..).take(LogRing::LINES).map(|at| line(at, "live")).collect()));
    ring.push(backlog(vec![line(0, "old"), line(1005, "between")]));
    assert_eq!(ring.len(), LogRing::LINES);
    assert!(!texts(&ring).contains(&"old"));
    assert!(texts(&ring).contains(&"between"));
    assert!(ring.lines.capacity() < LogRing::LINES + 1000);
}

#[test]
fn bytes_are_bounded() {
    let mut ring = LogRing::default();
    let long = "x".repeat(LogLine::MAX_BYTES);
    ring.push(live((0..2000).map(|at| line(at, &long)).collect()));
    assert_eq!(ring.len(), LogRing::BYTES / LogLine::MAX_BYTES);
    assert!(ring.bytes() <= LogRing::BYTES);
    assert_eq!(ring.end_number(), 2000);
}

#[test]
fn a_renamed_container_keeps_its_record() {
    let mut ring = LogRing::default();
    ring.push(live(vec![line(1, "a")]));
    let renamed = Arc::new(LogOrigin { name: "web-2".into(), ..(*origin("web")).clone() });
    ring.push(live(vec![LogLine { origin: renamed, level: LogLevel::Error, ..line(2, "b") }]));
    let stats: Vec<_> = ring.stats().collect();
    assert_eq!(stats.len(), 1);
    assert_eq!(&*stats[0].0.name, "web-2");
    assert_eq!((stats[0].1.lines, stats[0].1.errors), (2, 1));
}

#[test]
fn records_of_containers_that_are_gone_are_bounded() {
    let mut ring = LogRing::default();
    for number in 0..1000 {
        let mut line = line(number, "x");
        line.origin = origin(&number.to_string());
        ring.push(live(vec![line]));
        ring.forget_gone(&[]);
    }
    assert!(ring.stats().count() <= LogRing::STATS_OF_GONE);
}

#[test]
fn a_kept_line_costs_little_beside_its_text() {
    assert!(size_of::<Numbered>() <= 64, "{}", size_of::<Numbered>());
}

/// Batches of lines, each with a time and a length; some of them backlogs.
fn batches() -> impl Strategy<Value = Vec<(Vec<(i64, usize)>, bool)>> {
    let lines = prop::collection::vec((0_i64..20_000, 0_usize..LogLine::MAX_BYTES), 0..100);
    prop::collection::vec((lines, prop::bool::weighted(0.3)), 1..30)
}

fn numbers(ring: &LogRing) -> Vec<u64> {
    ring.iter().map(|(number, _)| number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_ring_stays_bounded_ordered_and_numbered(batches in batches()) {
        let mut ring = LogRing::default();
        let origin = origin("web");
        for (lines, is_backlog) in batches {
            let before = numbers(&ring);
            let (end_before, came) = (ring.end_number(), lines.len() as u64);
            let lines = lines.iter().map(|(at, length)| LogLine {
                origin: origin.clone(),
                ..line(*at, &"x".repeat(*length))
            });
            ring.push(LogBatch { lines: lines.collect(), backlog: is_backlog, dropped: 0 });

            let bytes: usize = ring.iter().map(|(_, line)| line.text.len()).sum();
            prop_assert_eq!(ring.bytes(), bytes);
            prop_assert!(ring.len() <= LogRing::LINES && bytes <= LogRing::BYTES);
            // Numbers are given once each and stay with their lines.
            prop_assert!(ring.end_number() - end_before <= came);
            let after = numbers(&ring);
            for (number, line) in ring.iter().step_by(97) {
                prop_assert!(number < ring.end_number());
                prop_assert!(std::ptr::eq(ring.get(number).unwrap(), line));
            }
            // What was there and is still there keeps its order, and only the oldest went.
            let kept: Vec<u64> = after.iter().copied().filter(|number| *number < end_before).collect();
            prop_assert!(before.ends_with(&kept));
            let mut unique = after.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), after.len());
        }
    }

    #[test]
    fn lines_within_the_lateness_stand_in_order_of_time(jitters in prop::collection::vec(0_i64..5000, 1..500)) {
        let mut ring = LogRing::default();
        for (index, jitter) in (0_i64..).zip(jitters) {
            ring.push(live(vec![line(index * 100 + 5000 - jitter, "x")]));
        }
        let times: Vec<_> = ring.iter().map(|(_, line)| line.at).collect();
        prop_assert!(times.is_sorted());
    }
}
