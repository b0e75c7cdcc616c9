//! The real binary: exit statuses, streams, and what it leaves behind.
//!
//! The tests of `unready run` need root and eBPF. Where `unready doctor` refuses they say why and pass over, except with
//! `CI=true`, where that is a failure. CMD is `/bin/sh`, or this test binary again in a role ([`role`]).
#![allow(clippy::unwrap_used, reason = "tests")]

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Longer than anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn unready() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unready"));
    command.env_remove("UNREADY_LOG").stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    unready().args(args).output().unwrap()
}

fn run(args: &[&str]) -> Output {
    unready().arg("run").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "stdout: {}\nstderr: {}", text(&output.stdout), text(&output.stderr));
}

/// All of stdout is verdicts.
#[track_caller]
fn verdicts(output: &Output) -> Vec<Value> {
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value.is_object() && value["cause"].is_string() && value["severity"].is_string(), "{line}");
        value
    };
    text(&output.stdout).lines().map(object).collect()
}

/// Why runs cannot be watched here, if they cannot.
fn refusal() -> Option<&'static str> {
    static REFUSAL: OnceLock<Option<String>> = OnceLock::new();
    REFUSAL
        .get_or_init(|| {
            let doctor = output(&["doctor"]);
            (!doctor.status.success()).then(|| format!("{}{}", text(&doctor.stdout), text(&doctor.stderr)))
        })
        .as_deref()
}

macro_rules! needs_kernel {
    () => {
        if let Some(reason) = refusal() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "in CI this must run: {reason}");
            eprintln!("passed over, starts cannot be watched here:\n{reason}");
            return;
        }
    };
}

/// CMD in a role of this test binary.
fn role_args(role: &str) -> Vec<String> {
    let me = std::env::current_exe().unwrap().display().to_string();
    vec![me, "--exact".into(), "role".into(), "--ignored".into(), "--nocapture".into(), format!("role={role}")]
}

/// No test, but what CMD is in some of them. The role is a further filter, which matches nothing else.
#[test]
#[ignore = "CMD of other tests"]
fn role() {
    let argument = std::env::args().find_map(|argument| argument.strip_prefix("role=").map(str::to_owned));
    let Some(argument) = argument else { return };
    let (name, port) = argument.split_once(':').unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    match name {
        "web" => listener.incoming().flatten().for_each(|mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }),
        "silent" => std::thread::sleep(PATIENCE),
        other => panic!("no role {other}"),
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The cgroups that an `unready` of this process id made, in all hierarchies.
fn cgroups_of(pid: u32) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let roots = mounts.lines().filter(|line| line.contains(" cgroup")).filter_map(|line| line.split(' ').nth(1));
    let ours = format!("run-{pid}-");
    let entries = roots.flat_map(|root| fs::read_dir(Path::new(root).join("unready")).into_iter().flatten().flatten());
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours)).map(|entry| entry.path()).collect()
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status,
            None if Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it did not end in time");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A zombie is not: whether the machine's init reaps it soon is not our concern.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// To a process, or with a negative number to its group.
fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

fn number(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap()
}

