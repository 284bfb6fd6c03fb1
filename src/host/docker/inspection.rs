//! Everything the engine says of a container, as it says it: fields that hostler knows nothing of too.

use serde_json::Value;

use super::{DockerClient, EngineError};
use crate::domain::{ContainerId, Failure, Inspection, InspectionLine, secret};
use crate::host::foreign;

impl DockerClient {
    /// Everything the engine says of a container, stripped, bounded and without secrets. `None` if there is no such
    /// container (any more).
    ///
    /// # Errors
    /// When the engine cannot be asked, or does not answer in time.
    pub async fn describe(&self, id: &ContainerId) -> Result<Option<Inspection>, Failure> {
        match self.inspect_raw(&id.0).await {
            Ok(value) => Ok(value.map(|value| outline(&value))),
            Err(EngineError::Failed(failure)) => Err(failure),
            Err(error) => Err(Failure::failed(error.to_string())),
        }
    }
}

/// The lines of an answer.
fn outline(value: &Value) -> Inspection {
    let mut inspection = Inspection::default();
    below(&mut inspection, value, 0);
    inspection
}

/// The fields of an object, or the items of a list.
fn below(inspection: &mut Inspection, value: &Value, depth: usize) {
    if depth >= Inspection::DEPTH {
        inspection.cut = true;
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = clean(name);
                line(inspection, depth, format!("{name}:"), value, named(&name, value));
            }
        }
        Value::Array(items) => {
            let words = items.iter().map(|item| item.as_str().map(clean)).collect::<Option<Vec<_>>>();
            let masked = words.map(|words| masked_list(&words));
            for (number, item) in items.iter().enumerate() {
                let text = masked.as_ref().map(|masked| masked[number].clone());
                line(inspection, depth, "-".to_owned(), item, text);
            }
        }
        _ => {}
    }
}

/// Adds a line, with what stands below it. `text` is its value where that is a text.
fn line(inspection: &mut Inspection, depth: usize, label: String, value: &Value, text: Option<String>) {
    if inspection.lines.len() >= Inspection::LINES {
        inspection.cut = true;
        return;
    }
    let value_text = match value {
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(_) | Value::Array(_) => String::new(),
        Value::String(said) => {
            let text = text.unwrap_or_else(|| secret::mask_text(&clean(said)));
            if text.is_empty() { "\"\"".to_owned() } else { foreign::clean(&text, Inspection::BYTES).into_owned() }
        }
        other => other.to_string(),
    };
    inspection.lines.push(InspectionLine { depth, label, value: value_text });
    below(inspection, value, depth + 1);
}

/// The value of a name, if it is a text: masked where the name speaks of a secret.
fn named(name: &str, value: &Value) -> Option<String> {
    let text = clean(value.as_str()?);
    Some(if secret::names_secret(name) {
        secret::masked_value(name, &text).to_owned()
    } else {
        secret::mask_text(&text)
    })
}

/// A list of texts: variables, or the words of a command line, or neither.
fn masked_list(words: &[String]) -> Vec<String> {
    let is_variable = |word: &String| {
        word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        })
    };
    if words.iter().all(is_variable) {
        return words.iter().map(|word| secret::mask_assignment(word)).collect();
    }
    secret::mask_words(words.iter().map(String::as_str))
}

/// Stripped to one line, before secrets are looked for: what is stripped could stand in the middle of a name. More is looked
/// at than is shown, so that a cut does not hide what a word is.
fn clean(text: &str) -> String {
    let bounded = text.get(..text.floor_char_boundary(16 * Inspection::BYTES)).unwrap_or_default();
    foreign::clean(&bounded.replace(['\n', '\r'], " "), 16 * Inspection::BYTES).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drawn(value: &Value) -> Vec<String> {
        let line = |line: &InspectionLine| format!("{}{} {}", "  ".repeat(line.depth), line.label, line.value);
        outline(value).lines.iter().map(|it| line(it).trim_end().to_owned()).collect()
    }

    #[test]
    fn secrets_do_not_reach_a_line() {
        let said = json!({
            "Config": {
                "Cmd": ["vllm", "--api-key", "tiger", "--port", "80"],
                "Env": ["PATH=/bin", "DB_PASSWORD=tiger and lion", "URL=postgres://u:tiger@db/x"],
                "Labels": {"a.token": "tiger", "b": "c"}
            },
            "State": {"Health": {"Log": [{"Output": "GET /?token=tiger\nno"}]}},
            "RestartCount": 3, "Mounts": []
        });
        assert_eq!(
            drawn(&said),
            [
                "Config:",
                "  Cmd:",
                "    - vllm",
                "    - --api-key",
                "    - ***",
                "    - --port",
                "    - 80",
                "  Env:",
                "    - PATH=/bin",
                "    - DB_PASSWORD=***",
                "    - URL=postgres://***@db/x",
                "  Labels:",
                "    a.token: ***",
                "    b: c",
                "Mounts: []",
                "RestartCount: 3",
                "State:",
                "  Health:",
                "    Log:",
                "      -",
                "        Output: GET /?token=*** no",
            ]
        );
    }

    #[test]
    fn what_is_foreign_is_stripped_and_bounded() {
        let hidden = json!({"Env": ["PASS\u{1b}[0mWORD=tiger", "B=\u{202e}x"]});
        assert_eq!(drawn(&hidden), ["Env:", "  - PASSWORD=***", "  - B=x"]);
        let long = json!({"Long": "x".repeat(10_000)});
        assert_eq!(outline(&long).lines[0].value.len(), Inspection::BYTES);
        let many = outline(&json!((0..5_000).collect::<Vec<_>>()));
        assert_eq!((many.lines.len(), many.cut), (Inspection::LINES, true));
        let mut deep = json!("bottom");
        for _ in 0..100 {
            deep = json!({ "in": deep });
        }
        assert!(outline(&deep).cut);
    }
}
