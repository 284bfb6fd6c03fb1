//! The latest value of one source, and when it was taken.

use std::sync::Arc;

use crate::domain::Moment;

/// The latest value, kept while the source fails so that it can be shown with its age.
#[derive(Debug)]
pub struct Slot<T> {
    value: Option<Arc<T>>,
    taken: Option<Moment>,
}

impl<T> Slot<T> {
    /// Puts a newer value in.
    pub fn set(&mut self, value: Arc<T>, at: Moment) {
        self.value = Some(value);
        self.taken = Some(at);
    }

    /// The latest value, however old; see [`SourceState`](super::SourceState) for how old.
    pub fn get(&self) -> Option<&T> {
        self.value.as_deref()
    }

    /// The same, shared: for what outlives the look at the state.
    pub fn shared(&self) -> Option<Arc<T>> {
        self.value.clone()
    }

    /// When the latest value was taken.
    pub fn taken(&self) -> Option<Moment> {
        self.taken
    }
}

// Derived, both would ask `T` for more than is needed.
impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { value: None, taken: None }
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), taken: self.taken }
    }
}
