//! The specification of each maintenance action: what it is called, what it risks, which key asks for it.
//!
//! Only the constants live here; what an action does comes with its implementation. `fix` lists in findings name
//! registered actions only, so an action that is not in [`ACTIONS`] is never offered.

use serde::Serialize;

/// The id of an action, such as `container.restart`: the same word in keys, palette, command line and journal.
pub type ActionId = &'static str;

/// What an action risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Runs at once.
    Safe,
    /// Interrupts something: asks.
    Disruptive,
    /// Data goes: asks for the object's name.
    Destructive,
}

/// One action as the rest of the program may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ActionSpec {
    /// Its id.
    pub id: ActionId,
    /// What it does, in two or three words.
    pub title: &'static str,
    /// What it risks.
    pub risk: Risk,
}

/// The registered actions.
pub const ACTIONS: &[ActionSpec] = &[];
