//! `LibraryMissing`: shared libraries, and modules of interpreted programs.
//!
//! A loader looks in many directories; most of what it does not find it finds in the next one. A library counts only if
//! the program needs it and it was found nowhere. The search paths of one library are one finding: the subject is its
//! soname.

use super::rule::{Calls, Rule};
use crate::{
    case::{
        Case, Setting,
        finding::{Finding, Matter},
        look::{directories_searched, executable, is_live, walk_of},
    },
    catalogue::{Cause, library_missing},
    knowledge::noise,
    question::{ExecFormat, Question},
    record::{Call, Errno, ExitStatus},
    story::{
        failure::{Failure, base},
        process::ProcessView,
    },
    verdict::SubjectKind,
    words,
};

/// See the module's head.
pub(super) const RULE: Rule =
    Rule { says: &[Cause::LibraryMissing], calls: Some(Calls { takes: is_lookup, questions, explain }), others: None };

fn is_lookup(failure: &Failure) -> bool {
    failure.call.errno == Errno::ENOENT && matches!(failure.call.call, Call::Open | Call::Stat | Call::Access)
}

fn questions(failure: &Failure, case: &Case<'_>) -> Vec<Question> {
    let Some(path) = failure.path() else { return Vec::new() };
    let program = case.process_of(failure).filter(|process| !process.path.is_empty());
    match program {
        Some(program) if noise::is_library(&path.path) => {
            vec![Question::ReadExecutable { scope: case.scope(failure.call.task.process), path: program.path.clone(), start: None }]
        }
        _ => Vec::new(),
    }
}

fn explain(failure: &Failure, case: &Case<'_>) -> Option<Finding> {
    let path = failure.path()?;
    if let Some(module) = node_module(&path.path) {
        return missing_module(failure, case, module);
    }
    if is_module_directory(&path.path) {
        return missing_module(failure, case, module_named(case)?);
    }
    if !noise::is_library(&path.path) {
        return None;
    }
    missing_library(failure, case, base(&path.path))
}

fn ended_as_loaders_do(process: Option<&ProcessView>) -> bool {
    matches!(process.and_then(|process| process.exited), Some((_, ExitStatus::Code(127))))
}

fn says(case: &Case<'_>, text: &str) -> bool {
    case.output.iter().any(|line| line.contains(text))
}

fn missing_library(failure: &Failure, case: &Case<'_>, soname: &str) -> Option<Finding> {
    let process = case.process_of(failure);
    let program = process.map(|process| process.path.as_str()).unwrap_or_default();
    let needed = executable(case, program).and_then(|executable| match &executable.format {
        ExecFormat::Elf { libraries, .. } => libraries.iter().find(|(name, _)| name == soname),
        ExecFormat::Script { .. } | ExecFormat::Unknown { .. } | ExecFormat::Unreadable { .. } => None,
    });
    let reason = match needed {
        Some((_, None)) => format!("{program} needs {soname} (DT_NEEDED), which is in no directory that the loader searches"),
        None if says(case, soname) => format!("{} needs {soname}, which was not found", or_the_program(program)),
        None if ended_as_loaders_do(process) => {
            format!("{} or one of its libraries needs {soname}, which was not found", or_the_program(program))
        }
        Some((_, Some(_))) | None => return None, // found in another directory, or an optional plugin
    };
    let searched = directories_searched(case, soname, is_lookup);
    let searched = searched.iter().filter(|directory| !is_for_a_cpu(directory));
    let mut found = Finding::new(library_missing::LIBRARY, (SubjectKind::Library, soname), words::failure(failure));
    found.explanation = vec![reason, format!("it was looked for in {}", words::list(searched, 8))];
    found.remedy.text = library_remedy(soname, case.setting());
    found.matter = Some(Matter::Image(program.to_owned()));
    found.proved = matches!(needed, Some((_, None)));
    Some(found)
}

