//! Which of the tracepoints that the programs sit on this kernel has, and in which form.
//!
//! BTF has a type for the probe functions of each (`btf_trace_NAME`), whose parameters are what a raw tracepoint hands over.

use super::{
    btf::{Btf, Kind, Prototype},
    hooks::{Row, programs},
};
use unready_agent_common::offsets::Dialect;

/// The tracepoints that were found.
pub(super) struct Tracepoints(Vec<(&'static str, Prototype)>);

impl Tracepoints {
    /// Looks for those of the table.
    pub(super) fn of_kernel(btf: &Btf) -> Self {
        let rows: Vec<&Row> = programs().collect();
        let types: Vec<String> = rows.iter().map(|row| format!("btf_trace_{}", row.tracepoint)).collect();
        let found = btf.find_all(Kind::Typedef, &types.iter().map(String::as_str).collect::<Vec<_>>());
        let known = rows.iter().zip(found).filter_map(|(row, id)| Some((row.tracepoint, btf.prototype(id?)?)));
        Self(known.collect())
    }

    /// Whether there is one of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// In which form those speak that have changed.
    pub(super) fn dialect(&self) -> Dialect {
        let is = |name, form: fn(Prototype) -> bool| u32::from(self.get(name).is_some_and(form));
        Dialect {
            exit_tells_group_dead: is("sched_process_exit", |prototype| prototype.arguments > 1),
            victim_is_task: is("mark_victim", |prototype| prototype.first_is_pointer),
        }
    }

    /// Whether a program on a raw one can be preempted, so that the kernel does not run it for another task meanwhile: from
    /// 6.19 on at the earliest, when they came under SRCU instead of disabled preemption. BTF does not show it; the release does.
    pub(super) fn are_preemptible() -> bool {
        is_preemptible(&rustix::system::uname().release().to_string_lossy())
    }

    fn get(&self, name: &str) -> Option<Prototype> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, prototype)| *prototype)
    }
}

/// A release that cannot be read is taken for a new one.
fn is_preemptible(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 19),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_told_apart() {
        let releases =
            [("5.10.0-46-cloud-amd64", false), ("6.18.15+deb13", false), ("6.19.14", true), ("7.3.4+deb13-cloud-amd64", true), ("", true)];
        for (release, expected) in releases {
            assert_eq!(is_preemptible(release), expected, "{release}");
        }
    }

    #[test]
    fn both_forms_are_told_apart() {
        let old = [
            ("sched_process_exit", Prototype { arguments: 1, first_is_pointer: true }),
            ("mark_victim", Prototype { arguments: 1, first_is_pointer: false }),
        ];
        assert_eq!(Tracepoints(old.to_vec()).dialect(), Dialect { exit_tells_group_dead: 0, victim_is_task: 0 });
        let new = [
            ("sched_process_exit", Prototype { arguments: 2, first_is_pointer: true }),
            ("mark_victim", Prototype { arguments: 2, first_is_pointer: true }),
        ];
        assert_eq!(Tracepoints(new.to_vec()).dialect(), Dialect { exit_tells_group_dead: 1, victim_is_task: 1 });
        assert_eq!(Tracepoints(Vec::new()).dialect(), Dialect::default());
    }
}
