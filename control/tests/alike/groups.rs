//! What is asked of groups by their names.

use super::*;

pub fn of_group(group: &str) -> Vec<Command> {
    let (group, users) = (|| group.to_owned(), || vec!["bob".to_owned()]);
    let change = [(QuotaItem::Vnodes, Some(Bound::AtMost(1)))].into();
    let give = BeanCommand::Grant {
        to: Receiver::User("bob".to_owned()),
        beans: 1,
        reason: String::new(),
        from: Some(group()),
    };
    let approve = BeanCommand::Approve {
        request: LogIndex(1),
        from: Some(group()),
        reason: String::new(),
    };
    vec![
        Command::Bean(give),
        Command::Bean(approve),
        Command::Group(GroupCommand::Add {
            group: group(),
            users: users(),
        }),
        Command::Group(GroupCommand::Remove {
            group: group(),
            users: users(),
        }),
        Command::Group(GroupCommand::AddManagers {
            group: group(),
            users: users(),
        }),
        Command::Group(GroupCommand::Delete { group: group() }),
        keep(Thing::Group { group: group() }),
        announce(&group()),
        Command::Quota(QuotaCommand::SetShare {
            group: group(),
            user: "ada".to_owned(),
            change,
        }),
    ]
}
