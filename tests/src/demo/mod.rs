//! The demo: real containers that cannot start, each for a reason of its own, and healthy ones that look almost as bad.
//!
//! - [`scenario`]: what a container is and what is expected of it.
//! - [`table`]: the containers, in one place.
//! - [`more`]: containers that are explained in the kernel tests only.
//! - [`world`]: root file systems, volumes and programs that they need.
//! - [`stage`]: starts them and waits for what is said about them.
//! - [`first`]: one of them, before everything is built.
//! - [`report`]: the table for people.

pub mod first;
pub mod more;
pub mod report;
pub mod scenario;
pub mod stage;
pub mod table;
pub mod world;
