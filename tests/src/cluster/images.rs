//! The programs of the cluster's demo and tests as images: Debian's redis, nginx, `PostgreSQL` and Python as their users know
//! them, the project's own workloads, and a Go server.
//!
//! Each starts when it is configured rightly; what is wrong with a pod is then the pod's. The roots are as small as images of these
//! programs usually are: the program, its libraries, busybox as the shell, `/etc/passwd` with the usual names.

mod debian;

use crate::{binaries::Binaries, demo::world};
use anyhow::{Context, Result};
use debian::{Archive, Package};
use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher as _},
    path::{Path, PathBuf},
};
use unready_image::{Access, Epoch, Image, Layer, Platform, Process, Reference, Tree, write};

/// The project's workloads, as `/bin/NAME` in `unready.test/workloads:1`.
pub const WORKLOADS: &[&str] = &[
    "bind-address",
    "bind-port",
    "bind-socket",
    "drop-privileges",
    "eat-memory",
    "exit-zero",
    "fill-disk",
    "first-calls",
    "flood",
    "many-files",
    "many-threads",
    "open-or-exit",
    "optional-log",
    "read-ca-bundle",
    "read-key",
    "retry-open",
    "serve",
    "storm",
    "time-calls",
    "wait-for-key",
    "write-file",
];
/// Debian's package of a static busybox, the shell of all images.
const SHELL: &str = "busybox-static";
/// Names that busybox goes by.
const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "chown", "cp", "date", "echo", "env", "false", "find", "grep", "head", "hostname", "id", "kill", "ln", "ls",
    "mkdir", "mv", "nc", "nslookup", "printf", "ps", "rm", "sed", "sh", "sleep", "stat", "sync", "tail", "test", "touch", "true", "wget",
];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/sh
redis:x:998:998:redis:/data:/bin/sh
postgres:x:999:999:postgres:/var/lib/postgresql:/bin/sh
app:x:1000:1000:app:/:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
";
const GROUP: &str = "root:x:0:\nadm:x:4:\nwww-data:x:33:\nredis:x:998:\npostgres:x:999:\napp:x:1000:\nnogroup:x:65534:\n";
/// Makes a database where there is none, as the usual images do.
const POSTGRES_SH: &str = "#!/bin/sh
set -e
: \"${PGDATA:=/var/lib/postgresql/data}\"
export PGDATA
if [ ! -s \"$PGDATA/PG_VERSION\" ]; then
    initdb --auth=trust --username=postgres --no-sync --locale=C --encoding=UTF8
    echo 'host all all all trust' >> \"$PGDATA/pg_hba.conf\"
fi
exec postgres -c 'listen_addresses=*' -c unix_socket_directories=/tmp \"$@\"
";
const NGINX_CONF: &str = "server {
    listen 80 default_server;
    root /usr/share/nginx/html;
    location = /healthz { return 200 \"ok\\n\"; }
}
";

/// How an image of Debian's programs is made.
struct Recipe {
    name: &'static str,
    /// What apt is asked for.
    roots: &'static [&'static str],
    /// What else of apt's answer belongs into the image, by the start of the name.
    keep: &'static [&'static str],
    /// Adds configuration and says what to start.
    finish: fn(&mut Tree, &[Package]) -> Result<Process>,
}

const RECIPES: &[Recipe] = &[
    Recipe { name: "redis", roots: &["redis-server"], keep: &["redis-"], finish: redis },
    Recipe { name: "nginx", roots: &["nginx"], keep: &["nginx"], finish: nginx },
    Recipe { name: "postgres", roots: &["postgresql"], keep: &["postgresql-1", "postgresql-client-1", "tzdata"], finish: postgres },
    Recipe { name: "python", roots: &["python3"], keep: &["python3", "media-types"], finish: python },
];

/// Makes the images as `DIR/NAME.tar`; their references are `unready.test/NAME:1`. `cache` keeps packages and finished images
/// between runs, each by what it is made of.
pub fn workload_images(binaries: &Binaries, dir: &Path, cache: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let shelf = Shelf { archive: Archive::open(cache)?, kept: cache.join("images"), dir };
    fs::create_dir_all(&shelf.kept).with_context(|| format!("cannot make {}", shelf.kept.display()))?;
    let mut images = vec![shelf.workloads(binaries)?, shelf.go_server()?];
    for recipe in RECIPES {
        images.push(shelf.debian(recipe).with_context(|| format!("cannot make the image {}", recipe.name))?);
    }
    Ok(images)
}

