//! All that the engine says of one container, as lines of a tree: stripped, bounded, and without secrets.

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectionLine {
    /// How deep it lies; 0 at the top.
    pub depth: usize,
    /// Its name with a colon, or a dash for an item of a list.
    pub label: String,
    /// Its value; empty where lines below it say more.
    pub value: String,
}

/// The lines of one answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// In the order of names.
    pub lines: Vec<InspectionLine>,
    /// There was more than is kept.
    pub cut: bool,
}

impl Inspection {
    /// Lines that are kept.
    pub const LINES: usize = 2_000;
    /// Bytes that are kept of a name or a value.
    pub const BYTES: usize = 300;
    /// Levels that are kept.
    pub const DEPTH: usize = 12;
}
