//! What ends a start before the program runs: each layer with its trigger and its neighbour.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::{explain, questions, text};
use crate::{
    case::{Case, Suspect, finding::Finding},
    catalogue::{
        Cause, Layer, command_not_found, library_missing, loader_missing, not_executable, permission_denied, script_interpreter_missing,
    },
    causes, judge,
    question::{Answer, Component, ExecFormat, Executable, Question, RuntimeSpec, Walk},
    record::{Call, Errno, ExitStatus},
    story::failure::Failure,
    units::BootNanos,
    words::testing::{FAILED_AT, World, dir, failed, failure_of, file, missing, mounted, path, walk},
};

fn never_started(at: BootNanos, case: &Case<'_>) -> Option<Finding> {
    judge::explain(Suspect::NeverStarted { at }, case)
}

fn exec(target: &str, errno: &str) -> Failure {
    failure_of(failed(Call::Exec, path(target), 0, errno))
}

fn lookup(call: Call, target: &str) -> Failure {
    failure_of(failed(call, path(target), 0, "ENOENT"))
}

fn told(failure: &Failure, world: &World) -> Finding {
    explain(failure, &world.case()).unwrap()
}

fn program(mode: u32) -> Component {
    file("/app/server", 0, 0, mode)
}

fn elf(interpreter: Option<(&str, bool)>, libraries: &[(&str, Option<&str>)]) -> ExecFormat {
    ExecFormat::Elf {
        machine: "x86-64".into(),
        host: "x86-64".into(),
        interpreter: interpreter.map(|(path, exists)| (path.into(), exists)),
        libraries: libraries.iter().map(|(name, found)| ((*name).into(), found.map(Into::into))).collect(),
    }
}

fn script(interpreter: &str, exists: bool, crlf: bool) -> ExecFormat {
    ExecFormat::Script { interpreter: interpreter.into(), exists, crlf }
}

#[test]
fn one_enoent_has_four_meanings() {
    let unknown = ExecFormat::Unreadable { errno: Errno::ENOENT };
    let cases = [
        (None, unknown, Cause::CommandNotFound, command_not_found::MISSING_COMMAND, "/app/server"),
        (
            Some(program(0o755)),
            elf(Some(("/lib64/ld-linux-x86-64.so.2", false)), &[]),
            Cause::LoaderMissing,
            loader_missing::LOADER,
            "/lib64/ld-linux-x86-64.so.2",
        ),
        (
            Some(program(0o755)),
            script("/bin/bash", false, false),
            Cause::ScriptInterpreterMissing,
            script_interpreter_missing::INTERPRETER,
            "/bin/bash",
        ),
        (
            Some(program(0o755)),
            script("/bin/sh\r", false, true),
            Cause::ScriptInterpreterMissing,
            script_interpreter_missing::CRLF,
            "/app/server",
        ),
    ];
    for (found, format, cause, layer, subject) in cases {
        let finding = told(&exec("/app/server", "ENOENT"), &World::pod().read("/app/server", found, format));
        assert_eq!((finding.cause(), finding.layer, finding.subject.name.as_str()), (cause, layer, subject), "{}", text(&finding));
        assert!(finding.proved && !finding.remedy.text.is_empty());
        let said = &finding.summary;
        assert!(said.starts_with("execve(\"/app/server\") = ENOENT: ") && said.ends_with(" does not exist"), "{said}");
    }
}

#[test]
fn a_carriage_return_is_shown() {
    let world = World::pod().read("/start.sh", Some(file("/start.sh", 0, 0, 0o755)), script("/bin/sh\r", false, true));
    assert!(text(&told(&exec("/start.sh", "ENOENT"), &world)).contains("/bin/sh\\r"));
}

#[test]
fn the_loader_tells_which_image_fits() {
    let remedy = |loader| {
        let world = World::pod().read("/app/server", Some(program(0o755)), elf(Some((loader, false)), &[]));
        told(&exec("/app/server", "ENOENT"), &world).remedy.text
    };
    assert!(remedy("/lib/ld-musl-x86_64.so.1").contains("Alpine image"));
    assert!(remedy("/lib/ld-linux-aarch64.so.1").contains("CGO_ENABLED=0"));
}

