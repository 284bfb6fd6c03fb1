//! Who hostler is at a registry: what `docker login` left in the docker command's `config.json`, or in the program that it
//! names (`docker-credential-NAME`).
//!
//! Nothing here is ever printed: secrets are [`Secret`]s, and no error carries what a file or a program said.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::host::exec::{self, ExecError, Told};
use crate::host::secret::Secret;

/// How long a credential helper may take: those that ask a cloud take a second or two.
const HELPER_PATIENCE: Duration = Duration::from_secs(10);
/// How Docker Hub is called in the config: since its first days.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// How to prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// A name and a password.
    Basic(String, Secret),
    /// A token with which tokens are got (OAuth 2).
    Identity(Secret),
}

/// Who the engine is to be at a registry when it pulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    server: String,
    credentials: Credentials,
}

impl Login {
    pub(super) fn new(registry: &str, credentials: Credentials) -> Self {
        let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
        Self { server: server.to_owned(), credentials }
    }

    /// The same as the engine takes it.
    pub(in crate::host) fn into_credentials(self) -> DockerCredentials {
        let server = DockerCredentials { serveraddress: Some(self.server), ..DockerCredentials::default() };
        match self.credentials {
            Credentials::Basic(name, Secret(password)) => {
                DockerCredentials { username: Some(name), password: Some(password), ..server }
            }
            Credentials::Identity(Secret(token)) => DockerCredentials { identitytoken: Some(token), ..server },
        }
    }
}

/// The part of `config.json` that is about registries.
#[derive(Clone, Default)]
pub(super) struct DockerConfig {
    auths: HashMap<String, Stored>,
    store: Option<String>,
    helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: HashMap<String, Stored>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Stored {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// What a helper says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    #[serde(default)]
    username: String,
    secret: String,
}

impl DockerConfig {
    /// Reads the file's text; `None` where it is not the docker command's. An empty file is one without credentials.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let file: File = serde_json::from_str(text).ok()?;
        let store = file.creds_store.filter(|store| !store.is_empty());
        Some(Self { auths: file.auths, store, helpers: file.cred_helpers })
    }

    /// The credentials for a registry; `None` where nobody logged in there.
    ///
    /// # Errors
    /// Why they cannot be had though they may be there: a clause about the helper.
    pub(super) async fn of(&self, registry: &str) -> Result<Option<Credentials>, String> {
        let names = names_of(registry);
        let helper = names.iter().find_map(|name| self.helpers.get(name)).or(self.store.as_ref());
        if let Some(helper) = helper {
            return asked(helper, if registry == "docker.io" { DOCKER_HUB } else { registry }).await;
        }
        Ok(names.iter().find_map(|name| self.auths.get(name)).and_then(Stored::credentials))
    }
}

/// What a registry may be called in the config.
fn names_of(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        return [DOCKER_HUB, "docker.io", "index.docker.io", "registry-1.docker.io"].map(str::to_owned).into();
    }
    let mut names = vec![registry.to_owned()];
    for scheme in ["https", "http"] {
        names.extend(["", "/", "/v1/", "/v2/"].map(|end| format!("{scheme}://{registry}{end}")));
    }
    names
}

