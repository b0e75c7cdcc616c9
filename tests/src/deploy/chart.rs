//! Helm and kubectl, for the chart in a cluster.
