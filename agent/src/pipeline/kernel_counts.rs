//! What the kernel half only counts: repetitions, losses, exhausted budgets. Read now and then, and told as inputs.
//!
//! Which failures may be repeated is known from their first records, so that single entries of the kernel's map are looked
//! up, those of one container when one of its processes ends, and never the whole map.

use crate::bpf::Kernel;
use std::{collections::BTreeMap, time::Duration};
use unready_agent_common::{call::Call as WireCall, counters::Hook, watch::RepeatKey};
use unready_diagnosis::{
    Input, decode,
    input::Loss,
    record::{Errno, Record},
    units::{BootNanos, CgroupId},
};

/// Failures of one container whose repetitions are followed.
const FOLLOWED: usize = 512;

#[derive(Debug, Default)]
pub(super) struct KernelCounts {
    followed: BTreeMap<CgroupId, Vec<(RepeatKey, u64)>>,
    lost: u64,
    suppressed: BTreeMap<CgroupId, u64>,
    counted: u64,
    read: BootNanos,
}

impl KernelCounts {
    /// How often the counters are read while level 1 is attached.
    pub(super) const PERIOD: Duration = Duration::from_millis(250);

    pub(super) const fn is_due(&self, now: BootNanos) -> bool {
        now.since(self.read).as_millis() >= Self::PERIOD.as_millis()
    }

    /// A failure was sent: what comes after it is only counted.
    pub(super) fn follow(&mut self, key: RepeatKey) {
        let followed = self.followed.entry(CgroupId(key.cgroup)).or_default();
        if followed.len() < FOLLOWED && followed.iter().all(|(known, _)| *known != key) {
            followed.push((key, 1));
        }
    }

    /// A cgroup is no longer looked at.
    pub(super) fn forget(&mut self, cgroup: CgroupId) {
        self.followed.remove(&cgroup);
        self.suppressed.remove(&cgroup);
    }

    /// What has changed since the last time, of all containers.
    pub(super) fn read(&mut self, kernel: &Kernel, now: BootNanos) -> Vec<Input> {
        self.read = now;
        let (mut lost, mut counted) = (0, 0);
        for (_, counters) in kernel.counters() {
            lost += counters.ring_full;
            counted += counters.counted;
        }
        lost += kernel.missed().into_iter().filter(|(hook, _)| is_evidence(*hook)).map(|(_, missed)| missed).sum::<u64>();
        let mut inputs = Vec::new();
        let new = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
        if new > 0 {
            inputs.push(Input::Loss(Loss { lost: new, ..Loss::default() }));
        }
        if std::mem::replace(&mut self.counted, counted) != counted {
            inputs.extend(self.followed.values_mut().flatten().filter_map(|followed| repeated(kernel, followed)));
        }
        inputs
    }

    /// What has changed of one container, whose process has just ended.
    pub(super) fn read_one(&mut self, kernel: &Kernel, cgroup: CgroupId) -> Vec<Input> {
        let mut inputs = Vec::new();
        if let Some(followed) = self.followed.get_mut(&cgroup) {
            inputs.extend(followed.iter_mut().filter_map(|followed| repeated(kernel, followed)));
        }
        let total = kernel.watched(cgroup).map_or(0, |watch| watch.suppressed);
        if total > 0 {
            let new = total.saturating_sub(self.suppressed.insert(cgroup, total).unwrap_or(0));
            inputs.extend((new > 0).then_some(Input::Loss(Loss { suppressed: Some((cgroup, new)), ..Loss::default() })));
        }
        inputs
    }
}

/// Whether a missed event of this hook may be missing from a verdict. (The others are noticed in another way.)
const fn is_evidence(hook: Hook) -> bool {
    matches!(hook, Hook::CallFailed | Hook::Exec | Hook::Exit)
}

/// What the kernel has counted of a failure, if it has changed.
fn repeated(kernel: &Kernel, (key, known): &mut (RepeatKey, u64)) -> Option<Input> {
    let value = kernel.repeat(key).filter(|value| value.count != *known)?;
    *known = value.count;
    let call = decode::call(WireCall::try_from(key.call).ok()?);
    Some(Input::Record(Record::Repeated {
        cgroup: CgroupId(key.cgroup),
        hash: key.hash,
        call,
        errno: Errno(key.errno),
        count: value.count,
        last: BootNanos(value.last),
        pid: value.tgid,
    }))
}
