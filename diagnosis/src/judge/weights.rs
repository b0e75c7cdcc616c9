//! Every number of the judge, in one place: points that speak for or against a suspect, and the borders between words.
//!
//! `cargo xtask weights` moves each and shows which scenarios flip; one that flips none has no right to be here.

macro_rules! weights {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:literal;)+) => {
        /// The judge's numbers: points, unless said otherwise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Weights {
            $($(#[doc = $doc])+ pub $name: i32,)+
        }

        impl Default for Weights {
            fn default() -> Self {
                Self { $($name: $value),+ }
            }
        }

        impl Weights {
            /// Their names.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The number of this name.
            pub fn number(&mut self, name: &str) -> Option<&mut i32> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)+
                    _ => None,
                }
            }
        }
    };
}

weights! {
    /// Below this a suspect explains nothing.
    threshold = 40;
    /// The same for a failure of a process that still runs: more is needed than for one that ended its process.
    threshold_alive = 60;
    /// The same while a readiness probe waits for the process in vain.
    threshold_unready = 50;
    /// From this on a suspect whose condition was checked again is certain.
    certain = 65;
    /// From this on it is likely; below, possible.
    likely = 55;
    /// A suspect within this of the best one makes the best one less than certain.
    rival = 15;
    /// What is proved goes before what is not, by this.
    proved = 5;
    /// The kernel itself said that memory ran out.
    out_of_memory = 120;
    /// execve of what is not there: shells search.
    exec_missing = 45;
    /// execve refused for another reason, or by whoever starts the container.
    exec_refused = 70;
    /// bind.
    bind = 60;
    /// No room on a file system.
    no_room = 50;
    /// Read-only, or a limit of files or processes.
    limit = 45;
    /// A missing right. That rarely is by design.
    denied = 40;
    /// The same of a mere look (stat, access, readlink).
    denied_look = 30;
    /// A missing file. That often is.
    missing = 20;
    /// The same of a mere look.
    missing_look = 5;
    /// What was to be made has no directory: that is not looking for something optional.
    missing_to_make = 35;
    /// Any other errno.
    other = 35;
    /// Taken off for logs and pid files: programs write them if they can, and mostly go on if they cannot.
    side_file = 15;
    /// The process was told the path by an argument.
    told = 25;
    /// The path lies on a volume.
    volume = 15;
    /// It is tried again and again.
    retried = 15;
    /// The process ended as the loader does when a library is missing.
    loader_exit = 50;
    /// It ended at once after the failure; milliseconds of that: [`at_once_millis`](Self::at_once_millis).
    near_at_once = 20;
    /// It ended soon after: within a quarter of a second.
    near_soon = 12;
    /// Taken off when it ended more than two seconds later.
    far = 40;
    /// An exit this soon after a failure is taken as its answer to it, milliseconds.
    at_once_millis = 25;
    /// Taken off when the container outlived the process by more than a tenth of a second: it went on without it.
    outlived = 35;
    /// Taken off when something was executed after the process had ended: whoever started it got over its failure.
    went_on = 60;
    /// Nothing else failed between it and the end.
    last_failure = 10;
    /// Taken off when two or more other failures came between.
    followed = 10;
    /// The program names path and error on stderr.
    named_with_error = 70;
    /// It names the path, or the file's name with the error.
    named = 50;
    /// It complains of what the path stands for.
    complained = 40;
    /// It names the file's name.
    base_named = 30;
    /// It names the error.
    error_named = 20;
    /// Taken off when it gives another reason.
    other_reason = 30;
    /// Taken off when it speaks of something else.
    other_words = 15;
}