/// Directories that the loader tries for the CPU's sake before the plain one: they say nothing to a reader.
fn is_for_a_cpu(directory: &str) -> bool {
    directory.split('/').any(|part| matches!(part, "glibc-hwcaps" | "tls" | "x86_64" | "haswell" | "avx512_1" | "xeon_phi" | "atomics"))
}

fn or_the_program(program: &str) -> &str {
    if program.is_empty() { "the program" } else { program }
}

fn library_remedy(soname: &str, setting: Setting) -> String {
    match setting {
        Setting::Pod | Setting::Container => format!(
            "Add the package with {soname} to the image that runs (a build stage has it, the final stage must too), or link the program statically. If it lies in a directory of its own, set LD_LIBRARY_PATH or an RPATH."
        ),
        Setting::Local => {
            format!("Install the package with {soname} (`apt-file search {soname}`), or set LD_LIBRARY_PATH to its directory.")
        }
    }
}

/// The package that Node.js looks for: what follows the last `node_modules/`, with its scope.
fn node_module(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("/node_modules/")?;
    let parts = if rest.starts_with('@') { 2 } else { 1 };
    let end = rest.match_indices('/').nth(parts - 1).map_or(rest.len(), |(at, _)| at);
    let name = &rest[..end];
    let name = [".js", ".json", ".node", ".mjs", ".cjs"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

/// The `node_modules` in which a path looks for a module.
fn module_directory(path: &str, module: &str) -> Option<String> {
    let (above, _) = path.rsplit_once("/node_modules/").filter(|_| node_module(path) == Some(module))?;
    Some(format!("{above}/node_modules"))
}

/// Directories that Node.js looks for before it looks into them: the last are its global ones.
fn is_module_directory(path: &str) -> bool {
    ["/node_modules", "/.node_modules", "/.node_libraries", "/lib/node"].iter().any(|directory| path.ends_with(directory))
}

/// A search along the directories of modules: where one of them is not there, nothing is missing yet.
pub(super) fn is_module_search(failure: &Failure) -> bool {
    let searches = matches!(failure.call.call, Call::Stat | Call::Open | Call::Access);
    searches && failure.path().is_some_and(|path| is_module_directory(&path.path))
}

/// The module that the program itself names as missing.
fn module_named<'a>(case: &Case<'a>) -> Option<&'a str> {
    let named = |line: &'a String| line.split_once("Cannot find module '")?.1.split_once('\'').map(|(module, _)| module);
    case.output.iter().find_map(named).filter(|module| !module.starts_with(['/', '.']))
}

/// Node looks upwards, directory by directory; the success is not seen. So the program must say it, or end badly after
/// a search that went through several levels.
fn missing_module(failure: &Failure, case: &Case<'_>, module: &str) -> Option<Finding> {
    let process = case.process_of(failure);
    let failed = process.and_then(|process| process.exited).is_some_and(|(_, status)| !status.is_success());
    let path = failure.path()?;
    let looked_in = |path: &'_ str| if is_module_directory(path) { Some(path.to_owned()) } else { module_directory(path, module) };
    let lookups = case.failures.iter().filter(|other| is_lookup(other)).filter_map(Failure::path);
    let levels: Vec<String> = lookups.filter_map(|other| looked_in(&other.path)).collect();
    let said = module_named(case) == Some(module);
    let several = levels.iter().any(|level| Some(level) != levels.first());
    if !failed || !(said || case.output.is_empty() && several) {
        return None;
    }
    let searched = words::list(&levels, 6);
    let mut found = Finding::new(library_missing::MODULE, (SubjectKind::Library, module), words::failure(failure));
    found.explanation = vec![format!("the module {module} was looked for in {searched}, and is in none of them")];
    if said {
        found.explanation.push("the program ends with `Cannot find module`".to_owned());
    }
    found.remedy.text = format!(
        "Add {module} to `dependencies` in package.json (devDependencies are left out by `npm ci --omit=dev`) and copy node_modules into the image; look whether a volume hides them."
    );
    found.proved = said && walk_of(case, path).is_some_and(|walk| is_live(walk) && walk.stopped.is_some());
    Some(found)
}
