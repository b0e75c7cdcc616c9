//! The agent: from the kernel's ring buffer to delivered verdicts.
//!
//! The module list is the pipeline:
//!
//! ```text
//!   bpf ─ records ─► pipeline ─ Input ─► diagnosis::Engine ─ Output ─► pipeline ─┬─► investigate (questions → answers)
//!    ▲                  │                                                        ├─► bpf (attention)
//!    └─ attention ──────┘ recording (inputs to a file)                           └─► deliver (stdout, collector)
//! ```
//!
//! - [`preflight`]: may we run here? Each refusal is one sentence with its remedy.
//! - [`cgroupfs`]: where the unified hierarchy is mounted, and which cgroups exist.
//! - [`clock`]: boot time, as the kernel stamps its records, and the wall clock, also when it is set.
//! - [`bpf`]: loads and attaches the eBPF programs; the only place of this crate with `unsafe`.
//! - [`pipeline`]: the one task that owns the engine.
//! - [`investigate`]: answers the engine's questions about the world.
//! - [`kubernetes`]: this node's pods, questions about the cluster, Events.
//! - [`sinks`]: where verdicts and starts go.
//! - [`deliver`]: the stream to the collector.
//! - [`metrics`]: what it tells Prometheus.
//! - [`recording`]: writes and reads the engine's inputs.

pub mod bpf;
pub mod cgroupfs;
pub mod clock;
pub mod deliver;
pub mod investigate;
pub mod kubernetes;
pub mod metrics;
pub mod pipeline;
pub mod preflight;
pub mod recording;
pub mod sinks;
