//! The files' rules: each layer with what triggers it and with its neighbour, and the sentences that users read.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::{explain, questions, text};
use crate::{
    case::finding::Finding,
    catalogue::{
        Cause, Layer, file_missing, permission_denied, read_only_filesystem, runtime_file_missing, storage_full, too_many_files,
        wrong_file_type,
    },
    question::{AclEntry, AclTag, Answer, Component, FileKind, IdRange, Limits, Mount, Question, Usage, Walk},
    record::{Call, Creds, Errno, ExitStatus, Target},
    story::failure::Failure,
    units::BootNanos,
    words::{
        self,
        testing::{CLOCK, FAILED_AT, World, creds, dir, failed, failure_of, file, link, missing, mounted, path, special, walk},
    },
};

const O_RDWR_CREAT: u64 = 0o102;

fn told(call: Call, target: &str, arg: u64, errno: &str, world: &World) -> Finding {
    explain(&failure_of(failed(call, path(target), arg, errno)), &world.case()).unwrap()
}

fn on(mount: &Mount, component: Component) -> Component {
    Component { mount: mount.clone(), ..component }
}

fn volume(point: &str, kind: &str, name: &str) -> Mount {
    Mount { root: format!("/var/lib/kubelet/pods/0b3f/volumes/kubernetes.io~{kind}/{name}"), ..mounted(point, "ext4") }
}

// ── PermissionDenied ─────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_example_of_the_design_reads_as_designed() {
    let data = volume("/data", "csi", "pvc-orders");
    let place = missing("/data/orders.db", "/data/orders.db", [on(&data, dir("/data", 0, 0, 0o755))]);
    let mut failure = failure_of(failed(Call::Open, path("/data/orders.db"), O_RDWR_CREAT, "EACCES"));
    failure.count = 14;
    failure.last = BootNanos(failure.first.0 + 3_200_000_000);
    let finding = explain(&failure, &World::pod().walked("/data/orders.db", place).case()).unwrap();
    assert_eq!(finding.summary, "open(\"/data/orders.db\", O_RDWR|O_CREAT) = EACCES, 14 times in 3.2 s");
    assert_eq!(finding.explanation[0], "process uid 1000 gid 1000 (no groups) needs w on directory /data, which is 0:0 0755");
    assert_eq!(finding.explanation[1], "/data is volume \"pvc-orders\" (csi), ext4");
    assert!(finding.remedy.text.contains("spec.securityContext.fsGroup: 1000"), "{}", finding.remedy.text);
    assert_eq!((finding.layer, finding.subject.name.as_str(), finding.proved), (permission_denied::MODE_BITS, "/data/orders.db", true));
}

#[test]
fn the_remedy_fits_where_the_file_lies() {
    let cases = [
        (volume("/data", "empty-dir", "data"), "fsGroup: 1000"),
        (volume("/data", "secret", "tls"), "defaultMode"),
        (Mount { root: "/srv/data".into(), ..mounted("/data", "ext4") }, "hostPath volume fsGroup has no effect"),
        (mounted("/", "overlay"), "No volume is mounted at /data"),
    ];
    for (mount, expected) in cases {
        let place = missing("/data/f", "/data/f", [on(&mount, dir("/data", 0, 0, 0o755))]);
        let finding = told(Call::Open, "/data/f", O_RDWR_CREAT, "EACCES", &World::pod().walked("/data/f", place));
        assert!(finding.remedy.text.contains(expected), "{}: {}", mount.root, finding.remedy.text);
    }
}

