//! What a file of a container is as an executable: found and described here, judged by `unready-inspect`.

use super::{proc, rootfs::Node, view::View, walk::Describer};
use unready_diagnosis::{
    question::{ExecFormat, Executable},
    record::FileId,
    units::Process,
};
use unready_inspect::{
    elf,
    executable::{self, Executor},
    resolve::{Found, Seen, find},
};

/// Longest environment that is looked through, bytes.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// Reads the executable at a path of the process.
pub(super) fn read(view: &View, process: Process, path: &str, start: Option<FileId>) -> Result<Executable, String> {
    let Some(absolute) = view.absolute(process, path, None, start) else {
        return Err(format!("the directory that {path} starts from is not known"));
    };
    let by_spec = || view.held.as_ref()?.spec()?.library_path;
    let library_path = view.live.map_or_else(by_spec, library_path);
    read_at(view, &absolute, library_path.as_deref())
}

/// Reads the executable at an absolute path of the container.
fn read_at(view: &View, path: &str, library_path: Option<&str>) -> Result<Executable, String> {
    match find(view, path) {
        Ok(found) => Ok(of_found(view, path, &found, library_path)),
        Err(halt) if halt.unknowable => Err(halt.why_unknowable()),
        Err(halt) => {
            let format = ExecFormat::Unreadable { errno: halt.errno };
            Ok(Executable { path: path.to_owned(), file: None, format })
        }
    }
}

/// Reads the executable that a path led to.
pub(super) fn of_found(view: &View, path: &str, found: &Found<Node>, library_path: Option<&str>) -> Executable {
    let file = Describer::new(view).describe(&Seen { node: &found.node, path: &found.path, link: None });
    let format = executable::format(view, found, Executor { machine: &host_machine(), library_path });
    Executable { path: path.to_owned(), file: Some(file), format }
}

/// The machine of this node.
fn host_machine() -> String {
    elf::machine_of_uname(&rustix::system::uname().machine().to_string_lossy())
}

/// `LD_LIBRARY_PATH` of a living process. Nothing else of its environment is kept.
fn library_path(pid: u32) -> Option<String> {
    let bytes = proc::read_bytes(proc::path(pid, "environ"), MAX_ENVIRONMENT).ok()?;
    let value = bytes.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"LD_LIBRARY_PATH="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use unready_diagnosis::record::Errno;

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let view = View::of_directory("/").unwrap();
        assert_eq!(read_at(&view, "/dev/null", None).unwrap().format, ExecFormat::Unreadable { errno: Errno::EACCES });
        assert_eq!(read_at(&view, "/tmp", None).unwrap().format, ExecFormat::Unreadable { errno: Errno::EISDIR });
        let missing = read_at(&view, "/no/such", None).unwrap();
        assert_eq!((missing.file, missing.format), (None, ExecFormat::Unreadable { errno: Errno::ENOENT }));
    }

    #[test]
    fn the_programs_of_this_machine_find_their_loader_and_libraries() {
        let view = View::of_directory("/").unwrap();
        let ExecFormat::Elf { machine, host, interpreter, libraries } = read_at(&view, "/bin/true", None).unwrap().format else {
            panic!("/bin/true is not an ELF file")
        };
        assert_eq!(machine, host);
        assert!(interpreter.is_some_and(|(path, exists)| exists && path.contains("ld-linux")));
        assert!(libraries.iter().any(|(name, _)| name.starts_with("libc.so")));
        assert!(libraries.iter().all(|(_, path)| path.is_some()), "{libraries:?}");
    }
}