#[test]
fn nonsense_is_usage_and_stdout_stays_empty() {
    for args in [
        &["run"][..],
        &["run", "--"],
        &["run", "--", ""],
        &["run", "--uid", "nobody", "--", "true"],
        &["run", "--memory", "64m", "--", "true"],
        &["run", "--memory", "lots", "--", "true"],
        &["run", "--ready-timeout", "0s", "--", "true"],
        &["run", "--drop", "CAP_FLY", "--", "true"],
        &["run", "--probe", "grpc://127.0.0.1:1", "--", "true"],
        &["run", "--probe", "127.0.0.1:1", "--", "true"],
        &["run", "-o", "xml", "--", "true"],
        &["replay"],
        &["fly"],
        &["--fly"],
        &["completions", "cmd.exe"],
    ] {
        let output = output(args);
        expect(&output, 2);
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let output = output(args);
        expect(&output, 0);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
    assert!(text(&output(&["run", "--help"]).stdout).contains("--keep"));
    assert!(!text(&output(&["--help"]).stdout).contains("__launch"));
    // What the verifier of a kernel says of the programs depends on who made them.
    let version = text(&output(&["--version"]).stdout);
    let made_by = version.lines().find_map(|line| line.strip_prefix("eBPF programs: ")).unwrap();
    assert!(made_by.starts_with("rustc 1.") && made_by.contains(", bpf-linker 0."), "{version}");
}

#[test]
fn completions_follow_the_name() {
    let plain = output(&["completions", "bash"]);
    expect(&plain, 0);
    assert!(text(&plain.stdout).contains("complete -F _unready"));
    let directory = tempfile::tempdir().unwrap();
    let plugin = directory.path().join("kubectl-unready");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_unready"), &plugin).unwrap();
    let completions = Command::new(&plugin).args(["completions", "bash"]).output().unwrap();
    assert!(text(&completions.stdout).contains("kubectl-unready"));
    let help = Command::new(&plugin).arg("--help").output().unwrap();
    assert!(text(&help.stdout).contains("Usage: kubectl unready"), "{}", text(&help.stdout));
}

#[test]
fn doctor_prints_each_check() {
    let table = output(&["doctor"]);
    let lines = output(&["doctor", "-o", "json"]);
    assert_eq!(table.status, lines.status);
    let checks: Vec<Value> = text(&lines.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(checks.len() >= 8);
    for check in &checks {
        assert!(text(&table.stdout).contains(check["name"].as_str().unwrap()), "{check}");
        assert_eq!(check["state"] == "ok", check["remedy"].is_null(), "{check}");
    }
    assert_eq!(table.status.success(), checks.iter().all(|check| check["state"] != "refused"));
}

#[test]
fn the_launcher_is_for_run_only() {
    let output = output(&["__launch", "--go=0", "--status=1", "--", "true"]);
    expect(&output, 1);
    assert!(text(&output.stderr).contains("unready run"));
}

#[test]
fn what_is_no_recording_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let newer = file("newer", "{\"unready-recording\":99,\"version\":\"9.9.9\"}\n");
    let foreign = file("foreign", "hello\n");
    let missing = directory.path().join("missing").display().to_string();
    for (path, word) in [(&newer, "9.9.9"), (&foreign, "not a recording"), (&missing, "No such file"), (&"/".to_owned(), "directory")] {
        let output = output(&["replay", path]);
        expect(&output, 1);
        let said = text(&output.stderr);
        assert!(output.stdout.is_empty() && said.contains(word) && said.trim_end().lines().count() == 1, "{path}: {said}");
    }
    let cut = output(&["replay", &file("cut", "{\"unready-recording\":1}\n{\"at\":1,\"inp")]);
    expect(&cut, 0);
    assert!(text(&cut.stderr).contains("cut off in line 2"), "{}", text(&cut.stderr));
}

#[test]
fn a_program_that_exits_with_0_is_healthy_and_heard() {
    needs_kernel!();
    let output = run(&["--", "/bin/sh", "-c", r"echo out; printf 'err\377\n' >&2"]);
    expect(&output, 0);
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\xff\n");
}

#[test]
fn stdin_directory_and_environment_are_ours() {
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let mut command = unready();
    command.args(["run", "--", "/bin/sh", "-c", "cat; pwd; echo $COLOUR"]).current_dir(directory.path()).env("COLOUR", "blue");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"in\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(&output.stdout), format!("in\n{}\nblue\n", fs::canonicalize(directory.path()).unwrap().display()));
}

#[test]
fn a_missing_command_is_explained() {
    needs_kernel!();
    let output = run(&["-o", "json", "--", "no-such-command-here", "--flag"]);
    expect(&output, 3);
    let verdicts = verdicts(&output);
    assert_eq!(verdicts.len(), 1, "{verdicts:#?}");
    assert_eq!(verdicts[0]["cause"], "CommandNotFound");
    assert!(verdicts[0]["subject"].as_str().unwrap().contains("no-such-command-here"));
    let for_people = run(&["--", "no-such-command-here"]);
    expect(&for_people, 3);
    assert!(text(&for_people.stdout).contains("CommandNotFound"));
}

#[test]
fn a_text_without_header_is_not_given_to_a_shell() {
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("script");
    fs::write(&script, "echo executed\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = run(&["-o", "json", "--", &script.display().to_string()]);
    expect(&output, 3);
    assert_eq!(verdicts(&output)[0]["cause"], "NotExecutable");
    assert!(!text(&output.stderr).contains("executed\n"));
}

#[test]
fn with_json_stdout_holds_nothing_but_verdicts() {
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = format!("echo to-stdout; exec cat {}", secret.display());
    let output = run(&["-o", "json", "--uid", "65534", "--", "/bin/sh", "-c", &script]);
    expect(&output, 3);
    let verdicts = verdicts(&output);
    assert_eq!(verdicts.len(), 1, "{verdicts:#?}");
    assert_eq!((&verdicts[0]["cause"], &verdicts[0]["subjectKind"]), (&"PermissionDenied".into(), &"Path".into()));
    assert_eq!(verdicts[0]["subject"], secret.display().to_string());
    assert!(verdicts[0]["remedy"]["text"].is_string() && verdicts[0]["explanation"].is_array());
    assert!(text(&output.stderr).contains("to-stdout\n") && text(&output.stderr).contains("Permission denied\n"));
}

#[test]
fn rights_are_dropped_before_the_exec() {
    needs_kernel!();
    let show = ["--", "grep", "-E", "^(Uid|Gid|Groups|Cap...|SigIgn):", "/proc/self/status"];
    let output = run(&[&["--uid", "4242", "--gid", "77", "--groups", "5,6", "--drop", "all"][..], &show].concat());
    expect(&output, 0);
    let status = text(&output.stdout);
    for line in ["Uid:\t4242\t4242\t4242\t4242", "Gid:\t77\t77\t77\t77", "Groups:\t5 6"] {
        assert!(status.contains(line), "{line}: {status}");
    }
    assert_eq!(status.matches("\t0000000000000000").count(), 5 + status.matches("SigIgn:\t0000000000000000").count(), "{status}");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    let broken_pipe = 1_u64 << 12; // SIGPIPE is 13
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & broken_pipe, 0);

    let one = text(&run(&[&["--drop", "net_raw"][..], &show].concat()).stdout);
    let mask = |name: &str| u64::from_str_radix(one.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim(), 16).unwrap();
    for name in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(mask(name) >> 13 & 1, 0, "{name}"); // CAP_NET_RAW is 13
        assert_ne!(mask(name), 0, "{name}");
    }
}

