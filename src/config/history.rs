//! `[history]`: from where weeks of it are read, and who may ask for what is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use toml::Spanned;

use super::alerts::{address, token};
use super::check::Checker;
use super::print::anywhere;
use super::raw::RawHistory;
use crate::host::{Address, SecretRef, WebLogin};

/// Where history is read from, and where it is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistorySettings {
    /// Read it from this server instead of hostler's own file.
    pub prometheus: Option<PrometheusSettings>,
    /// The recorder tells what is measured here.
    pub listen: Option<SocketAddr>,
    /// Who asks the recorder must show this.
    pub listen_token: Option<SecretRef>,
}

/// A server that speaks as Prometheus does: `VictoriaMetrics` and Mimir, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusSettings {
    /// Its address, below which `/api/v1` lies.
    pub to: Address,
    /// How hostler says who it is.
    pub login: Option<WebLogin>,
    /// Labels that tell this box's series from those of others.
    pub labels: BTreeMap<String, String>,
}

impl Checker<'_> {
    /// The settings, without what is at fault.
    pub(super) fn history(&mut self, raw: &RawHistory) -> HistorySettings {
        let token = self.token(raw.token_file.as_ref(), raw.token_env.as_ref());
        let to = self.web_address(raw.prometheus.as_ref(), None);
        if let (None, Some(written)) = (&raw.prometheus, raw.token_file.as_ref().or(raw.token_env.as_ref())) {
            self.fault(
                written,
                "a token goes with `prometheus`; for who asks the recorder there is `listen_token_file`".to_owned(),
            );
        }
        let labels = raw.labels.iter().filter_map(|(name, value)| Some((self.label(name)?, value.get_ref().clone())));
        let labels = labels.collect();
        let prometheus = to.map(|to| PrometheusSettings { to, login: token.map(WebLogin::Token), labels });
        let listen_token = self.token(raw.listen_token_file.as_ref(), raw.listen_token_env.as_ref());
        let listen = raw.listen.as_ref().and_then(|written| self.listen(written, listen_token.is_some()));
        HistorySettings { prometheus, listen, listen_token }
    }

    fn label(&mut self, name: &Spanned<String>) -> Option<String> {
        let text = name.get_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name =
            !text.is_empty() && text.bytes().all(plain) && !text.starts_with(|sign: char| sign.is_ascii_digit());
        if !is_name {
            self.fault(name, format!("`{text}` is no label; allowed: letters, digits and _"));
        }
        is_name.then(|| text.clone())
    }

    fn listen(&mut self, written: &Spanned<String>, has_token: bool) -> Option<SocketAddr> {
        match written.get_ref().parse::<SocketAddr>() {
            Ok(at) if !at.ip().is_loopback() && !has_token => {
                let what = "others than this machine could ask there; name a token in `listen_token_file`, or listen at 127.0.0.1";
                self.fault(written, what.to_owned());
                None
            }
            Ok(at) => Some(at),
            Err(_) => {
                self.fault(written, "this is no address to listen at; allowed: 127.0.0.1:9709, [::1]:9709".to_owned());
                None
            }
        }
    }
}

/// What is in force, as a file would say it.
pub(super) fn raw(settings: &HistorySettings) -> RawHistory {
    let (file, variable) = settings.listen_token.as_ref().map(token).unwrap_or_default();
    let prometheus = settings.prometheus.as_ref();
    let login = prometheus.and_then(|it| match &it.login {
        Some(WebLogin::Token(login)) => Some(login),
        _ => None,
    });
    let (token_file, token_env) = login.map(token).unwrap_or_default();
    let (to, _) = prometheus.map(|it| address(&it.to)).unwrap_or_default();
    let labels = prometheus.into_iter().flat_map(|it| &it.labels);
    RawHistory {
        prometheus: to,
        token_file,
        token_env,
        labels: labels.map(|(name, value)| (anywhere(name.clone()), anywhere(value.clone()))).collect(),
        listen: settings.listen.map(|at| anywhere(at.to_string())),
        listen_token_file: file,
        listen_token_env: variable,
    }
}

/// The same with a value for every key.
pub(super) fn complete(raw: &mut RawHistory) {
    let text = || Some(anywhere(String::new()));
    *raw = RawHistory {
        prometheus: text(),
        token_file: text(),
        token_env: text(),
        labels: BTreeMap::new(),
        listen: text(),
        listen_token_file: text(),
        listen_token_env: text(),
    };
}
