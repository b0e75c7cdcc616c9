//! With whose rights the running thread acts.

use crate::{globals::member, peek::KernelAddress, tally::Unreadable};
use unready_agent_common::{limits::GROUPS_CAP, record::Creds};

const GROUPS_BYTES: usize = GROUPS_CAP * size_of::<u32>();

/// The effective credentials, `task_struct.cred`: what the kernel judged the failing call by.
#[inline(always)]
pub(crate) fn current() -> Result<KernelAddress, Unreadable> {
    KernelAddress::current_task().follow(member!(task_cred))
}

/// Fills in everything that can be read; the rest stays 0.
#[inline(always)]
pub(crate) fn fill(cred: KernelAddress, into: &mut Creds) {
    into.uid = cred.get(member!(cred_uid)).unwrap_or(0);
    into.gid = cred.get(member!(cred_gid)).unwrap_or(0);
    into.euid = cred.get(member!(cred_euid)).unwrap_or(0);
    into.egid = cred.get(member!(cred_egid)).unwrap_or(0);
    into.fsuid = cred.get(member!(cred_fsuid)).unwrap_or(0);
    into.fsgid = cred.get(member!(cred_fsgid)).unwrap_or(0);
    into.cap_effective = cred.get(member!(cred_cap_effective)).unwrap_or(0);
    into.user_ns = user_namespace(cred).unwrap_or(0);
    into.ngroups = groups(cred, &raw mut into.groups).unwrap_or(0);
}

#[inline(always)]
fn user_namespace(cred: KernelAddress) -> Result<u32, Unreadable> {
    cred.follow(member!(cred_user_ns))?.get(member!(user_ns_inum))
}

#[inline(always)]
fn groups(cred: KernelAddress, into: *mut [u32; GROUPS_CAP]) -> Result<u32, Unreadable> {
    let info = cred.follow(member!(cred_group_info))?;
    let count: u32 = info.get(member!(group_info_ngroups))?;
    let bytes = (count as usize).min(GROUPS_CAP) * size_of::<u32>();
    info.at(member!(group_info_gid))?.bytes(bytes, into.cast::<[u8; GROUPS_BYTES]>())?;
    Ok(count)
}