#[test]
fn a_local_run_is_told_commands() {
    let place = |directory| missing("/d/f", "/d/f", [directory]);
    let cases = [
        (dir("/d", 0, 0, 0o755), "chown 1000:1000 /d"),
        (dir("/d", 1000, 0, 0o555), "chmod u+w /d"),
        (dir("/d", 0, 1000, 0o755), "chmod g+w /d"),
        (dir("/d", 0, 2000, 0o775), "--groups 2000"),
    ];
    for (directory, expected) in cases {
        let finding = told(Call::Mkdir, "/d/f", 0o755, "EACCES", &World::local().walked("/d/f", place(directory)));
        assert!(finding.remedy.text.contains(expected), "{}", finding.remedy.text);
    }
    let private = walk([dir("/d", 999, 999, 0o700), file("/d/f", 999, 999, 0o600)]);
    let finding = told(Call::Stat, "/d/f", 0, "EACCES", &World::local().walked("/d/f", private));
    assert!(finding.remedy.text.contains("run the program as that user"), "{}", finding.remedy.text);
    let key = walk([dir("/d", 0, 0, 0o755), file("/d/f", 0, 0, 0o600)]);
    let finding = told(Call::Open, "/d/f", 0, "EACCES", &World::local().walked("/d/f", key));
    assert!(!finding.remedy.text.contains("uid 0"), "nobody is told to become root: {}", finding.remedy.text);
    let home = missing("/root/dump.rdb", "/root/dump.rdb", [dir("/root", 0, 0, 0o700)]);
    let finding = told(Call::Access, "/root/dump.rdb", 2, "EACCES", &World::local().walked("/root/dump.rdb", home));
    assert!(finding.remedy.text.contains("install -d -o 1000"), "the home of root is not to be given away: {}", finding.remedy.text);
}

#[test]
fn no_remedy_opens_a_file_to_everybody_or_makes_a_container_privileged() {
    let mounts = [
        volume("/d", "empty-dir", "d"),
        volume("/d", "secret", "d"),
        mounted("/", "overlay"),
        Mount { root: "/x".into(), ..mounted("/d", "ext4") },
    ];
    let files = [file("/d/f", 0, 0, 0o600), file("/d/f", 1000, 0, 0o000), file("/d/f", 0, 1000, 0o600), file("/d/f", 0, 2000, 0o660)];
    for mount in &mounts {
        for inode in &files {
            for world in [World::pod(), World::local(), World::default()] {
                let place = walk([on(mount, dir("/d", 0, 0, 0o755)), on(mount, inode.clone())]);
                let finding = told(Call::Open, "/d/f", 2, "EACCES", &world.walked("/d/f", place));
                let remedy = &finding.remedy.text;
                assert!(!remedy.is_empty());
                for evil in ["privileged", "777", "666", "o+w", "a+w"] {
                    assert!(!remedy.contains(evil), "{remedy}");
                }
            }
        }
    }
}

