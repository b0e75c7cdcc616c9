//! What the agent takes on this node: processor time and memory, from /proc, sampled while something else happens.

use super::kube::{Kube, field};
use super::release;
use anyhow::{Context, Result};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two samples.
const PERIOD: Duration = Duration::from_millis(500);
/// The peak is the busiest stretch of this many periods.
const STRETCH: usize = 10;

/// What was taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Cores, over the busiest five seconds.
    pub peak_cores: f64,
    /// Processor time of all, seconds.
    pub cpu: f64,
    /// Time of the measurement, seconds.
    pub seconds: f64,
    /// Largest resident set so far, bytes (`VmHWM` of proc(5)).
    pub resident: u64,
}

/// Samples until it is asked to stop.
#[derive(Debug)]
pub struct Meter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, f64)>>,
    pid: u32,
}

impl Meter {
    /// Begins; `None` when the agent is not on this machine.
    pub fn start(kube: &Kube) -> Result<Option<Self>> {
        if kube.state().is_none() {
            return Ok(None);
        }
        let pod = kube.get(&["pod", "-n", kube.release(), &release::pod(kube, "agent")?])?;
        let pid = process_of(field(&pod, "/metadata/uid"), "unready-agent")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                samples.extend(cpu(pid).map(|cpu| (Instant::now(), cpu)));
                thread::sleep(PERIOD);
            }
            samples
        });
        Ok(Some(Self { stop, thread, pid }))
    }

    pub fn stop(self) -> Result<Cost> {
        self.stop.store(true, Ordering::Relaxed);
        let samples = self.thread.join().map_err(|_| anyhow::anyhow!("the meter broke"))?;
        let resident = status(self.pid, "VmHWM:").context("the agent has ended")?;
        Ok(Cost { resident, ..cost(&samples) })
    }
}

fn cost(samples: &[(Instant, f64)]) -> Cost {
    let cores = |one: &(Instant, f64), other: &(Instant, f64)| {
        let seconds = other.0.duration_since(one.0).as_secs_f64();
        if seconds > 0.0 { (other.1 - one.1) / seconds } else { 0.0 }
    };
    let peak_cores = samples.iter().zip(samples.iter().skip(STRETCH)).map(|(one, other)| cores(one, other)).fold(0.0, f64::max);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Cost::default() };
    Cost { peak_cores, cpu: last.1 - first.1, seconds: last.0.duration_since(first.0).as_secs_f64(), resident: 0 }
}

/// The process of this name in a pod's cgroup.
fn process_of(uid: &str, name: &str) -> Result<u32> {
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_it = |pid: &u32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        read("comm").trim_end() == name.chars().take(15).collect::<String>() && read("cgroup").contains(uid)
    };
    pids.into_iter().find(is_it).with_context(|| format!("{name} is not on this machine"))
}

/// Processor time so far, seconds (`utime` and `stime` of `proc_pid_stat(5)`).
fn cpu(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()? + fields.next()?.parse::<u32>().ok()?;
    Some(f64::from(ticks) / f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).ok()?))
}

fn status(pid: u32, what: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_peak_is_the_busiest_stretch() {
        let begin = Instant::now();
        let at = |half: u32, cpu: f64| (begin + PERIOD * half, cpu);
        // Ten seconds: idle, but for half a core in five of them.
        let samples: Vec<_> = (0..=20).map(|half| at(half, f64::from(half.clamp(5, 15) - 5) * 0.25)).collect();
        let cost = cost(&samples);
        assert!((cost.peak_cores - 0.5).abs() < 1e-9 && (cost.cpu - 2.5).abs() < 1e-9 && (cost.seconds - 10.0).abs() < 1e-9, "{cost:?}");
    }

    #[test]
    fn our_own_process_has_figures() {
        let me = std::process::id();
        assert!(cpu(me).is_some());
        assert!(status(me, "VmHWM:").unwrap() > 1 << 20);
    }
}