#[test]
fn a_memory_limit_that_kills_is_explained() {
    needs_kernel!();
    let output = run(&["-o", "json", "--memory", "16Mi", "--", "/bin/sh", "-c", "x=x; while :; do x=$x$x; done"]);
    expect(&output, 3);
    assert_eq!(verdicts(&output)[0]["cause"], "OutOfMemory");
}

#[test]
fn a_server_that_answers_its_probe_is_ready_and_ended() {
    needs_kernel!();
    let port = free_port();
    let (probe, server) = (format!("http://127.0.0.1:{port}/readyz"), role_args(&format!("web:{port}")));
    let begun = Instant::now();
    let child =
        unready().args(["run", "--probe", &probe, "--"]).args(&server).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    expect(&output, 0);
    assert!(begun.elapsed() < PATIENCE / 2);
    assert!(text(&output.stderr).contains("ready after"), "{}", text(&output.stderr));
    assert_eq!(cgroups_of(pid), Vec::<PathBuf>::new());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "the server was not ended");
}

#[test]
fn a_listener_that_lives_on_is_ready_without_probe() {
    needs_kernel!();
    let server = role_args(&format!("silent:{}", free_port()));
    let output = unready().args(["run", "--ready-timeout", "50s", "--"]).args(&server).output().unwrap();
    expect(&output, 0);
    assert!(text(&output.stderr).contains("it listens on 127.0.0.1:"), "{}", text(&output.stderr));
}