#[test]
fn every_layer_of_a_denial_has_its_phrase_and_sentence() {
    let root = Creds { cap_effective: 0, ..creds(0, 0) };
    let user = creds(1000, 1000);
    let acl = vec![
        AclEntry { tag: AclTag::User(1000), perm: 7 },
        AclEntry { tag: AclTag::GroupObj, perm: 0 },
        AclEntry { tag: AclTag::Mask, perm: 4 },
        AclEntry { tag: AclTag::Other, perm: 0 },
    ];
    let d = || dir("/d", 0, 0, 0o755);
    let cases: Vec<(Layer, &Creds, Call, u64, &str, Walk, &str)> = vec![
        (
            permission_denied::MODE_BITS,
            &user,
            Call::Open,
            0,
            "EACCES",
            walk([dir("/d", 0, 0, 0o700), file("/d/f", 0, 0, 0o644)]),
            "needs x (search) on directory /d",
        ),
        (
            permission_denied::MODE_BITS,
            &user,
            Call::Open,
            1,
            "EACCES",
            walk([d(), file("/d/f", 1000, 0, 0o466)]),
            "the owner's bits alone decide",
        ),
        (
            permission_denied::SUPPLEMENTARY_GROUP,
            &user,
            Call::Open,
            0,
            "EACCES",
            walk([d(), file("/d/f", 0, 2000, 0o640)]),
            "group 2000 may, and the process is not in it",
        ),
        (
            permission_denied::ACL,
            &user,
            Call::Open,
            1,
            "EACCES",
            walk([d(), Component { acl, ..file("/d/f", 0, 0, 0o640) }]),
            "the mask leaves r",
        ),
        (
            permission_denied::OWNERSHIP,
            &user,
            Call::Chmod,
            0o600,
            "EPERM",
            walk([d(), file("/d/f", 0, 0, 0o666)]),
            "may not change the mode of file /d/f",
        ),
        (
            permission_denied::STICKY_DIRECTORY,
            &user,
            Call::Unlink,
            0,
            "EPERM",
            walk([dir("/d", 0, 0, 0o1777), file("/d/f", 0, 0, 0o666)]),
            "(sticky)",
        ),
        (
            permission_denied::SYSCTL,
            &user,
            Call::Open,
            O_RDWR_CREAT,
            "EACCES",
            walk([dir("/d", 0, 0, 0o1777), file("/d/f", 5, 5, 0o666)]),
            "fs.protected_regular",
        ),
        (
            permission_denied::INODE_FLAG,
            &root,
            Call::Unlink,
            0,
            "EPERM",
            walk([d(), Component { immutable: true, ..file("/d/f", 0, 0, 0o644) }]),
            "chattr +i",
        ),
        (permission_denied::CAPABILITY, &root, Call::Open, 0, "EACCES", walk([d(), file("/d/f", 5, 5, 0o600)]), "it was dropped"),
        (
            permission_denied::CAPABILITY,
            &root,
            Call::Chown,
            5 << 32 | 5,
            "EPERM",
            walk([d(), file("/d/f", 0, 0, 0o600)]),
            "may not change owner or group of file /d/f",
        ),
        (
            permission_denied::MOUNT_FLAG,
            &user,
            Call::Open,
            2,
            "EACCES",
            walk([
                d(),
                Component {
                    mount: Mount { options: "nodev".into(), ..mounted("/d", "tmpfs") },
                    ..special("/d/f", FileKind::CharDevice, 0, 0, 0o666)
                },
            ]),
            "nodev",
        ),
    ];
    for (layer, who, call, arg, errno, place, says) in cases {
        let mut failure = failure_of(failed(call, path("/d/f"), arg, errno));
        failure.call.creds = who.clone();
        let finding = explain(&failure, &World::pod().walked("/d/f", place.clone()).case());
        // Calls that do not follow links are asked with `follow: false`; the answer is found by its path.
        let finding = finding.unwrap();
        assert_eq!(finding.layer, layer, "{}", text(&finding));
        assert!(text(&finding).contains(says), "{layer}: {}", text(&finding));
        assert!(!finding.remedy.text.is_empty());
        assert_eq!(finding.proved, layer != permission_denied::SYSCTL, "{layer}");
    }
}

#[test]
fn a_user_namespace_is_told_with_both_numbers() {
    let mut failure = failure_of(failed(Call::Open, path("/data/f"), O_RDWR_CREAT, "EACCES"));
    failure.call.creds = Creds { user_ns: 4_026_532_000, cap_effective: 2, ..creds(200_000, 200_000) };
    let map = vec![IdRange { inside: 0, outside: 200_000, count: 65_536 }];
    let place = Walk { uid_map: map.clone(), gid_map: map, ..missing("/data/f", "/data/f", [dir("/data", 0, 0, 0o755)]) };
    let finding = explain(&failure, &World::default().walked("/data/f", place).case()).unwrap();
    assert_eq!(finding.layer, permission_denied::USER_NAMESPACE);
    let text = text(&finding);
    assert!(text.contains("process uid 0 gid 0 (no groups, 200000:200000 outside its user namespace)"), "{text}");
    assert!(text.contains("0:0 0755 outside, nobody:nobody in the process's user namespace"), "{text}");
}

