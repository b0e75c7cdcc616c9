//! The command and the manifest: `command` and `args` are lists that replace the image's, and nothing splits them.
//!
//! A patch is made only where what was meant is beyond doubt: a whole command line in one string, flags where `command` was
//! given for `args`, one name that is there and differs by a slip, a script that is there with its interpreter.

use super::{
    advice::{Advice, advise, change, change_by},
    alike,
    located::{Located, locate},
    mode,
    patch::{of_container, same_container},
};
use crate::{
    case::{Case, Manifest},
    permission::paths::{join, parent_path},
    question::{ExecFormat, Executable, FileKind, Stop},
    words,
};
use serde_json::json;

/// A mode with which everybody may read and execute.
const EXECUTABLE: u32 = 0o555;
/// The label by which nodes tell their CPU.
const LABEL: &str = "kubernetes.io/arch";

/// The command is not there. `told`: what the runtime was told to run, when that is known.
pub(super) fn not_found(advice: &mut Advice, case: &Case<'_>, name: &str, told: Option<&[String]>, stop: Option<&Stop>) {
    let Some(spec) = case.manifest else { return };
    let (command, args) = (&spec.container.command, &spec.container.args);
    match (command.first(), args.first()) {
        (Some(first), _) if first == name || ends_with(name, first) => by_command(advice, &spec, first, stop),
        (Some(_), _) => {} // something that the command itself starts
        (None, Some(first)) if first == name || told.is_some_and(|told| told == args.as_slice()) => {
            advice.explanation.push(format!(
                "the container sets args and no command, and the image has no entry point: the first of args, {first:?}, is executed as the command"
            ));
            let text = format!(
                "Name the program in `command` and leave its arguments in `args` ({}), or give the image an ENTRYPOINT.",
                shown(args)
            );
            advise(advice, &spec, text);
        }
        (None, _) => {
            advice.explanation.push("the container sets no command: the image's own entry point or CMD names what is not there".to_owned());
        }
    }
}

fn ends_with(path: &str, name: &str) -> bool {
    !name.contains('/') && path.rsplit('/').next() == Some(name)
}

