//! A FUSE file system whose server does not answer: what a dead network file system, or a hostile container, looks like.
//!
//! The protocol is spoken directly (`include/uapi/linux/fuse.h`, 7.31). When it is dropped the device is closed, and the
//! kernel ends every wait for it.

use rustix::{
    fs::OFlags,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};
use std::{
    ffi::CString,
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tempfile::TempDir;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const INIT: u32 = 26;
const ACCESS: u32 = 34;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;
const ENOSYS: i32 = 38;

/// What a server still answers, beside what is needed to mount it and to work in its root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Nothing,
    /// Every name is a program; opening it takes for ever.
    Names,
}

/// Mounted, until it is dropped.
pub(crate) struct Fuse {
    place: TempDir,
    is_over: Arc<AtomicBool>,
    unanswered: Arc<AtomicU64>,
    server: Option<JoinHandle<()>>,
}

impl Fuse {
    /// `None`: this machine has no FUSE, or this user may not mount it.
    pub(crate) fn mount(answers: Answers) -> Option<Self> {
        let device =
            fs::OpenOptions::new().read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open("/dev/fuse").ok()?;
        let place = tempfile::tempdir().unwrap();
        let options = format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", device.as_raw_fd());
        let options = CString::new(options).unwrap();
        mount("silent", place.path(), "fuse", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str()).ok()?;
        let (is_over, unanswered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let server = {
            let (is_over, unanswered) = (Arc::clone(&is_over), Arc::clone(&unanswered));
            thread::spawn(move || serve(device, answers, &is_over, &unanswered))
        };
        Some(Self { place, is_over, unanswered, server: Some(server) })
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Requests that have no answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::SeqCst)
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let _ = unmount(self.place.path(), UnmountFlags::DETACH);
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn serve(mut device: File, answers: Answers, is_over: &AtomicBool, unanswered: &AtomicU64) {
    let mut request = vec![0; 256 * 1024];
    while !is_over.load(Ordering::SeqCst) {
        match device.read(&mut request) {
            Ok(length) => {
                if let Some(answer) = answer(&request[..length], answers, unanswered) {
                    let _ = device.write_all(&answer);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(_) => break, // unmounted
        }
    }
}

/// `struct fuse_in_header`: length, opcode, unique, node …
fn answer(request: &[u8], answers: Answers, unanswered: &AtomicU64) -> Option<Vec<u8>> {
    let opcode = u32::from_ne_bytes(*request[4..].first_chunk().unwrap());
    let unique = u64::from_ne_bytes(*request[8..].first_chunk().unwrap());
    let node = u64::from_ne_bytes(*request[16..].first_chunk().unwrap());
    match opcode {
        INIT => Some(reply(unique, 0, &init())),
        // Whether one may work in the root: the kernel asks no more then.
        ACCESS => Some(reply(unique, -ENOSYS, &[])),
        FORGET | BATCH_FORGET | INTERRUPT => None,
        LOOKUP if answers == Answers::Names => Some(reply(unique, 0, &entry())),
        GETATTR if answers == Answers::Names => Some(reply(unique, 0, &[&[0; 16], attr(node).as_slice()].concat())),
        _ if answers == Answers::Names && !matches!(opcode, OPEN | READ) => Some(reply(unique, -ENOSYS, &[])),
        _ => {
            unanswered.fetch_add(1, Ordering::SeqCst);
            None
        }
    }
}

/// `struct fuse_out_header` with what follows it.
fn reply(unique: u64, error: i32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [&length.to_ne_bytes(), &error.to_ne_bytes(), unique.to_ne_bytes().as_slice(), body].concat()
}

/// `struct fuse_init_out`.
fn init() -> Vec<u8> {
    let mut out = [7u32, 31, 4096, 0].map(u32::to_ne_bytes).concat();
    out.extend([8u16, 6].map(u16::to_ne_bytes).concat());
    out.extend([4096u32, 1].map(u32::to_ne_bytes).concat());
    out.resize(64, 0);
    out
}

/// `struct fuse_entry_out`: nothing of it may be kept.
fn entry() -> Vec<u8> {
    const NODE: u64 = 2;
    [NODE.to_ne_bytes().as_slice(), &[0; 32], &attr(NODE)].concat()
}

/// `struct fuse_attr`.
fn attr(node: u64) -> Vec<u8> {
    let mode: u32 = if node == 1 { 0o40755 } else { 0o100_755 };
    let mut out = [node, 4096, 8, 1, 1, 1].map(u64::to_ne_bytes).concat();
    out.extend([0, 0, 0, mode, 1, 0, 0, 0, 4096, 0].map(u32::to_ne_bytes).concat());
    out
}
