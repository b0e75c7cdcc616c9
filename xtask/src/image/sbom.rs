//! What a program is made of, as a `CycloneDX` document: the crates that are linked into it, with versions and licences, and the
//! libraries of Rust and C that every static program holds.
//!
//! Cargo's tree says which they are, with the features and the target of the build; dependencies of tests and of build scripts
//! and derive macros are not part of a program. What is embedded (the eBPF programs) is resolved for its own target. The document
//! holds no time, and its serial number follows from its content, so that it is the same each time.

use super::{
    VERSION,
    compile::{self, Built, Library},
    make::SOURCE,
    programs::{PROGRAMS, Program},
};
use crate::project::Project;
use anyhow::{Context as _, Result, bail};
use cargo_metadata::{MetadataCommand, Package};
use cyclonedx_bom::{
    external_models::uri::Uri,
    models::{
        component::Classification,
        dependency::{Dependencies, Dependency},
        external_reference::{ExternalReference, ExternalReferenceType, ExternalReferences},
        hash::{Hash, HashAlgorithm, HashValue, Hashes},
        license::{LicenseChoice, Licenses},
        tool::{Tool, Tools},
    },
    prelude::{Bom, Component, Components, Metadata, Purl, SpdxExpression, SpecVersion, UrnUuid, Validate as _},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};
use xshell::cmd;

/// Where the list lies in the image that it describes.
pub(super) const IN_THE_IMAGE: &str = "sbom.cdx.json";

/// Name and version.
type Crate = (String, String);

/// The list for a program that was built.
pub(super) fn of(project: &Project, program: &Program, built: &Built) -> Result<String> {
    let Built { platform, folder, libraries } = built;
    let binary = folder.join(program.binary);
    let mut graph = Graph::of(project, &PROGRAMS.iter().map(|program| program.package).collect::<Vec<_>>(), &compile::triple(*platform))?;
    let mut linked = graph.reachable(program.package)?;
    for embedded in program.embeds {
        let other = Graph::of(project, &[embedded], unready_ebpf_build::TARGET)?;
        linked.extend(other.reachable(embedded)?);
        graph.embed(program.package, embedded, other)?;
    }
    let facts = facts(project)?;
    let bytes = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let mut document = document(program, &graph, &linked, &facts, &sum(&bytes))?;
    add_libraries(&mut document, &graph.root(program.package)?, libraries)?;
    json(document)
}

/// Which crate uses which.
#[derive(Debug, Default, PartialEq, Eq)]
struct Graph {
    edges: BTreeMap<Crate, BTreeSet<Crate>>,
}

impl Graph {
    /// All packages in one call, as they are built: Cargo then unites the features that they want of what they share.
    fn of(project: &Project, packages: &[&str], target: &str) -> Result<Self> {
        let sh = &project.sh;
        let packages = packages.iter().flat_map(|package| ["-p", package]);
        let tree = cmd!(sh, "cargo tree --target {target} --edges normal,no-proc-macro --prefix depth --format").arg(" {p}").args(packages);
        Self::parse(&tree.quiet().read().context("`cargo tree` does not say what the program is made of")?)
    }

    /// Lines of `DEPTH NAME vVERSION …`, a parent before its children. A crate that was there before shows no children again.
    fn parse(tree: &str) -> Result<Self> {
        let mut graph = Self::default();
        let mut above: Vec<Crate> = Vec::new();
        for line in tree.lines().filter(|line| !line.trim().is_empty()) {
            let (depth, name) = parse_line(line).with_context(|| format!("`cargo tree` printed {line:?}, which is not understood"))?;
            above.truncate(depth);
            if let Some(parent) = above.last() {
                graph.edges.entry(parent.clone()).or_default().insert(name.clone());
            }
            graph.edges.entry(name.clone()).or_default();
            above.push(name);
        }
        Ok(graph)
    }

    /// The package of the workspace.
    fn root(&self, package: &str) -> Result<Crate> {
        let root = self.edges.keys().find(|(name, _)| name == package);
        root.cloned().with_context(|| format!("`cargo tree` does not name {package}"))
    }

    /// A package and everything below it.
    fn reachable(&self, package: &str) -> Result<BTreeSet<Crate>> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![self.root(package)?];
        while let Some(next) = waiting.pop() {
            if reached.insert(next.clone()) {
                waiting.extend(self.edges.get(&next).into_iter().flatten().cloned());
            }
        }
        Ok(reached)
    }

    /// `package` holds `embedded`, whose crates are in `other`.
    fn embed(&mut self, package: &str, embedded: &str, other: Self) -> Result<()> {
        let inner = other.root(embedded)?;
        let root = self.root(package)?;
        for (name, uses) in other.edges {
            self.edges.entry(name).or_default().extend(uses);
        }
        self.edges.entry(root).or_default().insert(inner);
        Ok(())
    }
}