#[test]
fn the_loader_of_an_interpreter_is_found_behind_the_script() {
    let world = World::pod().read("/start", Some(file("/start", 0, 0, 0o755)), script("/opt/python -u", true, false));
    let failure = exec("/start", "ENOENT");
    assert!(questions(&failure, &world.case()).iter().any(|q| matches!(q, Question::ReadExecutable { path, .. } if path == "/opt/python")));
    assert!(!told(&failure, &world).proved, "nothing is missing as far as it was looked");
    let world = world.read("/opt/python", Some(file("/opt/python", 0, 0, 0o755)), elf(Some(("/lib/ld-musl-x86_64.so.1", false)), &[]));
    assert_eq!(told(&failure, &world).cause(), Cause::LoaderMissing);
}

#[test]
fn enoexec_is_another_machine_or_no_program() {
    let foreign = ExecFormat::Elf { machine: "aarch64".into(), host: "x86-64".into(), interpreter: None, libraries: vec![] };
    let finding = told(&exec("/app/server", "ENOEXEC"), &World::pod().read("/app/server", Some(program(0o755)), foreign));
    assert_eq!((finding.cause(), finding.proved), (Cause::WrongArchitecture, true));
    assert!(
        finding.remedy.text.contains("--platform linux/amd64") && finding.remedy.text.contains("kubernetes.io/arch: arm64"),
        "{}",
        finding.remedy.text
    );
    let text_file = ExecFormat::Unknown { what: "text without #!".into() };
    let finding = told(&exec("/app/server", "ENOEXEC"), &World::pod().read("/app/server", Some(program(0o755)), text_file));
    assert_eq!((finding.cause(), finding.layer), (Cause::NotExecutable, not_executable::NO_PROGRAM));
    let blind = told(&exec("/app/server", "ENOEXEC"), &World::pod());
    assert_eq!((blind.cause(), blind.proved), (Cause::NotExecutable, false), "it is there, or it would be ENOENT");
}

#[test]
fn eacces_of_an_execve_has_five_meanings() {
    let noexec = crate::question::Mount { noexec: true, ..mounted("/app", "ext4") };
    let app = || dir("/app", 0, 0, 0o755);
    let server = |mode| file("/app/server", 0, 0, mode);
    let cases: Vec<(Walk, Cause, Layer)> = vec![
        (walk([app(), server(0o644)]), Cause::NotExecutable, not_executable::NO_EXECUTE_BIT),
        (walk([app(), server(0o744)]), Cause::NotExecutable, not_executable::NO_EXECUTE_BIT),
        (walk([app(), Component { mount: noexec, ..server(0o755) }]), Cause::NotExecutable, not_executable::NOEXEC_MOUNT),
        (walk([app(), dir("/app/server", 0, 0, 0o755)]), Cause::NotExecutable, not_executable::DIRECTORY),
        (walk([dir("/app", 0, 0, 0o700), server(0o755)]), Cause::PermissionDenied, permission_denied::MODE_BITS),
        (Walk { lsm: Some("confined".into()), ..walk([app(), server(0o755)]) }, Cause::PermissionDenied, permission_denied::LSM),
    ];
    for (place, cause, layer) in cases {
        let finding = told(&exec("/app/server", "EACCES"), &World::pod().walked("/app/server", place));
        assert_eq!((finding.cause(), finding.layer), (cause, layer), "{}", text(&finding));
        assert_eq!(finding.proved, layer != permission_denied::LSM);
    }
    assert!(!told(&exec("/app/server", "EACCES"), &World::pod()).proved);
}

