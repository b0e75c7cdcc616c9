//! `--help` of every command is answered at once: nothing is installed, built or started for it. That is so because there is nothing
//! on the PATH with which it could be.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Far from what a build takes, and far from what a busy machine takes to start a program.
const AT_ONCE: Duration = Duration::from_secs(10);
/// Their arguments are those of other programs, their `--help` too.
const OTHERS: &[&str] = &["kubectl", "helm", "ctr"];

fn xtask(arguments: &[&str]) -> (Output, Duration) {
    let begin = Instant::now();
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("PATH", empty.path())
        .env("XDG_CACHE_HOME", empty.path())
        .env("CARGO_TARGET_DIR", empty.path().join("target"))
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    assert!(!empty.path().join("target").exists(), "{arguments:?} builds");
    (output, begin.elapsed())
}

/// What `command` answers, on stdout, with status 0.
fn help(command: &[&str]) -> String {
    let (output, took) = xtask(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Usage:"), "{command:?} says {text:?}");
    assert!(took < AT_ONCE, "{command:?} took {took:?}");
    text
}

/// The names below `Commands:`.
fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let names = list.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help" && !OTHERS.contains(name)).map(str::to_owned).collect()
}

fn walk(command: &[&str]) -> usize {
    let text = help(&[command, &["--help"]].concat());
    let below = commands(&text);
    below.iter().map(|name| walk(&[command, &[name.as_str()]].concat())).sum::<usize>() + 1
}

#[test]
fn every_command_answers_help_without_building() {
    assert!(walk(&[]) > 20, "the commands are found");
}

#[test]
fn so_does_what_is_passed_on_to_a_program_that_has_to_be_built() {
    for (command, option) in [(&["demo"][..], "--record"), (&["bench"], "--failures"), (&["cluster", "demo"], "--measure")] {
        let text = help(&[command, &["--", "--help"]].concat());
        assert!(text.contains(option) && !text.starts_with("Of "), "{command:?}: {text}");
    }
    for command in [&["demo"][..], &["cluster", "demo"]] {
        assert_eq!(help(&[command, &["--help"]].concat()), help(&[command, &["--", "--help"]].concat()));
    }
}

#[test]
fn what_no_program_knows_is_refused_before_it_is_built() {
    for command in [&["demo"][..], &["bench"], &["cluster", "demo"]] {
        let (output, took) = xtask(&[command, &["--", "--fly"]].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--fly") && took < AT_ONCE, "{command:?}");
    }
}

#[test]
fn the_programs_take_what_is_answered_for_them() {
    for program in ["demo", "bench", "cluster_demo"] {
        let path = format!("{}/../tests/src/bin/{program}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(path).unwrap();
        assert!(source.contains("#[command(flatten)]\n    options: "), "{program}");
    }
}
