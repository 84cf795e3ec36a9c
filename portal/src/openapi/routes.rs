//! The table of the JSON interface: each line is a route and an operation of the document.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use docklet_control::account::scope::Takes;

use super::Draft;
use super::takes::Described;
use crate::serve::Portal;

/// One operation, and how its draft is written.
pub(crate) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// As the handler is called: `vcluster.create`.
    pub(super) id: String,
    pub(super) tag: &'static str,
    /// What a token must have to change something by it.
    pub(super) takes: Takes,
    pub(super) describe: fn(&mut Draft),
    pub(super) more: Vec<fn(&mut Draft)>,
}

/// Routes of one subject, and of those that were added to it.
pub(crate) struct Routes {
    router: Router<Portal>,
    operations: Vec<Operation>,
    tag: &'static str,
    takes: Takes,
}

impl Routes {
    /// Of this subject; what changes something takes that scope of a token, until another is said.
    pub(crate) fn about(tag: &'static str, takes: Takes) -> Self {
        Self {
            router: Router::new(),
            operations: Vec::new(),
            tag,
            takes,
        }
    }

    /// What follows takes that.
    pub(crate) fn taking(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    pub(crate) fn and(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        Self {
            router: self.router.merge(other.router),
            ..self
        }
    }

    pub(crate) fn get<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        self.on((Method::GET, MethodFilter::GET), path, summary, handler)
    }

    pub(crate) fn post<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        self.on((Method::POST, MethodFilter::POST), path, summary, handler)
    }

    pub(crate) fn put<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        self.on((Method::PUT, MethodFilter::PUT), path, summary, handler)
    }

    pub(crate) fn patch<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        self.on((Method::PATCH, MethodFilter::PATCH), path, summary, handler)
    }

    pub(crate) fn delete<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        self,
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        let method = (Method::DELETE, MethodFilter::DELETE);
        self.on(method, path, summary, handler)
    }

    /// What the types of the last operation do not say.
    pub(crate) fn with(mut self, more: fn(&mut Draft)) -> Self {
        let last = self.operations.last_mut();
        last.expect("an operation stands before what is said of it")
            .more
            .push(more);
        self
    }

    /// What is so of all operations so far.
    pub(crate) fn with_all(mut self, more: fn(&mut Draft)) -> Self {
        for operation in &mut self.operations {
            operation.more.push(more);
        }
        self
    }

    fn on<H: Handler<T, Portal> + Described<D>, T: 'static, D>(
        mut self,
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        summary: &'static str,
        handler: H,
    ) -> Self {
        self.operations.push(Operation {
            method,
            path,
            summary,
            id: called::<H>(),
            tag: self.tag,
            takes: self.takes,
            describe: H::describe,
            more: Vec::new(),
        });
        let router = self.router.route(path, on(filter, handler));
        Self { router, ..self }
    }

    /// Bodies that are passed on as they come are of any length.
    pub(crate) fn of_any_length(self) -> Self {
        let router = self.router.layer(DefaultBodyLimit::disable());
        Self { router, ..self }
    }

    pub(crate) fn into_router(self) -> Router<Portal> {
        self.router
    }

    pub(crate) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// Noun and verb of a handler's path. Of `api::files::delete::delete` the noun is what stands below `api`: where a handler moves
/// to within its noun makes no difference.
fn called<H>() -> String {
    let mut words = std::any::type_name::<H>().rsplit("::");
    let verb = words.next().unwrap_or_default();
    let mut noun = "";
    for word in words.take_while(|word| *word != "api" && *word != "docklet_portal") {
        noun = word;
    }
    format!("{noun}.{verb}")
}
