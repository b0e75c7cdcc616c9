//! Where the fields of a tracepoint lie, from `events/GROUP/NAME/format`: the layouts differ between kernels.

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use unready_agent_common::offsets::{ABSENT, Fields};

/// Where it is mounted, the proper place first.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

struct Row {
    event: &'static str,
    field: &'static str,
    place: fn(&mut Fields) -> &mut u16,
    /// Older kernels lack it, and the programs know how to do without.
    optional: bool,
}

macro_rules! rows {
    ($($event:literal $field:literal => $place:ident $($optional:ident)?;)+) => {
        &[$(Row { event: $event, field: $field, place: |fields| &mut fields.$place, optional: !<[&str]>::is_empty(&[$(stringify!($optional))?]) }),+]
    };
}

const ROWS: &[Row] = rows! {
    "cgroup/cgroup_mkdir" "root" => mkdir_root;
    "cgroup/cgroup_mkdir" "level" => mkdir_level;
    "cgroup/cgroup_mkdir" "id" => mkdir_id;
    "cgroup/cgroup_mkdir" "path" => mkdir_path;
    "cgroup/cgroup_rmdir" "root" => rmdir_root;
    "cgroup/cgroup_rmdir" "id" => rmdir_id;
    "cgroup/cgroup_attach_task" "dst_root" => attach_root;
    "cgroup/cgroup_attach_task" "dst_id" => attach_id;
    "cgroup/cgroup_attach_task" "pid" => attach_pid;
    "cgroup/cgroup_attach_task" "comm" => attach_comm;
    "sched/sched_process_exec" "filename" => exec_filename;
    "sched/sched_process_exit" "group_dead" => exit_group_dead optional;
    "oom/mark_victim" "pid" => victim_pid;
    "syscalls/sys_exit_pivot_root" "ret" => pivot_root_ret;
    "syscalls/sys_exit_chroot" "ret" => chroot_ret;
    "sock/inet_sock_set_state" "oldstate" => sock_oldstate;
    "sock/inet_sock_set_state" "newstate" => sock_newstate;
    "sock/inet_sock_set_state" "sport" => sock_sport;
    "sock/inet_sock_set_state" "family" => sock_family;
    "sock/inet_sock_set_state" "protocol" => sock_protocol;
    "sock/inet_sock_set_state" "saddr" => sock_saddr;
    "sock/inet_sock_set_state" "saddr_v6" => sock_saddr_v6;
};

/// A mounted tracefs.
pub(super) struct Tracefs {
    events: PathBuf,
}

impl Tracefs {
    /// Finds it.
    pub(super) fn find() -> io::Result<Self> {
        let mut first = None;
        for place in PLACES {
            let events = Path::new(place).join("events");
            match fs::metadata(&events) {
                Ok(_) => return Ok(Self { events }),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Whether the kernel has a tracepoint, named `GROUP/NAME`.
    pub(super) fn has(&self, event: &str) -> bool {
        self.events.join(event).join("id").exists()
    }

    /// All fields that the programs read. The second value names what a tracepoint that exists does not have, as
    /// `GROUP/NAME` and field.
    pub(super) fn fields(&self) -> (Fields, Vec<(&'static str, &'static str)>) {
        fill(|event| fs::read_to_string(self.events.join(event).join("format")).ok())
    }
}

fn fill(format_of: impl Fn(&str) -> Option<String>) -> (Fields, Vec<(&'static str, &'static str)>) {
    let mut fields = Fields::NONE;
    let mut missing = Vec::new();
    for rows in ROWS.chunk_by(|a, b| a.event == b.event) {
        let Some(format) = rows.first().and_then(|row| format_of(row.event)) else {
            continue; // the hook table tells of a tracepoint that is not there
        };
        for row in rows {
            match offset(&format, row.field) {
                Some(offset) => *(row.place)(&mut fields) = offset,
                None if row.optional => {}
                None => missing.push((row.event, row.field)),
            }
        }
    }
    (fields, missing)
}

/// Offset of a field in a format text. A line reads `field:TYPE NAME;\toffset:N;\tsize:N;\tsigned:N;`, where an array's
/// length stands after the name.
fn offset(format: &str, name: &str) -> Option<u16> {
    format.lines().find_map(|line| {
        let (declaration, rest) = line.trim().strip_prefix("field:")?.split_once(';')?;
        let declared = declaration.split('[').next().filter(|_| !declaration.starts_with("__data_loc")).unwrap_or(declaration);
        if declared.rsplit(' ').next()? != name {
            return None;
        }
        let offset = rest.split(';').find_map(|part| part.trim().strip_prefix("offset:"))?;
        offset.parse().ok().filter(|offset| *offset != ABSENT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: x\nID: 1\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:int root;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:__data_loc char[] path;\toffset:24;\tsize:4;\tsigned:0;\n\
        \tfield:char comm[16];\toffset:28;\tsize:16;\tsigned:0;\n\
        \tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n\n\
        print fmt: \"root=%d\", REC->root\n";

    #[test]
    fn fields_of_every_form_are_found() {
        for (name, expected) in [("root", 8), ("path", 24), ("comm", 28), ("saddr", 32), ("saddr_v6", 40), ("common_type", 0)] {
            assert_eq!(offset(FORMAT, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_is_not_a_field_is_not_found() {
        for text in ["", "field:", "field:int root", "field:int root;", "field:int root;\toffset:;", "field:int root;\toffset:99999;"] {
            assert_eq!(offset(text, "root"), None, "{text:?}");
        }
        assert_eq!(offset(FORMAT, "REC->root"), None);
    }

    #[test]
    fn a_tracepoint_that_is_not_there_is_no_missing_field() {
        let (fields, missing) =
            fill(|event| (event == "oom/mark_victim").then(|| "field:int pid;\toffset:8;\tsize:4;\tsigned:1;".to_owned()));
        assert_eq!(fields, Fields { victim_pid: 8, ..Fields::NONE });
        assert_eq!(missing, []);
        let (_, missing) = fill(|event| (event == "oom/mark_victim").then(String::new));
        assert_eq!(missing, [("oom/mark_victim", "pid")]);
    }

    #[test]
    fn every_row_has_a_place_of_its_own() {
        let mut fields = Fields::NONE;
        for row in ROWS {
            let place = (row.place)(&mut fields);
            assert_eq!(*place, ABSENT, "{} {} shares its place with another row", row.event, row.field);
            *place = 0;
        }
    }
}
