//! Objects of whatever kind, as they stand now: their names, or their fields as JSON. Nothing of them is kept.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};
use serde_json::Value;

/// Which sort of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort<'a> {
    /// `apps/v1`.
    pub api_version: &'a str,
    /// `Deployment`.
    pub kind: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub uid: String,
    /// Uids of those that own it.
    pub owners: Vec<String>,
    /// What it has beside its metadata.
    pub fields: Value,
}

impl From<DynamicObject> for Object {
    fn from(object: DynamicObject) -> Self {
        let owners = object.metadata.owner_references.into_iter().flatten();
        Self { uid: object.metadata.uid.unwrap_or_default(), owners: owners.map(|owner| owner.uid).collect(), fields: object.data }
    }
}

/// One object; that it is not there is an error.
pub async fn get(client: &Client, sort: Sort<'_>, namespace: &str, name: &str) -> kube::Result<Object> {
    Ok(api(client, sort, Some(namespace)).get(name).await?.into())
}

/// One object; `None`: it is not there.
pub async fn find(client: &Client, sort: Sort<'_>, namespace: &str, name: &str) -> kube::Result<Option<Object>> {
    Ok(api(client, sort, Some(namespace)).get_opt(name).await?.map(Object::from))
}

/// All objects of a sort in a namespace.
pub async fn list(client: &Client, sort: Sort<'_>, namespace: &str) -> kube::Result<Vec<Object>> {
    let list = api(client, sort, Some(namespace)).list(&ListParams::default()).await?;
    Ok(list.items.into_iter().map(Object::from).collect())
}

/// The first names of a sort, in a namespace or, with `None`, of the whole cluster.
pub async fn names(client: &Client, sort: Sort<'_>, namespace: Option<&str>, most: u32) -> kube::Result<Vec<String>> {
    let list = api(client, sort, namespace).list_metadata(&ListParams::default().limit(most)).await?;
    Ok(list.items.into_iter().filter_map(|object| object.metadata.name).collect())
}

fn api(client: &Client, Sort { api_version, kind }: Sort<'_>, namespace: Option<&str>) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}
