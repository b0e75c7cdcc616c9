//! What the pod's manifest says of a failure, and the change of it that helps.

pub mod patch;
