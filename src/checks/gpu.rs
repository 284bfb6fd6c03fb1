//! Rules about how hot and how slow a graphics card runs. What is broken about one is in `fault`.

use std::time::Duration;

use super::level::{Level, Side};
use super::{Rule, forecast, observation};
use crate::domain::{Gpu, Moment, Observation, Severity, SourceId, ThrottleReason, Unit, metric};
use crate::store::State;

/// The core's temperature.
pub(super) const TEMPERATURE: Rule = Rule {
    id: "gpu.temperature",
    title: "GPU temperature",
    why: "A card that stays this hot is badly cooled: it slows down, ages, and in the end switches off.",
    fix: &[],
    reads: Some(SourceId::Gpu),
    assess: |state, _, assessment| assessment.observations.extend(cards(state).filter_map(|gpu| too_hot(state, gpu))),
};

/// Slowed down by heat or by the hardware, not by its power limit.
pub(super) const THROTTLE: Rule = Rule {
    id: "gpu.throttle",
    title: "GPU slowed down",
    why: "The card protects itself from heat or from its supply, and every request takes longer.",
    fix: &[],
    reads: Some(SourceId::Gpu),
    assess: |state, at, assessment| {
        assessment.observations.extend(cards(state).filter_map(|gpu| slowed_down(state, gpu, at)));
    },
};

/// When the trend of each card's memory fills it: a leak, or caches that are never let go.
pub(super) const MEMORY_FULL_IN: Rule = Rule {
    id: "gpu.memory-full-in",
    title: "Video memory full soon",
    why: "When a card's memory is full the next request, or the next model, fails.",
    fix: &[],
    reads: Some(SourceId::Gpu),
    assess: |state, at, assessment| {
        let left = |gpu: &Gpu| gpu.memory.get().map(|memory| memory.total_bytes.saturating_sub(memory.used_bytes));
        let mut cards = cards(state).filter_map(|gpu| Some((&*gpu.uuid, left(gpu)?))).peekable();
        // Without a card there is nothing to ask.
        if cards.peek().is_some() {
            forecast::judge(MEMORY_FULL_IN.id, &metric::GPU_MEMORY_USED, cards, (state, at), assessment);
        }
    },
};

/// An open temperature finding clears so many degrees below its limit.
const CLEAR_CELSIUS: f64 = 3.0;

/// Reasons that come back within this time count as one throttle: a card at its limit flickers.
const FLICKER: Duration = Duration::from_secs(5);

/// Cards that answer.
fn cards(state: &State) -> impl Iterator<Item = &Gpu> {
    state.gpus.get().into_iter().flat_map(|sample| &sample.gpus).filter(|gpu| !gpu.lost)
}

/// `gpu0 RTX 4090`: what a person calls the card.
pub(super) fn card_name(index: u32, name: &str) -> String {
    format!("gpu{index} {name}").trim_end().to_owned()
}

fn too_hot(state: &State, gpu: &Gpu) -> Option<Observation> {
    let celsius = f64::from(gpu.temperature_celsius.get()?);
    let limits = &state.thresholds;
    let open = state.findings.open_severity(TEMPERATURE.id, &gpu.uuid);
    // Some boards have no threshold of their own and say 0.
    let own = gpu.slowdown_celsius.get().map(f64::from).filter(|own| *own > 0.0);
    let reached =
        own.filter(|own| celsius >= *own || (open == Some(Severity::Critical) && celsius > own - CLEAR_CELSIUS));
    let level = Level {
        side: Side::Above,
        warning: limits.gpu_temperature_warning,
        critical: limits.gpu_temperature_critical,
        clear: CLEAR_CELSIUS,
    };
    let (severity, limit) = match (reached, level.judge(celsius, open)) {
        (_, Some((Severity::Critical, limit))) => (Severity::Critical, limit),
        (Some(own), _) => (Severity::Critical, own),
        (None, judged) => judged?,
    };
    let mut evidence = vec![card_name(gpu.index, &gpu.name), format!("limit {limit:.0} °C")];
    evidence.extend(own.map(|own| format!("slows down at {own:.0} °C")));
    Some(Observation {
        evidence,
        value: Some(celsius),
        limit: Some(limit),
        unit: Some(Unit::Celsius),
        look: &["gpu"],
        hold_for: limits.gpu_hold_for,
        level: state.findings.is_first_look(SourceId::Gpu),
        ..observation(TEMPERATURE.id, gpu.uuid.clone(), severity, format!("{celsius:.0} °C"))
    })
}

