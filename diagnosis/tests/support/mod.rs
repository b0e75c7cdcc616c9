//! The harness of the scenarios: a file of timed inputs, a miniature world that answers the engine's questions, and a
//! player that lets time pass.
//!
//! - [`scenario`]: the file's format.
//! - [`step`]: one line of what happened, as strace would print it.
//! - [`world`]: the container as the agent would find it when asked.
//! - [`arbitrary`]: for the properties, inputs that no file describes.
//! - [`node`]: containers of pods on one node, step by step.
//! - [`clock`]: the same with a clock that is set meanwhile.
//! - [`lossy`]: a scenario of which records get lost.
//! - [`mask`]: the same in hostile words.
//! - [`play`]: feeds the engine in the order of time and collects what it says.

pub mod arbitrary;
pub mod clock;
pub mod lossy;
pub mod mask;
pub mod node;
pub mod play;
pub mod pod;
pub mod scenario;
pub mod step;
pub mod world;
