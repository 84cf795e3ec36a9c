//! `VCLUSTER/host-0:/path` of a command line, and where the interface has it.

use std::str::FromStr;

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::FileListing;

use super::invalid;
use crate::client::VnodeName;
use crate::client::connection::Connection;
use crate::exit::{Class, Failure};

/// A place in a vnode.
#[derive(Clone, Debug)]
pub struct Remote {
    pub vnode: VnodeName,
    /// As it was typed: what does not begin with a slash begins at the vnode's home.
    pub path: String,
}

impl FromStr for Remote {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let (vnode, path) = text.split_once(':').ok_or_else(|| {
            let text = text.escape_debug();
            invalid(format!(
                "\"{text}\" is no place in a vnode: name it as VCLUSTER/host-0:/path"
            ))
        })?;
        Ok(Self {
            vnode: vnode.parse()?,
            path: path.to_owned(),
        })
    }
}

impl Remote {
    /// A path of the interface below this vnode's files.
    pub fn address(&self, below: &str, query: &[(&str, &str)]) -> String {
        let VnodeName { vcluster, vnode } = &self.vnode;
        let mut address = format!("/vclusters/{vcluster}/vnodes/{vnode}/files{below}");
        let mut mark = '?';
        for (name, value) in query {
            address.push(mark);
            address.push_str(name);
            address.push('=');
            address.push_str(&encoded(value));
            mark = '&';
        }
        address
    }

    /// What is meant; none is the vnode's home.
    ///
    /// # Errors
    /// It is no path, or there is no home to be asked for.
    pub async fn path_or_home(&self, connection: &Connection) -> anyhow::Result<Option<FilePath>> {
        if self.path.is_empty() {
            return Ok(None);
        }
        self.absolute(connection).await.map(Some)
    }

    /// The whole path.
    ///
    /// # Errors
    /// The same.
    pub async fn absolute(&self, connection: &Connection) -> anyhow::Result<FilePath> {
        // People and shells write a slash at the end of a directory.
        let typed = match self.path.trim_end_matches('/') {
            "" if !self.path.is_empty() => "/",
            typed => typed,
        };
        if typed.starts_with('/') {
            return parse(typed);
        }
        let home = look(connection, self, None, None).await?.path;
        let below = typed.trim_start_matches("./");
        if below.is_empty() || below == "." {
            return Ok(home);
        }
        parse(&format!("{}/{below}", home.as_str().trim_end_matches('/')))
    }
}

fn parse(text: &str) -> anyhow::Result<FilePath> {
    FilePath::parse(text)
        .map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()).into())
}

/// What is there.
///
/// # Errors
/// There is nothing, or no answer.
pub async fn look(
    connection: &Connection,
    at: &Remote,
    path: Option<&FilePath>,
    after: Option<&str>,
) -> anyhow::Result<FileListing> {
    let path = path.map(|path| ("path", path.as_str()));
    let after = after.map(|after| ("after", after));
    let query: Vec<(&str, &str)> = path.into_iter().chain(after).collect();
    connection.get(&at.address("", &query)).await
}

/// Any text as a part of an address or a header.
pub fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    text.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_vnode_is_told_from_a_file_here() {
        let place: Remote = "lab/host-0:/a b".parse().expect("a place");
        assert_eq!(
            place.address("/content", &[("path", &place.path), ("all", "true")]),
            "/vclusters/lab/vnodes/host-0/files/content?path=/a%20b&all=true"
        );
        for other in [
            "lab/host-0",
            "./a:b",
            "/a:b",
            "lab:/a",
            "../x/host-0:/a",
            "a/b/c:/d",
            "",
        ] {
            assert!(other.parse::<Remote>().is_err(), "{other}");
        }
        assert_eq!(encoded("/ä&?#%+\n"), "/%C3%A4%26%3F%23%25%2B%0A");
    }
}
