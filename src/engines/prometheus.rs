//! The Prometheus text format (0.0.4, and what `OpenMetrics` adds to a sample line), read strictly and line by line.
//!
//! A parser of its own because the published ones refuse the colon in names such as `vllm:num_requests_running`, or split
//! labels at every comma. It borrows from the text, looks at each byte once and never fails in any other way than
//! [`Malformed`]; the text's length is bounded by whoever fetched it. Comments (`# HELP`, `# TYPE`, `# EOF`) are skipped.

use std::borrow::Cow;

use crate::domain::{Reading, Why};

/// One sample: a name, its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name.
    pub name: Cow<'a, str>,
    /// Its labels in order. Foreign text.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Its value; may be NaN or infinite.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_ref())
    }
}

/// A line that is not in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its metrics cannot be read: line {line}: {what}")]
pub struct Malformed {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// The samples in `text`, in order.
pub fn samples(text: &str) -> impl Iterator<Item = Result<Sample<'_>, Malformed>> {
    (1..).zip(text.lines()).filter_map(|(line, content)| {
        let mut scan = Scan { rest: content };
        scan.blanks();
        if scan.rest.is_empty() || scan.rest.starts_with('#') {
            return None;
        }
        Some(scan.sample().map_err(|what| Malformed { line, what }))
    })
}

/// A gauge that counts something, as a whole number; `None` for what is no count (NaN, negative, infinite).
pub fn count(value: f64) -> Option<u64> {
    // Above 2⁵³ not every whole number can be told, and no server counts so far.
    (0.0..=9_007_199_254_740_992.0).contains(&value).then_some(value as u64)
}

/// A gauge that counts something, summed over all its series.
pub fn sum(text: &str, name: &str) -> Reading<u64> {
    let mut sum = None;
    for sample in samples(text) {
        match sample {
            Ok(sample) if sample.name == name => sum = Some(sum.unwrap_or(0.0) + sample.value),
            Ok(_) => {}
            Err(malformed) => return Reading::Unavailable(Why::new(malformed.to_string())),
        }
    }
    let Some(sum) = sum else { return Reading::Unavailable(Why::new(format!("it does not tell {name}"))) };
    counted(sum)
}

/// A sum of such gauges.
pub fn counted(sum: f64) -> Reading<u64> {
    count(sum).map_or(Reading::Unavailable("it counts no number".into()), Reading::Known)
}

/// A gauge that says which part of something is in use, 0 to 1.
pub fn ratio(value: f64) -> Reading<f64> {
    // A little beyond is what rounding makes of a whole.
    if (0.0..=1.01).contains(&value) {
        Reading::Known(value.min(1.0))
    } else {
        Reading::Unavailable("it tells no share between 0 and 1".into())
    }
}

/// What is left of a line.
struct Scan<'a> {
    rest: &'a str,
}

type Part<T> = Result<T, &'static str>;

