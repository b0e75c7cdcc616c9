//! What the watched processes do: each enters the cgroup, then does one thing.

use rustix::{
    fs::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

/// Opened in vain by every process that opens in vain.
pub(crate) const MISSING: &str = "/tmp/unready/no/such/file";
/// What a container's program is told to read, and does not find.
pub(crate) const WANTED: &str = "/data/unready/key";
/// How often [`MISSING`] is opened by "repeat".
pub(crate) const REPETITIONS: u64 = 50;
/// How often by "storm", of which several run at once.
pub(crate) const STORM: u64 = 2_000;
/// Exit status of "exit".
pub(crate) const STATUS: u8 = 37;
/// Who "denied" is; the groups are supplementary ones.
pub(crate) const UID: u32 = 4001;
pub(crate) const GID: u32 = 4002;
pub(crate) const GROUPS: [u32; 3] = [4003, 4004, 4005];
/// Bytes that "eat" wants; more than [`crate::checks`] grants.
const APPETITE: usize = 96 << 20;
const PAGE: usize = 4096;

/// Enters the cgroup and does it.
pub(crate) fn run(what: &str, cgroup: &str) -> ExitCode {
    if let Err(error) = fs::write(format!("{cgroup}/cgroup.procs"), "0") {
        eprintln!("cannot enter {cgroup}: {error}");
        return ExitCode::FAILURE;
    }
    match what {
        "open" => drop(File::open(MISSING)),
        "repeat" => (0..REPETITIONS).for_each(|_| drop(File::open(MISSING))),
        "storm" => (0..STORM).for_each(|_| drop(File::open(MISSING))),
        "denied" => denied(),
        "descriptor" => drop(rustix::process::fchdir(own_file())),
        "exec" => drop(Command::new("/proc/self/exe").arg("exec-has-happened").output()),
        "exit" => return ExitCode::from(STATUS),
        "threads" => threads(),
        "chroot" => drop(rustix::process::chroot("/tmp")),
        "io-uring" => return io_uring(),
        "listen" => drop(TcpListener::bind("0.0.0.0:0")),
        "eat" => eat(),
        "start" => return start(),
        other => {
            eprintln!("{other} is none of what can be done");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Makes a ring, by which it could open files without a system call each.
fn io_uring() -> ExitCode {
    match io_uring::IoUring::new(8) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("this kernel makes no io_uring: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Is what a runtime would be: executes the container's program. Not by `/proc/self/exe`: so runtimes execute themselves.
fn start() -> ExitCode {
    let own = std::env::current_exe();
    let refused = own.map(|own| Command::new(own).args(["program", WANTED]).exec());
    eprintln!("the program cannot be executed: {refused:?}");
    ExitCode::FAILURE
}

/// Looks for a file, and gives up without it.
pub(crate) fn program(path: &str) -> ExitCode {
    match File::open(path) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(STATUS),
    }
}

/// Becomes somebody without rights, then looks where only root may.
fn denied() {
    let groups: Vec<Gid> = GROUPS.iter().map(|id| Gid::from_raw(*id)).collect();
    let (uid, gid) = (Uid::from_raw(UID), Gid::from_raw(GID));
    let became =
        set_thread_groups(&groups).and_then(|()| set_thread_res_gid(gid, gid, gid)).and_then(|()| set_thread_res_uid(uid, uid, uid));
    if let Err(error) = became {
        eprintln!("cannot become uid {UID}: {error}");
    }
    drop(File::open(format!("{}/key", private_folder())));
}

/// A folder that only root may enter; made by the checks.
pub(crate) fn private_folder() -> String {
    format!("{}/unready-private", std::env::temp_dir().display())
}

/// A file whose name and inode are known: this program's own.
pub(crate) fn own_file() -> File {
    File::open("/proc/self/exe").or_else(|_| File::open("/init")).unwrap_or_else(|error| {
        eprintln!("cannot open my own program: {error}");
        std::process::exit(1)
    })
}

/// Ends with eight threads at the same time: the end must be told once.
fn threads() {
    for _ in 0..7 {
        std::thread::spawn(|| {
            loop {
                std::thread::park();
            }
        });
    }
}

/// Asks for more memory than there is, page by page.
fn eat() {
    let mut memory: Vec<u8> = Vec::with_capacity(APPETITE);
    while memory.len() + PAGE <= APPETITE {
        memory.resize(memory.len() + PAGE, 1);
    }
    std::hint::black_box(&memory);
}