#[test]
fn what_the_mode_bits_permit_is_told_as_something_else_and_never_proved() {
    let open = || walk([dir("/d", 0, 0, 0o755), file("/d/f", 0, 0, 0o666)]);
    let with = |change: fn(&mut Walk)| {
        let mut place = open();
        change(&mut place);
        place
    };
    let cases: Vec<(Layer, &str, Walk)> = vec![
        (permission_denied::UNEXPLAINED, "EACCES", open()),
        (permission_denied::LSM, "EACCES", with(|w| w.lsm = Some("docker-default (enforce)".into()))),
        (permission_denied::LSM, "EACCES", with(|w| (w.lsm, w.seccomp) = (Some("docker-default".into()), Some(true)))),
        (permission_denied::SECCOMP, "EPERM", with(|w| (w.lsm, w.seccomp) = (Some("docker-default".into()), Some(true)))),
        (permission_denied::UNEXPLAINED, "EACCES", with(|w| w.seccomp = Some(true))),
        (permission_denied::FILE_SERVER, "EACCES", with(|w| w.components[2].mount.fstype = "nfs4".into())),
        (permission_denied::DEVICE_RULES, "EPERM", with(|w| w.components[2].kind = FileKind::CharDevice)),
        (permission_denied::CHANGED_SINCE, "EACCES", with(|w| w.components[2].changed = Some(CLOCK.wall_nanos(FAILED_AT) + 5_000_000))),
        (permission_denied::UNEXPLAINED, "EACCES", with(|w| w.components[2].changed = Some(CLOCK.wall_nanos(FAILED_AT) - 5_000_000))),
    ];
    for (layer, errno, place) in cases {
        let finding = told(Call::Open, "/d/f", 2, errno, &World::pod().walked("/d/f", place));
        assert_eq!(finding.layer, layer, "{}", text(&finding));
        assert!(finding.explanation[0].starts_with("the mode bits permit it"), "{}", text(&finding));
        assert!(!finding.proved);
    }
}

#[test]
fn without_answers_a_denial_is_honest() {
    let finding = told(Call::Open, "/d/f", 0, "EACCES", &World::pod());
    assert_eq!((finding.cause(), finding.proved), (Cause::PermissionDenied, false));
    assert!(text(&finding).contains("is not known"), "{}", text(&finding));
    let gone = World::pod().answer(
        Question::LocalAddresses { scope: World::pod().case().scope(words::testing::PROCESS) },
        Answer::Gone { reason: "the process ended".into() },
    );
    assert!(text(&told(Call::Open, "/d/f", 0, "EACCES", &gone)).contains("the process ended"));
}

#[test]
fn changing_the_user_needs_a_capability() {
    let denied = |call, arg, capabilities, world: &World| {
        let mut failure = failure_of(failed(call, Target::Nothing, arg, "EPERM"));
        failure.call.creds.cap_effective = capabilities;
        explain(&failure, &world.case())
    };
    let finding = denied(Call::Setgid, 33, 0, &World::pod()).unwrap();
    assert_eq!((finding.layer_text().as_str(), finding.subject.name.as_str(), finding.proved), ("capability SETGID", "SETGID", true));
    assert!(text(&finding).contains("wants to change to group 33, which needs CAP_SETGID"), "{}", text(&finding));
    assert!(finding.remedy.text.contains("runAsUser"), "{}", finding.remedy.text);
    let filtered = World::pod().walked("/", Walk { seccomp: Some(true), ..walk([]) });
    let finding = denied(Call::Setuid, 33, 1 << 7, &filtered).unwrap();
    assert_eq!((finding.layer, finding.proved), (permission_denied::SECCOMP, false));
    assert_eq!(denied(Call::Socket, 17, 0, &World::pod()).unwrap().layer_text(), "capability NET_RAW");
}

