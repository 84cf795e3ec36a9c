//! The form with which a vcluster is made.

use std::collections::BTreeSet;

use axum::extract::{Form, State};
use axum::response::{IntoResponse, Response};
use docklet_control::Command;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::model::{GpuWish, Wishes};
use docklet_control::view::{ImageView, image};
use maud::{Markup, html};
use serde::Deserialize;

use super::see;
use crate::asker::{Asker, propose};
use crate::pages::{Page, by_command, check_csrf, csrf, sentence};
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn show(asker: Asker) -> Markup {
    form_page(&asker, &NewVcluster::default(), None)
}

/// The form's fields, as text: what does not fit comes back as it was typed.
#[derive(Deserialize)]
pub(crate) struct NewVcluster {
    csrf: String,
    name: String,
    image: String,
    vnodes: String,
    cpu_milli: String,
    memory_mib: String,
    pids_max: String,
    /// What is empty or not in the form is the usual.
    #[serde(default)]
    disk_mib: String,
    #[serde(default)]
    gpus: String,
    #[serde(default)]
    gpu_model: String,
}

impl Default for NewVcluster {
    fn default() -> Self {
        let size = VnodeSize::default();
        Self {
            csrf: String::new(),
            name: String::new(),
            image: String::new(),
            vnodes: "2".to_owned(),
            cpu_milli: size.cpu_milli.0.to_string(),
            memory_mib: size.memory_mib.0.to_string(),
            pids_max: size.pids_max.to_string(),
            disk_mib: VnodeSize::DISK.0.to_string(),
            gpus: "0".to_owned(),
            gpu_model: String::new(),
        }
    }
}

impl NewVcluster {
    fn command(&self) -> Result<Command, Problem> {
        let number = |what: &str, text: &str| {
            text.trim()
                .parse()
                .map_err(|error| Problem::malformed(what, error))
        };
        let size = VnodeSize {
            cpu_milli: CpuMilli(number("CPU", &self.cpu_milli)?),
            memory_mib: MemoryMib(number("memory", &self.memory_mib)?),
            pids_max: number("process limit", &self.pids_max)?,
        };
        let (name, image) = (self.name.clone(), self.image.clone());
        let vnodes = number("number of vnodes", &self.vnodes)?;
        let wishes = self.wishes()?;
        Ok(Command::create_vcluster(name, image, vnodes, size, wishes))
    }

    fn wishes(&self) -> Result<Wishes, Problem> {
        let mut wishes = Wishes::default();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        if let Some(disk) = given(&self.disk_mib) {
            let disk = disk.parse();
            wishes.disk_mib = DiskMib(disk.map_err(|error| Problem::malformed("disk", error))?);
        }
        if let Some(count) = given(&self.gpus) {
            let count = count.parse();
            wishes.gpus.count = count.map_err(|error| Problem::malformed("GPUs", error))?;
        }
        // A kind stands in the form whether any are wanted or not.
        wishes.gpus.model = given(&self.gpu_model).filter(|_| wishes.gpus.count > 0);
        Ok(wishes)
    }
}

/// Kinds of GPUs that some worker has.
fn gpu_models(state: &docklet_control::State) -> BTreeSet<&str> {
    let workers = state.workers.values();
    let gpus = workers.flat_map(|worker| &worker.facts.capacity.gpus);
    gpus.map(|gpu| gpu.model.as_str()).collect()
}

