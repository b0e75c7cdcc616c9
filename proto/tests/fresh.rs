//! The generated code is what the `.proto` files say.
//!
//! `UNREADY_UPDATE=1 cargo test -p unready-proto --test fresh` writes it; without, a difference fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const FILES: [&str; 3] = ["unready/v1/verdict.proto", "unready/v1/ingest.proto", "unready/v1/verdicts.proto"];
const GENERATED: [&str; 2] = ["unready.v1.rs", "unready.v1.bin"];

/// Messages that have a JSON form, and those of their fields that are times or messages.
const JSON_MESSAGES: [&str; 7] = ["Verdict", "Completeness", "Workload", "Start", "Remedy", "Patch", "Evidence"];
const TIMES: [&str; 4] = ["Verdict.first_seen", "Verdict.last_seen", "Verdict.resolved_at", "Evidence.at"];
const PARTS: [&str; 5] = ["Remedy.patch", "Verdict.completeness", "Verdict.workload", "Verdict.start", "Verdict.remedy"];
/// Fields that are left out of JSON when nothing is known.
const MAY_BE_UNKNOWN: [&str; 10] = [
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
];

/// Left out unless true.
const RARE: &[&str] = &["Completeness.io_uring", "Completeness.compat_calls", "Completeness.own_kernel"];

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
    for field in TIMES {
        builder = builder.field_attribute(
            format!(".unready.v1.{field}"),
            "#[serde(with = \"crate::json::timestamp\", skip_serializing_if = \"Option::is_none\")]",
        );
    }
    for field in MAY_BE_UNKNOWN {
        builder = builder.field_attribute(format!(".unready.v1.{field}"), "#[serde(skip_serializing_if = \"String::is_empty\")]");
    }
    for field in PARTS {
        builder = builder.field_attribute(format!(".unready.v1.{field}"), "#[serde(skip_serializing_if = \"Option::is_none\")]");
    }
    for field in RARE {
        builder = builder.field_attribute(format!(".unready.v1.{field}"), "#[serde(skip_serializing_if = \"std::ops::Not::not\")]");
    }
    builder = builder.field_attribute(".unready.v1.Remedy.also", "#[serde(skip_serializing_if = \"Vec::is_empty\")]");
    builder = builder.field_attribute(".unready.v1.Workload.command", "#[serde(skip_serializing_if = \"Vec::is_empty\")]");
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
