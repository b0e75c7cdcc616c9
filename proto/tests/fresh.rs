//! The generated code is what the `.proto` files say.
//!
//! `UNREADY_UPDATE=1 cargo test -p unready-proto --test fresh` writes it; without, a difference fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILES: [&str; 4] = ["unready/v1/verdict.proto", "unready/v1/ingest.proto", "unready/v1/verdicts.proto", "unready/v1/starts.proto"];
const GENERATED: [&str; 2] = ["unready.v1.rs", "unready.v1.bin"];

/// Messages that have a JSON form.
const JSON_MESSAGES: &[&str] = &[
    "Verdict",
    "Completeness",
    "Workload",
    "Start",
    "Remedy",
    "Patch",
    "Evidence",
    "CallFact",
    "FileFact",
    "Inode",
    "MountFact",
    "ExecFact",
    "ExitFact",
    "ExitStatus",
    "SocketFact",
    "ResourceFact",
    "StartReport",
    "Milestone",
    "Attempt",
    "Wait",
];

/// Fields that are times.
const TIMES: &[&str] = &[
    "Verdict.first_seen",
    "Verdict.last_seen",
    "Verdict.resolved_at",
    "Evidence.at",
    "CallFact.last",
    "StartReport.began",
    "StartReport.told",
    "Milestone.at",
    "Attempt.first",
    "Attempt.last",
    "Wait.from",
    "Wait.until",
];

/// Fields that are messages or optional numbers: left out when they are not set.
const PARTS: &[&str] = &[
    "Remedy.patch",
    "Verdict.completeness",
    "Verdict.workload",
    "Verdict.start",
    "Verdict.remedy",
    "FileFact.found",
    "ExitFact.status",
    "ExitStatus.code",
    "ExitStatus.signal",
    "StartReport.workload",
    "StartReport.start",
    "StartReport.completeness",
    "Milestone.status",
];

/// 64-bit numbers: strings in JSON.
const WIDE: &[&str] = &["ResourceFact.limit", "ResourceFact.used"];

/// Texts that are left out of JSON when nothing is known, or when they do not belong to the step.
const MAY_BE_UNKNOWN: &[&str] = &[
    "Workload.namespace",
    "Workload.pod",
    "Workload.pod_uid",
    "Workload.container",
    "Workload.container_kind",
    "Workload.image",
    "Workload.owner",
    "Workload.node",
    "Workload.runtime",
    "Start.container_id",
    "StartReport.note",
    "Milestone.path",
    "Milestone.address",
];

/// Left out unless true.
const RARE: &[&str] = &["Completeness.io_uring", "Completeness.compat_calls", "Completeness.own_kernel"];

/// Left out when zero, which is no process and no port.
const MAY_BE_ZERO: &[&str] = &["Milestone.pid", "Milestone.port"];

/// Lists that are left out when they are empty.
const MAY_BE_EMPTY: &[&str] = &["Remedy.also", "Workload.command"];

fn crate_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn generate(out: &Path) {
    let root = crate_root();
    let mut compiler = protox::Compiler::new([&root]).unwrap();
    compiler.include_imports(true).include_source_info(false).open_files(FILES).unwrap();
    fs::write(out.join("unready.v1.bin"), compiler.encode_file_descriptor_set()).unwrap();

    // The comments become documentation; the set for reflection does without them.
    compiler.include_source_info(true);
    let set = compiler.file_descriptor_set();
    let mut builder = tonic_prost_build::configure().out_dir(out).emit_rerun_if_changed(false).build_transport(true);
    for message in JSON_MESSAGES {
        builder = builder.message_attribute(
            format!(".unready.v1.{message}"),
            "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(rename_all = \"camelCase\", default)]",
        );
    }
    // In proto3 JSON the one that is set stands among the other fields, under its own name. (A path that begins with a dot would be
    // one of the variants too.)
    builder = builder
        .enum_attribute(
            ".unready.v1.Evidence.fact",
            "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(rename_all = \"camelCase\")]",
        )
        .field_attribute("Evidence.fact", "#[serde(flatten)]");
    for (fields, attribute) in [
        (TIMES, "with = \"crate::json::timestamp\", skip_serializing_if = \"Option::is_none\""),
        (WIDE, "with = \"crate::json::wide\", skip_serializing_if = \"Option::is_none\""),
        (PARTS, "skip_serializing_if = \"Option::is_none\""),
        (MAY_BE_UNKNOWN, "skip_serializing_if = \"String::is_empty\""),
        (RARE, "skip_serializing_if = \"std::ops::Not::not\""),
        (MAY_BE_ZERO, "skip_serializing_if = \"crate::json::is_zero\""),
        (MAY_BE_EMPTY, "skip_serializing_if = \"Vec::is_empty\""),
    ] {
        for field in fields {
            builder = builder.field_attribute(format!(".unready.v1.{field}"), format!("#[serde({attribute})]"));
        }
    }
    builder.compile_fds(set).unwrap();
}

#[test]
fn generated_code_is_fresh() {
    let out = tempfile::tempdir().unwrap();
    generate(out.path());
    let committed = crate_root().join("src/gen");
    let update = std::env::var_os("UNREADY_UPDATE").is_some_and(|value| value == "1");
    for name in GENERATED {
        let fresh = fs::read(out.path().join(name)).unwrap();
        let path = committed.join(name);
        if update {
            fs::write(&path, fresh).unwrap();
        } else if fs::read(&path).unwrap_or_default() != fresh {
            panic!(
                "proto/src/gen/{name} is not what the .proto files say; run `UNREADY_UPDATE=1 cargo test -p unready-proto --test fresh` and commit it"
            );
        }
    }
}