fn form_page(asker: &Asker, form: &NewVcluster, problem: Option<&Problem>) -> Markup {
    let images = image::list(&asker.frozen.state, &asker.user);
    let body = html! {
        p.crumbs { a href="/vclusters" { "Vclusters" } " / new" }
        h1 { "Create a vcluster" }
        @if let Some(problem) = problem {
            p.notice.refused role="alert" { (sentence(&problem.detail)) }
        }
        @if images.is_empty() {
            p.notice { "There is no image yet. An admin makes one with " code { "docklet image build busybox" } "." }
        }
        form.stack method="post" action="/vclusters" {
            (csrf(asker))
            label for="name" { "Name" }
            input #name name="name" value=(form.name) required maxlength="40" autocomplete="off" autofocus aria-describedby="name-hint";
            p.hint #name-hint { "1 to 40 of a-z, 0-9 and -, starting with a letter." }
            fieldset.choices {
                legend { "Image" }
                @for (number, image) in images.iter().enumerate() { (image_choice(image, form, number == 0)) }
            }
            div.row {
                div.field {
                    label for="vnodes" { "Vnodes" }
                    input #vnodes name="vnodes" type="number" min="1" max="1000" value=(form.vnodes) required;
                    p.hint { "Hosts: host-0, host-1, …" }
                }
            }
            fieldset {
                legend { "Limits of each vnode" }
                div.row {
                    div.field {
                        label for="cpu" { "CPU" }
                        input #cpu name="cpu_milli" type="number" min="10" max="256000" value=(form.cpu_milli) required aria-describedby="cpu-hint";
                        p.hint #cpu-hint { "Thousandths of a core: 1000 is a whole one." }
                    }
                    div.field {
                        label for="memory" { "Memory" }
                        input #memory name="memory_mib" type="number" min="4" max="4194304" value=(form.memory_mib) required aria-describedby="memory-hint";
                        p.hint #memory-hint { "MiB: 1024 is a GiB." }
                    }
                    div.field {
                        label for="pids" { "Processes" }
                        input #pids name="pids_max" type="number" min="8" max="1000000" value=(form.pids_max) required aria-describedby="pids-hint";
                        p.hint #pids-hint { "Threads count too." }
                    }
                    div.field {
                        label for="disk" { "Disk" }
                        input #disk name="disk_mib" type="number" min="64" max="8388608" value=(form.disk_mib) required aria-describedby="disk-hint";
                        p.hint #disk-hint { "MiB: 10240 is 10 GiB. It may grow later, and never shrinks." }
                    }
                }
            }
            (gpu_fields(&gpu_models(&asker.frozen.state), form))
            div.actions { button.button type="submit" { "Create" } " " a href="/vclusters" { "Cancel" } }
            (by_command("docklet vc create NAME --image IMAGE --vnodes N --wait"))
        }
    };
    Page {
        title: "Create a vcluster",
        asker,
        live: None,
        script: None,
    }
    .render(body)
}

/// Only where there are any.
fn gpu_fields(models: &BTreeSet<&str>, form: &NewVcluster) -> Markup {
    if models.is_empty() {
        return html! {};
    }
    html! {
        fieldset {
            legend { "GPUs of each vnode" }
            div.row {
                div.field {
                    label for="gpus" { "GPUs" }
                    input #gpus name="gpus" type="number" min="0" max=(GpuWish::COUNT_MAX) value=(form.gpus) aria-describedby="gpus-hint";
                    p.hint #gpus-hint { "Each is the vnode's alone, also while it stands still." }
                }
                div.field {
                    label for="gpu-model" { "Kind" }
                    select #gpu-model name="gpu_model" {
                        option value="" { "Any" }
                        @for model in models {
                            option value=(model) selected[form.gpu_model == *model] { (model) }
                        }
                    }
                }
            }
        }
    }
}

fn image_choice(image: &ImageView, form: &NewVcluster, first: bool) -> Markup {
    let chosen = image.name == form.image || (first && form.image.is_empty());
    html! {
        label.choice {
            input type="radio" name="image" value=(image.name) checked[chosen] required;
            span {
                b { (image.name) }
                span.hint { (image.description) }
            }
        }
    }
}

pub(crate) async fn create(
    State(portal): State<Portal>,
    asker: Asker,
    Form(form): Form<NewVcluster>,
) -> Result<Response, Problem> {
    check_csrf(&asker, &form.csrf)?;
    let proposed = match form.command() {
        Ok(command) => propose(&portal, &asker, command).await,
        Err(problem) => Err(problem),
    };
    match proposed {
        Ok(receipt) => Ok(see(&format!("/vclusters/{}", form.name), receipt.index)),
        Err(problem) => {
            let page = form_page(&asker, &form, Some(&problem));
            Ok((problem.status, page).into_response())
        }
    }
}
