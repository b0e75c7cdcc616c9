//! How runtimes of languages are told their bounds.

/// The sentence about memory: nine tenths of the limit (bytes) are for the heap, the rest is for what does not lie on it.
pub fn tell_bound(limit: Option<u64>) -> String {
    match limit.map(|limit| limit / 10 * 9) {
        Some(most) => format!(
            "Tell the runtime its bound: GOMEMLIMIT={0}MiB for Go, -XX:MaxRAMPercentage=75 for Java, --max-old-space-size={0} for Node.js.",
            most >> 20
        ),
        None => "Tell the runtime its bound (GOMEMLIMIT, -XX:MaxRAMPercentage, --max-old-space-size).".to_owned(),
    }
}
