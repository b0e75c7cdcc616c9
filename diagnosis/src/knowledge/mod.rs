//! What is known of real programs, images and platforms: tables of data with their source. Nothing here judges.

pub mod noise;
pub mod runtime_files;
pub mod runtimes;
pub mod volume;
