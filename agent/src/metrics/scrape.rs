//! What is looked at only when somebody asks for the metrics: the kernel half, the queues, the delivery.

use crate::{bpf::Observation, deliver::collector::Stats, investigate::LookCounts, pipeline::QueueFill};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use unready_agent_common::hooks::Hook;
use unready_diagnosis::Config;

/// A look at something that goes on elsewhere.
pub type Look<T> = Box<dyn Fn() -> T + Send + Sync>;

#[derive(Clone, Default)]
pub(super) struct Scrape(Arc<Mutex<Sources>>);

#[derive(Default)]
struct Sources {
    kernel: Option<Look<Observation>>,
    queues: Vec<(&'static str, Look<Option<QueueFill>>)>,
    refused_pods: Option<Look<u64>>,
    looks: Option<Look<LookCounts>>,
    delivery: Option<Look<Stats>>,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrape").finish_non_exhaustive()
    }
}

impl Scrape {
    pub(super) fn kernel(&self, look: Look<Observation>) {
        self.sources().kernel = Some(look);
    }

    pub(super) fn queue(&self, name: &'static str, look: Look<Option<QueueFill>>) {
        self.sources().queues.push((name, look));
    }

    pub(super) fn refused_pods(&self, look: Look<u64>) {
        self.sources().refused_pods = Some(look);
    }

    pub(super) fn looks(&self, look: Look<LookCounts>) {
        self.sources().looks = Some(look);
    }

    pub(super) fn delivery(&self, look: Look<Stats>) {
        self.sources().delivery = Some(look);
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let sources = self.sources();
        let mut out = Writer(encoder);
        let observation = sources.kernel.as_ref().map(|look| look());
        out.gauge(
            "ebpf_loaded",
            "1 when the eBPF programs are loaded, 0 when the agent has to do without",
            u64::from(observation.is_some()),
        )?;
        if let Some(observation) = &observation {
            kernel(&mut out, observation)?;
        }
        let queues: Vec<(&str, QueueFill)> = sources.queues.iter().filter_map(|(name, look)| Some((*name, look()?))).collect();
        if !queues.is_empty() {
            write_queues(&mut out, &queues)?;
        }
        if let Some(look) = &sources.refused_pods {
            let most = Config::default().pods;
            let help = format!("Changes of pods that were ignored: the engine keeps no more pods than {most} at a time");
            ConstCounter::new(look()).encode(out.metric("refused_pods", &help, MetricType::Counter)?)?;
        }
        if let Some(look) = &sources.looks {
            looks(&mut out, look())?;
        }
        sources.delivery.as_ref().map_or(Ok(()), |look| delivery(&mut out, look()))
    }
}

/// Writes metrics that exist only for the moment.
struct Writer<'a>(DescriptorEncoder<'a>);

/// Label values and the value itself.
type Row<'a, const N: usize> = ([&'a str; N], u64);

