//! Attention: which cgroups the kernel half looks at, what each of them may tell, and the counters of what repeats.
//!
//! A container decides how often it forks, executes, listens or makes cgroups, so each kind of record has a budget for each cgroup,
//! kept in the kernel: what exceeds it is counted and never reaches the ring. A budget is a rate with a burst, by the generic
//! cell rate algorithm (ITU-T I.371, annex A): one word holds when the next record would be due at the steady rate, and a
//! record passes while that lies less than a burst ahead.
//!
//! A container may make cgroups below its own. Each has budgets like any other, and what all of them tell is charged to the
//! maker's *estate* too, so that a thousand cgroups tell no more than a few.

#[cfg(feature = "user")]
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

wire_enum! {
    /// How closely a cgroup is looked at. A cgroup that is absent from the map is not looked at: no record tells of its
    /// processes.
    pub enum Level: u32 {
        /// Ready, or not yet of interest: the end of its main process, and processes that were killed. Nothing else wakes the agent.
        Rest = 0,
        /// From the creation of the cgroup until ready: starts and ends of processes, failing calls, listeners.
        Starting = 1,
        /// A start is slow or a probe failed; nothing more is attached for it yet.
        Stalled = 2,
    }
}

wire_enum! {
    /// What has a budget of its own. Failing calls have a further one, [`crate::limits::SENT_PER_CGROUP_MAX`].
    pub enum Budget: u32 {
        /// Programs executed by other processes than the main one.
        Exec = 0,
        /// Ends of processes that told nothing before: neither an exec nor a failing call.
        Exit = 1,
        /// Sockets that begin or cease to listen.
        Listen = 2,
        /// Changes of root.
        Root = 3,
        /// Cgroups made, removed and entered, by processes of this cgroup.
        Cgroup = 4,
        /// Processes that the kernel chose to end for lack of memory.
        Oom = 5,
        /// Failing calls. Only the estate's is a rate.
        Call = 6,
        /// Programs executed by the main process, also at rest.
        Main = 7,
    }
}

/// Number of [`Budget`]s.
pub const BUDGETS: usize = Budget::ALL.len();

/// A budget's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds between two records at the steady rate.
    pub period: u64,
    /// Records that may come at once.
    pub burst: u64,
}

impl Rate {
    const fn new(per_second: u64, burst: u64) -> Self {
        Self { period: 1_000_000_000 / per_second, burst }
    }

    /// By the instant that the last record left behind: the one that this record leaves, `None` when it exceeds the budget.
    #[inline]
    pub const fn charge(self, due: u64, now: u64) -> Option<u64> {
        let due = if due > now { due } else { now };
        if due - now > self.period * (self.burst - 1) { None } else { Some(due + self.period) }
    }
}

impl Budget {
    /// What one cgroup may tell. The rates are what a busy but honest start needs: a shell script executes some tens of programs a
    /// second, and a burst covers the longest that were seen.
    pub const fn rate(self) -> Rate {
        match self {
            Self::Exec | Self::Exit | Self::Cgroup => Rate::new(32, 512),
            Self::Listen => Rate::new(16, 256),
            Self::Root => Rate::new(2, 16),
            Self::Oom | Self::Main => Rate::new(4, 32),
            Self::Call => Rate::new(64, 2048),
        }
    }

    /// What a cgroup and all that were made from within it may tell together.
    pub const fn estate(self) -> Rate {
        let Rate { period, burst } = self.rate();
        // A burst of failing calls is more than half of the ring already, and a quarter of the map of what repeats.
        let cgroups = if matches!(self, Self::Call) { 1 } else { ESTATE };
        Rate { period: period / ESTATE, burst: burst * cgroups }
    }
}

/// How many cgroups' worth of records an estate may tell. A machine inside a container (kind, Docker in Docker) is one.
const ESTATE: u64 = 4;

/// [`Watch::traits`]: it made an `io_uring`, whose requests are no system calls.
pub const USES_IO_URING: u32 = 1;
/// [`Watch::traits`]: it made 32-bit system calls, whose numbers are another table's.
pub const USES_COMPAT: u32 = 1 << 1;