/// `2 tokio v1.54.0 (*)`.
fn parse_line(line: &str) -> Option<(usize, Crate)> {
    let mut words = line.split_whitespace();
    let (depth, name, version) = (words.next()?.parse().ok()?, words.next()?, words.next()?.strip_prefix('v')?);
    Some((depth, (name.to_owned(), version.to_owned())))
}

/// What the manifests say of all crates.
fn facts(project: &Project) -> Result<BTreeMap<Crate, Package>> {
    let metadata = MetadataCommand::new().manifest_path(project.root.join("Cargo.toml")).exec().context("`cargo metadata` failed")?;
    Ok(metadata.packages.into_iter().map(|package| ((package.name.to_string(), package.version.to_string()), package)).collect())
}

fn document(program: &Program, graph: &Graph, linked: &BTreeSet<Crate>, facts: &BTreeMap<Crate, Package>, sum: &str) -> Result<Bom> {
    let root = graph.root(program.package)?;
    let mut main = component(&root, facts, Classification::Application)?;
    main.hashes = Some(Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(sum.to_owned()) }]));
    let parts = linked.iter().filter(|name| **name != root);
    let components = parts.map(|name| component(name, facts, Classification::Library)).collect::<Result<_>>()?;
    let dependencies = linked.iter().map(|name| dependency(name, graph, linked)).collect::<Result<_>>()?;
    let metadata = Metadata {
        timestamp: None,
        tools: Some(Tools::List(vec![Tool::new("Unready", "cargo xtask image", VERSION)])),
        authors: None,
        component: Some(main),
        manufacture: None,
        supplier: None,
        licenses: None,
        properties: None,
        lifecycles: None,
    };
    Ok(Bom {
        serial_number: None,
        metadata: Some(metadata),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies)),
        spec_version: SpecVersion::V1_5,
        ..Bom::default()
    })
}

fn component(name: &Crate, facts: &BTreeMap<Crate, Package>, kind: Classification) -> Result<Component> {
    let package = facts.get(name).with_context(|| format!("`cargo metadata` does not know {} {}", name.0, name.1))?;
    let mut component = Component::new(kind, &name.0, &name.1, Some(purl(name)?.to_string()));
    component.purl = Some(purl(name)?);
    component.licenses = package.license.as_deref().map(licenses);
    component.external_references = Some(sources(package.repository.as_deref().unwrap_or(SOURCE)));
    Ok(component)
}

fn sources(repository: &str) -> ExternalReferences {
    ExternalReferences(vec![ExternalReference {
        external_reference_type: ExternalReferenceType::Vcs,
        url: cyclonedx_bom::models::external_reference::Uri::Url(Uri::new(repository)),
        comment: None,
        hashes: None,
    }])
}

/// What no manifest names hangs on the program itself.
fn add_libraries(document: &mut Bom, root: &Crate, libraries: &[Library]) -> Result<()> {
    let root = purl(root)?.to_string();
    for Library { name, version, license, source } in libraries {
        let purl = Purl::new("generic", name, version).with_context(|| format!("{name} {version} makes no package URL"))?;
        let mut component = Component::new(Classification::Library, name, version, Some(purl.to_string()));
        component.licenses = Some(licenses(license));
        component.external_references = Some(sources(source));
        component.purl = Some(purl.clone());
        document.components.iter_mut().for_each(|components| components.0.push(component.clone()));
        let dependencies = document.dependencies.get_or_insert_with(|| Dependencies(Vec::new()));
        let of_root = dependencies.0.iter_mut().filter(|dependency| dependency.dependency_ref == root);
        of_root.for_each(|dependency| dependency.dependencies.push(purl.to_string()));
        dependencies.0.push(Dependency { dependency_ref: purl.to_string(), dependencies: Vec::new() });
    }
    Ok(())
}

/// An SPDX expression where it is one; old manifests write `MIT/Apache-2.0`.
fn licenses(text: &str) -> Licenses {
    let expression = SpdxExpression::parse_lax(text.to_owned()).map(LicenseChoice::Expression);
    Licenses(vec![expression.unwrap_or_else(|_| LicenseChoice::license(text))])
}

fn purl((name, version): &Crate) -> Result<Purl> {
    Purl::new("cargo", name, version).with_context(|| format!("{name} {version} makes no package URL"))
}

fn dependency(name: &Crate, graph: &Graph, linked: &BTreeSet<Crate>) -> Result<Dependency> {
    let uses = graph.edges.get(name).into_iter().flatten().filter(|used| linked.contains(*used));
    let dependencies = uses.map(|used| Ok(purl(used)?.to_string())).collect::<Result<_>>()?;
    Ok(Dependency { dependency_ref: purl(name)?.to_string(), dependencies })
}

/// Checked, and with a serial number that is made from everything else.
fn json(mut document: Bom) -> Result<String> {
    let content = written(&document)?;
    document.serial_number = Some(UrnUuid(serial_number(&content)));
    let result = document.validate();
    if !result.passed() {
        bail!("the list of components is not valid CycloneDX: {result:?}");
    }
    written(&document)
}

