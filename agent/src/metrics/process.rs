//! CPU, memory and descriptors of this process, under the names that Prometheus' own client libraries use.

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{fmt, fs};

/// Reads `/proc/self` when it is asked.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(ticks) = cpu_ticks(&stat) {
            let metric =
                encoder.encode_descriptor("process_cpu_seconds", "User and system CPU time of the agent.", None, MetricType::Counter)?;
            ConstCounter::new(to_f64(ticks) / to_f64(rustix::param::clock_ticks_per_second())).encode(metric)?;
        }
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        if let Some(pages) = resident_pages(&statm) {
            let bytes = pages.saturating_mul(rustix::param::page_size() as u64);
            let metric =
                encoder.encode_descriptor("process_resident_memory_bytes", "Resident memory of the agent.", None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX)).encode(metric)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let metric = encoder.encode_descriptor("process_open_fds", "Descriptors that the agent holds.", None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(open.count()).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks of a process stay far below 2^52")]
const fn to_f64(ticks: u64) -> f64 {
    ticks as f64
}

/// utime and stime of proc(5), the 14th and 15th field; the second may contain blanks and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The second field of `/proc/PID/statm`.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        assert_eq!(cpu_ticks("42 (a) b) S 1 42 42 0 -1 4194560 900 0 3 0 17 5 0 0 20 0"), Some(22));
        assert_eq!(cpu_ticks("garbage"), None);
        assert_eq!(resident_pages("5000 1200 800 10 0 90 0"), Some(1200));
    }
}