fn slowed_down(state: &State, gpu: &Gpu, at: Moment) -> Option<Observation> {
    let (last, reasons) = state.cards.get(&gpu.uuid)?.throttled.as_ref()?;
    let open = state.findings.open_severity(THROTTLE.id, &gpu.uuid);
    let hold_for = state.thresholds.gpu_hold_for;
    let lasts = if open.is_some() { hold_for.max(FLICKER) } else { FLICKER };
    if at.since(*last) > lasts {
        return None;
    }
    let hardware = reasons.iter().any(|reason| *reason != ThrottleReason::SoftwareThermal);
    // While it is open it does not get better by half: reasons take turns.
    let severity = if hardware { Severity::Critical } else { Severity::Warning }.max(open.unwrap_or(Severity::Info));
    let mut evidence = vec![card_name(gpu.index, &gpu.name)];
    evidence.extend(reasons.iter().map(ToString::to_string));
    if let (Some(now), Some(most)) = (gpu.sm_clock_mhz.get(), gpu.sm_clock_max_mhz.get()) {
        evidence.push(format!("sm {now} of {most} MHz"));
    }
    Some(Observation {
        evidence,
        look: &["gpu"],
        hold_for,
        ..observation(THROTTLE.id, gpu.uuid.clone(), severity, "slowed down")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Reading::{Known, Unavailable};
    use crate::domain::{Event, Forecast, GpuMemory, SeriesKey, Trend, TrendKind, TrendSample, Why};
    use crate::make::{Script, gpu, wall};

    fn at_celsius(celsius: u32) -> Gpu {
        Gpu { temperature_celsius: Known(celsius), slowdown_celsius: Known(95), ..gpu(0) }
    }

    fn throttled(reason: Option<ThrottleReason>) -> Gpu {
        Gpu { throttle: Known(reason.into_iter().collect()), ..gpu(0) }
    }

    #[test]
    fn heat_is_named_at_the_first_look_and_the_limit_is_not_heat() {
        for (celsius, severity) in
            [(85, None), (86, Some(Severity::Warning)), (90, Some(Severity::Warning)), (91, Some(Severity::Critical))]
        {
            let mut script = Script::new();
            script.at(0).gpus([at_celsius(celsius)]).assess();
            let found = script.all().first().map(|finding| finding.seen.severity);
            assert_eq!(found, severity, "{celsius} °C");
        }
    }

    #[test]
    fn the_cards_own_threshold_is_critical_wherever_it_lies() {
        let early = |celsius| Gpu { slowdown_celsius: Known(83), ..at_celsius(celsius) };
        let mut script = Script::new();
        script.at(0).gpus([early(83)]).assess();
        let seen = script.finding("gpu.temperature", "GPU-0").seen;
        assert_eq!((seen.severity, seen.limit), (Severity::Critical, Some(83.0)));
        assert_eq!(seen.evidence, ["gpu0 RTX 4090", "limit 83 °C", "slows down at 83 °C"]);
        script.at(1).gpus([early(81)]).assess();
        assert_eq!(script.open(), ["gpu.temperature GPU-0"]);
        script.at(2).gpus([early(80)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_peak_shorter_than_the_hold_is_no_news_and_a_long_one_clears_three_degrees_below() {
        let mut script = Script::new();
        script.at(0).gpus([at_celsius(60)]).assess();
        script.at(1).gpus([at_celsius(88)]).assess();
        script.at(30).gpus([at_celsius(88)]).assess();
        assert!(script.open().is_empty());
        script.at(31).gpus([at_celsius(88)]).assess();
        assert_eq!(script.open(), ["gpu.temperature GPU-0"]);
        script.at(32).gpus([at_celsius(83)]).assess();
        assert_eq!(script.open(), ["gpu.temperature GPU-0"]);
        script.at(33).gpus([at_celsius(82)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn memory_that_fills_is_told_with_its_end_and_without_cards_nothing_is_asked() {
        let mut script = Script::new();
        script.at(0).gpus([]).assess();
        assert!(script.waiting("gpu.memory-full-in").is_empty());
        script.at(1).gpus([gpu(0)]).assess();
        assert_eq!(script.waiting("gpu.memory-full-in"), ["no history yet: the recorder keeps one"]);

        let forecast = Forecast { left: 6e9, used_per_day: 1e9, days_left: 6.0, between_days: (5.0, 8.0) };
        let trend = Trend {
            series: SeriesKey::new(&metric::GPU_MEMORY_USED, [("gpu", "GPU-0")]),
            kind: TrendKind::FullIn(forecast),
            since: wall(-9 * 86_400),
            before: 1e10,
            after: 1.9e10,
            cause: None,
            beside: Vec::new(),
        };
        let used = |used_bytes| Gpu {
            memory: Known(GpuMemory { total_bytes: 25_000_000_000, used_bytes, reserved_bytes: 0 }),
            ..gpu(0)
        };
        let sample = TrendSample { at: wall(1), trends: vec![trend], too_young: Vec::new() };
        script.gpus([used(19_000_000_000)]).apply(Event::Trends(sample.into())).assess();
        assert_eq!(script.finding("gpu.memory-full-in", "GPU-0").seen.title, "full in 6 d");
        // A restart lets it go.
        script.gpus([used(1_000_000_000)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_temperature_that_cannot_be_read_says_nothing() {
        let mut script = Script::new();
        script.at(0).gpus([Gpu { temperature_celsius: Unavailable(Why::NOT_SUPPORTED), ..gpu(0) }]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_throttle_that_flickers_is_one_throttle() {
        let mut script = Script::new();
        for second in 0..30 {
            let reason = (second % 4 == 0).then_some(ThrottleReason::SoftwareThermal);
            script.at(second).gpus([throttled(reason)]).assess();
            assert!(script.open().is_empty());
        }
        script.at(30).gpus([throttled(None)]).assess();
        let seen = script.finding("gpu.throttle", "GPU-0").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "slowed down"));
        assert_eq!(seen.evidence, ["gpu0 RTX 4090", "too hot (driver)"]);
        // Last seen at 28; it clears half a minute later.
        script.at(58).gpus([throttled(None)]).assess();
        assert_eq!(script.open(), ["gpu.throttle GPU-0"]);
        script.at(59).gpus([throttled(None)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn the_hardwares_own_slowdown_is_critical_and_the_power_limit_is_normal() {
        for (reason, severity) in [
            (ThrottleReason::HardwareSlowdown, Some(Severity::Critical)),
            (ThrottleReason::PowerBrake, Some(Severity::Critical)),
            (ThrottleReason::PowerCap, None),
            (ThrottleReason::SyncBoost, None),
        ] {
            let mut script = Script::new();
            for second in [0, 4, 8, 12, 16, 20, 24, 28, 32] {
                script.at(second).gpus([throttled(Some(reason))]).assess();
            }
            assert_eq!(script.all().first().map(|finding| finding.seen.severity), severity, "{reason}");
        }
    }
}