fn by_command(advice: &mut Advice, spec: &Manifest<'_>, first: &str, stop: Option<&Stop>) {
    let command = &spec.container.command;
    advice.explanation.push(format!("the container sets command: {}", shown(command)));
    if first.starts_with('-') {
        return as_args(advice, spec);
    }
    if first.trim().contains(char::is_whitespace) {
        return split(advice, spec, first);
    }
    if is_shell(first) {
        return no_shell(advice, spec, base(first));
    }
    let alike: Vec<&String> =
        stop.map(|stop| stop.alike.iter().filter(|near| alike::is_slip(near, base(first))).collect()).unwrap_or_default();
    if let ([near], Some(stop)) = (alike.as_slice(), stop.filter(|stop| base(&stop.path) == base(first))) {
        let right = if first.contains('/') { join(parent_path(&stop.path), near) } else { (*near).clone() };
        let whole: Vec<&str> = std::iter::once(right.as_str()).chain(command[1..].iter().map(String::as_str)).collect();
        let text = format!("Correct `command`: {right} is there, {first} is not.");
        change(advice, spec, text, of_container(spec.container, json!({ "command": whole })));
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_shell(command: &str) -> bool {
    matches!(base(command), "sh" | "bash" | "ash" | "dash" | "zsh")
}

/// `sh` is what every shell's image has; another one may be missing alone.
fn no_shell(advice: &mut Advice, spec: &Manifest<'_>, shell: &str) {
    let text = if shell == "sh" {
        advice.explanation.push("the image has no shell (scratch, distroless)".to_owned());
        "No shell, no `sh -c`: name the program itself in `command` and its arguments one by one in `args`, or use an image with a shell."
            .to_owned()
    } else {
        advice.explanation.push(format!("the image has no {shell} there"));
        format!(
            "Use /bin/sh instead, if the image has it and the script needs no more, or an image with {shell}; or name the program itself in `command` and its arguments one by one in `args`."
        )
    };
    advise(advice, spec, text);
}

/// `["a", "b"]`, cut where it gets long.
fn shown(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().take(5).map(|one| format!("{one:?}")).collect();
    format!("[{}{}]", quoted.join(", "), if list.len() > 5 { ", …" } else { "" })
}

/// Flags were given as the command: they belong to the image's entry point.
fn as_args(advice: &mut Advice, spec: &Manifest<'_>) {
    let Manifest { pod, container, .. } = spec;
    let all: Vec<&String> = container.command.iter().chain(&container.args).collect();
    let text = format!(
        "Move it to `args`: `command` replaces the image's entry point, `args` are given to it. args: {}.",
        shown(&all.iter().map(|one| (*one).clone()).collect::<Vec<_>>())
    );
    let Some((path, test)) = same_container(pod, container) else { return advise(advice, spec, text) };
    let operations = [
        test,
        json!({ "op": "remove", "path": format!("{path}/command") }),
        json!({ "op": "add", "path": format!("{path}/args"), "value": all }),
    ];
    change_by(advice, spec, text, &operations);
}

/// A whole command line in one string.
fn split(advice: &mut Advice, spec: &Manifest<'_>, line: &str) {
    advice.explanation.push("it is one name with blanks in it: no shell splits it".to_owned());
    let needs_shell = line.contains(['|', '&', ';', '<', '>', '$', '`', '"', '\'', '*', '(', '\\', '\n']);
    let rest = spec.container.command[1..].iter().cloned();
    let arguments: Vec<String> = rest.clone().chain(spec.container.args.iter().cloned()).collect();
    if needs_shell && !arguments.is_empty() {
        let text = format!(
            "Give the line to a shell, if the image has one (`/bin/sh -c LINE`), with the arguments {} in it: those that follow the line are its $0, $1 and so on, and not the program's.",
            shown(&arguments)
        );
        return advise(advice, spec, text);
    }
    let whole: Vec<String> = if needs_shell {
        ["/bin/sh", "-c", line].into_iter().map(str::to_owned).chain(rest).collect()
    } else {
        line.split_whitespace().map(str::to_owned).chain(rest).collect()
    };
    let text = if needs_shell {
        format!("Give the line to a shell, if the image has one: command: {}.", shown(&whole))
    } else {
        format!("Give each argument an element of its own: command: {}.", shown(&whole))
    };
    change(advice, spec, text, of_container(spec.container, json!({ "command": whole })));
}

/// A file without the x bit: a script from a `ConfigMap` gets it by the volume's mode, one of the image by its interpreter.
pub(super) fn not_executable(advice: &mut Advice, case: &Case<'_>, path: &str, file: Option<&Executable>, told: Option<&[String]>) {
    let Some(spec) = case.manifest else { return };
    if let Some(place) = locate(&spec, path) {
        advice.explanation.push(place.sentence(None));
        let now = file.and_then(|file| file.file.as_ref()).map(|inode| inode.mode);
        if let Some(setting) = mode::set(&place, EXECUTABLE, now) {
            let field = if setting.of_item { "the item's mode" } else { "defaultMode" };
            let text = format!("Set {field} 0555 on volume {}, so that its files may be executed.", place.volume.name);
            return change(advice, &spec, text, setting.fragment);
        }
    }
    by_interpreter(advice, &spec, path, file, told);
}

/// A script that may be read and has its interpreter is started by that, without an x bit.
fn by_interpreter(advice: &mut Advice, spec: &Manifest<'_>, path: &str, file: Option<&Executable>, told: Option<&[String]>) {
    let Some(Executable { format: ExecFormat::Script { interpreter, exists: true, .. }, file: Some(inode), .. }) = file else { return };
    let readable = inode.kind == FileKind::File && inode.mode & 0o004 != 0;
    let container = spec.container;
    let whole: Vec<String> = interpreter.split_whitespace().map(str::to_owned).chain([path.to_owned()]).collect();
    let (command, args) = match (container.command.first(), told) {
        (Some(first), _) if first == path => (whole.into_iter().chain(container.command[1..].iter().cloned()).collect::<Vec<_>>(), None),
        // The image's entry point: what follows it was the image's too, unless args are given.
        (None, Some([first, rest @ ..])) if first == path => {
            let own = container.args.is_empty().then(|| rest.to_vec());
            (whole, own.filter(|rest| !rest.is_empty()))
        }
        _ => return,
    };
    if !readable {
        return;
    }
    let mut fields = json!({ "command": command });
    if let Some(args) = args {
        fields["args"] = json!(args);
    }
    let text =
        format!("Start it with its interpreter: command: {}; or set the x bit in the image (`COPY --chmod=0755 …`).", shown(&command));
    change(advice, spec, text, of_container(container, fields));
}

/// A program for another CPU: the pod can be kept on nodes that have it.
pub(super) fn other_machine(advice: &mut Advice, case: &Case<'_>, architecture: &str) {
    let Some(spec) = case.manifest else { return };
    let set = spec.pod.node_selector.iter().find(|(label, _)| label == LABEL);
    advice.explanation.push(match set {
        Some((_, value)) => format!("the pod's nodeSelector asks for {LABEL}: {value}"),
        None => format!("nothing in the pod says which CPU it needs (nodeSelector {LABEL})"),
    });
    let text = format!("{} The patch does the latter, and helps only if the cluster has such nodes.", advice.remedy.text);
    change(advice, &spec, text, json!({ "nodeSelector": { LABEL: architecture } }));
}

/// What only the image can mend: said, so that nobody looks for it in the manifest.
pub(super) fn image_only(advice: &mut Advice, case: &Case<'_>, path: &str) {
    let Some(spec) = case.manifest else { return };
    if let Some(place) = locate(&spec, path).filter(Located::is_kubelet_written) {
        advice.explanation.push(place.sentence(None));
        let name = place.name();
        advice.remedy.text = format!("{} The file comes from {name}: change it there.", advice.remedy.text);
    } else {
        let image = if spec.container.image.is_empty() { "the image".to_owned() } else { format!("image {}", spec.container.image) };
        advice.remedy.text = format!("{} No change of the manifest helps: what has to change is {image}.", advice.remedy.text);
    }
}

/// A container that ends with success and is started again and again.
pub(super) fn ended(advice: &mut Advice, case: &Case<'_>) {
    let Some(spec) = case.manifest else { return };
    let container = spec.container;
    let what = match (container.command.as_slice(), container.args.as_slice()) {
        ([], []) => format!("the manifest sets no command: what ended is the default of image {}", container.image),
        ([], args) => format!("the container sets args: {}", shown(args)),
        (command, args) => format!("the container runs {}", shown(&command.iter().chain(args).cloned().collect::<Vec<_>>())),
    };
    advice.explanation.push(what);
    let probes = [("readinessProbe", &container.readiness), ("livenessProbe", &container.liveness), ("startupProbe", &container.startup)];
    let probes: Vec<String> =
        probes.iter().filter_map(|(name, probe)| probe.as_ref().map(|probe| format!("{name} ({})", probe.action))).collect();
    if !probes.is_empty() {
        advice.explanation.push(format!("it has a {}: a server was expected", words::list(probes, 3)));
    }
}
