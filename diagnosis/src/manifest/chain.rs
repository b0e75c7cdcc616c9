//! The fields of the manifest that bear on the rights of a process, beside what the process really has.
//!
//! A container's field wins over the pod's (`pkg/securitycontext/util.go`). A pod that says nothing leaves the user to the
//! image; a program may change its user by itself. All ids here are the pod's own, as the manifest writes them: those of a
//! user namespace are translated.

use crate::{
    case::{Case, Manifest},
    permission::rights::{inside, is_namespaced},
    pod::{Container, FsGroupReach, Pod},
    question::{IdRange, Walk},
    record::Call,
    story::failure::Failure,
    words,
};

/// Who the process was when it was refused, in the pod's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// There are more groups than were captured.
    pub(crate) groups_cut: bool,
}

impl Who {
    /// The ids that the kernel goes by for this call.
    pub(super) fn of(failure: &Failure, walk: Option<&Walk>) -> Self {
        let creds = &failure.call.creds;
        let (uid_map, gid_map) = walk.map(|walk| (walk.uid_map.as_slice(), walk.gid_map.as_slice())).unwrap_or_default();
        let own = is_namespaced(creds, uid_map);
        let (uid, gid) = if failure.call.call == Call::Access { (creds.uid, creds.gid) } else { (creds.fsuid, creds.fsgid) };
        let groups = creds.groups.iter().map(|gid| seen(own, gid_map, *gid)).collect();
        Self { uid: seen(own, uid_map, uid), gid: seen(own, gid_map, gid), groups, groups_cut: creds.groups_cut }
    }

    /// It is in this group.
    pub(super) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// An id as the pod sees it.
fn seen(own: bool, map: &[IdRange], id: u32) -> u32 {
    if own { inside(map, id).unwrap_or(id) } else { id }
}

/// An id of the pod as the agent and the kernel's records see it.
pub(super) fn outside(map: &[IdRange], id: u32) -> u32 {
    let found = map.iter().find_map(|range| {
        let offset = id.checked_sub(range.inside)?;
        (offset < range.count).then(|| range.outside.saturating_add(offset))
    });
    found.unwrap_or(id)
}

/// `runAsUser` that counts for a container.
pub(super) fn run_as_user(pod: &Pod, container: &Container) -> Option<u32> {
    container.security.run_as_user.or(pod.security.run_as_user)
}

/// What is set where, to be put into one sentence.
#[derive(Debug, Default)]
struct Settings {
    container: Vec<String>,
    pod: Vec<String>,
    absent: Vec<&'static str>,
}

impl Settings {
    /// A field that both have: the container's wins.
    fn either(&mut self, name: &'static str, of_container: Option<String>, of_pod: Option<String>) {
        match (of_container, of_pod) {
            (Some(value), _) => self.container.push(format!("{name} {value}")),
            (None, Some(value)) => self.pod.push(format!("{name} {value}")),
            (None, None) => self.absent.push(name),
        }
    }

    /// A field that is worth a word only when it is set.
    fn if_set(&mut self, name: &'static str, of_container: Option<String>, of_pod: Option<String>) {
        if of_container.is_some() || of_pod.is_some() {
            self.either(name, of_container, of_pod);
        }
    }

