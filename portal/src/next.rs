//! Where somebody goes on after a login: a path of this site and nothing else (THREATS 41).

/// Longest path that is kept.
const LEN_MAX: usize = 1_000;

/// The path, if it leads to a page of this site; home if not. Browsers take a backslash for a slash, drop tabs and line ends, and
/// read two slashes as another host.
pub(crate) fn within(path: &str) -> &str {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let own = path.starts_with('/') && !path.starts_with("//");
    let elsewhere = ["/login", "/logout", "/live", "/assets", "/api"];
    let page = !elsewhere.iter().any(|other| path.starts_with(other));
    if plain && own && page && path.len() <= LEN_MAX {
        path
    } else {
        "/"
    }
}

/// The same with the entry after which it is looked at.
pub(crate) fn after(path: &str, index: docklet_control::id::LogIndex) -> String {
    let (path, fragment) = match path.split_once('#') {
        Some((path, fragment)) => (path, Some(fragment)),
        None => (path, None),
    };
    let mark = if path.contains('?') { '&' } else { '?' };
    let fragment = fragment.map_or_else(String::new, |text| format!("#{text}"));
    format!("{path}{mark}after={index}{fragment}")
}

/// The login, and where to go on after it.
pub(crate) fn login_for(path: &str) -> String {
    on_from("/login", path)
}

/// The same of the page that asks for a code.
pub(crate) fn code_for(path: &str) -> String {
    on_from("/login/code", path)
}

fn on_from(page: &str, path: &str) -> String {
    match within(path) {
        "/" => page.to_owned(),
        path => {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("next", path)
                .finish();
            format!("{page}?{query}")
        }
    }
}

#[cfg(test)]
mod tests {
    use docklet_control::id::LogIndex;

    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in [
            "",
            "account",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            " /account",
            "/é",
            "/a\\..\\..\\evil",
            "/login",
            "/login/oidc/callback?code=x",
            "/logout",
            "/live/vclusters",
        ] {
            assert_eq!(within(path), "/", "{path:?}");
        }
        assert_eq!(within(&format!("/{}", "a".repeat(LEN_MAX))), "/");
        for path in [
            "/",
            "/account",
            "/vclusters/lab?after=7",
            "/x//y",
            "/%5Cevil",
        ] {
            assert_eq!(within(path), path);
        }
    }

    #[test]
    fn the_entry_comes_before_the_fragment() {
        assert_eq!(after("/", LogIndex(7)), "/?after=7");
        assert_eq!(after("/a?b=c#d", LogIndex(7)), "/a?b=c&after=7#d");
        assert_eq!(login_for("/a?b=c"), "/login?next=%2Fa%3Fb%3Dc");
        assert_eq!(login_for("//evil.example"), "/login");
    }
}