impl<'a> Scan<'a> {
    fn sample(&mut self) -> Part<Sample<'a>> {
        // A name of any characters stands quoted among the labels.
        let bare = if self.rest.starts_with('{') { None } else { Some(self.name(true)?) };
        self.blanks();
        let mut quoted = None;
        let labels = if self.eat('{') { self.labels(&mut quoted)? } else { Vec::new() };
        let name = match (bare, quoted) {
            (Some(bare), None) => Cow::Borrowed(bare),
            (None, Some(quoted)) => quoted,
            (Some(_), Some(_)) => return Err("two names"),
            (None, None) => return Err("no name"),
        };
        let value = self.number()?;
        self.blanks();
        if !self.rest.is_empty() && !self.rest.starts_with('#') {
            self.number()?;
            self.blanks();
        }
        if self.eat('#') {
            self.exemplar()?;
        }
        if self.rest.is_empty() { Ok(Sample { name, labels, value }) } else { Err("something follows the value") }
    }

    /// `{trace_id="…"} 0.1 1700000000.0`: checked, not kept.
    fn exemplar(&mut self) -> Part<()> {
        self.blanks();
        if !self.eat('{') {
            return Err("no labels in the exemplar");
        }
        self.labels(&mut None)?;
        self.number()?;
        self.blanks();
        if !self.rest.is_empty() {
            self.number()?;
            self.blanks();
        }
        Ok(())
    }

    /// Labels up to and with the closing brace; a quoted item without a value goes to `name`.
    fn labels(&mut self, name: &mut Option<Cow<'a, str>>) -> Part<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
        let mut labels = Vec::new();
        loop {
            self.blanks();
            if self.eat('}') {
                return Ok(labels);
            }
            let quoted = self.rest.starts_with('"');
            let label = if quoted { self.quoted()? } else { Cow::Borrowed(self.name(false)?) };
            self.blanks();
            if self.eat('=') {
                self.blanks();
                labels.push((label, self.quoted()?));
            } else if quoted && labels.is_empty() && name.is_none() {
                *name = Some(label);
            } else {
                return Err("a label without a value");
            }
            self.blanks();
            if !self.eat(',') && !self.rest.starts_with('}') {
                return Err("labels not separated by a comma");
            }
        }
    }

    /// A bare name: letters, digits and `_`, for a metric also `:`, not beginning with a digit.
    fn name(&mut self, colons: bool) -> Part<&'a str> {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || (colons && *byte == b':');
        let length = self.rest.bytes().take_while(allowed).count();
        let name = self.advance(length);
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err("a name of other characters than letters, digits, `_` and `:`");
        }
        Ok(name)
    }

    /// A quoted text with the escapes `\\`, `\"` and `\n`.
    fn quoted(&mut self) -> Part<Cow<'a, str>> {
        if !self.eat('"') {
            return Err("a value without quotes");
        }
        let plain = self.rest.find(['"', '\\']).ok_or("quotes that do not end")?;
        let start = self.advance(plain);
        if self.eat('"') {
            return Ok(Cow::Borrowed(start));
        }
        let mut text = start.to_owned();
        loop {
            let end = self.rest.find(['"', '\\']).ok_or("quotes that do not end")?;
            text.push_str(self.advance(end));
            if self.eat('"') {
                return Ok(Cow::Owned(text));
            }
            self.advance(1);
            text.push(match self.rest.bytes().next() {
                Some(b'n') => '\n',
                Some(b'"') => '"',
                Some(b'\\') => '\\',
                _ => return Err("an unknown escape"),
            });
            self.advance(1);
        }
    }

    /// A number after blanks: `1`, `0.5`, `1.8e+09`, `NaN`, `+Inf`.
    fn number(&mut self) -> Part<f64> {
        self.blanks();
        let length = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        self.advance(length).parse().map_err(|_| "no number where a value must stand")
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The next `length` bytes, which end at a character.
    fn advance(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is written exactly is read exactly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Sample<'_> {
        samples(line).next().unwrap().unwrap()
    }

    fn wrong(line: &str) -> &'static str {
        samples(line).find_map(Result::err).unwrap_or_else(|| panic!("{line:?} was read")).what
    }

    #[test]
    fn a_sample_has_name_labels_and_value() {
        let sample = one("vllm:num_requests_running{engine=\"0\",model_name=\"tiny\"} 2.0");
        assert_eq!(sample.name, "vllm:num_requests_running");
        assert_eq!(
            (sample.label("engine"), sample.label("model_name"), sample.label("x")),
            (Some("0"), Some("tiny"), None)
        );
        assert_eq!(sample.value, 2.0);
        assert_eq!(one("llamacpp:requests_processing 2").value, 2.0);
        assert_eq!(one("\t a { b = \"c\" , } \t 1 ").labels.len(), 1);
        assert_eq!(one("a{} 1").labels.len(), 0);
    }

    #[test]
    fn escapes_commas_and_braces_belong_to_the_value() {
        let sample = one(r#"a{path="C:\\x\n\"y\"",list="b,c}d = e # f"} 1"#);
        assert_eq!(sample.label("path"), Some("C:\\x\n\"y\""));
        assert_eq!(sample.label("list"), Some("b,c}d = e # f"));
        assert_eq!(one("a{b=\"日本\"} 1").label("b"), Some("日本"));
    }

    #[test]
    fn every_number_of_the_format_is_read() {
        assert!(one("a NaN").value.is_nan());
        assert_eq!(one("a +Inf").value, f64::INFINITY);
        assert_eq!(one("a -Inf").value, f64::NEG_INFINITY);
        assert_eq!(one("a 1.7954594663351717e+09").value, 1_795_459_466.335_171_7);
        assert_eq!(one("a 1 1795459466000").value, 1.0);
        assert_eq!(
            (count(5.0), count(0.0), count(-1.0), count(f64::NAN), count(f64::INFINITY)),
            (Some(5), Some(0), None, None, None)
        );
    }

    #[test]
    fn exemplars_and_quoted_names_are_borne() {
        let sample = one("a_bucket{le=\"0.1\"} 8 # {trace_id=\"KO#}5\"} 0.067 1520879607.789");
        assert_eq!((sample.value, sample.label("le")), (8.0, Some("0.1")));
        assert_eq!(one("a_total 17 1520879607.789 # {} 0.5").value, 17.0);
        let sample = one("{\"my.metric\", \"my.label\"=\"x\"} 3");
        assert_eq!((sample.name.as_ref(), sample.label("my.label"), sample.value), ("my.metric", Some("x"), 3.0));
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let text = "# HELP a b\n# TYPE a gauge\n\n   \na 1\r\n# EOF\n";
        assert_eq!(samples(text).map(|sample| sample.unwrap().value).collect::<Vec<_>>(), [1.0]);
    }

    #[test]
    fn what_is_not_in_the_format_is_told_with_its_line() {
        let error = samples("a 1\n<html>\n").find_map(Result::err).unwrap();
        assert_eq!(
            error.to_string(),
            "its metrics cannot be read: line 2: a name of other characters than letters, digits, `_` and `:`"
        );
        for (line, what) in [
            ("a", "no number where a value must stand"),
            ("a{b=\"c\"}", "no number where a value must stand"),
            ("a x", "no number where a value must stand"),
            ("a 1 2 3", "something follows the value"),
            ("a{b=c} 1", "a value without quotes"),
            ("a{b} 1", "a label without a value"),
            ("a{\"b\"} 1", "two names"),
            ("{b=\"c\"} 1", "no name"),
            ("a{b=\"c\" d=\"e\"} 1", "labels not separated by a comma"),
            ("a{b=\"c", "quotes that do not end"),
            ("a{b=\"\\", "an unknown escape"),
            ("a{b=\"\\t\"} 1", "an unknown escape"),
            ("a{b:c=\"d\"} 1", "a label without a value"),
            ("a 1 # 2", "no labels in the exemplar"),
        ] {
            assert_eq!(wrong(line), what, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ -~\\n\\t\"\\\\{}#,=é]{0,300}") {
            prop_assert!(samples(&text).count() <= text.lines().count());
        }

        #[test]
        fn any_label_survives(value in any::<String>()) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let line = format!("a{{b=\"{escaped}\"}} 1");
            // Only `\n` (and `\r\n`) ends a line of the format.
            prop_assume!(!value.contains('\r'));
            let sample = samples(&line).next().unwrap().unwrap();
            prop_assert_eq!(sample.label("b"), Some(value.as_str()));
        }
    }
}