impl Stored {
    fn credentials(&self) -> Option<Credentials> {
        if !self.identitytoken.is_empty() {
            return Some(Credentials::Identity(Secret(self.identitytoken.clone())));
        }
        if !self.username.is_empty() {
            return Some(Credentials::Basic(self.username.clone(), Secret(self.password.clone())));
        }
        let decoded = String::from_utf8(STANDARD.decode(self.auth.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        // The docker command pads with zero bytes.
        Some(Credentials::Basic(name.to_owned(), Secret(password.trim_end_matches('\0').to_owned())))
    }
}

/// Asks `docker-credential-HELPER` for the credentials of `server`.
async fn asked(helper: &str, server: &str) -> Result<Option<Credentials>, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if helper.is_empty() || !helper.bytes().all(plain) {
        return Err("docker's config names a credential helper that cannot be one".to_owned());
    }
    let program = format!("docker-credential-{helper}");
    match exec::ask(&program, &["get"], server.as_bytes(), HELPER_PATIENCE).await {
        Ok(told) => heard(&program, &told),
        Err(ExecError::Missing) => Err(format!("{program}, which docker's config names, is not installed")),
        Err(why) => Err(format!("{program}: {why}")),
    }
}

/// What a helper's answer means.
fn heard(program: &str, told: &Told) -> Result<Option<Credentials>, String> {
    if !told.success {
        // The words of every helper for "nobody logged in there" (docker-credential-helpers, `credentials/error.go`).
        let none = String::from_utf8_lossy(&told.output).contains("credentials not found");
        return if none { Ok(None) } else { Err(format!("{program} failed")) };
    }
    match serde_json::from_slice::<Helped>(&told.output) {
        Ok(helped) if helped.username == "<token>" => Ok(Some(Credentials::Identity(Secret(helped.secret)))),
        Ok(helped) => Ok(Some(Credentials::Basic(helped.username, Secret(helped.secret)))),
        Err(_) => Err(format!("{program} gave an answer that is not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, registry: &str) -> Result<Option<Credentials>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(DockerConfig::parse(text).unwrap().of(registry))
    }

    fn basic(name: &str, password: &str) -> Credentials {
        Credentials::Basic(name.to_owned(), Secret(password.to_owned()))
    }

    #[test]
    fn what_login_wrote_is_found() {
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "am86czNjcmV0OjE="},
            "ghcr.io": {"auth": "bWU6dG9rZW4AAA=="},
            "https://registry.lan:5000/v2/": {"username": "me", "password": "p"},
            "acr.example": {"auth": "MDAwOg==", "identitytoken": "long"},
            "empty.example": {},
            "broken.example": {"auth": "%%%"}
        }}"#;
        assert_eq!(of(text, "docker.io"), Ok(Some(basic("jo", "s3cret:1"))));
        assert_eq!(of(text, "ghcr.io"), Ok(Some(basic("me", "token"))));
        assert_eq!(of(text, "registry.lan:5000"), Ok(Some(basic("me", "p"))));
        assert_eq!(of(text, "acr.example"), Ok(Some(Credentials::Identity(Secret("long".to_owned())))));
        for nobody in ["empty.example", "broken.example", "quay.io"] {
            assert_eq!(of(text, nobody), Ok(None), "{nobody}");
        }
        assert!(DockerConfig::parse("").is_some() && DockerConfig::parse("{\"auths\": 7}").is_none());
    }

    #[test]
    fn a_helper_that_cannot_be_asked_is_told_without_a_secret() {
        let text = r#"{"credsStore": "no-such-helper-here", "credHelpers": {"ghcr.io": "../../bin/sh"}}"#;
        let why = of(text, "docker.io").unwrap_err();
        assert_eq!(why, "docker-credential-no-such-helper-here, which docker's config names, is not installed");
        assert!(of(text, "ghcr.io").unwrap_err().contains("cannot be one"));
    }

    #[test]
    fn a_helpers_answer_is_understood() {
        let heard = |success, output: &str| {
            heard("helper", &Told { success, output: output.as_bytes().to_vec(), errors: b"s3cret".to_vec() })
        };
        let said = |name: &str| format!("{{\"ServerURL\":\"ghcr.io\",\"Username\":\"{name}\",\"Secret\":\"s3cret\"}}");
        assert_eq!(heard(true, &said("jo")), Ok(Some(basic("jo", "s3cret"))));
        assert_eq!(heard(true, &said("<token>")), Ok(Some(Credentials::Identity(Secret("s3cret".to_owned())))));
        assert_eq!(heard(false, "credentials not found in native keychain\n"), Ok(None));
        assert_eq!(heard(false, "s3cret"), Err("helper failed".to_owned()));
        assert_eq!(heard(true, "s3cret"), Err("helper gave an answer that is not understood".to_owned()));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?}", basic("jo", "s3cret"));
        assert!(shown.contains("jo") && !shown.contains("s3cret"), "{shown}");
    }
}
