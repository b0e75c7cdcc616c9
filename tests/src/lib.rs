//! What the demo, the kernel tests and the bench need of a real machine: containers, cgroups, agent and collector.
//!
//! Everything here is made below one temporary directory or one cgroup and removed by whoever made it: each value owns
//! what it started and ends it on drop, also when the test fails or the user presses Ctrl-C ([`interrupt`]).
//!
//! - [`binaries`]: where the programs under test and the workloads are; builds them if they were not given.
//! - [`rootfs`], [`bundle`]: a container's file system and its OCI description.
//! - [`runc`]: runs it, waits for it, deletes it.
//! - [`cgroups`]: cgroups without a container.
//! - [`cluster`]: what runs in a real Kubernetes.
//! - [`processes`]: agent and collector.
//! - [`verdicts`]: what they said.
//! - [`mod@bench`]: what `unready-bench` measures.
//! - [`demo`]: the containers of `unready-demo`, with what is expected of each.
//! - [`deploy`]: dashboard, alerts and chart, against a real Prometheus and a real API server.
//! - [`attached`]: which programs and maps a process holds.
//! - [`lab`]: a scratch directory, a cgroup, a runtime and a root file system, in one.
//! - [`options`]: what the programs for people take on the command line.
//! - [`wait`]: waiting with a deadline.
#![forbid(unsafe_code)]

pub mod attached;
pub mod bench;
pub mod binaries;
pub mod bundle;
pub mod cgroups;
pub mod cluster;
pub mod demo;
pub mod deploy;
pub mod http;
pub mod interrupt;
pub mod lab;
pub mod options;
pub mod processes;
pub mod rootfs;
pub mod runc;
pub mod verdicts;
pub mod wait;
