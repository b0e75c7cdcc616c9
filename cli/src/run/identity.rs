//! Whose rights CMD gets: `--uid`, `--gid`, `--groups`, `--drop`.
//!
//! Without `--uid` and `--gid` nothing changes. `--uid` alone takes the group of the user's passwd entry, and for a
//! user without entry (which is allowed: container images are full of them) the group of the same number. Supplementary
//! groups are those of `--groups` and no others, as in a pod whose `supplementalGroups` say so.

use anyhow::Context;
use caps::Capability;
use nix::unistd::{Uid, User};
use std::str::FromStr;

/// What `--uid`, `--gid` and `--groups` come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The user, if it changes.
    pub(crate) uid: Option<u32>,
    /// The group, if it changes.
    pub(crate) gid: Option<u32>,
    /// The supplementary groups, if they change.
    pub(crate) groups: Option<Vec<u32>>,
    /// Something that the user may not expect.
    pub(crate) note: Option<String>,
}

impl Identity {
    /// Resolves the flags with the machine's passwd database.
    pub(crate) fn resolve(uid: Option<u32>, gid: Option<u32>, groups: Option<&[u32]>) -> anyhow::Result<Self> {
        let entry = match uid {
            Some(uid) => User::from_uid(Uid::from_raw(uid)).with_context(|| format!("cannot look up uid {uid}"))?,
            None => None,
        };
        Ok(Self::from_entry(uid, gid, groups, entry.map(|user| user.gid.as_raw())))
    }

    fn from_entry(uid: Option<u32>, gid: Option<u32>, groups: Option<&[u32]>, entry: Option<u32>) -> Self {
        let Some(uid) = uid else {
            return Self { gid, groups: groups.map(Into::into), ..Self::default() };
        };
        let group = gid.or(entry).unwrap_or(uid);
        let note = entry
            .is_none()
            .then(|| format!("uid {uid} has no entry in the passwd database; CMD runs with it all the same, as gid {group}"));
        Self { uid: Some(uid), gid: Some(group), groups: Some(groups.unwrap_or_default().into()), note }
    }
}

/// A uid or gid; the highest number means "unchanged" to the kernel and is none.
pub(crate) fn id(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(u32::MAX) | Err(_) => Err("give a number from 0 to 4294967294".into()),
        Ok(id) => Ok(id),
    }
}

/// What `--drop` names: a capability, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drop {
    /// `all`.
    All,
    One(Capability),
}

impl FromStr for Drop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.to_ascii_uppercase();
        if upper == "ALL" {
            return Ok(Self::All);
        }
        let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        Capability::from_str(&name).map(Self::One).map_err(|_| "no capability; write for example NET_BIND_SERVICE, or all".into())
    }
}

impl std::fmt::Display for Drop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::One(capability) => capability.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_by_itself() {
        assert_eq!(Identity::from_entry(None, None, None, None), Identity::default());
        let only_group = Identity::from_entry(None, Some(7), None, None);
        assert_eq!((only_group.gid, only_group.groups), (Some(7), None));
    }

    #[test]
    fn a_user_brings_its_group_and_no_others() {
        let known = Identity::from_entry(Some(33), None, None, Some(34));
        assert_eq!(known, Identity { uid: Some(33), gid: Some(34), groups: Some(vec![]), note: None });
        let given = Identity::from_entry(Some(33), Some(5), Some(&[6, 7]), Some(34));
        assert_eq!((given.gid, given.groups), (Some(5), Some(vec![6, 7])));
    }

    #[test]
    fn a_user_without_entry_is_noted() {
        let unknown = Identity::from_entry(Some(4242), None, None, None);
        assert_eq!(unknown.gid, Some(4242));
        assert!(unknown.note.is_some_and(|note| note.contains("4242")));
    }

    #[test]
    fn ids() {
        assert_eq!(id("0"), Ok(0));
        assert_eq!(id("4294967294"), Ok(4_294_967_294));
        for nonsense in ["4294967295", "-1", "root", "", "99999999999"] {
            assert!(id(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn capabilities_by_any_spelling() {
        let one = Ok(Drop::One(Capability::CAP_NET_BIND_SERVICE));
        for text in ["CAP_NET_BIND_SERVICE", "net_bind_service", "NET_BIND_SERVICE"] {
            assert_eq!(text.parse(), one, "{text}");
        }
        assert_eq!("All".parse(), Ok(Drop::All));
        assert!("NET_BIND".parse::<Drop>().is_err());
    }
}
