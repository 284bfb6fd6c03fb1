//! How a registry is satisfied that asks who one is: `WWW-Authenticate`, and tokens (distribution's `spec/auth/token.md`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::credentials::Credentials;
use super::wire::{Wire, fault, is_loopback, limited, not_understood, place};
use crate::domain::{FaultKind, RegistryFault};
use crate::host::encoded;
use crate::host::secret::Secret;

/// What is sent as `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proof {
    Bearer(Secret),
    Basic(Secret),
}

impl Proof {
    pub(super) fn header(&self) -> String {
        match self {
            Self::Bearer(Secret(token)) => format!("Bearer {token}"),
            Self::Basic(Secret(pair)) => format!("Basic {pair}"),
        }
    }

    pub(super) fn basic(name: &str, Secret(password): &Secret) -> Self {
        Self::Basic(Secret(STANDARD.encode(format!("{name}:{password}"))))
    }
}

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password.
    Basic,
    /// A token, which another server gives.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads `WWW-Authenticate`; `None` for what is neither.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

/// `name="value"` pairs between commas; a value in quotes may hold commas itself.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_owned();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.push((name, value.trim().to_owned()));
        rest = next;
    }
    found
}

/// What a token server gives: either name is in use.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// A token that lets `repository` be read, from the server that the registry `who` named.
pub(super) async fn token(
    wire: &Wire,
    who: &str,
    challenge: (&str, Option<&str>, &str),
    credentials: Option<&Credentials>,
    now: Timestamp,
) -> Result<Proof, RegistryFault> {
    let (realm, service, scope) = challenge;
    let url = realm_of(who, realm)?;
    let teller = place(&url);
    let request = match credentials {
        Some(Credentials::Identity(Secret(identity))) => {
            let service = service.unwrap_or_default();
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", "hostler"),
                ("service", service),
                ("scope", scope),
                ("refresh_token", identity),
            ];
            let form = fields.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
            let request = wire.request(Method::POST, url).header("content-type", "application/x-www-form-urlencoded");
            request.body(form)
        }
        other => {
            let mut url = url;
            url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service)));
            url.query_pairs_mut().append_pair("scope", scope);
            let request = wire.request(Method::GET, url);
            match other {
                Some(Credentials::Basic(name, password)) => {
                    request.header("authorization", Proof::basic(name, password).header())
                }
                _ => request,
            }
        }
    };
    let said = wire.send(request, &teller).await?;
    match said.status {
        200..=299 => {}
        429 => return Err(limited(&teller, &said, now)),
        500..=599 => return Err(fault(FaultKind::Server, format!("{teller} failed (status {})", said.status))),
        _ if credentials.is_some() => {
            let what = format!("{who} does not take the credentials of docker's config");
            return Err(fault(FaultKind::Denied, what));
        }
        status => return Err(fault(FaultKind::Denied, format!("{teller} gives no token for {who} (status {status})"))),
    }
    let given: Option<Given> = said.object();
    let token = given.map(|given| if given.token.is_empty() { given.access_token } else { given.token });
    match token.filter(|token| is_header_text(token)) {
        Some(token) => Ok(Proof::Bearer(Secret(token))),
        None => Err(not_understood(&teller, "there is no token in it")),
    }
}

/// Where tokens are given. Credentials go nowhere without TLS, unless all of it happens on this host.
fn realm_of(who: &str, realm: &str) -> Result<Url, RegistryFault> {
    let url = Url::parse(realm).map_err(|_| not_understood(who, "it names no server of tokens"))?;
    let local = |url: &Url| url.scheme() == "http" && is_loopback(url);
    let registry_is_local = super::wire::base_of(who).is_some_and(|base| local(&base));
    if url.scheme() == "https" || (registry_is_local && local(&url)) {
        return Ok(url);
    }
    Err(not_understood(who, "it names a server of tokens that does not speak TLS"))
}

fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b'!'..=b'~').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_understood() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
        };
        for (header, challenge) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push")),
            ),
            ("bearer  Realm=https://a/b, error=\"insufficient_scope\"", bearer("https://a/b", None, None)),
            ("Bearer service=\"x\"", None),
            ("Negotiate", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(header), challenge, "{header}");
        }
    }

    #[test]
    fn credentials_go_to_nobody_without_tls() {
        assert!(realm_of("docker.io", "https://auth.docker.io/token").is_ok());
        assert!(realm_of("127.0.0.1:5000", "http://127.0.0.1:5001/token").is_ok());
        for (who, realm) in [
            ("docker.io", "http://auth.docker.io/token"),
            ("docker.io", "http://127.0.0.1:5001/token"),
            ("127.0.0.1:5000", "http://10.0.0.7/token"),
            ("127.0.0.1:5000", "file:///etc/passwd"),
            ("127.0.0.1:5000", "token"),
        ] {
            assert_eq!(realm_of(who, realm).unwrap_err().kind, FaultKind::NotUnderstood, "{who} {realm}");
        }
    }
}
