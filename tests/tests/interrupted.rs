//! Ctrl-C in the middle of the demo: it ends soon, with a failure, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use unready_tests::{binaries::Binaries, cgroups::Hierarchies, wait};

const PATIENCE: Duration = Duration::from_mins(1);

/// What carries the demo's name and process id: directories, cgroups, and command lines of processes.
fn left_behind(prefix: &str) -> Vec<String> {
    let mut all = named(&env::temp_dir(), prefix);
    for hierarchy in Hierarchies::find().unwrap().all() {
        all.extend(named(hierarchy, prefix));
    }
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(prefix) {
            all.push(format!("{}: {line}", process.path().display()));
        }
    }
    all
}

fn named(folder: &Path, prefix: &str) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    names.map(|entry| entry.path().display().to_string()).collect()
}

#[test]
fn an_interrupted_demo_cleans_up() {
    if !geteuid().is_root() {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "the demo needs root");
        eprintln!("not run: the demo needs root");
        return;
    }
    let binaries = Binaries::find().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unready-demo"));
    command.arg("--bin-dir").arg(&binaries.programs).arg("--workloads-dir").arg(&binaries.workloads);
    let mut demo = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let prefix = format!("unready-demo-{}-", demo.id());

    // The first container that is reported: others are being started at that moment.
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first = lines.find(|line| line.starts_with("  "));
    if first.is_some() {
        assert!(!left_behind(&prefix).is_empty(), "the test looks at the right names");
        kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    }
    let rest: Vec<String> = lines.collect();
    let status = wait::until("the demo's end", PATIENCE, || Ok(demo.try_wait()?)).unwrap();
    let mut said = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(first.is_some(), "no container was reported: {said}");
    assert!(!status.success() && said.contains("interrupted"), "{status}: {said}{}", rest.join("\n"));
    assert_eq!(left_behind(&prefix), Vec::<String>::new());
}
