//! `[alerts]` as it is written.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::Span;
use crate::domain::Severity;

/// `[alerts]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawAlerts {
    pub(in crate::config) group_wait: Option<Spanned<Span>>,
    pub(in crate::config) group_interval: Option<Spanned<Span>>,
    pub(in crate::config) repeat: Option<Spanned<Span>>,
    pub(in crate::config) settle: Option<Spanned<Span>>,
    pub(in crate::config) heartbeat: RawHeartbeat,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) to: Vec<RawReceiver>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) quiet: Vec<RawQuiet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::config) rule: Vec<RawRule>,
}

/// `[alerts.heartbeat]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawHeartbeat {
    pub(in crate::config) url: Option<Spanned<String>>,
    pub(in crate::config) url_file: Option<Spanned<String>>,
    pub(in crate::config) every: Option<Spanned<Span>>,
}

/// `[[alerts.to]]`: a receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawReceiver {
    pub(in crate::config) name: Option<Spanned<String>>,
    pub(in crate::config) kind: Spanned<RawKind>,
    pub(in crate::config) url: Option<Spanned<String>>,
    pub(in crate::config) url_file: Option<Spanned<String>>,
    pub(in crate::config) topic: Option<Spanned<String>>,
    pub(in crate::config) argv: Option<Spanned<Vec<Spanned<String>>>>,
    pub(in crate::config) token_file: Option<Spanned<String>>,
    pub(in crate::config) token_env: Option<Spanned<String>>,
    pub(in crate::config) user: Option<Spanned<String>>,
    pub(in crate::config) password_file: Option<Spanned<String>>,
    pub(in crate::config) severity: Option<Severity>,
    pub(in crate::config) send_resolved: Option<Spanned<bool>>,
    pub(in crate::config) timeout: Option<Spanned<Span>>,
}

/// What a receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawKind {
    /// Prometheus' Alertmanager.
    Alertmanager,
    /// hostler's own JSON.
    Webhook,
    /// A server of ntfy.
    Ntfy,
    /// A program.
    Command,
}

/// `[[alerts.quiet]]`: a maintenance window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawQuiet {
    pub(in crate::config) days: Option<Vec<RawDay>>,
    pub(in crate::config) from: Spanned<String>,
    pub(in crate::config) to: Option<Spanned<String>>,
    pub(in crate::config) until: Option<Spanned<String>>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumIter)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawDay {
    /// Monday; the others follow.
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// `[[alerts.rule]]`: a rule of the operator's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RawRule {
    pub(in crate::config) name: Spanned<String>,
    pub(in crate::config) series: Spanned<String>,
    pub(in crate::config) above: Option<Spanned<Limit>>,
    pub(in crate::config) below: Option<Spanned<Limit>>,
    pub(in crate::config) clear: Option<Spanned<Limit>>,
    #[serde(rename = "for")]
    pub(in crate::config) hold_for: Option<Spanned<Span>>,
    pub(in crate::config) severity: Option<Severity>,
    pub(in crate::config) text: Option<Spanned<String>>,
}

/// A limit in base units; a share may be written `"20%"`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct Limit(pub(in crate::config) f64);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in base units, or a share such as \"20%\"")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Limit, E> {
                if value.is_finite() {
                    Ok(Limit(value))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(value), &self))
                }
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Limit, E> {
                Ok(Limit(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                match super::percent(text) {
                    Some(share) => Ok(Limit(share)),
                    None => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