// ── ReadOnlyFilesystem ───────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_read_only_mount_is_named() {
    let read_only = |mount: Mount| Mount { read_only: true, ..mount };
    let cases = [
        (mounted("/", "overlay"), read_only_filesystem::READ_ONLY_ROOT, "emptyDir at /var/cache/app"),
        (volume("/var/cache/app", "configmap", "settings"), read_only_filesystem::READ_ONLY_VOLUME, "init container"),
        (volume("/var/cache/app", "projected", "token"), read_only_filesystem::READ_ONLY_VOLUME, "init container"),
        (volume("/var/cache/app", "empty-dir", "cache"), read_only_filesystem::READ_ONLY_MOUNT, "readOnly: true"),
    ];
    for (mount, layer, remedy) in cases {
        let mount = read_only(mount);
        let place = missing("/var/cache/app/v1", "/var/cache/app/v1", [on(&mount, dir("/var/cache/app", 1000, 1000, 0o755))]);
        let world = World::pod().walked("/var/cache/app/v1", place);
        let finding = told(Call::Open, "/var/cache/app/v1", O_RDWR_CREAT, "EROFS", &world);
        assert_eq!((finding.layer, finding.proved), (layer, true), "{}", text(&finding));
        assert!(finding.remedy.text.contains(remedy), "{}", finding.remedy.text);
    }
}

#[test]
fn a_mount_that_is_writable_by_now_proves_nothing() {
    let place = missing("/data/f", "/data/f", [on(&mounted("/data", "ext4"), dir("/data", 1000, 1000, 0o755))]);
    let finding = told(Call::Open, "/data/f", O_RDWR_CREAT, "EROFS", &World::pod().walked("/data/f", place));
    assert!(!finding.proved && text(&finding).contains("input/output error"), "{}", text(&finding));
    assert!(!told(Call::Open, "/data/f", O_RDWR_CREAT, "EROFS", &World::pod()).proved);
}

// ── FileMissing ──────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_is_missing_and_how() {
    let app = || dir("/etc/app", 0, 0, 0o755);
    let alike = {
        let mut place = missing("/etc/app/tls.key", "/etc/app/tls.key", [app()]);
        place.stopped.as_mut().unwrap().alike = vec!["tsl.key".into()];
        place
    };
    let cases = [
        (missing("/etc/app/tls.key", "/etc/app/tls.key", [app()]), file_missing::MISSING_FILE, "/etc/app is there and has no tls.key"),
        (missing("/etc/app/tls.key", "/etc/app", []), file_missing::MISSING_DIRECTORY, "/etc/app does not exist"),
        (
            missing("/etc/app/tls.key", "/srv/k", [app(), link("/etc/app/tls.key", "/srv/k")]),
            file_missing::DANGLING_LINK,
            "symbolic link to /srv/k",
        ),
        (alike, file_missing::MISSPELT, "tsl.key"),
    ];
    for (place, layer, says) in cases {
        let finding = told(Call::Open, "/etc/app/tls.key", 0, "ENOENT", &World::pod().walked("/etc/app/tls.key", place));
        assert_eq!((finding.layer, finding.proved), (layer, true), "{}", text(&finding));
        assert!(text(&finding).contains(says), "{}", text(&finding));
    }
}

#[test]
fn a_key_of_a_secret_is_added_to_the_secret() {
    let tls = volume("/etc/tls", "secret", "tls");
    let place = missing("/etc/tls/tls.key", "/etc/tls/tls.key", [on(&tls, dir("/etc/tls", 0, 0, 0o755))]);
    let finding = told(Call::Open, "/etc/tls/tls.key", 0, "ENOENT", &World::pod().walked("/etc/tls/tls.key", place));
    assert!(finding.remedy.text.contains("Add the key tls.key to the source of volume \"tls\" (secret)"), "{}", finding.remedy.text);
}

