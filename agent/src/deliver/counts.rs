//! What became of what was offered for delivery.

/// What became of what was offered of one kind, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub offered: u64,
    /// Took the place of an older self that still waited.
    pub replaced: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Committed by the collector.
    pub acknowledged: u64,
}