#[test]
fn a_search_along_path_is_one_finding_with_its_directories() {
    let tries = ["/usr/local/bin/servre", "/usr/bin/servre", "/bin/servre"].map(|target| exec(target, "ENOENT"));
    let world = tries.iter().fold(World::pod(), World::failing);
    let finding = told(&tries[0], &world);
    assert_eq!((finding.layer, finding.subject.name.as_str()), (command_not_found::SEARCH_PATH, "servre"));
    assert!(text(&finding).contains("/usr/local/bin, /usr/bin and /bin"), "{}", text(&finding));
    assert_eq!(told(&tries[2], &world).subject, finding.subject, "each try is the same finding");
}

#[test]
fn a_closed_directory_of_path_hides_nothing_that_is_not_there() {
    let tries = [exec("/usr/bin/servre", "ENOENT"), exec("/root/bin/servre", "EACCES")];
    let world = tries.iter().fold(World::pod(), World::failing);
    let closed = || dir("/root", 0, 0, 0o700);
    let absent =
        world.walked("/root/bin/servre", missing("/root/bin/servre", "/root/bin/servre", [closed(), dir("/root/bin", 0, 0, 0o755)]));
    assert_eq!(told(&tries[1], &absent).cause(), Cause::CommandNotFound);
    let world = tries.iter().fold(World::pod(), World::failing);
    let there = world.walked("/root/bin/servre", walk([closed(), dir("/root/bin", 0, 0, 0o755), file("/root/bin/servre", 0, 0, 0o755)]));
    assert_eq!(told(&tries[1], &there).cause(), Cause::PermissionDenied, "it is there, and cannot be reached");
}

#[test]
fn a_shell_that_looks_and_gives_up() {
    let tries = ["/usr/bin/servre", "/bin/servre"].map(|target| lookup(Call::Stat, target));
    let gave_up = tries.iter().fold(World::pod(), World::failing).running(&["/bin/bash", "-c", "servre"], Some(ExitStatus::Code(127)));
    let finding = told(&tries[0], &gave_up);
    assert_eq!((finding.cause(), finding.subject.name.as_str()), (Cause::CommandNotFound, "servre"));
    let went_on = tries.iter().fold(World::pod(), World::failing).running(&["/bin/bash"], Some(ExitStatus::Code(1)));
    assert!(explain(&tries[0], &went_on.case()).is_none_or(|found| found.cause() != Cause::CommandNotFound), "it ended of something else");
}

#[test]
fn a_library_is_missing_only_if_it_is_needed_and_nowhere() {
    let tries = ["/lib/libfoo.so.3", "/usr/lib/libfoo.so.3"].map(|target| lookup(Call::Open, target));
    let run = |exit, needs: Option<Option<&str>>| {
        let world = tries.iter().fold(World::pod(), World::failing).running(&["/app/server"], Some(exit));
        match needs {
            Some(found) => world.read("/app/server", Some(program(0o755)), elf(None, &[("libfoo.so.3", found)])),
            None => world,
        }
    };
    let loader = ExitStatus::Code(127);
    let finding = told(&tries[0], &run(loader, Some(None)));
    assert_eq!((finding.cause(), finding.subject.name.as_str(), finding.proved), (Cause::LibraryMissing, "libfoo.so.3", true));
    assert!(text(&finding).contains("looked for in /lib and /usr/lib"), "{}", text(&finding));
    assert!(
        explain(&tries[0], &run(loader, Some(Some("/opt/libfoo.so.3"))).case()).is_none_or(|found| found.cause() != Cause::LibraryMissing),
        "found elsewhere"
    );
    assert!(!told(&tries[0], &run(loader, None)).proved, "a library of a library");
    assert!(
        explain(&tries[0], &run(ExitStatus::Code(1), None).case()).is_none_or(|found| found.cause() != Cause::LibraryMissing),
        "an optional plugin"
    );
}