    /// `the pod sets runAsUser 1000 and no fsGroup`.
    fn sentence(self) -> String {
        let container = (!self.container.is_empty()).then(|| format!("the container sets {}", words::list(&self.container, 9)));
        let pod = match (self.pod.as_slice(), self.absent.as_slice()) {
            ([], []) => None,
            ([], [one]) if container.is_some() => Some(format!("the pod sets no {one}")),
            ([], absent) => Some(format!("{} {} not set", words::list(absent, 9), if absent.len() == 1 { "is" } else { "are" })),
            (set, absent) => {
                let absent = absent.iter().map(|name| format!("no {name}"));
                Some(format!("the pod sets {}", words::list(set.iter().cloned().chain(absent), 9)))
            }
        };
        container.into_iter().chain(pod).collect::<Vec<_>>().join("; ")
    }
}

/// The fields that decide about users and groups of files.
pub(super) fn identity(spec: &Manifest<'_>, reach: FsGroupReach) -> String {
    let (pod, container) = (&spec.pod.security, &spec.container.security);
    let number = |id: Option<u32>| id.map(|id| id.to_string());
    let mut settings = Settings::default();
    settings.either("runAsUser", number(container.run_as_user), number(pod.run_as_user));
    settings.if_set("runAsGroup", number(container.run_as_group), number(pod.run_as_group));
    let groups = pod.supplemental_groups.iter().map(ToString::to_string).collect::<Vec<_>>();
    settings.if_set("supplementalGroups", None, (!groups.is_empty()).then(|| groups.join(", ")));
    let strict = pod.supplemental_groups_policy == "Strict";
    settings.if_set(
        "supplementalGroupsPolicy",
        None,
        strict.then(|| "Strict (the groups of the image's /etc/group do not count)".to_owned()),
    );
    match pod.fs_group {
        None if reach != FsGroupReach::Nothing => settings.either("fsGroup", None, None),
        group => settings.if_set("fsGroup", None, number(group)),
    }
    let policy = &pod.fs_group_change_policy;
    let bears = pod.fs_group.is_some() && reach == FsGroupReach::Everything && !policy.is_empty();
    settings.if_set("fsGroupChangePolicy", None, bears.then(|| policy.clone()));
    settings.sentence()
}

/// The fields that decide about capabilities.
pub(super) fn capabilities(spec: &Manifest<'_>) -> String {
    let security = &spec.container.security;
    let names = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let mut settings = Settings::default();
    settings.if_set("runAsUser", security.run_as_user.map(|id| id.to_string()), spec.pod.security.run_as_user.map(|id| id.to_string()));
    settings.if_set("capabilities.drop", names(&security.drop), None);
    settings.if_set("capabilities.add", names(&security.add), None);
    if security.drop.is_empty() && security.add.is_empty() {
        settings.absent.push("capabilities");
    }
    settings.if_set("hostUsers", None, spec.pod.host_users.filter(|host| !host).map(|_| "false".to_owned()));
    settings.sentence()
}

/// The fields that confine a process beyond users and capabilities.
pub(super) fn confinement(spec: &Manifest<'_>) -> String {
    let (pod, container) = (&spec.pod.security, &spec.container.security);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let mut settings = Settings::default();
    settings.either("seccompProfile", text(&container.seccomp), text(&pod.seccomp));
    settings.either("appArmorProfile", text(&container.app_armor), text(&pod.app_armor));
    settings.if_set("seLinuxOptions", None, text(&pod.se_linux));
    settings.if_set("allowPrivilegeEscalation", container.allow_privilege_escalation.filter(|may| !may).map(|_| "false".to_owned()), None);
    settings.sentence()
}

/// Why the process has another user than the manifest makes one think, or where its user comes from when it says nothing.
pub(super) fn origin(spec: &Manifest<'_>, case: &Case<'_>, who: &Who) -> Option<String> {
    let uid = who.uid;
    let told = run_as_user(spec.pod, spec.container);
    if let Some(told) = told {
        return (told != uid).then(|| format!("the process has uid {uid} and not {told}: the program changed its user by itself"));
    }
    let first = case.processes.first()?.began;
    let changed = changes_user(spec, case, who);
    Some(match (changed, first == uid) {
        (true, _) => format!("the container starts as root, and the program changed to uid {uid} by itself"),
        (false, true) if uid == 0 => "no runAsUser is set, and the image runs as root".to_owned(),
        (false, true) => format!("uid {uid} is the user of the image, unless the program changed to it by itself"),
        (false, false) => return None,
    })
}

/// The program has another user than the container started with; a process that lost a group of the manifest has changed its
/// user too.
pub(super) fn changes_user(spec: &Manifest<'_>, case: &Case<'_>, who: &Who) -> bool {
    let first = case.processes.first().map(|process| process.began);
    who.uid != 0 && (first == Some(0) || first.is_some() && lost_group(spec, who).is_some())
}

/// The id that a platform has put into the pod as its user and as its fsGroup, out of the namespace's range: `OpenShift`'s
/// restricted SCC does, from 1000000000 on (annotations `openshift.io/sa.scc.uid-range` and `supplemental-groups`). No
/// other one passes admission there.
pub(super) fn range_of_namespace(spec: &Manifest<'_>) -> Option<u32> {
    const FIRST: u32 = 1_000_000_000;
    spec.container.security.run_as_user.filter(|uid| *uid >= FIRST && spec.pod.security.fs_group == Some(*uid))
}

/// The process is not in a group that the manifest gives it.
pub(super) fn lost_group(spec: &Manifest<'_>, who: &Who) -> Option<u32> {
    let pod = &spec.pod.security;
    pod.fs_group.iter().chain(&pod.supplemental_groups).copied().find(|gid| !who.groups_cut && !who.is_in(*gid))
}
