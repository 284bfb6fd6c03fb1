//! When a registry is asked again about the same thing: politely, and another time for each thing.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::domain::{Asked, FaultKind, RegistryFault};
use crate::sources::SourceContext;

/// What was asked about is left alone for at least so long.
const EVERY: SignedDuration = SignedDuration::from_hours(6);
/// Up to so much longer, another time for each thing, so that they are not asked about all at once.
const JITTER_SECONDS: u64 = 1_800;
/// So long after a failure that may pass by itself it is tried again.
const RETRY: SignedDuration = SignedDuration::from_mins(30);
/// A failure that is younger than this is not tried again, whoever wishes.
const RETRY_WISHED: SignedDuration = SignedDuration::from_secs(60);

/// When the first registry is asked; `None` where none may be.
pub(in crate::sources) fn first(context: &SourceContext) -> Option<Instant> {
    let after = context.remembered.ask_after.filter(|_| context.settings.check_updates)?;
    // Up to as long again, so that boxes that start together do not ask together.
    let part = f64::from(context.ports.clock.now().wall.subsec_nanosecond().unsigned_abs()) / 1e9;
    Some(Instant::now() + after + after.mul_f64(part))
}

/// When to ask about `subject` again after an answer.
pub(in crate::sources) fn after_answer(subject: &str, now: Timestamp) -> Timestamp {
    now + EVERY + jitter(subject)
}

/// When to try again after a failure.
pub(in crate::sources) fn after_fault(fault: &RegistryFault, now: Timestamp) -> Timestamp {
    match fault.kind {
        FaultKind::Limited => fault.until.unwrap_or(now + RETRY),
        // These do not pass by themselves; whoever mends them can ask for another look.
        FaultKind::NotFound | FaultKind::Denied => now + EVERY,
        FaultKind::Unreachable | FaultKind::Server | FaultKind::NotUnderstood => now + RETRY,
    }
}

/// Whether something that failed is tried again now because somebody wishes it: not where a registry asked to be left
/// alone, or was asked just before.
pub(in crate::sources) fn is_tried_again<A>(asked: &Asked<A>, now: Timestamp) -> bool {
    let limited = asked.fault.as_ref().is_none_or(|fault| fault.kind == FaultKind::Limited);
    !limited && now.duration_since(asked.at) >= RETRY_WISHED && asked.next > now
}

/// A time up to half an hour that is always the same for a subject.
fn jitter(subject: &str) -> SignedDuration {
    let mut hasher = DefaultHasher::new();
    subject.hash(&mut hasher);
    SignedDuration::from_secs((hasher.finish() % JITTER_SECONDS).cast_signed())
}
