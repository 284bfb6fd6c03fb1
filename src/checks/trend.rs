//! Rules about what changed for good: at once, or little by little.
//!
//! A finding is about one thing (an engine, a card, a container, the host) and names what changed most of it; what else of it
//! changed, what changed then, and what changed beside it are its evidence.

use super::forecast::trends;
use super::gpu::card_name;
use super::{Assessment, Rule, observation};
use crate::domain::{
    Container, Course, FindingId, Mark, MarkKind, Moment, Observation, SeriesKey, Severity, Trend, TrendKind,
    TrendSample, units,
};
use crate::store::State;

/// What changed from one hour to the next.
pub(super) const SUDDEN: Rule = Rule {
    id: "trend.sudden",
    title: "Sudden changes",
    why: "What got worse at once has a cause at that hour, which is best looked for while it is remembered.",
    fix: &[],
    reads: None,
    assess: |state, at, assessment| judge(SUDDEN.id, TrendKind::Sudden, state, at, assessment),
};

/// What changed over weeks.
pub(super) const GRADUAL: Rule = Rule {
    id: "trend.gradual",
    title: "Gradual changes",
    why: "What gets worse little by little is noticed by nobody until it is far too slow, too hot or too full.",
    fix: &[],
    reads: None,
    assess: |state, at, assessment| judge(GRADUAL.id, TrendKind::Gradual, state, at, assessment),
};

/// So many further changes are told in full.
const TOLD: usize = 3;

fn judge(id: FindingId, kind: TrendKind, state: &State, at: Moment, assessment: &mut Assessment) {
    let sample = match trends(state, at) {
        Ok(sample) => sample,
        Err(why) => return assessment.cannot_tell(id, "host", why),
    };
    let mut judged: Vec<&Trend> = sample.trends.iter().filter(|trend| trend.kind == kind).collect();
    judged.sort_by(|a, b| a.subject().cmp(b.subject()).then_with(|| weight(b).total_cmp(&weight(a))));
    for of_one in judged.chunk_by(|a, b| a.subject() == b.subject()) {
        if let Some((first, others)) = of_one.split_first() {
            assessment.see(about(id, first, others, sample, (state, at)));
        }
    }
}

/// What is told first: what is worse, and of that what changed most.
fn weight(trend: &Trend) -> f64 {
    let relative = trend.relative().unwrap_or(1.0).min(99.0);
    relative + if trend.course() == Course::Worse { 100.0 } else { 0.0 }
}

fn about(
    id: FindingId,
    first: &Trend,
    others: &[&Trend],
    sample: &TrendSample,
    (state, at): (&State, Moment),
) -> Observation {
    let severity = if first.course() == Course::Worse { Severity::Warning } else { Severity::Info };
    let ago = units::span(at.since_wall(first.since));
    let (slowly, since) = match first.kind {
        TrendKind::Gradual => (" little by little", format!("{} in {ago}", levels(first))),
        TrendKind::Sudden | TrendKind::FullIn(_) => ("", format!("{}, {ago} ago", levels(first))),
    };
    let title = format!("{} {}{slowly}", what(&first.series), change(first));
    let mut evidence = vec![since];
    evidence.extend(first.cause.as_ref().map(|mark| format!("what changed then: {}", cause(mark))));
    let (told, rest) = others.split_at(others.len().min(TOLD));
    evidence.extend(told.iter().map(|other| format!("{} {}", what(&other.series), change(other))));
    if !rest.is_empty() {
        evidence.push(format!("and {} more of it", super::counted(rest.len() as u64, "series")));
    }
    let beside: Vec<&Trend> = beside(first, others, sample).collect();
    evidence.extend(beside.iter().take(TOLD).map(|other| {
        format!("at the same time, {}: {} {}", name(state, other.subject()), what(&other.series), change(other))
    }));
    let container = container(state, first);
    Observation {
        container: container.map(|container| container.id.clone()),
        project: container.and_then(|container| container.project.clone()),
        service: container.and_then(|container| container.service.clone()),
        evidence,
        since: Some(first.since),
        look: look(first, &beside),
        ..observation(id, first.subject(), severity, title)
    }
}

/// What changed at the same time of something else.
fn beside<'a>(first: &'a Trend, others: &'a [&Trend], sample: &'a TrendSample) -> impl Iterator<Item = &'a Trend> {
    let named = move |trend: &Trend| {
        let mut of_it = std::iter::once(first).chain(others.iter().copied());
        trend.kind == first.kind && of_it.any(|it| it.beside.contains(&trend.series))
    };
    sample.trends.iter().filter(move |trend| trend.subject() != first.subject() && named(trend))
}

