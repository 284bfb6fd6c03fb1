//! What compose itself says of a service: the hash of its configuration, by which it tells whether a container is up to date.

use std::time::Duration;

use super::{exec, foreign};
use crate::domain::{ComposeProgram, ComposeService};

/// How long compose may take to read its files.
const PATIENCE: Duration = Duration::from_secs(20);

/// The hash of the service's configuration as its files are now. The standalone program asks the engine for the image, which
/// is at `engine`.
///
/// # Errors
/// Why compose does not tell it, as a clause.
pub async fn config_hash(of: &ComposeService, engine: &str) -> Result<String, String> {
    let mut arguments: Vec<&str> = Vec::new();
    let program = match of.program {
        ComposeProgram::Plugin => {
            arguments.push("compose");
            "docker"
        }
        ComposeProgram::Standalone => {
            arguments.extend(["--host", engine]);
            "docker-compose"
        }
    };
    arguments.extend(["--project-name", &of.project, "--project-directory", &of.folder]);
    for file in &of.files {
        arguments.extend(["--file", file]);
    }
    for file in &of.env_files {
        arguments.extend(["--env-file", file]);
    }
    let hash = format!("--hash={}", of.service);
    arguments.extend(["config", &hash]);
    let told = exec::ask(program, &arguments, b"", PATIENCE).await.map_err(|error| format!("{program}: {error}"))?;
    if !told.success {
        let errors = String::from_utf8_lossy(&told.errors);
        let last = errors.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it failed");
        return Err(format!("{program}: {}", foreign::clean(last, 200)));
    }
    hash_in(&String::from_utf8_lossy(&told.output), &of.service)
        .ok_or_else(|| format!("{program} does not tell the hash of {}", of.service))
}

/// The hash in compose's answer, `SERVICE HASH`.
fn hash_in(output: &str, service: &str) -> Option<String> {
    let mut hashes = output.lines().filter_map(|line| line.trim().split_once(' '));
    let (_, hash) = hashes.find(|(name, _)| *name == service)?;
    let hash = hash.trim();
    (hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_read_from_the_line_of_its_service() {
        let hash = "a".repeat(64);
        let output = format!("web {}\napi {hash}\n", "b".repeat(64));
        assert_eq!(hash_in(&output, "api"), Some(hash));
        assert_eq!(hash_in(&output, "ap"), None);
        assert_eq!(hash_in("api none\n", "api"), None);
    }
}
