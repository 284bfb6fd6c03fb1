//! What an image asks of the NVIDIA driver, as the container toolkit reads it from the image's variables.
//!
//! NVIDIA Container Toolkit, *Environment variables, `NVIDIA_REQUIRE_` constraints*: within a variable a space means *or*, a
//! comma *and*; several variables must all be met. An image without them that names its `CUDA_VERSION` asks for that one
//! (*legacy* images). A container that asks for more than the driver gives does not start.

use std::cmp::Ordering;

/// What an image asks of the driver: sets of which all must be met, of alternatives of which one must be, of conditions that
/// must all be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CudaNeed(Vec<Vec<Vec<Condition>>>);

/// One comparison, such as `cuda>=12.4`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    subject: Subject,
    /// What the driver's version may be to the named one.
    allowed: &'static [Ordering],
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Cuda,
    Driver,
    /// The card's brand or architecture, or a word that is not known: this is not looked at here.
    Other,
}

/// Whether a driver gives what an image asks for, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CudaMatch {
    /// It does not.
    Unmet,
    /// It depends on the card.
    Depends,
    /// It does.
    Met,
}

/// The comparisons, the longer ones first.
const COMPARISONS: &[(&str, &[Ordering])] = &[
    (">=", &[Ordering::Greater, Ordering::Equal]),
    ("<=", &[Ordering::Less, Ordering::Equal]),
    ("!=", &[Ordering::Greater, Ordering::Less]),
    (">", &[Ordering::Greater]),
    ("<", &[Ordering::Less]),
    ("=", &[Ordering::Equal]),
];

impl CudaNeed {
    /// What the variables of an image ask for, each `NAME=value`; `None` where they ask for nothing.
    pub fn of<'a>(env: impl IntoIterator<Item = &'a str> + Clone) -> Option<Self> {
        if Self::is_off(env.clone()) {
            return None;
        }
        let value = |entry: &'a str, name: &str| entry.strip_prefix(name)?.strip_prefix('=');
        let required = env.clone().into_iter().filter_map(|entry| {
            let (name, value) = entry.split_once('=')?;
            name.starts_with("NVIDIA_REQUIRE_").then(|| alternatives(value))
        });
        let mut sets: Vec<_> = required.filter(|set| !set.is_empty()).collect();
        if !env.clone().into_iter().any(|entry| value(entry, "NVIDIA_REQUIRE_CUDA").is_some()) {
            let version = env.into_iter().find_map(|entry| value(entry, "CUDA_VERSION"));
            let version = version.and_then(|version| {
                let mut parts = version.split('.');
                Some(format!("{}.{}", number(parts.next()?)?, number(parts.next()?)?))
            });
            sets.extend(
                version.map(|version| {
                    vec![vec![Condition { subject: Subject::Cuda, allowed: COMPARISONS[0].1, version }]]
                }),
            );
        }
        (!sets.is_empty()).then_some(Self(sets))
    }

    /// Whether variables, of an image or of a container, say that nothing is asked.
    pub fn is_off<'a>(env: impl IntoIterator<Item = &'a str>) -> bool {
        env.into_iter().any(|entry| matches!(entry, "NVIDIA_DISABLE_REQUIRE=1" | "NVIDIA_DISABLE_REQUIRE=true"))
    }

    /// Whether a driver of this version that serves this CUDA gives it.
    pub fn against(&self, cuda: &str, driver: &str) -> CudaMatch {
        let one = |condition: &Condition| {
            let ours = match condition.subject {
                Subject::Cuda => cuda,
                Subject::Driver => driver,
                Subject::Other => return CudaMatch::Depends,
            };
            let met = condition.allowed.contains(&compare(ours, &condition.version));
            if met { CudaMatch::Met } else { CudaMatch::Unmet }
        };
        let all = |conditions: &Vec<Condition>| conditions.iter().map(one).min().unwrap_or(CudaMatch::Met);
        let any = |set: &Vec<Vec<Condition>>| set.iter().map(all).max().unwrap_or(CudaMatch::Met);
        self.0.iter().map(any).min().unwrap_or(CudaMatch::Met)
    }

    /// The least CUDA that it asks for, such as `12.4`; `None` where it asks for none by its version.
    pub fn cuda(&self) -> Option<&str> {
        let conditions = self.0.iter().flatten().flatten();
        let least = conditions.filter(|it| it.subject == Subject::Cuda && it.allowed.contains(&Ordering::Greater));
        least.map(|it| it.version.as_str()).max_by(|a, b| compare(a, b))
    }
}