/// Tabs that show more of it: where it is, and where what changed beside it is.
fn look(first: &Trend, beside: &[&Trend]) -> &'static [&'static str] {
    let on_card = |trend: &Trend| trend.series.label("gpu").is_some() || trend.subject() == "host";
    if first.series.label("engine").is_some() {
        return if beside.iter().any(|other| on_card(other)) { &["models", "gpu"] } else { &["models"] };
    }
    if on_card(first) { &["gpu"] } else { &["containers"] }
}

/// The container that it is about: by its name, or that of the engine.
fn container<'a>(state: &'a State, trend: &Trend) -> Option<&'a Container> {
    if let Some(name) = trend.series.label("container") {
        return state.containers().iter().find(|container| *container.name == *name).map(|container| &**container);
    }
    let subject = trend.series.label("engine")?;
    let mut engines = state.engines.get().into_iter().flat_map(|sample| &sample.engines);
    let engine = engines.find(|engine| engine.subject() == *subject)?;
    state.container_of(engine).and_then(|id| state.container(id))
}

/// What people call a subject: a card is known by its number.
fn name(state: &State, subject: &str) -> String {
    let gpus = state.gpus.get().into_iter().flat_map(|sample| &sample.gpus);
    let card = gpus.filter(|gpu| *gpu.uuid == *subject).map(|gpu| card_name(gpu.index, &gpu.name)).next();
    card.unwrap_or_else(|| subject.to_owned())
}

/// What a series is of, without its subject: `time to the first token (p95)`.
fn what(series: &SeriesKey) -> String {
    let help = series.metric().map_or(&*series.name, |metric| metric.help);
    let mut text = help.split(',').next().unwrap_or(help).to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    for (label, value) in &series.labels {
        let told = match &**label {
            "quantile" => {
                value.parse::<f64>().map_or_else(|_| value.to_string(), |share| format!("p{}", share * 100.0))
            }
            "disk" | "interface" | "sensor" => value.to_string(),
            _ => continue,
        };
        text.extend([" (", &told, ")"]);
    }
    text
}

/// `rose by 34%`; a temperature by its degrees, and what was nought by what it is.
fn change(trend: &Trend) -> String {
    let verb = if trend.after > trend.before { "rose" } else { "fell" };
    let is_relative = !trend.series.name.ends_with("_celsius");
    let by = trend
        .relative()
        .filter(|relative| is_relative && *relative < 10.0)
        .map_or_else(|| units::quantity(&trend.series.name, (trend.after - trend.before).abs()), units::percent);
    format!("{verb} by {by}")
}

/// `410 ms → 560 ms`.
fn levels(trend: &Trend) -> String {
    let level = |value: f64| units::quantity(&trend.series.name, value);
    format!("{} → {}", level(trend.before), level(trend.after))
}