fn written(document: &Bom) -> Result<String> {
    let mut bytes = Vec::new();
    document.clone().output_as_json_v1_5(&mut bytes).context("the list of components cannot be written")?;
    Ok(String::from_utf8(bytes)?)
}

/// A UUID of version 8 (RFC 9562): its bits are the first of a SHA-256.
fn serial_number(content: &str) -> String {
    let hash = Sha256::digest(content.as_bytes());
    let number = hash.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let number = number & !(0xf << 76) | 0x8 << 76; // version
    let number = number & !(0x3 << 62) | 0x2 << 62; // variant
    let hex = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    format!("urn:uuid:{}", parts.join("-"))
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use unready_image::Platform;

    fn list(program: &Program) -> Bom {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(program.binary), "program").unwrap();
        let project = Project::open().unwrap();
        let glibc =
            Library { name: "glibc", version: "2.36".to_owned(), license: "LGPL-2.1-or-later", source: "https://example.org/glibc" };
        let built = Built { platform: Platform::Amd64, folder: folder.path().to_owned(), libraries: vec![glibc] };
        let list = || of(&project, program, &built).unwrap();
        let text = list();
        assert_eq!(text, list(), "two lists of the same program differ");
        let bom = Bom::parse_from_json(text.as_bytes()).unwrap();
        assert!(bom.validate_version(SpecVersion::V1_5).passed());
        bom
    }

    fn versions<'a>(bom: &'a Bom, name: &str) -> Vec<&'a Component> {
        bom.components.as_ref().unwrap().0.iter().filter(|component| &*component.name == name).collect()
    }

    #[test]
    fn the_agent_is_made_of_what_is_linked_into_it() {
        let bom = list(&PROGRAMS[0]);
        let project = Project::open().unwrap();
        let lock = fs::read_to_string(project.root.join("Cargo.lock")).unwrap();
        let [tokio] = versions(&bom, "tokio")[..] else { panic!("tokio is there once") };
        let version = tokio.version.as_ref().unwrap().to_string();
        assert!(lock.contains(&format!("name = \"tokio\"\nversion = \"{version}\"\n")), "{version} is not that of Cargo.lock");
        assert_eq!(tokio.purl.as_ref().unwrap().to_string(), format!("pkg:cargo/tokio@{version}"));
        assert!(matches!(&tokio.licenses.as_ref().unwrap().0[..], [LicenseChoice::Expression(text)] if text.to_string() == "MIT"));
        // Linked for the kernel, and embedded; linked by the C compiler.
        assert_eq!((versions(&bom, "aya-ebpf").len(), versions(&bom, "glibc").len()), (1, 1));
        // Of tests, of build scripts, of derive macros, and the thing itself.
        for absent in ["proptest", "unready-ebpf-build", "syn", "serde_derive", "unready-agent"] {
            assert!(versions(&bom, absent).is_empty(), "{absent} is not part of the program");
        }
        let main = bom.metadata.as_ref().unwrap().component.as_ref().unwrap();
        assert_eq!((&*main.name, main.hashes.as_ref().unwrap().0.len()), ("unready-agent", 1));
    }

    #[test]
    fn every_component_has_a_licence_and_hangs_on_the_program() {
        let bom = list(&PROGRAMS[1]);
        let components = &bom.components.as_ref().unwrap().0;
        assert!(components.len() > 30 && components.iter().all(|component| component.licenses.is_some()));
        let used: BTreeSet<&String> = bom.dependencies.iter().flat_map(|all| &all.0).flat_map(|one| &one.dependencies).collect();
        for component in components {
            assert!(used.contains(component.bom_ref.as_ref().unwrap()), "nothing uses {}", component.name);
        }
        assert!(versions(&bom, "aya").is_empty(), "the collector loads no eBPF");
    }

    #[test]
    fn a_tree_becomes_a_graph() {
        let name = |name: &str| (name.to_owned(), "1.0.0".to_owned());
        let graph = Graph::parse("0 a v1.0.0 (/src/a)\n1 b v1.0.0\n2 c v1.0.0\n1 c v1.0.0 (*)\n\n0 d v1.0.0\n1 b v1.0.0 (*)\n").unwrap();
        assert_eq!(graph.edges[&name("a")], BTreeSet::from([name("b"), name("c")]));
        assert_eq!(graph.reachable("d").unwrap(), BTreeSet::from([name("b"), name("c"), name("d")]));
        assert!(graph.reachable("x").is_err());
        assert!(Graph::parse("├── tokio v1").is_err());
    }

    #[test]
    fn the_serial_number_is_a_uuid_and_follows_the_content() {
        let one = serial_number("a");
        assert!(UrnUuid::new(one.clone()).is_ok());
        assert_eq!((one.len(), &one[23..24]), (45, "8"));
        assert!("89ab".contains(&one[28..29]), "{one}");
        assert!(one == serial_number("a") && one != serial_number("b"));
    }
}