#[test]
fn the_race_is_told_with_its_time() {
    let late = Component { born: Some(CLOCK.wall_nanos(FAILED_AT) + 200_000_000), ..file("/k", 0, 0, 0o644) };
    let by_date = told(Call::Open, "/k", 0, "ENOENT", &World::pod().walked("/k", walk([late.clone()])));
    assert_eq!((by_date.layer, by_date.proved), (file_missing::APPEARED_LATE, true));
    assert!(text(&by_date).contains("200 ms after"), "{}", text(&by_date));

    let renamed = Component { born: Some(CLOCK.wall_nanos(FAILED_AT) - 1), changed: Some(CLOCK.wall_nanos(FAILED_AT) + 7_000_000), ..late };
    assert!(text(&told(Call::Open, "/k", 0, "ENOENT", &World::pod().walked("/k", walk([renamed])))).contains("7 ms after"));

    let old = Component { born: Some(1), changed: Some(1), ..file("/k", 0, 0, 0o644) };
    let unclear = told(Call::Open, "/k", 0, "ENOENT", &World::pod().walked("/k", walk([old])));
    assert!(!unclear.proved, "an old file proves no race");

    let scope = World::pod().case().scope(words::testing::PROCESS);
    let await_path = Question::AwaitPath { scope, path: "/k".into(), for_millis: 3000 };
    let appeared = Answer::Appeared { at: Some(BootNanos(FAILED_AT.0 + 340_000_000)) };
    let world = World::pod().walked("/k", missing("/k", "/k", [])).answer(await_path.clone(), appeared);
    let awaited = told(Call::Open, "/k", 0, "ENOENT", &world);
    assert_eq!((awaited.layer, awaited.proved), (file_missing::APPEARED_LATE, true));
    assert!(text(&awaited).contains("340 ms after"));
    let never = World::pod().walked("/k", missing("/k", "/k", [])).answer(await_path, Answer::Appeared { at: None });
    assert!(text(&told(Call::Open, "/k", 0, "ENOENT", &never)).contains("did not appear within 3.0 s"));
}

#[test]
fn only_what_is_looked_for_in_one_place_is_waited_for() {
    let awaits = |failure: &Failure, world: &World| {
        questions(failure, &world.case()).iter().any(|question| matches!(question, Question::AwaitPath { .. }))
    };
    let key = failure_of(failed(Call::Open, path("/keys/tls.key"), 0, "ENOENT"));
    let asked = |world: World| world.walked("/keys/tls.key", missing("/keys/tls.key", "/keys/tls.key", [dir("/keys", 0, 0, 0o755)]));
    assert!(!awaits(&key, &World::pod()), "first the walk");
    assert!(awaits(&key, &asked(World::pod())));
    let elsewhere = failure_of(failed(Call::Open, path("/etc/tls.key"), 0, "ENOENT"));
    assert!(!awaits(&key, &asked(World::pod().failing(&elsewhere))), "a search path");
    let library = failure_of(failed(Call::Open, path("/lib/libx.so.1"), 0, "ENOENT"));
    assert!(!awaits(&library, &World::pod().walked("/lib/libx.so.1", missing("/lib/libx.so.1", "/lib/libx.so.1", []))));
}

// ── RuntimeFileMissing ───────────────────────────────────────────────────────────────────────────────────────────────

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

#[test]
fn a_ca_bundle_is_missing_only_if_none_is_there_and_the_program_complains() {
    let nowhere = |mut world: World| {
        for place in [BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"] {
            world = world.walked(place, missing(place, place, []));
        }
        world
    };
    let complaint = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    let finding = told(Call::Open, BUNDLE, 0, "ENOENT", &nowhere(World::local().said(complaint)));
    assert_eq!((finding.cause(), finding.layer, finding.proved), (Cause::RuntimeFileMissing, runtime_file_missing::CA_BUNDLE, true));
    let silent = told(Call::Open, BUNDLE, 0, "ENOENT", &nowhere(World::local()));
    assert_eq!(silent.cause(), Cause::FileMissing, "programs do without");
    let elsewhere = World::local().said(complaint).walked("/etc/ssl/cert.pem", walk([file("/etc/ssl/cert.pem", 0, 0, 0o644)]));
    assert_eq!(told(Call::Open, BUNDLE, 0, "ENOENT", &elsewhere).cause(), Cause::FileMissing, "another bundle is there");
}