/// [`Watch::traits`]: it is counted in its maker's [`Watch::made`]. One that user space put on the map is not.
pub const IS_COUNTED: u32 = 1 << 2;

/// Value of the attention map, keyed by cgroup id. The kernel half inserts it for every new cgroup of the unified
/// hierarchy, so that no start is missed; user space takes away what is not a container.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct Watch {
    /// A [`Level`].
    pub level: u32,
    /// `USES_*` bits: what of this cgroup is not seen; [`IS_COUNTED`].
    pub traits: u32,
    /// Process id of its main process, which has budgets of its own; 0: not known. User space tells it.
    pub main: u32,
    /// Cgroups made from within it that exist; see [`crate::limits::MADE_MAX`].
    pub made: u32,
    /// The cgroup under attention from within which it was made, or that one's own maker; 0: it was made from elsewhere.
    pub maker: u64,
    /// Distinct failures sent so far; see [`crate::limits::SENT_PER_CGROUP_MAX`].
    pub sent: u64,
    /// Records that were not sent because a budget was used up.
    pub suppressed: u64,
    /// By [`Budget`]: when the next record is due at the steady rate, boot-time nanoseconds.
    pub due: [u64; BUDGETS],
    /// The same for all that was made from within it, itself included.
    pub estate: [u64; BUDGETS],
}

/// What makes two failures the same one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct RepeatKey {
    pub cgroup: u64,
    /// Hash of path, second path and argument, as in [`crate::record::CallFailed::hash`].
    pub hash: u64,
    /// A [`crate::call::Call`].
    pub call: u16,
    /// The positive errno.
    pub errno: u16,
    pub reserved: u32,
}

/// How often it happened after it was sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "user", derive(FromBytes, IntoBytes, Immutable, KnownLayout))]
pub struct RepeatValue {
    /// Total, the one that was sent included.
    pub count: u64,
    /// Boot-time nanoseconds of the last one.
    pub last: u64,
    /// Thread group of the last one.
    pub tgid: u32,
    pub reserved: u32,
}

const _: () = assert!(size_of::<Watch>() == 40 + 16 * BUDGETS && size_of::<RepeatKey>() == 24 && size_of::<RepeatValue>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// How many of the records that come at these instants pass.
    fn passing(rate: Rate, instants: impl Iterator<Item = u64>) -> u64 {
        let mut due = 0;
        let mut passed = 0;
        for now in instants {
            if let Some(next) = rate.charge(due, now) {
                due = next;
                passed += 1;
            }
        }
        passed
    }

    #[test]
    fn a_flood_passes_its_burst_and_then_the_rate() {
        for budget in Budget::ALL {
            let rate = budget.rate();
            let flood = (0..1_000_000_u64).map(|n| SECOND + n * 10_000); // ten seconds, 100,000 a second
            let most = rate.burst + 10 * SECOND / rate.period + 1;
            let passed = passing(rate, flood);
            assert!((rate.burst..=most).contains(&passed), "{budget:?}: {passed} of at most {most}");
        }
    }

    #[test]
    fn what_stays_below_the_rate_always_passes() {
        let rate = Budget::Exec.rate();
        assert_eq!(passing(rate, (0..5000).map(|n| SECOND + n * (rate.period + 1))), 5000);
    }

    #[test]
    fn after_a_rest_a_burst_passes_again() {
        let rate = Budget::Root.rate();
        let twice = (0..100).map(|n| SECOND + n).chain((0..100).map(|n| 60 * SECOND + n));
        assert_eq!(passing(rate, twice), 2 * rate.burst);
    }

    #[test]
    fn an_estate_is_worth_some_cgroups() {
        for budget in Budget::ALL {
            let (estate, own) = (budget.estate(), budget.rate());
            assert!((own.burst..=ESTATE * own.burst).contains(&estate.burst), "{budget:?}");
            assert!(estate.period * ESTATE <= own.period, "{budget:?}");
        }
    }
}
