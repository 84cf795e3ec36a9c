//! The first program of images that run services: it prepares, keeps the services running, and waits.

use std::fmt::Write as _;

use super::recipe::Recipe;

/// Where it is in an image.
pub const PATH: &str = "/sbin/docklet-start";

/// The script. Arguments are quoted: the recipe's text is never read as the shell's.
pub fn script(recipe: &Recipe) -> String {
    let mut text = "#!/bin/sh\n# Made by docklet image build.\n".to_owned();
    let mut put = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    for argv in &recipe.prepare {
        put(format!("{} >/dev/null", quoted(argv)));
    }
    for argv in &recipe.services {
        put(format!("( while :; do {}; sleep 1; done ) &", quoted(argv)));
    }
    put("exec sleep infinity".to_owned());
    text
}

fn quoted(argv: &[String]) -> String {
    let words = argv
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_words_whatever_is_in_them() {
        let argv = ["a b", "$(x)", "it's", "`y`"].map(str::to_owned);
        assert_eq!(quoted(&argv), r"'a b' '$(x)' 'it'\''s' '`y`'");
    }
}
