//! What the files of a container say of its programs: which file a path leads to, what a file is as a program, what it
//! needs, and whether that is there.
//!
//! All of it works over one trait, [`rootfs::Rootfs`]: the agent looks through `/proc/PID/root`, through descriptors that it
//! holds, and through bundles; tests look at files in memory. Each module stands on those before it:
//!
//! - [`rootfs`]: what must be possible with a container's files, and reading bounded pieces of them.
//! - [`resolve`]: paths, one name at a time, never out of the root.
//! - [`alike`]: names in a directory that may have been meant.
//! - [`elf`], [`loader_cache`], [`libraries`], [`executable`]: what a file is as a program, and what it needs.
//! - [`command`]: which file a command names, along `PATH`.
//! - [`passwd`]: whether `/etc/passwd` has a user.
//!
//! A container chooses all that is looked at here. So: nothing but regular files is opened, no link leads out of the root,
//! whatever is read or followed is bounded, and no content makes this code panic. Refused: `/proc`, real paths, clocks,
//! threads. How long a look may take, and where it happens, whoever implements the trait decides.
#![forbid(unsafe_code)]

pub mod alike;
pub mod command;
pub mod elf;
pub mod executable;
pub mod libraries;
pub mod loader_cache;
pub mod passwd;
pub mod resolve;
pub mod rootfs;