#[test]
fn a_module_of_node() {
    let tries = ["/app/node_modules/@acme/db", "/node_modules/@acme/db"].map(|target| lookup(Call::Stat, target));
    let world = |exit| tries.iter().fold(World::local(), World::failing).running(&["node", "app.js"], Some(exit));
    let said = |exit| world(exit).said("Error: Cannot find module '@acme/db'");
    let finding = told(&tries[0], &said(ExitStatus::Code(1)));
    assert_eq!((finding.layer, finding.subject.name.as_str()), (library_missing::MODULE, "@acme/db"));
    assert!(
        explain(&tries[0], &said(ExitStatus::Code(0)).case()).is_none_or(|found| found.cause() != Cause::LibraryMissing),
        "it went well"
    );
    let other = world(ExitStatus::Code(1)).said("Error: listen EADDRINUSE");
    assert!(explain(&tries[0], &other.case()).is_none_or(|found| found.cause() != Cause::LibraryMissing), "it complains of something else");
    let directory = lookup(Call::Stat, "/usr/lib/node");
    let named = said(ExitStatus::Code(1)).failing(&directory);
    assert_eq!(told(&directory, &named).subject.name, "@acme/db", "the directories are searched for the same module");
    assert!(explain(&directory, &world(ExitStatus::Code(1)).case()).is_none(), "a search path is no missing file");
    let silent = world(ExitStatus::Code(1));
    assert!(!told(&tries[0], &silent).proved, "a pod's words are not heard");
}

#[test]
fn a_container_that_never_started_is_told_by_the_runtimes_description() {
    let spec = |command| RuntimeSpec {
        args: vec!["server".into(), "--port".into()],
        cwd: "/".into(),
        path: Some("/usr/bin:/bin".into()),
        command,
    };
    let world = |command| {
        let ask = causes::questions(Suspect::NeverStarted { at: FAILED_AT }, &World::pod().case()).remove(0);
        World::pod().answer(ask, Answer::RuntimeSpec(spec(command)))
    };
    let finding = never_started(FAILED_AT, &world(None).case()).unwrap();
    assert_eq!(
        (finding.cause(), finding.layer, finding.subject.name.as_str()),
        (Cause::CommandNotFound, command_not_found::SEARCH_PATH, "server")
    );
    assert!(finding.proved && text(&finding).contains("/usr/bin and /bin"), "{}", text(&finding));

    let at = |mode| Executable { path: "/usr/bin/server".into(), file: Some(file("/usr/bin/server", 0, 0, mode)), format: elf(None, &[]) };
    let finding = never_started(FAILED_AT, &world(Some(at(0o644))).case()).unwrap();
    assert_eq!((finding.cause(), finding.layer, finding.proved), (Cause::NotExecutable, not_executable::NO_EXECUTE_BIT, true));
    assert!(text(&finding).contains("0:0 0644"), "{}", text(&finding));
    assert_eq!(finding.summary, "the runtime could not start \"server\": nobody may execute /usr/bin/server, which is 0:0 0644");
    assert!(never_started(FAILED_AT, &world(Some(at(0o755))).case()).is_none(), "nothing is wrong with it");
}

#[test]
fn without_the_description_the_runtimes_own_looks_tell() {
    let looks = ["/usr/bin/servre", "/bin/servre"].map(|target| by_runtime(lookup(Call::Stat, target)));
    let world = looks.iter().fold(World::pod(), World::failing);
    let finding = never_started(FAILED_AT, &world.case()).unwrap();
    assert_eq!((finding.subject.name.as_str(), finding.proved), ("servre", false));
    assert!(never_started(FAILED_AT, &World::pod().case()).is_none());
}

#[test]
fn the_runtimes_failing_execve_is_explained_like_any_other() {
    let failure = by_runtime(exec("/app/server", "ENOENT"));
    let world =
        World::pod().failing(&failure).read("/app/server", Some(program(0o755)), elf(Some(("/lib/ld-musl-x86_64.so.1", false)), &[]));
    assert_eq!(never_started(FAILED_AT, &world.case()).unwrap().cause(), Cause::LoaderMissing);
    let gone = World::pod().walked("/app/server", missing("/app/server", "/app", []));
    assert_eq!(told(&failure, &gone).cause(), Cause::CommandNotFound);
}

fn by_runtime(mut failure: Failure) -> Failure {
    failure.by_runtime = true;
    failure
}
