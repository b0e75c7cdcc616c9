//! Each rule with what triggers it and with what only looks like it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use super::*;
use crate::{
    question::{AclEntry, FileKind, IdRange, Mount},
    words::testing::{creds, dir, file, link, missing, special, walk},
};

const O_RDONLY: u64 = 0;
const O_RDWR_CREAT: u64 = 0o102;
const USER_NS: u32 = 4_026_532_000;

fn attempt<'a>(call: Call, arg: u64, errno: Errno, creds: &'a Creds, walk: &'a Walk) -> Attempt<'a> {
    Attempt { call, arg, errno, creds, given: "/", role: Role::Only, walk }
}

fn denial(call: Call, arg: u64, errno: Errno, creds: &Creds, walk: &Walk) -> Option<Denial> {
    match judge(&attempt(call, arg, errno, creds, walk)) {
        Judgement::Denied(denial) => Some(*denial),
        Judgement::Permitted => None,
        Judgement::Unseen(why) => panic!("unseen: {why}"),
    }
}

/// Layer of an open for reading of `/d/f`.
fn reading(creds: &Creds, directory: Component, inode: Component) -> Option<Layer> {
    denial(Call::Open, O_RDONLY, Errno::EACCES, creds, &walk([directory, inode])).map(|denial| denial.layer)
}

fn with_caps(creds: Creds, capabilities: &[Capability]) -> Creds {
    Creds { cap_effective: capabilities.iter().fold(0, |set, c| set | 1 << c.0), ..creds }
}

fn with_groups(creds: &Creds, groups: &[u32]) -> Creds {
    Creds { groups: groups.to_vec(), ..creds.clone() }
}

fn open_dir() -> Component {
    dir("/d", 0, 0, 0o755)
}

#[test]
fn the_first_class_that_fits_decides_alone() {
    let user = creds(1000, 1000);
    let cases = [
        ("owner may", file("/d/f", 1000, 0, 0o400), None),
        ("owner may not, although group and others may", file("/d/f", 1000, 1000, 0o044), Some(Layer::ModeBits(Class::Owner))),
        ("group may", file("/d/f", 0, 1000, 0o040), None),
        ("group may not, although others may", file("/d/f", 0, 1000, 0o604), Some(Layer::ModeBits(Class::Group))),
        ("others may", file("/d/f", 0, 0, 0o604), None),
        ("others may not", file("/d/f", 0, 0, 0o600), Some(Layer::ModeBits(Class::Other))),
        ("another group may", file("/d/f", 0, 2000, 0o640), Some(Layer::SupplementaryGroup { gid: 2000 })),
        ("another group may write only", file("/d/f", 0, 2000, 0o620), Some(Layer::ModeBits(Class::Other))),
    ];
    for (name, inode, expected) in cases {
        assert_eq!(reading(&user, open_dir(), inode), expected, "{name}");
    }
}

#[test]
fn a_supplementary_group_counts_as_the_group() {
    let member = with_groups(&creds(1000, 1000), &[2000]);
    assert_eq!(reading(&member, open_dir(), file("/d/f", 0, 2000, 0o640)), None);
    assert_eq!(reading(&member, open_dir(), file("/d/f", 0, 2000, 0o604)), Some(Layer::ModeBits(Class::Group)));
}

#[test]
fn groups_that_were_not_captured_make_a_denial_unsure() {
    let mut many = with_groups(&creds(1000, 1000), &[2000]);
    many.groups_cut = true;
    let unsure = denial(Call::Open, O_RDONLY, Errno::EACCES, &many, &walk([open_dir(), file("/d/f", 0, 3000, 0o640)]));
    assert_eq!(unsure.unwrap().doubt, Some(Doubt::Groups));
    let sure = denial(Call::Open, O_RDONLY, Errno::EACCES, &many, &walk([open_dir(), file("/d/f", 1000, 3000, 0o040)]));
    assert_eq!(sure.unwrap().doubt, None, "the owner class asks no group");
}

