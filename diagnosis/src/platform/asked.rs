//! Whom the runtime asked for an image: the registry itself, a mirror that the node has for it, or where the registry sends its clients.
//!
//! Read from the URL in the runtime's message, as Go's `net/http` has it: `Head "https://HOST/PATH?QUERY": dial tcp …`. What cannot be
//! part of a command as it stands is no address.

use super::message::all_quoted;

/// The address that the runtime asked in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    scheme: &'a str,
    host: &'a str,
    /// containerd tells a mirror for whom it asks: `?ns=docker.io` (`core/remotes/docker`); the kubelet hides the value.
    is_mirror: bool,
}

impl<'a> Asked<'a> {
    /// The last URL of the message: that of the error itself.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let url = all_quoted(text).into_iter().rfind(|quoted| is_url(quoted))?;
        let (scheme, rest) = url.split_once("://")?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let host = address.split('/').next()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        let is_mirror = query.split('&').any(|part| part.starts_with("ns="));
        (!host.is_empty() && host.chars().all(is_plain)).then_some(Self { scheme, host, is_mirror })
    }

    /// Docker Hub answers at an address of its own.
    pub(super) fn is_registry(self, registry: &str) -> bool {
        self.host == registry || registry == "docker.io" && self.host == "registry-1.docker.io"
    }

    /// Who it is, when it is not the registry itself.
    pub(super) fn name(self, registry: &str) -> String {
        let Self { host, is_mirror, .. } = self;
        if is_mirror {
            format!("{host}, the node's mirror of registry {registry},")
        } else {
            format!("{host}, asked for an image of registry {registry},")
        }
    }

    /// The same as a reason.
    pub(super) fn sentence(self, registry: &str) -> String {
        let Self { host, is_mirror, .. } = self;
        if is_mirror {
            format!("it asked {host}, not {registry} itself: the node's runtime has it as a mirror")
        } else {
            format!("it asked {host}, not {registry} itself: a mirror that the node has, or where the registry sends its clients")
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The message with its URLs' queries left out: they are long, and say nothing of the failure.
pub(super) fn without_queries(text: &str) -> String {
    let parts = text.split('"').map(|part| part.split_once('?').filter(|_| is_url(part)).map_or(part, |(address, _)| address));
    parts.collect::<Vec<_>>().join("\"")
}

/// What to do about an address that does not answer.
pub(super) fn unreachable(asked: Option<Asked<'_>>, registry: &str) -> String {
    let look = "Look at the name, a firewall, a proxy (the runtime's service needs HTTPS_PROXY of its own), and whether";
    let again = "It is tried again by itself, at most every 5 minutes.";
    let (url, rest) = match asked {
        Some(asked @ Asked { scheme, host, is_mirror }) if !asked.is_registry(registry) => {
            let mirror = format!(
                " the mirror runs; or take it out of the runtime's configuration on the node (containerd: /etc/containerd/certs.d/{registry}/hosts.toml, or that of `_default`)"
            );
            if is_mirror { (format!("{scheme}://{host}/v2/"), mirror) } else { (format!("{scheme}://{host}/"), " it runs".to_owned()) }
        }
        Some(Asked { scheme, host, .. }) => (format!("{scheme}://{host}/v2/"), " the registry runs".to_owned()),
        None => (format!("https://{registry}/v2/"), " the registry runs".to_owned()),
    };
    format!("Check from the node: `curl -v {url}`. {look}{rest}. {again}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_the_runtime_asked() {
        let asked = |url: &str| {
            Asked::read(&format!("failed to resolve image: failed to do request: Head \"{url}\": EOF"))
                .map(|a| (a.scheme.to_owned(), a.host.to_owned(), a.is_mirror))
        };
        let of = |scheme: &str, host: &str, is_mirror| Some((scheme.to_owned(), host.to_owned(), is_mirror));
        assert_eq!(asked("http://127.0.0.1:1/v2/app/manifests/1?ns=%5BREDACTED%5D"), of("http", "127.0.0.1:1", true));
        assert_eq!(asked("https://auth.docker.io/token?scope=a&service=b"), of("https", "auth.docker.io", false));
        assert_eq!(asked("https://[fd00::1]:5000/v2/"), of("https", "[fd00::1]:5000", false));
        assert_eq!(asked("https://a`b/v2/"), None, "nothing that a shell would run");
        assert_eq!(asked("registry.example/app"), None);
    }

    #[test]
    fn the_hub_is_itself_and_its_login_is_not() {
        let at = |host| Asked { scheme: "https", host, is_mirror: false };
        assert!(at("registry-1.docker.io").is_registry("docker.io") && !at("registry-1.docker.io").is_registry("ghcr.io"));
        assert!(!at("auth.docker.io").is_registry("docker.io"));
        assert!(unreachable(Some(at("auth.docker.io")), "docker.io").contains("`curl -v https://auth.docker.io/`"));
        assert!(!at("auth.docker.io").name("docker.io").contains("mirror"));
    }

    #[test]
    fn queries_are_left_out_of_urls_alone() {
        assert_eq!(without_queries("Head \"http://a/b?ns=c\": what? \"x?y\""), "Head \"http://a/b\": what? \"x?y\"");
    }
}