/// Where images are made, kept and put.
struct Shelf<'a> {
    archive: Archive,
    kept: PathBuf,
    dir: &'a Path,
}

impl Shelf<'_> {
    fn debian(&self, recipe: &Recipe) -> Result<PathBuf> {
        let with_shell = |names: &[&'static str]| names.iter().copied().chain([SHELL]).collect::<Vec<_>>();
        let packages = self.archive.closure(&with_shell(recipe.roots), &with_shell(recipe.keep))?;
        let files = self.archive.files(&packages)?;
        self.image(recipe.name, key(&names(&files)), || {
            let mut tree = debian_root(&files)?;
            let process = (recipe.finish)(&mut tree, &packages)?;
            Ok((tree, process))
        })
    }

    /// Static programs in a root without loader and libraries, with busybox.
    fn workloads(&self, binaries: &Binaries) -> Result<PathBuf> {
        let packages = self.archive.closure(&[SHELL], &[SHELL])?;
        let shell: Vec<Package> = packages.into_iter().filter(|package| package.name == SHELL).collect();
        let files = self.archive.files(&shell)?;
        let programs: Vec<PathBuf> = WORKLOADS.iter().map(|name| binaries.workload(name)).collect::<Result<_>>()?;
        let contents: Vec<Vec<u8>> = programs.iter().map(|path| Ok(fs::read(path)?)).collect::<Result<_>>()?;
        self.image("workloads", key(&(names(&files), contents)), || {
            let mut tree = debian_root(&files)?;
            for (name, program) in WORKLOADS.iter().zip(&programs) {
                tree.copy(&format!("usr/bin/{name}"), program, Access::PROGRAM)?;
            }
            broken_programs(&mut tree)?;
            Ok((tree, process(&[], "", &[PATH])))
        })
    }

    /// A Go program alone.
    fn go_server(&self) -> Result<PathBuf> {
        self.image("goserver", key(&()), || {
            let built = built()?;
            world::build_go(built.path())?;
            let mut tree = Tree::new();
            tree.file("web", fs::read(built.path().join("web"))?, Access::PROGRAM)?;
            Ok((tree, process(&["/web"], "65532:65532", &[PATH])))
        })
    }

    /// Made once for each key; what an earlier key made is thrown away.
    fn image(&self, name: &str, key: u64, make: impl FnOnce() -> Result<(Tree, Process)>) -> Result<PathBuf> {
        let kept = self.kept.join(format!("{name}-{key:016x}.tar"));
        if !kept.is_file() {
            let (tree, process) = make()?;
            for old in fs::read_dir(&self.kept)?.filter_map(Result::ok).filter(|entry| is_of(&entry.file_name(), name)) {
                fs::remove_file(old.path())?;
            }
            image(name, &tree, process, &kept)?;
        }
        let path = self.dir.join(format!("{name}.tar"));
        fs::copy(&kept, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// `NAME-KEY.tar`: no name of an image has a dash.
fn is_of(file: &OsStr, name: &str) -> bool {
    file.to_str().and_then(|file| file.split_once('-')).is_some_and(|(start, _)| start == name)
}

/// Of what an image is made of. These sources say how it is put together.
fn key(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    include_str!("images.rs").hash(&mut hasher);
    include_str!("images/debian.rs").hash(&mut hasher);
    include_str!("../demo/world.rs").hash(&mut hasher);
    world::SOURCES.hash(&mut hasher);
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A package's file is named by its version.
fn names(files: &[PathBuf]) -> Vec<&OsStr> {
    files.iter().filter_map(|file| file.file_name()).collect()
}

fn built() -> Result<tempfile::TempDir> {
    tempfile::tempdir().context("cannot make a directory for programs")
}

/// What does not start anywhere, or not here: for another architecture, without its loader, with a script's wrong line ends.
fn broken_programs(tree: &mut Tree) -> Result<()> {
    let built = built()?;
    world::build_c(built.path())?;
    world::build_go(built.path())?;
    for name in ["web-foreign", "dynamic", "segfault"] {
        tree.file(&format!("app/{name}"), fs::read(built.path().join(name))?, Access::PROGRAM)?;
    }
    tree.file("app/start.sh", world::HEALTHY_SH, Access::PROGRAM)?;
    tree.file("app/start-crlf.sh", world::CRLF_SH, Access::PROGRAM)?;
    Ok(())
}

fn image(name: &str, tree: &Tree, process: Process, path: &Path) -> Result<()> {
    let reference: Reference = format!("unready.test/{name}:1").parse()?;
    let platform = Platform::of_this_machine().context("images are made on amd64 and arm64 only")?;
    let epoch = Epoch::default();
    let image = Image { platform, process, labels: [].into(), layers: vec![Layer::new(tree, epoch)?] };
    write(&reference, &[image], epoch, path).with_context(|| format!("cannot write the image {reference}"))?;
    Ok(())
}

/// Debian's files, busybox, and what an installation would have made.
fn debian_root(files: &[PathBuf]) -> Result<Tree> {
    let mut tree = Tree::new();
    debian::unpack(&mut tree, files)?;
    for applet in APPLETS {
        let path = format!("usr/bin/{applet}");
        if !tree.contains(&path) {
            tree.link(&path, "busybox")?;
        }
    }
    for (path, access) in
        [("tmp", Access::SHARED), ("var/tmp", Access::SHARED), ("run", Access::PROGRAM), ("root", Access::new(0, 0, 0o700))]
    {
        tree.directory(path, access)?;
    }
    tree.link("var/run", "/run")?;
    tree.file("etc/passwd", PASSWD, Access::FILE)?;
    tree.file("etc/group", GROUP, Access::FILE)?;
    Ok(tree)
}

fn process(words: &[&str], user: &str, environment: &[&str]) -> Process {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Process { entrypoint: owned(words), environment: owned(environment), user: user.to_owned(), ..Process::default() }
}

fn redis(tree: &mut Tree, _: &[Package]) -> Result<Process> {
    tree.directory("data", Access::new(998, 998, 0o755))?;
    let command = ["/usr/bin/redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data"];
    Ok(process(&command, "998:998", &[PATH]))
}

fn nginx(tree: &mut Tree, _: &[Package]) -> Result<Process> {
    tree.file("etc/nginx/conf.d/default.conf", NGINX_CONF, Access::FILE)?;
    tree.link("var/log/nginx/access.log", "/dev/stdout")?;
    tree.link("var/log/nginx/error.log", "/dev/stderr")?;
    Ok(process(&["/usr/sbin/nginx", "-g", "daemon off;"], "", &[PATH]))
}

fn postgres(tree: &mut Tree, packages: &[Package]) -> Result<Process> {
    let versions = packages.iter().filter_map(|package| package.name.strip_prefix("postgresql-"));
    let version = versions.into_iter().find(|version| version.bytes().all(|byte| byte.is_ascii_digit()));
    let version = version.context("apt names no postgresql-NN")?;
    tree.directory("var/lib/postgresql", Access::new(999, 999, 0o755))?;
    tree.directory("var/lib/postgresql/data", Access::new(999, 999, 0o700))?;
    tree.file("usr/local/bin/postgres.sh", POSTGRES_SH, Access::PROGRAM)?;
    let path = format!("{PATH}:/usr/lib/postgresql/{version}/bin");
    Ok(process(&["/usr/local/bin/postgres.sh"], "999:999", &[&path, "PGDATA=/var/lib/postgresql/data"]))
}

fn python(tree: &mut Tree, _: &[Package]) -> Result<Process> {
    tree.directory("srv", Access::PROGRAM)?;
    Ok(Process { directory: "/srv".to_owned(), ..process(&["/usr/bin/python3"], "", &[PATH]) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_workload_is_in_the_image() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/src/bin");
        let mut names: Vec<String> =
            fs::read_dir(sources).unwrap().map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        assert_eq!(names, WORKLOADS);
    }
}
