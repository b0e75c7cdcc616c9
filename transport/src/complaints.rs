//! Complaints about peers that try for ever: each is news once.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Peers and reasons remembered; when there are more, all are news again.
const REMEMBERED: usize = 256;

/// What has been said of whom.
#[derive(Debug, Default)]
pub struct Complaints(Mutex<HashSet<(Option<IpAddr>, String)>>);

impl Complaints {
    /// Whether this has not been said of this peer yet; from now on it has.
    pub fn is_new(&self, peer: Option<IpAddr>, reason: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED {
            told.clear();
        }
        told.insert((peer, reason.to_owned()))
    }

    /// This peer is well: what is said of it from now on is news. The answer is whether something had been said of it.
    pub fn forget(&self, peer: Option<IpAddr>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = told.len();
        told.retain(|(known, _)| *known != peer);
        told.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_complaint_about_a_peer_is_news_once() {
        let (news, one, two) = (Complaints::default(), "10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        assert!(news.is_new(one, "a") && news.is_new(one, "b") && news.is_new(two, "a"));
        assert!(!news.is_new(one, "a"));
        assert!(news.forget(one) && !news.forget(one));
        assert!(news.is_new(one, "a") && !news.is_new(two, "a"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let news = Complaints::default();
        assert!((0..10_000).all(|number| news.is_new(None, &number.to_string())));
        assert!(news.0.lock().is_ok_and(|told| told.len() <= REMEMBERED));
    }
}
