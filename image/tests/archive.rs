//! Archives as their readers see them: every digest and size is followed from `index.json` down to the files, and two builds
//! of the same files under different circumstances are compared.
#![allow(clippy::unwrap_used, reason = "tests")]

use flate2::read::GzDecoder;
use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes, Permissions},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};
use unready_image::{ANNOTATION_TITLE, Access, Epoch, Error, Image, Layer, Platform, Process, Reference, Tree, write};

fn reference() -> Reference {
    "unready/example:1".parse().unwrap()
}

/// A folder on the machine, made as a user with this umask would, at this time.
fn folder(umask: u32, seconds: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in [("app", "program", 0o777), ("etc/app.conf", "x = 1", 0o666)] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode & !umask)).unwrap();
    }
    folder
}

fn image(platform: Platform, folder: &Path, epoch: Epoch) -> Image {
    let mut tree = Tree::new();
    tree.folder("", folder, 0, 0).unwrap();
    tree.directory("tmp", Access::SHARED).unwrap();
    tree.file("data/owned", "x", Access::new(1000, 2000, 0o4640)).unwrap();
    tree.link("sh", "app").unwrap();
    tree.file(&format!("deep/{}/file", "long-name/".repeat(20)), "long", Access::FILE).unwrap();
    // Enough of them that an unordered map would show.
    let labels = ('a'..='z').map(|letter| (format!("org.example.{letter}"), letter.to_string()));
    Image {
        platform,
        process: Process {
            entrypoint: vec!["/app".to_owned()],
            arguments: vec!["--port=80".to_owned()],
            user: "65532:65532".to_owned(),
            ..Process::default()
        },
        labels: labels.chain([(ANNOTATION_TITLE.to_owned(), "Example".to_owned())]).collect(),
        layers: vec![Layer::new(&tree, epoch).unwrap()],
    }
}

#[test]
fn two_builds_make_the_same_bytes() {
    let out = tempfile::tempdir().unwrap();
    let build = |name: &str, umask, seconds| {
        let folder = folder(umask, seconds);
        let images = [Platform::Arm64, Platform::Amd64].map(|platform| image(platform, folder.path(), Epoch::default()));
        write(&reference(), &images, Epoch::default(), &out.path().join(name)).unwrap()
    };
    let (first, second) = (build("1.tar", 0o022, 1_000_000_000), build("2.tar", 0o077, 1_700_000_000));
    assert_eq!(first.digest, second.digest);
    assert_eq!(fs::read(&first.path).unwrap(), fs::read(&second.path).unwrap());
    assert_eq!(first.size, fs::metadata(&first.path).unwrap().len());
    // What is in it does matter.
    let folder = folder(0o022, 0);
    fs::write(folder.path().join("app"), "another program").unwrap();
    let images = [Platform::Arm64, Platform::Amd64].map(|platform| image(platform, folder.path(), Epoch::default()));
    assert_ne!(write(&reference(), &images, Epoch::default(), &out.path().join("3.tar")).unwrap().digest, first.digest);
}

/// An archive in memory, with what has been looked at.
struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    followed: Vec<String>,
}

impl Archive {
    fn open(path: &Path) -> Self {
        let mut archive = tar::Archive::new(File::open(path).unwrap());
        let mut files = BTreeMap::new();
        for (number, entry) in archive.entries().unwrap().enumerate() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            assert!(number > 0 || name == "oci-layout", "the marker comes first, not {name}");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(files.insert(name.clone(), bytes).is_none(), "{name} is there twice");
        }
        Self { files, followed: vec!["oci-layout".to_owned(), "index.json".to_owned()] }
    }

    /// The bytes that a descriptor speaks of, after everything that it says of them was found true.
    fn follow(&mut self, descriptor: &Descriptor) -> Vec<u8> {
        let hex = descriptor.as_digest_sha256().unwrap();
        let path = format!("blobs/sha256/{hex}");
        let bytes = self.files.get(&path).unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(bytes.len() as u64, descriptor.size());
        assert_eq!(sum(bytes), hex);
        self.followed.push(path);
        bytes.clone()
    }

    fn index(&self) -> ImageIndex {
        ImageIndex::from_reader(self.files["index.json"].as_slice()).unwrap()
    }

    fn assert_nothing_else_is_there(&mut self) {
        self.followed.sort();
        self.followed.dedup();
        assert_eq!(self.files.keys().collect::<Vec<_>>(), self.followed.iter().collect::<Vec<_>>());
    }
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Owner, permission bits and time of each entry.
fn entries(layer: &[u8]) -> BTreeMap<String, (u64, u64, u32, u64)> {
    let mut archive = tar::Archive::new(layer);
    let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
        let facts = (header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap(), header.mtime().unwrap());
        (entry.path().unwrap().display().to_string(), facts)
    };
    archive.entries().unwrap().map(entry).collect()
}

