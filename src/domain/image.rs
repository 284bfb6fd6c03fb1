//! Images: how they are named, how their versions follow each other, what a registry said of them, and how each stands.
//!
//! [`ImageRef`] is a reference taken apart, [`TagVersion`] a tag that is a version. What registries answered is kept as
//! [`UpdateMemory`]; what people decided (pinned, skipped, to wait) as [`ImageRules`]. [`ImageUpdate`] is what follows from
//! the two for one container: the only place where "up to date" is said.

mod memory;
mod reference;
mod rules;
mod update;
mod version;

pub use memory::{Answer, Asked, FaultKind, LocalImage, RegistryFault, SeenTag, UpdateMemory, UpdateSample};
pub use reference::{ImageRef, ImageRefError};
pub use rules::{ImageRule, ImageRules};
pub use update::{ImageUpdate, NewDigest, NewTag, NewerImage, UpdatePolicy};
pub use version::{TagVersion, VersionStep};
