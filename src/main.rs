//! hostler.
fn main() {}
