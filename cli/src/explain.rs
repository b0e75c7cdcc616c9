//! `unready explain`: the catalogue of causes, from `docs/causes.md` as it was when this program was built.

use crate::{
    cause::{self, WAITING},
    output,
    plugin::is_plugin,
    render::{self, Style, markdown},
};
use clap::Args;
use std::process::ExitCode;
use unready_diagnosis::catalogue::Cause;

const CATALOGUE: &str = include_str!("../../docs/causes.md");

/// `unready explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A cause, as the column CAUSE has it; without one all are listed
    #[arg(value_name = "CAUSE", value_parser = cause::parse)]
    pub(crate) cause: Option<String>,
}

/// Prints one section, or a line for each.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let style = Style::stdout();
    let text = match args.cause.as_deref() {
        None => all(style),
        Some(WAITING) => markdown::render(ON_WAITING, style),
        Some(cause) => section(cause).map_or_else(String::new, |section| markdown::render(&section, style)),
    };
    output::stdout(&text).map(|()| ExitCode::SUCCESS)
}

const ON_WAITING: &str = "\
## Waiting

**No cause.** The pod is not ready, and nothing is known to be wrong with it so far: the sentence says what it waits for. If \
something is wrong and Unready sees it, the cause takes this word's place.

**Told apart.** Whether a pod that waits is watched closely depends on the agent of its node: `kubectl get pods -A -l \
app.kubernetes.io/name=unready,app.kubernetes.io/component=agent -o wide` shows where one runs.
";

/// The section of a cause, its heading included.
fn section(cause: &str) -> Option<String> {
    let heading = format!("## {cause}");
    let lines = CATALOGUE.lines().skip_while(|line| *line != heading);
    let mut section: Vec<&str> = lines.clone().take(1).collect();
    section.extend(lines.skip(1).take_while(|line| !line.starts_with("## ")));
    (!section.is_empty()).then(|| section.join("\n").trim_end().to_owned() + "\n")
}

/// Each cause with its symptom.
fn all(style: Style) -> String {
    let longest = Cause::ALL.iter().map(|cause| cause.code().len()).max().unwrap_or_default();
    let line = |cause: &Cause| {
        let symptom = section(cause.code()).as_deref().and_then(symptom).unwrap_or_default();
        let line = format!("{:longest$}  {symptom}", cause.code());
        let line = style.width.map_or_else(|| line.clone(), |width| render::shorten(&line, width));
        if style.color { line.replacen(cause.code(), &markdown::bold(cause.code()), 1) } else { line }
    };
    let lines: Vec<String> = Cause::ALL.iter().map(line).collect();
    let name = if is_plugin() { "kubectl unready" } else { "unready" };
    format!("{}\n\n`{name} explain CAUSE` tells more of one.\n", lines.join("\n"))
}

/// The first sentence under "Symptom".
fn symptom(section: &str) -> Option<String> {
    let paragraph = section.split("\n\n").find_map(|paragraph| paragraph.strip_prefix("**Symptom.** "))?;
    let text = markdown::plain(&paragraph.replace('\n', " "));
    Some(text.split_once(". ").map_or(text.as_str(), |(first, _)| first).trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_section_with_a_symptom() {
        for cause in Cause::ALL {
            let section = section(cause.code()).unwrap_or_else(|| panic!("docs/causes.md has no section on {cause}"));
            assert!(section.starts_with(&format!("## {cause}\n")) && section.matches("\n## ").count() == 0);
            assert!(symptom(&section).is_some_and(|symptom| !symptom.is_empty()), "{cause} has no symptom");
        }
    }

    #[test]
    fn all_causes_are_listed() {
        let text = all(Style::PLAIN);
        assert_eq!(text.lines().count(), Cause::ALL.len() + 2);
        assert!(text.contains("\nAddressInUse "), "{text}");
        let narrow = all(Style { width: Some(60), color: false });
        assert!(narrow.lines().all(|line| textwrap::core::display_width(line) <= 60), "{narrow}");
    }
}
