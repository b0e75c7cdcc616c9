//! Containers in memory: what is said of their files, and that nothing leaves the root, opens what is not a regular file, or reads
//! without a bound, whatever a container holds.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod commands;
mod elf_file;
mod libraries;
mod paths;
mod programs;
mod tree;
