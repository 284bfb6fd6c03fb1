//! Reusable pieces of the screen. They know no tab.

pub mod graph;
pub mod meter;
pub mod plot;
pub mod rule;
pub mod table;
