//! The states of starts, and of the pods that they belong to: bounded, and driven from outside.
//!
//! - [`engine`]: what goes in and comes out; [`config`]: its limits and times.
//! - [`container`]: one start of one container, and what it is made of ([`parts`]); how far it is: [`state`].
//! - [`presence`], [`membership`]: what is known of it although records get lost, and from its pod.
//! - [`timing`]: what time alone brings; [`judging`]: when it is judged; [`telling`]: how it is told.
//! - [`pods`], [`pod_state`]: what is known and was said of pods; [`clock`]: dates, when somebody sets the node's clock.

mod clock;
mod config;
mod container;
mod engine;
mod judging;
mod membership;
mod parts;
mod pod_state;
mod pods;
mod presence;
mod state;
mod telling;
mod timing;

pub use config::Config;
pub use engine::Engine;