#[test]
fn the_directory_that_may_not_be_searched_is_named() {
    let user = creds(1000, 1000);
    let place = walk([dir("/d", 0, 0, 0o700), file("/d/f", 0, 0, 0o644)]);
    let refused = denial(Call::Open, O_RDONLY, Errno::EACCES, &user, &place).unwrap();
    assert_eq!((refused.at.path.as_str(), refused.purpose, refused.missing), ("/d", Purpose::Pass, EXEC));
    let listable = walk([dir("/d", 0, 0, 0o744), file("/d/f", 0, 0, 0o644)]);
    assert!(denial(Call::Stat, 0, Errno::EACCES, &user, &listable).is_some(), "r does not let pass");
    let passable = walk([dir("/d", 0, 0, 0o711), file("/d/f", 0, 0, 0o644)]);
    assert!(denial(Call::Stat, 0, Errno::EACCES, &user, &passable).is_none(), "x is enough");
}

#[test]
fn a_relative_path_needs_nothing_above_where_it_starts() {
    let user = creds(1000, 1000);
    let place = walk([dir("/home", 0, 0, 0o700), dir("/home/u", 1000, 1000, 0o700), file("/home/u/f", 0, 0, 0o600)]);
    let mut relative = Attempt { given: "f", ..attempt(Call::Open, O_RDONLY, Errno::EACCES, &user, &place) };
    let Judgement::Denied(denial) = judge(&relative) else { panic!("the file denies") };
    assert_eq!(denial.at.path, "/home/u/f");
    relative.given = "/home/u/f";
    let Judgement::Denied(denial) = judge(&relative) else { panic!("the directory denies") };
    assert_eq!(denial.at.path, "/home");
}

#[test]
fn creating_needs_w_on_the_directory_and_only_when_the_file_is_not_there() {
    let user = creds(1000, 1000);
    let absent = missing("/d/f", "/d/f", [open_dir()]);
    let refused = denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, &user, &absent).unwrap();
    assert_eq!((refused.at.path.as_str(), refused.purpose, refused.missing), ("/d", Purpose::Create, WRITE));
    let present = walk([open_dir(), file("/d/f", 1000, 1000, 0o600)]);
    assert_eq!(denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, &user, &present), None);
    let own = missing("/d/f", "/d/f", [dir("/d", 1000, 1000, 0o700)]);
    assert_eq!(denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, &user, &own), None);
    let deeper = missing("/d/a/f", "/d/a", [open_dir()]);
    assert_eq!(denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, &user, &deeper), None, "a missing directory is ENOENT");
    for call in [Call::Mkdir, Call::Symlink, Call::Mknod, Call::Bind] {
        assert!(denial(call, 0, Errno::EACCES, &user, &absent).is_some(), "{call:?}");
    }
    assert_eq!(denial(Call::Open, O_RDONLY, Errno::EACCES, &user, &absent), None, "reading what is not there is ENOENT");
}

#[test]
fn open_flags_decide_what_is_needed() {
    let user = creds(1000, 1000);
    let read_only = || walk([open_dir(), file("/d/f", 0, 0, 0o644)]);
    let cases: [(u64, Option<Want>); 7] = [
        (0, None),
        (1, Some(WRITE)),
        (2, Some(WRITE)),
        (3, Some(WRITE)),
        (open_flags::TRUNC, Some(WRITE)),
        (open_flags::PATH | 2, None),
        (open_flags::APPEND | 1, Some(WRITE)),
    ];
    for (flags, expected) in cases {
        let found = denial(Call::Open, flags, Errno::EACCES, &user, &read_only()).map(|denial| denial.missing);
        assert_eq!(found, expected, "flags {flags:o}");
    }
    let place = walk([open_dir()]);
    let temporary = denial(Call::Open, open_flags::TMPFILE | 0o200_002, Errno::EACCES, &user, &place);
    assert_eq!(temporary.unwrap().missing, WRITE);
    assert_eq!(denial(Call::Open, open_flags::NOATIME, Errno::EPERM, &user, &read_only()).unwrap().layer, Layer::Ownership);
}

