//! The JSON interface, one file for each noun. Refusals are problem+json with control's codes.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod allowance;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bean;
pub(crate) mod bug;
pub(crate) mod drain;
pub(crate) mod drill;
pub(crate) mod files;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod home;
pub(crate) mod identity;
pub(crate) mod image;
pub(crate) mod kept;
pub(crate) mod machine;
pub(crate) mod mail;
pub(crate) mod master;
pub(crate) mod meter;
pub(crate) mod moves;
pub(crate) mod notice;
pub(crate) mod port;
pub(crate) mod quota;
pub(crate) mod rebalance;
pub(crate) mod role;
pub(crate) mod schedule;
pub(crate) mod service;
pub(crate) mod setting;
pub(crate) mod share;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod tls;
pub(crate) mod trash;
pub(crate) mod vcluster;

use axum::extract::FromRequest;
use axum::extract::rejection::JsonRejection;
use docklet_control::Refusal;

use crate::problem::Problem;

/// A JSON body; what does not fit is told as a problem.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Body<T>(pub(crate) T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::malformed("request body", rejection.body_text())
    }
}

pub(crate) async fn not_found(uri: axum::http::Uri) -> Problem {
    Refusal::not_found("API path", uri.path().escape_debug()).into()
}