#[test]
fn an_answer_of_somebody_else_does_not_count() {
    needs_kernel!();
    let port = free_port();
    let mut other = Command::new(&role_args("")[0]).args(&role_args(&format!("web:{port}"))[1..]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("the other server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let probe = format!("http://127.0.0.1:{port}/");
    let output = run(&["--probe", &probe, "--probe-period", "100ms", "--ready-timeout", "1s", "--", "sleep", "30"]);
    other.kill().unwrap();
    other.wait().unwrap();
    expect(&output, 4);
    let said = text(&output.stderr);
    assert!(said.contains("not by CMD") && said.contains(&format!("pid {}", other.id())), "{said}");
}

#[test]
fn what_runs_on_without_fault_is_healthy_and_said_to_be() {
    needs_kernel!();
    let output = run(&["--ready-timeout", "500ms", "--", "sleep", "30"]);
    expect(&output, 0);
    let said = text(&output.stderr);
    assert!(said.contains("still running") && said.lines().count() == 1, "{said}");
    let probed = run(&["--ready-timeout", "500ms", "--probe", &format!("tcp://127.0.0.1:{}", free_port()), "--", "sleep", "30"]);
    expect(&probed, 4);
    assert!(text(&probed.stderr).contains("connection refused"), "{}", text(&probed.stderr));
}

#[test]
fn an_interrupt_ends_all_and_leaves_no_cgroup() {
    needs_kernel!();
    for name in [Signal::SIGINT, Signal::SIGTERM] {
        let directory = tempfile::tempdir().unwrap();
        let flag = directory.path().join("flag");
        let script = format!("sleep 300 & echo $! >{0}.new; mv {0}.new {0}; trap '' INT; wait; sleep 300", flag.display());
        let mut child = unready().args(["run", "--", "/bin/sh", "-c", &script]).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("CMD runs", || flag.exists());
        let sleeper = fs::read_to_string(&flag).unwrap().trim().to_owned();
        assert_eq!(cgroups_of(child.id()).len(), 1);
        signal(number(&child), name);
        let status = wait(&mut child);
        assert!(matches!(status.code(), Some(0 | 4)), "{name}: {status}");
        assert_eq!(cgroups_of(child.id()), Vec::<PathBuf>::new(), "{name}");
        assert!(!is_alive(&sleeper), "{name}: a child was left behind");
    }
}

#[test]
fn an_interrupt_of_the_terminal_reaches_cmd_too_and_is_no_crash() {
    use std::os::unix::process::CommandExt;
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (flag, recording) = (path("flag"), path("recording"));
    for script in ["exec sleep 300", "trap 'exit 130' INT; sleep 300"] {
        let script = format!("touch {flag}; {script}");
        let mut command = unready();
        command.args(["run", "--record", &recording, "-o", "json", "--", "/bin/sh", "-c", &script]).process_group(0);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("CMD runs", || Path::new(&flag).exists());
        std::thread::sleep(Duration::from_millis(200)); // the shell has gone on to what is interrupted
        signal(-number(&child), Signal::SIGINT);
        let output = child.wait_with_output().unwrap();
        expect(&output, 0);
        assert_eq!(text(&output.stdout), "", "{script}");
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        let replayed = unready().args(["replay", "-o", "json", &recording]).output().unwrap();
        assert_eq!((replayed.status.code(), text(&replayed.stdout)), (output.status.code(), String::new()), "{script}");
        fs::remove_file(&flag).unwrap();
    }
}

#[test]
fn the_last_words_reach_a_slow_reader_and_the_verdict() {
    needs_kernel!();
    // More than the two pipes hold; a child that is left behind holds CMD's open.
    let script = "sleep 300 & head -c 260000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'fatal: END' >&2; exit 1";
    let mut command = unready();
    command.args(["run", "-o", "json", "--", "/bin/sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    expect(&output, 3);
    assert!(said.starts_with(&"x".repeat(260_000)) && said.ends_with("\nfatal: END\n"), "{} bytes", said.len());
    assert!(text(&output.stdout).contains("fatal: END"), "{}", text(&output.stdout));
}

#[test]
fn a_killed_unready_takes_cmd_along_and_the_next_ends_the_rest() {
    needs_kernel!();
    for user in [&[][..], &["--uid", "65534"]] {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let flag = directory.path().join("flag");
        let script = format!("sleep 300 & echo $$ $! >{0}.new; mv {0}.new {0}; wait", flag.display());
        let mut child = unready().arg("run").args(user).args(["--", "/bin/sh", "-c", &script]).spawn().unwrap();
        wait_until("CMD runs", || flag.exists());
        let pids = fs::read_to_string(&flag).unwrap();
        let (cmd, sleeper) = pids.trim().split_once(' ').unwrap();
        assert!(is_alive(cmd) && is_alive(sleeper));
        signal(number(&child), Signal::SIGKILL);
        wait(&mut child);
        wait_until("CMD ends with it", || !is_alive(cmd));
        expect(&run(&["--", "true"]), 0);
        assert!(!is_alive(sleeper), "a child was left behind");
        assert_eq!(cgroups_of(child.id()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_recording_that_breaks_off_is_not_healthy() {
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("recording").display().to_string();
    for (command, status) in [("true", 4), ("no-such-command-here", 3)] {
        run(&["--record", &file, "--", command]);
        let whole = fs::read_to_string(&file).unwrap();
        // All but the closing line, and of a program that did nothing wrong its end.
        let kept = whole.lines().take_while(|line| status == 3 || !line.contains(r#""exit":"#)).collect::<Vec<_>>();
        let kept = &kept[..kept.len() - usize::from(status == 3)];
        fs::write(&file, kept.join("\n") + "\n").unwrap();
        let replayed = output(&["replay", &file]);
        expect(&replayed, status);
        assert_eq!(text(&replayed.stderr).contains("breaks off before"), status == 4, "{}", text(&replayed.stderr));
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = unready().args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    expect(&output, 0);
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn what_is_left_in_the_background_is_ended() {
    needs_kernel!();
    let output = run(&["--", "/bin/sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!"]);
    expect(&output, 0);
    assert!(!is_alive(text(&output.stdout).trim()));
}

#[test]
fn a_replay_says_what_the_run_said() {
    needs_kernel!();
    let directory = tempfile::tempdir().unwrap();
    let stable = |output: &Output| {
        let fields = ["id", "cause", "layer", "subject", "severity", "confidence", "summary", "explanation", "remedy", "count"];
        verdicts(output).into_iter().map(|verdict| fields.map(|field| verdict[field].clone())).collect::<Vec<_>>()
    };
    for (name, command) in [("missing", &["no-such-command-here"][..]), ("file", &["cat", "/no/such/file"]), ("true", &["true"])] {
        let file = directory.path().join(name).display().to_string();
        let recorded = run(&[&["-o", "json", "--record", &file, "--"][..], command].concat());
        let replayed = output(&["replay", "-o", "json", &file]);
        assert_eq!(recorded.status.code(), replayed.status.code(), "{name}: {}", text(&replayed.stderr));
        assert_eq!(stable(&recorded), stable(&replayed), "{name}");
        assert_eq!(text(&replayed.stderr), "", "{name}");
    }
}

#[test]
fn a_recording_that_cannot_be_written_is_said_before_anything_starts() {
    needs_kernel!();
    let output = run(&["--record", "/no/such/directory/x", "--", "echo", "started"]);
    expect(&output, 1);
    let said = text(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("--record") && said.trim_end().lines().count() == 1, "{said}");
}

#[test]
fn without_root_the_way_out_is_said() {
    needs_kernel!();
    // The binary as another user: it refuses by itself. A copy, as the build directory may be closed to that user.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("unready");
    fs::copy(env!("CARGO_BIN_EXE_unready"), &copy).unwrap();
    let mut command = Command::new(&copy);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.args(["run", "--", "echo", "started"]).current_dir("/").output().unwrap();
    expect(&output, 1);
    assert!(output.stdout.is_empty() && text(&output.stderr).contains("sudo"), "{}", text(&output.stderr));
}
