//! Compares what is known with the cgroups that exist: a lost record must not be missed for ever.
//!
//! Nothing that happened since the walk began is undone by it, and where it was cut, absence proves nothing.

use super::{Engine, Nested};
use crate::{
    attribution::{self, Place},
    input::Loss,
    life::{container::Container, parts::Origin},
    snapshot::{Existing, Processes, Snapshot},
    units::{BootNanos, CgroupId},
};
use std::collections::BTreeMap;

/// What one container may make is this part of all that is kept: a cluster in a container, with its 110 pods, fits.
const OF_ONE: usize = 4;
/// Cgroups below a container that are followed however many others have: crun puts the program into one.
const ALWAYS: usize = 4;

impl Engine {
    /// Records were lost: every start that they may have been of may lack evidence.
    pub fn handle_loss(&mut self, loss: Loss, now: BootNanos) {
        let until = loss.until.unwrap_or(now);
        let lost = loss.lost.saturating_add(loss.undecodable);
        self.lacks_records |= lost > 0;
        let lacking: Vec<CgroupId> =
            self.containers.iter().filter(|(_, container)| lost > 0 && container.may_lack(loss.since, until)).map(|(id, _)| *id).collect();
        for id in lacking {
            self.with(id, now, |container, _| container.completeness.lost = container.completeness.lost.saturating_add(lost));
        }
        if let Some((cgroup, suppressed)) = loss.suppressed
            && let Some(container) = self.containers.get_mut(&self.owner(cgroup))
        {
            container.completeness.suppressed = container.completeness.suppressed.saturating_add(suppressed);
        }
        if let Some((cgroup, blind)) = loss.blind {
            self.with(cgroup, now, |container, _| container.completeness.blind = container.completeness.blind.and(blind));
        }
    }

    /// Which cgroups exist.
    pub fn handle_cgroups(&mut self, snapshot: &Snapshot, now: BootNanos) {
        let there: BTreeMap<CgroupId, &Existing> = snapshot.cgroups.iter().map(|existing| (existing.id, existing)).collect();
        if !snapshot.cut {
            self.remove_absent(&there, snapshot.walked, now);
        }
        let lacks_records = std::mem::take(&mut self.lacks_records);
        for existing in &snapshot.cgroups {
            let Existing { id, path, processes } = existing;
            if self.containers.contains_key(id) {
                if let Some(found) = processes {
                    self.with(*id, now, |container, now| container.compare(found, snapshot.walked, now));
                }
            } else if !self.nested.contains_key(id) && !self.passed.contains(id) && !self.gone.contains(id) {
                let adopted = self.adopt(*id, path, processes.as_ref(), snapshot.walked, now);
                if !adopted && lacks_records {
                    self.pass_over(*id, path); // the kernel may watch it closely still: its record was lost
                }
            }
        }
    }

    fn remove_absent(&mut self, there: &BTreeMap<CgroupId, &Existing>, walked: BootNanos, now: BootNanos) {
        let is_cut = |existing: &&&Existing| existing.processes.as_ref().is_some_and(|found| found.cut);
        let cut: Vec<&str> = there.values().filter(is_cut).map(|existing| existing.path.as_str()).collect();
        let may_hide = |path: &str| cut.iter().any(|cut| path.strip_prefix(cut).is_some_and(|below| below.starts_with('/')));
        let is_gone = |id: &CgroupId, container: &Container| {
            let differs = there.get(id).map_or_else(|| !may_hide(&container.path), |found| found.path != container.path);
            container.created <= walked && differs
        };
        let gone: Vec<CgroupId> = self.containers.iter().filter(|(id, container)| is_gone(id, container)).map(|(id, _)| *id).collect();
        // What lies below a container that was not looked at as a whole may exist, and so may what lies below one that is hidden.
        let has_all = |owner: &CgroupId| there.get(owner).and_then(|found| found.processes.as_ref()).is_some_and(|found| !found.cut);
        let parts = self.nested.iter().filter(|(id, part)| part.created <= walked && !there.contains_key(id) && has_all(&part.owner));
        for id in parts.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.cgroup_removed(id, now);
        }
        for id in gone {
            self.ignore(id);
            self.with(id, now, Container::removed_unseen);
        }
        self.passed.retain(|id| there.contains_key(id));
    }

    /// A cgroup that exists and is not known: its record was lost, or there were too many containers then.
    fn adopt(&mut self, id: CgroupId, path: &str, found: Option<&Processes>, walked: BootNanos, now: BootNanos) -> bool {
        match attribution::place(path) {
            Place::Nested { container } => self.part_of(id, &container, walked),
            place @ Place::Container { .. } => {
                let Some(mut container) = Container::new(id, path, place, true, walked) else { return false };
                container.meet_late(found, &self.config);
                self.insert(container, now)
            }
            Place::Pod { .. } | Place::Run { .. } | Place::Other => false,
        }
    }

    /// A cgroup below a container's own.
    pub(super) fn part_of(&mut self, id: CgroupId, container: &str, created: BootNanos) -> bool {
        let Some(owner) = self.by_path.get(container).copied().filter(|owner| self.has_room_below(*owner)) else {
            return false;
        };
        self.nested.insert(id, Nested { owner, created });
        let container = self.containers.get(&owner);
        let maker = container.and_then(|container| self.maker(container)).or(Some(owner));
        self.attend(id, container.map(Container::level), maker);
        true
    }

    /// The container that this one lies below, if it is known.
    fn maker(&self, container: &Container) -> Option<CgroupId> {
        self.by_path.get(container.around.as_ref()?).copied()
    }

    fn has_room_below(&self, owner: CgroupId) -> bool {
        let most = self.config.containers;
        let of_owner = self.nested.values().filter(|part| part.owner == owner).count();
        of_owner < ALWAYS || (self.nested.len() < most && of_owner < most / OF_ONE)
    }

    /// Whether one more may be kept. Those inside a container are what that one chose to make: they leave room for others.
    fn has_room_for(&self, new: &Container) -> bool {
        let most = self.config.containers;
        if new.around.is_none() {
            return self.containers.len() < most;
        }
        let count = |is_counted: fn(&Container, &Container) -> bool| self.containers.values().filter(|one| is_counted(one, new)).count();
        let of_one = count(|one, new| one.around == new.around);
        of_one < most / OF_ONE && count(|one, _| one.around.is_some()) < most / 2
    }

    /// Keeps a new container, unless there are too many.
    pub(super) fn insert(&mut self, mut container: Container, now: BootNanos) -> bool {
        if !self.has_room_for(&container) {
            return false;
        }
        let (id, path) = (container.id, container.path.clone());
        self.attend(id, Some(container.level()), self.maker(&container));
        let in_pod = !container.membership.pod_uid.is_empty();
        if in_pod && self.pods.in_cluster && container.membership.origin == Origin::Seen {
            container.ask_who(self.config.questions);
        }
        if let Some(due) = container.due(&self.config, now) {
            container.scheduled = Some(due);
            self.timers.insert((due, id));
        }
        self.by_path.insert(path, id);
        self.containers.insert(id, container);
        if in_pod {
            self.introduce(id, now);
        }
        true
    }
}
