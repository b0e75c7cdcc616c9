//! What a caller decides about the kernel half before it is loaded.

/// How to load.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Let the programs say what they do, to `tracing` at level debug. Without it the messages cost nothing: the verifier
    /// removes them.
    pub debug_log: bool,
}
