//! What kind of event something is, in the words of the code.

use std::fmt::{self, Debug, Write};

/// Its variants from the outside in, as `VclusterCreated` or `Account.Locked`.
pub(super) fn of(event: &impl Debug) -> String {
    let mut kind = Beginning::default();
    // It ends with a fault as soon as the names are over, so that no value is written out.
    let _over = write!(kind, "{event:?}");
    kind.0
}

/// What a derived `Debug` begins with: names of variants, up to the first field.
#[derive(Default)]
struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            match letter {
                '(' => self.0.push('.'),
                letter if letter.is_ascii_alphanumeric() => self.0.push(letter),
                _ => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::event::AccountEvent;
    use crate::event::Event;
    use crate::id::UserId;
    use crate::model::Role;
    use crate::rebalance::event::RebalanceEvent;

    #[test]
    fn kinds_are_variants_from_the_outside_in() {
        let (user, hash) = (UserId(7), "$argon2id$".to_owned());
        let set = Event::RoleSet {
            user,
            role: Role::Admin,
        };
        assert_eq!(of(&set), "RoleSet");
        let hashed = Event::Account(AccountEvent::HashUpgraded { user, hash });
        assert_eq!(of(&hashed), "Account.HashUpgraded");
        let even = Event::Rebalance(RebalanceEvent::BecameEven);
        assert_eq!(of(&even), "Rebalance.BecameEven");
    }
}