fn check_image(archive: &mut Archive, manifest: &Descriptor, arch: &Arch, epoch: u64) {
    assert_eq!(manifest.media_type(), &MediaType::ImageManifest);
    assert_eq!(manifest.platform().as_ref().unwrap().architecture(), arch);
    let manifest = ImageManifest::from_reader(archive.follow(manifest).as_slice()).unwrap();
    assert_eq!(manifest.annotations().as_ref().unwrap()[ANNOTATION_TITLE], "Example");
    let config = ImageConfiguration::from_reader(archive.follow(manifest.config()).as_slice()).unwrap();
    assert_eq!((config.architecture(), config.os().to_string().as_str()), (arch, "linux"));
    let process = config.config().as_ref().unwrap();
    assert_eq!(process.entrypoint().as_deref(), Some(["/app".to_owned()].as_slice()));
    assert_eq!(process.cmd().as_deref(), Some(["--port=80".to_owned()].as_slice()));
    assert_eq!(process.user().as_deref(), Some("65532:65532"));
    assert_eq!(process.labels().as_ref().unwrap()["org.example.q"], "q");
    assert_eq!(manifest.layers().len(), config.rootfs().diff_ids().len());
    for (layer, diff_id) in manifest.layers().iter().zip(config.rootfs().diff_ids()) {
        let mut plain = Vec::new();
        GzDecoder::new(archive.follow(layer).as_slice()).read_to_end(&mut plain).unwrap();
        assert_eq!(diff_id, &format!("sha256:{}", sum(&plain)));
        let entries = entries(&plain);
        assert_eq!(entries["app"], (0, 0, 0o755, epoch));
        assert_eq!(entries["etc/app.conf"], (0, 0, 0o644, epoch));
        assert_eq!(entries["data/owned"], (1000, 2000, 0o4640, epoch));
        assert_eq!(entries["tmp/"], (0, 0, 0o1777, epoch));
        assert!(entries.keys().any(|name| name.len() > 200 && name.ends_with("/file")));
    }
}

#[test]
fn every_digest_leads_to_the_bytes_that_it_names() {
    let (out, folder) = (tempfile::tempdir().unwrap(), folder(0o022, 0));
    let epoch = Epoch(1_700_000_000);
    let images = [Platform::Arm64, Platform::Amd64].map(|platform| image(platform, folder.path(), epoch));
    let written = write(&reference(), &images, epoch, &out.path().join("both.tar")).unwrap();
    let mut archive = Archive::open(&written.path);
    let named = archive.index().manifests().clone();
    let [named] = named.as_slice() else { panic!("index.json has one entry") };
    assert_eq!(named.media_type(), &MediaType::ImageIndex);
    assert_eq!(written.digest, named.digest().to_string());
    let index = ImageIndex::from_reader(archive.follow(named).as_slice()).unwrap();
    let [amd64, arm64] = index.manifests().as_slice() else { panic!("one manifest a platform") };
    check_image(&mut archive, amd64, &Arch::Amd64, epoch.0);
    check_image(&mut archive, arm64, &Arch::ARM64, epoch.0);
    archive.assert_nothing_else_is_there();
}

#[test]
fn one_platform_needs_no_index_and_carries_the_names() {
    let (out, folder) = (tempfile::tempdir().unwrap(), folder(0o022, 0));
    let images = [image(Platform::Amd64, folder.path(), Epoch::default())];
    let written = write(&reference(), &images, Epoch::default(), &out.path().join("one.tar")).unwrap();
    let mut archive = Archive::open(&written.path);
    let named = archive.index().manifests().clone();
    let annotations = named[0].annotations().as_ref().unwrap();
    for key in ["io.containerd.image.name", "org.opencontainers.image.ref.name"] {
        assert_eq!(annotations[key], "docker.io/unready/example:1", "{key}");
    }
    check_image(&mut archive, &named[0], &Arch::Amd64, 0);
    archive.assert_nothing_else_is_there();
    assert_eq!(archive.files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_no_file() {
    let (out, folder) = (tempfile::tempdir().unwrap(), folder(0o022, 0));
    let one = image(Platform::Amd64, folder.path(), Epoch::default());
    let target = out.path().join("x.tar");
    let write = |images: &[Image]| write(&reference(), images, Epoch::default(), &target);
    assert!(matches!(write(&[]), Err(Error::NoImage)));
    assert!(matches!(write(&[one.clone(), one.clone()]), Err(Error::PlatformTwice(Platform::Amd64))));
    let process = Process { entrypoint: vec!["/bin/app".to_owned()], ..Process::default() };
    assert!(matches!(write(&[Image { process, ..one.clone() }]), Err(Error::NoEntrypoint(name)) if name == "/bin/app"));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    let nowhere = out.path().join("missing/x.tar");
    assert!(matches!(unready_image::write(&reference(), &[one], Epoch::default(), &nowhere), Err(Error::Write { .. })));
}

#[test]
fn a_file_that_went_away_is_named() {
    let folder = folder(0o022, 0);
    let mut tree = Tree::new();
    tree.folder("", folder.path(), 0, 0).unwrap();
    drop(folder);
    let error = Layer::new(&tree, Epoch::default()).unwrap_err();
    assert!(matches!(&error, Error::Read { path, .. } if path.ends_with("app")), "{error:?}");
}
