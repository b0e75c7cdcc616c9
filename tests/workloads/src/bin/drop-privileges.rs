//! Changes to another user (`UID`) as daemons do when they start as root, and leaves when it may not: triggers
//! `PermissionDenied` without `CAP_SETUID` and `CAP_SETGID`.
#![forbid(unsafe_code)]

use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_gid, set_thread_groups, set_thread_uid},
};
use unready_workloads::{fail, parsed};

fn main() {
    let id: u32 = parsed(1, "the user to become");
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    if let Err(error) = set_thread_groups(&[gid]) {
        fail(format_args!("setgroups to {id} failed: {error}"));
    }
    if let Err(error) = set_thread_gid(gid).and_then(|()| set_thread_uid(uid)) {
        fail(format_args!("change to user {id} failed: {error}"));
    }
    println!("running as {id}");
}