#[test]
fn root_is_stopped_only_without_its_capabilities() {
    let private = || file("/d/f", 1000, 1000, 0o600);
    let root = creds(0, 0);
    assert_eq!(reading(&root, open_dir(), private()), Some(Layer::Capability(Capability::DAC_OVERRIDE)));
    assert_eq!(reading(&with_caps(root.clone(), &[Capability::DAC_OVERRIDE]), open_dir(), private()), None);
    assert_eq!(reading(&with_caps(root.clone(), &[Capability::DAC_READ_SEARCH]), open_dir(), private()), None);
    let reader = with_caps(root, &[Capability::DAC_READ_SEARCH]);
    let writing = denial(Call::Open, 1, Errno::EACCES, &reader, &walk([open_dir(), private()]));
    assert_eq!(writing.unwrap().layer, Layer::Capability(Capability::DAC_OVERRIDE), "READ_SEARCH does not write");
    let other = with_caps(creds(1000, 1000), &[Capability::DAC_OVERRIDE]);
    assert_eq!(reading(&other, open_dir(), file("/d/f", 0, 0, 0o600)), None, "the capability is not root's alone");
}

#[test]
fn no_capability_executes_a_file_without_any_x_bit() {
    let root = with_caps(creds(0, 0), &[Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH]);
    let exec = |mode| denial(Call::Exec, 0, Errno::EACCES, &root, &walk([open_dir(), file("/d/f", 1000, 1000, mode)]));
    assert_eq!(exec(0o644).unwrap().layer, Layer::ModeBits(Class::Other));
    assert_eq!(exec(0o744), None, "one x bit is enough");
    let directory = denial(Call::Chdir, 0, Errno::EACCES, &root, &walk([dir("/d", 1000, 1000, 0o600)]));
    assert_eq!(directory, None, "a directory needs no x bit for root");
}

#[test]
fn access_goes_by_the_real_user() {
    // A set-uid program: real user 1000, effective root.
    let set_uid = with_caps(Creds { euid: 0, fsuid: 0, ..creds(1000, 1000) }, &[Capability::DAC_OVERRIDE]);
    let place = walk([open_dir(), file("/d/f", 0, 0, 0o600)]);
    assert!(denial(Call::Access, 4, Errno::EACCES, &set_uid, &place).is_some());
    assert!(denial(Call::Open, 0, Errno::EACCES, &set_uid, &place).is_none());
    assert!(denial(Call::Access, 0, Errno::EACCES, &set_uid, &place).is_none(), "F_OK asks for nothing");
    let root = with_caps(creds(0, 0), &[Capability::DAC_OVERRIDE]);
    assert!(denial(Call::Access, 6, Errno::EACCES, &root, &walk([open_dir(), file("/d/f", 1000, 0, 0o400)])).is_none());
}

fn acl(entries: &[(AclTag, Want)]) -> Vec<AclEntry> {
    entries.iter().map(|(tag, perm)| AclEntry { tag: *tag, perm: *perm }).collect()
}

/// A file of 0:2000 whose group bits are the mask, as the kernel shows them.
fn with_acl(entries: &[(AclTag, Want)], mask: Want) -> Component {
    let base = [(AclTag::UserObj, 6), (AclTag::Other, 0), (AclTag::Mask, mask)];
    Component { acl: acl(&[&base[..], entries].concat()), ..file("/d/f", 0, 2000, 0o600 | u32::from(mask) << 3) }
}

#[test]
fn acl_entries_are_tried_in_the_order_of_acl5() {
    use AclTag::{Group, GroupObj, Other, User};
    let layer = |tag, perm, masked_by| Some(Layer::Acl { tag, perm, masked_by });
    let cases: [(&str, &[u32], Component, Option<Layer>); 9] = [
        ("a named user may", &[], with_acl(&[(GroupObj, 0), (User(1000), 4)], 4), None),
        ("a named user may not", &[], with_acl(&[(GroupObj, 4), (User(1000), 2)], 6), layer(User(1000), 2, None)),
        ("its own entry beats its group's", &[2000], with_acl(&[(GroupObj, 7), (User(1000), 2)], 7), layer(User(1000), 2, None)),
        ("the mask takes it away", &[], with_acl(&[(GroupObj, 0), (User(1000), 6)], 2), layer(User(1000), 6, Some(2))),
        ("a named group may", &[3000], with_acl(&[(GroupObj, 0), (Group(3000), 4)], 4), None),
        ("any of its groups may", &[2000, 3000], with_acl(&[(GroupObj, 2), (Group(3000), 4)], 6), None),
        ("the mask bounds the group too", &[3000], with_acl(&[(GroupObj, 2), (Group(3000), 4)], 2), layer(Group(3000), 4, Some(2))),
        ("the owning group would be allowed", &[], with_acl(&[(GroupObj, 4)], 4), Some(Layer::SupplementaryGroup { gid: 2000 })),
        ("nobody fits", &[], with_acl(&[(GroupObj, 2), (Group(3000), 2)], 6), layer(Other, 0, None)),
    ];
    for (name, groups, inode, expected) in cases {
        assert_eq!(reading(&with_groups(&creds(1000, 1000), groups), open_dir(), inode), expected, "{name}");
    }
}

