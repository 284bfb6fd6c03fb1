//! What an update keeps of the version before, and what a trial makes: how they are called until they go.

use super::Container;

/// The repository under which images are kept for roll back, one name a container.
const REPOSITORY: &str = "hostler-rollback";
/// Between the name of a container and the run that replaced it.
const MARK: &str = ".hostler-";
/// After the name of what a trial stands for.
const TRIAL: &str = ".hostler_trial";

/// The name of an old container that is kept: `NAME.hostler-RUN`.
pub fn kept_name(container: &str, run: &str) -> String {
    format!("{container}{MARK}{run}")
}

/// The name of what stands for a container, or for a volume, in a trial: `NAME.hostler_trial`.
pub fn trial_name(name: &str) -> String {
    format!("{name}{TRIAL}")
}

/// Whether something has the name of a part of a trial, which goes at the trial's end.
pub fn is_trial(name: &str) -> bool {
    name.ends_with(TRIAL)
}

/// The repository under which an image is kept for roll back of a container: `hostler-rollback/NAME`.
pub fn kept_repository(container: &str) -> String {
    // A repository's name knows no capitals, and no two signs side by side (OCI distribution specification, §Pull).
    let mut name = String::with_capacity(container.len());
    for character in container.chars() {
        let plain = character.is_ascii_alphanumeric();
        if plain {
            name.push(character.to_ascii_lowercase());
        } else if name.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            name.push('-');
        }
    }
    format!("{REPOSITORY}/{}", name.trim_end_matches('-'))
}

/// The container (as it stands in a repository's name) and the run of a reference that [`kept_repository`] began; `None` for
/// any other one.
pub fn kept_reference(reference: &str) -> Option<(&str, &str)> {
    reference.strip_prefix(REPOSITORY)?.strip_prefix('/')?.split_once(':')
}

impl Container {
    /// The name of the container that this one was before an update, and the update's run; `None` for one that is in use.
    pub fn kept_of(&self) -> Option<(&str, &str)> {
        kept_of(&self.name)
    }
}

/// The same of a container's name. It is asked of every container in every frame.
pub fn kept_of(name: &str) -> Option<(&str, &str)> {
    // A run's id has no dot: the last one is the mark's.
    let (name, rest) = name.split_at(name.rfind('.')?);
    let run = rest.strip_prefix(MARK)?;
    (!name.is_empty() && !run.is_empty()).then_some((name, run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_makes_a_repository() {
        assert_eq!(kept_repository("agents-n8n-1"), "hostler-rollback/agents-n8n-1");
        assert_eq!(kept_repository("My__App.2-"), "hostler-rollback/my-app-2");
    }

    #[test]
    fn what_is_kept_is_told_by_its_name() {
        let run = "20261112-030400-1a2b";
        assert_eq!(kept_of(&kept_name("n8n", run)), Some(("n8n", run)));
        assert_eq!(kept_of(&kept_name("a.hostler-b", run)), Some(("a.hostler-b", run)));
        for other in ["n8n", "n8n.hostler", "n8n.hostler_new-1", ".hostler-1", "n8n.hostler-"] {
            assert_eq!(kept_of(other), None, "{other}");
        }
        let reference = format!("{}:{run}", kept_repository("n8n"));
        assert_eq!(kept_reference(&reference), Some(("n8n", run)));
        for other in ["hostler-rollback", "hostler-rollback/n8n", "hostler-rollback2/n8n:1", "n8nio/n8n:1.2"] {
            assert_eq!(kept_reference(other), None, "{other}");
        }
    }
}
