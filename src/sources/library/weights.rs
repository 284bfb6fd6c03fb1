//! Which files are the weights of one model, and what their headers say together.

use std::path::{Path, PathBuf};

use super::files::{Met, note, shown};
use super::last_use::last_use;
use super::scan::{Scan, by_key};
use crate::domain::{LibraryPlace, Reading, StoredModel, Weights, WeightsFormat, Why};
use crate::host::weights::{Header, WeightsError, join};
use crate::host::{FileFacts, FileKind};

/// The files of one model.
#[derive(Debug)]
pub(super) struct Group {
    /// Its name: the path of its folder, or of its file without the number of a part; empty for the place itself.
    pub(super) name: String,
    /// It is a folder rather than a file.
    pub(super) folder: bool,
    pub(super) format: WeightsFormat,
    /// Its weights, at least one.
    pub(super) weights: Vec<(PathBuf, FileFacts)>,
    /// Its `config.json`.
    pub(super) config: Option<(PathBuf, FileFacts)>,
    /// Parts that it should have, by the names of those that are there.
    parts: Option<u32>,
}

impl Group {
    /// A model that is made of these files, whatever they are called.
    pub(super) fn of(name: String, format: WeightsFormat, weights: Vec<(PathBuf, FileFacts)>) -> Self {
        Self { name, folder: false, format, weights, config: None, parts: None }
    }
}

/// The models among the files of a folder, by name. Links are left out.
pub(super) fn groups(files: &[Met]) -> Vec<Group> {
    let mut all = Vec::new();
    for (parent, files) in
        by_key(files.iter().filter(|met| met.facts.kind == FileKind::File).map(|met| (met.parent(), met)))
    {
        let gguf = files.iter().filter_map(|met| Some((part(met.last().strip_suffix(".gguf")?), *met)));
        for (stem, parts) in by_key(gguf.map(|((stem, count), met)| (stem.to_owned(), (count, met)))) {
            let name = if parent.is_empty() { format!("{stem}.gguf") } else { format!("{parent}/{stem}.gguf") };
            all.push(group(name, false, WeightsFormat::Gguf, &parts, None));
        }
        let tensors: Vec<_> =
            files.iter().filter_map(|met| Some((part(met.last().strip_suffix(".safetensors")?).1, *met))).collect();
        let config = files.iter().find(|met| met.last() == "config.json");
        let is_one = config.is_some()
            || tensors.iter().any(|(count, _)| count.is_some())
            || files.iter().any(|met| met.last() == "adapter_config.json" || met.last().ends_with(".index.json"));
        if !is_one {
            all.extend(
                tensors.iter().map(|it| group(it.1.name.clone(), false, WeightsFormat::Safetensors, &[*it], None)),
            );
        } else if !tensors.is_empty() {
            // Beside the parts there may be all of them in one file once more.
            let parts: Vec<_> = tensors.iter().filter(|(count, _)| count.is_some()).copied().collect();
            let tensors = if parts.is_empty() { tensors } else { parts };
            let config = config.map(|met| (met.path.clone(), met.facts));
            all.push(group(parent.to_owned(), true, WeightsFormat::Safetensors, &tensors, config));
        }
    }
    all
}

/// Whether a file of this name holds weights.
pub(super) fn is_weights(name: &str) -> bool {
    [".gguf", ".safetensors"].iter().any(|end| name.ends_with(end))
}

fn group(
    name: String,
    folder: bool,
    format: WeightsFormat,
    files: &[(Option<u32>, &Met)],
    config: Option<(PathBuf, FileFacts)>,
) -> Group {
    let parts = files.iter().find_map(|(count, _)| *count);
    let weights = files.iter().map(|(_, met)| (met.path.clone(), met.facts)).collect();
    Group { name, folder, format, weights, config, parts }
}

/// The name without the number of a part (`-00001-of-00003`), and how many parts there are.
fn part(stem: &str) -> (&str, Option<u32>) {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 5);
    let split = || {
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (name, index) = rest.rsplit_once('-')?;
        number(index)?;
        Some((name, number(count)?))
    };
    split().map_or((stem, None), |(name, count)| (name, Some(count)))
}

/// What the headers of some files say.
struct Judged {
    weights: Reading<Weights>,
    damage: Option<String>,
    /// The files, and whether the look at each went unnoticed.
    looked: Vec<(FileFacts, bool)>,
}

impl Scan<'_> {
    /// Puts what the weights say into `model`.
    pub(super) fn weigh(&mut self, place: &mut LibraryPlace, group: &Group, model: &mut StoredModel) {
        let judged = self.judge(place, group);
        let mount = group.weights.first().and_then(|(path, facts)| self.mount(path, facts));
        model.last_used = last_use(mount, &judged.looked);
        model.weights = judged.weights;
        let missing = group.parts.filter(|count| (group.weights.len() as u64) < u64::from(*count));
        let missing = missing.map(|count| format!("{} of its {count} files are there", group.weights.len()));
        model.damage = model.damage.take().or(judged.damage).or(missing);
        model.modified = model.modified.or_else(|| group.weights.iter().filter_map(|(_, facts)| facts.modified).max());
    }

    fn judge(&mut self, place: &mut LibraryPlace, group: &Group) -> Judged {
        let read: Vec<_> = group
            .weights
            .iter()
            .map(|(path, facts)| (path, facts, self.memory.header(self.fs, path, facts, group.format)))
            .collect();
        let looked = read.iter().map(|(_, facts, header)| (**facts, header.unnoticed)).collect();
        let mut faults = read.iter().filter_map(|(path, facts, read)| Some((*path, fault(&read.header, facts)?)));
        if let Some((path, error)) = faults.next() {
            let words = format!("{}: {error}", short(path));
            if let WeightsError::Unread(kind) = error {
                note(place, path, &kind.into());
            }
            let damaged =
                matches!(error, WeightsError::CutShort { .. } | WeightsError::Damaged(_) | WeightsError::Other(_));
            let damage = damaged.then(|| words.clone());
            return Judged { weights: Reading::Unavailable(Why::new(words)), damage, looked };
        }
        let config = group.config.as_ref().map(|(path, facts)| self.memory.config(self.fs, path, facts));
        let headers: Vec<&Header> = read.iter().filter_map(|(_, _, read)| read.header.as_ref().ok()).collect();
        let weights = join(&headers, config.as_deref().and_then(Option::as_ref));
        let weights = weights.map_or_else(|| Reading::Unavailable(Why::from("it has no weights")), Reading::Known);
        Judged { weights, damage: None, looked }
    }
}

/// What is wrong with a file whose header was read.
fn fault(read: &Result<Header, WeightsError>, facts: &FileFacts) -> Option<WeightsError> {
    match read {
        Ok(header) if header.ends_at > facts.size_bytes => {
            Some(WeightsError::CutShort { needs: header.ends_at, has: facts.size_bytes })
        }
        Ok(_) => None,
        Err(error) => Some(error.clone()),
    }
}

/// The last part of a path; of a blob, as much of its digest as people read.
pub(super) fn short(path: &Path) -> String {
    let name = path.file_name().map(|name| shown(Path::new(name))).unwrap_or_default();
    if name.len() > 40 { format!("{}…", name.get(..19).unwrap_or(&name)) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_numbers() {
        assert_eq!(part("qwen3-00001-of-00003"), ("qwen3", Some(3)));
        for whole in ["qwen3", "1-of-3", "qwen3-1-of-3", "best-of-00003", "a-x0001-of-00003"] {
            assert_eq!(part(whole), (whole, None));
        }
    }
}
