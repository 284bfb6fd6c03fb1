//! The state as Prometheus reads it (Prometheus documentation, *Exposition formats*, text format 0.0.4): the same series that are
//! recorded, with what sources and findings say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::{Moment, SeriesKey};
use crate::store::State;

/// What the text is, for the header of an answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Series that are told to others and not recorded: of findings and sources the state has more to say than a number.
const FINDING: (&str, &str) = ("finding", "1 for each finding that needs someone");
const SOURCE: (&str, &str) = ("source_fresh", "1 while a source can be read, 0 while what is there cannot");

/// By name: what it says, and its series with their values.
type Families<'a> = BTreeMap<String, (&'a str, Vec<(SeriesKey, f64)>)>;

/// Every series of this moment.
pub fn exposition(state: &State, now: Moment) -> String {
    let mut families = Families::new();
    for (key, value) in state.metrics(now) {
        let help = key.metric().map_or("", |metric| metric.help);
        families.entry(key.name.to_string()).or_insert((help, Vec::new())).1.push((key, value));
    }
    let findings = state.findings.needing_someone(now).into_iter().map(|finding| {
        let severity: &str = finding.seen.severity.into();
        let labels = [("id", finding.seen.id), ("subject", &*finding.seen.subject), ("severity", severity)];
        (plain(FINDING.0, &labels), 1.0)
    });
    families.insert(FINDING.0.to_owned(), (FINDING.1, findings.collect()));
    let sources = state.sources.iter().filter_map(|(id, source)| {
        let is_hidden = source.hides_something(now);
        let is_fresh = source.last_ok.is_some() && !is_hidden;
        // What is absent is neither fresh nor at fault.
        (is_fresh || is_hidden).then(|| (plain(SOURCE.0, &[("source", id.into())]), f64::from(u8::from(is_fresh))))
    });
    families.insert(SOURCE.0.to_owned(), (SOURCE.1, sources.collect()));
    write(&families)
}

fn plain(name: &str, labels: &[(&str, &str)]) -> SeriesKey {
    labels.iter().fold(SeriesKey { name: name.into(), labels: Vec::new() }, |key, (name, value)| key.with(name, value))
}

fn write(families: &Families<'_>) -> String {
    let mut text = String::new();
    for (name, (help, series)) in families.iter().filter(|(_, (_, series))| !series.is_empty()) {
        // Writing to a string cannot fail. What only rises is told as a gauge, too: it comes from others, who may begin anew.
        let _written = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (key, value) in series {
            let _written = writeln!(text, "{key} {value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::Script;

    #[test]
    fn every_series_is_told_once_below_its_name() {
        let mut script = Script::new();
        script.at(0).memory(0.5).volumes([("/", 0.05), ("/a\"b", 0.5)]).assess();
        let text = exposition(&script.state, script.state.now);
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with("disk_free_ratio")).collect();
        assert_eq!(told, ["disk_free_ratio{mount=\"/\"} 0.05", "disk_free_ratio{mount=\"/a\\\"b\"} 0.5"]);
        assert_eq!(text.matches("# TYPE disk_free_ratio gauge\n").count(), 1);
        assert!(text.contains("finding{id=\"disk.free\",severity=\"critical\",subject=\"/\"} 1\n"), "{text}");
        assert!(text.contains("source_fresh{source=\"host\"} 1\n"), "{text}");
        assert!(text.ends_with('\n') && !text.contains("NaN"));
        let keys: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' ').map(|(key, _)| key))
            .collect();
        let unique: std::collections::HashSet<&&str> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len());
    }
}
