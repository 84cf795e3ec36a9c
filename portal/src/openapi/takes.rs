//! What handlers take: each type says what that is in the document.

use std::net::SocketAddr;

use axum::body::Body as Bytes;
use axum::extract::{ConnectInfo, Path, Query, State, WebSocketUpgrade};
use axum::http::HeaderMap;
use schemars::JsonSchema;

use super::Draft;
use super::draft::Asks;
use super::gives::Gives;
use crate::api::Body;
use crate::asker::Asker;
use crate::serve::Portal;

pub(crate) trait Takes {
    fn takes(draft: &mut Draft);
}

impl Takes for State<Portal> {
    fn takes(_: &mut Draft) {}
}

impl Takes for ConnectInfo<SocketAddr> {
    fn takes(_: &mut Draft) {}
}

/// Which of them is said beside the route.
impl Takes for HeaderMap {
    fn takes(_: &mut Draft) {}
}

impl Takes for Asker {
    fn takes(draft: &mut Draft) {
        draft.asks = Asks::Person;
        draft.may_fail(&[401, 403, 503]);
        if !draft.method.is_safe() {
            draft.may_fail(&[404, 409, 422]);
        }
    }
}

impl Takes for Option<Asker> {
    fn takes(draft: &mut Draft) {
        draft.asks = Asks::AnybodyOrPerson;
        draft.may_fail(&[503]);
    }
}

impl<T: JsonSchema> Takes for Path<T> {
    fn takes(draft: &mut Draft) {
        draft.path_parts::<T>();
    }
}

impl<T: JsonSchema> Takes for Query<T> {
    fn takes(draft: &mut Draft) {
        draft.query::<T>();
    }
}

impl<T: Takes, E> Takes for Result<T, E> {
    fn takes(draft: &mut Draft) {
        T::takes(draft);
    }
}

impl<T: JsonSchema> Takes for Body<T> {
    fn takes(draft: &mut Draft) {
        draft.takes_json::<T>();
    }
}

impl Takes for Bytes {
    fn takes(draft: &mut Draft) {
        draft.takes_bytes();
    }
}

impl Takes for WebSocketUpgrade {
    fn takes(draft: &mut Draft) {
        draft.answers_nothing(101, "The WebSocket is open.");
        draft.may_fail(&[400, 405, 426, 429]);
    }
}

/// A handler whose types say what it takes and gives.
pub(crate) trait Described<D> {
    fn describe(draft: &mut Draft);
}

macro_rules! described {
    ($($input:ident),*) => {
        impl<F, W, $($input),*> Described<($($input,)*)> for F
        where
            F: FnOnce($($input),*) -> W,
            W: Future<Output: Gives>,
            $($input: Takes),*
        {
            fn describe(draft: &mut Draft) {
                $($input::takes(draft);)*
                W::Output::gives(draft);
            }
        }
    };
}

described!();
described!(A1);
described!(A1, A2);
described!(A1, A2, A3);
described!(A1, A2, A3, A4);
described!(A1, A2, A3, A4, A5);
described!(A1, A2, A3, A4, A5, A6);
