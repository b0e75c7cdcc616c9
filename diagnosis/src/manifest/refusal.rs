//! A refusal with all that bears on it.

use super::{
    chain::Who,
    located::{Located, locate},
};
use crate::{
    case::Manifest,
    permission::{Attempt, Denial, Purpose, Rights, WRITE},
    question::Walk,
    record::{Call, Errno},
    story::failure::Failure,
};

/// See the module's head.
pub(super) struct Refusal<'a> {
    pub(super) spec: Manifest<'a>,
    pub(super) denial: &'a Denial,
    pub(super) walk: &'a Walk,
    pub(super) place: Option<Located<'a>>,
    pub(super) who: Who,
    /// The rights that counted: they know the numbers of the pod's user namespace.
    pub(super) rights: Rights<'a>,
    /// The directory that was to be made, and is not there.
    pub(super) made: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    pub(super) fn new(spec: Manifest<'a>, failure: &'a Failure, attempt: &Attempt<'a>, denial: &'a Denial) -> Self {
        let walk = attempt.walk;
        let made = walk.stopped.as_ref().filter(|stop| failure.call.call == Call::Mkdir && stop.errno == Errno::ENOENT);
        Self {
            place: locate(&spec, &denial.at.path),
            spec,
            denial,
            walk,
            who: Who::of(failure, Some(walk)),
            rights: Rights::new(failure.call.call, &failure.call.creds, walk),
            made: made.map(|stop| stop.path.as_str()),
        }
    }

    /// Owner of the refusing component, in the pod's numbers.
    pub(super) fn owner(&self) -> u32 {
        self.rights.uid_inside(self.denial.at.uid).unwrap_or(u32::MAX)
    }

    /// Its group, in the pod's numbers.
    pub(super) fn group(&self) -> u32 {
        self.rights.gid_inside(self.denial.at.gid).unwrap_or(u32::MAX)
    }

    /// Something is to be made or removed in it.
    pub(super) const fn makes(&self) -> bool {
        matches!(self.denial.purpose, Purpose::Create | Purpose::Remove) && self.denial.missing & WRITE != 0
    }
}