#[test]
fn a_missing_tmp_is_not_a_missing_file_in_tmp() {
    let none = World::pod().walked("/tmp/upload", missing("/tmp/upload", "/tmp", []));
    let finding = told(Call::Open, "/tmp/upload", O_RDWR_CREAT, "ENOENT", &none);
    assert_eq!((finding.cause(), finding.subject.name.as_str(), finding.proved), (Cause::RuntimeFileMissing, "/tmp", true));
    let file_only = World::pod().walked("/tmp/upload", missing("/tmp/upload", "/tmp/upload", [dir("/tmp", 0, 0, 0o1777)]));
    assert_eq!(told(Call::Open, "/tmp/upload", 0, "ENOENT", &file_only).cause(), Cause::FileMissing);
}

// ── WrongFileType ────────────────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_directory_that_the_kubelet_made() {
    let mount = Mount { root: "/var/lib/kubelet/pods/0b3f/volume-subpaths/cfg/app/0".into(), ..mounted("/etc/app.yaml", "ext4") };
    let place = walk([dir("/etc", 0, 0, 0o755), on(&mount, dir("/etc/app.yaml", 0, 0, 0o755))]);
    let finding = told(Call::Open, "/etc/app.yaml", 2, "EISDIR", &World::pod().walked("/etc/app.yaml", place));
    assert_eq!((finding.layer, finding.proved), (wrong_file_type::DIRECTORY_FOR_FILE, true));
    assert!(text(&finding).contains("subPath") && text(&finding).contains("delete the pod"), "{}", text(&finding));
}

#[test]
fn a_read_of_a_directory_is_traced_by_its_descriptor() {
    let target = Target::File { fd: 3, device: (8, 1), inode: 9, name: "app.yaml".into() };
    let failure = failure_of(failed(Call::Read, target, 0, "EISDIR"));
    let case = World::pod();
    assert!(matches!(questions(&failure, &case.case()).as_slice(), [Question::FindMount { fd: 3, .. }]));
    let found =
        case.answer(questions(&failure, &World::pod().case()).remove(0), Answer::Mount { mount: None, path: Some("/etc/app.yaml".into()) });
    assert!(matches!(questions(&failure, &found.case()).as_slice(), [Question::WalkPath { path, .. }] if path == "/etc/app.yaml"));
    let walked = found.walked("/etc/app.yaml", walk([dir("/etc", 0, 0, 0o755), dir("/etc/app.yaml", 0, 0, 0o755)]));
    let finding = explain(&failure, &walked.case()).unwrap();
    assert_eq!((finding.subject.name.as_str(), finding.proved), ("/etc/app.yaml", true));
}

#[test]
fn other_wrong_types() {
    let file_as_directory = {
        let mut place = walk([file("/data", 0, 0, 0o644)]);
        place.resolved = Some("/data/db".into());
        place.stopped = Some(crate::question::Stop { path: "/data".into(), errno: Errno::ENOTDIR, alike: vec![] });
        place
    };
    let looped = {
        let mut place = walk([link("/data", "/data")]);
        place.stopped = Some(crate::question::Stop { path: "/data".into(), errno: Errno::ELOOP, alike: vec![] });
        place
    };
    let cases = [
        ("ENOTDIR", 0, file_as_directory, wrong_file_type::FILE_FOR_DIRECTORY, "/data is a file"),
        ("ELOOP", 0, looped, wrong_file_type::LINK_LOOP, "/data → /data"),
        ("ELOOP", words::O_NOFOLLOW, walk([link("/data", "/x")]), wrong_file_type::LINK_REFUSED, "O_NOFOLLOW"),
        ("ENXIO", 0o4001, walk([special("/data", FileKind::Fifo, 0, 0, 0o666)]), wrong_file_type::NO_PEER, "nobody has open for reading"),
    ];
    for (errno, flags, place, layer, says) in cases {
        let finding = told(Call::Open, "/data", flags, errno, &World::pod().walked("/data", place));
        assert_eq!((finding.layer, finding.proved), (layer, true), "{}", text(&finding));
        assert!(text(&finding).contains(says), "{}", text(&finding));
    }
    let replaced = told(Call::Open, "/data", 2, "EISDIR", &World::pod().walked("/data", walk([file("/data", 0, 0, 0o644)])));
    assert!(!replaced.proved, "it is a file by now");
}