#[test]
fn an_acl_is_not_asked_for_the_owner_nor_with_an_empty_mask() {
    let entries = [(AclTag::GroupObj, 0), (AclTag::User(0), 0)];
    assert_eq!(reading(&creds(0, 0), open_dir(), with_acl(&entries, 0)), None, "the owner's bits decide");
    let mut open = with_acl(&[(AclTag::GroupObj, 0), (AclTag::User(1000), 0)], 0);
    open.mode |= 0o004;
    assert_eq!(reading(&creds(1000, 1000), open_dir(), open), None, "fs/namei.c skips the ACL then");
    let emptied = with_acl(&[(AclTag::GroupObj, 0), (AclTag::User(1000), 4)], 0);
    let layer = Layer::Acl { tag: AclTag::User(1000), perm: 4, masked_by: Some(0) };
    assert_eq!(reading(&creds(1000, 1000), open_dir(), emptied), Some(layer), "the mask is the reason");
}

fn namespaced() -> Creds {
    with_caps(Creds { user_ns: USER_NS, ..creds(100_000, 100_000) }, &[Capability::DAC_OVERRIDE, Capability::FOWNER, Capability::CHOWN])
}

fn in_namespace(mut place: Walk) -> Walk {
    place.uid_map = vec![IdRange { inside: 0, outside: 100_000, count: 65_536 }];
    place.gid_map = place.uid_map.clone();
    place
}

#[test]
fn root_of_a_namespace_has_no_power_over_unmapped_owners() {
    let root = namespaced();
    let open = |inode| denial(Call::Open, 1, Errno::EACCES, &root, &in_namespace(walk([open_dir(), inode]))).map(|d| d.layer);
    let unmapped = Layer::UserNamespace { capability: Capability::DAC_OVERRIDE, uid_inside: None, gid_inside: None };
    assert_eq!(open(file("/d/f", 0, 0, 0o600)), Some(unmapped));
    let half = Layer::UserNamespace { capability: Capability::DAC_OVERRIDE, uid_inside: Some(999), gid_inside: None };
    assert_eq!(open(file("/d/f", 100_999, 0, 0o600)), Some(half), "the group must be mapped too");
    assert_eq!(open(file("/d/f", 100_999, 100_999, 0o600)), None);
    assert_eq!(open(file("/d/f", 0, 0, 0o666)), None, "the mode bits are asked first");
    let chmod = denial(Call::Chmod, 0o600, Errno::EPERM, &root, &in_namespace(walk([open_dir(), file("/d/f", 0, 0, 0o666)])));
    assert!(matches!(chmod.unwrap().layer, Layer::UserNamespace { capability: Capability::FOWNER, .. }));
}

#[test]
fn a_map_that_is_not_known_leaves_a_doubt() {
    let root = namespaced();
    let refused = denial(Call::Open, 1, Errno::EACCES, &root, &walk([open_dir(), file("/d/f", 0, 0, 0o600)])).unwrap();
    assert!(matches!(refused.layer, Layer::UserNamespace { .. }));
    assert_eq!(refused.doubt, Some(Doubt::IdMap));
    let known = denial(Call::Open, 1, Errno::EACCES, &root, &in_namespace(walk([open_dir(), file("/d/f", 0, 0, 0o600)])));
    assert_eq!(known.unwrap().doubt, None);
    let own = walk([open_dir(), file("/d/f", 100_000, 0, 0o600)]);
    assert_eq!(denial(Call::Open, 1, Errno::EACCES, &root, &own), None, "the owner needs no capability");
}

