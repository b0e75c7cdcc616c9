//! The agent: from the kernel's ring buffer to delivered verdicts.
//!
//! ```text
//!   sources ─ Input ─► pipeline ─► diagnosis::Engine ─ Output ─► pipeline ─┬─► sinks        verdicts, starts
//!      ▲                  ▲                                                ├─► investigate  questions
//!      │                  └────────────────────── answers ─────────────────┘
//!      └───────────────────────────────────────── attention: what the kernel half watches
//! ```
//!
//! - [`preflight`]: may we run here? Each refusal is one sentence with its remedy.
//! - [`cgroupfs`]: where the unified hierarchy is mounted, and which cgroups exist.
//! - [`clock`]: boot time, as the kernel stamps its records, and the wall clock, also when it is set.
//! - [`bpf`]: loads and attaches the eBPF programs; the only place of this crate with `unsafe`.
//! - [`sources`]: the kernel's records, what exists, this node's pods.
//! - [`pipeline`]: the one task that owns the engine.
//! - [`investigate`]: answers the engine's questions about the world.
//! - [`sinks`]: where verdicts and starts go.
//! - [`deliver`]: the stream to the collector.
//! - [`metrics`]: what it tells Prometheus.
//! - [`recording`]: writes and reads the engine's inputs.

pub mod bpf;
pub mod cgroupfs;
pub mod clock;
pub mod deliver;
pub mod investigate;
pub mod metrics;
pub mod pipeline;
pub mod preflight;
pub mod recording;
pub mod sinks;
pub mod sources;