// ── StorageFull, TooManyFiles ────────────────────────────────────────────────────────────────────────────────────────

#[test]
fn bytes_inodes_quota_or_no_longer_full() {
    let usage = |available, inodes_available| Usage {
        mount: Mount { root: "/".into(), ..mounted("/spool", "tmpfs") },
        bytes: 1 << 20,
        bytes_available: available,
        inodes: 100,
        inodes_available,
    };
    let cases = [
        ("ENOSPC", usage(0, 5), storage_full::BYTES, true),
        ("ENOSPC", usage(1 << 19, 0), storage_full::INODES, true),
        ("ENOSPC", usage(1 << 19, 5), storage_full::FULL, false),
        ("EDQUOT", usage(1 << 19, 5), storage_full::QUOTA, false),
    ];
    let target = Target::File { fd: 5, device: (0, 40), inode: 2, name: "q".into() };
    for (errno, usage, layer, proved) in cases {
        let failure = failure_of(failed(Call::Write, target.clone(), 0, errno));
        let mut world = World::pod();
        let find = questions(&failure, &world.case()).remove(0);
        world = world.answer(find, Answer::Mount { mount: Some(usage.mount.clone()), path: Some("/spool/q".into()) });
        let ask = questions(&failure, &world.case()).remove(0);
        assert!(matches!(&ask, Question::Usage { path, .. } if path == "/spool/q"));
        world = world.answer(ask, Answer::Usage(usage));
        let finding = explain(&failure, &world.case()).unwrap();
        assert_eq!((finding.layer, finding.proved, finding.subject.name.as_str()), (layer, proved, "/spool/q"), "{}", text(&finding));
        assert!(!finding.remedy.text.is_empty());
    }
}

#[test]
fn limits_of_open_files() {
    let failure = failure_of(failed(Call::Open, path("/etc/passwd"), 0, "EMFILE"));
    let ask = questions(&failure, &World::pod().case()).remove(0);
    let limits = Limits { open_files_soft: Some(20), open_files_hard: Some(1024), open_files: Some(20), system_files: None };
    let finding = explain(&failure, &World::pod().answer(ask, Answer::Limits(limits)).case()).unwrap();
    assert_eq!((finding.layer, finding.subject.name.as_str(), finding.proved), (too_many_files::PROCESS_LIMIT, "RLIMIT_NOFILE", true));
    assert!(
        text(&finding).contains("20 files open (soft limit, hard 1024)") && finding.remedy.text.contains("ulimit -n 1024"),
        "{}",
        text(&finding)
    );
    let system = failure_of(failed(Call::Open, path("/etc/passwd"), 0, "ENFILE"));
    assert_eq!(explain(&system, &World::pod().case()).unwrap().layer, too_many_files::SYSTEM_LIMIT);
}

// ── what belongs to nobody here ──────────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_errno_that_cannot_be_explained_asks_and_says_nothing() {
    for errno in ["EINVAL", "EIO", "ECONNREFUSED", "ETXTBSY"] {
        let failure = failure_of(failed(Call::Open, path("/d/f"), 0, errno));
        let world = World::pod().running(&["/app"], Some(ExitStatus::Code(1)));
        assert!(questions(&failure, &world.case()).is_empty(), "{errno}");
        assert!(explain(&failure, &world.case()).is_none(), "{errno}");
    }
}