#[test]
fn the_sticky_directory_protects_others_files() {
    let user = creds(1000, 1000);
    let sticky = |uid, mode| dir("/tmp", uid, 0, mode);
    let unlink = |user: &Creds, directory, inode| denial(Call::Unlink, 0, Errno::EPERM, user, &walk([directory, inode])).map(|d| d.layer);
    let theirs = || file("/tmp/f", 0, 0, 0o666);
    assert!(matches!(unlink(&user, sticky(0, 0o1777), theirs()), Some(Layer::Sticky { .. })));
    assert_eq!(unlink(&user, sticky(0, 0o777), theirs()), None, "not sticky");
    assert_eq!(unlink(&user, sticky(1000, 0o1777), theirs()), None, "its own directory");
    assert_eq!(unlink(&user, sticky(0, 0o1777), file("/tmp/f", 1000, 0, 0o600)), None, "its own file");
    let root = with_caps(creds(0, 0), &[Capability::DAC_OVERRIDE]);
    let fowner = Some(Layer::Capability(Capability::FOWNER));
    assert_eq!(unlink(&root, sticky(2000, 0o1777), file("/tmp/f", 1000, 0, 0o600)), fowner);
    assert_eq!(unlink(&with_caps(root, &[Capability::FOWNER, Capability::DAC_OVERRIDE]), sticky(2000, 0o1777), theirs()), None);
    let place = walk([sticky(0, 0o1777), theirs()]);
    let rename = Attempt { role: Role::To, ..attempt(Call::Rename, 0, Errno::EPERM, &user, &place) };
    assert!(matches!(judge(&rename), Judgement::Denied(_)), "a rename replaces what is there");
}

#[test]
fn protected_files_links_and_hard_links() {
    let root = with_caps(creds(0, 0), &[Capability::DAC_OVERRIDE, Capability::FOWNER]);
    let tmp = || dir("/tmp", 0, 0, 0o1777);
    let theirs = || file("/tmp/f", 1000, 1000, 0o644);
    let create = |creds: &Creds, directory, inode| {
        denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, creds, &walk([directory, inode])).map(|d| d.layer)
    };
    assert_eq!(create(&root, tmp(), theirs()), Some(Layer::Sysctl("fs.protected_regular")), "no capability helps");
    assert_eq!(create(&root, dir("/tmp", 0, 0, 0o777), theirs()), None, "not sticky");
    assert_eq!(create(&root, tmp(), file("/tmp/f", 0, 0, 0o644)), None, "its own");
    let fifo = special("/tmp/f", FileKind::Fifo, 1000, 1000, 0o666);
    assert_eq!(create(&root, tmp(), fifo), Some(Layer::Sysctl("fs.protected_fifos")));
    assert_eq!(denial(Call::Open, 2, Errno::EACCES, &root, &walk([tmp(), theirs()])), None, "only with O_CREAT");

    let theirs = Component { uid: 2000, ..link("/tmp/l", "/etc/passwd") };
    let mut through = walk([tmp(), theirs, dir("/etc", 0, 0, 0o755), file("/etc/passwd", 0, 0, 0o644)]);
    through.resolved = Some("/tmp/l".into());
    let user = creds(1000, 1000);
    let refused = denial(Call::Open, 0, Errno::EACCES, &user, &through).unwrap();
    assert_eq!((refused.layer, refused.purpose), (Layer::Sysctl("fs.protected_symlinks"), Purpose::Follow));
    through.components[2].uid = 1000;
    assert_eq!(denial(Call::Open, 0, Errno::EACCES, &user, &through), None, "its own link");

    let source = |inode: Component| {
        let place = walk([open_dir(), inode]);
        matches!(judge(&Attempt { role: Role::From, ..attempt(Call::Link, 0, Errno::EPERM, &user, &place) }), Judgement::Denied(_))
    };
    assert!(source(file("/d/f", 0, 0, 0o644)), "not writable");
    assert!(!source(file("/d/f", 0, 0, 0o666)), "readable and writable");
    assert!(source(file("/d/f", 0, 0, 0o4666)), "set-uid");
    assert!(!source(file("/d/f", 1000, 0, 0o4400)), "its own");
}

