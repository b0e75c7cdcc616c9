//! The API server, seen from Unready: this node's pods as the rules want them, answers to questions about the cluster,
//! and verdicts as Events.
//!
//! Everything that knows the API's types is here; beyond it there are `unready_diagnosis::pod` and the client alone.
#![forbid(unsafe_code)]
