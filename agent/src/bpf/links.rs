//! What keeps programs attached, and letting go of them without making anyone wait.

use super::{error::LoadError, hooks::Seat};
use aya::{
    Ebpf,
    programs::{Program, ProgramError, raw_trace_point::RawTracePointLink, trace_point::TracePointLink},
};
use std::{
    error::Error as StdError,
    fs, io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

/// A program stays attached as long as this lives.
#[expect(dead_code, reason = "held to be dropped")]
pub(super) enum Link {
    Raw(RawTracePointLink),
    Tracepoint(TracePointLink),
}

/// A link that is on its way out, with the program that it held.
type Leaving = (Seat, Link);

/// Lets go of links, in a thread: with the last tracer of system calls the kernel goes through all tasks. What has not been let
/// go of when it is wanted again is taken back.
#[derive(Default)]
pub(super) struct Detacher {
    leaving: Arc<Mutex<Vec<Leaving>>>,
    running: Option<JoinHandle<()>>,
}

impl Detacher {
    /// Attaches a program, or takes its link back.
    pub(super) fn attach(&mut self, ebpf: &mut Ebpf, seat: Seat) -> Result<Link, LoadError> {
        if let Some(link) = self.take_back(seat) {
            return Ok(link);
        }
        let result = match attach(ebpf, seat) {
            // Before 6.10 a raw tracepoint holds a program once: the link that is being let go of is in the way.
            Err(error) if has_errno(&error, libc::EEXIST) && self.running.is_some() => {
                self.wait();
                attach(ebpf, seat)
            }
            other => other,
        };
        result.map_err(|error| LoadError::of_program(seat.program, &error))
    }

    /// Lets go of links, the last first.
    pub(super) fn detach(&mut self, links: Vec<Leaving>) {
        queue(&self.leaving).extend(links);
        let leaving = Arc::clone(&self.leaving);
        let before = self.running.take();
        let work = move || {
            if let Some(before) = before {
                let _ = before.join();
            }
            // The queue is free while the kernel takes its time with a link.
            while let Some(link) = { queue(&leaving).pop() } {
                drop(link);
            }
        };
        // If no thread can be had, the links go when this value goes.
        self.running = std::thread::Builder::new().name("detach".to_owned()).spawn(work).ok();
    }

    fn take_back(&self, seat: Seat) -> Option<Link> {
        let mut leaving = queue(&self.leaving);
        let index = leaving.iter().position(|(other, _)| other.program == seat.program)?;
        Some(leaving.remove(index).1)
    }

    fn wait(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

impl Drop for Detacher {
    fn drop(&mut self) {
        self.wait();
    }
}

/// The queue; a thread that panicked with it has at worst dropped a link.
fn queue(leaving: &Mutex<Vec<Leaving>>) -> MutexGuard<'_, Vec<Leaving>> {
    leaving.lock().unwrap_or_else(PoisonError::into_inner)
}

fn attach(ebpf: &mut Ebpf, seat: Seat) -> Result<Link, ProgramError> {
    match (ebpf.program_mut(seat.program), seat.group) {
        (Some(Program::RawTracePoint(program)), None) => {
            let id = program.attach(seat.row.tracepoint)?;
            program.take_link(id).map(Link::Raw)
        }
        (Some(Program::TracePoint(program)), Some(group)) => {
            let id = program.attach(group, seat.row.tracepoint)?;
            program.take_link(id).map(Link::Tracepoint)
        }
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// Whether tracefs shows the tracepoint of a program that needs it; else what to do.
pub(super) fn probe(seat: Seat) -> Result<(), String> {
    let event = format!("events/{}/{}/id", seat.group.unwrap_or_default(), seat.row.tracepoint);
    let is_there = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].iter().any(|place| Path::new(place).join(&event).exists());
    let missing = || "tracefs is not mounted: as root, `mount -t tracefs none /sys/kernel/tracing`".to_owned();
    is_there.then_some(()).ok_or_else(missing)
}

/// How often the kernel did not run a program, as it tells in `fdinfo`.
pub(super) fn missed(ebpf: &Ebpf, seat: Seat) -> Option<u64> {
    let program = ebpf.program(seat.program)?.fd().ok()?;
    let descriptor = program.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?.trim().parse().ok()
}

/// Whether a system call's errno is behind an error.
pub(super) fn has_errno(error: &(dyn StdError + 'static), errno: i32) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.raw_os_error() == Some(errno)) {
            return true;
        }
        next = error.source();
    }
    false
}