#[test]
fn inode_flags_stop_even_root() {
    let root = with_caps(creds(0, 0), &[Capability::DAC_OVERRIDE, Capability::FOWNER, Capability::CHOWN]);
    let immutable = || Component { immutable: true, ..file("/d/f", 0, 0, 0o644) };
    let append = || Component { append_only: true, ..file("/d/f", 0, 0, 0o644) };
    let try_on = |call, arg, inode| denial(call, arg, Errno::EPERM, &root, &walk([open_dir(), inode])).map(|d| d.layer);
    assert_eq!(try_on(Call::Open, 1, immutable()), Some(Layer::Immutable));
    assert_eq!(try_on(Call::Open, 0, immutable()), None, "reading is allowed");
    assert_eq!(try_on(Call::Unlink, 0, immutable()), Some(Layer::Immutable));
    assert_eq!(try_on(Call::Chmod, 0o600, append()), Some(Layer::AppendOnly));
    assert_eq!(try_on(Call::Open, 1, append()), Some(Layer::AppendOnly));
    assert_eq!(try_on(Call::Open, 1 | open_flags::APPEND, append()), None, "appending is allowed");
    assert_eq!(try_on(Call::Truncate, 0, append()), Some(Layer::AppendOnly));
    let fixed = Component { immutable: true, ..open_dir() };
    let create = denial(Call::Mkdir, 0, Errno::EPERM, &root, &missing("/d/f", "/d/f", [fixed]));
    assert_eq!(create.unwrap().layer, Layer::Immutable, "nothing can be made in it");
}

#[test]
fn ownership_is_asked_for_modes_and_owners() {
    let user = creds(1000, 1000);
    let change = |creds: &Creds, call, arg, inode| denial(call, arg, Errno::EPERM, creds, &walk([open_dir(), inode])).map(|d| d.layer);
    let chown = |uid: u32, gid: u32| u64::from(uid) << 32 | u64::from(gid);
    let (theirs, own) = (|| file("/d/f", 0, 0, 0o666), || file("/d/f", 1000, 1000, 0o600));
    let needs = Some(Layer::Capability(Capability::CHOWN));
    assert_eq!(change(&user, Call::Chmod, 0o600, theirs()), Some(Layer::Ownership));
    assert_eq!(change(&user, Call::Chmod, 0o600, own()), None);
    assert_eq!(change(&creds(0, 0), Call::Chmod, 0o600, own()), Some(Layer::Capability(Capability::FOWNER)));
    assert_eq!(change(&user, Call::Chown, chown(1001, u32::MAX), own()), needs, "nobody gives files away");
    assert_eq!(change(&user, Call::Chown, chown(1000, 1000), own()), None, "nothing changes");
    assert_eq!(change(&user, Call::Chown, chown(u32::MAX, 2000), own()), needs);
    assert_eq!(change(&with_groups(&user, &[2000]), Call::Chown, chown(u32::MAX, 2000), own()), None, "a group of its own");
    assert_eq!(change(&user, Call::Chown, chown(u32::MAX, 1000), theirs()), Some(Layer::Ownership));
    assert_eq!(change(&creds(0, 0), Call::Chown, chown(999, 999), theirs()), needs);
    assert_eq!(change(&with_caps(creds(0, 0), &[Capability::CHOWN]), Call::Chown, chown(999, 999), own()), None);
}

