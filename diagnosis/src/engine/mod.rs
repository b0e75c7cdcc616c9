//! placeholder
/// The engine.
pub struct Engine;
