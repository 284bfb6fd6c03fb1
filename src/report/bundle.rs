//! What a bug report needs, as Markdown, with secrets and names taken out.

use std::fmt::Write as _;

use super::check::{CheckReport, findings_text};
use super::doctor::{DoctorReport, section_text};
use super::look::Look;
use super::mask::{MASK, Names, mask};
use crate::domain::units;

/// The bundle. `config` is the config in force; `look` should have no colours.
pub fn bundle(doctor: &DoctorReport, check: &CheckReport, config: &str, names: &Names, look: &Look) -> String {
    let mut text = format!(
        "# hostler {}: report of a box\n\nPasswords, tokens and names are masked as far as they can be told; \
         read it through before you pass it on.\n\n\
         - host: {}\n- at: {}\n- verdict: {}\n",
        doctor.version,
        doctor.host,
        look.time(doctor.at),
        doctor.verdict,
    );
    text.push_str("\n## Sources\n\n| source | status | age | detail |\n|---|---|---|---|\n");
    for source in &doctor.sources {
        let age = source
            .age_seconds
            .map_or_else(String::new, |seconds| units::span(std::time::Duration::from_secs_f64(seconds)));
        let remedy = source.remedy.as_ref().map_or_else(String::new, |remedy| format!(" ({remedy})"));
        let _ = writeln!(
            text,
            "| {} | {} | {age} | {} |",
            source.id,
            source.status.word(),
            cell(&format!("{}{remedy}", source.detail))
        );
    }
    text.push_str("\n## Container engine\n\n| place | taken | found | why |\n|---|---|---|---|\n");
    for place in &doctor.docker {
        let taken = if place.taken { "yes" } else { "" };
        let _ = writeln!(
            text,
            "| {} | {taken} | {} | {} |",
            cell(&place.endpoint),
            cell(&place.found),
            cell(&place.because)
        );
    }
    for section in &doctor.sections {
        let _ = write!(text, "\n## {}\n\n{}", section.title, fenced("", &section_text(section, look)));
    }
    let _ =
        write!(text, "\n## Findings\n\n{}", fenced("", &findings_text(&check.findings, check.verdict, check.at, look)));
    let _ = write!(text, "\n## Config in force\n\n{}", fenced("toml", &without_paths(config)));
    mask(&text, names)
}

/// A config without the paths of addresses (`url = "…"`): that of a webhook is a secret.
fn without_paths(config: &str) -> String {
    let cut = |line: &str| {
        let address = line.strip_prefix("url = \"").and_then(|address| address.split_once("://"));
        match address.and_then(|(scheme, rest)| Some((scheme, rest.trim_end_matches('"').split_once('/')?))) {
            Some((scheme, (host, path))) if !path.is_empty() => format!("url = \"{scheme}://{host}/{MASK}\""),
            _ => line.to_owned(),
        }
    };
    config.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// A text in a table: on one line, without what ends a cell.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// A block of text as it is, whatever is in it.
fn fenced(language: &str, text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::super::doctor::tests::report;
    use super::super::look::tests::plain;
    use super::*;
    use crate::make::{Script, container};

    #[test]
    fn the_paths_of_addresses_stay_here() {
        let config =
            "[[alerts.to]]\nurl = \"https://hooks.example/services/T0/B0\"\n\n[[alerts.to]]\nurl = \"http://a:9093/\"";
        let expected = "[[alerts.to]]\nurl = \"https://hooks.example/***\"\n\n[[alerts.to]]\nurl = \"http://a:9093/\"";
        assert_eq!(without_paths(config), expected);
    }

    #[test]
    fn nothing_that_looks_like_a_secret_leaves_the_box() {
        let mut script = Script::new();
        let broken = container("n8n").unhealthy(3, "psql postgres://n8n:hunter2@db failed, TOKEN=abcdef", -60);
        script.at(0).docker([broken]).assess();
        let names = Names { home: Some("/home/ada".into()), user: Some("ada".into()), host: None };
        let text = bundle(&report(), &CheckReport::of(&script.state, false), "# nothing\n", &names, &plain());
        assert!(text.contains("postgres://***@db failed, TOKEN=***"), "{text}");
        for secret in ["hunter2", "abcdef", "/home/ada", "ada"] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
        assert!(text.contains("~/.local/state/hostler"), "{text}");
        assert!(text.contains("## Config in force\n\n```toml\n# nothing\n```\n"), "{text}");
    }

    #[test]
    fn a_text_cannot_break_out_of_its_block_or_cell() {
        assert_eq!(fenced("", "a\n```\nb"), "````\na\n```\nb\n````\n");
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