impl Writer<'_> {
    fn metric<'s>(&'s mut self, name: &'s str, help: &str, kind: MetricType) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, &format!("{help}."), None, kind) // as the registry ends the others
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        ConstGauge::new(signed(value)).encode(self.metric(name, help, MetricType::Gauge)?)
    }

    fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        keys: [&str; N],
        rows: impl IntoIterator<Item = Row<'a, N>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Gauge), keys, rows, |value, metric| ConstGauge::new(signed(value)).encode(metric))
    }

    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        keys: [&str; N],
        rows: impl IntoIterator<Item = Row<'a, N>>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Counter), keys, rows, |value, metric| ConstCounter::new(value).encode(metric))
    }

    /// A metric with labels, a row a set of them.
    fn family<'a, const N: usize, T>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        keys: [&str; N],
        rows: impl IntoIterator<Item = ([&'a str; N], T)>,
        encode: impl Fn(T, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut metric = self.metric(name, help, kind)?;
        for (values, value) in rows {
            encode(value, metric.encode_family(&labels(keys, values))?)?;
        }
        Ok(())
    }
}

fn labels<'a, const N: usize>(keys: [&'a str; N], values: [&'a str; N]) -> Vec<(&'a str, &'a str)> {
    keys.into_iter().zip(values).collect()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn kernel(out: &mut Writer<'_>, observation: &Observation) -> fmt::Result {
    let hooks = || observation.hooks.iter().map(|(hook, counters)| (word(*hook), counters));
    out.counters(
        "hook_seen",
        "Events that reached an eBPF program's filter",
        ["hook"],
        hooks().map(|(hook, counters)| ([hook], counters.seen)),
    )?;
    let help = "What became of the events seen: sent to the agent, counted (a repetition), filtered, failed (unreadable), ring_full (lost)";
    let outcomes = hooks().flat_map(|(hook, c)| {
        [("sent", c.sent), ("counted", c.counted), ("filtered", c.filtered), ("failed", c.failed), ("ring_full", c.ring_full)]
            .map(|(outcome, value)| ([hook, outcome], value))
    });
    out.counters("hook_events", help, ["hook", "outcome"], outcomes)?;
    let programs = || observation.programs.iter();
    let help = "Events that a program was not run for, because it was running on that CPU already";
    out.counters("program_missed", help, ["program"], programs().map(|cost| ([cost.program], cost.missed)))?;
    program_costs(out, observation)?;
    let maps = || observation.maps.iter();
    out.gauges("map_entries", "Entries of an eBPF map", ["map"], maps().map(|fill| ([fill.map], fill.entries.into())))?;
    out.gauges("map_capacity", "Entries that an eBPF map can hold", ["map"], maps().map(|fill| ([fill.map], fill.capacity.into())))
}

/// Absent while the kernel does not count them.
fn program_costs(out: &mut Writer<'_>, observation: &Observation) -> fmt::Result {
    let programs = || observation.programs.iter();
    if programs().all(|cost| cost.runs == 0) {
        return Ok(());
    }
    let help = "Runs of an eBPF program; only while the node's sysctl kernel.bpf_stats_enabled is 1";
    out.counters("program_runs", help, ["program"], programs().map(|cost| ([cost.program], cost.runs)))?;
    let help = "CPU time of an eBPF program; only while the node's sysctl kernel.bpf_stats_enabled is 1";
    let times = programs().map(|cost| ([cost.program], cost.time.as_secs_f64()));
    out.family(("program_run_seconds", help, MetricType::Counter), ["program"], times, |seconds, metric| {
        ConstCounter::new(seconds).encode(metric)
    })
}

fn write_queues(out: &mut Writer<'_>, queues: &[(&str, QueueFill)]) -> fmt::Result {
    let rows = |value: fn(&QueueFill) -> u64| queues.iter().map(move |(name, state)| ([*name], value(state)));
    out.gauges("queue_length", "What waits in a queue", ["queue"], rows(|state| state.length as u64))?;
    out.gauges("queue_capacity", "What a queue can hold", ["queue"], rows(|state| state.capacity as u64))?;
    out.counters("queue_dropped", "What a queue could not hold", ["queue"], rows(|state| state.dropped))
}

fn looks(out: &mut Writer<'_>, counts: LookCounts) -> fmt::Result {
    let help = "Looks at containers that came to nothing. kind: look (for an answer), note (before it is gone). \
        outcome: abandoned (a file system did not answer), refused (an earlier one is stuck, or too many waited)";
    let rows = [
        (["look", "abandoned"], counts.looks_abandoned),
        (["look", "refused"], counts.looks_refused),
        (["note", "abandoned"], counts.notes_abandoned),
        (["note", "refused"], counts.notes_dropped),
    ];
    out.counters("looks_lost", help, ["kind", "outcome"], rows)?;
    out.gauge("looks_stuck", "Threads that wait for a file system which does not answer", counts.stuck)
}

fn delivery(out: &mut Writer<'_>, state: Stats) -> fmt::Result {
    out.gauge("collector_in_flight", "Verdicts sent to the collector and not yet acknowledged", state.in_flight as u64)?;
    out.gauge("collector_connected", "1 while the collector takes verdicts from this agent", u64::from(state.connected))?;
    let help = "Verdicts on their way to the collector: offered, replaced (by a newer word while they waited), acknowledged";
    let rows = [(["offered"], state.counts.offered), (["replaced"], state.counts.replaced), (["acknowledged"], state.counts.acknowledged)];
    out.counters("collector_verdicts", help, ["result"], rows)?;
    let help = "Start reports on their way to the collector: offered, replaced (by a later one while they waited), acknowledged";
    let counts = state.starts.counts;
    let rows = [(["offered"], counts.offered), (["replaced"], counts.replaced), (["acknowledged"], counts.acknowledged)];
    out.counters("collector_starts", help, ["result"], rows)
}

/// A hook as a label.
const fn word(hook: Hook) -> &'static str {
    match hook {
        Hook::CgroupMkdir => "cgroup_mkdir",
        Hook::CgroupRmdir => "cgroup_rmdir",
        Hook::CgroupAttach => "cgroup_attach",
        Hook::Exec => "exec",
        Hook::Exit => "exit",
        Hook::OomVictim => "oom_victim",
        Hook::CallFailed => "call_failed",
        Hook::RootChanged => "root_changed",
        Hook::Listen => "listen",
        Hook::IoUring => "io_uring",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::bpf::{MapFill, ProgramCost};
    use prometheus_client::{encoding::text, registry::Registry};
    use std::time::Duration;
    use unready_agent_common::counters::HookCounters;

    /// A collector of this observation alone.
    #[derive(Debug)]
    struct Only(Observation);

    impl Collector for Only {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            kernel(&mut Writer(encoder), &self.0)
        }
    }

    fn written(collector: impl Collector) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector));
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        out
    }

    fn observation(runs: u64) -> Observation {
        let counters = HookCounters { seen: 7, sent: 2, counted: 1, filtered: 3, failed: 0, ring_full: 1 };
        let time = Duration::from_millis(250);
        Observation {
            hooks: vec![(Hook::CallFailed, counters)],
            programs: vec![ProgramCost { program: "call_failed", runs, time, missed: 4 }],
            maps: vec![MapFill { map: "watched", entries: 12, capacity: 4096 }],
        }
    }

    #[test]
    fn what_the_kernel_half_does_is_told() {
        let text = written(Only(observation(9)));
        for line in [
            "hook_seen_total{hook=\"call_failed\"} 7",
            "hook_events_total{hook=\"call_failed\",outcome=\"ring_full\"} 1",
            "program_missed_total{program=\"call_failed\"} 4",
            "program_run_seconds_total{program=\"call_failed\"} 0.25",
            "map_entries{map=\"watched\"} 12",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_count_is_not_told_as_zero() {
        assert!(!written(Only(observation(0))).contains("program_run"));
    }

    #[test]
    fn pods_beyond_the_bounds_are_counted() {
        let scrape = Scrape::default();
        assert!(!written(scrape.clone()).contains("refused_pods"), "not before there is an engine");
        scrape.refused_pods(Box::new(|| 6));
        let text = written(scrape);
        assert!(text.contains("refused_pods_total 6"));
        assert!(text.contains(&format!("no more pods than {} at a time.", Config::default().pods)), "{text}");
    }

    #[test]
    fn looks_that_came_to_nothing_are_counted() {
        let scrape = Scrape::default();
        assert!(!written(scrape.clone()).contains("looks"), "not before somebody looks");
        let counts = LookCounts { looks_abandoned: 1, looks_refused: 2, notes_abandoned: 3, notes_dropped: 4, stuck: 5 };
        scrape.looks(Box::new(move || counts));
        let text = written(scrape);
        for line in [
            "looks_lost_total{kind=\"look\",outcome=\"abandoned\"} 1",
            "looks_lost_total{kind=\"look\",outcome=\"refused\"} 2",
            "looks_lost_total{kind=\"note\",outcome=\"abandoned\"} 3",
            "looks_lost_total{kind=\"note\",outcome=\"refused\"} 4",
            "looks_stuck 5",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_queue_that_is_gone_is_left_out() {
        let scrape = Scrape::default();
        scrape.queue("gone", Box::new(|| None));
        assert!(!written(scrape.clone()).contains("queue_length"));
        scrape.queue("events", Box::new(|| Some(QueueFill { length: 3, capacity: 8, dropped: 5 })));
        let text = written(scrape);
        for line in ["queue_length{queue=\"events\"} 3", "queue_dropped_total{queue=\"events\"} 5", "ebpf_loaded 0"] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("gone"));
    }
}