fn alternatives(text: &str) -> Vec<Vec<Condition>> {
    text.split_whitespace().map(|one| one.split(',').map(condition).collect()).collect()
}

fn condition(text: &str) -> Condition {
    let found = COMPARISONS.iter().filter_map(|(sign, allowed)| Some((text.split_once(sign)?, *allowed)));
    // Of several signs the one that stands first, and of `>` and `>=` the longer one, which comes first in the table.
    let Some(((subject, version), allowed)) = found.min_by_key(|((subject, _), _)| subject.len()) else {
        return Condition { subject: Subject::Other, allowed: &[], version: text.to_owned() };
    };
    let subject = match subject {
        "cuda" => Subject::Cuda,
        "driver" => Subject::Driver,
        _ => Subject::Other,
    };
    Condition { subject, allowed, version: version.to_owned() }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// Compares versions number by number; what is missing at the end of one is zero.
fn compare(a: &str, b: &str) -> Ordering {
    let numbers = |text: &str| text.split('.').map(|part| number(part).unwrap_or(0)).collect::<Vec<_>>();
    let (mut a, mut b) = (numbers(a), numbers(b));
    let length = a.len().max(b.len());
    a.resize(length, 0);
    b.resize(length, 0);
    a.cmp(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variable of `nvidia/cuda:12.4.1-base-ubuntu22.04`, without most of its brands.
    const REAL: &str = "NVIDIA_REQUIRE_CUDA=cuda>=12.4 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=470,driver<471 \
        brand=tesla,driver>=525,driver<526 brand=tesla,driver>=535,driver<536";

    fn need(env: &[&str]) -> Option<CudaNeed> {
        CudaNeed::of(env.iter().copied())
    }

    #[test]
    fn an_images_conditions_are_read_as_the_toolkit_reads_them() {
        let real = need(&["PATH=/bin", REAL, "CUDA_VERSION=12.4.1"]).unwrap();
        assert_eq!(real.cuda(), Some("12.4"));
        assert_eq!(real.against("12.4", "550.54.15"), CudaMatch::Met);
        assert_eq!(real.against("13.0", "580.65.06"), CudaMatch::Met);
        assert_eq!(real.against("12.2", "535.183.01"), CudaMatch::Depends, "a data-centre card may");
        assert_eq!(real.against("12.1", "530.30.02"), CudaMatch::Unmet);
    }

    #[test]
    fn an_image_of_before_names_its_version_only() {
        let old = need(&["CUDA_VERSION=12.10.0"]).unwrap();
        assert_eq!(old.cuda(), Some("12.10"));
        assert_eq!(old.against("12.9", "575.1"), CudaMatch::Unmet);
        assert_eq!(old.against("12.10", "600.1"), CudaMatch::Met);
        assert_eq!(need(&["CUDA_VERSION=nightly"]), None);
    }

    #[test]
    fn several_variables_must_all_be_met() {
        let both = need(&["NVIDIA_REQUIRE_CUDA=cuda>=11.0", "NVIDIA_REQUIRE_DRIVER=driver>=600"]).unwrap();
        assert_eq!(both.against("13.0", "580.1"), CudaMatch::Unmet);
        assert_eq!(both.against("13.0", "600"), CudaMatch::Met);
    }

    #[test]
    fn who_asks_for_nothing_gets_no_answer() {
        assert_eq!(need(&["PATH=/bin"]), None);
        assert_eq!(need(&[REAL, "NVIDIA_DISABLE_REQUIRE=1"]), None);
        assert_eq!(need(&["NVIDIA_REQUIRE_CUDA="]), None);
    }
}
