//! The search along `PATH`.

use crate::tree::Tree;
use unready_inspect::command::SearchPath;

/// Where a command is found.
fn found(tree: &Tree, path: Option<&str>, command: &str) -> Result<Option<String>, String> {
    Ok(SearchPath::of(path).find(tree, command, "/srv")?.map(|hit| hit.path))
}

#[test]
fn the_first_that_may_be_executed_else_the_first_that_exists() {
    let tree = Tree::new()
        .plain("/a/app", "")
        .directory("/b/app")
        .file("/c/app", "")
        .file("/d/app", "")
        .plain("/a/text", "")
        .file("/srv/rel/app", "");
    let own = |path: &str| Ok(Some(path.to_owned()));
    assert_eq!(found(&tree, Some("/none:/a:/b:/c:/d"), "app"), own("/c/app"));
    assert_eq!(found(&tree, Some("/none:/a/:/b"), "app"), own("/a/app"));
    assert_eq!(found(&tree, Some("/b:/a"), "text"), own("/a/text"));
    assert_eq!(found(&tree, Some("/b:/a"), "none"), Ok(None));
    assert_eq!(found(&tree, Some("rel"), "app"), own("/srv/rel/app"));
    assert_eq!(found(&tree, Some("/c"), "./rel/app"), own("/srv/./rel/app"));
    assert_eq!(found(&tree, None, "app"), Ok(None));
    assert_eq!(found(&tree, None, ""), Ok(None));
}

#[test]
fn what_was_not_looked_at_is_not_said_to_be_missing() {
    let tree = Tree::new().file("/last/app", "").plain("/first/text", "");
    let path = |directories: usize| format!("/first:{}/last", "/x:".repeat(directories - 2));
    assert_eq!(found(&tree, Some(&path(32)), "app"), Ok(Some("/last/app".to_owned())));
    assert!(found(&tree, Some(&path(33)), "app").unwrap_err().contains("first 32 directories"));
    assert!(found(&tree, Some(&path(33)), "text").is_err(), "another one may be executable");
    assert_eq!(found(&tree, Some(&path(33)), "/last/app"), Ok(Some("/last/app".to_owned())));
}
