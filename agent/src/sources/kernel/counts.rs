//! What the kernel half only counts: repetitions, losses, exhausted budgets. Read now and then, and told as inputs.
//!
//! Which failures may be repeated is known from their first records, so that single entries of the kernel's map are looked
//! up, those of one container when one of its processes ends, and never the whole map.

use crate::bpf::KernelHalf;
use std::{collections::BTreeMap, ops::Bound, time::Duration};
use unready_agent_common::{
    call::Call as WireCall,
    hooks::Hook,
    watch::{RepeatKey, USES_COMPAT, USES_IO_URING},
};
use unready_diagnosis::{
    Input, decode,
    input::Loss,
    record::{Errno, Record},
    units::{BootNanos, CgroupId},
    verdict::BlindSpots,
};

/// Failures of one cgroup whose repetitions are followed.
const FOLLOWED: usize = 512;
/// Of a cgroup whatever others have.
const FOLLOWED_ALWAYS: usize = 32;
/// Beyond those, of all cgroups together.
const FOLLOWED_IN_ALL: usize = 4096;
/// How many are looked up at once, a millisecond or two; the others have their turn the next time.
const LOOKED_UP: usize = 2048;

/// How often the counters are read while level 1 is attached.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
pub(super) struct KernelCounts {
    followed: BTreeMap<CgroupId, Vec<(RepeatKey, u64)>>,
    /// How many, of all cgroups.
    following: usize,
    /// The last cgroup whose failures were looked up.
    looked_up: Option<CgroupId>,
    lost: u64,
    suppressed: BTreeMap<CgroupId, u64>,
    blind: BTreeMap<CgroupId, u32>,
    counted: u64,
    read: BootNanos,
    /// When the losses were last read: what is lost since then may be missing from what starts since then.
    losses_read: BootNanos,
}

impl KernelCounts {
    pub(super) const fn is_due(&self, now: BootNanos) -> bool {
        now.since(self.read).as_millis() >= PERIOD.as_millis()
    }

    /// A failure was sent: what comes after it is only counted.
    pub(super) fn follow(&mut self, key: RepeatKey) {
        let followed = self.followed.entry(CgroupId(key.cgroup)).or_default();
        let most = if self.following < FOLLOWED_IN_ALL { FOLLOWED } else { FOLLOWED_ALWAYS };
        if followed.len() < most && followed.iter().all(|(known, _)| *known != key) {
            followed.push((key, 1));
            self.following += 1;
        }
    }

    /// A cgroup is no longer looked at, or no longer closely.
    pub(super) fn forget(&mut self, cgroup: CgroupId) {
        self.following -= self.followed.remove(&cgroup).map_or(0, |followed| followed.len());
        self.suppressed.remove(&cgroup);
        self.blind.remove(&cgroup);
    }

    /// What has changed since the last time, of all containers that start.
    pub(super) fn read(&mut self, kernel: &KernelHalf, starting: impl Iterator<Item = CgroupId>, now: BootNanos) -> Vec<Input> {
        self.read = now;
        let mut inputs: Vec<Input> = self.read_losses(kernel, now).into_iter().collect();
        inputs.extend(starting.flat_map(|cgroup| self.read_watch(kernel, cgroup)));
        let counted = kernel.counters().into_iter().map(|(_, counters)| counters.counted).sum();
        if std::mem::replace(&mut self.counted, counted) != counted {
            inputs.extend(self.look_up(kernel));
        }
        inputs
    }

    /// The repetitions of as many cgroups as there is time for, beginning behind the last one of the time before.
    fn look_up(&mut self, kernel: &KernelHalf) -> Vec<Input> {
        let last = self.looked_up.unwrap_or(CgroupId(0));
        let behind = self.followed.range((Bound::Excluded(last), Bound::Unbounded));
        let order: Vec<CgroupId> = behind.chain(self.followed.range(..=last)).map(|(id, _)| *id).collect();
        let (mut inputs, mut count) = (Vec::new(), 0);
        for cgroup in order {
            if count >= LOOKED_UP {
                break;
            }
            self.looked_up = Some(cgroup);
            for followed in self.followed.get_mut(&cgroup).into_iter().flatten() {
                count += 1;
                inputs.extend(repeated(kernel, followed));
            }
        }
        inputs
    }

    /// What was lost since the last time. Some ten system calls.
    pub(super) fn read_losses(&mut self, kernel: &KernelHalf, now: BootNanos) -> Option<Input> {
        let since = std::mem::replace(&mut self.losses_read, now);
        let mut lost: u64 = kernel.counters().into_iter().map(|(_, counters)| counters.ring_full).sum();
        lost += kernel.missed().into_iter().filter(|(hook, _)| is_evidence(*hook)).map(|(_, missed)| missed).sum::<u64>();
        let new = lost.saturating_sub(std::mem::replace(&mut self.lost, lost));
        (new > 0).then_some(Input::Loss(Loss { lost: new, since: Some(since), ..Loss::default() }))
    }

    /// What has changed of one container: its main process has just ended, or it is left alone from now on.
    pub(super) fn read_one(&mut self, kernel: &KernelHalf, cgroup: CgroupId) -> Vec<Input> {
        let followed = self.followed.get_mut(&cgroup).into_iter().flatten();
        let mut inputs: Vec<Input> = followed.filter_map(|followed| repeated(kernel, followed)).collect();
        inputs.extend(self.read_watch(kernel, cgroup));
        inputs
    }

    /// What a container did not tell: beyond its budget, or in a way that is not seen.
    fn read_watch(&mut self, kernel: &KernelHalf, cgroup: CgroupId) -> impl Iterator<Item = Input> + use<> {
        let watch = kernel.watched(cgroup).unwrap_or_default();
        let known = self.suppressed.entry(cgroup).or_default();
        let new = watch.suppressed.saturating_sub(std::mem::replace(known, watch.suppressed));
        let suppressed = (new > 0).then_some(Loss { suppressed: Some((cgroup, new)), ..Loss::default() });
        let is_new = self.blind.insert(cgroup, watch.traits).unwrap_or(0) != watch.traits;
        let spots = BlindSpots { io_uring: watch.traits & USES_IO_URING != 0, compat: watch.traits & USES_COMPAT != 0, own_kernel: false };
        let blind = is_new.then_some(Loss { blind: Some((cgroup, spots)), ..Loss::default() });
        suppressed.into_iter().chain(blind).map(Input::Loss)
    }
}

/// Whether a missed event of this hook may be missing from a verdict. (The others are noticed in another way.)
const fn is_evidence(hook: Hook) -> bool {
    matches!(hook, Hook::CallFailed | Hook::Exec | Hook::Exit)
}

/// What the kernel has counted of a failure, if it has changed.
fn repeated(kernel: &KernelHalf, (key, known): &mut (RepeatKey, u64)) -> Option<Input> {
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
