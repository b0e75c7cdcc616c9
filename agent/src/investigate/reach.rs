//! How far one look may go, and where it is: what a container may choose the length of is bounded, and a file system that
//! keeps one look waiting does not get many more.
//!
//! A look is the work of one thread from [`Sites::begin`] on, so its budget is the thread's own: the code that resolves
//! names asks for it here, and whoever began the look asks at the end whether it was broken off ([`broken_off`]). Without a
//! look (in tests) nothing is bounded.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Names entered by one look: a program with 64 libraries and a dozen directories to search takes half of it. All of them
/// take some 50 ms where the files are local.
const MAX_NAMES: u32 = 8 * 1024;
/// After so long a look enters no more names: on a machine that has no time for it, part of an answer is better than none.
/// Less than what a look may take in all.
const MAX_TIME: Duration = Duration::from_secs(1);
/// A look that has not got on for so long is silent: a file system that works answers in a fraction of it.
const SILENT_AFTER: Duration = Duration::from_millis(250);
/// So many silent looks at a file system, and no other one goes there.
const MAX_SILENT: usize = 2;

/// Where all looks are.
#[derive(Debug)]
pub(super) struct Sites {
    all: Mutex<Vec<Arc<Site>>>,
    start: Instant,
}

/// Where one look is.
#[derive(Debug, Default)]
struct Site {
    /// The file system that it touched last: major in the upper half, minor in the lower; 0 before the first.
    device: AtomicU64,
    /// When it last got on, milliseconds since the start of [`Sites`].
    moved: AtomicU64,
}

/// The look of this thread.
struct Here {
    site: Arc<Site>,
    sites: Arc<Sites>,
    names: u32,
    begun: Instant,
    broken_off: Option<String>,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// A look that goes on; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Begun(());

impl Sites {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { all: Mutex::default(), start: Instant::now() })
    }

    /// What this thread does from now on is one look.
    pub(super) fn begin(self: &Arc<Self>) -> Begun {
        let site = Arc::new(Site { moved: AtomicU64::new(self.now()), ..Site::default() });
        self.lock().push(Arc::clone(&site));
        let here = Here { site, sites: Arc::clone(self), names: MAX_NAMES, begun: Instant::now(), broken_off: None };
        HERE.with_borrow_mut(|place| *place = Some(here));
        Begun(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Site>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether enough others wait for this file system.
    fn is_silent(&self, device: u64, own: &Arc<Site>) -> bool {
        let latest = self.now().saturating_sub(u64::try_from(SILENT_AFTER.as_millis()).unwrap_or_default());
        let is_stuck = |site: &&Arc<Site>| {
            !Arc::ptr_eq(site, own) && site.device.load(Ordering::Relaxed) == device && site.moved.load(Ordering::Relaxed) < latest
        };
        self.lock().iter().filter(is_stuck).count() >= MAX_SILENT
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(here) = HERE.take() {
            here.sites.lock().retain(|site| !Arc::ptr_eq(site, &here.site));
        }
    }
}

impl Here {
    fn left(&self) -> u32 {
        if self.begun.elapsed() < MAX_TIME { self.names } else { 0 }
    }
}

/// This look is about to ask a file system. `false`: that one does not answer, and is not to be asked.
pub(super) fn may_ask((major, minor): (u32, u32)) -> bool {
    let device = u64::from(major) << 32 | u64::from(minor);
    with_here(true, |here| {
        here.site.moved.store(here.sites.now(), Ordering::Relaxed);
        if here.site.device.swap(device, Ordering::Relaxed) == device || !here.sites.is_silent(device, &here.site) {
            return true;
        }
        here.site.device.store(0, Ordering::Relaxed);
        let sentence = || format!("the file system of device {major}:{minor} does not answer: earlier looks at it have not returned");
        here.broken_off.get_or_insert_with(sentence);
        false
    })
}

/// This look is about to enter a name. `false`: it has entered too many, or takes too long.
pub(super) fn may_enter() -> bool {
    with_here(true, |here| {
        if let Some(left) = here.left().checked_sub(1) {
            here.names = left;
            return true;
        }
        here.broken_off.get_or_insert_with(|| format!("the look was broken off after {} names", MAX_NAMES - here.names));
        false
    })
}

/// Why this look does not know what it should, if it was broken off.
pub(super) fn broken_off() -> Option<String> {
    with_here(None, |here| here.broken_off.clone())
}

/// Does a part of the look without which there still is an answer. An `Err` says why the part was broken off.
pub(super) fn part<T>(part: impl FnOnce() -> T) -> Result<T, String> {
    let before = with_here(None, |here| here.broken_off.take());
    let done = part();
    with_here(None, |here| std::mem::replace(&mut here.broken_off, before)).map_or(Ok(done), Err)
}

fn with_here<T>(without: T, with: impl FnOnce(&mut Here) -> T) -> T {
    HERE.with_borrow_mut(|here| match here {
        Some(here) => with(here),
        None => without,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::{sync::mpsc, thread};

    #[test]
    fn a_look_enters_a_bounded_number_of_names() {
        let sites = Sites::new();
        {
            let _begun = sites.begin();
            HERE.with_borrow_mut(|here| here.as_mut().unwrap().begun += Duration::from_mins(1)); // however busy the machine
            assert_eq!((0..2 * MAX_NAMES).filter(|_| may_enter()).count(), MAX_NAMES as usize);
            assert!(broken_off().unwrap().contains("8192 names"));
        }
        assert!(may_enter() && broken_off().is_none(), "there is no look any more");
        let _next = sites.begin();
        assert!(may_enter() && broken_off().is_none());
    }

    #[test]
    fn a_look_that_takes_long_enters_no_more() {
        let _begun = Sites::new().begin();
        assert!(may_enter());
        HERE.with_borrow_mut(|here| here.as_mut().unwrap().begun -= MAX_TIME);
        assert!(!may_enter());
        assert!(broken_off().unwrap().contains("after 1 names"));
        assert!(part(may_enter).is_err());
    }

    #[test]
    fn a_part_that_is_broken_off_leaves_the_rest() {
        let _begun = Sites::new().begin();
        HERE.with_borrow_mut(|here| here.as_mut().unwrap().names = 1);
        assert_eq!(part(may_enter), Ok(true));
        assert!(part(may_enter).is_err() && broken_off().is_none());
    }

    #[test]
    fn a_file_system_that_keeps_looks_waiting_gets_no_more_of_them() {
        let sites = Sites::new();
        let (arrived, arrivals) = mpsc::channel();
        let (ends, threads): (Vec<_>, Vec<_>) = (0..MAX_SILENT)
            .map(|_| {
                let (sites, arrived) = (Arc::clone(&sites), arrived.clone());
                let (end, ended) = mpsc::channel::<()>();
                let wait = move || {
                    let _begun = sites.begin();
                    assert!(may_ask((0, 55)));
                    arrived.send(()).unwrap();
                    let _ = ended.recv();
                };
                (end, thread::spawn(wait))
            })
            .unzip();
        (0..MAX_SILENT).for_each(|_| arrivals.recv().unwrap());
        let _begun = sites.begin();
        let deadline = Instant::now() + Duration::from_secs(5);
        while may_ask((0, 55)) {
            assert!(may_ask((0, 56)), "another file system works");
            assert!(Instant::now() < deadline, "it is not seen that nobody gets on there");
            thread::sleep(Duration::from_millis(5));
        }
        assert!(broken_off().unwrap().contains("0:55"));
        drop(ends);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(may_ask((0, 55)), "it answers again");
    }
}