#[test]
fn mounts_refuse_devices_and_programs() {
    let user = creds(1000, 1000);
    let nodev = Mount { options: "rw,nosuid,nodev".into(), ..Mount::default() };
    let device = Component { mount: nodev.clone(), ..special("/d/null", FileKind::CharDevice, 0, 0, 0o666) };
    let open = |inode| denial(Call::Open, 2, Errno::EACCES, &user, &walk([open_dir(), inode])).map(|d| d.layer);
    assert_eq!(open(device), Some(Layer::MountFlag("nodev")));
    assert_eq!(open(Component { mount: nodev, ..file("/d/null", 0, 0, 0o666) }), None, "a file is no device");
    let noexec = Component { mount: Mount { noexec: true, ..Mount::default() }, ..file("/d/run", 0, 0, 0o755) };
    let exec = denial(Call::Exec, 0, Errno::EACCES, &user, &walk([open_dir(), noexec.clone()])).map(|d| d.layer);
    assert_eq!(exec, Some(Layer::MountFlag("noexec")));
    assert_eq!(open(Component { mode: 0o777, ..noexec }), None, "it may be written");
}

#[test]
fn devices_are_made_by_the_first_namespaces_mknod_only() {
    const S_IFCHR: u64 = 0o020_000;
    let place = || missing("/d/n", "/d/n", [dir("/d", 100_000, 100_000, 0o777)]);
    let mknod = |creds: &Creds, mode, place| denial(Call::Mknod, mode, Errno::EPERM, creds, &place).map(|d| d.layer);
    let root = creds(0, 0);
    assert_eq!(mknod(&root, S_IFCHR, place()), Some(Layer::Capability(Capability::MKNOD)));
    assert_eq!(mknod(&root, 0o010_000, place()), None, "a FIFO is for everybody");
    assert_eq!(mknod(&with_caps(root, &[Capability::MKNOD]), S_IFCHR, place()), None);
    let inner = with_caps(namespaced(), &[Capability::MKNOD]);
    assert!(matches!(mknod(&inner, S_IFCHR, in_namespace(place())), Some(Layer::UserNamespace { .. })));
}

#[test]
fn sockets_are_written_to_and_directories_read() {
    let user = creds(1000, 1000);
    let socket = |mode| walk([open_dir(), special("/d/s", FileKind::Socket, 0, 0, mode)]);
    assert_eq!(denial(Call::Connect, 0, Errno::EACCES, &user, &socket(0o755)).unwrap().missing, WRITE);
    assert_eq!(denial(Call::Connect, 0, Errno::EACCES, &user, &socket(0o666)), None);
    let listing = denial(Call::Readdir, 0, Errno::EACCES, &user, &walk([dir("/d", 0, 0, 0o711)]));
    assert_eq!(listing.unwrap().missing, READ);
}

#[test]
fn a_rule_with_another_errno_explains_nothing() {
    let user = creds(1000, 1000);
    let place = walk([open_dir(), file("/d/f", 0, 0, 0o600)]);
    assert_eq!(denial(Call::Open, 0, Errno::EPERM, &user, &place), None, "mode bits never say EPERM");
    assert_eq!(denial(Call::Chmod, 0, Errno::EACCES, &user, &place), None, "ownership never says EACCES");
}

#[test]
fn a_link_as_last_component_leads_to_what_is_missing_behind_it() {
    let user = creds(1000, 1000);
    let dangling = missing("/d/l", "/srv/f", [open_dir(), link("/d/l", "/srv/f"), dir("/srv", 0, 0, 0o755)]);
    let refused = denial(Call::Open, O_RDWR_CREAT, Errno::EACCES, &user, &dangling).unwrap();
    assert_eq!(refused.at.path, "/srv", "O_CREAT makes the file where the link points");
    let above = missing("/l/f", "/srv/sub/f", [link("/l", "srv/sub"), dir("/srv", 0, 0, 0o755), dir("/srv/sub", 0, 0, 0o755)]);
    assert_eq!(denial(Call::Mkdir, 0, Errno::EACCES, &user, &above).unwrap().at.path, "/srv/sub");
}

#[test]
fn what_cannot_be_seen_is_said() {
    let user = creds(1000, 1000);
    let unknown = Walk { resolved: None, ..Walk::default() };
    assert!(matches!(judge(&attempt(Call::Open, 0, Errno::EACCES, &user, &unknown)), Judgement::Unseen(_)));
    let mut blind = missing("/d/f", "/d", []);
    blind.stopped.as_mut().unwrap().errno = Errno::EACCES;
    assert!(matches!(judge(&attempt(Call::Open, 0, Errno::EACCES, &user, &blind)), Judgement::Unseen(_)));
}
