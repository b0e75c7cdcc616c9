//! Objects of whatever kind, as they stand now. What is read is handed on as JSON, and nothing of it is kept.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::Value;

/// The fields of an object beside its metadata; `None`: it is not there.
pub async fn fields(client: &Client, api_version: &str, kind: &str, namespace: &str, name: &str) -> kube::Result<Option<Value>> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    Ok(api.get_opt(name).await?.map(|object| object.data))
}