/// `another image (vllm/vllm-openai 0.9.1 → 0.9.2)`.
fn cause(mark: &Mark) -> String {
    let kind = match mark.kind {
        MarkKind::Image => "another image",
        MarkKind::Model => "another model or version",
        MarkKind::Driver => "another driver",
        MarkKind::Kernel => "another kernel",
        MarkKind::Config => "the config",
        MarkKind::Restart => "a restart",
        MarkKind::Reboot => "a reboot",
        MarkKind::Note => "a note",
        MarkKind::Finding => "a finding",
        MarkKind::Action => "an action",
    };
    format!("{kind} ({})", mark.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Event, Verdict, metric};
    use crate::make::{Script, gpu, wall};

    const DAY: i64 = 86_400;

    fn trend(series: &str, kind: TrendKind, since: i64, before: f64, after: f64) -> Trend {
        let series = series.parse().unwrap();
        Trend { series, kind, since: wall(since), before, after, cause: None, beside: Vec::new() }
    }

    fn script(trends: Vec<Trend>) -> Script {
        let mut script = Script::new();
        script.at(0).gpus([gpu(0)]);
        script.apply(Event::Trends(TrendSample { at: wall(0), trends, too_young: Vec::new() }.into())).assess();
        script
    }

    const TTFT: &str = "inference_ttft_seconds{engine=\"vllm:8000\",quantile=\"0.95\"}";
    const SPEED: &str = "inference_generation_speed_tokens_per_second{engine=\"vllm:8000\"}";
    const HEAT: &str = "gpu_temperature_celsius{gpu=\"GPU-0\"}";

    #[test]
    fn without_history_nothing_is_told_and_that_is_said() {
        let mut script = Script::new();
        script.at(0).assess();
        for id in [SUDDEN.id, GRADUAL.id] {
            assert_eq!(script.waiting(id), ["no history yet: the recorder keeps one"]);
        }
    }

    #[test]
    fn what_got_worse_is_a_warning_with_its_figures_and_its_cause() {
        let mark = Mark {
            at: wall(-3 * DAY),
            kind: MarkKind::Image,
            subject: Some("vllm:8000".to_owned()),
            text: "vllm 0.9.1 → 0.9.2".to_owned(),
        };
        let worse = Trend { cause: Some(mark), ..trend(TTFT, TrendKind::Sudden, -3 * DAY, 0.41, 0.56) };
        let script = script(vec![trend(SPEED, TrendKind::Sudden, -3 * DAY, 54.0, 43.0), worse]);
        let seen = script.finding("trend.sudden", "vllm:8000").seen;
        assert_eq!(
            (seen.severity, seen.title.as_str()),
            (Severity::Warning, "time to the first token (p95) rose by 37%")
        );
        let expected = [
            "410 ms → 560 ms, 3 d ago",
            "what changed then: another image (vllm 0.9.1 → 0.9.2)",
            "tokens a second of one answer while it is generated fell by 20%",
        ];
        assert_eq!(seen.evidence, expected);
        assert_eq!((seen.since, seen.look), (Some(wall(-3 * DAY)), &["models"] as &[_]));
        assert_eq!(script.open(), ["trend.sudden vllm:8000"], "one finding for one engine");
    }

    #[test]
    fn what_changed_beside_it_is_where_to_look() {
        let slower =
            Trend { beside: vec![HEAT.parse().unwrap()], ..trend(SPEED, TrendKind::Gradual, -40 * DAY, 60.0, 42.0) };
        let script = script(vec![slower, trend(HEAT, TrendKind::Gradual, -38 * DAY, 62.0, 71.0)]);
        let seen = script.finding("trend.gradual", "vllm:8000").seen;
        assert_eq!(seen.title, "tokens a second of one answer while it is generated fell by 30% little by little");
        assert_eq!(seen.evidence[0], "60.0 tokens/s → 42.0 tokens/s in 40 d");
        assert_eq!(seen.evidence[1], "at the same time, gpu0 RTX 4090: a card's temperature rose by 9 °C");
        assert_eq!(seen.look, ["models", "gpu"]);
    }

    #[test]
    fn what_got_better_or_only_follows_the_load_is_worth_knowing() {
        let load = "inference_requests_per_second{engine=\"vllm:8000\"}";
        let script = script(vec![
            trend(TTFT, TrendKind::Sudden, -DAY, 0.56, 0.41),
            trend(load, TrendKind::Gradual, -30 * DAY, 2.0, 3.0),
        ]);
        for id in ["trend.sudden", "trend.gradual"] {
            assert_eq!(script.finding(id, "vllm:8000").seen.severity, Severity::Info, "{id}");
        }
        assert_eq!(script.verdict(), Verdict::Well);
    }

    #[test]
    fn it_clears_when_it_is_no_longer_told_and_an_old_look_tells_nothing() {
        let mut script = script(vec![trend(HEAT, TrendKind::Sudden, -DAY, 62.0, 71.0)]);
        assert_eq!(script.open(), ["trend.sudden GPU-0"]);
        let none = TrendSample { at: wall(3_600), trends: Vec::new(), too_young: Vec::new() };
        script.at(3_600).apply(Event::Trends(none.into())).assess();
        assert!(script.open().is_empty() && script.waiting("trend.sudden").is_empty());
        script.at(3_600 + 90_000).assess();
        assert!(script.waiting("trend.sudden")[0].contains("last looked at 25 h ago"));
    }

    #[test]
    fn every_metric_can_be_told() {
        for metric in metric::METRICS {
            let trend = trend(metric.name, TrendKind::Sudden, 0, 0.0, 2.0);
            let text = format!("{} {} {}", what(&trend.series), change(&trend), levels(&trend));
            assert!(text.is_ascii() || text.contains('→'), "{text}");
            assert!(!what(&trend.series).is_empty() && change(&trend).starts_with("rose by "), "{text}");
        }
    }
}
