//! What an image runs on.

use crate::error::Error;
use oci_spec::image::{Arch, Os};
use std::{fmt, str::FromStr};

/// Linux on one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `linux/amd64`: Rust's `x86_64`.
    Amd64,
    /// `linux/arm64`: Rust's `aarch64`.
    Arm64,
}

impl Platform {
    /// All that images are built for.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one that this program runs on, if images are built for it.
    pub fn of_this_machine() -> Option<Self> {
        Self::ALL.into_iter().find(|platform| platform.rust_arch() == std::env::consts::ARCH)
    }

    /// As Go and the OCI say it.
    pub const fn goarch(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// As Rust's target triples and the kernel say it.
    pub const fn rust_arch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    pub(crate) fn arch(self) -> Arch {
        match self {
            Self::Amd64 => Arch::Amd64,
            Self::Arm64 => Arch::ARM64,
        }
    }

    pub(crate) fn spec(self) -> Result<oci_spec::image::Platform, Error> {
        Ok(oci_spec::image::PlatformBuilder::default().architecture(self.arch()).os(Os::Linux).build()?)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.goarch())
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|platform| platform.to_string() == text).ok_or_else(|| Error::Platform(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_platform_is_read_as_it_is_written() {
        for platform in Platform::ALL {
            assert_eq!(platform.to_string().parse::<Platform>().unwrap(), platform);
        }
        assert!("amd64".parse::<Platform>().is_err() && "windows/amd64".parse::<Platform>().is_err());
    }
}
