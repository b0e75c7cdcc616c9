//! What the kernel half only counts: repetitions, losses, exhausted budgets. Read now and then, and told as inputs.

use crate::bpf::Kernel;
use std::{collections::HashMap, time::Duration};
use unready_agent_common::{
    call::Call as WireCall,
    watch::{RepeatKey, RepeatValue},
};
use unready_diagnosis::{
    Input, decode,
    input::Loss,
    record::{Errno, Record},
    units::{BootNanos, CgroupId},
};

#[derive(Debug, Default)]
pub(super) struct KernelCounts {
    repeats: HashMap<RepeatKey, u64>,
    lost: u64,
    suppressed: HashMap<CgroupId, u64>,
    read: BootNanos,
}

impl KernelCounts {
    /// How often the counters are read while level 1 is attached.
    pub(super) const PERIOD: Duration = Duration::from_millis(250);
    /// Not more often than this, however many processes end.
    const PAUSE: Duration = Duration::from_millis(20);

    pub(super) const fn is_due(&self, now: BootNanos) -> bool {
        now.since(self.read).as_millis() >= Self::PERIOD.as_millis()
    }

    /// What has changed since the last time.
    pub(super) fn read(&mut self, kernel: &Kernel, now: BootNanos) -> Vec<Input> {
        if now.since(self.read) < Self::PAUSE {
            return Vec::new();
        }
        self.read = now;
        let mut inputs: Vec<Input> = self.changed_repeats(kernel.repeats()).collect();
        inputs.extend(self.new_losses(kernel));
        inputs
    }

    fn changed_repeats(&mut self, all: Vec<(RepeatKey, RepeatValue)>) -> impl Iterator<Item = Input> + use<> {
        let before = std::mem::take(&mut self.repeats);
        let mut changed = Vec::new();
        for (key, value) in all {
            self.repeats.insert(key, value.count);
            if value.count > 1 && before.get(&key) != Some(&value.count) {
                changed.extend(repeated(key, value));
            }
        }
        changed.into_iter()
    }

    fn new_losses(&mut self, kernel: &Kernel) -> Option<Input> {
        let lost: u64 = kernel.counters().iter().map(|(_, counters)| counters.ring_full).sum();
        let new = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
        (new > 0).then_some(Input::Loss(Loss { lost: new, ..Loss::default() }))
    }

    /// Whether a container used up its budget of distinct failures since it was last asked about.
    pub(super) fn suppressed(&mut self, kernel: &Kernel, cgroup: CgroupId) -> Option<Input> {
        let total = kernel.watched(cgroup)?.suppressed;
        let known = self.suppressed.entry(cgroup).or_default();
        let new = total.saturating_sub(std::mem::replace(known, total));
        (new > 0).then_some(Input::Loss(Loss { suppressed: Some((cgroup, new)), ..Loss::default() }))
    }

    /// A cgroup is gone.
    pub(super) fn forget(&mut self, cgroup: CgroupId) {
        self.suppressed.remove(&cgroup);
    }
}

fn repeated(key: RepeatKey, value: RepeatValue) -> Option<Input> {
    let call = decode::call(WireCall::try_from(key.call).ok()?);
    let (cgroup, errno) = (CgroupId(key.cgroup), Errno(key.errno));
    Some(Input::Record(Record::Repeated {
        cgroup,
        hash: key.hash,
        call,
        errno,
        count: value.count,
        last: BootNanos(value.last),
        pid: value.tgid,
    }))
}
