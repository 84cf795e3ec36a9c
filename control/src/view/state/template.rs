//! The fields of templates.

use super::{Building, Noun, Shown, scheduling};
use crate::template::is_shown_to;
use crate::view::template;

impl Shown<'_> {
    /// Those of which who looks may make something.
    pub(super) fn templates(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let templates = state.templates.values();
        for template in templates.filter(|template| is_shown_to(state, template, asker)) {
            let recipe = &template.recipe;
            let (image, _) = template::image(state, asker, template);
            let group = template.group.and_then(|group| state.groups.get(&group));
            let fields = Building::default()
                .text("description", &template.description)
                .text("by", self.person(template.by))
                .text_if("group", group.map(|group| &group.name))
                .text("image", image)
                .number("vnodes", recipe.vnodes)
                .group("size", super::nouns::size(recipe.size, &recipe.wishes))
                .number_if(
                    "bandwidth_kbit_per_s",
                    recipe.bandwidth.map(|rate| u64::from(rate.0)),
                )
                .group("rules", scheduling::rules(&recipe.rules))
                .number("published_at", template.published_at.0);
            self.add(
                Noun::Templates,
                template.name.to_string(),
                template.number,
                fields.0,
            );
        }
    }
}
